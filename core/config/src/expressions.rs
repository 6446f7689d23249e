//! Expressions inside the config: checked by `gantry_rules`, pointed at in the TOML file.

use std::sync::Arc;

use gantry_model::Requirement;
use gantry_model::spec::Spec;
use gantry_rules::{
    ExpressionError, ExpressionPath, MistakeKind, RemarkKind, TableRemark, check_requirement,
};

use crate::csv;
use crate::finding::{Code, Findings, Found, Place, Sources};
use crate::tree::{Node, RULES, TABLES, Value};

/// Checks all expressions, and fills in what stages ask of agents.
pub(crate) fn check(tree: &Node, sources: &Sources, spec: &mut Spec, findings: &mut Findings) {
    let (rules, mistakes) = gantry_rules::compile(spec);
    for remark in rules.table_remarks() {
        findings.extend(odd_row(tree, spec, &remark));
    }
    for mistake in mistakes {
        let Some(node) = node_of(tree, spec, &mistake.path) else { continue };
        let code = match (&mistake.path, mistake.kind) {
            (ExpressionPath::Default { .. }, _) => Code::Type,
            (_, MistakeKind::UnknownName) => Code::UnknownName,
            (_, MistakeKind::Value) => Code::Value,
            (_, MistakeKind::Twice) => Code::Twice,
            _ => Code::Expression,
        };
        let place = match (&mistake.path, &node.value) {
            (ExpressionPath::Default { .. }, _) => node.place,
            (_, Value::Text(_)) => part(node, &mistake.span, sources),
            _ => node.place,
        };
        let found = Found::error(code, place, format!("{}: {}", mistake.path, mistake.message));
        findings.push(found.label("this part").maybe_help(mistake.help));
    }
    skills(tree, sources, spec, findings);
}

fn node_of<'t>(tree: &'t Node, spec: &Spec, path: &ExpressionPath) -> Option<&'t Node> {
    let rule = |id: &str| {
        let at = spec.segmentation.iter().position(|rule| rule.id == *id)?;
        Some(at.to_string())
    };
    let table = |id: &str| {
        let at = spec.decision_tables.iter().position(|table| table.id == *id)?;
        Some(at.to_string())
    };
    match path {
        ExpressionPath::Map { capture, attribute } => {
            tree.at(&["capture", capture, "map", attribute])
        }
        ExpressionPath::Default { capture, attribute } => {
            tree.at(&["capture", capture, "defaults", attribute])
        }
        ExpressionPath::Message { capture } => tree.at(&["capture", capture, "message"]),
        ExpressionPath::LookupWhen { lookup } => tree.at(&["lookup", lookup, "when"]),
        ExpressionPath::RuleWhen { rule: id } => tree.at(&[RULES, &rule(id)?, "when"]),
        ExpressionPath::RuleSet { rule: id, attribute } => {
            tree.at(&[RULES, &rule(id)?, "set", attribute])
        }
        ExpressionPath::RulePoints { rule: id, key } => tree.at(&[RULES, &rule(id)?, key]),
        ExpressionPath::SchemaPoints { schema, key } => tree.at(&["priority", schema, key]),
        ExpressionPath::Heading { table: id, column, .. } => {
            tree.at(&[TABLES, &table(id)?, "columns", &column.to_string()])
        }
        ExpressionPath::Cell { table: id, row, column, .. } => {
            tree.at(&[TABLES, &table(id)?, "rows", &row.to_string(), &column.to_string()])
        }
    }
}

/// Rows that get into each other's way.
fn odd_row(tree: &Node, spec: &Spec, remark: &TableRemark) -> Option<Found> {
    let at = spec.decision_tables.iter().position(|table| table.id == remark.table)?;
    let (table, at) = (&spec.decision_tables[at], at.to_string());
    let ids = table.columns.iter().position(|heading| heading.trim() == "id")?;
    let place =
        |row: usize| tree.place_of(&[TABLES, &at, "rows", &row.to_string(), &ids.to_string()]);
    let id = |row: usize| format!("{}.{}", remark.table, table.rows[row][ids].trim());
    let (late, early) = (id(remark.row), id(remark.other));
    let (code, message, label, related, help) = match remark.kind {
        RemarkKind::Overlap => (
            Code::Overlap,
            format!("rules `{late}` and `{early}` can both hit, and only one may"),
            "can hit too",
            "where this one hits",
            "make one of them narrower, or write hit = \"first\": an item that both hit is held",
        ),
        _ => (
            Code::Unreachable,
            format!("rule `{late}` can never hit"),
            "never hits",
            "hits whatever it would",
            "the first row that hits counts: move the narrower row up, or leave it out",
        ),
    };
    let found = Found::warning(code, place(remark.row), message).label(label);
    Some(found.related(place(remark.other), related).help(help))
}

