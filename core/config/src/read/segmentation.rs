//! Reads the rules and decision tables that give an item its process.

use gantry_model::Name;
use gantry_model::spec::{DecisionTable, HitPolicy, SegmentLevel, SegmentRule};

use crate::finding::{Code, Findings, Found};
use crate::keys::{Key, Kind, Section, key, shown, words};
use crate::table::{Table, check_name, list, text, wrong_type};
use crate::tree::{Node, Value};

const LEVEL: Key = key(
    "level",
    Kind::Words(|| words(LEVELS)),
    "When it is tried: `global`, `capture`, `department`, then `process`.",
)
.required();
const WITHIN: Key = key(
    "within",
    Kind::Text,
    "The capture point, department or process that the level is about; else all.",
);
const BOUND: Kind = Kind::Either(&[Kind::Integer(i64::MIN, i64::MAX), Kind::Expression]);

pub(super) static RULE: Section = Section::new(
    "A rule that gives an item its process, SLA, priority and attributes.",
    &[
        key("id", Kind::Text, "Names it; explanations do.").required(),
        LEVEL,
        WITHIN,
        key("when", Kind::Expression, "Hits if true, over `item`; else always."),
        key("department", Kind::Text, "The department it gives."),
        key("process", Kind::Text, "The process it gives."),
        key("sla", Kind::Sla, "The SLA it gives."),
        key("priority", Kind::Text, "The priority schema it gives."),
        key("start", BOUND, "The priority at the start, in place of the schema's."),
        key("min", BOUND, "The least priority, in place of the schema's."),
        key("max", BOUND, "The greatest priority, in place of the schema's."),
        key("set", Kind::Map(&Kind::Expression), "Attribute = expression over `item`."),
    ],
);

pub(super) static TABLE: Section = Section::new(
    "A decision table: many rules, one a row.",
    &[
        key("id", Kind::Text, "Names it; explanations do.").required(),
        LEVEL,
        WITHIN,
        key(
            "hit",
            Kind::Words(|| words(HIT_POLICIES)),
            "`first`: of the rows that hit, the first counts; `unique`: only one may.",
        )
        .or(|| shown("first")),
        key("columns", Kind::List(&Kind::Scalar), "Headings; with `rows`, or else `file`."),
        key("rows", Kind::List(&Kind::List(&Kind::Scalar)), "Rows, one cell a column."),
        key("file", Kind::Text, "A CSV file with headings and rows."),
    ],
);

pub(super) fn rules(node: &Node, findings: &mut Findings) -> Vec<SegmentRule> {
    let nodes = list("`segmentation`", node, findings);
    let mut rules = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        let mut table =
            Table::of(&RULE, format!("rule {} of [[segmentation]]", at + 1), node, findings);
        if let Some(id) = id(&mut table, "a rule", findings) {
            table.title = format!("rule `{id}`");
        }
        rules.push(rule(&mut table, findings));
        table.close(findings);
    }
    rules
}

fn id(table: &mut Table<'_>, what: &str, findings: &mut Findings) -> Option<Name> {
    let id = table.name("id", findings)?;
    let place = table.get("id").map_or(table.node.key, |id| id.place);
    check_name(what, &id, place, findings);
    Some(id)
}

fn rule(table: &mut Table<'_>, findings: &mut Findings) -> SegmentRule {
    SegmentRule {
        id: table.need_name("id", findings),
        level: table.choice("level", LEVELS, findings).unwrap_or_default(),
        within: table.name("within", findings),
        when: table.text("when", findings).map(str::to_owned),
        department: table.name("department", findings),
        process: table.name("process", findings),
        sla: super::process::sla(table, findings),
        priority: table.name("priority", findings),
        start: points(table, "start", findings),
        min: points(table, "min", findings),
        max: points(table, "max", findings),
        set: table.texts("set", findings),
    }
}

/// Points of priority: a number, or an expression that gives one.
fn points(table: &mut Table<'_>, key: &'static str, findings: &mut Findings) -> Option<String> {
    match &table.get(key)?.value {
        Value::Integer(number) => Some(number.to_string()),
        _ => table.text(key, findings).map(str::to_owned),
    }
}

const LEVELS: &[(&str, SegmentLevel)] = &[
    ("global", SegmentLevel::Global),
    ("capture", SegmentLevel::Capture),
    ("department", SegmentLevel::Department),
    ("process", SegmentLevel::Process),
];

const HIT_POLICIES: &[(&str, HitPolicy)] =
    &[("first", HitPolicy::First), ("unique", HitPolicy::Unique)];

/// Reads `[[decision_table]]`; the rows of those with a file were laid into the tree before.
pub(super) fn decision_tables(node: &Node, findings: &mut Findings) -> Vec<DecisionTable> {
    let nodes = list("`decision_table`", node, findings);
    let mut tables = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        let title = format!("table {} of [[decision_table]]", at + 1);
        let mut table = Table::of(&TABLE, title, node, findings);
        if let Some(id) = id(&mut table, "a decision table", findings) {
            table.title = format!("decision table `{id}`");
        }
        tables.push(decision_table(&mut table, findings));
        table.close(findings);
    }
    tables
}

fn decision_table(table: &mut Table<'_>, findings: &mut Findings) -> DecisionTable {
    if table.text("file", findings).is_none() {
        table.need("columns");
        table.need("rows");
    }
    let columns: Vec<String> =
        table.get("columns").map_or_else(Vec::new, |node| row(&table.title, node, findings));
    let rows = match table.get("rows") {
        Some(node) => list(&format!("`rows` of {}", table.title), node, findings),
        None => &[],
    };
    let rows = rows.iter().map(|node| {
        let cells = row(&table.title, node, findings);
        if cells.len() != columns.len() && matches!(node.value, Value::List(_)) {
            findings.push(ragged(&table.title, node, cells.len(), columns.len()));
        }
        cells
    });
    let rows = rows.collect();
    DecisionTable {
        id: table.need_name("id", findings),
        level: table.choice("level", LEVELS, findings).unwrap_or_default(),
        within: table.name("within", findings),
        hit: table.choice("hit", HIT_POLICIES, findings).unwrap_or_default(),
        columns,
        rows,
    }
}

fn ragged(title: &str, node: &Node, cells: usize, columns: usize) -> Found {
    let message = format!("a row of {title} has {cells} cells, but there are {columns} columns");
    let found = Found::error(Code::Value, node.place, message).label("this row");
    found.help("write one cell a column, \"-\" where anything is right or nothing is set")
}

/// The cells of a row. Numbers, truth values and dates need no quotes.
fn row(title: &str, node: &Node, findings: &mut Findings) -> Vec<String> {
    let cells = list(&format!("a row of {title}"), node, findings).iter();
    let cells = cells.map(|node| match &node.value {
        Value::Integer(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Float(text) | Value::Datetime(text) => text.clone(),
        Value::List(_) | Value::Table(_) => {
            findings.push(wrong_type(&format!("a cell of {title}"), "one value", node));
            String::new()
        }
        Value::Text(_) => text(title, node, findings).unwrap_or_default().to_owned(),
    });
    cells.collect()
}
