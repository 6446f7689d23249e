//! The course of a priority over a span of time: where its curve begins, bends and jumps, with
//! exact values, for drawing it.

use std::sync::Arc;

use gantry_model::calendar::Change;
use gantry_model::item::{Classification, PriorityBounds};
use gantry_model::priority::Priority;
use gantry_model::spec::RoutingSpec;
use gantry_model::{ItemId, Name, Timestamp, WorkItem};
use serde::Serialize;

use crate::clock::CurveClock;
use crate::curve::Piece;
use crate::routes::Routes;
use crate::state::State;

/// At how many points a course is cut off: some weeks of quarter hours.
pub const COURSE_POINTS_MAX: usize = 4096;

/// A course: straight lines from point to point, in wall-clock time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Course {
    /// In the order of their instants. Two at one instant make a jump: value before, value from
    /// then on.
    pub points: Vec<CoursePoint>,
    /// `false` if there are more than [`COURSE_POINTS_MAX`]: the course ends at the last.
    pub complete: bool,
}

/// A point of a course.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CoursePoint {
    /// When.
    pub at: Timestamp,
    /// The exact value; people see it floored to whole points.
    pub priority: Priority,
    /// What happens there.
    pub kind: CourseKind,
}

/// What happens at a point of a course.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CourseKind {
    /// The span of time begins.
    Begin,
    /// Another slope begins, or a bound is met.
    Bend,
    /// The value jumps: the point before it has the same instant.
    Jump,
    /// The SLA ends.
    Due,
    /// The calendar closes: the clock stands still.
    Closes,
    /// The calendar opens.
    Opens,
    /// The span of time ends.
    End,
}

/// The figures that an item brings to a priority schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Where the curve starts.
    pub anchor_at: Timestamp,
    /// Where the SLA ends.
    pub due_at: Option<Timestamp>,
    /// What expressions of the schema give.
    pub bounds: PriorityBounds,
    /// Whole points added by hand.
    pub boost: i64,
}

/// The course of a schema of a config, for an item with these figures, from `from` to `to`.
/// `None` if the config has no such schema.
pub fn course(
    routing: &Arc<RoutingSpec>,
    schema: &str,
    figures: &Figures,
    from: Timestamp,
    to: Timestamp,
) -> Option<Course> {
    let schema = routing.priorities.get_key_value(schema)?.0.clone();
    let routes = Routes::new(Some(&(1, Arc::clone(routing))), &Routes::default());
    Some(draw(&routes, &specimen(schema, figures), from, to))
}

/// An item that has a schema and nothing else.
pub(crate) fn specimen(schema: Name, figures: &Figures) -> WorkItem {
    let mut item = WorkItem::new(ItemId::from_u64(0), Name::default(), figures.anchor_at);
    let class = Classification {
        version: 0,
        rules: Vec::new(),
        process: Name::default(),
        schema,
        sla: None,
        requirement: None,
        media_type: Name::default(),
        flow: None,
    };
    item.class = Some(Arc::new(class));
    item.due_at = figures.due_at;
    item.bounds = Some(Box::new(figures.bounds));
    item.boost = figures.boost;
    item
}

impl State {
    /// The course of an item's priority from `from` to `to`, as time alone moves it: a hold would
    /// keep it at the value it had when it was held.
    pub fn course(&self, item: &WorkItem, from: Timestamp, to: Timestamp) -> Course {
        draw(&self.index.routes, item, from, to)
    }
}

fn draw(routes: &Routes, item: &WorkItem, from: Timestamp, to: Timestamp) -> Course {
    let clock = routes.clock(routes.clock_of(item));
    let curve = routes.curve(item);
    let mut course = Course { points: Vec::new(), complete: true };
    let mut now = from;
    let mut piece = curve.piece(clock.read(now));
    course.push(now, piece.at(clock.read(now)), CourseKind::Begin);
    loop {
        let end = clock.reaches(piece.until).min(to);
        course.trace(clock, &piece, now, end);
        if end >= to || course.points.len() >= COURSE_POINTS_MAX {
            course.complete = end >= to;
            break;
        }
        let shown = clock.read(end);
        let next = curve.piece(shown);
        let (before, after) = (piece.at(shown), next.at(shown));
        let kind = if Some(end) == item.due_at { CourseKind::Due } else { CourseKind::Bend };
        // Where a piece ends at a bound, it may be past it by less than a millisecond's worth.
        let step = piece.slope_floor().unsigned_abs().max(piece.slope_ceil().unsigned_abs());
        if before.0.abs_diff(after.0) > step {
            course.push(end, before, kind);
            course.push(end, after, CourseKind::Jump);
        } else {
            course.push(end, after, kind);
        }
        (now, piece) = (end, next);
    }
    if course.complete {
        let shown = clock.read(to);
        course.push(to, curve.at(shown), CourseKind::End);
    }
    course
}

impl Course {
    fn push(&mut self, at: Timestamp, priority: Priority, kind: CourseKind) {
        self.points.push(CoursePoint { at, priority, kind });
    }

    /// Adds the points between two instants at which the clock stops and goes on.
    fn trace(&mut self, clock: &CurveClock, piece: &Piece, from: Timestamp, to: Timestamp) {
        let (CurveClock::Business(calendar), false) = (clock, piece.is_flat()) else {
            return;
        };
        let mut now = from;
        while let Some(change) = calendar.next_change(now) {
            let (at, kind) = match change {
                Change::Opens(at) => (at, CourseKind::Opens),
                Change::Closes(at) => (at, CourseKind::Closes),
            };
            if at >= to || self.points.len() >= COURSE_POINTS_MAX {
                break;
            }
            self.push(at, piece.at(clock.read(at)), kind);
            now = at;
        }
    }
}
