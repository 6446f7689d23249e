//! The operation of the callback role.

use jiff::Timestamp;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::field;
use super::json::Json;
use crate::error::{Error, ErrorClass};

/// One life-cycle event on its way to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Delivery {
    /// The same on every retry: subscriber, item and sequence. The other side drops a repeat by it.
    #[n(0)]
    pub idempotency_key: String,
    /// What happened: `captured`, `assigned`, `completed`, …
    #[n(1)]
    pub event: String,
    /// The hub's id of the work item.
    #[n(2)]
    #[serde(with = "field::text_u64")]
    pub item_id: u64,
    /// The source's id of the work item.
    #[n(3)]
    pub external_id: String,
    /// Where the item entered.
    #[n(4)]
    pub capture_point: String,
    /// When it happened: Unix time in milliseconds.
    #[n(5)]
    pub occurred_at_ms: i64,
    /// Number of the event in the life of the item, rising; gaps are events not subscribed to.
    #[n(6)]
    pub sequence: u64,
    /// 1 on the first try.
    #[n(7)]
    pub attempt: u32,
    /// What belongs to the event, such as agent and disposition: a JSON object.
    #[n(8)]
    pub details: Json,
    /// The item's attributes at the event: a JSON object.
    #[n(9)]
    pub attributes: Json,
    /// W3C trace context.
    #[n(10)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Delivery {
    /// A first try at time 0 with empty details and attributes; set the other fields.
    pub fn new(
        idempotency_key: impl Into<String>,
        event: impl Into<String>,
        item_id: u64,
        external_id: impl Into<String>,
    ) -> Self {
        Self {
            idempotency_key: idempotency_key.into(),
            event: event.into(),
            item_id,
            external_id: external_id.into(),
            capture_point: String::new(),
            occurred_at_ms: 0,
            sequence: 0,
            attempt: 1,
            details: Json::default(),
            attributes: Json::default(),
            traceparent: None,
        }
    }

    /// All that an operator's settings may name: what the delivery says itself comes before
    /// details, those before attributes.
    ///
    /// Its own are `external_id`, `event`, `occurred_at` (RFC 3339, UTC), `occurred_at_ms`,
    /// `item_id` (text, as it may be too large for a JSON number), `capture_point`, `sequence` and
    /// `idempotency_key`.
    ///
    /// # Errors
    /// Of class `permanent` if details or attributes are no JSON objects, or the time is none.
    pub fn values(&self) -> Result<Map<String, Value>, Error> {
        let mut values: Map<String, Value> = self.attributes.parse()?;
        values.append(&mut self.details.parse()?);
        let own: [(&str, Value); 8] = [
            ("external_id", self.external_id.clone().into()),
            ("event", self.event.clone().into()),
            ("occurred_at", self.occurred_at()?.to_string().into()),
            ("occurred_at_ms", self.occurred_at_ms.into()),
            ("item_id", self.item_id.to_string().into()),
            ("capture_point", self.capture_point.clone().into()),
            ("sequence", self.sequence.into()),
            ("idempotency_key", self.idempotency_key.clone().into()),
        ];
        values.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Ok(values)
    }

    /// When it happened.
    ///
    /// # Errors
    /// Of class `permanent` if it is no time that a calendar has.
    pub fn occurred_at(&self) -> Result<Timestamp, Error> {
        Timestamp::from_millisecond(self.occurred_at_ms)
            .map_err(|error| Error::permanent("cannot read the time of the event").because(&error))
    }
}

/// How one delivery ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// The other side has it.
    #[n(0)]
    Done,
    /// The other side had it already (a repeat); counts as done.
    #[n(1)]
    AlreadyDone,
    /// Not now; the class of the error says when to try again.
    #[n(2)]
    Retry(#[n(0)] Error),
    /// Never; the delivery becomes a dead letter, and later ones for the same item wait for it.
    #[n(3)]
    Refused(#[n(0)] Error),
}

/// What the other side will never take is refused; all else is tried again when its class says so.
impl From<Error> for DeliveryOutcome {
    fn from(error: Error) -> Self {
        match error.class() {
            ErrorClass::Permanent | ErrorClass::Conflict | ErrorClass::Gone => Self::Refused(error),
            _ => Self::Retry(error),
        }
    }
}
