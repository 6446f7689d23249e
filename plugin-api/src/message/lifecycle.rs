//! The operations of an instance's life: validate, create, attach, drain.

use std::fmt;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::field;

/// A mistake in a configuration, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ConfigFault {
    /// Dotted path of the key (`tls.ca`, `columns[2]`); empty for the whole.
    #[n(0)]
    #[serde(default)]
    pub path: String,
    /// What is wrong and what to write instead: lower case, no full stop.
    #[n(1)]
    pub message: String,
}

impl ConfigFault {
    /// A fault at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "`{path}`: {}", self.message),
        }
    }
}

/// A role by name.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    Serialize,
    Deserialize
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Gets records out of a source.
    #[n(0)]
    Capture,
    /// Answers questions about an item.
    #[n(1)]
    Lookup,
    /// Tells a source what happened.
    #[n(2)]
    Callback,
}

impl RoleName {
    /// The word for it in the configuration and in errors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Lookup => "lookup",
            Self::Callback => "callback",
        }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Request of [`super::Opcode::Validate`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Validate {
    /// The settings of which role; none = the configuration of the source.
    #[n(0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// JSON, with secrets in place of their references.
    #[n(1)]
    #[cbor(with = "field::bytes")]
    #[serde(with = "field::json_value")]
    pub json: Bytes,
}

/// Request of [`super::Opcode::Create`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Create {
    /// The operator's name of the source.
    #[n(0)]
    pub name: String,
    /// Its configuration as JSON, with secrets in place of their references.
    #[n(1)]
    #[cbor(with = "field::bytes")]
    #[serde(with = "field::json_value")]
    pub config: Bytes,
}

/// Request of [`super::Opcode::Attach`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Attach {
    /// The instance to attach to.
    #[n(0)]
    pub instance: u64,
    /// Which of its roles.
    #[n(1)]
    pub role: RoleName,
    /// The operator's name of the capture point, look-up or callback.
    #[n(2)]
    pub name: String,
    /// Its settings as JSON, with secrets in place of their references.
    #[n(3)]
    #[cbor(with = "field::bytes")]
    #[serde(with = "field::json_value")]
    pub settings: Bytes,
}

/// Request of [`super::Opcode::Drain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Drain {
    /// So much time is left for it, in milliseconds.
    #[n(0)]
    pub deadline_ms: u64,
}
