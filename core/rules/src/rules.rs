//! `Rules`: all expressions of one config, compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use gantry_model::agent::DEFAULT_MEDIA_TYPE;
use gantry_model::command::Verdict;
use gantry_model::spec::{LookupSpec, RoutingSpec, Spec};
use gantry_model::{AttributeType, Document, Name, Origin, Value};
use serde_json::{Map, Value as Json};
use thiserror::Error;

use crate::check::{self, Subject, Want};
use crate::classify::{ClassCache, Segmentation};
use crate::eval::{EvalError, Node, Root, holds};
use crate::finding::{ExpressionFinding, ExpressionPath};
use crate::map::{MapError, Mapped, Mapping, declared};
use crate::table::TableRemark;
use crate::value::Val;

/// All expressions of one config, compiled; shared freely between threads.
#[derive(Debug)]
pub struct Rules {
    declared: BTreeMap<Name, AttributeType>,
    mappings: BTreeMap<Name, Mapping>,
    lookups: BTreeMap<Name, Lookup>,
    pub(crate) segmentation: Segmentation,
    pub(crate) routing: Arc<RoutingSpec>,
    pub(crate) skills: BTreeSet<Name>,
    pub(crate) groups: BTreeSet<Name>,
    /// The media type of items that name none.
    pub(crate) media_type: Name,
    pub(crate) classes: Mutex<ClassCache>,
}

#[derive(Debug)]
struct Lookup {
    when: Option<(String, Node)>,
    yields: BTreeMap<Name, AttributeType>,
    /// See [`LookupSpec::fields`].
    fields: BTreeMap<Name, Vec<String>>,
}

/// Why a rule or a look-up's answer could not be taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleError {
    /// No look-up has that name.
    #[error("cannot ask look-up `{lookup}`: there is no such look-up")]
    UnknownLookup {
        /// The name.
        lookup: String,
    },
    /// The condition of a look-up failed.
    #[error("cannot tell whether look-up `{lookup}` applies: {reason}")]
    LookupCondition {
        /// The look-up.
        lookup: String,
        /// Why.
        reason: String,
    },
    /// The answer of a look-up does not have the promised form.
    #[error("cannot read the answer of look-up `{lookup}`: {what}: expected {expected}, got {got}")]
    Answer {
        /// The look-up.
        lookup: String,
        /// The attribute, or the answer as a whole.
        what: String,
        /// The declared type.
        expected: String,
        /// The value, shortened to 60 characters.
        got: String,
    },
}

/// Compiles all expressions of a config and tells every mistake in them.
///
/// The rules work without the expressions that have mistakes; who loads a config refuses it
/// while there are any.
pub fn compile(spec: &Spec) -> (Rules, Vec<ExpressionFinding>) {
    let mut findings = Vec::new();
    let mappings = spec
        .captures
        .iter()
        .map(|(name, capture)| {
            let mapping = Mapping::compile(name, capture, spec, &mut findings);
            (name.clone(), mapping)
        })
        .collect();
    let lookups = spec
        .lookups
        .iter()
        .map(|(name, lookup)| {
            let lookup = Lookup::compile(name, lookup, spec, &mut findings);
            (name.clone(), lookup)
        })
        .collect();
    let rules = Rules {
        declared: declared(spec),
        mappings,
        lookups,
        segmentation: Segmentation::compile(spec, &mut findings),
        routing: Arc::clone(&spec.routing),
        skills: spec.skills.clone(),
        groups: spec.groups.clone(),
        media_type: Name::new(DEFAULT_MEDIA_TYPE),
        classes: Mutex::default(),
    };
    (rules, findings)
}

impl Lookup {
    fn compile(
        name: &Name,
        lookup: &LookupSpec,
        spec: &Spec,
        findings: &mut Vec<ExpressionFinding>,
    ) -> Self {
        let when = lookup.when.as_ref().and_then(|text| {
            let path = ExpressionPath::LookupWhen { lookup: name.clone() };
            condition(text, spec, path, findings).map(|node| (text.clone(), node))
        });
        Self { when, yields: lookup.yields.clone(), fields: lookup.fields.clone() }
    }

    /// What the answer has of an attribute.
    fn find<'a>(&self, name: &Name, answer: &'a Map<String, Json>) -> Option<&'a Json> {
        let Some(path) = self.fields.get(name) else { return answer.get(name.as_str()) };
        let (first, inner) = path.split_first()?;
        inner.iter().try_fold(answer.get(first)?, |value, key| value.get(key))
    }
}

/// Compiles a condition over `item`.
pub(crate) fn condition(
    text: &str,
    spec: &Spec,
    path: ExpressionPath,
    findings: &mut Vec<ExpressionFinding>,
) -> Option<Node> {
    match check::compile(text, spec, Subject::Item, Want::Condition) {
        Ok(node) => Some(node),
        Err(errors) => {
            findings.extend(errors.into_iter().map(|error| error.at(path.clone(), text)));
            None
        }
    }
}

