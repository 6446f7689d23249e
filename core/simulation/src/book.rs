//! What is counted of the work items.

use std::collections::VecDeque;

use gantry_model::{ItemId, Millis, Timestamp};

use crate::histogram::Histogram;
use crate::world::World;

/// Into how many parts of equal length the queue's length over time is divided.
pub(crate) const QUEUE_PARTS: usize = 60;

/// All figures of the items of one run.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) counts: Vec<Counts>,
    pub(crate) queue: QueueLength,
}

/// What is counted of one stream: items that arrived after the warm-up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) arrived: u64,
    pub(crate) finished: u64,
    pub(crate) abandoned: u64,
    /// Ended in another way: expired, rejected.
    pub(crate) dropped: u64,
    pub(crate) waits: Histogram,
    pub(crate) with_due: u64,
    pub(crate) overdue: u64,
    pub(crate) finished_with_due: u64,
    pub(crate) finished_in_time: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.arrived += other.arrived;
        self.finished += other.finished;
        self.abandoned += other.abandoned;
        self.dropped += other.dropped;
        self.waits.merge(&other.waits);
        self.with_due += other.with_due;
        self.overdue += other.overdue;
        self.finished_with_due += other.finished_with_due;
        self.finished_in_time += other.finished_in_time;
    }
}

/// How many items waited, over time.
#[derive(Debug)]
pub(crate) struct QueueLength {
    from: Timestamp,
    part_ms: i64,
    clock: Timestamp,
    waiting: u64,
    /// By part: items times milliseconds.
    areas: Vec<u64>,
}

impl QueueLength {
    pub(crate) fn new(world: &World) -> Self {
        let from = world.count_from();
        let parts = QUEUE_PARTS as i64;
        let part_ms = (world.end().since(from).0 + parts - 1) / parts;
        let areas = vec![0; QUEUE_PARTS];
        Self { from, part_ms: part_ms.max(1), clock: from, waiting: 0, areas }
    }

    pub(crate) fn change(&mut self, now: Timestamp, joins: bool) {
        self.advance(now);
        self.waiting = if joins { self.waiting + 1 } else { self.waiting.saturating_sub(1) };
    }

    pub(crate) fn advance(&mut self, now: Timestamp) {
        while self.clock < now {
            let part = self.clock.since(self.from).0 / self.part_ms;
            let ends = self.from.plus(Millis((part + 1) * self.part_ms));
            let until = ends.min(now);
            if let Some(area) = self.areas.get_mut(part as usize) {
                *area += self.waiting * until.since(self.clock).0.unsigned_abs();
            }
            self.clock = until;
        }
    }

    /// The length of each part, and by part the number of items that waited on average.
    pub(crate) fn averages(&self) -> (Millis, Vec<f64>) {
        let average = |area: &u64| *area as f64 / self.part_ms as f64;
        (Millis(self.part_ms), self.areas.iter().map(average).collect())
    }

    /// Items that waited on average over all parts.
    pub(crate) fn average(&self) -> f64 {
        let span = self.part_ms as f64 * self.areas.len() as f64;
        self.areas.iter().map(|area| *area as f64).sum::<f64>() / span
    }
}

/// An item that has not ended, as the world outside the engine knows it.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) stream: u32,
    pub(crate) arrived_at: Timestamp,
    pub(crate) handle_time: Millis,
    /// `false` if it arrived during the warm-up.
    pub(crate) counts: bool,
    /// In the queue, or offered and not yet accepted.
    pub(crate) waiting: bool,
    /// `true` once its first wait is over.
    pub(crate) waited: bool,
    pub(crate) agent: Option<u32>,
    /// Of the latest offer.
    pub(crate) epoch: u32,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) done_at: Option<Timestamp>,
}

/// The items that have not ended, found by their counters.
#[derive(Debug, Default)]
pub(crate) struct Items {
    /// Counter of the first one.
    first: u64,
    items: VecDeque<Option<Live>>,
}

impl Items {
    /// Adds an item. Counters rise by one.
    pub(crate) fn push(&mut self, id: ItemId, item: Live) {
        if self.items.is_empty() {
            self.first = id.counter();
        }
        self.items.push_back(Some(item));
    }

    pub(crate) fn get(&mut self, id: ItemId) -> Option<&mut Live> {
        let at = id.counter().checked_sub(self.first)?;
        self.items.get_mut(at as usize)?.as_mut()
    }

    pub(crate) fn remove(&mut self, id: ItemId) -> Option<Live> {
        let at = id.counter().checked_sub(self.first)?;
        let item = self.items.get_mut(at as usize)?.take();
        while let Some(None) = self.items.front() {
            self.items.pop_front();
            self.first += 1;
        }
        item
    }

    /// All items, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ItemId, &Live)> {
        let items = self.items.iter().enumerate();
        items
            .filter_map(|(at, item)| Some((ItemId::new(0, self.first + at as u64), item.as_ref()?)))
    }
}
