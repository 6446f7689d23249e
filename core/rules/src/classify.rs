//! Segmentation: the rules of the four levels, and the class they give an item.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use gantry_model::command::{Classified, Verdict};
use gantry_model::spec::{SegmentLevel, SegmentRule, Spec};
use gantry_model::{
    AgentId, AttributeType, Classification, Document, Millis, Name, Origin, Requirement, Timestamp,
    Value,
};

use crate::check::{self, Subject, Want};
use crate::eval::{Change, Node, Root, evaluate, holds};
use crate::finding::{ExpressionFinding, ExpressionPath};
use crate::requirement::check_requirement;
use crate::rules::{Rules, condition, reason};

/// Classes kept for sharing; past this many the cache starts anew.
const CLASSES_MAX: usize = 4096;

/// Classes that items were given lately, so that equal ones are one value in memory.
pub(crate) type ClassCache = BTreeSet<Arc<Classification>>;

/// The rules of the four levels, each in file order.
#[derive(Debug, Default)]
pub(crate) struct Segmentation {
    levels: [Vec<Rule>; 4],
}

#[derive(Debug)]
struct Rule {
    id: Name,
    within: Option<Name>,
    when: Option<(String, Node)>,
    department: Option<Name>,
    process: Option<Name>,
    sla: Option<Millis>,
    schema: Option<Name>,
    set: Vec<Assignment>,
}

/// One attribute that a rule sets.
#[derive(Debug)]
struct Assignment {
    attribute: Name,
    /// `None` if the attribute is not declared.
    kind: Option<AttributeType>,
    text: String,
    node: Node,
}

impl Segmentation {
    pub(crate) fn compile(spec: &Spec, findings: &mut Vec<ExpressionFinding>) -> Self {
        let mut levels = Self::default();
        for rule in &spec.segmentation {
            let known = findings.len();
            let compiled = Rule::compile(rule, spec, findings);
            // A rule whose condition cannot be read must not hit always.
            if findings.len() == known {
                levels.levels[rule.level as usize].push(compiled);
            }
        }
        levels
    }
}

impl Rule {
    fn compile(rule: &SegmentRule, spec: &Spec, findings: &mut Vec<ExpressionFinding>) -> Self {
        let when = rule.when.as_ref().and_then(|text| {
            let path = ExpressionPath::RuleWhen { rule: rule.id.clone() };
            condition(text, spec, path, findings).map(|node| (text.clone(), node))
        });
        let mut set = Vec::with_capacity(rule.set.len());
        for (attribute, text) in &rule.set {
            let kind = spec.attribute_type(attribute);
            let want = kind.map_or(Want::Anything, Want::Attribute);
            match check::compile(text, spec, Subject::Item, want) {
                Ok(node) => set.push(Assignment {
                    attribute: attribute.clone(),
                    kind: kind.cloned(),
                    text: text.clone(),
                    node,
                }),
                Err(errors) => {
                    let path = ExpressionPath::RuleSet {
                        rule: rule.id.clone(),
                        attribute: attribute.clone(),
                    };
                    findings.extend(errors.into_iter().map(|e| e.at(path.clone(), text)));
                }
            }
        }
        Self {
            id: rule.id.clone(),
            within: rule.within.clone(),
            when,
            department: rule.department.clone(),
            process: rule.process.clone(),
            sla: rule.sla,
            schema: rule.priority.clone(),
            set,
        }
    }

    fn hits(&self, place: Option<&str>, root: Root<'_>) -> Result<bool, String> {
        if let Some(within) = &self.within
            && place != Some(within.as_str())
        {
            return Ok(false);
        }
        match &self.when {
            None => Ok(true),
            Some((text, node)) => holds(node, root)
                .map_err(|error| format!("rule `{}`: {}", self.id, reason(text, &error))),
        }
    }
}

/// What the rules have said so far.
#[derive(Default)]
struct Run {
    changes: Vec<Change>,
    hits: Vec<Name>,
    sla: Option<Millis>,
    schema: Option<Name>,
}

pub(crate) fn classify(
    rules: &Rules,
    capture: &str,
    version: u32,
    document: &mut Document,
) -> (Verdict, bool) {
    match run(rules, capture, document) {
        Ok(run) => match verdict(rules, &run, version, document) {
            Ok(verdict) => (verdict, store(run.changes, document)),
            Err(reason) => (failed(reason), false),
        },
        Err(reason) => (failed(reason), false),
    }
}

