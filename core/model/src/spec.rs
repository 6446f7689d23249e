//! The config as plain data, after it was checked: what the operator wrote in TOML, with units
//! resolved and expressions still as text.
//!
//! A config version is the canonical JSON of [`Spec`]: secrets stand in it as references only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attribute::AttributeType;
use crate::name::Name;
use crate::requirement::Requirement;
use crate::time::Millis;

/// The whole config.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// `[hub]`
    pub hub: HubSpec,
    /// `[attribute.NAME]`: custom attributes that are declared.
    pub attributes: BTreeMap<Name, AttributeType>,
    /// `skills = […]` in `[routing]`: names of skills.
    pub skills: BTreeSet<Name>,
    /// `groups = […]` in `[routing]`: names of groups.
    pub groups: BTreeSet<Name>,
    /// `[source.NAME]`
    pub sources: BTreeMap<Name, SourceSpec>,
    /// `[capture.NAME]`
    pub captures: BTreeMap<Name, CaptureSpec>,
    /// `[lookup.NAME]`
    pub lookups: BTreeMap<Name, LookupSpec>,
    /// `[callback.NAME]`
    pub callbacks: BTreeMap<Name, CallbackSpec>,
    /// `[[segmentation]]`, in file order.
    pub segmentation: Vec<SegmentRule>,
    /// What the engine needs: priorities, processes, reasons.
    pub routing: Arc<RoutingSpec>,
}

/// `[hub]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HubSpec {
    /// Address of the web server, `host:port`.
    pub listen: String,
    /// `sqlite:PATH`, relative to the config file, or `postgres://…`.
    pub store: String,
    /// Folders that plug-ins are loaded from, relative to the config file.
    pub plugins: Vec<PathBuf>,
    /// How long a stop waits for work under way.
    pub drain_timeout: Millis,
}

impl Default for HubSpec {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            store: "sqlite:gantry.db".into(),
            plugins: vec!["plugins".into()],
            drain_timeout: Millis::from_secs(30),
        }
    }
}

/// `[source.NAME]`: one plug-in instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// Name of the plug-in, as its manifest gives it.
    pub plugin: Name,
    /// Where the plug-in runs.
    pub isolation: Isolation,
    /// The plug-in's own config, secrets as references: `{"env": "X"}`, `{"file": "…"}`.
    pub config: serde_json::Value,
}

/// Where a plug-in runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// In the hub's own process.
    #[default]
    InProcess,
}

/// `[capture.NAME]`: a capture point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaptureSpec {
    /// The source; none for a capture point that is fed by the plain JSON API only.
    pub source: Option<Name>,
    /// The plug-in's own settings of this capture point.
    pub settings: serde_json::Value,
    /// How often a polled source is asked.
    pub every: Option<Millis>,
    /// Records asked for at once and committed together.
    pub batch: u32,
    /// Attribute name → CEL over `record`. If empty, the record's own keys are the attributes.
    pub map: BTreeMap<Name, String>,
    /// Attribute name → value, where the record gives none.
    pub defaults: BTreeMap<Name, serde_json::Value>,
    /// CEL over `record` that yields the kind of message; default `create`.
    pub message: Option<String>,
    /// Other content on an open item.
    pub on_change: OnChange,
    /// Other content on an ended item.
    pub on_reopen: OnReopen,
    /// How the source confirms a completion.
    pub confirm: Confirm,
    /// Look-ups of this capture point, in order; `None` = all that are not bound to others.
    pub lookups: Option<Vec<Name>>,
}

/// What other content on an open item means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// Update the item.
    #[default]
    Update,
    /// Refuse the record, with a dead letter.
    Conflict,
    /// Nothing.
    Ignore,
}

/// What other content on an ended item means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnReopen {
    /// A new item that names the ended one as its predecessor.
    #[default]
    New,
    /// Nothing.
    Ignore,
    /// Refuse the record, with a dead letter.
    DeadLetter,
}

/// How a source confirms a completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// By a message `complete`.
    #[default]
    Message,
    /// By taking the callback `done`.
    Callback,
    /// Not at all.
    None,
}

