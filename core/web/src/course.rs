//! The course of a priority over time, for drawing: exact values of the engine's own function, at
//! evenly spaced instants and wherever the course changes.
//!
//! Nothing is asked of the live state: priority is a function of item, config and time.

use std::sync::Arc;

use gantry_hub::{CourseKind, State};
use gantry_model::calendar::{Calendar, CalendarError, WorkingTimeError};
use gantry_model::item::PriorityBounds;
use gantry_model::priority::Priority;
use gantry_model::spec::{RoutingSpec, Sla};
use gantry_model::{Classification, ItemId, Millis, Name, Timestamp, WorkItem};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most evenly spaced instants of one course.
pub const SAMPLES_MAX: u32 = 10_000;
/// The kind of an evenly spaced instant.
const SAMPLE: &str = "sample";
/// How long a course is shown that has neither due date nor end.
const HORIZON: Millis = Millis::from_secs(72 * 3600);
/// The course is shown beyond the due date, or now, by this part of what comes before it.
const BEYOND: i64 = 4;

/// A course, from an instant to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// The item, unless it is the course of a schema alone.
    pub item: Option<ItemId>,
    /// The schema; none = a constant from the source.
    pub schema: Option<Name>,
    /// Points by hand or escalation, which are in the values.
    pub boost: i64,
    /// Where the curve starts.
    pub anchor_at: Timestamp,
    /// Where the SLA ends.
    pub due_at: Option<Timestamp>,
    /// The instant of the question; what comes later has not happened yet. Of a schema: its start.
    pub now: Timestamp,
    /// Begin of what is shown.
    pub from: Timestamp,
    /// End of what is shown.
    pub to: Timestamp,
    /// In the order of time; between two of them the course is straight. Two at one instant make
    /// a jump: the value before, the value from then on.
    pub points: Vec<Point>,
    /// `true` if the course changes more often than is told.
    pub cut: bool,
}

/// The value at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// Whole points, as lists show them.
    pub priority: i64,
    /// The exact value as a decimal number.
    pub exact: String,
    /// What happens here: `begin`, `bend`, `jump`, `due`, `closes` and `opens` (the calendar),
    /// `end`; or `sample`, one of the evenly spaced instants.
    pub kind: String,
}

/// What is shown of a course.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// Begin; none = the anchor.
    pub from: Option<Timestamp>,
    /// End; none = somewhat after the due date and now.
    pub to: Option<Timestamp>,
    /// How many evenly spaced instants, up to [`SAMPLES_MAX`]; 0 = changes only.
    pub samples: u32,
}

/// An item that exists only to draw a schema.
#[derive(Clone, Debug)]
pub struct Example {
    /// The schema.
    pub schema: Name,
    /// Where its curve starts.
    pub anchor_at: Timestamp,
    /// How long it may take; none = it has no due date.
    pub sla: Option<Sla>,
    /// What the schema's expressions would say.
    pub bounds: PriorityBounds,
}

/// Why a course cannot be shown.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CourseError {
    /// The config has no such schema.
    #[error("{0}")]
    UnknownSchema(String),
    /// The window is empty.
    #[error("show a course from {from} to {to}: it has to end after it begins")]
    Empty {
        /// Begin.
        from: Timestamp,
        /// End.
        to: Timestamp,
    },
    /// Too many instants.
    #[error("show a course at {0} instants: {SAMPLES_MAX} are the most")]
    Samples(u32),
    /// Business time without a calendar.
    #[error("add {sla} to the start: schema {schema:?} names no calendar; give a plain duration")]
    NoCalendar {
        /// The SLA.
        sla: Sla,
        /// The schema.
        schema: Name,
    },
    /// The calendar is none.
    #[error("build the calendar of schema {schema:?}")]
    Calendar {
        /// The schema.
        schema: Name,
        /// What is wrong with it.
        #[source]
        source: CalendarError,
    },
    /// The due date lies outside the calendar.
    #[error("add {sla} to the start")]
    Sla {
        /// The SLA.
        sla: Sla,
        /// Why there is no such instant.
        #[source]
        source: WorkingTimeError,
    },
}

