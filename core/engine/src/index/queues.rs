//! What waits, by signature: everything that asks for the same and is served by the same people.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use foldhash::fast::FixedState;
use gantry_model::decision::Trigger;
use gantry_model::name::{AgentId, Name};
use gantry_model::priority::Priority;
use gantry_model::{ItemId, Requirement, Timestamp};

use super::SignatureNo;
use super::entrants::Field;
use super::minima::Minima;
use super::staff::{ClassNo, MediaNo};
use crate::bits::BitSet;
use crate::clock::{ClockNo, CurveClock, WALL};
use crate::curve::NEVER;
use crate::flows::{FlowNo, Flows};
use crate::items::Slot;
use crate::tournament::{Rank, Tournament};

/// A head's value is compared in floating point first. Values stay below 2^62 units and are
/// computed from three roundings of 2^-53 each, so they are off by less than 2^12.
const ROUNDING: f64 = 4096.0;

/// All signatures.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    signatures: Vec<Signature>,
    /// What a match looks at first, side by side: one cache line a signature.
    heads: Vec<Head>,
    nos: HashMap<Key, SignatureNo, FixedState>,
    /// Signatures that name an agent.
    naming: HashMap<AgentId, Vec<SignatureNo>, FixedState>,
    /// When the certainties of each signature's tournament run out.
    certainties: Minima,
    /// Signatures in which an agent and an item may newly have found each other.
    fresh: Vec<SignatureNo>,
    /// How many items wait, by flow.
    flows: Vec<usize>,
}

/// What makes items wait together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// What is asked of an agent.
    pub(crate) requirement: Requirement,
    /// What it takes of an agent's capacity.
    pub(crate) media: MediaNo,
    /// Agents may be inactive for a queue, and its process says who stands first.
    pub(crate) queue: Name,
    /// The clock that priorities run in: in one tournament all curves run in the same.
    pub(crate) clock: ClockNo,
    /// The flow: all items of one tournament have the same handicap.
    pub(crate) flow: FlowNo,
    /// What lies in workbins in advance stands apart, so that the rest is found without it.
    pub(crate) prefilled: bool,
}

/// All that waits for the same kind of agent.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) no: SignatureNo,
    pub(crate) key: Key,
    /// The skills that count towards "highest level".
    pub(super) skills: Vec<Name>,
    /// Agents who fit.
    pub(crate) fits: BitSet,
    /// The level sums of the classes that fit, in the order of their numbers.
    pub(super) sums: Vec<(ClassNo, u32)>,
    /// The clock that the tournament's instants are in.
    clock: CurveClock,
    waiting: Tournament,
}

/// Why a signature is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fresh {
    #[default]
    No,
    /// An item came in: see what is known of the item.
    Item,
    /// Somebody who fits got room.
    Agent(Trigger),
}

/// What a match looks at first.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// The line of the best item, for a first comparison only.
    line: Line,
    /// How many items wait.
    len: u32,
    /// How many agents fit and are ready.
    n_ready: u32,
    /// How many of them have room.
    n_free: u32,
    clock: ClockNo,
    flow: FlowNo,
    fresh: Fresh,
}

/// A straight line, its slope in floating point.
#[derive(Clone, Copy, Debug)]
struct Line {
    from: Timestamp,
    /// In units.
    value: i64,
    /// Units a millisecond; 0 only if the line is level.
    slope: f64,
    /// Since when the best item has been in routing.
    since: Timestamp,
    /// Until when this is the best item's line.
    until: Timestamp,
}

/// The line of nobody.
const NOTHING: Line = Line {
    from: Timestamp(0),
    value: i64::MIN,
    slope: 0.0,
    since: Timestamp(i64::MAX),
    until: NEVER,
};

impl Queues {
    pub(crate) fn signature(&self, no: SignatureNo) -> &Signature {
        &self.signatures[no as usize]
    }

