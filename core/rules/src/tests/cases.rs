//! Runs `tests/cases/*.toml`: rules, items and what is expected of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use gantry_model::command::Verdict;
use gantry_model::item::PriorityBounds;
use gantry_model::spec::{
    CaptureSpec, Completion, CompletionMode, DecisionTable, Fairness, HitPolicy, MessageKind,
    PrioritySchema, ProcessSpec, RouteSpec, RoutingSpec, SegmentLevel, SegmentRule, Sla, Spec,
};
use gantry_model::{AttributeType, Document, Millis, Name, Origin, Timestamp, Value};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::{ExpressionFinding, Rules, compile, parse_requirement};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CaseFile {
    attribute: BTreeMap<Name, Attribute>,
    process: BTreeMap<Name, Process>,
    priority: BTreeMap<Name, PrioritySchema>,
    routing: Routing,
    capture: BTreeMap<Name, Capture>,
    rule: Vec<Rule>,
    decision_table: Vec<DecisionTable>,
    item: Vec<ItemCase>,
    record: Vec<RecordCase>,
    mistake: Vec<Mistake>,
    table_mistake: Vec<TableMistake>,
    remark: Vec<Remark>,
    skill: Vec<SkillCase>,
}

#[derive(Deserialize)]
struct Attribute {
    r#type: AttributeType,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Process {
    priority: Name,
    sla: Option<Sla>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Routing {
    default_process: Name,
    skills: BTreeSet<Name>,
    groups: BTreeSet<Name>,
    fairness: Option<Fairness>,
}

#[derive(Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Capture {
    map: BTreeMap<Name, String>,
    defaults: BTreeMap<Name, Json>,
    message: Option<String>,
    priority_labels: BTreeMap<Name, i64>,
}

/// A table of one row with one mistake in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableMistake {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    says: String,
    part: String,
    help: Option<String>,
    path: String,
}

