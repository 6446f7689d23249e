//! Priority as an exact function of time.
//!
//! A curve is a chain of straight [`Piece`]s. Each piece starts at its exact point, floored to
//! the unit (2⁻⁴⁰ points), and is a fraction, not a rounded slope: its value is right to the unit
//! however long the piece lasts. Where a bound is met, the piece ends at the exact crossing.
//! Pieces are computed from the schema when they are needed: nothing is stored, and a schema that
//! changes counts at once.
//!
//! All instants here are what the curve's own clock shows (see [`crate::clock`]), not the wall's.

use gantry_model::item::PriorityBounds;
use gantry_model::priority::{POINTS_MAX, Priority};
use gantry_model::spec::{
    Bound, CurvePoint, Increment, Increments, Overdue, PointValue, PrioritySchema, Shape, Span,
};
use gantry_model::{Millis, Timestamp};

/// The instant that never comes.
pub(crate) const NEVER: Timestamp = Timestamp(i64::MAX);

/// Bounds of everything that a schema gives, in units.
const LOWEST: i64 = Priority::from_points(-POINTS_MAX).0;
const HIGHEST: i64 = Priority::from_points(POINTS_MAX).0;
/// What a share of the range means for an item that has no maximum: a point a thousandth.
const RANGE_POINTS: i64 = 1000;

/// Where an item's priority comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Curve<'a> {
    /// The same at any time: the source gave a number, or there is nothing to go by.
    Constant(Priority),
    /// A schema.
    Schema(SchemaCurve<'a>),
}

/// A schema as it is for one item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SchemaCurve<'a> {
    pub(crate) schema: &'a PrioritySchema,
    /// Where the curve starts.
    pub(crate) anchor: Timestamp,
    /// Where the SLA ends; one before the anchor counts as the anchor.
    pub(crate) due: Option<Timestamp>,
    /// What expressions gave for this item.
    pub(crate) bounds: Option<&'a PriorityBounds>,
    /// Added to whatever the schema gives, beyond any bound.
    pub(crate) boost: Priority,
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

impl Curve<'_> {
    /// The piece that counts at `now`.
    pub(crate) fn piece(&self, now: Timestamp) -> Piece {
        match self {
            Self::Constant(priority) => Piece::flat(priority.0, NEVER),
            Self::Schema(curve) => curve.piece(now),
        }
    }

    /// The value at an instant.
    pub(crate) fn at(&self, now: Timestamp) -> Priority {
        self.piece(now).at(now)
    }
}

impl Piece {
    const fn flat(value: i64, until: Timestamp) -> Self {
        Self { from: Timestamp(0), value, rise: 0, over: 1, until }
    }

    /// The value at an instant within the piece.
    pub(crate) fn at(&self, now: Timestamp) -> Priority {
        Priority(clamp(self.exact(now), i64::MIN, i64::MAX))
    }

    fn exact(&self, now: Timestamp) -> i128 {
        if self.rise == 0 {
            return self.value.into();
        }
        let gone = i128::from(now.since(self.from).0);
        i128::from(self.value) + (i128::from(self.rise) * gone).div_euclid(self.over.into())
    }

    /// Where the line starts, its value there and its slope in units a millisecond, rounded to
    /// floating point: for comparisons that allow for it.
    pub(crate) fn line(&self) -> (Timestamp, i64, f64) {
        (self.from, self.value, self.rise as f64 / self.over as f64)
    }

    /// The slope in units a millisecond, floored.
    pub(crate) const fn slope_floor(&self) -> i64 {
        self.rise.div_euclid(self.over)
    }

    /// The slope in units a millisecond, rounded up.
    pub(crate) fn slope_ceil(&self) -> i64 {
        self.slope_floor() + i64::from(self.rise.rem_euclid(self.over) != 0)
    }

    pub(crate) const fn is_flat(&self) -> bool {
        self.rise == 0
    }

    /// `true` if it rises more steeply than another.
    pub(crate) fn rises_faster_than(&self, other: &Self) -> bool {
        i128::from(self.rise) * i128::from(other.over)
            > i128::from(other.rise) * i128::from(self.over)
    }

    /// `true` if both have the same value at any instant.
    pub(crate) fn is_the_line_of(&self, other: &Self) -> bool {
        Self { until: other.until, ..*self } == *other
    }

    fn until(self, until: Timestamp) -> Self {
        Self { until: self.until.min(until), ..self }
    }

