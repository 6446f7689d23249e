//! Values while an expression is evaluated: borrowed from the record or item where possible.

use std::borrow::Cow;
use std::cmp::Ordering;

use gantry_model::attribute::TypeMismatch;
use gantry_model::{AttributeType, Decimal, Millis, Timestamp, Value};
use serde_json::Value as Json;

/// A value during evaluation.
#[derive(Clone, Debug)]
pub(crate) enum Val<'a> {
    /// Not there: an attribute without a value, a missing key, JSON `null`.
    Absent,
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    Text(Cow<'a, str>),
    Timestamp(Timestamp),
    Duration(Millis),
    /// A list or map of a record.
    Json(&'a Json),
    /// A list or map of an item.
    Attribute(&'a Value),
    /// A list made by the expression.
    List(Vec<Val<'a>>),
    /// A map made by the expression.
    Map(Vec<(Cow<'a, str>, Val<'a>)>),
}

/// Longest excerpt of a value in an error, in characters.
const EXCERPT_CHARS: usize = 60;

impl<'a> Val<'a> {
    pub(crate) fn from_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Absent,
            Json::Bool(truth) => Self::Boolean(*truth),
            Json::Number(number) => number.as_i64().map_or_else(
                || {
                    let text = number.to_string();
                    text.parse().map_or(Self::Text(text.into()), Self::Decimal)
                },
                Self::Integer,
            ),
            Json::String(text) => Self::Text(text.as_str().into()),
            Json::Array(_) | Json::Object(_) => Self::Json(json),
        }
    }

    pub(crate) fn from_value(value: &'a Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.as_str().into()),
            Value::Integer(number) => Self::Integer(*number),
            Value::Decimal(number) => Self::Decimal(*number),
            Value::Boolean(truth) => Self::Boolean(*truth),
            Value::Timestamp(at) => Self::Timestamp(*at),
            Value::List(_) | Value::Map(_) => Self::Attribute(value),
        }
    }

    /// The same value, borrowed from this one.
    pub(crate) fn borrowed(&self) -> Val<'_> {
        match self {
            Self::Text(text) => Val::Text(Cow::Borrowed(text)),
            other => other.clone(),
        }
    }

    /// Name of the value's type, with its article left out.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Decimal(_) => "decimal",
            Self::Text(_) => "text",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::Json(Json::Array(_)) | Self::Attribute(Value::List(_)) | Self::List(_) => "list",
            Self::Json(_) | Self::Attribute(_) | Self::Map(_) => "map",
        }
    }

    /// Type and value, shortened, for an error.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Absent => "nothing".into(),
            _ => format!("{} {}", self.type_name(), self.excerpt()),
        }
    }

    pub(crate) fn excerpt(&self) -> String {
        let json = match self {
            Self::Duration(span) => Json::from(span.to_string()),
            _ => self.clone().into_untyped().map_or(Json::Null, |v| v.to_json()),
        };
        json.to_string().chars().take(EXCERPT_CHARS).collect()
    }

    /// Whether two values are equal; `None` if their types cannot be compared.
    /// What is absent equals nothing.
    pub(crate) fn equals(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Absent, _) | (_, Self::Absent) => Some(false),
            (Self::Text(a), Self::Text(b)) => Some(a == b),
            (Self::Boolean(a), Self::Boolean(b)) => Some(a == b),
            _ => match self.type_name() {
                "list" | "map" if self.type_name() == other.type_name() => {
                    Some(self.clone().into_untyped() == other.clone().into_untyped())
                }
                _ => self.order(other).map(Ordering::is_eq),
            },
        }
    }

    /// The order of two values; `None` if their types have no common order.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Integer(a), Self::Decimal(b)) => Decimal::new(*a, 0).cmp(b),
            (Self::Decimal(a), Self::Integer(b)) => a.cmp(&Decimal::new(*b, 0)),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.cmp(b),
            (Self::Duration(a), Self::Duration(b)) => a.cmp(b),
            _ => return None,
        })
    }

    /// The member of a map, or nothing; `None` if this is no map.
    pub(crate) fn field(&self, name: &str) -> Option<Val<'a>> {
        match self {
            Self::Absent => Some(Val::Absent),
            Self::Json(Json::Object(map)) => {
                Some(map.get(name).map_or(Val::Absent, Val::from_json))
            }
            Self::Attribute(Value::Map(map)) => {
                Some(map.get(name).map_or(Val::Absent, Val::from_value))
            }
            Self::Map(entries) => {
                let found = entries.iter().find(|(key, _)| key == name);
                Some(found.map_or(Val::Absent, |(_, value)| value.clone()))
            }
            _ => None,
        }
    }

    /// The elements of a list or the keys of a map; `None` if this is neither.
    pub(crate) fn elements(&self) -> Option<Vec<Val<'a>>> {
        Some(match self {
            Self::Absent => Vec::new(),
            Self::Json(Json::Array(list)) => list.iter().map(Val::from_json).collect(),
            Self::Json(Json::Object(map)) => {
                map.keys().map(|key| Val::Text(key.as_str().into())).collect()
            }
            Self::Attribute(Value::List(list)) => list.iter().map(Val::from_value).collect(),
            Self::Attribute(Value::Map(map)) => {
                map.keys().map(|key| Val::Text(key.as_str().into())).collect()
            }
            Self::List(list) => list.clone(),
            Self::Map(entries) => entries.iter().map(|(key, _)| Val::Text(key.clone())).collect(),
            _ => return None,
        })
    }

    /// How many characters, elements or keys; `None` if this has no size.
    pub(crate) fn size(&self) -> Option<usize> {
        Some(match self {
            Self::Text(text) => text.chars().count(),
            Self::Json(Json::Array(list)) => list.len(),
            Self::Json(Json::Object(map)) => map.len(),
            Self::Attribute(Value::List(list)) => list.len(),
            Self::Attribute(Value::Map(map)) => map.len(),
            Self::List(list) => list.len(),
            Self::Map(entries) => entries.len(),
            _ => return None,
        })
    }

    /// The attribute value of the declared type, or `None` for nothing.
    ///
    /// Reads as [`Value::from_json`] does: numbers from text and numbers as text are taken,
    /// because many sources send every field as a string.
    pub(crate) fn into_value(self, kind: &AttributeType) -> Result<Option<Value>, TypeMismatch> {
        let value = match (kind, self) {
            (_, Self::Absent) => return Ok(None),
            (AttributeType::Text, Self::Text(text)) => Ok(Value::Text(text.into_owned())),
            (AttributeType::Text, Self::Integer(number)) => Ok(Value::Text(number.to_string())),
            (AttributeType::Text, Self::Decimal(number)) => Ok(Value::Text(number.to_string())),
            (AttributeType::Integer, Self::Integer(number)) => Ok(Value::Integer(number)),
            (AttributeType::Integer, Self::Text(text)) => {
                text.parse().map(Value::Integer).map_err(|_| Self::Text(text))
            }
            (AttributeType::Decimal, Self::Decimal(number)) => Ok(Value::Decimal(number)),
            (AttributeType::Decimal, Self::Integer(number)) => {
                Ok(Value::Decimal(Decimal::new(number, 0)))
            }
            (AttributeType::Decimal, Self::Text(text)) => {
                text.parse().map(Value::Decimal).map_err(|_| Self::Text(text))
            }
            (AttributeType::Boolean, Self::Boolean(truth)) => Ok(Value::Boolean(truth)),
            (AttributeType::Timestamp, Self::Timestamp(at)) => Ok(Value::Timestamp(at)),
            (AttributeType::Timestamp, Self::Text(text)) => {
                text.parse().map(Value::Timestamp).map_err(|_| Self::Text(text))
            }
            (AttributeType::Enumeration(labels), Self::Text(text))
                if labels.iter().any(|label| *label == text) =>
            {
                Ok(Value::Text(text.into_owned()))
            }
            (AttributeType::List, this) if this.type_name() == "list" => {
                return Ok(this.into_untyped());
            }
            (AttributeType::Map, this) if this.type_name() == "map" => {
                return Ok(this.into_untyped());
            }
            (_, other) => Err(other),
        };
        value
            .map(Some)
            .map_err(|other| TypeMismatch { expected: kind.label(), got: other.excerpt() })
    }

    /// The attribute value by the value's own type, or `None` for nothing.
    pub(crate) fn into_untyped(self) -> Option<Value> {
        Some(match self {
            Self::Absent => return None,
            Self::Boolean(truth) => Value::Boolean(truth),
            Self::Integer(number) => Value::Integer(number),
            Self::Decimal(number) => Value::Decimal(number),
            Self::Text(text) => Value::Text(text.into_owned()),
            Self::Timestamp(at) => Value::Timestamp(at),
            Self::Duration(span) => Value::Text(span.to_string()),
            Self::Json(json) => Value::from_untyped(json),
            Self::Attribute(value) => value.clone(),
            Self::List(list) => {
                Value::List(list.into_iter().filter_map(Val::into_untyped).collect())
            }
            Self::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.into_owned(), value.into_untyped()?)))
                    .collect(),
            ),
        })
    }
}
