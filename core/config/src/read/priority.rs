//! Reads priority schemas: points, increments or a constant, and what happens after the due date.

use gantry_model::Millis;
use gantry_model::priority::POINTS_MAX;
use gantry_model::spec::{
    Anchor, Bound, CurvePoint, Increment, Increments, Overdue, PointValue, PrioritySchema, Shape,
    Span,
};

use crate::finding::{Code, Findings, Found};
use crate::keys::{Kind, Section, key, shown, words};
use crate::table::{Table, list, wrong_type};
use crate::tree::{Node, Value};
use crate::units;

/// The keys that give a schema its course, of which it has one.
const COURSES: [&str; 3] = ["points", "initial", "priority"];
/// What goes with `initial` only.
const WITH_INITIAL: [&str; 3] = ["increments", "stepped", "at_sla"];
/// Period of a climb by nothing; any would do.
const NO_CLIMB: Millis = Millis::from_secs(3600);

const ANCHORS: &[(&str, Anchor)] =
    &[("activation", Anchor::Activation), ("capture", Anchor::Capture)];

const POINTS: Kind = Kind::Integer(-POINTS_MAX, POINTS_MAX);
/// Points, or a share of the way from `min` to `max`.
const VALUE: Kind = Kind::Either(&[POINTS, Kind::Share]);
const BOUND: Kind = Kind::Either(&[POINTS, Kind::Expression]);

pub(super) static PRIORITY: Section = Section::new(
    "A priority schema: priority as a function of time.",
    &[
        key("priority", VALUE, "A constant."),
        key("points", Kind::List(&Kind::Table(&POINT)), "Points of a curve, at least one."),
        key("initial", VALUE, "The value at the anchor; after it, `increments`."),
        key("increments", Kind::List(&Kind::Table(&INCREMENT)), "What is added, one by one."),
        key("stepped", Kind::Boolean, "Add at the end of each period, not evenly.")
            .or(|| false.into()),
        key("at_sla", VALUE, "With `initial`: the value from the due date on."),
        key(
            "overdue",
            Kind::Table(&OVERDUE),
            "What happens after the due date, in place of the rest of the course.",
        ),
        key("calendar", Kind::Text, "The course runs in the business time of this calendar."),
        key(
            "anchor",
            Kind::Words(|| words(ANCHORS)),
            "Where it starts: the activation date, if any, or when it was captured.",
        )
        .or(|| shown("activation")),
        key("start", BOUND, "The value at the anchor; else the course's."),
        key("min", BOUND, "Never below this."),
        key("max", BOUND, "Never above this, up to the due date if there is `overdue`."),
    ],
)
.one_of(&COURSES);

static POINT: Section = Section::new(
    "A point of a curve.",
    &[
        key("at", Kind::Span, "When, from the anchor on; no point lies before the one above it.")
            .required(),
        key("priority", VALUE, "How much then.").required(),
    ],
);

static INCREMENT: Section = Section::new(
    "What is added period by period.",
    &[
        key("add", POINTS, "Points added, or taken if negative, in each period.").required(),
        key("every", Kind::Duration, "The period.").required(),
        key("for", Kind::Span, "How long; the last may go on for ever."),
    ],
);

static OVERDUE: Section = Section::new(
    "What happens after the due date.",
    &[
        key("priority", VALUE, "The value at the due date; else the course's."),
        key("add", POINTS, "Points added, or taken if negative, in each period.").or(|| 0.into()),
        key("every", Kind::Duration, "The period, evenly; goes with `add`."),
        key("max", POINTS, "Where the climb, or fall, ends."),
    ],
);

pub(super) fn priority(table: &mut Table<'_>, findings: &mut Findings) -> PrioritySchema {
    PrioritySchema {
        shape: shape(table, findings),
        overdue: table.get("overdue").and_then(|node| overdue(&table.title, node, findings)),
        calendar: table.name("calendar", findings),
        anchor: table.choice("anchor", ANCHORS, findings).unwrap_or_default(),
        start: bound(table, "start", findings),
        min: bound(table, "min", findings),
        max: bound(table, "max", findings),
    }
}

fn shape(table: &mut Table<'_>, findings: &mut Findings) -> Shape {
    let given: Vec<_> =
        COURSES.into_iter().filter_map(|key| Some((key, table.get(key)?))).collect();
    match given.as_slice() {
        [] => {
            let message = format!("{} needs `points`, `initial` or `priority`", table.title);
            let found = Found::error(Code::MissingKey, table.node.key, message);
            let help = "a constant is priority = 500; see docs/config.md for curves";
            findings.push(found.label("which course?").help(help));
        }
        [(key, first), (again, node), ..] => {
            let message = format!("{} says its course twice", table.title);
            let found = Found::error(Code::Value, node.key, message).label("again here");
            let help = format!("write `{key}` or `{again}`, not both");
            findings.push(found.related(first.key, "first here").help(help));
        }
        [_] => {}
    }
    if !given.iter().any(|(key, _)| *key == "initial") {
        without_initial(table, findings);
    }
    match given.first() {
        Some(("points", node)) => Shape::Points(points(&table.title, node, findings)),
        Some(("initial", _)) => Shape::Increments(increments(table, findings)),
        _ => {
            let priority = value(table, "priority", findings).unwrap_or(PointValue::Points(0));
            Shape::Points(vec![CurvePoint { at: Span::Time(Millis(0)), priority }])
        }
    }
}