    pub(super) fn signature_mut(&mut self, no: SignatureNo) -> &mut Signature {
        &mut self.signatures[no as usize]
    }

    pub(super) fn no(&self, key: &Key) -> Option<SignatureNo> {
        self.nos.get(key).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SignatureNo, &Signature)> {
        (0..).zip(&self.signatures)
    }

    /// Signatures that name an agent.
    pub(super) fn naming(&self, agent: &str) -> Vec<SignatureNo> {
        self.naming.get(agent).cloned().unwrap_or_default()
    }

    pub(super) fn add(&mut self, mut signature: Signature) -> SignatureNo {
        let no = self.signatures.len() as SignatureNo;
        signature.no = no;
        self.nos.insert(signature.key.clone(), no);
        for agent in named(&signature.key.requirement) {
            self.naming.entry(agent.clone()).or_default().push(no);
        }
        let Key { clock, flow, .. } = signature.key;
        let (line, fresh) = (NOTHING, Fresh::No);
        self.heads.push(Head { line, len: 0, n_ready: 0, n_free: 0, clock, flow, fresh });
        self.signatures.push(signature);
        no
    }

    /// Adds an item and returns its place.
    pub(super) fn insert(
        &mut self,
        no: SignatureNo,
        now: Timestamp,
        slot: Slot,
        field: Field<'_>,
    ) -> u32 {
        self.change(no, now, |waiting, now| waiting.insert(now, slot, &field))
    }

    /// Takes the item at a place out; returns the one that stands there now, if any.
    pub(super) fn remove(
        &mut self,
        no: SignatureNo,
        now: Timestamp,
        place: u32,
        field: Field<'_>,
    ) -> Option<Slot> {
        self.change(no, now, |waiting, now| waiting.remove(now, place, &field))
    }

    /// Puts all items of a signature in place at once.
    pub(super) fn fill(
        &mut self,
        no: SignatureNo,
        now: Timestamp,
        slots: Vec<Slot>,
        field: Field<'_>,
    ) {
        self.change(no, now, |waiting, now| *waiting = Tournament::build(slots, now, &field));
    }

    /// Finds anew who comes first: the curves are other ones.
    pub(super) fn play_all(&mut self, now: Timestamp, field: Field<'_>) {
        for no in 0..self.signatures.len() as SignatureNo {
            self.change(no, now, |waiting, now| waiting.play_all(now, &field));
        }
    }

    /// Changes a tournament, by its own clock, and everything that is known of it elsewhere.
    fn change<T>(
        &mut self,
        no: SignatureNo,
        now: Timestamp,
        change: impl FnOnce(&mut Tournament, Timestamp) -> T,
    ) -> T {
        let Signature { waiting, clock, key, .. } = &mut self.signatures[no as usize];
        let (before, count) = (waiting.until(), waiting.len());
        let result = change(waiting, clock.read(now));
        let until = waiting.until();
        let flow = usize::from(key.flow);
        self.flows.resize(self.flows.len().max(flow + 1), 0);
        self.flows[flow] = self.flows[flow] + waiting.len() - count;
        let head = &mut self.heads[no as usize];
        head.len = waiting.len() as u32;
        head.line = waiting.head().map_or(NOTHING, |(piece, since)| {
            let (from, value, slope) = piece.line();
            Line { from, value, slope, since, until }
        });
        if before != until {
            self.certainties.set(no, clock.reaches(until), |no| no);
        }
        result
    }

    /// Brings all tournaments to `now`.
    pub(super) fn sharpen(&mut self, now: Timestamp, field: Field<'_>) {
        while let Some((at, no)) = self.certainties.first() {
            if at > now {
                break;
            }
            self.change(no, now, |waiting, now| waiting.advance(now, &field));
        }
    }

    /// How many agents fit and are ready.
    pub(crate) fn n_ready(&self, no: SignatureNo) -> u32 {
        self.heads[no as usize].n_ready
    }

