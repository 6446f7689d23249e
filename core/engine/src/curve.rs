//! Priority as an exact function of time.
//!
//! A curve is a chain of straight [`Piece`]s. Each piece starts at its exact point and is a
//! fraction, not a rounded slope, so its value is right to the unit (2⁻⁴⁰ points) however long
//! the piece lasts. Pieces are computed from the schema when they are needed: nothing is stored,
//! and a schema that changes counts at once.

use std::sync::Arc;

use gantry_model::priority::{POINTS_MAX, Priority};
use gantry_model::spec::{CurvePoint, Overdue, PointValue, PrioritySchema, Shape, Span};
use gantry_model::{Millis, Timestamp};

/// The instant that never comes.
pub(crate) const NEVER: Timestamp = Timestamp(i64::MAX);

/// Where an item's priority comes from.
#[derive(Clone, Debug)]
pub(crate) enum Curve {
    /// The source gave a number.
    Constant(Priority),
    /// A schema, from the anchor on.
    Schema { schema: Arc<PrioritySchema>, anchor_at: Timestamp, due_at: Option<Timestamp> },
}

/// A straight piece of a curve: `value + rise · (t − from) / over`, floored to the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    from: Timestamp,
    value: i64,
    rise: i64,
    /// Milliseconds, at least 1.
    over: i64,
    /// From then on another piece counts; [`NEVER`] for the last one.
    pub(crate) until: Timestamp,
}

impl Curve {
    /// The piece that counts at `now`.
    pub(crate) fn piece(&self, now: Timestamp) -> Piece {
        match self {
            Self::Constant(priority) => Piece::flat(now, priority.0, NEVER),
            Self::Schema { schema, anchor_at, due_at } => {
                piece_at(schema, *anchor_at, *due_at, now)
            }
        }
    }
}

impl Piece {
    const fn flat(from: Timestamp, value: i64, until: Timestamp) -> Self {
        Self { from, value, rise: 0, over: 1, until }
    }

    /// The value at an instant within the piece.
    pub(crate) fn at(&self, now: Timestamp) -> Priority {
        if self.rise == 0 {
            return Priority(self.value);
        }
        let gone = i128::from(now.since(self.from).0);
        let risen = (i128::from(self.rise) * gone).div_euclid(i128::from(self.over));
        Priority((i128::from(self.value) + risen) as i64)
    }

    /// Where the line starts, its value there and its slope in units a millisecond, rounded to
    /// floating point: for comparisons that allow for it.
    pub(crate) fn line(&self) -> (Timestamp, f64, f64) {
        (self.from, self.value as f64, self.rise as f64 / self.over as f64)
    }

    /// The slope in units a millisecond, floored.
    pub(crate) const fn slope_floor(&self) -> i64 {
        self.rise.div_euclid(self.over)
    }

    /// The slope in units a millisecond, rounded up.
    pub(crate) fn slope_ceil(&self) -> i64 {
        self.slope_floor() + i64::from(self.rise.rem_euclid(self.over) != 0)
    }
}

/// The length of a span; `None` for a share of an SLA that the item does not have. A due date
/// before the anchor makes an SLA of length 0.
pub(crate) fn span_length(
    span: Span,
    anchor_at: Timestamp,
    due_at: Option<Timestamp>,
) -> Option<Millis> {
    match span {
        Span::Time(time) | Span::Business(time) => Some(Millis(time.0.max(0))),
        Span::BeforeSla(time) => {
            Some(Millis((due_at?.since(anchor_at).0.max(0) - time.0.max(0)).max(0)))
        }
        Span::SlaPermille(0) => Some(Millis(0)),
        Span::SlaPermille(share) => {
            let sla = due_at?.since(anchor_at).0.max(0);
            Some(Millis((i128::from(sla) * i128::from(share) / 1000).min(i64::MAX.into()) as i64))
        }
    }
}

fn piece_at(
    schema: &PrioritySchema,
    anchor_at: Timestamp,
    due_at: Option<Timestamp>,
    now: Timestamp,
) -> Piece {
    let (Some(overdue), Some(due_at)) = (schema.overdue, due_at) else {
        return points_piece(schema, anchor_at, due_at, now);
    };
    let start = due_at.max(anchor_at);
    if now < start {
        let piece = points_piece(schema, anchor_at, Some(due_at), now);
        return Piece { until: piece.until.min(start), ..piece };
    }
    let value = points_piece(schema, anchor_at, Some(due_at), start).at(start);
    overdue_piece(overdue, start, value, now)
}

/// The piece between two points, before the first or after the last. Points that a short SLA
/// pushes before their predecessors count together with them: the later one wins.
fn points_piece(
    schema: &PrioritySchema,
    anchor_at: Timestamp,
    due_at: Option<Timestamp>,
    now: Timestamp,
) -> Piece {
    let mut before: Option<(Timestamp, i64)> = None;
    for point in points(&schema.shape) {
        let Some(length) = span_length(point.at, anchor_at, due_at) else {
            break;
        };
        let value = Priority::from_points(whole(point.priority)).0;
        let (from, start) = before.unwrap_or((Timestamp(i64::MIN), value));
        let at = anchor_at.plus(length).max(from);
        if now < at {
            if start == value {
                return Piece::flat(from, value, at);
            }
            return Piece {
                from,
                value: start,
                rise: value - start,
                over: at.since(from).0.max(1),
                until: at,
            };
        }
        before = Some((at, value));
    }
    // A schema without a reachable point gives 0, as a schema without points would.
    let (from, value) = before.unwrap_or((anchor_at, 0));
    Piece::flat(from, value, NEVER)
}

fn points(shape: &Shape) -> Vec<CurvePoint> {
    match shape {
        Shape::Points(points) => points.clone(),
        Shape::Increments(steps) => {
            vec![CurvePoint { at: Span::Time(Millis(0)), priority: steps.initial }]
        }
    }
}

fn whole(value: PointValue) -> i64 {
    match value {
        PointValue::Points(points) => points,
        PointValue::Range { permille } => i64::from(permille),
    }
}

fn overdue_piece(overdue: Overdue, start: Timestamp, from: Priority, now: Timestamp) -> Piece {
    let rise = Priority::from_points(overdue.add).0;
    let range_end = if rise < 0 { -POINTS_MAX } else { POINTS_MAX };
    let limit = Priority::from_points(overdue.max.unwrap_or(range_end)).0;
    let room = if rise < 0 {
        i128::from(from.0) - i128::from(limit)
    } else {
        i128::from(limit) - i128::from(from.0)
    };
    if rise == 0 || overdue.every.0 <= 0 || room <= 0 {
        return Piece::flat(start, from.0, NEVER);
    }
    // The first millisecond at which the limit is reached.
    let pace = i128::from(rise.unsigned_abs());
    let length = (room * i128::from(overdue.every.0) + pace - 1) / pace;
    let until = start.plus(Millis(length.min(i64::MAX.into()) as i64));
    if now >= until {
        return Piece::flat(until, limit, NEVER);
    }
    Piece { from: start, value: from.0, rise, over: overdue.every.0, until }
}

#[cfg(test)]
mod tests;
