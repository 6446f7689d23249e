//! Attributes: their types, their values, and the core and extended ones that every item may have.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::time::Timestamp;

/// The type that an attribute is declared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeType {
    /// Unicode text.
    Text,
    /// 64-bit signed integer.
    Integer,
    /// Exact decimal number.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// An instant, RFC 3339.
    Timestamp,
    /// One of the listed labels.
    Enumeration(Vec<String>),
    /// A list of any values.
    List,
    /// A map from text to any values.
    Map,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, and the label of an enumeration.
    Text(String),
    /// Integer.
    Integer(i64),
    /// Exact decimal.
    Decimal(Decimal),
    /// Truth value.
    Boolean(bool),
    /// Instant.
    Timestamp(Timestamp),
    /// List.
    List(Vec<Value>),
    /// Map.
    Map(BTreeMap<String, Value>),
}

/// An exact decimal: `unscaled` / 10^`scale`, at most 18 digits, scale at most 18.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    unscaled: i64,
    scale: u8,
}

/// Decimals of a quotient.
pub const QUOTIENT_SCALE: u8 = 9;

/// A value that does not have the declared type.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected {expected}, got {got}")]
pub struct TypeMismatch {
    /// The declared type in words.
    pub expected: String,
    /// The value as it came, shortened.
    pub got: String,
}

/// Longest excerpt of a wrong value in an error, in characters.
const EXCERPT_CHARS: usize = 60;

impl AttributeType {
    /// The type in words, as errors show it.
    pub fn label(&self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Integer => "integer".into(),
            Self::Decimal => "decimal".into(),
            Self::Boolean => "boolean".into(),
            Self::Timestamp => "timestamp (RFC 3339)".into(),
            Self::Enumeration(labels) => format!("one of {}", labels.join(", ")),
            Self::List => "list".into(),
            Self::Map => "map".into(),
        }
    }
}

impl Value {
    /// Reads a JSON value as the declared type. JSON `null` is for the caller: it means absent.
    ///
    /// Integers and decimals are also read from text, and numbers as text stay text, because many
    /// sources send every field as a string.
    ///
    /// # Errors
    /// [`TypeMismatch`] if the value cannot be read as that type without loss.
    pub fn from_json(json: &serde_json::Value, kind: &AttributeType) -> Result<Self, TypeMismatch> {
        use serde_json::Value as Json;
        let value = match (kind, json) {
            (AttributeType::Text, Json::String(text)) => Some(Self::Text(text.clone())),
            (AttributeType::Text, Json::Number(number)) => Some(Self::Text(number.to_string())),
            (AttributeType::Integer, Json::Number(number)) => number.as_i64().map(Self::Integer),
            (AttributeType::Integer, Json::String(text)) => text.parse().ok().map(Self::Integer),
            (AttributeType::Decimal, Json::Number(number)) => {
                number.to_string().parse().ok().map(Self::Decimal)
            }
            (AttributeType::Decimal, Json::String(text)) => text.parse().ok().map(Self::Decimal),
            (AttributeType::Boolean, Json::Bool(truth)) => Some(Self::Boolean(*truth)),
            (AttributeType::Timestamp, Json::String(text)) => {
                text.parse().ok().map(Self::Timestamp)
            }
            (AttributeType::Enumeration(labels), Json::String(text)) if labels.contains(text) => {
                Some(Self::Text(text.clone()))
            }
            (AttributeType::List, Json::Array(_)) | (AttributeType::Map, Json::Object(_)) => {
                Some(Self::from_untyped(json))
            }
            _ => None,
        };
        value.ok_or_else(|| TypeMismatch {
            expected: kind.label(),
            got: json.to_string().chars().take(EXCERPT_CHARS).collect(),
        })
    }

