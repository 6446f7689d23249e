//! The loop: the next thing that happens, in the world or in the engine by itself.

mod effects;

use gantry_engine::{State, Step, Violation, check_all, step};
use gantry_model::command::{Refusal, Reply};
use gantry_model::journal::Entry;
use gantry_model::{Actor, Assignment, Command, Event, ItemId, Millis, Name, Timestamp};
use thiserror::Error;

use crate::agenda::{Agenda, Happening};
use crate::book::{Book, Counts, Items, Live, QueueLength};
use crate::flow::{Arrival, Arrivals};
use crate::random::Stream;
use crate::report::Report;
use crate::staff::Staff;
use crate::world::{VERSION, World};

/// Steps between two looks at the progress; the engine's notes of what changed are dropped then.
const STEPS_A_ROUND: u64 = 1_024;

/// How to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What all randomness follows from.
    pub seed: u64,
    /// Check every invariant of the engine after every step; costs a look at everything.
    pub check: bool,
}

/// Looks on while a simulation runs. It can change nothing.
pub trait Observer {
    /// The engine has made a step; `entries` are what it would have written to the journal.
    fn entries(&mut self, entries: &[Entry]) {
        let _ = entries;
    }

    /// An item's first wait is over.
    fn left_queue(&mut self, left: &Left) {
        let _ = left;
    }

    /// About a thousand steps were made.
    fn progress(&mut self, progress: Progress) {
        let _ = progress;
    }
}

/// Nobody looks on.
impl Observer for () {}

/// How far a simulation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The simulated instant.
    pub now: Timestamp,
    /// The last simulated instant.
    pub end: Timestamp,
    /// Events of the simulated world so far.
    pub events: u64,
}

/// An item whose first wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Number of the stream of arrivals, from 0 in the order of the scenario.
    pub stream: usize,
    /// When it arrived.
    pub arrived_at: Timestamp,
    /// How long it waited.
    pub waited: Millis,
    /// `true` if the source withdrew it, `false` if an agent accepted it.
    pub abandoned: bool,
}

/// Why a simulation stopped. Each is a defect of the engine or of the simulation, never of the
/// scenario.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// An invariant of the engine does not hold.
    #[error("simulate step {step} at {at}: an invariant does not hold")]
    Violated {
        /// The step, from 1.
        step: u64,
        /// The simulated instant.
        at: Timestamp,
        /// What does not hold.
        source: Violation,
    },
    /// The engine refused what should have been allowed.
    #[error("simulate step {step} at {at}: the engine refused {command}")]
    Refused {
        /// The step, from 1.
        step: u64,
        /// The simulated instant.
        at: Timestamp,
        /// The command.
        command: String,
        /// Why.
        source: Refusal,
    },
}

/// Runs a world from its start to its horizon.
///
/// # Errors
/// [`RunError`] if the engine breaks an invariant or refuses a command: a defect to report.
pub fn run(
    world: &World,
    options: Options,
    observer: &mut impl Observer,
) -> Result<Report, RunError> {
    let mut simulation = Simulation::new(world, options, observer);
    simulation.open()?;
    while simulation.next()? {}
    Ok(simulation.close())
}

/// A stream of arrivals while it runs.
#[derive(Debug)]
struct Source {
    arrivals: Arrivals,
    handle_times: Stream,
    patience: Stream,
    due_dates: Stream,
    confirmations: Stream,
}

struct Simulation<'w, O> {
    world: &'w World,
    options: Options,
    observer: &'w mut O,
    state: State,
    now: Timestamp,
    end: Timestamp,
    events: u64,
    entries: u64,
    agenda: Agenda,
    sources: Vec<Source>,
    coming: Vec<Option<Arrival>>,
    staff: Staff,
    items: Items,
    book: Book,
}

impl<'w, O: Observer> Simulation<'w, O> {
    fn new(world: &'w World, options: Options, observer: &'w mut O) -> Self {
        let spec = &world.spec;
        let source = |arrivals: &gantry_model::spec::scenario::ArrivalSpec| {
            let stream = |purpose| Stream::new(options.seed, purpose, &arrivals.name);
            Source {
                arrivals: Arrivals::new(&arrivals.flow, spec.utc_offset, stream("arrivals")),
                handle_times: stream("handle times"),
                patience: stream("patience"),
                due_dates: stream("due dates"),
                confirmations: stream("confirmations"),
            }
        };
        Self {
            world,
            options,
            observer,
            state: State::new(0),
            now: spec.start,
            end: world.end(),
            events: 0,
            entries: 0,
            agenda: Agenda::default(),
            sources: spec.arrivals.iter().map(source).collect(),
            coming: vec![None; spec.arrivals.len()],
            staff: Staff::new(world, options.seed),
            items: Items::default(),
            book: Book {
                counts: vec![Counts::default(); spec.arrivals.len()],
                queue: QueueLength::new(world),
            },
        }
    }

