//! The bookkeeping of one subscriber: what was read, what is on its way, which lanes are
//! exceptions. No I/O.
//!
//! A lane is one item's events, in order, one on its way at a time. A lane without trouble lives in
//! memory only, and the cursor stands before its first event that is not settled. A lane with
//! trouble has a row with its first event that is not settled; the cursor goes on past it, and what
//! follows in that lane is found again in the item's history.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gantry_model::journal::Entry;
use gantry_model::{ItemId, Name, Timestamp};
use gantry_store::{CursorRow, LaneChange, LaneKey, LaneRow, LaneState};

/// Place of an event in the journal: commit, and entry within its segment.
pub(crate) type Place = (u64, u32);

/// An event that has to be delivered.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) place: Place,
    pub(crate) item: ItemId,
    /// The event; of a lane with trouble it is read from the history.
    pub(crate) entry: Option<Entry>,
    /// Attempts so far.
    pub(crate) attempts: u32,
    /// It is the first of a lane with trouble.
    pub(crate) exception: bool,
    /// Its source answers again, so it goes early; that is when it would have gone.
    pub(crate) planned: Option<Timestamp>,
}

/// The lanes of one subscriber.
#[derive(Debug)]
pub(crate) struct Lanes {
    subscriber: Name,
    /// All up to here was read.
    read: Place,
    /// Events that were read, are not settled, and are in no lane with trouble, and when they
    /// happened.
    open: BTreeMap<Place, Timestamp>,
    queues: BTreeMap<ItemId, VecDeque<Due>>,
    /// Lanes without trouble whose first event may go.
    ready: VecDeque<ItemId>,
    exceptions: BTreeMap<ItemId, Exception>,
    /// Lanes that are tried again, and when; without those on their way.
    retries: BTreeSet<(Timestamp, ItemId)>,
}

#[derive(Clone, Copy, Debug)]
struct Exception {
    place: Place,
    attempts: u32,
    /// `None` = waits for a person.
    next_at: Option<Timestamp>,
    hurry: Hurry,
}

/// Whether a lane goes early when its source answers again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hurry {
    May,
    /// It does; that is when it would have gone.
    Does(Timestamp),
    /// It did in vain, or the source asked to wait.
    MayNot,
}

impl Lanes {
    /// Takes up what was stored.
    pub(crate) fn new(cursor: &CursorRow, rows: Vec<LaneRow>) -> Self {
        let mut lanes = Self {
            subscriber: cursor.subscriber.clone(),
            read: (cursor.seq, cursor.index),
            open: BTreeMap::new(),
            queues: BTreeMap::new(),
            ready: VecDeque::new(),
            exceptions: BTreeMap::new(),
            retries: BTreeSet::new(),
        };
        for row in rows {
            let next_at = match row.state {
                LaneState::Dead => None,
                LaneState::Retrying | LaneState::DoneAhead => Some(row.next_at.unwrap_or_default()),
            };
            let place = (row.key.seq, row.key.index);
            // One row a lane; were there more, the first is the one that the others follow.
            if lanes.exceptions.get(&row.key.item).is_none_or(|known| place < known.place) {
                let attempts = row.attempts;
                let exception = Exception { place, attempts, next_at, hurry: Hurry::May };
                lanes.set_exception(row.key.item, exception);
            }
        }
        lanes
    }

    /// All up to here was read.
    pub(crate) fn read(&self) -> Place {
        self.read
    }

    pub(crate) fn read_to(&mut self, place: Place) {
        debug_assert!(place >= self.read);
        self.read = place;
    }

    /// An event that was read. Its place is after all that were read before.
    pub(crate) fn note(&mut self, place: Place, item: ItemId, entry: Entry) {
        if self.exceptions.contains_key(&item) {
            return;
        }
        self.open.insert(place, entry.at);
        let queue = self.queues.entry(item).or_default();
        if queue.is_empty() {
            self.ready.push_back(item);
        }
        let entry = Some(entry);
        let (attempts, exception, planned) = (0, false, None);
        queue.push_back(Due { place, item, entry, attempts, exception, planned });
    }

    /// When the oldest event happened that is read and not settled, in a lane without trouble.
    pub(crate) fn oldest_open_at(&self) -> Option<Timestamp> {
        self.open.first_key_value().map(|(_, at)| *at)
    }

    /// How many events are read and not settled, and how many lanes are tried again.
    pub(crate) fn pending(&self) -> (usize, usize) {
        (self.open.len(), self.exceptions.values().filter(|lane| lane.next_at.is_some()).count())
    }

    pub(crate) fn dead(&self) -> usize {
        self.exceptions.values().filter(|lane| lane.next_at.is_none()).count()
    }

    /// The place up to which everything is settled, or in a lane with trouble.
    pub(crate) fn cursor(&self) -> Place {
        match self.open.first_key_value() {
            None => self.read,
            Some(((seq, 0), _)) => (seq - 1, u32::MAX),
            Some(((seq, index), _)) => (*seq, index - 1),
        }
    }

