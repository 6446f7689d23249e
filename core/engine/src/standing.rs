//! Who stands first among the agents who could have an item: the order of its queue.

use std::cmp::{Ordering, Reverse};

use gantry_model::decision::{Candidate, Load, TieBreak};
use gantry_model::name::AgentId;
use gantry_model::spec::AgentOrder;
use gantry_model::{Agent, Timestamp};

/// How an agent stands to the others; the smallest comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing<'a> {
    first: First,
    idle_since: Timestamp,
    agent: &'a AgentId,
}

/// What a queue's order looks at before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum First {
    Level(Reverse<u32>),
    Share(Share),
    Nothing,
}

/// A load by the share of capacity in use.
#[derive(Clone, Copy, Debug)]
struct Share(Load);

impl Ord for Share {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.by_share(other.0)
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Share {}

impl<'a> Standing<'a> {
    /// An agent in an order. `load` is asked only where the order looks at it.
    pub(crate) fn new(
        order: AgentOrder,
        agent: &'a Agent,
        level_sum: u32,
        load: impl FnOnce() -> Load,
    ) -> Self {
        let first = First::new(order, level_sum, load);
        Self { first, idle_since: agent.idle_since, agent: &agent.profile.id }
    }

    pub(crate) const fn agent(&self) -> &'a AgentId {
        self.agent
    }

    /// What put this agent before the next one.
    pub(crate) fn tie_break(&self, next: &Self) -> TieBreak {
        if self.first != next.first {
            match self.first {
                First::Level(_) => TieBreak::HighestLevel,
                First::Share(_) | First::Nothing => TieBreak::LeastLoaded,
            }
        } else if self.idle_since != next.idle_since {
            TieBreak::LongestIdle
        } else {
            TieBreak::SmallerId
        }
    }
}

impl First {
    fn new(order: AgentOrder, level_sum: u32, load: impl FnOnce() -> Load) -> Self {
        match order {
            AgentOrder::HighestLevel => Self::Level(Reverse(level_sum)),
            AgentOrder::LongestIdle => Self::Nothing,
            AgentOrder::LeastLoaded => Self::Share(Share(load())),
        }
    }
}

/// Compares candidates as they stand in an order.
pub(crate) fn compare(order: AgentOrder, a: &Candidate, b: &Candidate) -> Ordering {
    let standing = |candidate: &Candidate| {
        (First::new(order, candidate.level_sum, || candidate.load), candidate.idle_since)
    };
    standing(a).cmp(&standing(b)).then_with(|| a.agent.cmp(&b.agent))
}
