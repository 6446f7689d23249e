//! Segmentation: the rules of the four levels, and the class they give an item.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use gantry_model::command::{Classified, Verdict};
use gantry_model::item::PriorityBounds;
use gantry_model::spec::{Bound, FlowKey, SegmentLevel, SegmentRule, Spec};
use gantry_model::{
    AgentId, Classification, Document, Name, Origin, Requirement, Timestamp, Value,
};

use crate::effect::{BOUNDS, Bounds, Effect, Points, Run};
use crate::eval::{Change, Node, Root, holds};
use crate::finding::{ExpressionFinding, ExpressionPath};
use crate::requirement::check_requirement;
use crate::rules::{Rules, condition, reason};
use crate::table::{Table, TableRemark};

/// Classes kept for sharing; past this many the cache starts anew.
const CLASSES_MAX: usize = 4096;

/// Classes that items were given lately, so that equal ones are one value in memory.
pub(crate) type ClassCache = BTreeSet<Arc<Classification>>;

/// The rules and tables of the four levels.
#[derive(Debug, Default)]
pub(crate) struct Segmentation {
    levels: [Level; 4],
    /// Points that priority schemas compute for each item.
    schemas: BTreeMap<Name, Bounds<Points>>,
}

/// One level: its rules, of which the first that hits counts, then its tables, each by itself.
#[derive(Debug, Default)]
struct Level {
    rules: Vec<Rule>,
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Rule {
    id: Name,
    within: Option<Name>,
    when: Option<(String, Node)>,
    effect: Effect,
}

impl Segmentation {
    pub(crate) fn compile(spec: &Spec, findings: &mut Vec<ExpressionFinding>) -> Self {
        let mut levels: [Level; 4] = Default::default();
        for rule in &spec.segmentation {
            let known = findings.len();
            let compiled = Rule::compile(rule, spec, findings);
            // A rule whose condition cannot be read must not hit always.
            if findings.len() == known {
                levels[rule.level as usize].rules.push(compiled);
            }
        }
        for table in &spec.decision_tables {
            levels[table.level as usize].tables.extend(Table::compile(table, spec, findings));
        }
        let schemas = spec.routing.priorities.iter().map(|(name, schema)| {
            let mut bounds = Bounds::default();
            let given = [&schema.start, &schema.min, &schema.max];
            for ((bound, given), key) in bounds.iter_mut().zip(given).zip(BOUNDS) {
                let Some(Bound::Expression(text)) = given else { continue };
                let path = ExpressionPath::SchemaPoints { schema: name.clone(), key };
                *bound = Points::compile(text, spec, path, findings);
            }
            (name.clone(), bounds)
        });
        let schemas = schemas.collect();
        Self { levels, schemas }
    }

    /// What is odd about the rows of the tables, though they can be used.
    pub(crate) fn remarks(&self) -> Vec<TableRemark> {
        self.levels.iter().flat_map(|level| &level.tables).flat_map(Table::remarks).collect()
    }
}

impl Rule {
    fn compile(rule: &SegmentRule, spec: &Spec, findings: &mut Vec<ExpressionFinding>) -> Self {
        let when = rule.when.as_ref().and_then(|text| {
            let path = ExpressionPath::RuleWhen { rule: rule.id.clone() };
            condition(text, spec, path, findings).map(|node| (text.clone(), node))
        });
        let (id, within) = (rule.id.clone(), rule.within.clone());
        Self { id, within, when, effect: Effect::compile(rule, spec, findings) }
    }