/// Two rows of a table, and whether they collide.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remark {
    hit: HitPolicy,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    collide: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    id: Name,
    level: SegmentLevel,
    within: Option<Name>,
    when: Option<String>,
    department: Option<Name>,
    process: Option<Name>,
    sla: Option<Sla>,
    priority: Option<Name>,
    start: Option<String>,
    min: Option<String>,
    max: Option<String>,
    #[serde(default)]
    set: BTreeMap<Name, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemCase {
    name: String,
    #[serde(default)]
    capture: String,
    item: BTreeMap<Name, Json>,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    process: Option<String>,
    priority: Option<String>,
    sla: Option<Sla>,
    rules: Option<Vec<Name>>,
    #[serde(default)]
    set: BTreeMap<Name, Json>,
    constant_priority: Option<i64>,
    due_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    requirement: Option<String>,
    preferred_agent: Option<String>,
    required_agent: Option<String>,
    media_type: Option<String>,
    bounds: Option<Bounds>,
    flow: Option<String>,
    failed: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    start: Option<i64>,
    min: Option<i64>,
    max: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordCase {
    name: String,
    capture: String,
    record: Json,
    expect: ExpectedRecord,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedRecord {
    kind: Option<MessageKind>,
    external_id: Option<String>,
    attributes: Option<BTreeMap<Name, Json>>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mistake {
    when: Option<String>,
    #[serde(default)]
    set: BTreeMap<Name, String>,
    message: Option<String>,
    says: String,
    part: String,
    help: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkillCase {
    text: String,
    means: Option<String>,
    says: Option<String>,
    part: Option<String>,
    help: Option<String>,
}

impl CaseFile {
    fn spec(&self) -> Spec {
        let process = |process: &Process| ProcessSpec {
            priority: process.priority.clone(),
            sla: process.sla,
            route: RouteSpec::default(),
            offer_timeout: Millis::from_secs(30),
            decline_cool_down: Millis::from_secs(60),
            completion: Completion {
                mode: CompletionMode::DoneCloses,
                within: Millis::from_secs(60),
            },
            ..ProcessSpec::default()
        };
        let processes = self.process.iter();
        let attributes = self.attribute.iter();
        let captures = self.capture.iter();
        Spec {
            attributes: attributes.map(|(n, a)| (n.clone(), a.r#type.clone())).collect(),
            skills: self.routing.skills.clone(),
            groups: self.routing.groups.clone(),
            captures: captures.map(|(n, c)| (n.clone(), c.clone().spec())).collect(),
            segmentation: self.rule.iter().map(Rule::spec).collect(),
            decision_tables: self.decision_table.clone(),
            routing: Arc::new(RoutingSpec {
                processes: processes.map(|(n, p)| (n.clone(), process(p))).collect(),
                priorities: self.priority.clone(),
                fairness: self.routing.fairness.clone(),
                default_process: self.routing.default_process.clone(),
                ..RoutingSpec::default()
            }),
            ..Spec::default()
        }
    }
}

impl Capture {
    fn spec(self) -> CaptureSpec {
        CaptureSpec {
            batch: 1,
            map: self.map,
            defaults: self.defaults,
            message: self.message,
            priority_labels: self.priority_labels,
            ..CaptureSpec::default()
        }
    }
}

impl Rule {
    fn spec(&self) -> SegmentRule {
        SegmentRule {
            id: self.id.clone(),
            level: self.level,
            within: self.within.clone(),
            when: self.when.clone(),
            department: self.department.clone(),
            process: self.process.clone(),
            sla: self.sla,
            priority: self.priority.clone(),
            start: self.start.clone(),
            min: self.min.clone(),
            max: self.max.clone(),
            set: self.set.clone(),
        }
    }
}

fn load(name: &str) -> CaseFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn compiled(file: &CaseFile) -> Rules {
    let (rules, findings) = compile(&file.spec());
    assert_eq!(findings, []);
    rules
}

fn document(rules: &Rules, item: &BTreeMap<Name, Json>) -> Document {
    let mut document = Document::default();
    for (name, json) in item {
        let value = match rules.attribute_type(name) {
            Some(kind) => Value::from_json(json, kind).unwrap(),
            None => Value::from_untyped(json),
        };
        document.set(name.clone(), value, None);
    }
    document
}

fn check_items(name: &str) {
    let file = load(name);
    let rules = compiled(&file);
    assert!(!file.item.is_empty());
    for case in &file.item {
        check_item(&rules, case);
    }
}

fn check_item(rules: &Rules, case: &ItemCase) {
    let name = &case.name;
    let captured = document(rules, &case.item);
    let mut document = captured.clone();
    let (verdict, changed) = rules.classify(&case.capture, 3, &mut document);
    let expect = &case.expect;
    if let Some(expected) = &expect.failed {
        let Verdict::Failed { reason, .. } = verdict else {
            panic!("{name}: expected a failure, got {verdict:?}");
        };
        assert_eq!(reason, *expected, "{name}");
        assert_eq!(document, captured, "{name}: a failure changes nothing");
        return;
    }
    let Verdict::Classified(found) = &verdict else {
        panic!("{name}: {verdict:?}");
    };
    let class = found.class.as_ref().unwrap();
    assert_eq!(Some(class.process.to_string()), expect.process, "{name}");
    assert_eq!(class.version, 3, "{name}");
    if let Some(rules) = &expect.rules {
        assert_eq!(class.rules, *rules, "{name}");
    }
    if let Some(schema) = &expect.priority {
        assert_eq!(class.schema, schema.as_str(), "{name}");
    }
    if expect.sla.is_some() {
        assert_eq!(class.sla, expect.sla, "{name}");
    }
    let agent = |agent: &Option<Name>| agent.as_ref().map(ToString::to_string);
    assert_eq!(found.priority, expect.constant_priority, "{name}");
    assert_eq!(found.due_at, expect.due_at, "{name}");
    assert_eq!(found.expires_at, expect.expires_at, "{name}");
    assert_eq!(agent(&found.preferred_agent), expect.preferred_agent, "{name}");
    assert_eq!(agent(&found.required_agent), expect.required_agent, "{name}");
    let requirement = class.requirement.as_ref().map(ToString::to_string);
    assert_eq!(requirement, expect.requirement, "{name}");
    let media_type = expect.media_type.as_deref().unwrap_or("workitem");
    assert_eq!(class.media_type, media_type, "{name}");
    let wanted = expect.bounds.as_ref();
    let wanted = wanted.map(|&Bounds { start, min, max }| PriorityBounds { start, min, max });
    assert_eq!(found.bounds.as_deref(), wanted.as_ref(), "{name}");
    assert_eq!(class.flow.as_deref(), expect.flow.as_deref(), "{name}");
    let set: BTreeMap<Name, Json> = document
        .origins
        .iter()
        .filter(|(_, origin)| matches!(origin, Origin::Rule(_)))
        .map(|(name, _)| (name.clone(), document.attributes[name].to_json()))
        .collect();
    assert_eq!(set, expect.set, "{name}");
    assert_eq!(changed, document != captured, "{name}");
    let (again, changed) = rules.classify(&case.capture, 3, &mut document.clone());
    assert_eq!(again, verdict, "{name}: classified twice");
    assert!(!changed, "{name}: classified twice");
    let Verdict::Classified(again) = again else { unreachable!() };
    assert!(Arc::ptr_eq(class, again.class.as_ref().unwrap()), "{name}: equal classes are shared");
}

#[test]
fn items_are_classified_as_the_sales_rules_say() {
    check_items("sales.toml");
}

#[test]
fn a_wrong_type_fails_with_the_rule_and_the_reason() {
    check_items("errors.toml");
}

#[test]
fn records_are_mapped() {
    check_records("mapping.toml");
}

fn check_records(name: &str) {
    let file = load(name);
    let rules = compiled(&file);
    for case in &file.record {
        let name = &case.name;
        match rules.map(&case.capture, &case.record) {
            Err(error) => assert_eq!(Some(error.to_string()), case.expect.error, "{name}"),
            Ok(mapped) => {
                assert_eq!(case.expect.error, None, "{name}");
                let kind = case.expect.kind.unwrap_or_default();
                assert_eq!(mapped.kind, kind, "{name}");
                let id = case.expect.external_id.as_ref().unwrap_or(&mapped.external_id);
                assert_eq!(mapped.external_id, *id, "{name}");
                let attributes: BTreeMap<Name, Json> = mapped
                    .document
                    .attributes
                    .iter()
                    .map(|(name, value)| (name.clone(), value.to_json()))
                    .collect();
                assert_eq!(Some(attributes), case.expect.attributes, "{name}");
            }
        }
    }
}

#[test]
fn mistakes_are_told_with_their_place_and_a_remedy() {
    let file = load("mistakes.toml");
    for case in &file.mistake {
        let mut spec = file.spec();
        let mut text = String::new();
        if let Some(message) = &case.message {
            text.clone_from(message);
            let capture = Capture { message: Some(message.clone()), ..Capture::default() };
            spec.captures.insert("crm".into(), capture.spec());
        } else {
            text = case.when.clone().unwrap_or_default();
            text.extend(case.set.values().map(String::as_str));
            spec.segmentation.push(SegmentRule {
                id: "rule".into(),
                when: case.when.clone(),
                set: case.set.clone(),
                ..SegmentRule::default()
            });
        }
        let (_, findings) = compile(&spec);
        let [finding] = findings.as_slice() else {
            panic!("{text}: expected one finding, got {findings:#?}");
        };
        let ExpressionFinding { message, help, .. } = finding;
        assert_eq!(*message, case.says, "{text}");
        assert_eq!(finding.text[finding.span.clone()], case.part, "{text}");
        assert_eq!(*help, case.help, "{text}");
    }
}

#[test]
fn items_are_classified_as_the_decision_tables_say() {
    check_items("tables.toml");
}

#[test]
fn bounds_of_priorities_are_computed_for_each_item() {
    check_items("bounds.toml");
}

#[test]
fn priorities_may_be_words() {
    check_items("labels.toml");
    check_records("labels.toml");
}

#[test]
fn mistakes_in_decision_tables_are_told_at_their_cell() {
    let file = load("table_mistakes.toml");
    assert!(!file.table_mistake.is_empty());
    for case in &file.table_mistake {
        let mut spec = file.spec();
        let (columns, rows) = (case.columns.clone(), case.rows.clone());
        let table = DecisionTable { id: "t".into(), columns, rows, ..DecisionTable::default() };
        spec.decision_tables.push(table);
        let (_, findings) = compile(&spec);
        let [finding] = findings.as_slice() else {
            panic!("{:?}: expected one finding, got {findings:#?}", case.rows);
        };
        assert_eq!(finding.message, case.says);
        assert_eq!(finding.text[finding.span.clone()], case.part, "{}", case.says);
        assert_eq!(finding.help, case.help, "{}", case.says);
        assert_eq!(finding.path.to_string(), case.path, "{}", case.says);
    }
}

#[test]
fn rows_that_collide_are_told_if_that_can_be_proven() {
    let file = load("table_remarks.toml");
    assert!(!file.remark.is_empty());
    for case in &file.remark {
        let mut spec = file.spec();
        let (columns, rows, hit) = (case.columns.clone(), case.rows.clone(), case.hit);
        let id = "t".into();
        let table = DecisionTable { id, columns, rows, hit, ..DecisionTable::default() };
        spec.decision_tables.push(table);
        let (rules, findings) = compile(&spec);
        assert_eq!(findings, [], "{:?}", case.rows);
        let remarks: Vec<_> =
            rules.table_remarks().iter().map(|remark| (remark.row, remark.other)).collect();
        let expected: &[(usize, usize)] = if case.collide { &[(1, 0)] } else { &[] };
        assert_eq!(remarks, expected, "{:?}", case.rows);
    }
}

#[test]
fn skill_expressions_mean_what_they_say() {
    for case in load("skills.toml").skill {
        let text = &case.text;
        match parse_requirement(text) {
            Ok(requirement) => {
                assert_eq!(Some(requirement.to_string()), case.means, "{text}");
            }
            Err(error) => {
                assert_eq!(Some(error.message), case.says, "{text}");
                assert_eq!(Some(&text[error.span]), case.part.as_deref(), "{text}");
                assert_eq!(error.help, case.help, "{text}");
            }
        }
    }
}