fn failed(reason: String) -> Verdict {
    Verdict::Failed { reason, retry_at: None }
}

/// Asks the levels in order: the first rule that hits in each counts.
fn run(rules: &Rules, capture: &str, document: &Document) -> Result<Run, String> {
    let mut run = Run::default();
    let levels = [
        SegmentLevel::Global,
        SegmentLevel::Capture,
        SegmentLevel::Department,
        SegmentLevel::Process,
    ];
    for (level, in_level) in levels.into_iter().zip(&rules.segmentation.levels) {
        let root = Root::Item(document, &run.changes);
        let place = match level {
            SegmentLevel::Global => None,
            SegmentLevel::Capture => Some(capture),
            SegmentLevel::Department => department(root),
            SegmentLevel::Process => text(root, "process"),
        };
        let mut hit = None;
        for rule in in_level {
            if rule.hits(place, root)? {
                hit = Some(rule);
                break;
            }
        }
        if let Some(rule) = hit {
            run.take(rule, document)?;
        }
    }
    Ok(run)
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

impl Run {
    fn take(&mut self, rule: &Rule, document: &Document) -> Result<(), String> {
        let mut changes = Vec::new();
        let mut change = |name: &str, value: &Name| {
            changes.push(Change {
                name: name.into(),
                value: Value::Text(value.to_string()),
                rule: rule.id.clone(),
                stored: false,
            });
        };
        if let Some(process) = &rule.process {
            change("process", process);
            // The department of a process is its own, whatever an earlier level said.
            if let (None, Some((department, _))) = (&rule.department, process.split_once('/')) {
                change("department", &department.into());
            }
        }
        if let Some(department) = &rule.department {
            change("department", department);
        }
        for assignment in &rule.set {
            let wrong = |reason: String| {
                let (id, attribute) = (&rule.id, &assignment.attribute);
                format!("rule `{id}` cannot set attribute `{attribute}`: {reason}")
            };
            let value = evaluate(&assignment.node, Root::Item(document, &self.changes))
                .map_err(|error| wrong(reason(&assignment.text, &error)))?;
            let value = match &assignment.kind {
                Some(kind) => value.into_value(kind).map_err(|e| wrong(e.to_string()))?,
                None => value.into_untyped(),
            };
            if let Some(value) = value {
                changes.push(Change {
                    name: assignment.attribute.clone(),
                    value,
                    rule: rule.id.clone(),
                    stored: true,
                });
            }
        }
        self.changes.extend(changes);
        self.hits.push(rule.id.clone());
        self.sla = rule.sla.or(self.sla);
        self.schema = rule.schema.clone().or(self.schema.take());
        Ok(())
    }
}

fn verdict(rules: &Rules, run: &Run, version: u32, document: &Document) -> Result<Verdict, String> {
    let root = Root::Item(document, &run.changes);
    let routing = &rules.routing;
    let named = text(root, "process").and_then(|name| routing.processes.get_key_value(name));
    let (process, spec) = named
        .or_else(|| routing.processes.get_key_value(&routing.default_process))
        .ok_or_else(|| format!("there is no default process `{}`", routing.default_process))?;
    let class = Classification {
        version,
        rules: run.hits.clone(),
        process: process.clone(),
        schema: run.schema.clone().unwrap_or_else(|| spec.priority.clone()),
        sla: run.sla.or(spec.sla),
        requirement: requirement(rules, root)?,
        media_type: text(root, "media_type").map_or_else(|| rules.media_type.clone(), Name::new),
    };
    let priority = match (&run.schema, root.attribute("priority")) {
        (Some(_), _) | (None, None) => None,
        (None, Some(Value::Integer(priority))) => Some(*priority),
        (None, Some(other)) => return Err(unusable("priority", "integer", other)),
    };
    Ok(Verdict::Classified(Classified {
        class: Some(shared(rules, class)),
        due_at: instant(root, "due_at")?,
        activation_at: instant(root, "activation_at")?,
        expires_at: instant(root, "expires_at")?,
        priority,
        preferred_agent: text(root, "preferred_agent").map(AgentId::new),
        required_agent: text(root, "required_agent").map(AgentId::new),
    }))
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
