//! The highest priorities of all that waits, without looking at all of it.

use std::collections::BinaryHeap;

use gantry_model::Timestamp;

use super::queues::Bound;
use super::{Index, SignatureNo};
use crate::facts::Facts;
use crate::items::Slot;
use crate::tournament::Rank;

impl Index {
    /// The `count` waiting items that rank highest at `now`, highest first. Looks exactly only at
    /// signatures whose best item may be among them.
    pub(crate) fn top(&self, facts: &Facts, now: Timestamp, count: usize) -> Vec<(Rank, Slot)> {
        let field = self.field(facts);
        let read = |clock| self.routes.clock(clock).read(now);
        let mut unseen: BinaryHeap<(Bound, SignatureNo)> = self.queues.bounds(read).collect();
        let mut heads: BinaryHeap<((Rank, Slot), usize)> = BinaryHeap::new();
        let mut opened = Vec::new();
        let mut top = Vec::with_capacity(count.min(facts.items.len()));
        while top.len() < count {
            let best = heads.peek().map(|((rank, _), _)| rank);
            if let Some((bound, no)) = unseen.peek().copied()
                && best.is_none_or(|best| !bound.is_below(best))
            {
                unseen.pop();
                let signature = self.queues.signature(no);
                if let Some(head) = signature.best(now, field, |_| true) {
                    heads.push((head, opened.len()));
                    opened.push(Opened::Head(no));
                }
                continue;
            }
            let Some((next, at)) = heads.pop() else { break };
            top.push(next);
            if let Opened::Head(no) = opened[at] {
                let rest = self.queues.signature(no).descending(now, &field).skip(1);
                opened[at] = Opened::Rest(Box::new(rest));
            }
            if let Opened::Rest(rest) = &mut opened[at] {
                heads.extend(rest.next().map(|next| (next, at)));
            }
        }
        top
    }
}

/// A signature of which the best item, at least, has been looked at.
enum Opened<'a> {
    Head(SignatureNo),
    Rest(Box<dyn Iterator<Item = (Rank, Slot)> + 'a>),
}
