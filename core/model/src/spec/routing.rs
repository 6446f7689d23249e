//! What the engine needs: priorities, processes, routes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::requirement::Requirement;
use crate::time::Millis;

/// What the engine needs of a config version. It is journaled when the version is activated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoutingSpec {
    /// `[priority.NAME]`
    pub priorities: BTreeMap<Name, PrioritySchema>,
    /// `[process."department/process"]`
    pub processes: BTreeMap<Name, ProcessSpec>,
    /// The process of what matches nothing; it must be in `processes`.
    pub default_process: Name,
    /// Reasons an agent may give for not being ready; `RONA` is always there.
    pub reasons: BTreeSet<Name>,
    /// Capture points whose source never confirms: mark done completes their items at once.
    pub unconfirmed: BTreeSet<Name>,
}

/// `[priority.NAME]`: priority as a function of time since the anchor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrioritySchema {
    /// Points on the curve, rising in time, straight lines between them, flat after the last.
    /// At least one; the first counts from the anchor on.
    pub points: Vec<CurvePoint>,
    /// What happens after the due date.
    pub overdue: Option<Overdue>,
}

/// A point on a priority curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// When.
    pub at: Span,
    /// Whole points, within ±1,000,000.
    pub priority: i64,
}

/// A time since the anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// A share of the time from the anchor to the due date, in thousandths: 1000 = at SLA.
    /// For an item without a due date a point on a curve is never reached, unless it is 0, and
    /// a stage or preferred window is empty: nobody waits for a share of nothing.
    SlaPermille(u32),
    /// A duration.
    Time(Millis),
}

/// What happens after the due date: a straight climb, with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overdue {
    /// Whole points added …
    pub add: i64,
    /// … in each such period.
    pub every: Millis,
    /// Not above (or, for a falling curve, below) this; none = the range's end.
    pub max: Option<i64>,
}

/// `[process."department/process"]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Priority schema of items whose rules name none.
    pub priority: Name,
    /// SLA of items whose rules name none and whose source gives no due date.
    pub sla: Option<Millis>,
    /// Who gets its items.
    pub route: RouteSpec,
    /// How long an agent has to accept.
    pub offer_timeout: Millis,
    /// How long an agent who declined or let it ring is not asked again.
    pub decline_cool_down: Millis,
    /// How its items end.
    pub completion: Completion,
    /// Dispositions an agent may choose from; empty = none is offered.
    pub dispositions: Vec<Name>,
    /// `true` if mark done needs a disposition.
    pub disposition_required: bool,
    /// Attributes shown to agents; empty = all.
    pub show: Vec<Name>,
}

/// Who gets the items of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteSpec {
    /// How long the preferred agent is waited for, before the first stage.
    pub preferred: Option<Span>,
    /// Targets in order; each adds agents to those before. If empty, anybody fits.
    pub stages: Vec<StageSpec>,
}

/// One target of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageSpec {
    /// What it asks of an agent.
    pub requirement: Requirement,
    /// How long until the next target is added; the last needs none.
    pub lasts: Option<Span>,
}

/// How the items of a process end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Who says that it is done.
    pub mode: CompletionMode,
    /// How long the source has to confirm, from acceptance (`source`) or mark done.
    pub within: Millis,
}

/// Who says that an item is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompletionMode {
    /// The source alone; mark done is hidden.
    Source,
    /// The agent, then the source confirms.
    #[default]
    DoneThenConfirm,
    /// The agent; the source is told by callback.
    DoneCloses,
}