/// The kinds of message that a source may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Create, or repeat, or change.
    #[default]
    Create,
    /// Change attributes.
    Update,
    /// Hold.
    Hold,
    /// Resume.
    Resume,
    /// Cancel.
    Cancel,
    /// Complete, or confirm the completion.
    Complete,
    /// Classify anew.
    Restart,
}

impl MessageKind {
    /// All kinds, in the order of the domain's list.
    pub const ALL: [(&str, Self); 7] = [
        ("create", Self::Create),
        ("update", Self::Update),
        ("hold", Self::Hold),
        ("resume", Self::Resume),
        ("cancel", Self::Cancel),
        ("complete", Self::Complete),
        ("restart", Self::Restart),
    ];

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

/// `[lookup.NAME]`: one question to another system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookupSpec {
    /// The source to ask.
    pub source: Name,
    /// The plug-in's own settings of this look-up.
    pub settings: serde_json::Value,
    /// CEL over `item`: asked only if true.
    pub when: Option<String>,
    /// Answer attribute → type, so that rules can be checked.
    pub yields: BTreeMap<Name, AttributeType>,
    /// How long one attempt may take.
    pub timeout: Millis,
    /// Attempts after the first.
    pub retries: u32,
    /// How long an answer is kept; none = not kept.
    pub cache: Option<Millis>,
    /// What happens when all attempts failed.
    pub on_failure: OnFailure,
}

/// What happens when a look-up failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Go on without.
    #[default]
    Continue,
    /// Go on with these attributes.
    Default(BTreeMap<Name, serde_json::Value>),
    /// Hold the item with the reason, and try again after this time.
    Hold {
        /// Time to the next try.
        retry: Millis,
    },
}

/// `[callback.NAME]`: a subscriber to life-cycle events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallbackSpec {
    /// The source that is called.
    pub source: Name,
    /// The plug-in's own settings of this callback.
    pub settings: serde_json::Value,
    /// Names of events, from [`crate::event::CALLBACK_EVENTS`].
    pub on: BTreeSet<Name>,
    /// Capture points whose items are meant; empty = those of the same source.
    pub captures: BTreeSet<Name>,
    /// How long one attempt may take.
    pub timeout: Millis,
    /// Attempts before the event becomes a dead letter.
    pub attempts: u32,
}

/// `[[segmentation]]`: one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentRule {
    /// Stable id, unique in the config.
    pub id: Name,
    /// The level it stands in. In each level the first rule that hits counts.
    pub level: SegmentLevel,
    /// The capture point, department or process it is for; none = all of them.
    pub within: Option<Name>,
    /// CEL over `item`; none = always.
    pub when: Option<String>,
    /// Sets the department.
    pub department: Option<Name>,
    /// Sets the process, as `department/process`.
    pub process: Option<Name>,
    /// Sets the SLA.
    pub sla: Option<Millis>,
    /// Sets the priority schema.
    pub priority: Option<Name>,
    /// Sets attributes: name → CEL over `item`.
    pub set: BTreeMap<Name, String>,
}

/// The four levels of segmentation; each sees what the levels before it set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentLevel {
    /// Every item.
    Global,
    /// Items of a capture point.
    Capture,
    /// Items of a department.
    Department,
    /// Items of a process.
    Process,
}

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

impl Spec {
    /// The declared type of an attribute: core, extended, custom or yielded by a look-up.
    pub fn attribute_type(&self, name: &str) -> Option<&AttributeType> {
        crate::attribute::settable(name)
            .or_else(|| self.attributes.get(name))
            .or_else(|| self.lookups.values().find_map(|lookup| lookup.yields.get(name)))
    }

    /// The canonical JSON: equal configs give equal bytes.
    pub fn to_canonical_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: a config has text keys only")
    }
}

/// CBOR of a shared spec: its canonical JSON as text, so that the journal stays readable when
/// the spec grows.
pub(crate) mod as_json {
    use std::sync::Arc;

    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decoder, Encoder};

    use super::RoutingSpec;

    pub(crate) fn encode<C, W: Write>(
        value: &Arc<RoutingSpec>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        let json = serde_json::to_string(value).map_err(EncodeError::message)?;
        e.str(&json)?.ok()
    }

    pub(crate) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Arc<RoutingSpec>, DecodeError> {
        serde_json::from_str(d.str()?).map(Arc::new).map_err(DecodeError::message)
    }
}