    /// The piece with its values kept within bounds, from `now` on as far as it stays straight.
    fn within(self, low: i64, high: i64, now: Timestamp) -> Self {
        // Most pieces lie within bounds from end to end.
        let end = i128::from(self.value) + i128::from(self.rise);
        let ends_there = self.until.0 == self.from.0.saturating_add(self.over);
        if ends_there
            && (low..=high).contains(&self.value)
            && (i128::from(low)..=i128::from(high)).contains(&end)
        {
            return self;
        }
        if self.is_flat() {
            return Self { value: self.value.clamp(low, high), ..self };
        }
        // Against the piece's direction it comes into bounds, along it it leaves them.
        let (behind, ahead) = if self.rise > 0 { (low, high) } else { (high, low) };
        if !self.passed(behind, now) {
            return Self::flat(behind, self.until.min(self.passes(behind)));
        }
        if self.passed(ahead, now) {
            return Self::flat(ahead, self.until);
        }
        self.until(self.passes(ahead))
    }

    /// `true` if the piece is at a value, or beyond it in its direction.
    fn passed(&self, value: i64, now: Timestamp) -> bool {
        let exact = self.exact(now);
        if self.rise > 0 { exact >= value.into() } else { exact <= value.into() }
    }

    /// The first instant at which the floored value is at `value`, or beyond it in the piece's
    /// direction.
    fn passes(&self, value: i64) -> Timestamp {
        let pace = i128::from(self.rise.unsigned_abs());
        let over = i128::from(self.over);
        let gone = if self.rise > 0 {
            let room = i128::from(value) - i128::from(self.value);
            (room * over + pace - 1).div_euclid(pace)
        } else {
            // Floored values reach `value` as soon as the exact one is below `value + 1`.
            let room = i128::from(self.value) - i128::from(value) - 1;
            (room * over).div_euclid(pace) + 1
        };
        Timestamp(clamp(i128::from(self.from.0) + gone, i64::MIN, i64::MAX))
    }
}

fn clamp(value: i128, low: i64, high: i64) -> i64 {
    value.clamp(low.into(), high.into()) as i64
}

impl SchemaCurve<'_> {
    /// The piece that counts at `now`.
    pub(crate) fn piece(&self, now: Timestamp) -> Piece {
        let item = Resolved::new(self);
        let piece = match (self.schema.overdue, item.due) {
            (Some(overdue), Some(due)) if now >= due => item.overdue_piece(overdue, due, now),
            (Some(_), Some(due)) => item.shape_piece(now).until(due),
            _ => item.shape_piece(now),
        };
        Piece { value: piece.value + self.boost.0, ..piece }
    }
}

/// A schema with an item's own figures put in.
struct Resolved<'a> {
    schema: &'a PrioritySchema,
    anchor: Timestamp,
    due: Option<Timestamp>,
    start: Option<i64>,
    /// The item's minimum in whole points, for shares of the range.
    min: i64,
    /// The item's maximum likewise.
    max: i64,
    /// Bounds in units.
    low: i64,
    high: i64,
}

impl<'a> Resolved<'a> {
    fn new(curve: &SchemaCurve<'a>) -> Self {
        let schema = curve.schema;
        let own = curve.bounds.copied().unwrap_or_default();
        let number = |own: Option<i64>, bound: &Option<Bound>| match (own, bound) {
            (Some(own), _) => Some(own.clamp(-POINTS_MAX, POINTS_MAX)),
            (None, Some(Bound::Points(points))) => Some(*points),
            // An expression that gave nothing for this item bounds nothing.
            (None, Some(Bound::Expression(_)) | None) => None,
        };
        let start = number(own.start, &schema.start);
        let min = number(own.min, &schema.min);
        // Where expressions contradict each other, the minimum stands.
        let max = number(own.max, &schema.max).map(|max| max.max(min.unwrap_or(max)));
        Self {
            schema,
            anchor: curve.anchor,
            due: curve.due.map(|due| due.max(curve.anchor)),
            start: start.map(units),
            min: min.unwrap_or(0),
            max: max.unwrap_or(RANGE_POINTS).max(min.unwrap_or(0)),
            low: min.map_or(LOWEST, units),
            high: max.map_or(HIGHEST, units),
        }
    }

    fn value(&self, value: PointValue) -> i64 {
        match value {
            PointValue::Points(points) => units(points),
            PointValue::Range { permille } => {
                let way = i128::from(units(self.max)) - i128::from(units(self.min));
                let gone = (way * i128::from(permille)).div_euclid(1000);
                clamp(i128::from(units(self.min)) + gone, LOWEST, HIGHEST)
            }
        }
    }

    /// The end of a span that begins at `from`; none for a share of an SLA that the item does
    /// not have.
    fn end(&self, span: Span, from: Timestamp) -> Option<Timestamp> {
        Some(match span {
            Span::Time(time) | Span::Business(time) => from.plus(Millis(time.0.max(0))),
            Span::SlaPermille(0) => from,
            Span::SlaPermille(share) => from.plus(sla_share(self.due?.since(self.anchor), share)),
            Span::BeforeSla(time) => Timestamp(self.due?.0.saturating_sub(time.0.max(0))).max(from),
        })
    }

    fn shape_piece(&self, now: Timestamp) -> Piece {
        match &self.schema.shape {
            Shape::Points(points) => {
                self.points_piece(points, now).within(self.low, self.high, now)
            }
            Shape::Increments(increments) => self.increments_piece(increments, now),
        }
    }

