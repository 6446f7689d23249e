//! What crosses between the vendor's JSON and ours: times, and what settings may name.

use std::collections::BTreeMap;

use gantry_plugin_api::{Delivery, Error};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::config::Scalar;

/// The vendor writes times as `2026-01-02T03:04:05.000+0000`, which is no RFC 3339.
const FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.f%z";

/// Reads a time as the vendor writes it.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    // Most texts are no time, and most that are begin so.
    let looks_so = text.len() >= 24 && text.as_bytes().get(10) == Some(&b'T');
    looks_so.then(|| Timestamp::strptime(FORMAT, text).ok())?
}

/// Makes a record of the vendor's ours: without the notes on its type, times in RFC 3339.
pub(crate) fn tidied(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, _)| name != "attributes");
            Value::Object(kept.map(|(name, value)| (name, tidied(value))).collect())
        }
        Value::Array(values) => values.into_iter().map(tidied).collect(),
        Value::String(text) => match moment(&text) {
            Some(moment) => moment.to_string().into(),
            None => Value::String(text),
        },
        other => other,
    }
}

/// All that the settings of a callback may name.
pub(crate) struct Named(Map<String, Value>);

impl Named {
    pub(crate) fn of(delivery: &Delivery) -> Result<Self, Error> {
        Ok(Self(delivery.values()?))
    }

    /// The text itself, or the value it names.
    pub(crate) fn resolve(&self, text: &str) -> Value {
        match text.strip_prefix(':') {
            None => text.into(),
            Some(literal) if literal.starts_with(':') => literal.into(),
            Some(name) => self.0.get(name).cloned().unwrap_or_default(),
        }
    }

    /// The fields of a record.
    pub(crate) fn fields(&self, set: &BTreeMap<String, Scalar>) -> Map<String, Value> {
        let value = |scalar: &Scalar| match scalar {
            Scalar::Boolean(value) => (*value).into(),
            Scalar::Integer(value) => (*value).into(),
            Scalar::Number(value) => (*value).into(),
            Scalar::Text(text) => self.resolve(text),
        };
        set.iter().map(|(field, scalar)| (field.clone(), value(scalar))).collect()
    }
}
