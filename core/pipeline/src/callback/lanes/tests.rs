//! Random lives of a subscriber, with crashes: every event is settled, in order per item.

use std::collections::{BTreeMap, BTreeSet};

use gantry_model::journal::Entry;
use gantry_model::{Actor, Event, ItemId, Timestamp};
use gantry_store::{CursorRow, LaneChange, LaneKey, LaneRow};
use proptest::prelude::*;

use super::{Due, Lanes, Place};

/// What happens next in a random life; numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Read,
    TakeReady(usize),
    TakeRetry,
    Done(usize),
    Retry(usize),
    Die(usize),
    PutBack(usize),
    Person(usize, bool),
    Crash,
}

/// The journal, what is stored, and what was delivered.
struct Life {
    journal: Vec<(Place, ItemId)>,
    n_read: usize,
    lanes: Lanes,
    flying: Vec<Due>,
    cursor: CursorRow,
    rows: BTreeMap<LaneKey, LaneRow>,
    settled: BTreeSet<Place>,
}

const NOW: Timestamp = Timestamp(1000);

fn start_cursor() -> CursorRow {
    CursorRow { subscriber: "crm".into(), seq: 0, index: u32::MAX }
}

impl Life {
    fn new(items: &[u8]) -> Self {
        let at = |n: usize| (n as u64 / 3 + 1, (n % 3) as u32);
        let item = |n: u8| ItemId::new(0, u64::from(n));
        let journal = items.iter().enumerate().map(|(n, id)| (at(n), item(*id))).collect();
        let (cursor, rows) = (start_cursor(), BTreeMap::new());
        let lanes = Lanes::new(&cursor, Vec::new());
        let (flying, settled) = (Vec::new(), BTreeSet::new());
        Self { journal, n_read: 0, lanes, flying, cursor, rows, settled }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Read => self.read(),
            Step::TakeReady(n) => {
                let taken = self.lanes.take_ready(n % 4);
                self.flying.extend(taken);
            }
            Step::TakeRetry => self.flying.extend(self.lanes.take_retry(NOW)),
            Step::Done(n) => {
                if let Some(due) = self.land(*n) {
                    self.deliver(&due);
                    self.go_on(&due);
                }
            }
            Step::Retry(n) => self.hold_back(*n, Some(NOW)),
            Step::Die(n) => self.hold_back(*n, None),
            Step::PutBack(n) => {
                if let Some(due) = self.land(*n) {
                    self.lanes.put_back(&due);
                }
            }
            Step::Person(n, skip) => self.person(*n, *skip),
            Step::Crash => {
                self.flying.clear();
                self.lanes = Lanes::new(&self.cursor, self.rows.values().cloned().collect());
                let read = (self.cursor.seq, self.cursor.index);
                self.n_read = self.journal.iter().take_while(|(place, _)| *place <= read).count();
            }
        }
        let mut lanes = BTreeSet::new();
        for due in &self.flying {
            assert!(lanes.insert(due.item), "two events of one lane are on their way");
        }
    }

    fn read(&mut self) {
        let Some((place, item)) = self.journal.get(self.n_read).copied() else { return };
        self.n_read += 1;
        let event = Event::Queued { item };
        let entry = Entry { at: NOW, version: 1, actor: Actor::Hub, event };
        self.lanes.note(place, item, entry);
        self.lanes.read_to(place);
    }

    fn land(&mut self, n: usize) -> Option<Due> {
        let n_flying = self.flying.len();
        (n_flying > 0).then(|| self.flying.remove(n % n_flying))
    }

    /// The other side gets an event: all before it in its lane must be settled.
    fn deliver(&mut self, due: &Due) {
        let lane = self.journal.iter().filter(|(_, item)| *item == due.item);
        for (place, _) in lane.take_while(|(place, _)| *place < due.place) {
            assert!(self.settled.contains(place), "{place:?} was passed over");
        }
        self.settled.insert(due.place);
    }

    fn go_on(&mut self, due: &Due) {
        let read = self.lanes.read();
        let next = self.journal.iter().find(|(place, item)| {
            due.exception && *item == due.item && *place > due.place && *place <= read
        });
        let changes = self.lanes.settle(due, next.map(|(place, _)| *place), NOW);
        self.store(changes);
    }

    fn hold_back(&mut self, n: usize, next_at: Option<Timestamp>) {
        if let Some(due) = self.land(n) {
            let change = self.lanes.hold_back(&due, due.attempts + 1, next_at, "busy");
            self.store(vec![change]);
        }
    }

    fn person(&mut self, n: usize, skip: bool) {
        let item = ItemId::new(0, n as u64 % 4);
        let Some(due) = self.lanes.dead_due(item) else { return };
        if skip {
            self.settled.insert(due.place);
            return self.go_on(&due);
        }
        let change = self.lanes.hold_back(&due, 0, Some(NOW), "again");
        self.store(vec![change]);
    }

    fn store(&mut self, changes: Vec<LaneChange>) {
        for change in changes {
            match change {
                LaneChange::Put(row) => drop(self.rows.insert(row.key.clone(), row)),
                LaneChange::Remove(key) => drop(self.rows.remove(&key)),
            }
        }
        let (seq, index) = self.lanes.cursor();
        assert!((seq, index) >= (self.cursor.seq, self.cursor.index), "the cursor ran back");
        self.cursor = CursorRow { seq, index, ..start_cursor() };
    }

    /// Lets everything succeed from here on.
    fn finish(&mut self) {
        for _ in 0..10 * self.journal.len() + 10 {
            for step in [Step::Read, Step::TakeReady(3), Step::TakeRetry, Step::Done(0)] {
                self.step(&step);
            }
            for n in 0..4 {
                self.step(&Step::Person(n, false));
            }
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Read),
        3 => any::<usize>().prop_map(Step::TakeReady),
        2 => Just(Step::TakeRetry),
        4 => any::<usize>().prop_map(Step::Done),
        2 => any::<usize>().prop_map(Step::Retry),
        1 => any::<usize>().prop_map(Step::Die),
        1 => any::<usize>().prop_map(Step::PutBack),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(n, skip)| Step::Person(n, skip)),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn every_event_is_settled_in_order(
        items in prop::collection::vec(0_u8..4, 1..30),
        steps in steps(),
    ) {
        let mut life = Life::new(&items);
        for step in &steps {
            life.step(step);
        }
        life.finish();
        prop_assert_eq!(life.settled.len(), life.journal.len());
        prop_assert_eq!(life.lanes.cursor(), life.journal.last().unwrap().0);
        prop_assert!(life.rows.is_empty());
    }
}

