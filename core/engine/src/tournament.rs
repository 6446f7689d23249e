//! A kinetic tournament: the best of many items whose priorities move, without recomputing them.
//!
//! A binary tree over the items. Each inner node keeps which side wins and until when that is
//! certain; only where a certainty has run out is anything compared again. Insert, remove and
//! the best item cost a logarithm. Source: Basch, Guibas, Hershberger, "Data structures for
//! mobile data", Journal of Algorithms 31 (1999).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use gantry_model::priority::Priority;
use gantry_model::{ItemId, Timestamp};

use crate::curve::{Curve, NEVER, Piece};

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

/// The waiting items of one signature.
#[derive(Debug, Default)]
pub(crate) struct Tournament {
    leaves: Vec<Leaf>,
    /// Node 1 is the root, the children of `n` are `2n` and `2n + 1`; the last half are leaves.
    nodes: Vec<Node>,
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Leaf {
    item: ItemId,
    since: Timestamp,
    curve: Curve,
    piece: Piece,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    winner: u32,
    until: Timestamp,
}

const NOBODY: u32 = u32::MAX;
const EMPTY: Node = Node { winner: NOBODY, until: NEVER };

impl Tournament {
    pub(crate) fn len(&self) -> usize {
        self.leaves.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the first certainty runs out; [`NEVER`] if none does.
    pub(crate) fn until(&self) -> Timestamp {
        self.nodes.get(1).map_or(NEVER, |root| root.until)
    }

    /// The line of the best item, as far as the tree's own instant goes.
    pub(crate) fn head(&self) -> Option<&Piece> {
        let root = self.nodes.get(1).filter(|root| root.winner != NOBODY)?;
        Some(&self.leaves[root.winner as usize].piece)
    }

    /// Adds an item and returns its place. The tree may stand before `now`: what is uncertain by
    /// then stays marked as uncertain.
    pub(crate) fn insert(
        &mut self,
        now: Timestamp,
        item: ItemId,
        since: Timestamp,
        curve: Curve,
    ) -> u32 {
        let piece = curve.piece(now);
        let leaf = Leaf { item, since, curve, piece };
        let place = if let Some(place) = self.free.pop() {
            self.leaves[place as usize] = leaf;
            place
        } else {
            self.leaves.push(leaf);
            self.leaves.len() as u32 - 1
        };
        let width = self.nodes.len() / 2;
        if place as usize >= width {
            self.grow(now);
        } else {
            self.nodes[width + place as usize] = Node { winner: place, until: piece.until };
            self.replay(width + place as usize, now);
        }
        place
    }

    /// Takes the item at a place out. The tree may stand before `now`.
    pub(crate) fn remove(&mut self, now: Timestamp, place: u32) {
        let width = self.nodes.len() / 2;
        self.nodes[width + place as usize] = EMPTY;
        self.free.push(place);
        if self.is_empty() {
            *self = Self::default();
            return;
        }
        self.replay(width + place as usize, now);
    }

    /// Brings the tree to `now`: compares again where a certainty has run out.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if self.until() <= now {
            self.advance_node(1, now);
        }
    }

    /// The best item that `accept` takes, at `now`, which may lie after the tree's own instant.
    pub(crate) fn best(
        &self,
        now: Timestamp,
        mut accept: impl FnMut(ItemId) -> bool,
    ) -> Option<Rank> {
        self.descending(now).find(|rank| accept(rank.item.0))
    }

