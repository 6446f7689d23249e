//! What connects the hub with other systems: sources, capture points, look-ups, callbacks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::attribute::AttributeType;
use crate::name::Name;
use crate::time::Millis;

/// `[source.NAME]`: one plug-in instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// Name of the plug-in, as its manifest gives it.
    pub plugin: Name,
    /// Where the plug-in runs.
    pub isolation: Isolation,
    /// What its process may have of the machine.
    #[serde(default)]
    pub limits: ProcessLimits,
    /// The plug-in's own config, secrets as references: `{"env": "X"}`, `{"file": "…"}`.
    pub config: serde_json::Value,
}

/// Where a plug-in runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// In a process of its own.
    #[default]
    Process,
    /// In the hub's own process.
    InProcess,
}

/// What the process of a plug-in may have of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessLimits {
    /// Address space, in bytes; none = no limit.
    pub memory_bytes: Option<u64>,
    /// Open files; none = the plug-in host's own default.
    pub open_files: Option<u64>,
    /// The user it runs as where the hub is root: a name or a number; none = nobody.
    pub user: Option<String>,
}

/// Times of day, by an expression of five fields: minute, hour, day of month, month, weekday.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronSpec {
    /// The expression.
    pub expression: String,
    /// IANA name of the time zone it is read in.
    pub timezone: Name,
}

/// How long a source may take to answer where its capture point says nothing.
pub const CAPTURE_TIMEOUT: Millis = Millis::from_secs(300);

/// `[capture.NAME]`: a capture point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaptureSpec {
    /// The source; none for a capture point that is fed by the plain JSON API only.
    pub source: Option<Name>,
    /// The plug-in's own settings of this capture point.
    pub settings: serde_json::Value,
    /// How often a polled source is asked.
    pub every: Option<Millis>,
    /// At which times of day a polled source is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<CronSpec>,
    /// A time comes at most so much later, at random; `None` = a tenth of `every`, nothing of
    /// `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Millis>,
    /// How long the source may take to answer; `None` = [`CAPTURE_TIMEOUT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Millis>,
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
    /// Priorities that the source gives as words: label → whole points.
    #[serde(default)]
    pub priority_labels: BTreeMap<Name, i64>,
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
    /// New dates: taken from its agent or workbin, and distributed again when they say so.
    Reschedule,
    /// Nothing: the record is filtered, and counted as that.
    Ignore,
}

impl MessageKind {
    /// All kinds, in the order of the domain's list.
    pub const ALL: [(&str, Self); 9] = [
        ("create", Self::Create),
        ("update", Self::Update),
        ("hold", Self::Hold),
        ("resume", Self::Resume),
        ("cancel", Self::Cancel),
        ("complete", Self::Complete),
        ("restart", Self::Restart),
        ("reschedule", Self::Reschedule),
        ("ignore", Self::Ignore),
    ];

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

/// Source of the look-ups that the hub answers itself, from a customer's earlier items.
pub const SOURCE_HUB: &str = "hub";
/// The attribute that names the customer, unless `key` in the settings names another.
pub const HISTORY_KEY: &str = "customer_id";
/// What the hub knows of a customer's earlier items, sorted by name.
pub const HISTORY_YIELDS: [(&str, AttributeType); 4] = [
    ("last_agent", AttributeType::Text),
    ("last_contact_at", AttributeType::Timestamp),
    ("last_disposition", AttributeType::Text),
    ("open_items", AttributeType::Integer),
];

impl LookupSpec {
    /// The attribute that names the customer, if the hub answers from earlier items.
    pub fn history_key(&self) -> Option<&str> {
        let key = || self.settings.get("key").and_then(serde_json::Value::as_str);
        (self.source == SOURCE_HUB).then(|| key().unwrap_or(HISTORY_KEY))
    }
}

/// `[lookup.NAME]`: one question to another system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LookupSpec {
    /// The source to ask.
    pub source: Name,
    /// The plug-in's own settings of this look-up.
    pub settings: serde_json::Value,
    /// CEL over `item`: asked only if true.
    pub when: Option<String>,
    /// Answer attribute → type, so that rules can be checked.
    pub yields: BTreeMap<Name, AttributeType>,
    /// Where the answer has an attribute that it does not have under the attribute's own name: the
    /// keys from the outside in, as the source writes them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<Name, Vec<String>>,
    /// How long one attempt may take.
    pub timeout: Millis,
    /// Attempts after the first.
    pub retries: u32,
    /// How long an answer is kept; none = not kept.
    pub cache: Option<Millis>,
    /// What happens when all attempts failed.
    pub on_failure: OnFailure,
    /// `true` if every update of the item asks again, not only one that changes the question.
    #[serde(default)]
    pub on_update: bool,
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