    /// Activates the routing, puts everybody in their place, and notes down the first arrivals.
    fn open(&mut self) -> Result<(), RunError> {
        let routing = std::sync::Arc::clone(&self.world.routing);
        self.act(Actor::Hub, &Command::Activate { version: VERSION, routing })?;
        for (_, profile) in self.world.agents() {
            self.act(Actor::Hub, &Command::PutAgent(profile))?;
        }
        for kind in 0..self.staff.kinds.len() {
            self.duty_changes(kind as u32)?;
        }
        for stream in 0..self.sources.len() {
            self.expect_arrival(stream, self.now);
        }
        Ok(())
    }

    /// Lets the next thing happen; `false` at the horizon.
    fn next(&mut self) -> Result<bool, RunError> {
        let wake = self.state.next_wake(self.now);
        let next = self.agenda.next_at();
        let Some(at) = wake.into_iter().chain(next).min().filter(|at| *at <= self.end) else {
            return Ok(false);
        };
        self.now = at;
        match next {
            // At the same instant the engine's own timers come first in every step.
            Some(next) if next == at => {
                if let Some((_, happening)) = self.agenda.pop() {
                    self.happen(happening)?;
                }
            }
            _ => self.act(Actor::Hub, &Command::Tick)?,
        }
        Ok(true)
    }

    fn close(mut self) -> Report {
        self.book.queue.advance(self.end);
        for kind in &mut self.staff.kinds {
            kind.tally.advance(self.end);
        }
        self.state.advance(self.end);
        Report::new(
            self.world,
            self.options.seed,
            [self.events, self.entries],
            &self.state,
            &self.book,
            &self.staff,
            &self.items,
        )
    }

    fn happen(&mut self, happening: Happening) -> Result<(), RunError> {
        match happening {
            Happening::Arrival { stream } => self.arrive(stream as usize),
            Happening::PatienceEnds { item } => {
                let waits = self.items.get(item).is_some_and(|live| live.waiting);
                if waits {
                    let reason = "not served in time".into();
                    return self.act(Actor::Hub, &Command::Cancel { item, reason });
                }
                Ok(())
            }
            Happening::Answer { item, epoch, agent, accepts } => {
                self.answer(item, epoch, agent, accepts)
            }
            Happening::WorkEnds { item, epoch, agent } => self.work_ends(item, epoch, agent),
            Happening::Confirmed { item } => {
                let epoch = self.state.item(item).and_then(|live| match live.assignment {
                    Assignment::Confirming { .. } | Assignment::WrapUp { .. } => Some(live.epoch),
                    _ => None,
                });
                match epoch {
                    Some(epoch) => self.act(Actor::Hub, &Command::Confirm { item, epoch }),
                    None => Ok(()),
                }
            }
            Happening::DutyChanges { kind } => self.duty_changes(kind),
            Happening::AgentTurns { agent } => self.turn(agent),
        }
    }

    fn expect_arrival(&mut self, stream: usize, last: Timestamp) {
        let arrival = self.sources[stream].arrivals.next(last, self.end);
        self.coming[stream] = arrival;
        if let Some(arrival) = arrival {
            self.agenda.push(arrival.at, Happening::Arrival { stream: stream as u32 });
        }
    }

    /// An item arrives. All its random numbers are drawn now, needed or not, so that the staff
    /// changes nothing about the items.
    fn arrive(&mut self, stream: usize) -> Result<(), RunError> {
        let (world, now) = (self.world, self.now);
        let spec = &world.spec.arrivals[stream];
        let recorded = self.coming[stream].and_then(|arrival| arrival.recorded);
        let source = &mut self.sources[stream];
        let handle_time = source.handle_times.draw(&spec.handle_time);
        let patience = spec.patience.as_ref().map(|patience| source.patience.draw(patience));
        let due_in = spec.due_in.as_ref().map(|due_in| source.due_dates.draw(due_in));
        let due_at = recorded.and_then(|known| known.due_at).or(due_in.map(|by| now.plus(by)));
        let item = ItemId::new(self.state.partition(), self.state.next_counter());
        let live = Live {
            stream: stream as u32,
            arrived_at: now,
            handle_time: recorded.and_then(|known| known.handle_time).unwrap_or(handle_time),
            counts: now >= world.count_from(),
            waiting: true,
            waited: false,
            agent: None,
            epoch: 0,
            due_at: None,
            done_at: None,
        };
        self.book.counts[stream].arrived += u64::from(live.counts);
        self.book.queue.change(now, true);
        self.items.push(item, live);
        let actor = Actor::Source(spec.name.clone());
        self.act(actor, &Command::Capture(world.capture(stream, due_at)))?;
        if let Some(patience) = patience {
            self.agenda.push(now.plus(patience), Happening::PatienceEnds { item });
        }
        self.expect_arrival(stream, now);
        Ok(())
    }

