//! What is submitted: commands, and beside them what only the store keeps.

use bytes::Bytes;
use gantry_model::command::ContentHash;
use gantry_model::{Actor, Command, Name};
use gantry_store::{ConfigRow, CursorRow, DeadLetterChange, LaneChange, PauseChange, PositionRow};

/// Commands and rows that are committed together, or not at all.
#[derive(Debug)]
pub struct Submission {
    /// Who asks.
    pub actor: Actor,
    /// The commands, in order. One that is refused does not stop the others.
    pub work: Vec<Work>,
    /// Rows of the same transaction that the engine does not know. They are left out if one of
    /// the replies is [`gantry_model::Reply::Changed`] or stale: submit them again with what
    /// settles it.
    pub side: Side,
}

/// A command and what the store keeps with it.
#[derive(Debug)]
pub struct Work {
    /// The command. Of a capture, the hub fills in `known` from `key`.
    pub command: Command,
    /// Where the record came from: needed for a capture, and for an update that came from a
    /// source, so that the same content again is recognised as a repeat.
    pub key: Option<CaptureKey>,
    /// The attributes of the revision that the command makes.
    pub document: Option<NewDocument>,
}

/// The key of a captured record and what recognises it when it comes again.
#[derive(Clone, Debug)]
pub struct CaptureKey {
    /// The capture point.
    pub capture_point: Name,
    /// The source's own id, 1 to 256 characters.
    pub external_id: String,
    /// Id of this very message (event id, delivery id), if the source gives one.
    pub message_id: Option<String>,
    /// Hash of the mapped fields.
    pub hash: ContentHash,
}

/// A document that is stored with the item's new revision.
#[derive(Clone, Debug)]
pub struct NewDocument {
    /// The attributes, as [`gantry_model::Document::to_vec`] writes them.
    pub attributes: Vec<u8>,
    /// The record as it came, for inspection; kept with the first revision of a capture.
    pub payload: Option<Bytes>,
    /// Content type of the payload.
    pub content_type: Option<String>,
    /// What lists show.
    pub head: Head,
}

/// List columns that come from attributes.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Attribute `name`.
    pub name: Option<String>,
    /// Attribute `source_url`.
    pub source_url: Option<String>,
    /// The customer, where earlier items of a customer are looked up; never in a list.
    pub customer: Option<String>,
}

/// Rows of a submission that the engine does not know.
#[derive(Debug, Default)]
pub struct Side {
    /// How far capture points have read their sources.
    pub positions: Vec<PositionRow>,
    /// Positions that were moved, not read on.
    pub moved_positions: Vec<PositionRow>,
    /// Capture points that were paused or resumed.
    pub pauses: Vec<PauseChange>,
    /// How far callback subscribers have read the journal.
    pub cursors: Vec<CursorRow>,
    /// Callback deliveries that are not simply done.
    pub lanes: Vec<LaneChange>,
    /// Records and callbacks that a person must look at.
    pub dead_letters: Vec<DeadLetterChange>,
    /// Config versions.
    pub configs: Vec<ConfigRow>,
}

impl Submission {
    /// One command, nothing beside it.
    pub fn one(actor: Actor, command: Command) -> Self {
        Self { actor, work: vec![Work::new(command)], side: Side::default() }
    }
}

impl Work {
    /// A command that the store keeps nothing beside.
    pub const fn new(command: Command) -> Self {
        Self { command, key: None, document: None }
    }
}

impl Side {
    /// `true` if there is nothing to store.
    pub fn is_empty(&self) -> bool {
        let Self { positions, moved_positions, pauses, cursors, lanes, dead_letters, configs } =
            self;
        positions.is_empty()
            && moved_positions.is_empty()
            && pauses.is_empty()
            && cursors.is_empty()
            && lanes.is_empty()
            && dead_letters.is_empty()
            && configs.is_empty()
    }
}
