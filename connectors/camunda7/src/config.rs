//! What the operator writes: the source, and the settings of its captures, look-ups and
//! callbacks. The build script derives the manifest from these types too, so they need only serde
//! and schemars.

use std::collections::BTreeMap;

use gantry_plugin_api::{HumanDuration, HumanMoment, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process engine: one `[source.NAME]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where its REST interface answers: `https://bpm.example/engine-rest`.
    pub(crate) endpoint: String,
    /// The engine's name, where the server has several; without it the default one.
    pub(crate) engine: Option<String>,
    /// How to sign in; without it not at all.
    pub(crate) auth: Option<Auth>,
    /// Further headers of every request, such as those that a proxy before the engine asks for;
    /// their values by reference: `{ x-api-key = { env = "BPM_KEY" } }`.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Secret<String>>,
    /// The beginning of our worker ids, by which the engine knows whose locks are whose: two hubs
    /// on one engine must have two.
    #[serde(default = "worker")]
    pub(crate) worker: String,
    /// How the server writes and reads dates, if it was configured otherwise than by default.
    #[serde(default = "date_format")]
    pub(crate) date_format: String,
    /// How long an answer may take; long polls wait on top of it.
    #[serde(default = "request_timeout")]
    pub(crate) request_timeout: HumanDuration,
    /// A file with the certificates to trust (PEM), instead of the public ones.
    pub(crate) tls_ca: Option<String>,
}

/// How to sign in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Auth {
    /// HTTP Basic, as the engine itself offers it.
    Basic(Basic),
    /// A fixed token, as a proxy before the engine may ask for.
    Bearer(Bearer),
}

/// A user of the engine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Basic {
    /// Who signs in.
    pub(crate) user: String,
    /// The password, by reference: `{ env = "BPM_PASSWORD" }`.
    pub(crate) password: Secret<String>,
}

/// A token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bearer {
    /// The token, by reference: `{ env = "BPM_TOKEN" }`.
    pub(crate) token: Secret<String>,
}

/// Which tasks are captured: `[capture.NAME] settings`. Either kind, not both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptureSettings {
    /// External tasks: the hub is the worker that locks and completes them.
    pub(crate) external_tasks: Option<ExternalTasks>,
    /// User tasks: they stay in the engine's task list until they are completed.
    pub(crate) user_tasks: Option<UserTasks>,
}

/// Which external tasks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalTasks {
    /// The topics to take tasks of; at least one.
    pub(crate) topics: Vec<String>,
    /// How long the engine lends a task to the hub, which has it extended as long as the work item
    /// is open; after a hub that is gone for longer, another worker may take it.
    #[serde(default = "lock")]
    pub(crate) lock: HumanDuration,
    /// How long the engine keeps a poll open when there is no task; at most 30 minutes, and less
    /// than the capture point's `timeout`.
    #[serde(default = "long_poll")]
    pub(crate) long_poll: HumanDuration,
    /// The variables to get; without it all that the task sees.
    pub(crate) variables: Option<Vec<String>>,
    /// Only of these process definitions, by key.
    #[serde(default)]
    pub(crate) process_definitions: Vec<String>,
    /// Only of these tenants.
    #[serde(default)]
    pub(crate) tenants: Vec<String>,
    /// Only of the process instance with this business key.
    pub(crate) business_key: Option<String>,
    /// Take those first that the engine gave a higher priority.
    #[serde(default)]
    pub(crate) by_priority: bool,
}

/// Which user tasks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserTasks {
    /// Only those that one of these groups may take.
    #[serde(default)]
    pub(crate) candidate_groups: Vec<String>,
    /// Also those that somebody has claimed already.
    #[serde(default)]
    pub(crate) assigned_too: bool,
    /// Only of these process definitions, by key.
    #[serde(default)]
    pub(crate) process_definitions: Vec<String>,
    /// Only these tasks of the process, by the key in its definition.
    #[serde(default)]
    pub(crate) task_definitions: Vec<String>,
    /// Only of these tenants.
    #[serde(default)]
    pub(crate) tenants: Vec<String>,
    /// Only where the process's variables are so; all conditions hold at once.
    #[serde(default)]
    pub(crate) process_variables: Vec<Condition>,
    /// Tasks created before this moment are never captured: `2026-01-31` or RFC 3339.
    pub(crate) from: Option<HumanMoment>,
    /// How far back each poll looks again for tasks that were committed late.
    #[serde(default = "overlap")]
    pub(crate) overlap: HumanDuration,
    /// Whether changes of captured tasks are captured too; `false` for engines before 7.19, which
    /// cannot be asked for them.
    #[serde(default = "yes")]
    pub(crate) updates: bool,
    /// Whether tasks that were completed or deleted in the engine leave the hub; `false` where the
    /// engine keeps no history.
    #[serde(default = "yes")]
    pub(crate) ended: bool,
}