    /// How many agents fit, are ready and have room.
    pub(crate) fn n_free(&self, no: SignatureNo) -> u32 {
        self.heads[no as usize].n_free
    }

    pub(super) fn set_counts(&mut self, no: SignatureNo, n_ready: u32, n_free: u32) {
        let head = &mut self.heads[no as usize];
        (head.n_ready, head.n_free) = (n_ready, n_free);
    }

    /// Somebody who fits became ready, or is it no longer.
    pub(super) fn count_ready(&mut self, no: SignatureNo, ready: bool) {
        let count = &mut self.heads[no as usize].n_ready;
        *count = if ready { *count + 1 } else { *count - 1 };
    }

    /// Somebody who fits got room, or has none any more.
    pub(super) fn count_free(&mut self, no: SignatureNo, freed_by: Option<Trigger>) {
        let count = &mut self.heads[no as usize].n_free;
        if freed_by.is_none() {
            *count -= 1;
        } else {
            *count += 1;
            self.freshen(no, freed_by);
        }
    }

    /// How many items wait.
    pub(crate) fn len(&self, no: SignatureNo) -> u32 {
        self.heads[no as usize].len
    }

    /// Notes that an item came in, or somebody got room, where the two fit.
    pub(super) fn freshen(&mut self, no: SignatureNo, trigger: Option<Trigger>) {
        let fresh = &mut self.heads[no as usize].fresh;
        if *fresh == Fresh::No {
            self.fresh.push(no);
        }
        *fresh = match (*fresh, trigger) {
            (Fresh::Agent(before), Some(trigger)) if before as u8 > trigger as u8 => {
                Fresh::Agent(before)
            }
            (_, Some(trigger)) => Fresh::Agent(trigger),
            (Fresh::No, None) => Fresh::Item,
            (before, None) => before,
        };
    }

    /// What freed somebody for a signature since everything was settled.
    pub(crate) fn freed_by(&self, no: SignatureNo) -> Option<Trigger> {
        match self.heads[no as usize].fresh {
            Fresh::Agent(trigger) => Some(trigger),
            Fresh::No | Fresh::Item => None,
        }
    }

    /// Notes that a flow may be offered again.
    pub(super) fn freshen_flow(&mut self, flow: FlowNo) {
        for no in 0..self.heads.len() {
            if self.heads[no].flow == flow && self.heads[no].len > 0 {
                self.freshen(no as SignatureNo, Some(Trigger::TimePassed));
            }
        }
    }

    pub(super) fn settle(&mut self) {
        for no in self.fresh.drain(..) {
            self.heads[no as usize].fresh = Fresh::No;
        }
    }

    /// `true` if a flow has anything waiting.
    pub(crate) fn flow_waits(&self, flow: FlowNo) -> bool {
        self.flows.get(usize::from(flow)).is_some_and(|count| *count > 0)
    }

    /// Signatures in which anything waits, each with a bound that its best item does not exceed.
    /// `read` gives what a clock shows at the instant that is asked about.
    pub(super) fn bounds(
        &self,
        read: impl Fn(ClockNo) -> Timestamp,
    ) -> impl Iterator<Item = (Bound, SignatureNo)> {
        let mut last = (WALL, read(WALL));
        let waiting = (0..).zip(&self.heads).filter(|(_, head)| head.len > 0);
        waiting.map(move |(no, head)| {
            if head.clock != last.0 {
                last = (head.clock, read(head.clock));
            }
            (head.line.bound(last.1), no)
        })
    }

