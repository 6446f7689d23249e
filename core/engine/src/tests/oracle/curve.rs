//! Priority by definition: a slow walk along the schema with exact fractions, floored to the
//! unit at the end and wherever the course bends.

use gantry_model::item::PriorityBounds;
use gantry_model::priority::{FRACTION_BITS, POINTS_MAX};
use gantry_model::spec::{Bound, PointValue, PrioritySchema, Shape, Span};

/// What an item brings to its schema. Times are what the curve's clock shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) anchor: i64,
    pub(crate) due: Option<i64>,
    pub(crate) bounds: PriorityBounds,
    pub(crate) boost: i64,
}

/// The priority in units.
pub(crate) fn value(schema: &PrioritySchema, item: Figures, now: i64) -> i64 {
    let value = match (&schema.overdue, due(item)) {
        (Some(_), Some(due)) if now >= due => overdue(schema, item, due, now),
        _ => shape(schema, item, now),
    };
    (value + one(item.boost)) as i64
}

fn due(item: Figures) -> Option<i64> {
    Some(item.due?.max(item.anchor))
}

fn one(points: i64) -> i128 {
    i128::from(points.clamp(-POINTS_MAX, POINTS_MAX)) << FRACTION_BITS
}

fn number(own: Option<i64>, bound: Option<&Bound>) -> Option<i64> {
    own.or(match bound {
        Some(Bound::Points(points)) => Some(*points),
        _ => None,
    })
}

fn start(schema: &PrioritySchema, item: Figures) -> Option<i128> {
    number(item.bounds.start, schema.start.as_ref()).map(one)
}

fn min(schema: &PrioritySchema, item: Figures) -> Option<i64> {
    number(item.bounds.min, schema.min.as_ref())
}

fn max(schema: &PrioritySchema, item: Figures) -> Option<i64> {
    let max = number(item.bounds.max, schema.max.as_ref())?;
    Some(max.max(min(schema, item).unwrap_or(max)))
}

fn bounded(schema: &PrioritySchema, item: Figures, value: i128) -> i128 {
    let value = max(schema, item).map_or(value, |max| value.min(one(max)));
    let value = min(schema, item).map_or(value, |min| value.max(one(min)));
    value.clamp(one(-POINTS_MAX), one(POINTS_MAX))
}

fn points(schema: &PrioritySchema, item: Figures, value: PointValue) -> i128 {
    match value {
        PointValue::Points(points) => one(points),
        PointValue::Range { permille } => {
            let low = one(min(schema, item).unwrap_or(0));
            let high = max(schema, item).map_or(one(1000), one).max(low);
            low + ((high - low) * i128::from(permille)).div_euclid(1000)
        }
    }
}

/// Where a span that begins at `from` ends.
fn end(item: Figures, span: Span, from: i64) -> Option<i64> {
    match span {
        Span::Time(time) | Span::Business(time) => Some(from + time.0),
        Span::SlaPermille(0) => Some(from),
        Span::SlaPermille(share) => {
            Some(from + (due(item)? - item.anchor) * i64::from(share) / 1000)
        }
        Span::BeforeSla(time) => Some((due(item)? - time.0).max(from)),
    }
}

fn shape(schema: &PrioritySchema, item: Figures, now: i64) -> i128 {
    let value = match &schema.shape {
        Shape::Points(_) => on_points(schema, item, now),
        Shape::Increments(_) => by_increments(schema, item, now),
    };
    bounded(schema, item, value)
}

fn on_points(schema: &PrioritySchema, item: Figures, now: i64) -> i128 {
    let Shape::Points(course) = &schema.shape else { unreachable!() };
    let mut all: Vec<(i64, i128)> = Vec::new();
    for point in course {
        let Some(at) = end(item, point.at, item.anchor) else { break };
        let at = all.last().map_or(at, |last| last.0.max(at));
        all.push((at, points(schema, item, point.priority)));
    }
    if let Some(start) = start(schema, item) {
        match all.first_mut() {
            Some(first) if first.0 == item.anchor => first.1 = start,
            _ => all.insert(0, (item.anchor, start)),
        }
    }
    let before = all.iter().rev().find(|(at, _)| *at <= now);
    let after = all.iter().find(|(at, _)| *at > now);
    match (before, after) {
        (None, None) => 0,
        (None, Some((_, value))) | (Some((_, value)), None) => *value,
        (Some((from, start)), Some((to, end))) => {
            start + ((end - start) * i128::from(now - from)).div_euclid(i128::from(to - from))
        }
    }
}

fn by_increments(schema: &PrioritySchema, item: Figures, now: i64) -> i128 {
    let Shape::Increments(course) = &schema.shape else { unreachable!() };
    if let (Some(value), Some(due)) = (course.at_sla, due(item))
        && now >= due
    {
        return points(schema, item, value);
    }
    let initial = start(schema, item).unwrap_or(points(schema, item, course.initial));
    let mut value = bounded(schema, item, initial);
    let mut begin = item.anchor;
    for step in &course.steps {
        if now < begin {
            return value;
        }
        let over = step.lasts.and_then(|span| end(item, span, begin));
        let until = over.map_or(now, |over| over.min(now));
        if course.stepped {
            let mut jump = begin + step.every.0;
            while jump <= until {
                value = bounded(schema, item, value + one(step.add));
                jump += step.every.0;
            }
        } else {
            let gone = one(step.add) * i128::from(until - begin);
            value = bounded(schema, item, value + gone.div_euclid(i128::from(step.every.0)));
        }
        match over {
            Some(over) => begin = over,
            None => return value,
        }
    }
    value
}

fn overdue(schema: &PrioritySchema, item: Figures, due: i64, now: i64) -> i128 {
    let after = schema.overdue.unwrap();
    let begin = match after.priority {
        Some(value) => points(schema, item, value),
        None => shape(schema, item, due),
    };
    let gone = one(after.add) * i128::from(now - due);
    let climbed = begin + gone.div_euclid(i128::from(after.every.0));
    let limit = one(after.max.unwrap_or(after.add.signum() * POINTS_MAX));
    let value = match after.add.signum() {
        1 => climbed.min(limit.max(begin)),
        -1 => climbed.max(limit.min(begin)),
        _ => begin,
    };
    min(schema, item).map_or(value, |min| value.max(one(min)))
}
