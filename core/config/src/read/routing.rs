//! Reads what the business edits: attributes, priorities, processes.

use std::collections::BTreeSet;

use gantry_model::priority::POINTS_MAX;
use gantry_model::spec::{
    Completion, CompletionMode, CurvePoint, Overdue, PrioritySchema, ProcessSpec, RouteSpec, Sla,
    Span, StageSpec,
};
use gantry_model::{AttributeType, Millis, Name, Requirement};

use crate::defaults;
use crate::finding::{Code, Findings, Found, Place};
use crate::table::{Table, list};
use crate::tree::Node;

/// Types without parameters.
pub(super) const PLAIN_TYPES: &[(&str, AttributeType)] = &[
    ("text", AttributeType::Text),
    ("integer", AttributeType::Integer),
    ("decimal", AttributeType::Decimal),
    ("boolean", AttributeType::Boolean),
    ("timestamp", AttributeType::Timestamp),
    ("list", AttributeType::List),
    ("map", AttributeType::Map),
];
const ENUMERATION: &str = "enumeration";

pub(super) fn plain_type(word: &str) -> Option<AttributeType> {
    let found = PLAIN_TYPES.iter().find(|(name, _)| *name == word);
    found.map(|(_, kind)| kind.clone())
}

pub(super) fn attribute(table: &mut Table<'_>, findings: &mut Findings) -> Option<AttributeType> {
    let named = table.need("type");
    let word = table.text("type", findings);
    let labels_node = table.get("labels");
    let labels = table.names("labels", findings);
    let word = word?;
    if word == ENUMERATION {
        if labels.is_empty() {
            let message = format!("{} needs `labels`", table.title);
            let found = Found::error(Code::MissingKey, table.node.key, message);
            let help = "write labels = [\"Gold\", \"Silver\"]";
            findings.push(found.label("which labels?").help(help));
        }
        let labels = labels.iter().map(ToString::to_string).collect();
        return Some(AttributeType::Enumeration(labels));
    }
    if let Some(node) = labels_node {
        let message = format!("`labels` in {} mean nothing for this type", table.title);
        let found = Found::error(Code::Value, node.key, message).label("not used");
        findings.push(found.help("write type = \"enumeration\", or leave the labels out"));
    }
    let kind = plain_type(word);
    if let (None, Some(node)) = (&kind, named) {
        let known = PLAIN_TYPES.iter().map(|(name, _)| *name).chain([ENUMERATION]);
        let found = Found::error(Code::Value, node.place, format!("unknown type `{word}`"));
        findings.push(found.label("no such type").suggest(word, known));
    }
    kind
}

/// Attributes are written in expressions, so their names must be words there.
pub(super) fn attribute_name(name: &str, place: Place, findings: &mut Findings) {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let reserved = ["custom", "in", "true", "false", "null"].contains(&name);
    if !starts || !name.chars().all(fits) || reserved {
        let message = format!("`{name}` cannot be the name of an attribute");
        let found = Found::error(Code::Value, place, message).label("not as a name");
        findings.push(found.help("use small letters (a to z), digits and `_`"));
    }
}

pub(super) fn process_name(name: &str, place: Place, findings: &mut Findings) {
    let parts = name.split_once('/');
    let two = parts.is_some_and(|(department, process)| {
        let filled = |part: &str| !part.trim().is_empty() && part.trim() == part;
        filled(department) && filled(process) && !process.contains('/')
    });
    if !two {
        let message = format!("`{name}` is no process");
        let found = Found::error(Code::Value, place, message).label("not department/process");
        findings.push(found.help("write [process.\"department/process\"]"));
    }
}

/// `[routing]`
#[derive(Default)]
pub(super) struct Words {
    pub(super) skills: BTreeSet<Name>,
    pub(super) groups: BTreeSet<Name>,
    pub(super) reasons: BTreeSet<Name>,
    pub(super) default_process: Name,
}

pub(super) fn words(root: &mut Table<'_>, findings: &mut Findings) -> Words {
    let Some(node) = root.need("routing") else {
        return Words::default();
    };
    let mut table = Table::open("[routing]", node, findings);
    let words = Words {
        skills: table.names("skills", findings).into_iter().collect(),
        groups: table.names("groups", findings).into_iter().collect(),
        reasons: table.names("reasons", findings).into_iter().collect(),
        default_process: table.need_name("default_process", findings),
    };
    table.close(findings);
    words
}

