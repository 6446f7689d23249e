//! The message of a log frame.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::message::Json;

/// A line for the hub's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(default)]
pub struct LogLine {
    /// The part of the plug-in that speaks; may be empty.
    #[n(0)]
    pub target: String,
    /// What happened.
    #[n(1)]
    pub message: String,
    /// What belongs to it: a JSON object.
    #[n(2)]
    pub fields: Json,
}
