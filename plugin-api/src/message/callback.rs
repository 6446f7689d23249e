//! The operation of the callback role.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::field;
use super::json::Json;
use crate::error::Error;

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
