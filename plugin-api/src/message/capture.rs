//! The operations of the capture role: poll, stream, acknowledge.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::encode_into;
use super::record::{Position, Record, RecordOutcome};

/// Room for the small fields of a record.
const RECORD_LEN: usize = 128;

/// Records in the order of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// The records; may be empty.
    #[n(0)]
    pub records: Vec<Record>,
    /// The place to go on from once all records are settled; also when there are none (a scan that
    /// found nothing new may still move on). Absent = that of the last record, or unchanged.
    #[n(1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_after: Option<Position>,
    /// There is more at once: poll again without waiting for the schedule.
    #[n(2)]
    pub more: bool,
}

impl Batch {
    /// As [`super::encode`], with room for all of it from the start: a vector that grows to the
    /// size of a batch copies it again and again.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        let long = |record: &Record| {
            let token = record.ack_token.as_ref().map_or(0, Bytes::len);
            let position = record.position.as_ref().map_or(0, |at| at.as_bytes().len());
            record.payload.len() + token + position + RECORD_LEN
        };
        let mut bytes = Vec::with_capacity(self.records.iter().map(long).sum());
        encode_into(self, &mut bytes);
        bytes
    }
}

/// Request of [`super::Opcode::Poll`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Poll {
    /// The stored position; none on the very first poll.
    #[n(0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Position>,
    /// At most so many records.
    #[n(1)]
    pub limit: u32,
}

/// Request of [`super::Opcode::Stream`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Stream {
    /// The stored position; none on the very first start.
    #[n(0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Position>,
    /// So many records may be sent before more credit comes.
    #[n(1)]
    pub credit: u32,
}

/// Request of [`super::Opcode::Acknowledge`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Acknowledge {
    /// One entry a record, in the order the records became durable.
    #[n(0)]
    pub outcomes: Vec<RecordOutcome>,
}
