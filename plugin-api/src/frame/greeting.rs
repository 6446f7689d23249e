//! The first two frames: who the plug-in is and what it speaks, and what was agreed on. Always
//! JSON, whatever the rest is in.

use serde::{Deserialize, Serialize};

use super::{PROTOCOL_MAX, PROTOCOL_MIN};

/// What the plug-in says first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hello {
    /// Lowest and highest version of the protocol that it speaks.
    pub protocol: (u32, u32),
    /// How it can take messages, the best first.
    #[serde(default = "cbor")]
    pub encodings: Vec<String>,
    /// The plug-in's name, as in its manifest.
    pub name: String,
    /// The plug-in's own version.
    pub version: String,
    /// Its process; absent if it does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// What it was made with, for people: `gantry-python 0.1.0`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sdk: String,
    /// Its manifest, if there is no other way to read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<serde_json::Value>,
}

/// What the hub answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Welcome {
    /// The version of the protocol to speak.
    pub protocol: u32,
    /// How messages are written from here on.
    pub encoding: Encoding,
    /// The hub's version, for people.
    pub hub: String,
    /// The most it may log: 0 (nothing) to 5 (trace).
    pub log_level: u8,
    /// The hub's time: Unix milliseconds. Each ping says it anew.
    pub now_ms: i64,
    /// A ping comes about every so many milliseconds.
    pub ping_every_ms: u32,
    /// A plug-in that has not answered a ping for so many milliseconds is ended.
    pub ping_timeout_ms: u32,
    /// The longest body of a frame, in bytes.
    pub body_max: u32,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// CBOR arrays with numbered places.
    #[default]
    Cbor,
    /// JSON objects with named fields.
    Json,
}

/// Why the two sides cannot talk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GreetingError {
    /// The body is no such JSON.
    #[error("cannot read the plug-in's hello")]
    Malformed(#[from] serde_json::Error),
    /// No version in common.
    #[error(
        "cannot talk to the plug-in: it speaks protocol {} to {}, the hub {PROTOCOL_MIN} to \
         {PROTOCOL_MAX}", .0.0, .0.1
    )]
    Protocol((u32, u32)),
    /// No encoding in common.
    #[error("cannot talk to the plug-in: it takes {0}, the hub gives cbor or json")]
    Encoding(String),
}

impl Hello {
    /// What a plug-in made with this crate says: CBOR, in this process.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            protocol: (PROTOCOL_MIN, PROTOCOL_MAX),
            encodings: cbor(),
            name: name.into(),
            version: version.into(),
            pid: Some(std::process::id()),
            sdk: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
            manifest: None,
        }
    }

    /// Reads a hello, and finds the version and the encoding to talk in: the highest in common, and
    /// the plug-in's first that is known.
    ///
    /// # Errors
    /// [`GreetingError`]: send it in a goodbye and close.
    pub fn read(body: &[u8]) -> Result<(Self, u32, Encoding), GreetingError> {
        let hello: Self = serde_json::from_slice(body)?;
        let version = hello.protocol.1.min(PROTOCOL_MAX);
        if version < hello.protocol.0.max(PROTOCOL_MIN) {
            return Err(GreetingError::Protocol(hello.protocol));
        }
        let known = |name: &String| match name.as_str() {
            "cbor" => Some(Encoding::Cbor),
            "json" => Some(Encoding::Json),
            _ => None,
        };
        let encoding = hello.encodings.iter().find_map(known);
        let encoding =
            encoding.ok_or_else(|| GreetingError::Encoding(hello.encodings.join(", ")))?;
        Ok((hello, version, encoding))
    }

    /// The JSON of the frame's body.
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: strings and numbers can be JSON")
    }
}

impl Welcome {
    /// What the hub agrees to; the log level is INFO, the time 1970.
    pub fn new(protocol: u32, encoding: Encoding, hub: impl Into<String>) -> Self {
        Self {
            protocol,
            encoding,
            hub: hub.into(),
            log_level: 3,
            now_ms: 0,
            ping_every_ms: 1_000,
            ping_timeout_ms: 10_000,
            body_max: super::BODY_MAX as u32,
        }
    }

    /// Reads a welcome.
    ///
    /// # Errors
    /// If it is no such JSON.
    pub fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// The JSON of the frame's body.
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: strings and numbers can be JSON")
    }
}

fn cbor() -> Vec<String> {
    vec!["cbor".to_owned()]
}
