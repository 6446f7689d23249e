//! Priority schemas: curves run forwards, ranges have ends, limits can be reached.

use gantry_model::Name;
use gantry_model::spec::{
    Bound, CurvePoint, Increments, Overdue, PointValue, PrioritySchema, Shape, Span,
};

use super::Checker;
use crate::finding::{Code, Found};
use crate::tree::Value;
use crate::units;

impl Checker<'_> {
    pub(super) fn priorities(&mut self) {
        for (name, schema) in &self.spec.routing.priorities {
            if let Some(calendar) = &schema.calendar {
                let path = ["priority", name.as_str(), "calendar"];
                self.known("calendar", calendar, &path, self.spec.routing.calendars.keys());
            }
            match &schema.shape {
                Shape::Points(points) => self.points(name, points),
                Shape::Increments(increments) => self.increments(name, increments),
            }
            self.bounds(name, schema);
            self.range(name, schema);
            if let Some(overdue) = &schema.overdue {
                self.overdue(name, schema, overdue);
            }
        }
    }

    fn points(&mut self, name: &Name, points: &[CurvePoint]) {
        if points.is_empty() {
            let place = self.tree.place_of(&["priority", name, "points"]);
            let message = format!("priority schema `{name}` has no points");
            let found = Found::error(Code::Curve, place, message).label("empty");
            self.findings.push(found.help("a constant priority is written priority = 500"));
        }
        let mut course = Course::default();
        for (at, point) in points.iter().enumerate() {
            if !self.readable(&["priority", name, "points", &at.to_string(), "at"]) {
                continue;
            }
            let Some(later) = course.take(at, point.at) else { continue };
            let [place, first] = [at, later]
                .map(|at| self.tree.place_of(&["priority", name, "points", &at.to_string(), "at"]));
            let message = format!("the points of priority schema `{name}` run backwards in time");
            let found = Found::error(Code::Curve, place, message).label("before");
            self.findings.push(found.related(first, "this one").help("order them by `at`"));
        }
    }

    /// `false` for a time with a mistake in it, which was told, and which says nothing.
    fn readable(&self, path: &[&str]) -> bool {
        let node = self.tree.at(path).map(|node| &node.value);
        matches!(node, Some(Value::Text(text)) if units::span(text).is_ok())
    }

    fn increments(&mut self, name: &Name, increments: &Increments) {
        let steps = &increments.steps;
        for (at, step) in steps.iter().enumerate() {
            let number = at.to_string();
            let path = ["priority", name, "increments", &number, "for"];
            if at + 1 < steps.len() && step.lasts.is_none() && self.tree.at(&path).is_none() {
                let place = self.tree.at(&path[..4]).map_or_else(Default::default, |n| n.place);
                let message =
                    format!("increment {} of priority schema `{name}` never ends", at + 1);
                let found = Found::error(Code::Curve, place, message).label("`for` is missing");
                let help = "add for = \"1d\": how long until the next one counts";
                self.findings.push(found.help(help));
            }
        }
        let (PointValue::Points(initial), Some(PointValue::Points(at_sla))) =
            (increments.initial, increments.at_sla)
        else {
            return;
        };
        let climbs = steps.iter().all(|step| step.add >= 0);
        let falls = steps.iter().all(|step| step.add <= 0);
        let odd = match () {
            () if climbs && !falls && at_sla < initial => "climbs, and falls back",
            () if falls && !climbs && at_sla > initial => "falls, and jumps up",
            () => return,
        };
        let place = self.tree.place_of(&["priority", name, "at_sla"]);
        let first = self.tree.place_of(&["priority", name, "initial"]);
        let message = format!("priority schema `{name}` {odd} at the due date");
        let found = Found::warning(Code::Curve, place, message).label("this value");
        let found = found.related(first, "the value at the start");
        self.findings.push(found.help("write a value on the way that the increments take"));
    }

    /// Constants of `start`, `min` and `max` are in order.
    fn bounds(&mut self, name: &Name, schema: &PrioritySchema) {
        let (start, min, max) =
            (fixed(schema.start.as_ref()), fixed(schema.min.as_ref()), fixed(schema.max.as_ref()));
        let [start_at, min_at, max_at] =
            ["start", "min", "max"].map(|key| self.tree.place_of(&["priority", name, key]));
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let message = format!("the minimum of priority schema `{name}` lies above its maximum");
            let found = Found::error(Code::Curve, min_at, message).label("the minimum");
            self.findings.push(found.related(max_at, "the maximum").help("swap them"));
            return;
        }
        let outside = |start: i64| match (min, max) {
            (Some(min), _) if start < min => Some((min_at, "the minimum")),
            (_, Some(max)) if start > max => Some((max_at, "the maximum")),
            _ => None,
        };
        if let Some((bound, label)) = start.and_then(outside) {
            let message = format!("the start of priority schema `{name}` is out of its bounds");
            let found = Found::warning(Code::Curve, start_at, message).label("the start");
            let found = found.related(bound, label);
            self.findings.push(found.help("the bound counts: write a start between the two"));
        }
    }

    /// Shares of a range need both its ends.
    fn range(&mut self, name: &Name, schema: &PrioritySchema) {
        if schema.min.is_some() && schema.max.is_some() {
            return;
        }
        let Some(path) = first_share(schema) else { return };
        let mut whole = vec!["priority", name.as_str()];
        whole.extend(path.iter().map(String::as_str));
        let missing = if schema.min.is_none() { "min" } else { "max" };
        let message = format!("priority schema `{name}` has no `{missing}` to take a share of");
        let constant = self.tree.at(&["priority", name, "priority"]);
        let place = constant.map_or_else(|| self.tree.place_of(&whole), |node| node.place);
        let found = Found::error(Code::Curve, place, message);
        let help = format!("add {missing} = …; rules may give items other bounds");
        self.findings.push(found.label("a share of what?").help(help));
    }

    fn overdue(&mut self, name: &Name, schema: &PrioritySchema, overdue: &Overdue) {
        let reached = overdue.priority.or_else(|| at_due_date(&schema.shape));
        let (Some(limit), Some(PointValue::Points(from))) = (overdue.max, reached) else { return };
        // The maximum of the schema holds up to the due date.
        let from = match (fixed(schema.min.as_ref()), fixed(schema.max.as_ref())) {
            (_, Some(max)) if overdue.priority.is_none() && from > max => max,
            (Some(min), _) if overdue.priority.is_none() && from < min => min,
            _ => from,
        };
        let reachable = if overdue.add >= 0 { limit >= from } else { limit <= from };
        if !reachable {
            let place = self.tree.place_of(&["priority", name, "overdue", "max"]);
            let message =
                format!("the limit of priority schema `{name}` lies behind its value, {from}");
            let found = Found::error(Code::Curve, place, message).label("already passed");
            self.findings.push(found.help("write a limit that the climb can reach"));
        }
    }
}