/// A lane with trouble, tried again at this time.
fn held_back(lanes: &mut Lanes, item: u64, next_at: Timestamp) -> Due {
    let (item, place) = (ItemId::new(0, item), (item, 0));
    let due = Due { place, item, entry: None, attempts: 0, exception: true, planned: None };
    lanes.hold_back(&due, 1, Some(next_at), "no");
    due
}

#[test]
fn lanes_go_early_when_their_source_answers_once_a_pause() {
    let later = |ms: i64| Timestamp(NOW.0 + ms);
    let mut lanes = Lanes::new(&start_cursor(), Vec::new());
    held_back(&mut lanes, 1, later(9000));
    held_back(&mut lanes, 2, later(8000));
    let told_to_wait = held_back(&mut lanes, 3, later(7000));
    lanes.insist(&told_to_wait, later(7000));
    held_back(&mut lanes, 4, later(10));

    let mut soon = (1..).map(|n| later(n * 100));
    lanes.hurry(|| soon.next().unwrap());
    let mut went = Vec::new();
    let mut taken = Vec::new();
    for now in [10, 100, 200, 300, 400] {
        while let Some(due) = lanes.take_retry(later(now)) {
            went.push((due.item.counter(), now, due.planned.map(|at| at.0 - NOW.0)));
            taken.push(due);
        }
    }
    // The one that would have gone earlier anyway goes when it would have.
    assert_eq!(went, [(4, 10, Some(10)), (2, 200, Some(8000)), (1, 300, Some(9000))]);

    // In vain: they wait as planned, however often the source answers.
    for due in &taken[1..] {
        lanes.insist(due, due.planned.unwrap());
    }
    lanes.hurry(|| later(500));
    assert!(lanes.take_retry(later(6999)).is_none());
    let items: Vec<_> = std::iter::from_fn(|| lanes.take_retry(later(9000))).collect();
    let went: Vec<_> = items.iter().map(|due| (due.item.counter(), due.planned)).collect();
    assert_eq!(went, [(3, None), (2, None), (1, None)]);

    // Tried as planned, the next pause may be cut short again.
    lanes.hold_back(&items[1], 2, Some(later(20_000)), "no");
    lanes.hurry(|| later(9100));
    assert!(lanes.take_retry(later(9100)).is_some());
}