/// Reads the skill expressions of all stages.
fn skills(tree: &Node, sources: &Sources, spec: &mut Spec, findings: &mut Findings) {
    let mut routing = (*spec.routing).clone();
    for (name, process) in &mut routing.processes {
        for (at, stage) in process.route.stages.iter_mut().enumerate() {
            let path = ["process", name, "route", "stages", &at.to_string(), "skills"];
            let Some(node) = tree.at(&path) else { continue };
            let Value::Text(text) = &node.value else { continue };
            match check_requirement(text, &spec.skills, &spec.groups) {
                Ok(requirement) => stage.requirement = requirement,
                Err(errors) => {
                    stage.requirement = Requirement::Anybody;
                    for error in errors {
                        findings.push(wrong_skills(node, error, sources));
                    }
                }
            }
        }
    }
    spec.routing = Arc::new(routing);
}

fn wrong_skills(node: &Node, error: ExpressionError, sources: &Sources) -> Found {
    let place = part(node, &error.span, sources);
    let message = format!("skill expression: {}", error.message);
    Found::error(Code::SkillExpression, place, message).label("this part").maybe_help(error.help)
}

/// The place of a part of a text, given in bytes of the text's value.
fn part(node: &Node, span: &std::ops::Range<usize>, sources: &Sources) -> Place {
    let Place { file, start, end } = node.place;
    let raw = sources.0.get(file).and_then(|source| source.text.get(start..end));
    let raw = raw.unwrap_or_default();
    if sources.0.get(file).is_some_and(|source| source.csv) {
        let [from, to] = [span.start, span.end].map(|at| start + csv::raw_offset(raw, at));
        return Place { file, start: from.min(end), end: to.min(end).max(from.min(end)) };
    }
    let from = start + after_line_end(raw, raw_offset(raw, span.start));
    let to = start + raw_offset(raw, span.end);
    Place { file, start: from.min(end), end: to.min(end).max(from.min(end)) }
}

/// Where a byte of a text's value stands in its TOML form, quotes and escapes included.
pub(crate) fn raw_offset(raw: &str, offset: usize) -> usize {
    let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { 1 };
    let Some(inner) = raw.get(quotes..) else {
        return 0;
    };
    let first_line = match quotes {
        3 if inner.starts_with("\r\n") => 2,
        3 if inner.starts_with('\n') => 1,
        _ => 0,
    };
    let start = quotes + first_line;
    if raw.starts_with('\'') {
        return start + offset;
    }
    let mut decoded = 0;
    let mut at = start;
    while decoded < offset
        && let Some(rest) = raw.get(at..)
        && let Some(first) = rest.chars().next()
    {
        let (length, value) =
            if first == '\\' { escape(rest) } else { (first.len_utf8(), first.len_utf8()) };
        at += length;
        decoded += value;
    }
    at
}

/// Steps over an escaped line end, which stands for nothing.
fn after_line_end(raw: &str, at: usize) -> usize {
    match raw.get(at..).filter(|rest| rest.starts_with('\\')).map(escape) {
        Some((length, 0)) if raw.starts_with('"') => at + length,
        _ => at,
    }
}

/// Length of an escape in TOML, and of the character it stands for, in bytes.
fn escape(rest: &str) -> (usize, usize) {
    let code = |digits: usize| {
        let code = rest.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let value = code.and_then(char::from_u32).map_or(1, char::len_utf8);
        (2 + digits, value)
    };
    match rest.as_bytes().get(1) {
        Some(b'x') => code(2),
        Some(b'u') => code(4),
        Some(b'U') => code(8),
        // A backslash at the end of a line swallows the space up to the next word.
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            (1 + rest[1..].len() - rest[1..].trim_start().len(), 0)
        }
        _ => (2, 1),
    }
}
