//! A kinetic tournament: the best of many items whose priorities move, without recomputing them.
//!
//! Items stand in buckets of eight. Each bucket keeps its best item with the straight line that
//! it moves on, and until when it is certain to be the best; a binary tree over the buckets keeps
//! the same for all of them. Only where a certainty has run out is anything compared again.
//! Insert, remove and the best item cost a logarithm. Source: Basch, Guibas, Hershberger, "Data
//! structures for mobile data", Journal of Algorithms 31 (1999).
//!
//! All instants are what the clock of the items' curves shows, which must not fall.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use gantry_model::priority::Priority;
use gantry_model::{ItemId, Timestamp};

use crate::curve::{NEVER, Piece};
use crate::items::Slot;

/// How items stand to each other at an instant; the greatest is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// Higher first.
    pub(crate) priority: Priority,
    /// Then the longest in routing.
    pub(crate) since: Reverse<Timestamp>,
    /// Then the smaller id.
    pub(crate) item: Reverse<ItemId>,
}

impl Rank {
    /// The same, set back by so many units of priority.
    pub(crate) fn less(self, units: i64) -> Self {
        Self { priority: Priority(self.priority.0.saturating_sub(units)), ..self }
    }
}

/// What a tournament asks about items.
pub(crate) trait Entrants {
    /// The piece of an item's curve that counts at an instant.
    fn piece(&self, slot: Slot, now: Timestamp) -> Piece;
    /// Since when it has been in routing.
    fn since(&self, slot: Slot) -> Timestamp;
    /// Its id.
    fn id(&self, slot: Slot) -> ItemId;
}

/// The waiting items of one signature.
#[derive(Debug, Default)]
pub(crate) struct Tournament {
    /// Where each item is kept, by its place here; no place between them is vacant.
    slots: Vec<Slot>,
    /// The best of each eight places.
    buckets: Vec<Best>,
    /// Node 1 is the root, the children of `n` are `2n` and `2n + 1`; from the width on they are
    /// the buckets.
    nodes: Vec<Node>,
}

/// Places in a bucket.
const BUCKET: usize = 8;

/// The best item of a bucket.
#[derive(Clone, Copy, Debug)]
struct Best {
    slot: Slot,
    since: Timestamp,
    piece: Piece,
    /// Until when it is certain to be the best.
    until: Timestamp,
}

/// The best of two subtrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    /// The bucket that holds the best item.
    bucket: u32,
    until: Timestamp,
}

const NOBODY: u32 = u32::MAX;
const EMPTY: Node = Node { bucket: NOBODY, until: NEVER };

impl Tournament {
    /// A tournament of many items at once, at `now`. An item's place is its position.
    pub(crate) fn build(slots: Vec<Slot>, now: Timestamp, items: &impl Entrants) -> Self {
        let mut tree = Self { slots, ..Self::default() };
        tree.play_all(now, items);
        tree
    }

    /// Compares everything anew, at `now`: the items have other curves. Each keeps its place.
    pub(crate) fn play_all(&mut self, now: Timestamp, items: &impl Entrants) {
        self.buckets.clear();
        for bucket in 0..self.slots.len().div_ceil(BUCKET) {
            let best = self.best_of(bucket, now, items);
            self.buckets.extend(best);
        }
        self.raise(now, items);
    }

    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// When the first certainty runs out; [`NEVER`] if none does.
    pub(crate) fn until(&self) -> Timestamp {
        self.root().map_or(NEVER, |root| root.until)
    }

    /// The line of the best item, as far as the tree's own instant goes, and since when the item
    /// has been in routing.
    pub(crate) fn head(&self) -> Option<(&Piece, Timestamp)> {
        let best = &self.buckets[self.root()?.bucket as usize];
        Some((&best.piece, best.since))
    }

    /// Adds an item and returns its place. The tree may stand before `now`: what is uncertain by
    /// then stays marked as uncertain.
    pub(crate) fn insert(&mut self, now: Timestamp, slot: Slot, items: &impl Entrants) -> u32 {
        let place = self.slots.len();
        self.slots.push(slot);
        self.enter(place / BUCKET, slot, now, items);
        place as u32
    }

    /// Takes the item at a place out. Returns the item that has moved to that place, if any. The
    /// tree may stand before `now`. What `items` says of the removed item does not matter.
    pub(crate) fn remove(
        &mut self,
        now: Timestamp,
        place: u32,
        items: &impl Entrants,
    ) -> Option<Slot> {
        let place = place as usize;
        let removed = self.slots.swap_remove(place);
        let moved = self.slots.get(place).copied();
        let last = self.slots.len() / BUCKET;
        if let Some(moved) = moved {
            self.leave(last, moved, now, items);
        }
        let bucket = place / BUCKET;
        match moved {
            Some(moved) if bucket != last && self.buckets[bucket].slot != removed => {
                self.enter(bucket, moved, now, items);
            }
            _ => self.leave(bucket, removed, now, items),
        }
        moved
    }

    /// Brings the tree to `now`: compares again where a certainty has run out.
    pub(crate) fn advance(&mut self, now: Timestamp, items: &impl Entrants) {
        if self.until() <= now {
            self.advance_node(1, now, items);
        }
    }