    /// Signatures in which somebody free may newly have something waiting, each with a bound that
    /// its best item does not exceed at `now`, less the handicap of its flow; the highest bound
    /// comes first, the others in no particular order. `read` gives what a clock shows then.
    pub(crate) fn contenders(
        &self,
        now: Timestamp,
        flows: &Flows,
        read: impl Fn(ClockNo) -> Timestamp,
    ) -> Vec<(SignatureNo, Bound)> {
        let mut bounds = Vec::with_capacity(self.fresh.len());
        let (mut last, mut highest) = ((WALL, read(WALL)), Bound::LOWEST);
        for no in &self.fresh {
            let head = &self.heads[*no as usize];
            let limited = || flows.limited_until(head.flow, now).is_some();
            if head.n_free == 0 || head.len == 0 || limited() {
                continue;
            }
            if head.clock != last.0 {
                last = (head.clock, read(head.clock));
            }
            let bound = head.line.bound(last.1).less(flows.handicap(head.flow));
            bounds.push((*no, bound));
            if bound > highest {
                highest = bound;
                let end = bounds.len() - 1;
                bounds.swap(0, end);
            }
        }
        bounds
    }
}

impl Signature {
    pub(super) fn new(key: Key, clock: CurveClock) -> Self {
        Self {
            no: SignatureNo::MAX,
            clock,
            skills: key.requirement.skills().into_iter().cloned().collect(),
            key,
            fits: BitSet::default(),
            sums: Vec::new(),
            waiting: Tournament::default(),
        }
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The best item that `accept` takes, at `now`.
    pub(crate) fn best(
        &self,
        now: Timestamp,
        field: Field<'_>,
        accept: impl FnMut(Slot) -> bool,
    ) -> Option<(Rank, Slot)> {
        self.waiting.best(self.clock.read(now), &field, accept)
    }

    /// All items from the best to the worst, at `now`. Each step costs a logarithm.
    pub(crate) fn descending<'a>(
        &'a self,
        now: Timestamp,
        field: &'a Field<'a>,
    ) -> impl Iterator<Item = (Rank, Slot)> + 'a {
        self.waiting.descending(self.clock.read(now), field)
    }

    /// The item that is longest in routing, and since when.
    pub(crate) fn oldest(&self, field: Field<'_>) -> Option<(Timestamp, ItemId)> {
        self.waiting.oldest(&field)
    }
}

impl Line {
    /// What the best item does not exceed at `now`.
    fn bound(&self, now: Timestamp) -> Bound {
        if self.until <= now {
            return Bound { priority: Priority(i64::MAX), since: ANY };
        }
        if self.slope == 0.0 {
            return Bound { priority: Priority(self.value), since: Reverse(self.since) };
        }
        let gone = now.since(self.from).0 as f64;
        // A cast of a float saturates.
        let priority = self.value as f64 + self.slope * gone + ROUNDING;
        Bound { priority: Priority(priority as i64), since: ANY }
    }
}

/// What no item of a signature exceeds. On level ground it is the best item's own rank, as far as
/// that goes without its id: many an item has reached the same maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bound {
    priority: Priority,
    since: Reverse<Timestamp>,
}

/// Since before everything.
const ANY: Reverse<Timestamp> = Reverse(Timestamp(i64::MIN));

impl Bound {
    const LOWEST: Self = Self { priority: Priority(i64::MIN), since: Reverse(Timestamp(i64::MAX)) };

    /// `true` if an item of this rank stands before everything below the bound.
    pub(crate) fn is_below(&self, rank: &Rank) -> bool {
        (self.priority, self.since) < (rank.priority, rank.since)
    }

    fn less(self, handicap: i64) -> Self {
        Self { priority: Priority(self.priority.0.saturating_sub(handicap)), ..self }
    }
}

/// The agents that a requirement names.
pub(super) fn named(requirement: &Requirement) -> BTreeSet<&AgentId> {
    match requirement {
        Requirement::Agent(agent) => BTreeSet::from([agent]),
        Requirement::All(parts) | Requirement::AnyOf(parts) => {
            parts.iter().flat_map(named).collect()
        }
        Requirement::Not(part) => named(part),
        Requirement::Anybody | Requirement::Skill { .. } | Requirement::Group(_) => BTreeSet::new(),
    }
}