    /// Reads a JSON value by its own type: for undeclared attributes and inside lists and maps.
    /// `null` inside a list or map becomes empty text.
    pub fn from_untyped(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Text(String::new()),
            Json::Bool(truth) => Self::Boolean(*truth),
            Json::Number(number) => number.as_i64().map_or_else(
                || {
                    let text = number.to_string();
                    text.parse().map_or(Self::Text(text), Self::Decimal)
                },
                Self::Integer,
            ),
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(values) => Self::List(values.iter().map(Self::from_untyped).collect()),
            Json::Object(map) => {
                Self::Map(map.iter().map(|(k, v)| (k.clone(), Self::from_untyped(v))).collect())
            }
        }
    }

    /// The value as JSON. Decimals become text, so that no reader rounds them.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Integer(number) => (*number).into(),
            Self::Decimal(number) => number.to_string().into(),
            Self::Boolean(truth) => (*truth).into(),
            Self::Timestamp(at) => at.to_string().into(),
            Self::List(values) => values.iter().map(Self::to_json).collect(),
            Self::Map(map) => map
                .iter()
                .map(|(k, v)| (k.clone(), v.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Decimal(number) => serializer.collect_str(number),
            Self::Boolean(truth) => serializer.serialize_bool(*truth),
            Self::Timestamp(at) => at.serialize(serializer),
            Self::List(values) => values.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl Decimal {
    /// `unscaled` / 10^`scale`; the scale is at most 18.
    pub fn new(unscaled: i64, scale: u8) -> Self {
        Self { unscaled, scale: scale.min(18) }
    }

    /// The nearest binary floating point number.
    pub fn to_f64(self) -> f64 {
        self.unscaled as f64 / 10f64.powi(i32::from(self.scale))
    }

    /// The exact sum, if it has at most 18 digits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        Self::fitted(self.scaled_to(scale) + other.scaled_to(scale), scale)
    }

    /// The exact difference, if it has at most 18 digits.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        Self::fitted(self.scaled_to(scale) - other.scaled_to(scale), scale)
    }

    /// The exact product, if it has at most 18 digits.
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let product = i128::from(self.unscaled) * i128::from(other.unscaled);
        Self::fitted(product, self.scale + other.scale)
    }

    /// The quotient rounded to [`QUOTIENT_SCALE`] decimals, halves away from zero; `None` if
    /// `other` is zero or the quotient is too large.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        let power = u32::from(QUOTIENT_SCALE + other.scale);
        let dividend = i128::from(self.unscaled).checked_mul(10i128.checked_pow(power)?)?;
        let divisor = i128::from(other.unscaled) * 10i128.pow(u32::from(self.scale));
        let quotient = dividend.checked_div(divisor)?;
        let rest = (dividend % divisor).abs();
        let away = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
        let rounded = quotient + if rest * 2 >= divisor.abs() { away } else { 0 };
        Self::fitted(rounded, QUOTIENT_SCALE)
    }

    /// The whole part: towards zero.
    pub fn trunc(self) -> i64 {
        self.unscaled / 10i64.pow(u32::from(self.scale))
    }

    fn scaled_to(self, scale: u8) -> i128 {
        i128::from(self.unscaled) * 10i128.pow(u32::from(scale - self.scale))
    }

    /// Drops zeros at the end until the number fits.
    fn fitted(mut unscaled: i128, mut scale: u8) -> Option<Self> {
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        let unscaled = i64::try_from(unscaled).ok()?;
        (scale <= 18).then_some(Self { unscaled, scale })
    }

    fn widened(self) -> i128 {
        i128::from(self.unscaled) * 10i128.pow(18 - u32::from(self.scale))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.widened() == other.widened()
    }
}

impl Eq for Decimal {}

impl std::hash::Hash for Decimal {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.widened().hash(state);
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.widened().cmp(&other.widened())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let digits = self.unscaled.unsigned_abs();
        let power = 10u64.pow(u32::from(self.scale));
        if self.scale == 0 {
            write!(f, "{sign}{digits}")
        } else {
            let width = usize::from(self.scale);
            write!(f, "{sign}{}.{:0width$}", digits / power, digits % power)
        }
    }
}

impl FromStr for Decimal {
    type Err = TypeMismatch;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || TypeMismatch { expected: "decimal".into(), got: text.into() };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        if unsigned.is_empty()
            || fraction.len() > 18
            || !all_digits(unsigned)
            || !all_digits(fraction)
        {
            return Err(error());
        }
        let unscaled = format!("{whole}{fraction}").parse().map_err(|_| error())?;
        Ok(Self { unscaled, scale: fraction.len() as u8 })
    }
}

/// Core and extended attributes that a source may set, with their types, sorted by name.
///
/// Custom attributes are declared in the config beside these.
pub const SETTABLE: &[(&str, AttributeType)] = &[
    ("activation_at", AttributeType::Timestamp),
    ("business_value", AttributeType::Integer),
    ("category", AttributeType::Text),
    ("channel", AttributeType::Text),
    ("created_at", AttributeType::Timestamp),
    ("customer_id", AttributeType::Text),
    ("customer_segment", AttributeType::Text),
    ("deal_value", AttributeType::Decimal),
    ("department", AttributeType::Text),
    ("due_at", AttributeType::Timestamp),
    ("expires_at", AttributeType::Timestamp),
    ("external_id", AttributeType::Text),
    ("media_type", AttributeType::Text),
    ("name", AttributeType::Text),
    ("preferred_agent", AttributeType::Text),
    ("priority", AttributeType::Integer),
    ("process", AttributeType::Text),
    ("product", AttributeType::Text),
    ("requested_group", AttributeType::Text),
    ("requested_skill", AttributeType::Text),
    ("required_agent", AttributeType::Text),
    ("result_code", AttributeType::Text),
    ("source_created_at", AttributeType::Timestamp),
    ("source_due_at", AttributeType::Timestamp),
    ("source_first_created_at", AttributeType::Timestamp),
    ("source_process", AttributeType::Text),
    ("source_subprocess", AttributeType::Text),
    ("source_tenant", AttributeType::Text),
    ("source_url", AttributeType::Text),
    ("subproduct", AttributeType::Text),
];

/// When the hub captured the item: kept with its attributes where the config names it, and set by
/// nobody else.
pub const CAPTURED_AT: &str = "captured_at";

/// The type of a core or extended attribute, if `name` is one.
pub fn settable(name: &str) -> Option<&'static AttributeType> {
    SETTABLE.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|at| &SETTABLE[at].1)
}
