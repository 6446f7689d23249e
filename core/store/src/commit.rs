//! What one commit writes. All of it becomes durable in one transaction, or none of it does.

use bytes::Bytes;
use gantry_model::command::ContentHash;
use gantry_model::{Agent, AgentId, ItemId, Name, Timestamp, WorkItem};
use serde::Serialize;

/// Longest position of a source that is kept, in bytes.
pub const POSITION_BYTES_MAX: usize = 4096;

/// One transaction: a journal segment and everything that its events changed.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Number of the commit: the last one's plus 1.
    pub seq: u64,
    /// Hub time.
    pub at: Timestamp,
    /// The journal segment, as [`gantry_model::journal::Segment::to_vec`] writes it.
    pub segment: Vec<u8>,
    /// The counter that the next work item will get.
    pub next_counter: u64,
    /// The active config version; 0 = none yet.
    pub config_version: u32,
    /// The latest form of each work item that the segment names; an item stands here once.
    pub items: Vec<ItemRow>,
    /// Agents that changed; an agent stands here once.
    pub agents: Vec<AgentChange>,
    /// New revisions of documents.
    pub documents: Vec<DocumentRow>,
    /// Keys whose item or content hash changed; a key stands here once.
    pub keys: Vec<KeyRow>,
    /// Customers whose earlier items are looked up; an item stands here once.
    pub customers: Vec<CustomerRow>,
    /// Messages of sources that were seen.
    pub messages: Vec<MessageRow>,
    /// How far sources have been read; the last one of a source partition counts.
    pub positions: Vec<PositionRow>,
    /// Positions that were moved, not read on; each is kept in the history. They count after those
    /// in `positions`.
    pub moved_positions: Vec<PositionRow>,
    /// Capture points that were paused or resumed.
    pub pauses: Vec<PauseChange>,
    /// How far callback subscribers have read the journal; the last one counts.
    pub cursors: Vec<CursorRow>,
    /// Callback deliveries that are not simply done.
    pub lanes: Vec<LaneChange>,
    /// Records and callbacks that a person must look at.
    pub dead_letters: Vec<DeadLetterChange>,
    /// New config versions.
    pub configs: Vec<ConfigRow>,
    /// Alerts that were raised or cleared, in order.
    pub alerts: Vec<AlertChange>,
}

/// A work item: its state, and what lists show of its document.
#[derive(Clone, Debug)]
pub struct ItemRow {
    /// The item.
    pub item: WorkItem,
    /// What lists show; needed with a new item, `None` if nothing of it changed.
    pub head: Option<ItemHead>,
}

/// What lists show of an item beside its state. In a commit, `None` leaves what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ItemHead {
    /// The source's own id.
    pub external_id: Option<String>,
    /// Attribute `name`.
    pub name: Option<String>,
    /// Attribute `source_url`.
    pub source_url: Option<String>,
}

/// A changed agent.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an agent is seldom removed")]
pub enum AgentChange {
    /// New, or changed.
    Put(Agent),
    /// Removed.
    Remove(AgentId),
}

/// A document: the attributes of one revision of a work item, and the record as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRow {
    /// The item.
    pub item: ItemId,
    /// The revision.
    pub revision: u32,
    /// The attributes and their origins, as [`gantry_model::Document::to_vec`] writes them.
    pub attributes: Vec<u8>,
    /// The record as it came, with the revision that it made.
    pub payload: Option<Bytes>,
    /// Content type of the payload.
    pub content_type: Option<String>,
}

/// The item that has a key, or had it last.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Where it was captured.
    pub capture_point: Name,
    /// The source's own id.
    pub external_id: String,
    /// The item.
    pub item: ItemId,
    /// Hash of the content it was last captured with.
    pub hash: ContentHash,
}

/// The customer that an item is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRow {
    /// The item.
    pub item: ItemId,
    /// The customer, by the attribute that the look-up names.
    pub customer: String,
}

/// A message (event id, delivery id, source version) that was seen.
#[derive(Clone, Debug)]
pub struct MessageRow {
    /// Where it came in.
    pub capture_point: Name,
    /// Its id.
    pub message_id: String,
    /// The item that it was about.
    pub item: ItemId,
    /// When; see [`crate::Store::forget_messages`].
    pub at: Timestamp,
}

/// How far a source has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionRow {
    /// The capture point.
    pub capture_point: Name,
    /// The partition of the source; empty if it has none.
    pub source_partition: String,
    /// The plug-in's own bytes, at most [`POSITION_BYTES_MAX`]; empty = from the beginning.
    pub position: Vec<u8>,
    /// When.
    pub at: Timestamp,
}