impl Rules {
    /// Maps a record of a capture point.
    ///
    /// # Errors
    /// [`MapError`] if the record has to be refused; mapping it again gives the same error.
    pub fn map(&self, capture: &str, record: &Json) -> Result<Mapped, MapError> {
        match self.mappings.get(capture) {
            Some(mapping) => mapping.map(capture, record, &self.declared),
            None => Err(MapError::UnknownCapture { capture: capture.into() }),
        }
    }

    /// The declared type of an attribute: core, extended, custom or yielded by a look-up.
    pub fn attribute_type(&self, name: &str) -> Option<&AttributeType> {
        self.declared.get(name)
    }

    /// The points that a word stands for as the `priority` of a capture point's items.
    pub fn priority_label(&self, capture: &str, word: &str) -> Option<i64> {
        self.mappings.get(capture)?.label_points(word)
    }

    /// Whether a look-up is to be asked for an item with these attributes.
    ///
    /// What rules set in an earlier run is not seen, so that a later run asks the same.
    ///
    /// # Errors
    /// [`RuleError`] if there is no such look-up or its condition meets a value of a wrong type.
    pub fn wants_lookup(&self, lookup: &str, document: &Document) -> Result<bool, RuleError> {
        let Some((text, node)) = &self.lookup(lookup)?.when else {
            return Ok(true);
        };
        holds(node, Root::Item(document, &[])).map_err(|error| RuleError::LookupCondition {
            lookup: lookup.into(),
            reason: reason(text, &error),
        })
    }

    /// Takes the attributes that a look-up promises out of its answer. Other keys of the answer
    /// are left out; a promised attribute that is missing or `null` stays as it is.
    ///
    /// # Errors
    /// [`RuleError`] if the answer is no map or an attribute has another type than promised; the
    /// document is then unchanged.
    pub fn read_answer(
        &self,
        lookup: &str,
        answer: &Json,
        document: &mut Document,
    ) -> Result<(), RuleError> {
        self.lookup(lookup)?;
        let Json::Object(map) = answer else {
            return Err(RuleError::Answer {
                lookup: lookup.into(),
                what: "the answer".into(),
                expected: "a map".into(),
                got: Val::from_json(answer).excerpt(),
            });
        };
        self.take_promised(lookup, |known, name| known.find(name, map), document)
    }

    /// Takes what stands in for the answer of a look-up that failed, by names of attributes.
    ///
    /// # Errors
    /// As [`Rules::read_answer`].
    pub fn read_defaults(
        &self,
        lookup: &str,
        defaults: &BTreeMap<Name, Json>,
        document: &mut Document,
    ) -> Result<(), RuleError> {
        self.take_promised(lookup, |_, name| defaults.get(name), document)
    }

    fn take_promised<'a>(
        &self,
        lookup: &str,
        find: impl Fn(&Lookup, &Name) -> Option<&'a Json>,
        document: &mut Document,
    ) -> Result<(), RuleError> {
        let known = self.lookup(lookup)?;
        let mut values = Vec::with_capacity(known.yields.len());
        for (name, kind) in &known.yields {
            let Some(json) = find(known, name).filter(|json| !json.is_null()) else { continue };
            let value = Value::from_json(json, kind).map_err(|mismatch| RuleError::Answer {
                lookup: lookup.into(),
                what: format!("attribute `{name}`"),
                expected: mismatch.expected,
                got: mismatch.got,
            })?;
            values.push((name.clone(), value));
        }
        for (name, value) in values {
            document.set(name, value, Some(Origin::Lookup(lookup.into())));
        }
        Ok(())
    }

    /// Classifies an item: the rules of the four levels, then the process they name.
    ///
    /// `version` is the config version that these rules were compiled from. The second value
    /// tells whether attributes of the document changed. What rules set in an earlier run is
    /// undone first: the verdict follows from what the source and the look-ups say.
    ///
    /// A rule that fails gives [`Verdict::Failed`] and leaves the document as it is.
    pub fn classify(
        &self,
        capture: &str,
        version: u32,
        document: &mut Document,
    ) -> (Verdict, bool) {
        crate::classify::classify(self, capture, version, document)
    }

    /// What is odd about the decision tables, though they can be used.
    pub fn table_remarks(&self) -> Vec<TableRemark> {
        self.segmentation.remarks()
    }

    fn lookup(&self, lookup: &str) -> Result<&Lookup, RuleError> {
        self.lookups.get(lookup).ok_or_else(|| RuleError::UnknownLookup { lookup: lookup.into() })
    }
}

/// What failed, and in which part of the expression.
pub(crate) fn reason(text: &str, error: &EvalError) -> String {
    match text.get(error.span.clone()) {
        Some(part) if !part.is_empty() => format!("{error}, in `{part}`"),
        _ => format!("{error}, in `{text}`"),
    }
}