    fn answer(
        &mut self,
        id: ItemId,
        epoch: u32,
        agent: u32,
        accepts: bool,
    ) -> Result<(), RunError> {
        let item = self.state.item(id).filter(|item| item.epoch == epoch);
        let Some(Assignment::Offered { .. }) = item.map(|item| item.assignment) else {
            // The offer ran out, or was withdrawn, before the agent answered.
            return Ok(());
        };
        let agent = self.staff.id(agent).clone();
        let actor = Actor::Agent(agent.clone());
        if accepts {
            return self.act(actor, &Command::Accept { item: id, epoch, agent });
        }
        self.act(actor, &Command::Decline { item: id, epoch, agent, reason: "busy".into() })
    }

    fn work_ends(&mut self, id: ItemId, epoch: u32, agent: u32) -> Result<(), RunError> {
        let item = self.state.item(id).filter(|item| item.epoch == epoch);
        let Some(Assignment::Assigned { confirm_by, .. }) = item.map(|item| item.assignment) else {
            return Ok(());
        };
        // Where only the source completes, it does so when the work is done.
        if confirm_by.is_some() {
            return self.act(Actor::Hub, &Command::Complete { item: id, result_code: None });
        }
        let stream = self.items.get(id).map_or(0, |live| live.stream as usize);
        let agent = self.staff.id(agent).clone();
        let actor = Actor::Agent(agent.clone());
        let disposition: Option<Name> = self.world.streams[stream].disposition.clone();
        let done = Command::MarkDone { item: id, epoch, agent, disposition, changed_from: None };
        self.act(actor, &done)
    }

    /// The roster of a kind changes, now and at the start.
    fn duty_changes(&mut self, kind: u32) -> Result<(), RunError> {
        let people = self.staff.kinds[kind as usize].people.clone();
        for agent in people {
            self.staff.review(agent, self.now);
            self.turn(agent)?;
        }
        if let Some(at) = self.staff.kinds[kind as usize].next_change(self.now) {
            self.agenda.push(at, Happening::DutyChanges { kind });
        }
        Ok(())
    }

    /// Gives an agent the presence that roster and work ask for.
    fn turn(&mut self, agent: u32) -> Result<(), RunError> {
        let presence = self.staff.presence(agent, self.now);
        let agent = self.staff.id(agent).clone();
        if self.state.agent(&agent).is_some_and(|known| known.presence == presence) {
            return Ok(());
        }
        self.act(Actor::Agent(agent.clone()), &Command::SetPresence { agent, presence })
    }

    /// Asks the engine, and notes down what follows in the world.
    fn act(&mut self, actor: Actor, command: &Command) -> Result<(), RunError> {
        let Step { entries, reply, .. } = step(&mut self.state, self.now, actor, command);
        self.events += 1;
        self.entries += entries.len() as u64;
        if self.events.is_multiple_of(STEPS_A_ROUND) {
            drop(self.state.take_changes());
            let (now, end, events) = (self.now, self.end, self.events);
            self.observer.progress(Progress { now, end, events });
        }
        if let Reply::Refused(source) = reply {
            let (step, at, command) = (self.events, self.now, format!("{command:?}"));
            return Err(RunError::Refused { step, at, command, source });
        }
        if self.options.check {
            let (step, at) = (self.events, self.now);
            let violated = |source| RunError::Violated { step, at, source };
            check_all(&self.state, self.now).map_err(violated)?;
        }
        self.observer.entries(&entries);
        for entry in &entries {
            self.note(&entry.event);
        }
        Ok(())
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Classified { item, classified } => {
                if let Some(live) = self.items.get(*item) {
                    live.due_at = classified.due_at;
                    let counts = &mut self.book.counts[live.stream as usize];
                    counts.with_due += u64::from(live.counts && live.due_at.is_some());
                }
            }
            Event::Offered { item, agent, epoch, .. } => self.offered(*item, agent, *epoch),
            Event::Accepted { item, agent, .. } => self.accepted(*item, agent),
            Event::Declined { agent, .. } => self.tally(agent, |tally| tally.declined += 1),
            Event::Rona { agent, .. } => self.rona(agent),
            Event::Revoked { item, .. } | Event::ConfirmationMissed { item, .. } => {
                self.released(*item);
            }
            Event::MarkedDone { item, confirm_by, .. } => {
                self.marked_done(*item, confirm_by.is_some());
            }
            Event::SlaBreached { item } => {
                if let Some(live) = self.items.get(*item).filter(|live| live.counts) {
                    self.book.counts[live.stream as usize].overdue += 1;
                }
            }
            Event::Completed { item, .. } => self.completed(*item),
            Event::Canceled { item, .. } => self.dropped(*item, true),
            Event::Expired { item } | Event::Rejected { item, .. } => self.dropped(*item, false),
            _ => {}
        }
    }
}