pub(super) fn priority(table: &mut Table<'_>, findings: &mut Findings) -> PrioritySchema {
    let mut points = Vec::new();
    if let Some(node) = table.need("points") {
        for point in list(&format!("`points` in {}", table.title), node, findings) {
            points.push(curve_point(&table.title, point, findings));
        }
    }
    let overdue = table.get("overdue").and_then(|node| overdue(&table.title, node, findings));
    PrioritySchema { overdue, ..PrioritySchema::of_points(points) }
}

/// A point that cannot be read still stands for one, so that the others keep their numbers.
fn curve_point(title: &str, node: &Node, findings: &mut Findings) -> CurvePoint {
    let mut table = Table::open(format!("a point of {title}"), node, findings);
    table.need("at");
    table.need("priority");
    let at = table.span("at", findings);
    let priority = table.integer("priority", -POINTS_MAX..=POINTS_MAX, findings);
    table.close(findings);
    CurvePoint { at: at.unwrap_or(Span::Time(Millis(0))), priority: priority.unwrap_or(0).into() }
}

fn overdue(title: &str, node: &Node, findings: &mut Findings) -> Option<Overdue> {
    let mut table = Table::open(format!("`overdue` of {title}"), node, findings);
    table.need("add");
    table.need("every");
    let add = table.integer("add", -POINTS_MAX..=POINTS_MAX, findings);
    let every = table.duration("every", findings);
    let max = table.integer("max", -POINTS_MAX..=POINTS_MAX, findings);
    table.close(findings);
    Some(Overdue { priority: None, add: add?, every: every?, max })
}

pub(super) fn process(table: &mut Table<'_>, findings: &mut Findings) -> ProcessSpec {
    ProcessSpec {
        priority: table.need_name("priority", findings),
        sla: table.duration("sla", findings).map(Sla::Wall),
        route: route(table, findings),
        offer_timeout: table.duration("offer_timeout", findings).unwrap_or(defaults::OFFER_TIMEOUT),
        decline_cool_down: table
            .duration_or_zero("decline_cool_down", findings)
            .unwrap_or(defaults::DECLINE_COOL_DOWN),
        completion: completion(table, findings),
        dispositions: table.names("dispositions", findings),
        disposition_required: table.boolean("disposition_required", findings).unwrap_or(false),
        show: table.names("show", findings),
        ..ProcessSpec::default()
    }
}

fn completion(table: &mut Table<'_>, findings: &mut Findings) -> Completion {
    let standard = Completion { mode: CompletionMode::default(), within: defaults::CONFIRM_WITHIN };
    let Some(node) = table.get("completion") else {
        return standard;
    };
    let mut inner = Table::open(format!("`completion` of {}", table.title), node, findings);
    let mode = inner.choice("mode", MODES, findings);
    let within = inner.duration("within", findings);
    inner.close(findings);
    Completion { mode: mode.unwrap_or_default(), within: within.unwrap_or(standard.within) }
}

const MODES: &[(&str, CompletionMode)] = &[
    ("source", CompletionMode::Source),
    ("done_then_confirm", CompletionMode::DoneThenConfirm),
    ("done_closes", CompletionMode::DoneCloses),
];

fn route(table: &mut Table<'_>, findings: &mut Findings) -> RouteSpec {
    let Some(node) = table.get("route") else {
        return RouteSpec::default();
    };
    let mut inner = Table::open(format!("`route` of {}", table.title), node, findings);
    let preferred = inner.span("preferred", findings);
    let stages = inner
        .get("stages")
        .map_or(&[][..], |node| list(&format!("`stages` of {}", table.title), node, findings));
    let stages = stages.iter().map(|node| stage(&table.title, node, findings)).collect();
    inner.close(findings);
    RouteSpec { preferred, stages }
}

/// What the stage asks of an agent is read by `expressions`, which knows all skills and groups.
fn stage(title: &str, node: &Node, findings: &mut Findings) -> StageSpec {
    let mut table = Table::open(format!("a stage of {title}"), node, findings);
    table.need("skills");
    table.text("skills", findings);
    let lasts = table.span("for", findings);
    table.close(findings);
    StageSpec { requirement: Requirement::Anybody, lasts }
}