impl Example {
    /// The item.
    ///
    /// # Errors
    /// [`CourseError`] if there is no such schema, or no such due date.
    pub fn item(&self, routing: &RoutingSpec) -> Result<WorkItem, CourseError> {
        let Self { schema, anchor_at, sla, bounds } = self;
        if !routing.priorities.contains_key(schema) {
            let text = crate::profile::unknown("schema", schema, routing.priorities.keys());
            return Err(CourseError::UnknownSchema(text));
        }
        let class = Classification {
            version: 0,
            rules: Vec::new(),
            process: routing.default_process.clone(),
            schema: schema.clone(),
            sla: *sla,
            requirement: None,
            media_type: Name::new(gantry_model::agent::DEFAULT_MEDIA_TYPE),
            flow: None,
        };
        let mut item = WorkItem::new(ItemId::new(0, 0), Name::default(), *anchor_at);
        item.class = Some(Arc::new(class));
        item.bounds = Some(Box::new(*bounds));
        item.due_at = sla.map(|sla| self.due(routing, sla)).transpose()?;
        Ok(item)
    }

    fn due(&self, routing: &RoutingSpec, sla: Sla) -> Result<Timestamp, CourseError> {
        let Self { schema, anchor_at, .. } = self;
        let calendar = || {
            let name = routing.priorities[schema].calendar.as_ref();
            let spec = name.and_then(|name| routing.calendars.get(name));
            let spec = spec.ok_or(CourseError::NoCalendar { sla, schema: schema.clone() })?;
            Calendar::new(spec)
                .map_err(|source| CourseError::Calendar { schema: schema.clone(), source })
        };
        let due = match sla {
            Sla::Wall(length) => Ok(anchor_at.plus(length)),
            Sla::Business(length) => calendar()?.add(*anchor_at, length),
            Sla::Workdays(days) => calendar()?.add_days(*anchor_at, days),
        };
        due.map_err(|source| CourseError::Sla { sla, source })
    }
}

/// The course of an item's priority, as the config has it now.
///
/// # Errors
/// [`CourseError::Empty`] and [`CourseError::Samples`].
pub fn course(
    routing: &Arc<RoutingSpec>,
    item: &WorkItem,
    window: Window,
    now: Timestamp,
) -> Result<Course, CourseError> {
    if window.samples > SAMPLES_MAX {
        return Err(CourseError::Samples(window.samples));
    }
    let config = Some((1, Arc::clone(routing)));
    let state = State::from_facts(0, 1, config, [], [], Timestamp::default());
    let anchor_at = item.anchor_at;
    let from = window.from.unwrap_or(anchor_at);
    let end = item.due_at.unwrap_or(anchor_at.plus(HORIZON)).max(now).max(from);
    let beyond = Millis((end.since(from).0 / BEYOND).max(1));
    let to = window.to.unwrap_or(end.plus(beyond));
    if to <= from {
        return Err(CourseError::Empty { from, to });
    }
    let drawn = state.course(item, from, to);
    let changes = drawn.points.iter().map(|point| Point::new(point.at, point.priority, point.kind));
    let mut points: Vec<_> = changes.collect();
    points.extend(spread(from, to, window.samples).map(|at| Point {
        kind: SAMPLE.to_owned(),
        ..Point::new(at, state.priority(at, item).0, CourseKind::Bend)
    }));
    // Stable: the two points of a jump stay as they are. A sample where a change is says nothing.
    points.sort_by_key(|point| (point.at, point.kind == SAMPLE));
    points.dedup_by(|next, before| next.kind == SAMPLE && next.at == before.at);
    let class = item.class.as_ref().filter(|_| item.priority.is_none());
    Ok(Course {
        item: (item.id.counter() > 0).then_some(item.id),
        schema: class.map(|class| class.schema.clone()),
        boost: item.boost,
        anchor_at,
        due_at: item.due_at,
        now,
        from,
        to,
        points,
        cut: !drawn.complete,
    })
}

impl Point {
    fn new(at: Timestamp, priority: Priority, kind: CourseKind) -> Self {
        let kind = serde_json::to_value(kind).ok();
        let kind = kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        let (whole, exact) = (priority.points(), priority.to_decimal());
        Self { at, priority: whole, exact, kind: kind.to_owned() }
    }
}

/// Evenly spaced instants, the first at the begin and the last at the end.
fn spread(from: Timestamp, to: Timestamp, count: u32) -> impl Iterator<Item = Timestamp> {
    let (length, steps) =
        (i128::from(to.since(from).0), i128::from(count.saturating_sub(1)).max(1));
    (0..count).map(move |number| {
        let gone = length * i128::from(number) / steps;
        from.plus(Millis(gone as i64))
    })
}
