//! What waits, by signature: everything that asks for the same and is served by the same people.

use std::collections::{BTreeSet, HashMap};

use gantry_model::decision::Trigger;
use gantry_model::name::{AgentId, Name};
use gantry_model::priority::Priority;
use gantry_model::{ItemId, Requirement, Timestamp};

use super::SignatureNo;
use super::entrants::Field;
use super::minima::Minima;
use super::staff::{ClassNo, MediaNo};
use crate::bits::BitSet;
use crate::clock::{ClockNo, CurveClock};
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
    /// The best item of each signature, as far as it takes to see which of them can win.
    heads: Vec<Head>,
    nos: HashMap<Key, SignatureNo>,
    /// Signatures that name an agent.
    naming: HashMap<AgentId, Vec<SignatureNo>>,
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
}

/// All that waits for the same kind of agent.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) key: Key,
    /// The skills that count towards "highest level".
    pub(super) skills: Vec<Name>,
    /// Agents who fit.
    pub(crate) fits: BitSet,
    /// How many of them are ready.
    pub(crate) n_ready: u32,
    /// How many of them are ready and have room.
    pub(crate) n_free: u32,
    /// The level sums of the classes that fit, in the order of their numbers.
    pub(super) sums: Vec<(ClassNo, u32)>,
    /// The clock that the tournament's instants are in.
    clock: CurveClock,
    waiting: Tournament,
    fresh: Fresh,
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

/// The line of the best item: floating point, for a first comparison only.
#[derive(Clone, Copy, Debug)]
struct Head {
    from: Timestamp,
    value: f64,
    /// Units a millisecond.
    slope: f64,
    /// Until when this is the best item's line.
    until: Timestamp,
}

const EMPTY: Head = Head { from: Timestamp(0), value: f64::NEG_INFINITY, slope: 0.0, until: NEVER };

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

    pub(super) fn add(&mut self, signature: Signature) -> SignatureNo {
        let no = self.signatures.len() as SignatureNo;
        self.nos.insert(signature.key.clone(), no);
        for agent in named(&signature.key.requirement) {
            self.naming.entry(agent.clone()).or_default().push(no);
        }
        self.signatures.push(signature);
        self.heads.push(EMPTY);
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
        self.heads[no as usize] = match waiting.head() {
            Some(piece) => {
                let (from, value, slope) = piece.line();
                Head { from, value, slope, until }
            }
            None => EMPTY,
        };
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

    /// Notes that an item came in, or somebody got room, where the two fit.
    pub(super) fn freshen(&mut self, no: SignatureNo, trigger: Option<Trigger>) {
        let signature = &mut self.signatures[no as usize];
        if signature.fresh == Fresh::No {
            self.fresh.push(no);
        }
        signature.fresh = match (signature.fresh, trigger) {
            (Fresh::Agent(before), Some(trigger)) if before as u8 > trigger as u8 => {
                Fresh::Agent(before)
            }
            (_, Some(trigger)) => Fresh::Agent(trigger),
            (Fresh::No, None) => Fresh::Item,
            (before, None) => before,
        };
    }

    /// Notes that a flow may be offered again.
    pub(super) fn freshen_flow(&mut self, flow: FlowNo) {
        let signatures = (0..).zip(&self.signatures);
        let of_flow = signatures.filter(|(_, one)| one.key.flow == flow && !one.is_empty());
        for no in of_flow.map(|(no, _)| no).collect::<Vec<_>>() {
            self.freshen(no, Some(Trigger::TimePassed));
        }
    }

    pub(super) fn settle(&mut self) {
        for no in self.fresh.drain(..) {
            self.signatures[no as usize].fresh = Fresh::No;
        }
    }

    fn bound(&self, no: SignatureNo, now: Timestamp) -> Priority {
        self.heads[no as usize].bound(self.signature(no).clock.read(now))
    }

    /// `true` if a flow has anything waiting.
    pub(crate) fn flow_waits(&self, flow: FlowNo) -> bool {
        self.flows.get(usize::from(flow)).is_some_and(|count| *count > 0)
    }

    /// Signatures in which somebody free may newly have something waiting, each with a bound that
    /// its best item does not exceed at `now`, less the handicap of its flow; the highest bound
    /// first.
    pub(crate) fn contenders(
        &self,
        now: Timestamp,
        flows: &Flows,
    ) -> impl Iterator<Item = (SignatureNo, Priority)> {
        let servable = self.fresh.iter().filter(|no| {
            let signature = self.signature(**no);
            signature.n_free > 0
                && !signature.is_empty()
                && flows.limited_until(signature.key.flow, now).is_none()
        });
        let mut bounds: Vec<_> = servable
            .map(|no| {
                let handicap = flows.handicap(self.signature(*no).key.flow);
                (Priority(self.bound(*no, now).0.saturating_sub(handicap)), *no)
            })
            .collect();
        std::iter::from_fn(move || {
            let highest = (0..bounds.len()).max_by_key(|at| bounds[*at])?;
            let (bound, no) = bounds.swap_remove(highest);
            Some((no, bound))
        })
    }
}

impl Signature {
    pub(super) fn new(key: Key, clock: CurveClock) -> Self {
        Self {
            clock,
            skills: key.requirement.skills().into_iter().cloned().collect(),
            key,
            fits: BitSet::default(),
            n_ready: 0,
            n_free: 0,
            sums: Vec::new(),
            waiting: Tournament::default(),
            fresh: Fresh::No,
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

    /// What freed somebody for this signature since everything was settled.
    pub(crate) const fn freed_by(&self) -> Option<Trigger> {
        match self.fresh {
            Fresh::Agent(trigger) => Some(trigger),
            Fresh::No | Fresh::Item => None,
        }
    }
}

impl Head {
    /// The best item's priority at `now` is at most this.
    fn bound(&self, now: Timestamp) -> Priority {
        if self.until <= now {
            return Priority(i64::MAX);
        }
        let gone = now.since(self.from).0 as f64;
        // A cast of a float saturates.
        Priority((self.value + self.slope * gone + ROUNDING) as i64)
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