    /// All items from the best to the worst, at `now`. Each step costs a logarithm.
    pub(crate) fn descending(&self, now: Timestamp) -> impl Iterator<Item = Rank> + '_ {
        let mut heap = BinaryHeap::new();
        heap.extend(self.rank_of(1, now).map(|rank| (rank, 1)));
        std::iter::from_fn(move || {
            while let Some((rank, node)) = heap.pop() {
                if node >= self.nodes.len() / 2 {
                    return Some(rank);
                }
                for child in [2 * node, 2 * node + 1] {
                    heap.extend(self.rank_of(child, now).map(|rank| (rank, child)));
                }
            }
            None
        })
    }

    fn grow(&mut self, now: Timestamp) {
        let width = self.leaves.len().next_power_of_two();
        let old = std::mem::replace(&mut self.nodes, vec![EMPTY; 2 * width]);
        let old_width = old.len() / 2;
        self.nodes[width..width + old_width].copy_from_slice(&old[old_width..]);
        for place in old_width..self.leaves.len() {
            self.nodes[width + place] =
                Node { winner: place as u32, until: self.leaves[place].piece.until };
        }
        for node in (1..width).rev() {
            self.nodes[node] = self.play(node, now);
        }
    }

    /// Plays the matches above a leaf again, as far up as something changes.
    fn replay(&mut self, leaf: usize, now: Timestamp) {
        let mut node = leaf / 2;
        while node > 0 {
            let played = self.play(node, now);
            // An ancestor looks at the winner and its curve, so it must be played again as long
            // as the winner may be the one that changed.
            let came_from_leaf = played.winner as usize + self.nodes.len() / 2 == leaf;
            if played == self.nodes[node] && !came_from_leaf {
                return;
            }
            self.nodes[node] = played;
            node /= 2;
        }
    }

    fn play(&self, node: usize, now: Timestamp) -> Node {
        let (left, right) = (self.nodes[2 * node], self.nodes[2 * node + 1]);
        if left.winner == NOBODY || right.winner == NOBODY {
            return if left.winner == NOBODY { right } else { left };
        }
        let (a, b) = (self.rank(left.winner, now), self.rank(right.winner, now));
        let (winner, loser, gap, tie) = if a > b {
            (left, right, a.priority.0 - b.priority.0, (a.since, a.item) < (b.since, b.item))
        } else {
            (right, left, b.priority.0 - a.priority.0, (b.since, b.item) < (a.since, a.item))
        };
        let certain = self.certain_until(winner.winner, loser.winner, gap, tie, now);
        Node { winner: winner.winner, until: left.until.min(right.until).min(certain) }
    }

    /// The first instant at which the loser may stand before the winner; never too late.
    ///
    /// Whole slopes bound both curves from the safe side: the loser rises by at most its slope
    /// rounded up, the winner by at least its slope floored. A unit is so small that the bound
    /// is near the crossing, and where it is not, it is moved on when it runs out.
    fn certain_until(
        &self,
        winner: u32,
        loser: u32,
        gap: i64,
        loser_wins_ties: bool,
        now: Timestamp,
    ) -> Timestamp {
        let winner = &self.leaves[winner as usize].piece;
        let loser = &self.leaves[loser as usize].piece;
        let closing = i128::from(loser.slope_ceil()) - i128::from(winner.slope_floor());
        if closing <= 0 {
            return NEVER;
        }
        let needed = i128::from(gap) + i128::from(!loser_wins_ties);
        let wait = ((needed + closing - 1) / closing).max(1);
        Timestamp(i128::from(now.0).saturating_add(wait).min(i64::MAX.into()) as i64)
    }

    fn rank(&self, place: u32, now: Timestamp) -> Rank {
        let leaf = &self.leaves[place as usize];
        Rank { priority: leaf.piece.at(now), since: Reverse(leaf.since), item: Reverse(leaf.item) }
    }

    fn advance_node(&mut self, node: usize, now: Timestamp) {
        let width = self.nodes.len() / 2;
        if self.nodes[node].until > now {
            return;
        }
        if node >= width {
            let leaf = &mut self.leaves[node - width];
            leaf.piece = leaf.curve.piece(now);
            self.nodes[node].until = leaf.piece.until;
            return;
        }
        self.advance_node(2 * node, now);
        self.advance_node(2 * node + 1, now);
        self.nodes[node] = self.play(node, now);
    }

    /// Rank of the best below a node at `now`, also where certainties have run out by then.
    fn rank_of(&self, node: usize, now: Timestamp) -> Option<Rank> {
        let known = *self.nodes.get(node)?;
        if known.winner == NOBODY {
            return None;
        }
        if known.until > now {
            return Some(self.rank(known.winner, now));
        }
        if node >= self.nodes.len() / 2 {
            let leaf = &self.leaves[known.winner as usize];
            let priority = leaf.curve.piece(now).at(now);
            return Some(Rank { priority, ..self.rank(known.winner, now) });
        }
        self.rank_of(2 * node, now).max(self.rank_of(2 * node + 1, now))
    }
}

#[cfg(test)]
mod tests;