/// Reports what has to do with increments where there are none.
fn without_initial(table: &mut Table<'_>, findings: &mut Findings) {
    for key in WITH_INITIAL {
        let Some(node) = table.get(key) else { continue };
        let message = format!("`{key}` in {} goes with `initial` only", table.title);
        let found = Found::error(Code::Value, node.key, message).label("means nothing here");
        findings.push(found.help("write initial = 100, the value at the start, or leave it out"));
    }
}

fn points(title: &str, node: &Node, findings: &mut Findings) -> Vec<CurvePoint> {
    let nodes = list(&format!("`points` in {title}"), node, findings);
    nodes.iter().map(|point| curve_point(title, point, findings)).collect()
}

/// A point that cannot be read still stands for one, so that the others keep their numbers.
fn curve_point(title: &str, node: &Node, findings: &mut Findings) -> CurvePoint {
    let mut table = Table::of(&POINT, format!("a point of {title}"), node, findings);
    let at = curve_time(&mut table, "at", findings).unwrap_or(Span::Time(Millis(0)));
    let priority = value(&mut table, "priority", findings).unwrap_or(PointValue::Points(0));
    table.close(findings);
    CurvePoint { at, priority }
}

/// A time on the curve; a curve runs in one kind of time, which its `calendar` says.
fn curve_time(table: &mut Table<'_>, key: &'static str, findings: &mut Findings) -> Option<Span> {
    let span = table.span(key, findings)?;
    if let (Span::Business(time), Some(node)) = (span, table.get(key)) {
        let message = format!("{} names the kind of time", table.title_of(key));
        let found = Found::error(Code::Value, node.place, message).label("business time");
        let help = format!("write \"{time}\"; with `calendar`, a curve runs in business time");
        findings.push(found.help(help));
    }
    Some(span)
}

fn increments(table: &mut Table<'_>, findings: &mut Findings) -> Increments {
    let node = table.need("increments");
    let title = format!("`increments` in {}", table.title);
    let steps = node.map_or(&[][..], |node| list(&title, node, findings));
    if let Some(node) = node.filter(|node| matches!(&node.value, Value::List(l) if l.is_empty())) {
        let message = format!("{title} are empty");
        let found = Found::error(Code::Curve, node.place, message).label("empty");
        findings.push(found.help("a constant is written priority = 500"));
    }
    Increments {
        initial: value(table, "initial", findings).unwrap_or(PointValue::Points(0)),
        steps: steps.iter().map(|node| increment(&table.title, node, findings)).collect(),
        stepped: table.boolean("stepped", findings).unwrap_or(false),
        at_sla: value(table, "at_sla", findings),
    }
}

fn increment(title: &str, node: &Node, findings: &mut Findings) -> Increment {
    let title = format!("an increment of {title}");
    let mut table = Table::of(&INCREMENT, title, node, findings);
    let add = table.integer("add", findings).unwrap_or(0);
    let every = table.duration("every", findings).unwrap_or(NO_CLIMB);
    let lasts = curve_time(&mut table, "for", findings);
    table.close(findings);
    Increment { add, every, lasts }
}

/// A value on a curve: whole points, or a share of the way from the minimum to the maximum.
fn value(table: &mut Table<'_>, key: &'static str, findings: &mut Findings) -> Option<PointValue> {
    let node = table.get(key)?;
    match &node.value {
        Value::Text(_) => table.unit(key, units::share, findings),
        Value::Integer(_) => table.integer(key, findings).map(PointValue::Points),
        _ => {
            let title = table.title_of(key);
            findings.push(wrong_type(&title, "whole points, or a share as in \"50%\"", node));
            None
        }
    }
}

/// Points for all items, or an expression that gives each item its own.
fn bound(table: &mut Table<'_>, key: &'static str, findings: &mut Findings) -> Option<Bound> {
    let node = table.get(key)?;
    match &node.value {
        Value::Text(text) => Some(Bound::Expression(text.clone())),
        Value::Integer(_) => table.integer(key, findings).map(Bound::Points),
        _ => {
            let title = table.title_of(key);
            findings.push(wrong_type(&title, "whole points, or an expression in quotes", node));
            None
        }
    }
}

fn overdue(title: &str, node: &Node, findings: &mut Findings) -> Option<Overdue> {
    let mut table = Table::of(&OVERDUE, format!("`overdue` of {title}"), node, findings);
    let jumps = table.get("priority").is_some();
    if !jumps || table.get("every").is_some() {
        table.need("add");
    }
    if !jumps || table.get("add").is_some() {
        table.need("every");
    }
    let priority = value(&mut table, "priority", findings);
    let add = table.integer("add", findings);
    let every = table.duration("every", findings);
    let max = table.integer("max", findings);
    table.close(findings);
    let climb = add.zip(every);
    let (add, every) = climb.unwrap_or((0, NO_CLIMB));
    (jumps || climb.is_some()).then_some(Overdue { priority, add, every, max })
}
