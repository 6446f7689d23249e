//! What came out of a run: figures only, the same bytes for the same world and seed.

use std::collections::BTreeMap;

use gantry_engine::{State, WhyNot};
use gantry_model::{ItemId, Millis, Name, Timestamp};
use serde::Serialize;

use crate::book::{Book, Counts, Items};
use crate::histogram::Histogram;
use crate::staff::{Staff, Tally};
use crate::world::World;

/// Bounds of the wait picture, in seconds; a last part is for everything longer.
pub const WAIT_BOUNDS_SECS: [i64; 11] =
    [0, 10, 30, 60, 120, 300, 900, 3_600, 14_400, 86_400, 604_800];

/// The result of one run. Items count if they arrived after the warm-up, times from its end on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// From when on things were counted.
    pub from: Timestamp,
    /// The horizon.
    pub to: Timestamp,
    /// What happened in the simulated world and was told to the engine, warm-up included.
    pub events: u64,
    /// Entries that the engine gave for the journal, warm-up included.
    pub entries: u64,
    /// By process, in the order of their names.
    pub processes: Vec<Row>,
    /// By process and class of customers, in the order of their names.
    pub segments: Vec<Row>,
    /// By kind of agents, in the order of the scenario.
    pub agents: Vec<StaffRow>,
    /// The queue's length over time.
    pub queue: Queue,
    /// How many waits were not longer than each of [`WAIT_BOUNDS_SECS`], but longer than the one
    /// before; the last figure is of those beyond.
    pub waits: Vec<u64>,
    /// What still waits at the end, by stream of arrivals, in the order of the scenario.
    pub unserved: Vec<Unserved>,
}

/// Figures of items.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The process.
    pub process: Name,
    /// The class of customers; `None` for all of the process.
    pub segment: Option<Name>,
    /// Items that arrived.
    pub arrived: u64,
    /// Items that were completed.
    pub finished: u64,
    /// Items that the source withdrew because nobody came.
    pub abandoned: u64,
    /// Items that expired or were rejected.
    pub dropped: u64,
    /// Items that wait at the end, also while they are offered.
    pub waiting: u64,
    /// Items that are with an agent at the end, or wait for the source to confirm.
    pub in_hand: u64,
    /// From arrival until an agent accepted it or the source withdrew it; an item that comes back
    /// to the queue later has waited once. Quantiles are right to within one percent.
    pub wait: Wait,
    /// Items with a due date.
    pub with_due: u64,
    /// Items whose due date passed before they were done.
    pub overdue: u64,
    /// Completed items with a due date.
    pub finished_with_due: u64,
    /// Completed items that were done by their due date.
    pub finished_in_time: u64,
}

/// Figures of waits, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Wait {
    /// How many waits are over.
    pub count: u64,
    /// Mean.
    pub mean_ms: f64,
    /// Half of them were not longer.
    pub p50_ms: i64,
    /// Nine of ten were not longer.
    pub p90_ms: i64,
    /// 99 of 100 were not longer.
    pub p99_ms: i64,
    /// The longest.
    pub max_ms: i64,
}

/// Figures of a kind of agents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StaffRow {
    /// The kind.
    pub agents: Name,
    /// How many.
    pub count: u32,
    /// Hours on duty, all together: on shift and not on a break, or at work.
    pub hours_on_duty: f64,
    /// Share of the time on duty in which an agent had work, 0 to 1.
    pub utilisation: f64,
    /// Offers made.
    pub offers: u64,
    /// Offers accepted.
    pub accepted: u64,
    /// Offers declined.
    pub declined: u64,
    /// Offers that ran out.
    pub rona: u64,
}

/// The queue's length over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Queue {
    /// Items that waited on average.
    pub mean: f64,
    /// Length of a part, in milliseconds.
    pub part_ms: i64,
    /// Items that waited on average in each part.
    pub parts: Vec<f64>,
}

/// Items of one stream that still wait at the end, those from the warm-up included.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unserved {
    /// The stream.
    pub arrivals: Name,
    /// How many.
    pub items: u64,
    /// The oldest of them.
    pub oldest: ItemId,
    /// How long that one has waited, in milliseconds.
    pub waited_ms: i64,
    /// Why that one has no agent.
    pub reason: String,
}

/// What still is there at the end, by stream.
#[derive(Clone, Copy, Default)]
struct Left {
    waiting: u64,
    in_hand: u64,
}

