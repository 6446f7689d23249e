//! The brute-force scan: every waiting item scored and tested for one agent. It knows nothing of
//! the engine, so it is both the comparison and the judge.

use std::cmp::Reverse;

use gantry_model::priority::{FRACTION_BITS, Priority};
use gantry_model::{ItemId, Timestamp};

use crate::world::{self, OVERDUE, PROCESSES, SCHEMAS, World};

const HOUR: i128 = 3_600_000;

/// A waiting item, as small as a scan needs it.
#[derive(Clone, Copy)]
struct Plain {
    id: u64,
    process: u32,
    anchor_at: i64,
    due_at: i64,
}

/// What waits, as a plain list.
pub(crate) struct Brute {
    items: Vec<Plain>,
    /// Place of each item in the list, by id.
    places: Vec<u32>,
    changed: bool,
}

impl Brute {
    pub(crate) fn new(world: &World) -> Self {
        let mut brute = Self { items: Vec::new(), places: vec![u32::MAX], changed: false };
        for item in world.waiting() {
            let due_at = item.due_at.unwrap_or_default();
            brute.add(item.id, item.id.counter() - 1, item.anchor_at, due_at);
        }
        brute
    }

    /// From now on all schemas are the changed ones.
    pub(crate) const fn change_schemas(&mut self) {
        self.changed = true;
    }

    pub(crate) fn add(&mut self, id: ItemId, number: u64, anchor_at: Timestamp, due_at: Timestamp) {
        let process = World::process(number) as u32;
        let (id, anchor_at, due_at) = (id.counter(), anchor_at.0, due_at.0);
        self.places.resize((id as usize + 1).max(self.places.len()), u32::MAX);
        self.places[id as usize] = self.items.len() as u32;
        self.items.push(Plain { id, process, anchor_at, due_at });
    }

    pub(crate) fn take(&mut self, id: ItemId) {
        let place = self.places[id.counter() as usize] as usize;
        self.items.swap_remove(place);
        if let Some(moved) = self.items.get(place) {
            self.places[moved.id as usize] = place as u32;
        }
    }

    /// The item that an agent must get at `now`.
    pub(crate) fn best(&self, agent: u64, now: Timestamp) -> Option<(Priority, ItemId)> {
        let fits: Vec<bool> = (0..PROCESSES).map(|process| world::fits(agent, process)).collect();
        let fitting = self.items.iter().filter(|item| fits[item.process as usize]);
        let rank =
            |item: &Plain| (self.value(item, now.0), Reverse(item.anchor_at), Reverse(item.id));
        let (value, _, Reverse(id)) = fitting.map(rank).max()?;
        Some((Priority(value), ItemId::new(0, id)))
    }

    /// The highest priorities at `now`, of all that waits.
    pub(crate) fn top(&self, now: Timestamp, count: usize) -> Vec<(Priority, ItemId)> {
        let rank =
            |item: &Plain| (self.value(item, now.0), Reverse(item.anchor_at), Reverse(item.id));
        let mut ranks: Vec<_> = self.items.iter().map(rank).collect();
        ranks.sort_unstable_by(|a, b| b.cmp(a));
        ranks.truncate(count);
        ranks
            .into_iter()
            .map(|(value, _, Reverse(id))| (Priority(value), ItemId::new(0, id)))
            .collect()
    }

    /// Priority in units, by the definition of the curve.
    fn value(&self, item: &Plain, now: i64) -> i64 {
        let points = world::points(u64::from(item.process) % SCHEMAS, self.changed);
        let sla = i128::from(item.due_at - item.anchor_at);
        let gone = i128::from(now - item.anchor_at);
        if gone >= sla {
            let value = i128::from(points[points.len() - 1].1) << FRACTION_BITS;
            let risen = ((i128::from(OVERDUE.0) << FRACTION_BITS) * (gone - sla)).div_euclid(HOUR);
            return (value + risen).min(i128::from(OVERDUE.1) << FRACTION_BITS) as i64;
        }
        let at = |share: u32| sla * i128::from(share) / 1000;
        let next = points.iter().position(|(share, _)| gone < at(*share)).unwrap_or(0).max(1);
        let ((from, low), (to, high)) = (points[next - 1], points[next]);
        let rise = i128::from(high - low) << FRACTION_BITS;
        let risen = (rise * (gone - at(from))).div_euclid(at(to) - at(from));
        ((i128::from(low) << FRACTION_BITS) + risen) as i64
    }
}
