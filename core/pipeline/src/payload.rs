//! Reading the bytes of a record: size, text, nesting, JSON. Everything that a hostile or broken
//! sender can do to a payload is told apart here, before any mapping sees it.

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::limits::Limits;

/// Why a payload cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// Too long.
    #[error("cannot take a record of {bytes} bytes: at most {max}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The most that is taken.
        max: usize,
    },
    /// Not UTF-8.
    #[error("cannot read the record: byte {at} is not UTF-8; send UTF-8")]
    NotUtf8 {
        /// Place of the first wrong byte, from 0.
        at: usize,
    },
    /// Nested too deeply.
    #[error("cannot take a record nested deeper than {max} levels")]
    TooDeep {
        /// The most that is taken.
        max: u32,
    },
    /// The character NUL, which databases do not keep in text.
    #[error("cannot take the character NUL (\\u0000) at byte {at} of the record; leave it out")]
    Nul {
        /// Its place, from 0.
        at: usize,
    },
    /// Not JSON.
    #[error("cannot read the record as JSON: {problem}")]
    NotJson {
        /// What the parser says, with line and column.
        problem: String,
    },
    /// JSON, but no object.
    #[error("cannot take a record that is {what}: send a JSON object")]
    NotAnObject {
        /// What it is.
        what: &'static str,
    },
    /// The plug-in could not read it.
    #[error("the connector cannot read the record: {problem}")]
    Unreadable {
        /// In its words.
        problem: String,
    },
    /// More records than one request may have.
    #[error("cannot take {records} records in one request: at most {max}")]
    TooMany {
        /// How many came.
        records: usize,
        /// The most that are taken.
        max: usize,
    },
}

impl PayloadError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "GANTRY-R001",
            Self::NotUtf8 { .. } => "GANTRY-R002",
            Self::TooDeep { .. } => "GANTRY-R003",
            Self::Nul { .. } => "GANTRY-R004",
            Self::NotJson { .. } => "GANTRY-R005",
            Self::NotAnObject { .. } => "GANTRY-R006",
            Self::Unreadable { .. } => "GANTRY-R007",
            Self::TooMany { .. } => "GANTRY-R008",
        }
    }
}

/// Parses the payload of one record.
pub(crate) fn parse(payload: &[u8], limits: &Limits) -> Result<Value, PayloadError> {
    check_nesting(text(payload)?, limits.nesting_max)?;
    parse_entry(payload, limits)
}

/// Parses one of the records that [`split`] gave: its nesting is checked already.
pub(crate) fn parse_entry(payload: &[u8], limits: &Limits) -> Result<Value, PayloadError> {
    let max = limits.record_bytes_max;
    if payload.len() > max {
        return Err(PayloadError::TooLarge { bytes: payload.len(), max });
    }
    let value: Value = serde_json::from_str(text(payload)?).map_err(|error| not_json(&error))?;
    let what = match &value {
        Value::Object(_) => return Ok(value),
        Value::Array(_) => "a list",
        Value::String(_) => "text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a truth value",
        Value::Null => "null",
    };
    Err(PayloadError::NotAnObject { what })
}

/// Takes the body of a request apart that is a list of records; `None` if it is no list.
/// The records are slices of the body; nothing is copied.
pub(crate) fn split(body: &Bytes, limits: &Limits) -> Result<Option<Vec<Bytes>>, PayloadError> {
    let list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !list {
        return Ok(None);
    }
    let text = text(body)?;
    // Skipping a value recurses as parsing does, so the depth is checked before.
    check_nesting(text, limits.nesting_max + 1)?;
    let records: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let max = limits.request_records_max;
    if records.len() > max {
        return Err(PayloadError::TooMany { records: records.len(), max });
    }
    let slices = records.into_iter().map(|record| body.slice_ref(record.get().as_bytes()));
    Ok(Some(slices.collect()))
}

fn text(payload: &[u8]) -> Result<&str, PayloadError> {
    std::str::from_utf8(payload).map_err(|error| PayloadError::NotUtf8 { at: error.valid_up_to() })
}

fn not_json(error: &serde_json::Error) -> PayloadError {
    PayloadError::NotJson { problem: error.to_string() }
}

/// One pass over the bytes: depth of brackets outside text, and escaped NUL inside it. Says nothing
/// about whether it is JSON otherwise.
fn check_nesting(text: &str, max: u32) -> Result<(), PayloadError> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut in_text) = (0, 0_u32, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if in_text => {
                if bytes[at..].starts_with(b"\\u0000") {
                    return Err(PayloadError::Nul { at });
                }
                at += 1;
            }
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > max {
                    return Err(PayloadError::TooDeep { max });
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}
