//! What the engine needs of a config: processes, routes, capacity, shares.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{CalendarSpec, PrioritySchema, Sla, Span};
use crate::name::Name;
use crate::requirement::Requirement;
use crate::time::{Millis, Timestamp};
use crate::workbin::Workbin;

/// What the engine needs of a config version. It is journaled when the version is activated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoutingSpec {
    /// `[calendar.NAME]`
    #[serde(default)]
    pub calendars: BTreeMap<Name, CalendarSpec>,
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
    /// `[department.NAME]`; a department that is not named has no dates and no calendar.
    #[serde(default)]
    pub departments: BTreeMap<Name, DepartmentSpec>,
    /// `[capacity.NAME]`: capacity rules that agents name.
    #[serde(default)]
    pub capacity_rules: BTreeMap<Name, CapacityRule>,
    /// How gently agents start after they signed on; none = at once.
    #[serde(default)]
    pub ramp_up: Option<RampUp>,
    /// What happens to the work of agents who stay away; none = it stays with them.
    #[serde(default)]
    pub absence: Option<Absence>,
    /// `[fairness]`: shares of flows of items; none = priority alone decides.
    #[serde(default)]
    pub fairness: Option<Fairness>,
}

/// `[department.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DepartmentSpec {
    /// When its items are taken.
    #[serde(default)]
    pub valid: Validity,
    /// Calendar of its processes that name none.
    #[serde(default)]
    pub calendar: Option<Name>,
}

/// When a department or process takes items. Items classified outside are rejected; those that
/// are in it already go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// From this instant on; none = always.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// Before this instant; none = for ever.
    #[serde(default)]
    pub to: Option<Timestamp>,
}

impl Validity {
    /// `true` if items are taken at this instant.
    pub fn covers(self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.to.is_none_or(|to| now < to)
    }
}

/// `[capacity.NAME]`: how many interactions an agent carries at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityRule {
    /// By media type; a media type that is not named gets none.
    #[serde(default)]
    pub media: BTreeMap<Name, u16>,
    /// Of all media types together; none = no such limit.
    #[serde(default)]
    pub total: Option<u16>,
    /// While the agent carries one of the first, none of the others is offered: no work item
    /// while on a call.
    #[serde(default)]
    pub excludes: BTreeMap<Name, BTreeSet<Name>>,
    /// How many items lie in the agent's workbin in advance while the agent is ready; 0 = none.
    #[serde(default)]
    pub prefill: u16,
}

/// `ramp_up` in `[routing]`: at most so many offers in a period, for some time after sign-on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RampUp {
    /// How long after sign-on.
    pub lasts: Millis,
    /// How many offers, at least 1 …
    pub offers: u16,
    /// … in each such period.
    pub per: Millis,
}

/// `absence` in `[routing]`: what happens to assigned items of an agent who signed off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// How long the agent has to come back.
    pub after: Millis,
    /// What happens then.
    pub then: AbsenceAction,
}

/// What happens to the items of an absent agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsenceAction {
    /// They go back into distribution, on their old curves.
    Return,
    /// They are parked in the agent's personal workbin.
    Park,
}

/// `[fairness]`: items are divided into named flows that share the agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fairness {
    /// What divides them.
    pub by: FlowKey,
    /// Whole points by which an offer sets a flow of weight 1 back against the others, and one
    /// of weight 4 by a quarter of that: the larger, the more shares count beside priorities. 0 =
    /// shares do not count, only rates. What flows have had counts from the hub's start.
    pub strength: i64,
    /// The flows; items of no named flow are together the flow `other`.
    pub flows: BTreeMap<Name, FlowSpec>,
}

/// What divides items into flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowKey {
    /// The capture point.
    CapturePoint,
    /// The value of a text attribute: a customer, a tenant, a region.
    Attribute(Name),
}

/// The share and the limit of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowSpec {
    /// Share beside the other flows, at least 1.
    pub weight: u32,
    /// At most so many offers in a period.
    #[serde(default)]
    pub rate: Option<Rate>,
}

/// So many in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many, at least 1.
    pub count: u32,
    /// The period.
    pub per: Millis,
}

