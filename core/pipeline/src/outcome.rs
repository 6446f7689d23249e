//! How a record ended: accepted, filtered, refused or retry. There is no fifth way.

use std::borrow::Cow;

use gantry_model::ItemId;
use serde::Serialize;

/// How one record ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The source's own id, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// How it ended.
    #[serde(flatten)]
    pub settled: Settled,
}

/// The four ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Settled {
    /// Durable in the hub.
    Accepted {
        /// The item.
        item: ItemId,
        /// What it did.
        change: Change,
    },
    /// Not wanted; counted and nothing else.
    Filtered {
        /// The item it was about, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        item: Option<ItemId>,
        /// Why, readable.
        reason: Cow<'static, str>,
    },
    /// Not usable; its dead letter is durable.
    Refused {
        /// The stable code.
        code: &'static str,
        /// Why, readable.
        reason: String,
        /// Id of the dead letter.
        dead_letter: String,
    },
    /// Not settled: hand it over again.
    Retry {
        /// Why, readable.
        reason: String,
    },
}

/// What an accepted record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A new item.
    Created,
    /// New attributes.
    Updated,
    /// Nothing: the same message or content was there before.
    Repeat,
    /// Held, resumed, canceled, completed or restarted.
    Done,
}

impl Settled {
    /// `true` if the source may forget the record.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Retry { .. })
    }
}