    /// The first events of lanes without trouble, at most `n`; they are on their way then.
    pub(crate) fn take_ready(&mut self, n: usize) -> Vec<Due> {
        let items = self.ready.drain(..n.min(self.ready.len()));
        items.filter_map(|item| self.queues.get(&item).and_then(VecDeque::front).cloned()).collect()
    }

    /// The first event of a lane with trouble whose time has come; it is on its way then.
    pub(crate) fn take_retry(&mut self, now: Timestamp) -> Option<Due> {
        let first = *self.retries.first().filter(|(at, _)| *at <= now)?;
        self.retries.remove(&first);
        let item = first.1;
        let Exception { place, attempts, hurry, .. } = *self.exceptions.get(&item)?;
        let planned = match hurry {
            Hurry::Does(planned) => Some(planned),
            Hurry::May | Hurry::MayNot => None,
        };
        Some(Due { place, item, entry: None, attempts, exception: true, planned })
    }

    /// The source answers again: each lane that is tried again goes at a time of `soon`, if that is
    /// earlier.
    pub(crate) fn hurry(&mut self, mut soon: impl FnMut() -> Timestamp) {
        for (at, item) in std::mem::take(&mut self.retries) {
            let mut next_at = at;
            if let Some(lane) = self.exceptions.get_mut(&item)
                && lane.hurry == Hurry::May
                && lane.next_at == Some(at)
            {
                next_at = soon().min(at);
                lane.next_at = Some(next_at);
                lane.hurry = Hurry::Does(at);
            }
            self.retries.insert((next_at, item));
        }
    }

    /// A lane that hurried, or was asked to wait by its source, waits until then, whatever happens.
    pub(crate) fn insist(&mut self, due: &Due, next_at: Timestamp) {
        let Due { place, item, attempts, .. } = *due;
        let (next_at, hurry) = (Some(next_at), Hurry::MayNot);
        self.set_exception(item, Exception { place, attempts, next_at, hurry });
    }

    pub(crate) fn next_retry_at(&self) -> Option<Timestamp> {
        self.retries.first().map(|(at, _)| *at)
    }

    /// An event that was on its way and never got there: it goes again, before all others.
    pub(crate) fn put_back(&mut self, due: &Due) {
        if due.exception {
            self.retries.insert((Timestamp::default(), due.item));
        } else {
            self.ready.push_front(due.item);
        }
    }

    /// An event is settled. Of a lane with trouble, `next` is the lane's next event up to what was
    /// read; it may go at once.
    pub(crate) fn settle(
        &mut self,
        due: &Due,
        next: Option<Place>,
        now: Timestamp,
    ) -> Vec<LaneChange> {
        if !due.exception {
            self.open.remove(&due.place);
            if let Some(queue) = self.queues.get_mut(&due.item) {
                queue.pop_front();
                if queue.is_empty() {
                    self.queues.remove(&due.item);
                } else {
                    self.ready.push_back(due.item);
                }
            }
            return Vec::new();
        }
        self.exceptions.remove(&due.item);
        let mut changes = vec![LaneChange::Remove(self.key(due.item, due.place))];
        if let Some(place) = next {
            changes.push(self.block(due.item, place, 0, Some(now), None));
        }
        changes
    }

    /// An event is tried again at `next_at`, or waits for a person; its lane with it.
    pub(crate) fn hold_back(
        &mut self,
        due: &Due,
        attempts: u32,
        next_at: Option<Timestamp>,
        error: &str,
    ) -> LaneChange {
        if let Some(queue) = self.queues.remove(&due.item) {
            for due in queue {
                self.open.remove(&due.place);
            }
        }
        self.block(due.item, due.place, attempts, next_at, Some(error))
    }

    /// The dead event that a lane waits for, if it does.
    pub(crate) fn dead_due(&self, item: ItemId) -> Option<Due> {
        let lane = self.exceptions.get(&item).filter(|lane| lane.next_at.is_none())?;
        let Exception { place, attempts, .. } = *lane;
        Some(Due { place, item, entry: None, attempts, exception: true, planned: None })
    }

    fn block(
        &mut self,
        item: ItemId,
        place: Place,
        attempts: u32,
        next_at: Option<Timestamp>,
        error: Option<&str>,
    ) -> LaneChange {
        self.set_exception(item, Exception { place, attempts, next_at, hurry: Hurry::May });
        let state = if next_at.is_some() { LaneState::Retrying } else { LaneState::Dead };
        let (key, error) = (self.key(item, place), error.map(Into::into));
        LaneChange::Put(LaneRow { key, state, attempts, next_at, error })
    }

    fn set_exception(&mut self, item: ItemId, exception: Exception) {
        if let Some(old) = self.exceptions.get(&item).and_then(|old| old.next_at) {
            self.retries.remove(&(old, item));
        }
        if let Some(at) = exception.next_at {
            self.retries.insert((at, item));
        }
        self.exceptions.insert(item, exception);
    }

    fn key(&self, item: ItemId, (seq, index): Place) -> LaneKey {
        LaneKey { subscriber: self.subscriber.clone(), item, seq, index }
    }
}

#[cfg(test)]
mod tests;