    /// The best item that `accept` takes, at `now`, which may lie after the tree's own instant.
    pub(crate) fn best(
        &self,
        now: Timestamp,
        items: &impl Entrants,
        mut accept: impl FnMut(Slot) -> bool,
    ) -> Option<(Rank, Slot)> {
        let root = self.root()?;
        if root.until > now {
            let best = &self.buckets[root.bucket as usize];
            if accept(best.slot) {
                return Some((best.rank(now, items), best.slot));
            }
        }
        self.descending(now, items).find(|(_, slot)| accept(*slot))
    }

    /// All items from the best to the worst, at `now`. Each step costs a logarithm.
    pub(crate) fn descending<'a>(
        &'a self,
        now: Timestamp,
        items: &'a impl Entrants,
    ) -> impl Iterator<Item = (Rank, Slot)> + 'a {
        let mut heap = BinaryHeap::new();
        heap.extend(self.rank_of(1, now, items).map(|rank| (rank, Seat::Node(1))));
        std::iter::from_fn(move || {
            while let Some((rank, seat)) = heap.pop() {
                let node = match seat {
                    Seat::Item(slot) => return Some((rank, slot)),
                    Seat::Node(node) => node,
                };
                if let Some(bucket) = node.checked_sub(self.width()) {
                    let slots = self.bucket(bucket).iter();
                    heap.extend(slots.map(|slot| (rank_of(*slot, now, items), Seat::Item(*slot))));
                } else {
                    for child in [2 * node, 2 * node + 1] {
                        let rank = self.rank_of(child, now, items);
                        heap.extend(rank.map(|rank| (rank, Seat::Node(child))));
                    }
                }
            }
            None
        })
    }

    /// The item that is longest in routing, and since when. A look at every item.
    pub(crate) fn oldest(&self, items: &impl Entrants) -> Option<(Timestamp, ItemId)> {
        self.slots.iter().map(|slot| (items.since(*slot), items.id(*slot))).min()
    }

    fn root(&self) -> Option<&Node> {
        self.nodes.get(1).filter(|root| root.bucket != NOBODY)
    }

    const fn width(&self) -> usize {
        self.nodes.len() / 2
    }

    /// The items of a bucket.
    fn bucket(&self, bucket: usize) -> &[Slot] {
        let from = bucket * BUCKET;
        &self.slots[from.min(self.slots.len())..(from + BUCKET).min(self.slots.len())]
    }

    /// Lets an item compete that has come into a bucket.
    fn enter(&mut self, bucket: usize, slot: Slot, now: Timestamp, items: &impl Entrants) {
        let fresh = Best::alone(slot, now, items);
        if bucket == self.buckets.len() {
            self.buckets.push(fresh);
            if bucket == self.width() {
                self.raise(now, items);
                return;
            }
        } else {
            // As long as the best one was certain to stand before all others, so is whoever
            // stands before it.
            self.buckets[bucket] = contest(&self.buckets[bucket], &fresh, now, items);
        }
        self.replay(bucket, now, items);
    }

    /// Goes on without an item that has left a bucket.
    fn leave(&mut self, bucket: usize, slot: Slot, now: Timestamp, items: &impl Entrants) {
        if self.buckets.get(bucket).is_none_or(|best| best.slot != slot) {
            return;
        }
        if let Some(best) = self.best_of(bucket, now, items) {
            self.buckets[bucket] = best;
        } else {
            self.buckets.truncate(bucket);
            if self.buckets.len() * 4 <= self.width() {
                self.raise(now, items);
                return;
            }
        }
        self.replay(bucket, now, items);
    }

    /// Finds the best of a bucket anew.
    fn best_of(&self, bucket: usize, now: Timestamp, items: &impl Entrants) -> Option<Best> {
        let slots = self.bucket(bucket).iter();
        let all = slots.map(|slot| Best::alone(*slot, now, items));
        all.reduce(|best, next| contest(&best, &next, now, items))
    }

    /// Builds the tree over the buckets anew.
    fn raise(&mut self, now: Timestamp, items: &impl Entrants) {
        let width = self.buckets.len().next_power_of_two();
        self.nodes.clear();
        self.nodes.resize(if self.buckets.is_empty() { 0 } else { 2 * width }, EMPTY);
        self.nodes.shrink_to_fit();
        for bucket in 0..self.buckets.len() {
            self.nodes[width + bucket] = self.leaf(bucket);
        }
        for node in (1..self.width()).rev() {
            self.nodes[node] = self.play(node, now, items);
        }
    }

    fn leaf(&self, bucket: usize) -> Node {
        let best = self.buckets.get(bucket);
        best.map_or(EMPTY, |best| Node { bucket: bucket as u32, until: best.until })
    }

    /// Plays the matches above a bucket again, as far up as something changes.
    fn replay(&mut self, bucket: usize, now: Timestamp, items: &impl Entrants) {
        let mut node = self.width() + bucket;
        self.nodes[node] = self.leaf(bucket);
        while node > 1 {
            node /= 2;
            let played = self.play(node, now, items);
            // An ancestor looks at the best item and its line, so it must be played again as long
            // as the best may be the one that changed.
            if played == self.nodes[node] && played.bucket as usize != bucket {
                return;
            }
            self.nodes[node] = played;
        }
    }

    fn play(&self, node: usize, now: Timestamp, items: &impl Entrants) -> Node {
        let (left, right) = (self.nodes[2 * node], self.nodes[2 * node + 1]);
        if left.bucket == NOBODY || right.bucket == NOBODY {
            return if left.bucket == NOBODY { right } else { left };
        }
        let [a, b] = [left, right].map(|node| &self.buckets[node.bucket as usize]);
        let (a_wins, until) = compare(a, b, now, items);
        let winner = if a_wins { left } else { right };
        Node { bucket: winner.bucket, until: until.min(left.until).min(right.until) }
    }

    fn advance_node(&mut self, node: usize, now: Timestamp, items: &impl Entrants) {
        if self.nodes[node].until > now {
            return;
        }
        if let Some(bucket) = node.checked_sub(self.width()) {
            if let Some(best) = self.best_of(bucket, now, items) {
                self.buckets[bucket] = best;
            }
            self.nodes[node] = self.leaf(bucket);
            return;
        }
        self.advance_node(2 * node, now, items);
        self.advance_node(2 * node + 1, now, items);
        self.nodes[node] = self.play(node, now, items);
    }

    /// Rank of the best below a node at `now`, also where certainties have run out by then.
    fn rank_of(&self, node: usize, now: Timestamp, items: &impl Entrants) -> Option<Rank> {
        let known = *self.nodes.get(node)?;
        if known.bucket == NOBODY {
            return None;
        }
        if known.until > now {
            return Some(self.buckets[known.bucket as usize].rank(now, items));
        }
        if let Some(bucket) = node.checked_sub(self.width()) {
            return self.bucket(bucket).iter().map(|slot| rank_of(*slot, now, items)).max();
        }
        self.rank_of(2 * node, now, items).max(self.rank_of(2 * node + 1, now, items))
    }
}

