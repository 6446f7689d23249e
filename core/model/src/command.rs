//! Commands: what may be asked of the engine, and what it answers.

use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::Serialize;

use crate::agent::{AgentProfile, Presence};
use crate::event::CaptureAct;
use crate::id::ItemId;
use crate::item::{Classification, PriorityBounds};
use crate::name::{AgentId, Name};
use crate::spec::{OnChange, OnReopen, RoutingSpec};
use crate::time::{Millis, Timestamp};
use crate::workbin::{Target, Workbin};

pub use crate::refusal::Refusal;

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

/// An agent who acts on an item that is with them: the action counts only for this epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The agent.
    pub agent: AgentId,
    /// Epoch of the offer, assignment or parking; another one is stale.
    pub epoch: u32,
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
        /// `true` if this is a new date for the item: it is taken from its agent or workbin, and
        /// the wait for the source is over.
        reschedule: bool,
        /// The agent who has it, if an agent does it; `None` = the source or a supervisor.
        by: Option<Holder>,
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
        /// The revision that the agent's changes of attributes were made on; another one is
        /// refused. The revision goes up by one. `None` = the agent changed nothing.
        changed_from: Option<u32>,
    },
    /// The agent has finished the wrap-up.
    EndWrapUp {
        /// The item.
        item: ItemId,
        /// The agent.
        by: Holder,
        /// What came of it; `None` = what was said when it was marked done.
        disposition: Option<Name>,
    },
    /// Send the item to somebody or somewhere else; its curve, age and history stay.
    Transfer {
        /// The item.
        item: ItemId,
        /// The agent who has it; `None` = a supervisor or the source.
        by: Option<Holder>,
        /// Where to.
        to: Target,
        /// For whoever gets it.
        note: Option<String>,
    },
    /// Set the item aside in a workbin.
    Park {
        /// The item.
        item: ItemId,
        /// The agent who has it; `None` = a supervisor.
        by: Option<Holder>,
        /// Where it is to lie.
        workbin: Workbin,
        /// Then it goes back into distribution.
        until: Option<Timestamp>,
        /// For whoever pulls it.
        note: Option<String>,
    },
    /// The agent takes an item from a workbin, or from a queue in which agents may choose.
    Pull {
        /// The item.
        item: ItemId,
        /// The agent.
        agent: AgentId,
        /// Why it is taken although the agent has no room for it; else that is refused.
        over_capacity: Option<String>,
    },
    /// Give the item back into distribution, from an agent or a workbin.
    Return {
        /// The item.
        item: ItemId,
        /// The agent who has it; `None` = a supervisor.
        by: Option<Holder>,
        /// For whoever gets it.
        note: Option<String>,
    },
    /// Give everything in a workbin back into distribution, at most
    /// [`MOVED_MAX`] items at once.
    EmptyWorkbin {
        /// The workbin.
        workbin: Workbin,
    },
    /// A supervisor takes the item back from its agent or workbin.
    Retrieve {
        /// The item.
        item: ItemId,
        /// Why.
        reason: String,
    },
    /// Set the points that stand above the item's curve, in place of those it had.
    Boost {
        /// The item.
        item: ItemId,
        /// Whole points, within ±[`crate::priority::POINTS_MAX`].
        points: i64,
    },
    /// Another system says how many interactions of a media type it carries for the agent.
    ReportLoad {
        /// The agent.
        agent: AgentId,
        /// The media type.
        media: Name,
        /// How many there are now.
        count: u16,
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
    /// The hub has just started: revoke the offers that were open, start the open runs again,
    /// and put off the deadlines that count running time.
    Boot {
        /// How long the hub was down, at most: since its last commit.
        down: Millis,
    },
    /// A live statistic went over the limit of an alert, or no longer is over it.
    Alert {
        /// The alert.
        alert: Name,
        /// `true` if it is over.
        raised: bool,
        /// The statistic: a number, or milliseconds.
        value: i64,
    },
    /// Somebody operates a capture point; what it takes to carry it out goes beside the command.
    OperateCapture {
        /// The capture point.
        capture_point: Name,
        /// What is done.
        act: CaptureAct,
    },
    /// The wall clock jumped by more than a minute.
    ClockStepped {
        /// How far it stood from hub time.
        by: Millis,
    },
    /// Let time pass: timers that are due fire, then agents and items are matched.
    Tick,
}

/// Most items that one command moves; who wants to move more asks again.
pub const MOVED_MAX: usize = 10_000;

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
    /// Items were moved.
    Moved {
        /// How many.
        items: u32,
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
