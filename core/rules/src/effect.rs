//! What a rule or the row of a decision table does when it hits: places, terms, attributes.

use gantry_model::priority::POINTS_MAX;
use gantry_model::spec::{SegmentRule, Sla, Spec};
use gantry_model::{AttributeType, Document, Name, Value};

use crate::check::{self, Subject, Want};
use crate::eval::{Change, Node, Root, evaluate};
use crate::finding::{ExpressionFinding, ExpressionPath};
use crate::rules::reason;
use crate::value::Val;

/// Keys of the points that a rule or a priority schema may give, in the order of [`Bounds`].
pub(crate) const BOUNDS: [&str; 3] = ["start", "min", "max"];

/// Points for the start, the minimum and the maximum of the priority.
pub(crate) type Bounds<T> = [Option<T>; 3];

/// What a rule sets.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    pub(crate) department: Option<Name>,
    pub(crate) process: Option<Name>,
    pub(crate) sla: Option<Sla>,
    pub(crate) schema: Option<Name>,
    pub(crate) bounds: Bounds<Points>,
    pub(crate) set: Vec<Assignment>,
}

/// Points of priority that are computed for each item.
#[derive(Debug)]
pub(crate) struct Points {
    pub(crate) text: String,
    pub(crate) node: Node,
}

/// One attribute that a rule sets.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) attribute: Name,
    /// `None` if the attribute is not declared.
    pub(crate) kind: Option<AttributeType>,
    pub(crate) text: String,
    pub(crate) node: Node,
}

/// What the rules have said so far.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) changes: Vec<Change>,
    pub(crate) hits: Vec<Name>,
    pub(crate) sla: Option<Sla>,
    pub(crate) schema: Option<Name>,
    pub(crate) bounds: Bounds<i64>,
}

impl Effect {
    pub(crate) fn compile(
        rule: &SegmentRule,
        spec: &Spec,
        findings: &mut Vec<ExpressionFinding>,
    ) -> Self {
        let mut set = Vec::with_capacity(rule.set.len());
        for (attribute, text) in &rule.set {
            let path =
                ExpressionPath::RuleSet { rule: rule.id.clone(), attribute: attribute.clone() };
            set.extend(Assignment::compile(attribute, text, spec, path, findings));
        }
        let texts = [&rule.start, &rule.min, &rule.max];
        let mut bounds = Bounds::default();
        for ((bound, text), key) in bounds.iter_mut().zip(texts).zip(BOUNDS) {
            let Some(text) = text else { continue };
            let path = ExpressionPath::RulePoints { rule: rule.id.clone(), key };
            *bound = Points::compile(text, spec, path, findings);
        }
        Self {
            department: rule.department.clone(),
            process: rule.process.clone(),
            sla: rule.sla,
            schema: rule.priority.clone(),
            bounds,
            set,
        }
    }
}

impl Assignment {
    pub(crate) fn compile(
        attribute: &Name,
        text: &str,
        spec: &Spec,
        path: ExpressionPath,
        findings: &mut Vec<ExpressionFinding>,
    ) -> Option<Self> {
        let kind = spec.attribute_type(attribute);
        let want = kind.map_or(Want::Anything, Want::Attribute);
        let node = compiled(text, spec, want, path, findings)?;
        let (attribute, kind, text) = (attribute.clone(), kind.cloned(), text.to_owned());
        Some(Self { attribute, kind, text, node })
    }
}

impl Points {
    pub(crate) fn compile(
        text: &str,
        spec: &Spec,
        path: ExpressionPath,
        findings: &mut Vec<ExpressionFinding>,
    ) -> Option<Self> {
        let node = compiled(text, spec, Want::Points, path, findings)?;
        Some(Self { text: text.to_owned(), node })
    }

    /// The points, within ±[`POINTS_MAX`]; `None` if what they follow from is absent.
    pub(crate) fn of(&self, root: Root<'_>) -> Result<Option<i64>, String> {
        let value = evaluate(&self.node, root).map_err(|error| reason(&self.text, &error))?;
        match value {
            Val::Absent => Ok(None),
            Val::Integer(points) => Ok(Some(points.clamp(-POINTS_MAX, POINTS_MAX))),
            other => {
                let (got, text) = (other.describe(), &self.text);
                Err(format!("expected whole points (an integer), got {got}, in `{text}`"))
            }
        }
    }
}

fn compiled(
    text: &str,
    spec: &Spec,
    want: Want<'_>,
    path: ExpressionPath,
    findings: &mut Vec<ExpressionFinding>,
) -> Option<Node> {
    match check::compile(text, spec, Subject::Item, want) {
        Ok(node) => Some(node),
        Err(errors) => {
            findings.extend(errors.into_iter().map(|error| error.at(path.clone(), text)));
            None
        }
    }
}

impl Run {
    pub(crate) fn root<'a>(&'a self, document: &'a Document) -> Root<'a> {
        Root::Item(document, &self.changes)
    }

    /// Lets a rule have its effect.
    pub(crate) fn take(
        &mut self,
        id: &Name,
        effect: &Effect,
        document: &Document,
    ) -> Result<(), String> {
        let mut changes = Vec::new();
        let root = self.root(document);
        for assignment in &effect.set {
            let wrong = |reason: String| {
                let attribute = &assignment.attribute;
                format!("rule `{id}` cannot set attribute `{attribute}`: {reason}")
            };
            let value = evaluate(&assignment.node, root)
                .map_err(|error| wrong(reason(&assignment.text, &error)))?;
            let value = match &assignment.kind {
                Some(kind) => value.into_value(kind).map_err(|e| wrong(e.to_string()))?,
                None => value.into_untyped(),
            };
            if let Some(value) = value {
                let (name, rule) = (assignment.attribute.clone(), id.clone());
                changes.push(Change { name, value, rule, stored: true });
            }
        }
        let mut bounds = self.bounds;
        for ((bound, points), key) in bounds.iter_mut().zip(&effect.bounds).zip(BOUNDS) {
            let Some(points) = points else { continue };
            let found = points.of(root);
            let found = found.map_err(|reason| format!("rule `{id}`, `{key}`: {reason}"))?;
            *bound = found.or(*bound);
        }
        self.bounds = bounds;
        self.place(id, effect);
        self.changes.extend(changes);
        self.hits.push(id.clone());
        self.sla = effect.sla.or(self.sla);
        self.schema = effect.schema.clone().or(self.schema.take());
        Ok(())
    }

    /// The process and department that a rule names.
    fn place(&mut self, id: &Name, effect: &Effect) {
        if let Some(process) = &effect.process {
            self.set_process(id, process);
        }
        if let Some(department) = &effect.department {
            self.change(id, "department", department);
        }
    }

    /// The department of a process is its own, whatever an earlier level said.
    pub(crate) fn set_process(&mut self, id: &Name, process: &Name) {
        self.change(id, "process", process);
        if let Some((department, _)) = process.split_once('/') {
            self.change(id, "department", department);
        }
    }

    fn change(&mut self, id: &Name, name: &str, value: &str) {
        let value = Value::Text(value.to_owned());
        self.changes.push(Change { name: name.into(), value, rule: id.clone(), stored: false });
    }
}
