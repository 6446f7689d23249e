//! The operation that recommends values to whoever writes the config.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::field;
use super::json::Json;
use super::lifecycle::RoleName;
use crate::error::Error;

/// Request of [`super::Opcode::Suggest`]: what could stand at a key?
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Suggest {
    /// The settings of which role; none = the configuration of the source.
    #[n(0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// What stands there so far, as JSON: what is missing or wrong in it is still being written.
    /// Secrets stand in place of their references.
    #[n(1)]
    #[cbor(with = "field::bytes")]
    #[serde(with = "field::json_value")]
    pub json: Bytes,
    /// The key that is being written: a dotted path (`tls.ca`).
    #[n(2)]
    pub field: String,
}

impl Suggest {
    /// A question about a key; `json` is what stands beside it so far.
    pub fn new(role: Option<RoleName>, json: impl Into<Bytes>, field: impl Into<String>) -> Self {
        Self { role, json: json.into(), field: field.into() }
    }

    /// Reads a key beside the one that is being written; none if it is not there or is no `T`.
    pub fn beside<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let mut all: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&self.json).ok()?;
        serde_json::from_value(all.remove(key)?).ok()
    }
}

/// A value that could stand at the key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Suggestion {
    /// The value, as JSON.
    #[n(0)]
    pub value: Json,
    /// What it is, in a few words.
    #[n(1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Suggestion {
    /// A text.
    pub fn text(value: impl Into<String>) -> Self {
        let value = serde_json::Value::from(value.into());
        Self { value: Json::from_bytes(value.to_string()), note: None }
    }

    /// Any value.
    ///
    /// # Errors
    /// Of class `permanent` if it has no JSON form.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, Error> {
        Ok(Self { value: Json::of(value)?, note: None })
    }

    /// Says what it is.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}
