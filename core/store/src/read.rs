//! What the store answers.

use gantry_model::journal::Entry;
use gantry_model::{ItemId, LifeCycle, Name, Timestamp, WorkItem};
use serde::Serialize;

use crate::commit::{ConfigRow, DeadLetterKind, DeadLetterRow, ItemHead, Resolution, named};
use crate::timing::Spread;

/// What a hub starts from.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Number of the last commit; 0 = none yet.
    pub seq: u64,
    /// The epoch this store was opened with; every commit checks it.
    pub epoch: u64,
    /// The counter that the next work item will get, from 1.
    pub next_counter: u64,
    /// Hub time of the last commit: hub time never runs back behind it.
    pub at: Timestamp,
    /// The active config version.
    pub config: Option<ConfigRow>,
    /// The agents, each as CBOR of [`gantry_model::Agent`], in order of id.
    pub agents: Vec<Vec<u8>>,
    /// The live items, each as CBOR of [`WorkItem`], in order of id.
    pub items: Vec<Vec<u8>>,
}

/// A key to look up, with the id of the message that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQuery {
    /// Where it was captured.
    pub capture_point: Name,
    /// The source's own id.
    pub external_id: String,
    /// Id of the message, if the source gives one.
    pub message_id: Option<String>,
}

/// A work item with what lists show of its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemView {
    /// The item.
    #[serde(flatten)]
    pub item: WorkItem,
    /// What lists show.
    #[serde(flatten)]
    pub head: ItemHead,
}

/// Which items a list shows; all conditions have to hold, an empty one always holds.
#[derive(Clone, Debug, Default)]
pub struct ItemFilter {
    /// One of these states.
    pub life_cycles: Vec<LifeCycle>,
    /// One of these holds.
    pub holds: Vec<HoldKind>,
    /// One of these assignments.
    pub assignments: Vec<AssignmentKind>,
    /// This process, as `department/process`.
    pub process: Option<Name>,
    /// This department.
    pub department: Option<Name>,
    /// This capture point.
    pub capture_point: Option<Name>,
    /// Offered or assigned to this agent.
    pub agent: Option<Name>,
    /// Name or external id has this text in it; ASCII letters of either case.
    pub text: Option<String>,
}

/// One page of a list, in order of id (which is the order of capture).
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The last item of the page before.
    pub after: Option<ItemId>,
    /// How many, 1 to 1,000.
    pub limit: u32,
    /// `true` = falling ids.
    pub newest_first: bool,
}

/// Kinds of [`gantry_model::Hold`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldKind {
    /// Nothing.
    None,
    /// Held until someone resumes it.
    Held,
    /// Held by an error.
    Error,
    /// Waits for its activation date.
    Activation,
}

/// Kinds of [`gantry_model::Assignment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignmentKind {
    /// Nobody's.
    None,
    /// Offered.
    Offered,
    /// Assigned.
    Assigned,
    /// Marked done, waits for the source.
    Confirming,
    /// In a workbin.
    Parked,
    /// In wrap-up.
    WrapUp,
}

/// How many items stand so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StatusCount {
    /// First axis.
    pub life_cycle: LifeCycle,
    /// Second axis.
    pub hold: HoldKind,
    /// Third axis.
    pub assignment: AssignmentKind,
    /// How many.
    pub count: u64,
}

/// A journal entry about an item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistoryEntry {
    /// Its commit.
    pub seq: u64,
    /// Its place in the segment, from 0.
    pub index: u32,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

/// A journal segment as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRow {
    /// Its commit.
    pub seq: u64,
    /// Hub time of the commit.
    pub at: Timestamp,
    /// Read it by [`gantry_model::journal::Segment::from_slice`].
    pub segment: Vec<u8>,
}

/// Which dead letters a list shows; an empty condition always holds.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    /// Of this kind.
    pub kind: Option<DeadLetterKind>,
    /// Of this capture point or subscriber.
    pub origin: Option<Name>,
    /// Of this class of errors.
    pub class: Option<String>,
    /// `true` = not settled, `false` = settled.
    pub open: Option<bool>,
    /// Id of the last one of the page before.
    pub after: Option<String>,
    /// How many, 1 to 1,000.
    pub limit: u32,
}

/// A dead letter as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What failed.
    pub row: DeadLetterRow,
    /// How and when it was settled.
    pub resolved: Option<(Resolution, Timestamp)>,
}

/// How the store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Commits: from the lock on the writer until durable, waits for the log included.
    pub commits: Spread,
    /// Waits of the writer until the write-ahead log was copied into the database.
    pub stalls: Spread,
    /// Rounds of copying the write-ahead log beside the commits.
    pub checkpoints: Spread,
    /// Size of the write-ahead log when it was last looked at, in bytes.
    pub log_bytes: u64,
}

impl HoldKind {
    /// All kinds and their names; the place of a kind is its number in the database.
    pub const ALL: [(&str, Self); 4] = [
        ("none", Self::None),
        ("held", Self::Held),
        ("error", Self::Error),
        ("activation", Self::Activation),
    ];
}

impl AssignmentKind {
    /// All kinds and their names; the place of a kind is its number in the database.
    pub const ALL: [(&str, Self); 6] = [
        ("none", Self::None),
        ("offered", Self::Offered),
        ("assigned", Self::Assigned),
        ("confirming", Self::Confirming),
        ("parked", Self::Parked),
        ("wrap_up", Self::WrapUp),
    ];
}

named!(HoldKind);
named!(AssignmentKind);
