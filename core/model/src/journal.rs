//! Journal segments: all events of one commit, in one row.

use minicbor::{Decode, Encode};
use serde::Serialize;

use crate::command::Actor;
use crate::event::Event;
use crate::time::Timestamp;

/// The events of one commit.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize)]
pub struct Segment {
    /// Number of the commit, from 1 without gaps.
    #[n(0)]
    pub seq: u64,
    /// Version of the program that wrote it; a full explanation folds with the same one.
    #[n(1)]
    pub binary: String,
    /// The events, in the order in which they were applied.
    #[n(2)]
    pub entries: Vec<Entry>,
}

/// One event with its envelope.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize)]
pub struct Entry {
    /// Hub time.
    #[n(0)]
    pub at: Timestamp,
    /// The config version in force.
    #[n(1)]
    pub version: u32,
    /// Who caused it.
    #[n(2)]
    pub actor: Actor,
    /// What happened.
    #[n(3)]
    pub event: Event,
}

impl Segment {
    /// The stored bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("invariant: writing to memory cannot fail")
    }

    /// Reads the stored bytes.
    ///
    /// # Errors
    /// The decode error if the bytes are no segment.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        minicbor::decode(bytes)
    }
}