/// How far the points of a curve have come, in each of the three ways to say when; shares and
/// durations meet only once the due date is known.
#[derive(Default)]
struct Course {
    share: Option<(u32, usize)>,
    time: Option<(i64, usize)>,
    before: Option<(i64, usize)>,
}

impl Course {
    /// Takes the next point; gives an earlier one that surely lies later.
    fn take(&mut self, at: usize, span: Span) -> Option<usize> {
        let (time, share, before) = match span {
            Span::SlaPermille(share) => (None, Some(share), None),
            Span::Time(time) | Span::Business(time) => (Some(time.0), None, None),
            Span::BeforeSla(time) => (None, None, Some(time.0)),
        };
        let start = time == Some(0) || share == Some(0);
        let after_sla = |share: u32| share > 1000 || (share == 1000 && before != Some(0));
        let later = [
            self.share.filter(|(last, _)| {
                share.is_some_and(|share| share < *last)
                    || (start && *last > 0)
                    || (before.is_some() && after_sla(*last))
            }),
            self.time
                .filter(|(last, _)| time.is_some_and(|time| time < *last) || (start && *last > 0))
                .map(|(_, at)| (0, at)),
            self.before
                .filter(|(last, _)| before.is_some_and(|before| before > *last))
                .map(|(_, at)| (0, at)),
        ];
        let later = later.into_iter().flatten().map(|(_, at)| at).max();
        if later.is_none() {
            self.share = share.map(|share| (share, at)).or(self.share);
            self.time = time.map(|time| (time, at)).or(self.time);
            self.before = before.map(|before| (before, at)).or(self.before);
        }
        later
    }
}

/// A bound that is the same for all items.
fn fixed(bound: Option<&Bound>) -> Option<i64> {
    match bound {
        Some(Bound::Points(points)) => Some(*points),
        Some(Bound::Expression(_)) | None => None,
    }
}

/// What a schema comes to at the due date, as far as it is the same for all items.
fn at_due_date(shape: &Shape) -> Option<PointValue> {
    match shape {
        Shape::Points(points) => points.last().map(|last| last.priority),
        Shape::Increments(increments) => increments.at_sla,
    }
}

/// Where a schema first takes a share of its range.
fn first_share(schema: &PrioritySchema) -> Option<Vec<String>> {
    let share = |value: &PointValue| matches!(value, PointValue::Range { .. });
    let of_shape = match &schema.shape {
        Shape::Points(points) => {
            let at = points.iter().position(|point| share(&point.priority));
            at.map(|at| vec!["points".into(), at.to_string(), "priority".into()])
        }
        Shape::Increments(increments) => {
            let at_sla = increments.at_sla.as_ref().filter(|value| share(value));
            let initial = share(&increments.initial).then(|| vec!["initial".into()]);
            initial.or_else(|| at_sla.map(|_| vec!["at_sla".into()]))
        }
    };
    let overdue = schema.overdue.as_ref().and_then(|overdue| overdue.priority);
    let overdue = overdue.filter(share).map(|_| vec!["overdue".into(), "priority".into()]);
    of_shape.or(overdue)
}
