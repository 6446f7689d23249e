//! Commands: what may be asked of the engine, and what it answers.

use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::Serialize;

use crate::agent::{AgentProfile, Presence};
use crate::id::ItemId;
use crate::item::{Classification, PriorityBounds};
use crate::name::{AgentId, Name};
use crate::spec::{OnChange, OnReopen, RoutingSpec};
use crate::time::{Millis, Timestamp};

/// Hash of an item's mapped fields: the first 16 bytes of SHA-256 over their canonical JSON.
pub type ContentHash = [u8; 16];

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// The hub itself: timers, matching, boot.
    #[n(0)]
    Hub,
    /// A source system, through a capture point.
    #[n(1)]
    Source(#[n(0)] Name),
    /// An agent.
    #[n(2)]
    Agent(#[n(0)] AgentId),
    /// A person or program with an administrative token, by the token's name.
    #[n(3)]
    User(#[n(0)] Name),
}

/// What is asked. Items are named by the hub's id; the hub has resolved external ids before.
#[derive(Clone, Debug)]
pub enum Command {
    /// A source created an item, or repeats itself.
    Capture(Capture),
    /// Attributes of an item changed.
    Update {
        /// The item.
        item: ItemId,
        /// The revision that the change was made on; another one is refused.
        base_revision: u32,
        /// `true` starts a new run: look-ups are asked again before the rules are.
        rerun: bool,
        /// The verdict of the rules on the new attributes, when no look-up has to be asked.
        verdict: Option<Box<Verdict>>,
    },
    /// The run of look-ups and rules ended.
    EndRun {
        /// The item.
        item: ItemId,
        /// The revision the run read; another one is refused.
        revision: u32,
        /// The run; another one is dropped.
        run: u32,
        /// `true` if the look-ups added attributes: the revision goes up by one.
        enriched: bool,
        /// What the rules say.
        verdict: Box<Verdict>,
    },
    /// Keep the item from being distributed; takes it back from an agent it is offered to.
    Hold {
        /// The item.
        item: ItemId,
        /// Why.
        reason: String,
    },
    /// End a hold or an error-hold; an error-hold starts a new run.
    Resume {
        /// The item.
        item: ItemId,
    },
    /// End the item as canceled, also while it is assigned.
    Cancel {
        /// The item.
        item: ItemId,
        /// Why.
        reason: String,
    },
    /// End the item as completed, or confirm that it is.
    Complete {
        /// The item.
        item: ItemId,
        /// The source's own result.
        result_code: Option<String>,
    },
    /// Take the item out of the queue, revoke its offer, and classify it anew.
    Restart {
        /// The item.
        item: ItemId,
        /// Also while an agent works on it.
        force: bool,
    },
    /// The agent takes the offer.
    Accept {
        /// The item.
        item: ItemId,
        /// Epoch of the offer; another one is stale.
        epoch: u32,
        /// The agent.
        agent: AgentId,
    },
    /// The agent refuses the offer.
    Decline {
        /// The item.
        item: ItemId,
        /// Epoch of the offer; another one is stale.
        epoch: u32,
        /// The agent.
        agent: AgentId,
        /// Why.
        reason: String,
    },
    /// The agent has finished.
    MarkDone {
        /// The item.
        item: ItemId,
        /// Epoch of the assignment; another one is stale.
        epoch: u32,
        /// The agent.
        agent: AgentId,
        /// What came of it.
        disposition: Option<Name>,
        /// `true` if the agent changed attributes: the revision goes up by one.
        attributes_changed: bool,
    },
    /// The source confirmed by taking the callback (confirmation mode `callback`).
    Confirm {
        /// The item.
        item: ItemId,
        /// Epoch of the assignment that was marked done; another one is stale.
        epoch: u32,
    },
    /// Create an agent or change the profile.
    PutAgent(AgentProfile),
    /// Remove an agent who has no work.
    RemoveAgent(AgentId),
    /// Change an agent's presence.
    SetPresence {
        /// The agent.
        agent: AgentId,
        /// The new presence.
        presence: Presence,
    },
    /// Make a config version the active one.
    Activate {
        /// Number of the version, rising.
        version: u32,
        /// What the engine needs of it.
        routing: Arc<RoutingSpec>,
    },
    /// The hub has just started: revoke the offers that were open, start the open runs again.
    Boot,
    /// The wall clock jumped by more than a minute.
    ClockStepped {
        /// How far it stood from hub time.
        by: Millis,
    },
    /// Let time pass: timers that are due fire, then agents and items are matched.
    Tick,
}

/// A captured record, mapped, with its key resolved.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Where it came in.
    pub capture_point: Name,
    /// Hash of the mapped fields.
    pub hash: ContentHash,
    /// The item that has this key, or had it last, and the hash it was last captured with.
    pub known: Option<Known>,
    /// What other content on an open item means.
    pub on_change: OnChange,
    /// What other content on an ended item means.
    pub on_reopen: OnReopen,
    /// When the item was created in the source, for the order of equals; else now.
    pub created_at: Option<Timestamp>,
    /// Not to be distributed before.
    pub activation_at: Option<Timestamp>,
    /// The verdict of the rules, when no look-up has to be asked first.
    pub verdict: Option<Box<Verdict>>,
}

/// What the store knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The item.
    pub item: ItemId,
    /// Hash of the content it was last captured with.
    pub hash: ContentHash,
    /// `true` if this very message (event id or source version) was seen before.
    pub seen: bool,
}

