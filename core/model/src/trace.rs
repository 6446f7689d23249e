//! Trace context: which of a caller's traces a record belongs to, from the source through look-ups
//! to callbacks.
//!
//! Source: W3C Trace Context, 2021-11-23, section 3.2, <https://www.w3.org/TR/trace-context/>.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

#[cfg(test)]
mod tests;

/// A `traceparent` of version 00: 55 characters that name a trace and the span that asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TraceParent(Box<str>);

impl TraceParent {
    /// Reads what a caller sent; `None` if it says nothing, which is all that may be done with what
    /// is malformed. What a later version says is read as far as version 00 goes, and sent on as
    /// that.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut hex = |len: usize| parts.next().filter(|part| is_hex(part, len));
        let (version, trace, parent, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        if version == "ff" || zero(trace) || zero(parent) {
            return None;
        }
        if version == "00" {
            // Of version 00, that is all there may be.
            return parts.next().is_none().then(|| Self(text.into()));
        }
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1;
        Some(Self(format!("00-{trace}-{parent}-{sampled:02x}").into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lower case only: the specification wants others to be taken for malformed.
fn is_hex(part: &str, len: usize) -> bool {
    part.len() == len && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("malformed trace context"))
    }
}