/// What waits to be looked at on the way from the best item to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seat {
    Node(usize),
    Item(Slot),
}

impl Best {
    /// An item by itself.
    fn alone(slot: Slot, now: Timestamp, items: &impl Entrants) -> Self {
        let piece = items.piece(slot, now);
        Self { slot, since: items.since(slot), piece, until: piece.until }
    }

    fn rank(&self, now: Timestamp, items: &impl Entrants) -> Rank {
        Rank {
            priority: self.piece.at(now),
            since: Reverse(self.since),
            item: Reverse(items.id(self.slot)),
        }
    }
}

fn rank_of(slot: Slot, now: Timestamp, items: &impl Entrants) -> Rank {
    Best::alone(slot, now, items).rank(now, items)
}

/// The better of two items, certain for as long as both were and neither passes the other.
fn contest(a: &Best, b: &Best, now: Timestamp, items: &impl Entrants) -> Best {
    let (a_wins, until) = compare(a, b, now, items);
    let winner = if a_wins { a } else { b };
    Best { until: until.min(a.until).min(b.until), ..*winner }
}

/// `true` if `a` stands before `b` at `now`; and the first instant at which that may change, as
/// long as both stay on their lines. Never too late.
fn compare(a: &Best, b: &Best, now: Timestamp, items: &impl Entrants) -> (bool, Timestamp) {
    let (at_a, at_b) = (a.piece.at(now).0, b.piece.at(now).0);
    let a_wins_ties = match a.since.cmp(&b.since) {
        std::cmp::Ordering::Equal => items.id(a.slot) < items.id(b.slot),
        order => order.is_lt(),
    };
    let a_wins = at_a > at_b || (at_a == at_b && a_wins_ties);
    let (winner, loser) = if a_wins { (a, b) } else { (b, a) };
    let gap = at_a.abs_diff(at_b);
    (a_wins, certain_until(&winner.piece, &loser.piece, gap, a_wins != a_wins_ties, now))
}

/// The first instant at which the loser may stand before the winner; never too late.
///
/// Who does not rise faster never catches up, but for the unit that flooring may hide. Else whole
/// slopes bound both lines from the safe side: the loser rises by at most its slope rounded up,
/// the winner by at least its slope floored. A unit is so small that the bound is near the
/// crossing, and where it is not, it is moved on when it runs out.
fn certain_until(
    winner: &Piece,
    loser: &Piece,
    gap: u64,
    loser_wins_ties: bool,
    now: Timestamp,
) -> Timestamp {
    if !loser.rises_faster_than(winner) && (gap > 1 || loser.is_the_line_of(winner)) {
        return NEVER;
    }
    let closing = i128::from(loser.slope_ceil()) - i128::from(winner.slope_floor());
    if closing <= 0 {
        return NEVER;
    }
    let needed = i128::from(gap) + i128::from(!loser_wins_ties);
    let wait = ((needed + closing - 1) / closing).max(1);
    Timestamp(i128::from(now.0).saturating_add(wait).min(i64::MAX.into()) as i64)
}

#[cfg(test)]
mod tests;