    /// The piece between two points, before the first or after the last. Points that a short SLA
    /// pushes before their predecessors count together with them: the later one wins.
    fn points_piece(&self, points: &[CurvePoint], now: Timestamp) -> Piece {
        let mut before: Option<(Timestamp, i64)> = None;
        for point in points {
            let Some(at) = self.end(point.at, self.anchor) else {
                break;
            };
            let mut next = (at, self.value(point.priority));
            if let (None, Some(start)) = (before, self.start) {
                if at > self.anchor {
                    if now < self.anchor {
                        return Piece::flat(start, self.anchor);
                    }
                    before = Some((self.anchor, start));
                } else {
                    next.1 = start;
                }
            }
            next.0 = before.map_or(at, |(before, _)| at.max(before));
            if now < next.0 {
                return between(before, next);
            }
            before = Some(next);
        }
        // A schema without a reachable point gives what the item starts with, else 0.
        let last = before.map(|(_, value)| value).or(self.start);
        Piece::flat(last.unwrap_or(0), NEVER)
    }

    fn increments_piece(&self, shape: &Increments, now: Timestamp) -> Piece {
        let bounded = |value: i64| value.clamp(self.low, self.high);
        let at_sla = shape.at_sla.zip(self.due);
        if let Some((value, _)) = at_sla.filter(|(_, due)| now >= *due) {
            return Piece::flat(bounded(self.value(value)), NEVER);
        }
        let cut = at_sla.map_or(NEVER, |(_, due)| due);
        let initial = self.start.unwrap_or_else(|| self.value(shape.initial));
        let (mut from, mut value) = (self.anchor, bounded(initial));
        if now < from {
            return Piece::flat(value, from);
        }
        for step in &shape.steps {
            let end = step.lasts.and_then(|span| self.end(span, from)).unwrap_or(NEVER);
            let count = |until: Timestamp| {
                if shape.stepped { last_jump(step, from, until) } else { until }
            };
            let line = line(from, value, step.add, step.every);
            if now < end {
                if !shape.stepped {
                    return line.until(end).until(cut).within(self.low, self.high, now);
                }
                let next = count(now).plus(period(step));
                let value = clamp(line.exact(count(now)), self.low, self.high);
                return Piece::flat(value, next.min(end).min(cut));
            }
            // What a bound has cut off is gone: a fall begins at the bound.
            value = clamp(line.exact(count(end)), self.low, self.high);
            from = end;
        }
        Piece::flat(value, cut)
    }

    /// The climb from the due date on. The maximum does not bound it, its own limit does; a
    /// limit that lies behind where the climb begins lets it stand.
    fn overdue_piece(&self, overdue: Overdue, due: Timestamp, now: Timestamp) -> Piece {
        let value = match overdue.priority {
            Some(value) => self.value(value),
            None => self.shape_piece(due).at(due).0,
        };
        let limit = |end| overdue.max.map_or(end, units);
        let (low, high) = if overdue.add < 0 {
            (limit(LOWEST).min(value).max(self.low), HIGHEST)
        } else {
            (self.low, limit(HIGHEST).max(value).max(self.low))
        };
        line(due, value, overdue.add, overdue.every).within(low, high, now)
    }
}

/// Whole points in units.
const fn units(points: i64) -> i64 {
    Priority::from_points(points).0
}

/// A share of a length, in thousandths.
pub(crate) fn sla_share(length: Millis, permille: u32) -> Millis {
    let length = length.0.max(0);
    Millis(match length.checked_mul(permille.into()) {
        Some(product) => product / 1000,
        None => clamp(i128::from(length) * i128::from(permille) / 1000, 0, i64::MAX),
    })
}

/// The piece that ends at `next`.
fn between(before: Option<(Timestamp, i64)>, next: (Timestamp, i64)) -> Piece {
    let (until, end) = next;
    match before {
        Some((from, value)) if value != end => {
            let over = until.since(from).0.max(1);
            Piece { from, value, rise: end - value, over, until }
        }
        _ => Piece::flat(end, until),
    }
}

/// A line for ever: so many whole points in each period.
fn line(from: Timestamp, value: i64, add: i64, every: Millis) -> Piece {
    if add == 0 || every.0 <= 0 {
        return Piece::flat(value, NEVER);
    }
    Piece { from, value, rise: units(add), over: every.0, until: NEVER }
}

fn period(step: &Increment) -> Millis {
    if step.add == 0 || step.every.0 <= 0 { Millis(i64::MAX) } else { step.every }
}

/// The last jump up to an instant, or the begin: computed, however many there were.
fn last_jump(step: &Increment, from: Timestamp, until: Timestamp) -> Timestamp {
    let gone = until.since(from).0;
    from.plus(Millis(gone - gone.rem_euclid(period(step).0)))
}

#[cfg(test)]
mod tests;
