//! What will happen in the simulated world, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use gantry_model::{ItemId, Timestamp};

/// Something that happens outside the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// The next item of a stream arrives.
    Arrival { stream: u32 },
    /// The source has waited long enough for an item.
    PatienceEnds { item: ItemId },
    /// An agent answers an offer.
    Answer { item: ItemId, epoch: u32, agent: u32, accepts: bool },
    /// An agent has finished an item.
    WorkEnds { item: ItemId, epoch: u32, agent: u32 },
    /// The source confirms that an item is done.
    Confirmed { item: ItemId },
    /// For a kind of agents, a shift or break begins or ends.
    DutyChanges { kind: u32 },
    /// An agent thinks again about being ready.
    AgentTurns { agent: u32 },
}

/// The heap of what will happen. What happens at one instant keeps the order in which it was
/// noted down.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<(Timestamp, u64, Slot)>>,
    next: u64,
}

/// The order never looks at what happens: the number before it is unique.
#[derive(Debug)]
struct Slot(Happening);

impl Agenda {
    pub(crate) fn push(&mut self, at: Timestamp, happening: Happening) {
        self.heap.push(Reverse((at, self.next, Slot(happening))));
        self.next += 1;
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Timestamp, Happening)> {
        self.heap.pop().map(|Reverse((at, _, Slot(happening)))| (at, happening))
    }
}

impl PartialEq for Slot {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Slot {}

impl PartialOrd for Slot {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Slot {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}