/// A condition on a variable of the process.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// The variable.
    pub(crate) name: String,
    /// How it compares.
    #[serde(default)]
    pub(crate) operator: Operator,
    /// With what.
    pub(crate) value: Scalar,
}

/// How a variable compares with a value.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operator {
    /// Equal.
    #[default]
    Eq,
    /// Not equal.
    Neq,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gteq,
    /// Less.
    Lt,
    /// Less or equal.
    Lteq,
    /// Text with `%` for anything.
    Like,
}

/// A plain value.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Double(f64),
    /// A text.
    Text(String),
}

/// Which process instance is asked about, and what: `[lookup.NAME] settings`.
///
/// The answer has `process_instance`, `process_definition`, `process_state`, `process_started_at`
/// and `process_ended_at` of the latest instance that fits, and what `variables` names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupSettings {
    /// The instance's business key; `:name` stands for the item's attribute of that name. Either
    /// this or `process_instance`.
    pub(crate) business_key: Option<String>,
    /// The instance's id; `:name` stands for the item's attribute of that name.
    pub(crate) process_instance: Option<String>,
    /// Only instances of this process definition, by key.
    pub(crate) process_definition: Option<String>,
    /// Key of the answer = variable of the process.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
}

/// What the engine is told: `[callback.NAME] settings`.
///
/// External tasks: the event of `complete_on` completes the task, `canceled`, `expired` and
/// `rejected` give it up. User tasks: besides, `assigned` and `pulled` claim it for the agent, and
/// `revoked`, `returned`, `retrieved`, `transferred` and `confirmation_missed` hand it back. Other
/// events are of no concern to the engine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallbackSettings {
    /// Which kind of task the items are.
    pub(crate) tasks: Tasks,
    /// The event that completes the task.
    #[serde(default)]
    pub(crate) complete_on: CompleteOn,
    /// Variable of the process = what is written into it at completion.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, Written>,
    /// Disposition = code of the BPMN error that is thrown instead of a completion.
    #[serde(default)]
    pub(crate) bpmn_errors: BTreeMap<String, String>,
    /// External tasks: disposition = how the task fails instead of being completed. The engine then
    /// lends it again, until no try is left.
    #[serde(default)]
    pub(crate) failures: BTreeMap<String, Failure>,
    /// External tasks: what becomes of the task of an item that the hub gives up.
    #[serde(default)]
    pub(crate) give_up: GiveUp,
    /// User tasks: whether the agent becomes the assignee; agents have the ids of the engine's
    /// users.
    #[serde(default)]
    pub(crate) assign: Assign,
}

/// The kinds of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tasks {
    /// External tasks.
    External,
    /// User tasks.
    User,
}

/// The event that completes a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CompleteOn {
    /// The agent marked the item done.
    #[default]
    Done,
    /// The agent gave the disposition, after the item was marked done.
    WrapUpEnded,
    /// The item was completed.
    Completed,
}

/// What is written into a variable.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    /// The name of what is written: `external_id`, `event`, `occurred_at`, `item_id`,
    /// `capture_point` or `idempotency_key`; else a detail of the event (`agent`, `disposition`, …)
    /// or an attribute of the item. What is none of these is not written.
    pub(crate) from: String,
    /// The variable's type; without it by the value: text, number, boolean, or JSON.
    #[serde(rename = "type")]
    pub(crate) kind: Option<Type>,
    /// The Java class of an `Object`.
    pub(crate) class: Option<String>,
}

/// Types of variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Type {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// 16 bits.
    Short,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Long,
    /// A floating-point number.
    Double,
    /// An instant, from RFC 3339.
    Date,
    /// JSON.
    Json,
    /// JSON that the engine reads into an object of `class`.
    Object,
}

/// How an external task fails.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    /// How many tries are left after a task's first failure; each further one takes one. With none
    /// left the engine raises an incident.
    #[serde(default)]
    pub(crate) retries: u32,
    /// When the engine lends the task again.
    #[serde(default)]
    pub(crate) retry_after: HumanDuration,
}

/// What becomes of the task of an item that the hub gives up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GiveUp {
    /// The engine raises an incident, which tells the owner of the process.
    #[default]
    Incident,
    /// It is unlocked at once, for another worker.
    Unlock,
}

/// Whether the agent becomes the assignee of a user task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Assign {
    /// Yes, unless somebody else has claimed it.
    #[default]
    Claim,
    /// Yes, whoever has claimed it.
    Force,
    /// No.
    Never,
}

fn worker() -> String {
    "gantry".to_owned()
}

fn date_format() -> String {
    "%Y-%m-%dT%H:%M:%S%.3f%z".to_owned()
}

fn request_timeout() -> HumanDuration {
    HumanDuration::from_secs(20)
}

fn lock() -> HumanDuration {
    HumanDuration::from_secs(600)
}

fn long_poll() -> HumanDuration {
    HumanDuration::from_secs(20)
}

fn overlap() -> HumanDuration {
    HumanDuration::from_secs(120)
}

fn yes() -> bool {
    true
}