    fn hits(&self, root: Root<'_>) -> Result<bool, String> {
        match &self.when {
            None => Ok(true),
            Some((text, node)) => holds(node, root)
                .map_err(|error| format!("rule `{}`: {}", self.id, reason(text, &error))),
        }
    }
}

pub(crate) fn classify(
    rules: &Rules,
    capture: &str,
    version: u32,
    document: &mut Document,
) -> (Verdict, bool) {
    match run(rules, capture, document) {
        Ok(run) => match verdict(rules, &run, capture, version, document) {
            Ok(verdict) => (verdict, store(run.changes, document)),
            Err(reason) => (failed(reason), false),
        },
        Err(reason) => (failed(reason), false),
    }
}

fn failed(reason: String) -> Verdict {
    Verdict::Failed { reason, retry_at: None }
}

/// Asks the levels in order; each sees what was set before.
fn run(rules: &Rules, capture: &str, document: &Document) -> Result<Run, String> {
    let mut run = Run::default();
    let levels = [
        SegmentLevel::Global,
        SegmentLevel::Capture,
        SegmentLevel::Department,
        SegmentLevel::Process,
    ];
    for (level, asked) in levels.into_iter().zip(&rules.segmentation.levels) {
        if level == SegmentLevel::Process {
            settle_process(rules, &mut run, document)?;
        }
        let place = Place { rules, capture, level };
        for rule in &asked.rules {
            let root = run.root(document);
            if place.is(rule.within.as_ref(), root) && rule.hits(root)? {
                run.take(&rule.id, &rule.effect, document)?;
                break;
            }
        }
        for table in &asked.tables {
            if place.is(table.within.as_ref(), run.root(document)) {
                table.ask(&mut run, document)?;
            }
        }
    }
    Ok(run)
}

/// Gives the default process to an item that names none, or none that there is, so that the rules
/// of that process see it too.
fn settle_process(rules: &Rules, run: &mut Run, document: &Document) -> Result<(), String> {
    let routing = &rules.routing;
    if text(run.root(document), "process").is_some_and(|name| routing.processes.contains_key(name))
    {
        return Ok(());
    }
    let default = &routing.default_process;
    if !routing.processes.contains_key(default) {
        return Err(format!("there is no default process `{default}`"));
    }
    run.set_process(default, default);
    Ok(())
}

/// Where an item is while a level is asked.
struct Place<'r> {
    rules: &'r Rules,
    capture: &'r str,
    level: SegmentLevel,
}

impl Place<'_> {
    /// `true` if a rule for this capture point, department or process is for the item.
    fn is(&self, within: Option<&Name>, root: Root<'_>) -> bool {
        let Some(within) = within else { return true };
        let here = match self.level {
            SegmentLevel::Global => return true,
            SegmentLevel::Capture => Some(self.capture),
            SegmentLevel::Department => department(root)
                .or_else(|| Some(self.rules.routing.default_process.split_once('/')?.0)),
            SegmentLevel::Process => text(root, "process"),
        };
        here == Some(within.as_str())
    }
}

/// The department named, else that of the process.
fn department(root: Root<'_>) -> Option<&str> {
    text(root, "department").or_else(|| {
        let (department, _) = text(root, "process")?.split_once('/')?;
        Some(department)
    })
}

