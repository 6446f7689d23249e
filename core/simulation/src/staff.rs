//! The people: when they are there, how they answer offers, and how busy they were.

use std::collections::HashMap;

use gantry_model::spec::scenario::StaffSpec;
use gantry_model::{AgentId, Millis, Name, Presence, Timestamp};

use crate::random::Stream;
use crate::week::Weekly;
use crate::world::World;

/// All agents.
#[derive(Debug)]
pub(crate) struct Staff {
    pub(crate) kinds: Vec<Kind>,
    people: Vec<Person>,
    numbers: HashMap<AgentId, u32>,
}

/// Agents of one kind: habits, random numbers, and what is counted of them.
#[derive(Debug)]
pub(crate) struct Kind {
    duty: Weekly<Duty>,
    habits: Stream,
    delays: Stream,
    returns: Stream,
    /// The agents' numbers follow each other.
    pub(crate) people: std::ops::Range<u32>,
    pub(crate) tally: Tally,
}

/// What is counted of a kind, from the end of the warm-up on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    clock: Timestamp,
    n_on_duty: u64,
    n_busy: u64,
    /// Agents times milliseconds.
    pub(crate) on_duty_ms: u64,
    pub(crate) busy_ms: u64,
    pub(crate) offers: u64,
    pub(crate) accepted: u64,
    pub(crate) declined: u64,
    pub(crate) rona: u64,
}

#[derive(Debug)]
struct Person {
    id: AgentId,
    kind: u32,
    /// Items that they work on.
    load: u32,
    on_duty: bool,
}

/// What the roster says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Duty {
    Off,
    On,
    Break(Name),
}

/// How an agent answers an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) after: Millis,
    pub(crate) accepts: bool,
}

impl Staff {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        let mut staff = Self { kinds: Vec::new(), people: Vec::new(), numbers: HashMap::new() };
        for kind in &world.spec.staff {
            let first = staff.kinds.last().map_or(0, |kind: &Kind| kind.people.end);
            staff.kinds.push(Kind::new(kind, world, first, seed));
        }
        for (kind, profile) in world.agents() {
            let number = staff.people.len() as u32;
            staff.numbers.insert(profile.id.clone(), number);
            let kind = kind as u32;
            staff.people.push(Person { id: profile.id, kind, load: 0, on_duty: false });
        }
        staff
    }

    pub(crate) fn number(&self, agent: &AgentId) -> Option<u32> {
        self.numbers.get(agent).copied()
    }

    pub(crate) fn id(&self, agent: u32) -> &AgentId {
        &self.people[agent as usize].id
    }

    pub(crate) fn kind_no(&self, agent: u32) -> usize {
        self.people[agent as usize].kind as usize
    }

    pub(crate) fn kind_of(&mut self, agent: u32) -> &mut Kind {
        let kind = self.kind_no(agent);
        &mut self.kinds[kind]
    }

    /// What an agent should be, by roster and work.
    pub(crate) fn presence(&self, agent: u32, now: Timestamp) -> Presence {
        let person = &self.people[agent as usize];
        match self.kinds[person.kind as usize].duty.at(now) {
            Duty::On => Presence::Ready,
            Duty::Break(reason) => Presence::NotReady { reason: reason.clone() },
            Duty::Off if person.load > 0 => Presence::FinishSoon,
            Duty::Off => Presence::SignedOff,
        }
    }

    /// `true` if the agent only stayed to finish what is now done.
    pub(crate) fn may_leave(&self, agent: u32, now: Timestamp) -> bool {
        let person = &self.people[agent as usize];
        person.load == 0 && *self.kinds[person.kind as usize].duty.at(now) == Duty::Off
    }

    /// An agent began (`true`) or ended (`false`) to work on an item.
    pub(crate) fn work(&mut self, agent: u32, now: Timestamp, begins: bool) {
        let person = &mut self.people[agent as usize];
        let was_busy = person.load > 0;
        person.load = if begins { person.load + 1 } else { person.load.saturating_sub(1) };
        let busy = person.load > 0;
        if busy != was_busy {
            let tally = &mut self.kinds[person.kind as usize].tally;
            tally.advance(now);
            tally.n_busy = if busy { tally.n_busy + 1 } else { tally.n_busy - 1 };
            self.review(agent, now);
        }
    }

    /// Counts an agent as on duty or not: on shift and not on a break, or at work.
    pub(crate) fn review(&mut self, agent: u32, now: Timestamp) {
        let person = &mut self.people[agent as usize];
        let kind = &mut self.kinds[person.kind as usize];
        let on_duty = person.load > 0 || *kind.duty.at(now) == Duty::On;
        if on_duty != person.on_duty {
            person.on_duty = on_duty;
            kind.tally.advance(now);
            let n = &mut kind.tally.n_on_duty;
            *n = if on_duty { *n + 1 } else { *n - 1 };
        }
    }
}

impl Kind {
    fn new(spec: &StaffSpec, world: &World, first: u32, seed: u64) -> Self {
        let stream = |purpose| Stream::new(seed, purpose, &spec.name);
        let mut windows: Vec<_> = spec.shifts.clone();
        windows.extend(spec.breaks.iter().map(|pause| pause.window));
        let duty = Weekly::new(world.spec.utc_offset, windows.into_iter(), |instant| {
            let mut shifts = spec.shifts.iter();
            if !spec.shifts.is_empty() && !shifts.any(|shift| instant.within(shift)) {
                return Duty::Off;
            }
            let pause = spec.breaks.iter().find(|pause| instant.within(&pause.window));
            pause.map_or(Duty::On, |pause| Duty::Break(pause.reason.clone()))
        });
        Self {
            duty,
            habits: stream("answers to offers"),
            delays: stream("time to answer"),
            returns: stream("return after an offer that ran out"),
            people: first..first + spec.count,
            tally: Tally { clock: world.count_from(), ..Tally::default() },
        }
    }

    /// When roster says something else than now.
    pub(crate) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.duty.next(now)
    }

    /// How an agent of the kind answers an offer; `None` lets it ring. Each offer costs the same
    /// random numbers, whatever the answer.
    pub(crate) fn answer(&mut self, spec: &StaffSpec) -> Option<Answer> {
        let mood = if spec.ring_out + spec.decline > 0.0 { self.habits.share() } else { 1.0 };
        let after = self.delays.draw(&spec.accept_after);
        if mood < spec.ring_out {
            return None;
        }
        Some(Answer { after, accepts: mood >= spec.ring_out + spec.decline })
    }

    /// How long an agent stays away after an offer that ran out.
    pub(crate) fn away(&mut self, spec: &StaffSpec) -> Millis {
        self.returns.draw(&spec.back_after)
    }
}

impl Tally {
    /// Adds up to `now`.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if now > self.clock {
            let gone = now.since(self.clock).0.unsigned_abs();
            self.on_duty_ms += self.n_on_duty * gone;
            self.busy_ms += self.n_busy * gone;
            self.clock = now;
        }
    }
}
