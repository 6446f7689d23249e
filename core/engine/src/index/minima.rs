//! The earliest of many instants: when each item is looked at next.
//!
//! A tree of sixteens over the slots: each node keeps the earliest instant below it, and whose it
//! is. A slot costs nine bytes; most changes touch its own instant and one node above it.

use gantry_model::Timestamp;

use crate::curve::NEVER;

const WIDTH: usize = 16;

/// The earliest instants. Slots are numbered from 0; an instant that was not set is [`NEVER`].
#[derive(Debug, Default)]
pub(crate) struct Minima {
    /// Instants by slot, in pages that are never moved.
    pages: Vec<Box<[Timestamp; PAGE]>>,
    /// The first level has a node for each sixteen slots, the next for each sixteen nodes, …
    levels: Vec<Vec<Node>>,
}

const PAGE: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    at: Timestamp,
    slot: u32,
}

const NOTHING: Node = Node { at: NEVER, slot: u32::MAX };

impl Minima {
    /// The instant of a slot.
    pub(crate) fn get(&self, slot: u32) -> Timestamp {
        self.pages.get(slot as usize / PAGE).map_or(NEVER, |page| page[slot as usize % PAGE])
    }

    /// Sets the instant of a slot. Of equal instants the one whose `order` is smaller comes first.
    pub(crate) fn set<K: Ord>(&mut self, slot: u32, at: Timestamp, order: impl Fn(u32) -> K) {
        let before = self.get(slot);
        if before == at {
            return;
        }
        self.reach(slot);
        self.pages[slot as usize / PAGE][slot as usize % PAGE] = at;
        let mut at_level = slot as usize;
        for level in 0..self.levels.len() {
            at_level /= WIDTH;
            let node = self.levels[level][at_level];
            let fresh = if node.slot == slot {
                self.earliest(level, at_level, &order)
            } else if comes_first(Node { at, slot }, node, &order) {
                Node { at, slot }
            } else {
                return;
            };
            self.levels[level][at_level] = fresh;
        }
    }

    /// The earliest instant of all, and whose it is.
    pub(crate) fn first(&self) -> Option<(Timestamp, u32)> {
        let root = *self.levels.last()?.first()?;
        (root != NOTHING).then_some((root.at, root.slot))
    }

    /// All slots whose instant is not after `now`, in no particular order.
    pub(crate) fn until(&self, now: Timestamp) -> Vec<u32> {
        let mut due = Vec::new();
        if let Some(top) = self.levels.len().checked_sub(1) {
            self.collect(top, 0, now, &mut due);
        }
        due
    }

    fn collect(&self, level: usize, at: usize, now: Timestamp, due: &mut Vec<u32>) {
        if self.levels[level][at].at > now {
            return;
        }
        let children = at * WIDTH..(at + 1) * WIDTH;
        match level.checked_sub(1) {
            None => due.extend((children.start as u32..).zip(children).filter_map(|(slot, _)| {
                (self.get(slot) <= now && self.get(slot) != NEVER).then_some(slot)
            })),
            Some(below) => {
                let end = children.end.min(self.levels[below].len());
                (children.start..end).for_each(|child| self.collect(below, child, now, due));
            }
        }
    }

    /// Finds the earliest below a node anew.
    fn earliest<K: Ord>(&self, level: usize, at: usize, order: &impl Fn(u32) -> K) -> Node {
        let children = at * WIDTH..(at + 1) * WIDTH;
        let mut first = NOTHING;
        if level == 0 {
            let page = &self.pages[children.start / PAGE];
            for slot in children {
                let child = Node { at: page[slot % PAGE], slot: slot as u32 };
                if comes_first(child, first, order) {
                    first = child;
                }
            }
            return first;
        }
        let below = &self.levels[level - 1];
        for child in &below[children.start..children.end.min(below.len())] {
            if comes_first(*child, first, order) {
                first = *child;
            }
        }
        first
    }

    /// Makes room for a slot.
    fn reach(&mut self, slot: u32) {
        while self.pages.len() <= slot as usize / PAGE {
            self.pages.push(Box::new([NEVER; PAGE]));
        }
        let mut needed = (self.pages.len() * PAGE).div_ceil(WIDTH);
        let mut level = 0;
        loop {
            if level == self.levels.len() {
                // A new root stands above the old one.
                let below = self.levels.last().and_then(|below| below.first());
                self.levels.push(vec![below.copied().unwrap_or(NOTHING)]);
            }
            if self.levels[level].len() < needed {
                self.levels[level].resize(needed, NOTHING);
            }
            if needed == 1 {
                return;
            }
            needed = needed.div_ceil(WIDTH);
            level += 1;
        }
    }
}

fn comes_first<K: Ord>(one: Node, other: Node, order: &impl Fn(u32) -> K) -> bool {
    if one.at != other.at {
        return one.at < other.at;
    }
    one.at != NEVER && (other.slot == u32::MAX || order(one.slot) < order(other.slot))
}

#[cfg(test)]
mod tests;