fn text<'a>(root: Root<'a>, attribute: &str) -> Option<&'a str> {
    match root.attribute(attribute) {
        Some(Value::Text(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn verdict(
    rules: &Rules,
    run: &Run,
    capture: &str,
    version: u32,
    document: &Document,
) -> Result<Verdict, String> {
    let root = Root::Item(document, &run.changes);
    let routing = &rules.routing;
    // A rule of the process level may have named one that there is not.
    let named = text(root, "process").unwrap_or_default();
    let (process, spec) = routing
        .processes
        .get_key_value(named)
        .ok_or_else(|| format!("there is no process `{named}`"))?;
    let class = Classification {
        version,
        rules: run.hits.clone(),
        process: process.clone(),
        schema: run.schema.clone().unwrap_or_else(|| spec.priority.clone()),
        sla: run.sla.or(spec.sla),
        requirement: requirement(rules, root)?,
        media_type: text(root, "media_type").map_or_else(|| rules.media_type.clone(), Name::new),
        flow: flow(rules, capture, root)?,
    };
    let priority = match (&run.schema, root.attribute("priority")) {
        (Some(_), _) | (None, None) => None,
        (None, Some(Value::Integer(priority))) => Some(*priority),
        (None, Some(other)) => return Err(unusable("priority", "integer", other)),
    };
    let bounds = bounds(rules, run, &class.schema, priority.is_some(), root)?;
    Ok(Verdict::Classified(Classified {
        class: Some(shared(rules, class)),
        due_at: instant(root, "due_at")?,
        activation_at: instant(root, "activation_at")?,
        expires_at: instant(root, "expires_at")?,
        priority,
        preferred_agent: text(root, "preferred_agent").map(AgentId::new),
        required_agent: text(root, "required_agent").map(AgentId::new),
        bounds: bounds.map(Box::new),
    }))
}

/// Start, minimum and maximum of the priority: what a rule says, else what the schema computes.
/// The constants of the schema are not for the item: a changed schema counts at once.
fn bounds(
    rules: &Rules,
    run: &Run,
    schema: &str,
    constant: bool,
    root: Root<'_>,
) -> Result<Option<PriorityBounds>, String> {
    let mut bounds = run.bounds;
    // A constant priority of the source follows no schema.
    let computed = rules.segmentation.schemas.get(schema).filter(|_| !constant);
    for (at, points) in computed.into_iter().flatten().enumerate() {
        if let (None, Some(points)) = (bounds[at], points) {
            let wrong = |reason| format!("priority schema `{schema}`, `{}`: {reason}", BOUNDS[at]);
            bounds[at] = points.of(root).map_err(wrong)?;
        }
    }
    let [start, min, max] = bounds;
    let some = bounds.iter().any(Option::is_some);
    Ok(some.then_some(PriorityBounds { start, min, max }))
}

/// The flow that the item is counted to, if it is one of those that are named.
fn flow(rules: &Rules, capture: &str, root: Root<'_>) -> Result<Option<Name>, String> {
    let Some(fairness) = &rules.routing.fairness else { return Ok(None) };
    let value = match &fairness.by {
        FlowKey::CapturePoint => Some(capture),
        FlowKey::Attribute(name) => match root.attribute(name) {
            None => None,
            Some(Value::Text(text)) => Some(text.as_str()),
            Some(other) => return Err(unusable(name, "text", other)),
        },
    };
    let known = value.and_then(|value| fairness.flows.get_key_value(value));
    Ok(known.map(|(name, _)| name.clone()))
}

/// What the item itself asks of an agent.
fn requirement(rules: &Rules, root: Root<'_>) -> Result<Option<Requirement>, String> {
    let mut all = None;
    if let Some(wanted) = text(root, "requested_skill") {
        // The name of a skill alone asks for anybody who has it.
        let named = rules.skills.contains(wanted);
        let expression = if named { format!("{wanted:?} > 0") } else { wanted.to_owned() };
        let skill = check_requirement(&expression, &rules.skills, &rules.groups)
            .map_err(|errors| format!("attribute `requested_skill`: {}", errors[0]))?;
        all = Some(skill);
    }
    if let Some(wanted) = text(root, "requested_group") {
        let Some(group) = rules.groups.get(wanted) else {
            return Err(format!("attribute `requested_group`: unknown group `{wanted}`"));
        };
        let group = Requirement::Group(group.clone());
        all = Some(all.unwrap_or(Requirement::Anybody).and(group));
    }
    Ok(all)
}

fn instant(root: Root<'_>, attribute: &str) -> Result<Option<Timestamp>, String> {
    match root.attribute(attribute) {
        None => Ok(None),
        Some(Value::Timestamp(at)) => Ok(Some(*at)),
        Some(other) => Err(unusable(attribute, "timestamp", other)),
    }
}

/// The declaration of a core attribute never changes, but a document may come from elsewhere.
fn unusable(attribute: &str, expected: &str, value: &Value) -> String {
    let got = crate::value::Val::from_value(value).describe();
    format!("attribute `{attribute}`: expected {expected}, got {got}")
}

fn shared(rules: &Rules, class: Classification) -> Arc<Classification> {
    let mut classes = rules.classes.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = classes.get(&class) {
        return Arc::clone(known);
    }
    if classes.len() >= CLASSES_MAX {
        classes.clear();
    }
    let class = Arc::new(class);
    classes.insert(Arc::clone(&class));
    class
}

/// Writes what the rules set into the document; `true` if it changed.
fn store(changes: Vec<Change>, document: &mut Document) -> bool {
    let is_set = |name: &str| changes.iter().any(|change| change.stored && change.name == *name);
    let stale: Vec<Name> = document
        .origins
        .iter()
        .filter(|(name, origin)| matches!(origin, Origin::Rule(_)) && !is_set(name))
        .map(|(name, _)| name.clone())
        .collect();
    let mut changed = !stale.is_empty();
    for name in stale {
        document.unset_rule(&name);
    }
    for (at, change) in changes.iter().enumerate() {
        let later = &changes[at + 1..];
        if !change.stored || later.iter().any(|c| c.stored && c.name == change.name) {
            continue;
        }
        let origin = Origin::Rule(change.rule.clone());
        let same = document.attributes.get(&change.name) == Some(&change.value)
            && document.origins.get(&change.name) == Some(&origin);
        if !same {
            let (name, value) = (change.name.clone(), change.value.clone());
            document.set(name, value, Some(origin));
            changed = true;
        }
    }
    changed
}
