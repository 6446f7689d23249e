//! Moments as people write them: `"2026-01-31"`, `"2026-01-31T12:00:00Z"`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A day of some month, and perhaps a time with an offset.
const PATTERN: &str = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\
    ([Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?([Zz]|[+-][0-9]{2}(:[0-9]{2})?))?$";

/// A moment: a day, which begins at midnight in UTC, or RFC 3339 with an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanMoment(Timestamp);

/// A text is no moment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "cannot read moment `{0}`: write a day (`2026-01-31`, midnight in UTC) or RFC 3339 \
     (`2026-01-31T12:00:00Z`)"
)]
pub struct NoMoment(String);

impl HumanMoment {
    /// Takes a moment.
    pub const fn new(moment: Timestamp) -> Self {
        Self(moment)
    }

    /// The moment.
    pub const fn get(self) -> Timestamp {
        self.0
    }
}

impl FromStr for HumanMoment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        // A date would take no notice of a time after it: one without an offset is no moment.
        let day = Some(text).filter(|text| text.len() == "2026-01-31".len());
        let day = day.and_then(|day| day.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok());
        let moment = text.parse().ok().or_else(|| day.map(|day| day.timestamp()));
        moment.map(Self).ok_or_else(|| NoMoment(text.to_owned()))
    }
}

impl fmt::Display for HumanMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for HumanMoment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for HumanMoment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for HumanMoment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HumanMoment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": PATTERN,
            "x-gantry-type": "moment",
            "examples": ["2026-01-31", "2026-01-31T12:00:00Z"],
        })
    }
}