/// A capture point that was paused or resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseChange {
    /// Paused, or paused anew.
    Put(PauseRow),
    /// Resumed.
    Remove(Name),
}

/// A paused capture point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseRow {
    /// The capture point.
    pub capture_point: Name,
    /// Who paused it.
    pub by: Name,
    /// Why, readable.
    pub reason: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

/// How far a callback subscriber has read the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorRow {
    /// The subscriber.
    pub subscriber: Name,
    /// The commit.
    pub seq: u64,
    /// The entry within its segment, from 0: this one and all before it are settled, apart from
    /// those in lanes.
    pub index: u32,
}

/// A changed lane.
#[derive(Clone, Debug)]
pub enum LaneChange {
    /// New, or changed.
    Put(LaneRow),
    /// Settled.
    Remove(LaneKey),
}

/// Names one delivery: an event, to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneKey {
    /// The subscriber.
    pub subscriber: Name,
    /// The item. A lane is (subscriber, item); its deliveries are made in order.
    pub item: ItemId,
    /// The commit of the event.
    pub seq: u64,
    /// The entry within its segment, from 0.
    pub index: u32,
}

/// A delivery that is not simply done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRow {
    /// Which delivery.
    pub key: LaneKey,
    /// How it stands.
    pub state: LaneState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// What went wrong last.
    pub error: Option<String>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneState {
    /// It is tried again.
    Retrying,
    /// A person must look at it; it blocks its lane.
    Dead,
    /// It is done, but the subscriber's cursor stands before it.
    DoneAhead,
}

/// A changed dead letter.
#[derive(Clone, Debug)]
pub enum DeadLetterChange {
    /// New, or the same one again; opens it.
    Put(DeadLetterRow),
    /// Settled.
    Resolve {
        /// Which.
        id: String,
        /// How.
        how: Resolution,
        /// When.
        at: Timestamp,
    },
}

/// A record that was refused, or a callback that could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRow {
    /// Its id, made by the caller from what it is about, so that the same one again is no second.
    pub id: String,
    /// What it is.
    pub kind: DeadLetterKind,
    /// The capture point, or the subscriber.
    pub origin: Name,
    /// The source's own id, where it could be read.
    pub external_id: Option<String>,
    /// The item, where there is one.
    pub item: Option<ItemId>,
    /// The record as it came, or the callback's body.
    pub payload: Bytes,
    /// Content type of the payload.
    pub content_type: Option<String>,
    /// The stable code of the error.
    pub code: String,
    /// The class of the error, as plug-ins name it; none of what failed before classes were kept.
    pub class: Option<String>,
    /// What is wrong, readable.
    pub reason: String,
    /// When it failed last.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

/// What a dead letter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterKind {
    /// A captured record that was refused.
    Capture,
    /// A callback that could not be delivered.
    Callback,
}

/// How a dead letter was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Tried again, with success.
    Retried,
    /// Given up by a person.
    Skipped,
}

/// A config version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRow {
    /// Its number, from 1.
    pub version: u32,
    /// Its canonical JSON.
    pub json: Vec<u8>,
    /// SHA-256 of the JSON.
    pub sha256: [u8; 32],
    /// When it was stored.
    pub at: Timestamp,
}

/// An alert that was raised or cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertChange {
    /// Raised; one that is raised already stays as it is.
    Raise(AlertRow),
    /// Cleared.
    Clear(Name),
}

/// An alert that is raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertRow {
    /// The alert.
    pub alert: Name,
    /// Since when.
    pub raised_at: Timestamp,
    /// The statistic at that time: a number, or milliseconds.
    pub value: i64,
}

impl LaneState {
    /// All states and their names.
    pub const ALL: [(&str, Self); 3] =
        [("retrying", Self::Retrying), ("dead", Self::Dead), ("done_ahead", Self::DoneAhead)];
}

impl DeadLetterKind {
    /// All kinds and their names.
    pub const ALL: [(&str, Self); 2] = [("capture", Self::Capture), ("callback", Self::Callback)];
}

impl Resolution {
    /// All ways and their names.
    pub const ALL: [(&str, Self); 2] = [("retried", Self::Retried), ("skipped", Self::Skipped)];
}

macro_rules! named {
    ($type:ty) => {
        impl $type {
            /// The name in database, API and pages.
            pub fn as_str(self) -> &'static str {
                Self::ALL
                    .iter()
                    .find(|(_, value)| *value == self)
                    .map(|(name, _)| *name)
                    .expect("invariant: every value is in the list")
            }

            /// The value of that name.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use named;

named!(LaneState);
named!(DeadLetterKind);
named!(Resolution);
