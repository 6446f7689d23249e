//! Durations as people write them: `"250ms"`, `"30s"`, `"1h30m"`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The units, largest first, each with its length in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A span of wall-clock time, whole milliseconds; the unit is part of the value, in TOML a string.
///
/// Numbers with a unit (`d`, `h`, `m`, `s`, `ms`) follow each other without spaces; `"0s"` is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(Duration);

/// Why a text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A number without unit, a unit without number, or an empty text.
    #[error("cannot read duration `{0}`: write numbers with units, such as `30s` or `1h30m`")]
    Syntax(String),
    /// A unit other than those of [`HumanDuration`].
    #[error("cannot read duration `{text}`: no unit `{unit}` (use d, h, m, s or ms)")]
    Unit {
        /// The whole text.
        text: String,
        /// The unit that is not known.
        unit: String,
    },
    /// More than 2^64 milliseconds.
    #[error("cannot read duration `{0}`: too long")]
    TooLong(String),
}

impl HumanDuration {
    /// Takes a duration; what is below a millisecond is cut off.
    pub const fn new(duration: Duration) -> Self {
        Self(Duration::from_millis(duration.as_millis() as u64))
    }

    /// A number of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A number of milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The duration as the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<HumanDuration> for Duration {
    fn from(value: HumanDuration) -> Self {
        value.0
    }
}

impl FromStr for HumanDuration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut rest = text;
        let mut total_ms: u64 = 0;
        while !rest.is_empty() || text.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at(letters);
            if number.is_empty() || unit.is_empty() {
                return Err(Error::Syntax(text.to_owned()));
            }
            let (_, unit_ms) = UNITS
                .into_iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(|| Error::Unit { text: text.to_owned(), unit: unit.to_owned() })?;
            total_ms = number
                .parse::<u64>()
                .ok()
                .and_then(|number| number.checked_mul(unit_ms))
                .and_then(|part| part.checked_add(total_ms))
                .ok_or_else(|| Error::TooLong(text.to_owned()))?;
            rest = after;
        }
        Ok(Self(Duration::from_millis(total_ms)))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis() as u64;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, unit_ms) in UNITS {
            if rest >= unit_ms {
                write!(f, "{}{name}", rest / unit_ms)?;
                rest %= unit_ms;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for HumanDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HumanDuration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([0-9]+(ms|d|h|m|s))+$",
            "x-gantry-type": "duration",
            "examples": ["250ms", "30s", "1h30m"],
        })
    }
}