impl Report {
    pub(crate) fn new(
        world: &World,
        seed: u64,
        [events, entries]: [u64; 2],
        state: &State,
        book: &Book,
        staff: &Staff,
        items: &Items,
    ) -> Self {
        let mut left = vec![Left::default(); book.counts.len()];
        for (_, live) in items.iter().filter(|(_, live)| live.counts) {
            let left = &mut left[live.stream as usize];
            *if live.waiting { &mut left.waiting } else { &mut left.in_hand } += 1;
        }
        let mut processes: BTreeMap<_, (Counts, Left)> = BTreeMap::new();
        let mut segments: BTreeMap<_, (Counts, Left)> = BTreeMap::new();
        let mut waits = Histogram::default();
        let streams = world.spec.arrivals.iter().zip(&book.counts).zip(&left);
        for ((spec, counts), left) in streams {
            let (process, segment) = (spec.process.clone(), spec.segment.clone());
            waits.merge(&counts.waits);
            add(processes.entry((process.clone(), None)).or_default(), counts, *left);
            add(segments.entry((process, Some(segment))).or_default(), counts, *left);
        }
        let (part, parts) = book.queue.averages();
        let bounds = WAIT_BOUNDS_SECS.map(Millis::from_secs);
        let kinds = world.spec.staff.iter().zip(&staff.kinds);
        Self {
            seed,
            from: world.count_from(),
            to: world.end(),
            events,
            entries,
            processes: processes.into_iter().map(row).collect(),
            segments: segments.into_iter().map(row).collect(),
            agents: kinds
                .map(|(spec, kind)| staff_row(&spec.name, spec.count, &kind.tally))
                .collect(),
            queue: Queue { mean: book.queue.average(), part_ms: part.0, parts },
            waits: waits.between(&bounds),
            unserved: unserved(world, state, items),
        }
    }
}

fn add(sum: &mut (Counts, Left), counts: &Counts, left: Left) {
    sum.0.add(counts);
    sum.1.waiting += left.waiting;
    sum.1.in_hand += left.in_hand;
}

type Key = (Name, Option<Name>);

fn row(((process, segment), (counts, left)): (Key, (Counts, Left))) -> Row {
    Row {
        process,
        segment,
        arrived: counts.arrived,
        finished: counts.finished,
        abandoned: counts.abandoned,
        dropped: counts.dropped,
        waiting: left.waiting,
        in_hand: left.in_hand,
        wait: Wait::of(&counts.waits),
        with_due: counts.with_due,
        overdue: counts.overdue,
        finished_with_due: counts.finished_with_due,
        finished_in_time: counts.finished_in_time,
    }
}

impl Row {
    /// Share of completed items with a due date that were done by it, 0 to 1; `None` if there
    /// were no such items.
    pub fn in_time(&self) -> Option<f64> {
        share(self.finished_in_time, self.finished_with_due)
    }

    /// Share of items with a due date that passed before they were done, 0 to 1; `None` if there
    /// were no such items.
    pub fn overdue_share(&self) -> Option<f64> {
        share(self.overdue, self.with_due)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Wait {
    fn of(waits: &Histogram) -> Self {
        let quantile = |permille| waits.quantile(permille).map_or(0, |time| time.0);
        Self {
            count: waits.count(),
            mean_ms: waits.mean().unwrap_or(0.0),
            p50_ms: quantile(500),
            p90_ms: quantile(900),
            p99_ms: quantile(990),
            max_ms: waits.max().0,
        }
    }
}

fn staff_row(name: &Name, count: u32, tally: &Tally) -> StaffRow {
    let on_duty = tally.on_duty_ms as f64;
    StaffRow {
        agents: name.clone(),
        count,
        hours_on_duty: on_duty / 3_600_000.0,
        utilisation: if on_duty > 0.0 { tally.busy_ms as f64 / on_duty } else { 0.0 },
        offers: tally.offers,
        accepted: tally.accepted,
        declined: tally.declined,
        rona: tally.rona,
    }
}

fn unserved(world: &World, state: &State, items: &Items) -> Vec<Unserved> {
    let mut waiting: BTreeMap<u32, (ItemId, Timestamp, u64)> = BTreeMap::new();
    for (id, live) in items.iter().filter(|(_, live)| live.waiting) {
        waiting.entry(live.stream).or_insert((id, live.arrived_at, 0)).2 += 1;
    }
    let unserved = waiting.into_iter().map(|(stream, (oldest, arrived_at, items))| Unserved {
        arrivals: world.spec.arrivals[stream as usize].name.clone(),
        items,
        oldest,
        waited_ms: world.end().since(arrived_at).0,
        reason: reason(state, world.end(), oldest),
    });
    unserved.collect()
}

/// How a requirement reads that asks for nothing.
const ANYBODY: &str = "anybody";

/// Why an item has no agent, in words.
fn reason(state: &State, now: Timestamp, item: ItemId) -> String {
    let Some(explained) = state.explain_at(now, item) else {
        return "it has ended".into();
    };
    let asked = explained.requirement.filter(|asked| asked != ANYBODY);
    let with = asked.as_ref().map_or_else(String::new, |asked| format!(" with {asked}"));
    match explained.why_not {
        Some(WhyNot::NobodyReady) => format!("nobody{with} is ready"),
        Some(WhyNot::NobodyHasRoom) => format!("everybody{with} who is ready is at work"),
        Some(WhyNot::AllExcluded { .. }) => {
            format!("everybody{with} who is ready declined it or let it ring")
        }
        Some(
            WhyNot::NobodyFits { reason } | WhyNot::Error { reason, .. } | WhyNot::Held { reason },
        ) => reason,
        None | Some(_) => explained.standing,
    }
}
