//! Priority schemas: priority as a function of time.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::name::Name;
use crate::time::{Millis, ParseTimeError};

/// `[priority.NAME]`: priority as a function of time since the anchor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrioritySchema {
    /// The course up to the due date.
    #[serde(flatten)]
    pub shape: Shape,
    /// What happens after the due date; none = the shape goes on.
    #[serde(default)]
    pub overdue: Option<Overdue>,
    /// The curve runs in the business time of this calendar; none = in wall-clock time.
    #[serde(default)]
    pub calendar: Option<Name>,
    /// Where the curve starts.
    #[serde(default)]
    pub anchor: Anchor,
    /// Value at the anchor, in place of the shape's own; the shape's other values stand.
    #[serde(default)]
    pub start: Option<Bound>,
    /// Never below this.
    #[serde(default)]
    pub min: Option<Bound>,
    /// Never above this; it does not bound the overdue part, which has its own. Of an item whose
    /// expressions put it below the minimum, the minimum stands.
    #[serde(default)]
    pub max: Option<Bound>,
}

impl PrioritySchema {
    /// A schema of points in wall-clock time, without bounds, that stays flat after the last.
    pub const fn of_points(points: Vec<CurvePoint>) -> Self {
        Self {
            shape: Shape::Points(points),
            overdue: None,
            calendar: None,
            anchor: Anchor::Activation,
            start: None,
            min: None,
            max: None,
        }
    }
}

impl From<i64> for PointValue {
    fn from(points: i64) -> Self {
        Self::Points(points)
    }
}

/// The course of a schema up to the due date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Points on the curve, not falling in time, straight lines between them, flat after the
    /// last. At least one; the first counts from the anchor on. Two points at one time make a
    /// jump.
    Points(Vec<CurvePoint>),
    /// An initial value and what is added period by period.
    Increments(Increments),
}

/// `initial`, `increments` and `at_sla` of a schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Increments {
    /// Whole points at the anchor.
    pub initial: PointValue,
    /// One after the other; the last goes on for ever unless it says how long. What a bound cuts
    /// off is gone: a later fall begins at the bound.
    pub steps: Vec<Increment>,
    /// `true`: the value jumps at the end of each period; `false`: it climbs evenly.
    #[serde(default)]
    pub stepped: bool,
    /// Value from the due date on; none = what the steps give.
    #[serde(default)]
    pub at_sla: Option<PointValue>,
}

/// One row of `increments`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Increment {
    /// Whole points added, either sign …
    pub add: i64,
    /// … in each such period.
    pub every: Millis,
    /// For so long, then the next counts; none only for the last.
    #[serde(default)]
    pub lasts: Option<Span>,
}

/// A point on a priority curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// When.
    pub at: Span,
    /// The value.
    pub priority: PointValue,
}

/// A value on a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PointValue {
    /// Whole points, within ±1,000,000.
    Points(i64),
    /// A share of the way from the item's minimum to its maximum, 0 to 1000. An item without a
    /// minimum counts from 0, one without a maximum up to 1000 points.
    Range {
        /// Thousandths.
        permille: u16,
    },
}

/// Where a curve starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// The activation date if the item has one, else its capture.
    #[default]
    Activation,
    /// Its capture.
    Capture,
}

/// A bound of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Whole points, the same for all items.
    Points(i64),
    /// CEL over `item`, evaluated at classification.
    Expression(String),
}

/// A time since the anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// A share of the time from the anchor to the due date, in thousandths: 1000 = at SLA.
    /// For an item without a due date a point on a curve is never reached, unless it is 0, and
    /// a stage or preferred window is empty: nobody waits for a share of nothing.
    SlaPermille(u32),
    /// A duration: of a curve in the schema's own time, else in wall-clock time.
    Time(Millis),
    /// Until so long before the due date, whenever it began; without a due date as for a share.
    BeforeSla(Millis),
    /// A duration in the business time of the process's calendar; in a curve as `Time`.
    Business(Millis),
}

/// What happens after the due date: a jump, then a straight climb, with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overdue {
    /// Value at the due date; none = what the shape gives there.
    #[serde(default)]
    pub priority: Option<PointValue>,
    /// Whole points added …
    pub add: i64,
    /// … in each such period.
    pub every: Millis,
    /// Not above (or, for a falling curve, below) this; none = the range's end.
    pub max: Option<i64>,
}

/// How long an item may take. Text forms: `72h`, `72h business`, `3 workdays`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Sla {
    /// Wall-clock time.
    #[n(0)]
    Wall(#[n(0)] Millis),
    /// Business time of the process's calendar.
    #[n(1)]
    Business(#[n(0)] Millis),
    /// Working days of the process's calendar; the time of day is kept.
    #[n(2)]
    Workdays(#[n(0)] u32),
}

/// Why a text is no SLA.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseSlaError {
    /// Not a duration.
    #[error(transparent)]
    Duration(#[from] ParseTimeError),
    /// Not a number of working days.
    #[error("{0:?} is no number of working days: write a whole number, as in 3 workdays")]
    Workdays(String),
}

impl FromStr for Sla {
    type Err = ParseSlaError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let days = text.strip_suffix("workdays").or_else(|| text.strip_suffix("workday"));
        if let Some(days) = days {
            let days = days.trim();
            return match days.parse() {
                Ok(days) => Ok(Self::Workdays(days)),
                Err(_) => Err(ParseSlaError::Workdays(days.to_owned())),
            };
        }
        match text.strip_suffix("business") {
            Some(length) => Ok(Self::Business(length.trim().parse()?)),
            None => Ok(Self::Wall(text.trim().parse()?)),
        }
    }
}

impl fmt::Display for Sla {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wall(length) => write!(f, "{length}"),
            Self::Business(length) => write!(f, "{length} business"),
            Self::Workdays(days) => write!(f, "{days} workdays"),
        }
    }
}

impl Serialize for Sla {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sla {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