/// What the rules say of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has a process.
    Classified(Classified),
    /// Its department or process is outside its dates.
    Rejected {
        /// Why, readable.
        reason: String,
    },
    /// A look-up or a rule failed.
    Failed {
        /// Why, readable.
        reason: String,
        /// When to try again by itself.
        retry_at: Option<Timestamp>,
    },
}

/// The result of segmentation for one item.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Classified {
    /// What is shared between items that were classified alike.
    #[cbor(n(0), with = "crate::item::shared")]
    #[serde(flatten)]
    pub class: Option<Arc<Classification>>,
    /// Due date from the source or a rule; else the engine adds the SLA to the anchor.
    #[n(1)]
    pub due_at: Option<Timestamp>,
    /// Activation date.
    #[n(2)]
    pub activation_at: Option<Timestamp>,
    /// Expiration date.
    #[n(3)]
    pub expires_at: Option<Timestamp>,
    /// Constant priority from the source, unless a rule named a schema.
    #[n(4)]
    pub priority: Option<i64>,
    /// Tried first.
    #[n(5)]
    pub preferred_agent: Option<AgentId>,
    /// The only agent who may have it.
    #[n(6)]
    pub required_agent: Option<AgentId>,
    /// What expressions said of the schema's start, minimum and maximum.
    #[n(7)]
    pub bounds: Option<Box<PriorityBounds>>,
}

/// What the engine answers. It leaves the hub after the commit that covers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Reply {
    /// A new item.
    Created {
        /// Its id.
        item: ItemId,
        /// `true` if a run of look-ups and rules has to be made.
        #[serde(skip)]
        run: Option<RunId>,
    },
    /// The same message or the same content again; nothing changed.
    Repeat {
        /// The item that has it.
        item: ItemId,
    },
    /// Other content on an open item, which the capture point takes as an update: merge it with
    /// the current attributes and send [`Command::Update`].
    Changed {
        /// The item.
        item: ItemId,
        /// Its current revision.
        revision: u32,
    },
    /// Other content on an item, which the capture point ignores.
    Ignored {
        /// The item.
        item: ItemId,
    },
    /// Done.
    Done {
        /// The item, where one was named.
        #[serde(skip_serializing_if = "Option::is_none")]
        item: Option<ItemId>,
        /// The item's revision after it.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<u32>,
        /// A run of look-ups and rules that has to be made.
        #[serde(skip)]
        run: Option<RunId>,
    },
    /// The hub started; these runs have to be made again.
    Booted {
        /// The open runs.
        #[serde(skip)]
        runs: Vec<RunId>,
    },
    /// Not done.
    Refused(Refusal),
}

/// Names one run of look-ups and rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId {
    /// The item.
    pub item: ItemId,
    /// The revision to read.
    pub revision: u32,
    /// The run.
    pub run: u32,
}

/// Why a command was refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// No such item among those that have not ended.
    #[error("work item {item} does not exist or has ended")]
    UnknownItem {
        /// The item.
        item: ItemId,
    },
    /// No such agent.
    #[error("agent {agent:?} does not exist")]
    UnknownAgent {
        /// The agent.
        agent: AgentId,
    },
    /// The action names an old offer, assignment, revision or run.
    #[error("work item {item} has moved on: {what} is {current}, not {given}")]
    Stale {
        /// The item.
        item: ItemId,
        /// What has moved on: `epoch`, `revision`, `run` or `config version`.
        what: &'static str,
        /// Its value now.
        current: u32,
        /// The value that came.
        given: u32,
    },
    /// The item is not in a state that allows this.
    #[error("cannot {action} work item {item}: it is {state}")]
    WrongState {
        /// The item.
        item: ItemId,
        /// What was asked.
        action: &'static str,
        /// How the item stands, readable.
        state: String,
    },
    /// The item is with another agent.
    #[error("work item {item} is not with agent {agent:?}")]
    NotYours {
        /// The item.
        item: ItemId,
        /// Who asked.
        agent: AgentId,
    },
    /// Other content on an item, which the capture point reports as a conflict.
    #[error("work item {item} has other content, and its capture point does not take updates")]
    Conflict {
        /// The item.
        item: ItemId,
    },
    /// A new version of an ended item, which the capture point does not take.
    #[error("work item {item} has ended, and its capture point takes no newer version of it")]
    Reopened {
        /// The item.
        item: ItemId,
    },
    /// The disposition is missing or not one of the process's.
    #[error("disposition of work item {item}: {problem}")]
    Disposition {
        /// The item.
        item: ItemId,
        /// What is wrong, with the ones that may be used.
        problem: String,
    },
    /// The presence reason is not one of the config's.
    #[error("not-ready reason {reason:?} is not configured; one of {known}")]
    UnknownReason {
        /// The reason.
        reason: Name,
        /// The ones that may be used.
        known: String,
    },
    /// The agent's id is empty or too long.
    #[error("an agent id has 1 to {max} characters, not {length}", max = crate::agent::ID_LENGTH_MAX)]
    AgentIdLength {
        /// Its length in characters.
        length: usize,
    },
    /// The agent has work and cannot be removed.
    #[error("agent {agent:?} has {items} work items; retrieve or finish them first")]
    AgentBusy {
        /// The agent.
        agent: AgentId,
        /// How many.
        items: u32,
    },
    /// A config version drops names that items use.
    #[error("config version {version} drops what waiting work items use: {names}")]
    NamesInUse {
        /// The version.
        version: u32,
        /// The names and how many items use each.
        names: String,
    },
    /// Config versions rise; this one does not.
    #[error("config version {version} does not follow {current}, which is active")]
    VersionNotRising {
        /// The version that came.
        version: u32,
        /// The active one.
        current: u32,
    },
}
