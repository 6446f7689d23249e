//! Two small indexes beside the queue: what lies in each workbin, and when each agent is looked
//! at next.

use std::collections::{BTreeMap, BTreeSet};

use gantry_model::name::AgentId;
use gantry_model::{ItemId, Timestamp, Workbin};

/// What lies in each workbin, in the order of ids.
#[derive(Debug, Default)]
pub(crate) struct Workbins {
    items: BTreeSet<(Workbin, ItemId)>,
    places: BTreeMap<ItemId, Workbin>,
}

impl Workbins {
    pub(crate) fn put(&mut self, item: ItemId, workbin: &Workbin) {
        self.items.insert((workbin.clone(), item));
        self.places.insert(item, workbin.clone());
    }

    pub(crate) fn remove(&mut self, item: ItemId) {
        if let Some(workbin) = self.places.remove(&item) {
            self.items.remove(&(workbin, item));
        }
    }

    pub(crate) fn place_of(&self, item: ItemId) -> Option<&Workbin> {
        self.places.get(&item)
    }

    pub(crate) fn of(&self, workbin: &Workbin) -> impl Iterator<Item = ItemId> + '_ {
        let first = (workbin.clone(), ItemId::from_u64(0));
        let last = (workbin.clone(), ItemId::from_u64(u64::MAX));
        self.items.range(first..=last).map(|(_, item)| *item)
    }

    /// Workbins in which anything lies, and how much.
    pub(crate) fn counts(&self) -> BTreeMap<&Workbin, usize> {
        let mut counts = BTreeMap::new();
        for (workbin, _) in &self.items {
            *counts.entry(workbin).or_default() += 1;
        }
        counts
    }
}

/// When each agent is looked at next.
#[derive(Debug, Default)]
pub(crate) struct AgentWakes {
    order: BTreeSet<(Timestamp, AgentId)>,
    wakes: BTreeMap<AgentId, Timestamp>,
}

impl AgentWakes {
    pub(crate) fn set(&mut self, agent: &AgentId, at: Option<Timestamp>) {
        let before = match at {
            Some(at) => self.wakes.insert(agent.clone(), at),
            None => self.wakes.remove(agent),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, agent.clone()));
        }
        if let Some(at) = at {
            self.order.insert((at, agent.clone()));
        }
    }

    pub(crate) fn of(&self, agent: &AgentId) -> Option<Timestamp> {
        self.wakes.get(agent).copied()
    }

    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Agents to be looked at by `now`, in the order of their instants.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = &AgentId> + '_ {
        self.order.iter().take_while(move |(at, _)| *at <= now).map(|(_, agent)| agent)
    }
}
