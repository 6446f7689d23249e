//! Records: what a source hands over, where in the source it stood, and how it ended.

use std::fmt;

use bytes::Bytes;
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::field;
use super::lease::Lease;
use crate::error::Error;

/// A place in the source, in bytes only the plug-in understands; at most 4 KiB.
///
/// The hub stores it in the same transaction as the records and gives it back after a restart.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(Bytes);

/// A position is longer than [`Position::LEN_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot take a position of {0} bytes: at most {max}", max = Position::LEN_MAX)]
pub struct PositionTooLong(pub usize);

impl Position {
    /// The longest position the hub stores, in bytes.
    pub const LEN_MAX: usize = 4096;

    /// Takes the bytes.
    ///
    /// # Errors
    /// If they are longer than [`Position::LEN_MAX`]; a position names a place, it is no store.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, PositionTooLong> {
        let bytes = bytes.into();
        if bytes.len() > Self::LEN_MAX {
            return Err(PositionTooLong(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// Writes a place as JSON, which people can read and write.
    ///
    /// # Errors
    /// Of class `permanent` if the place is longer than [`Position::LEN_MAX`], or cannot be JSON.
    pub fn of(place: &impl Serialize) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(place)
            .map_err(|error| Error::permanent("cannot write a position").because(&error))?;
        Ok(Self::new(bytes)?)
    }

    /// Reads a place that is JSON. Operators write positions too: `example` shows them how.
    ///
    /// # Errors
    /// Of class `cursor_expired` if it is no such place.
    pub fn parse<T: DeserializeOwned>(&self, example: &str) -> Result<T, Error> {
        serde_json::from_slice(&self.0).map_err(|error| {
            let message = format!("cannot read {self:?}: write {example}");
            Error::cursor_expired(message).because(&error)
        })
    }

    /// The bytes as the plug-in gave them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<PositionTooLong> for Error {
    fn from(error: PositionTooLong) -> Self {
        Self::permanent(error.to_string())
    }
}

// Most positions are text; people read them in the store.
impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({})", self.0.escape_ascii())
    }
}

// As text in JSON, or as base64 if it is none.
impl Serialize for Position {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        field::json_bytes::serialize(&self.0, s)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(field::json_bytes::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

impl<C> Encode<C> for Position {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Position {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(Bytes::copy_from_slice(d.bytes()?)).map_err(minicbor::decode::Error::custom)
    }
}

/// What a record asks the hub to do. Where the plug-in does not say, the capture point's rules do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageKind {
    /// A new work item, or new content for an open one.
    #[n(0)]
    Create,
    /// New content for an open work item.
    #[n(1)]
    Update,
    /// Neither distribute nor reprioritise until resumed.
    #[n(2)]
    Hold,
    /// End a hold.
    #[n(3)]
    Resume,
    /// The source withdrew it.
    #[n(4)]
    Cancel,
    /// The source finished it.
    #[n(5)]
    Complete,
    /// Enrich and classify again.
    #[n(6)]
    Restart,
}

/// One thing a source handed over. The payload is opaque: nobody parses it before the mapping does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The bytes the mapping will read.
    #[n(0)]
    #[cbor(with = "field::bytes")]
    #[serde(with = "field::json_bytes")]
    pub payload: Bytes,
    /// Media type of the payload; `application/json` from [`Record::json`].
    #[n(1)]
    #[serde(default = "json_type")]
    pub content_type: String,
    /// The source's id of this message (event id, message id). Stable over redelivery: the hub
    /// recognises a repeat by it.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The version of the thing in the source, where it has one.
    #[n(3)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The place right after this record: reading from here gives the next one.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The part of the source in which records are ordered (a Kafka partition); none = one order.
    #[n(5)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// What the record asks for, if the source says so.
    #[n(6)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageKind>,
    /// Comes back in [`RecordOutcome`]: whatever the plug-in needs to acknowledge this record.
    #[n(7)]
    #[cbor(with = "field::optional_bytes", has_nil)]
    #[serde(default, with = "field::optional_json_bytes", skip_serializing_if = "Option::is_none")]
    pub ack_token: Option<Bytes>,
    /// When it happened in the source: Unix time in milliseconds.
    #[n(8)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at_ms: Option<i64>,
    /// W3C trace context the source sent along.
    #[n(9)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Why the payload could not be read, with its place (`line 7: …`): the hub refuses the record
    /// with this reason, and the payload, raw as it came, goes into the dead letter.
    #[n(10)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// The source has only lent it: the hub has it extended ([`crate::Capture::extend`]) for as
    /// long as the work item is open.
    #[n(11)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
}

impl Record {
    /// A record of a given media type; set the other fields where the source has them.
    pub fn new(payload: impl Into<Bytes>, content_type: impl Into<String>) -> Self {
        Self {
            payload: payload.into(),
            content_type: content_type.into(),
            message_id: None,
            version: None,
            position: None,
            partition: None,
            message: None,
            ack_token: None,
            occurred_at_ms: None,
            traceparent: None,
            unreadable: None,
            lease: None,
        }
    }

    /// A record that the plug-in cannot read: its raw bytes and the reason. It is handed over like
    /// any other, so that it ends as a dead letter and not in a log.
    pub fn unreadable(payload: impl Into<Bytes>, reason: impl Into<String>) -> Self {
        Self { unreadable: Some(reason.into()), ..Self::new(payload, "application/octet-stream") }
    }

    /// A record of JSON bytes.
    pub fn json(payload: impl Into<Bytes>) -> Self {
        Self::new(payload, json_type())
    }

    /// Sets [`Record::message_id`].
    #[must_use]
    pub fn with_message_id(mut self, message_id: impl Into<String>) -> Self {
        self.message_id = Some(message_id.into());
        self
    }

    /// Sets [`Record::position`].
    #[must_use]
    pub fn with_position(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    /// Sets [`Record::lease`].
    #[must_use]
    pub fn with_lease(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }
}

fn json_type() -> String {
    "application/json".to_owned()
}

/// How a record ended. There is no fifth way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Durable in the hub.
    #[n(0)]
    Accepted,
    /// Not wanted by the capture point's rules; counted.
    #[n(1)]
    Filtered,
    /// Not usable; its dead letter is durable.
    #[n(2)]
    Refused,
    /// Not settled: the source should hand it over again.
    #[n(3)]
    Retry,
}

/// What became of one record, told to the plug-in once it is durable.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordOutcome {
    /// How it ended.
    #[n(0)]
    pub outcome: Outcome,
    /// As in the record.
    #[n(1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// As in the record.
    #[n(2)]
    #[cbor(with = "field::optional_bytes", has_nil)]
    #[serde(default, with = "field::optional_json_bytes", skip_serializing_if = "Option::is_none")]
    pub ack_token: Option<Bytes>,
    /// As in the record.
    #[n(3)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// As in the record.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Why it was refused or must be retried, for a person.
    #[n(5)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RecordOutcome {
    /// The outcome of a given record.
    pub fn of(record: &Record, outcome: Outcome, reason: Option<String>) -> Self {
        Self {
            outcome,
            message_id: record.message_id.clone(),
            ack_token: record.ack_token.clone(),
            position: record.position.clone(),
            partition: record.partition.clone(),
            reason,
        }
    }
}
