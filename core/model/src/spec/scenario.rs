//! A scenario: the world that a simulation lets the engine work in, as plain data.
//!
//! Times of the day and days of the week are local: a fixed distance from UTC, the one that the
//! start was written with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::Level;
use crate::command::Classified;
use crate::name::{AgentId, Name};
use crate::time::{Millis, Timestamp};

/// A whole scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct ScenarioSpec {
    /// When the simulated time begins.
    pub start: Timestamp,
    /// How far local time is ahead of UTC.
    pub utc_offset: Millis,
    /// How long it lasts, above 0.
    pub horizon: Millis,
    /// How long from the start nothing is counted; below the horizon.
    pub warm_up: Millis,
    /// What all randomness follows from.
    pub seed: u64,
    /// How long the source takes to confirm what was marked done.
    pub confirm_after: Distribution,
    /// What arrives.
    pub arrivals: Vec<ArrivalSpec>,
    /// Who works.
    pub staff: Vec<StaffSpec>,
}

/// `[[arrivals]]`: one stream of work items.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrivalSpec {
    /// Names its random numbers, so that other streams may come and go without changing them;
    /// each name once.
    pub name: Name,
    /// The process of its items.
    pub process: Name,
    /// The class of customers, for the report.
    pub segment: Name,
    /// When they arrive.
    pub flow: Flow,
    /// What the rules of a config say of its items; what the following fields say stands before
    /// it.
    pub found: Option<Box<Classified>>,
    /// Priority schema; else the rules', else the process's.
    pub schema: Option<Name>,
    /// SLA; else the rules', else the process's.
    pub sla: Option<Millis>,
    /// Due date given by the source, from the arrival on; it stands before any SLA.
    pub due_in: Option<Distribution>,
    /// Least levels that the items themselves ask for, beside their route.
    pub requires: BTreeMap<Name, Level>,
    /// Group that the items themselves ask for.
    pub group: Option<Name>,
    /// Tried first.
    pub preferred_agent: Option<AgentId>,
    /// The only agent who may have it.
    pub required_agent: Option<AgentId>,
    /// Media type; else the rules', else the default one.
    pub media_type: Option<Name>,
    /// How long an agent works on an item.
    pub handle_time: Distribution,
    /// How long the source waits for an agent before it withdraws an item; none = for ever.
    pub patience: Option<Distribution>,
}

/// When items arrive.
#[derive(Clone, Debug, PartialEq)]
pub enum Flow {
    /// At random, so many an hour on average; outside all windows nothing comes. The first
    /// window that covers an instant counts.
    Poisson(Vec<RateWindow>),
    /// One every such time, above 0; the first one such time after the start.
    Every(Millis),
    /// As recorded, in the order of time.
    Recorded(Arc<[RecordedArrival]>),
}

/// A rate of arrivals in a part of the week.
#[derive(Clone, Debug, PartialEq)]
pub struct RateWindow {
    /// When.
    pub window: WeekWindow,
    /// Items an hour, finite, 0 or above.
    pub per_hour: f64,
}

/// An arrival that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedArrival {
    /// When.
    pub at: Timestamp,
    /// How long an agent worked on it, if that was recorded.
    pub handle_time: Option<Millis>,
    /// Its due date, if that was recorded.
    pub due_at: Option<Timestamp>,
}

/// The same time of the day on some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekWindow {
    /// By day, Monday first.
    pub days: [bool; 7],
    /// From this time of the day, below 24 h.
    pub from: Millis,
    /// To this time of the day, at most 24 h; not after `from` = on the next day.
    pub to: Millis,
}

/// `[[agents]]`: agents of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct StaffSpec {
    /// The kind; its agents are called by it and a number from 1 on. Each name once.
    pub name: Name,
    /// How many.
    pub count: u32,
    /// Skills and their levels.
    pub skills: BTreeMap<Name, Level>,
    /// Groups.
    pub groups: BTreeSet<Name>,
    /// How many items at once, by media type.
    pub capacity: BTreeMap<Name, u16>,
    /// When they are there; empty = always.
    pub shifts: Vec<WeekWindow>,
    /// When they are there but take nothing.
    pub breaks: Vec<BreakWindow>,
    /// How long they take to answer an offer.
    pub accept_after: Distribution,
    /// Chance to decline an offer, 0 to 1.
    pub decline: f64,
    /// Chance to let an offer ring until it runs out, 0 to 1; with `decline` at most 1.
    pub ring_out: f64,
    /// How long after an offer that ran out they are ready again.
    pub back_after: Distribution,
    /// Handle times are divided by this, above 0: 2 = works twice as fast.
    pub speed: f64,
}

/// A break in a part of the week.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakWindow {
    /// When.
    pub window: WeekWindow,
    /// The not-ready reason.
    pub reason: Name,
}

/// A random duration. Draws are rounded to milliseconds and never negative.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Constant(Millis),
    /// Exponential.
    Exponential {
        /// Mean.
        mean: Millis,
    },
    /// Lognormal.
    LogNormal {
        /// Mean of the durations themselves, above 0.
        mean: Millis,
        /// Standard deviation of the durations themselves.
        deviation: Millis,
    },
    /// Anything between two durations, all alike.
    Uniform {
        /// Shortest.
        from: Millis,
        /// Longest, not below `from`.
        to: Millis,
    },
    /// One of these, all alike; not empty.
    Empirical(Arc<[Millis]>),
}

impl WeekWindow {
    /// All the week.
    pub const ALWAYS: Self = Self { days: [true; 7], from: Millis(0), to: Millis(24 * 3_600_000) };
}