/// The flow of items that belong to no named one.
pub const FLOW_OTHER: &str = "other";

/// `[process."department/process"]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Priority schema of items whose rules name none.
    pub priority: Name,
    /// SLA of items whose rules name none and whose source gives no due date.
    pub sla: Option<Sla>,
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
    /// Calendar of business SLAs and business times; none = that of the department.
    #[serde(default)]
    pub calendar: Option<Name>,
    /// When its items are taken.
    #[serde(default)]
    pub valid: Validity,
    /// Who stands first among the agents who fit.
    #[serde(default)]
    pub order: AgentOrder,
    /// Whether an offer has to be accepted.
    #[serde(default)]
    pub answer: Answer,
    /// How long an agent may take after mark done to give the disposition; none = no wrap-up.
    #[serde(default)]
    pub wrap_up: Option<Millis>,
    /// When the SLA is called in danger: a time from the anchor on; none = never.
    #[serde(default)]
    pub warn: Option<Span>,
    /// Steps for items that wait or are worked on too long, each at most once an item.
    #[serde(default)]
    pub escalation: Vec<EscalationStep>,
    /// `true` if agents may choose items from the queue; each such choice against the order of
    /// priority is counted.
    #[serde(default)]
    pub choose: bool,
    /// How long an item may stay parked before it goes back into distribution; none = for ever.
    #[serde(default)]
    pub park_limit: Option<Millis>,
    /// JSON Schema of what mark done asks for; none = nothing.
    #[serde(default)]
    pub form: Option<serde_json::Value>,
}

impl Default for ProcessSpec {
    /// A process whose items anybody may have, with the periods that hold where a config says
    /// nothing: 30 s to accept, 5 min until who declined is asked again, 1 h to confirm.
    fn default() -> Self {
        Self {
            priority: Name::default(),
            sla: None,
            route: RouteSpec::default(),
            offer_timeout: Millis::from_secs(30),
            decline_cool_down: Millis::from_secs(300),
            completion: Completion::default(),
            dispositions: Vec::new(),
            disposition_required: false,
            show: Vec::new(),
            calendar: None,
            valid: Validity::default(),
            order: AgentOrder::default(),
            answer: Answer::default(),
            wrap_up: None,
            warn: None,
            escalation: Vec::new(),
            choose: false,
            park_limit: None,
            form: None,
        }
    }
}

impl Default for Completion {
    /// The agent, then the source confirms within an hour.
    fn default() -> Self {
        Self { mode: CompletionMode::default(), within: Millis::from_secs(3600) }
    }
}

/// Who stands first among the agents who fit and are free. Equal ones: the smaller id.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Encode,
    Decode
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum AgentOrder {
    /// The highest sum of demanded levels, then the longest idle.
    #[default]
    #[n(0)]
    HighestLevel,
    /// The longest idle.
    #[n(1)]
    LongestIdle,
    /// The smallest share of the capacity in use, then the longest idle.
    #[n(2)]
    LeastLoaded,
}

/// Whether an agent has to accept an offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Answer {
    /// The agent accepts or declines.
    #[default]
    #[n(0)]
    Manual,
    /// The offer counts as accepted at once.
    #[n(1)]
    Automatic,
}

/// One step of `escalation` of a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EscalationStep {
    /// Stable id, unique in the process.
    pub id: Name,
    /// What sets it off.
    pub when: EscalationTrigger,
    /// Whole points added to the item's boost.
    #[serde(default)]
    pub raise: i64,
    /// Where the item goes; at most one of queue and workbin.
    #[serde(default)]
    pub queue: Option<Name>,
    /// The workbin it goes to.
    #[serde(default)]
    pub workbin: Option<Workbin>,
    /// Text of an alert.
    #[serde(default)]
    pub alert: Option<String>,
}

/// What sets an escalation step off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscalationTrigger {
    /// In the queue for so long since it last came into routing.
    Waiting(Span),
    /// With one agent for so long since it was accepted.
    Handling(Span),
    /// Open for so long since the anchor.
    Total(Span),
    /// In one workbin for so long.
    Parked(Span),
    /// Declined or left unanswered so often.
    Declined(u32),
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
