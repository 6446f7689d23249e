//! Mapping: a source's record to typed attributes, a kind of message and a content hash.

use std::collections::BTreeMap;

use gantry_model::attribute::{TypeMismatch, settable};
use gantry_model::command::ContentHash;
use gantry_model::spec::{CaptureSpec, MessageKind, Spec};
use gantry_model::{AttributeType, Attributes, Document, Name, Value};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::check::{Subject, Want, compile};
use crate::eval::{Node, Root, evaluate};
use crate::finding::{ExpressionError, ExpressionFinding, ExpressionPath};
use crate::rules::reason;
use crate::value::Val;

/// Longest external id, in characters.
pub const EXTERNAL_ID_CHARS_MAX: usize = 256;
/// The attribute that holds the source's own id.
const EXTERNAL_ID: &str = "external_id";
/// The attribute that a source may give as a word.
const PRIORITY: &str = "priority";
/// Longest excerpt of a wrong word, in characters.
const EXCERPT_CHARS: usize = 60;

/// A record as the hub understands it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// The kind of message.
    pub kind: MessageKind,
    /// The source's own id of the item, 1 to [`EXTERNAL_ID_CHARS_MAX`] characters.
    pub external_id: String,
    /// The attributes, defaults included.
    pub document: Document,
    /// Hash of the mapped attributes, without the defaults: another default does not make
    /// another record.
    pub hash: ContentHash,
}

/// Why a record is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MapError {
    /// No capture point has that name.
    #[error("cannot map a record for capture point `{capture}`: there is no such capture point")]
    UnknownCapture {
        /// The name.
        capture: String,
    },
    /// A record without a mapping must be a map.
    #[error("cannot map a record for capture point `{capture}`: expected a map, got {got}")]
    NotAMap {
        /// The capture point.
        capture: String,
        /// The record, shortened to 60 characters.
        got: String,
    },
    /// An expression failed.
    #[error("cannot map attribute `{attribute}` from `{expression}`: {reason}")]
    Expression {
        /// The attribute, or `message`.
        attribute: String,
        /// The expression.
        expression: String,
        /// Why.
        reason: String,
    },
    /// A value does not have the attribute's type.
    #[error(
        "cannot map attribute `{attribute}` from `{expression}`: expected {expected}, got {got}"
    )]
    Type {
        /// The attribute.
        attribute: String,
        /// The expression.
        expression: String,
        /// The declared type.
        expected: String,
        /// The value, shortened to 60 characters.
        got: String,
    },
    /// The priority is a word that the capture point does not know.
    #[error(
        "cannot map attribute `priority` from `{expression}`: {got:?} is no number and none of \
         the labels {known}"
    )]
    UnknownLabel {
        /// The expression.
        expression: String,
        /// The word, shortened to 60 characters.
        got: String,
        /// The labels of the capture point.
        known: String,
    },
    /// The record has no external id, or an empty one.
    #[error("cannot map a record: `{expression}` gives no external id")]
    NoExternalId {
        /// Where it was looked for.
        expression: String,
    },
    /// The external id is too long.
    #[error(
        "cannot map a record: its external id has {chars} characters, more than \
         {EXTERNAL_ID_CHARS_MAX}"
    )]
    LongExternalId {
        /// Its length.
        chars: usize,
    },
    /// The kind of message is none that the hub knows.
    #[error("cannot map a record: `{expression}` gives the unknown kind of message {got:?}")]
    UnknownMessage {
        /// The expression.
        expression: String,
        /// What it gave, shortened to 60 characters.
        got: String,
    },
}

/// The mapping of one capture point.
#[derive(Debug)]
pub(crate) struct Mapping {
    fields: Vec<Field>,
    defaults: Attributes,
    message: Option<(String, Node)>,
    labels: Labels,
}

/// Priorities that a source gives as words.
#[derive(Debug, Default)]
struct Labels(BTreeMap<Name, i64>);

#[derive(Debug)]
struct Field {
    attribute: Name,
    /// `None` if the attribute is not declared.
    kind: Option<AttributeType>,
    text: String,
    node: Node,
}

impl Mapping {
    pub(crate) fn compile(
        capture: &Name,
        spec: &CaptureSpec,
        whole: &Spec,
        findings: &mut Vec<ExpressionFinding>,
    ) -> Self {
        let mut fields = Vec::with_capacity(spec.map.len());
        for (attribute, text) in &spec.map {
            let kind = whole.attribute_type(attribute);
            let want = kind.map_or(Want::Anything, Want::Attribute);
            match compile(text, whole, Subject::Record, want) {
                Ok(node) => fields.push(Field {
                    attribute: attribute.clone(),
                    kind: kind.cloned(),
                    text: text.clone(),
                    node,
                }),
                Err(errors) => {
                    let path = ExpressionPath::Map {
                        capture: capture.clone(),
                        attribute: attribute.clone(),
                    };
                    findings.extend(errors.into_iter().map(|e| e.at(path.clone(), text)));
                }
            }
        }
        let message = spec.message.as_ref().and_then(|text| {
            match compile(text, whole, Subject::Record, Want::Message) {
                Ok(node) => Some((text.clone(), node)),
                Err(errors) => {
                    let path = ExpressionPath::Message { capture: capture.clone() };
                    findings.extend(errors.into_iter().map(|e| e.at(path.clone(), text)));
                    None
                }
            }
        });
        let labels = Labels(spec.priority_labels.clone());
        let defaults = defaults(capture, spec, whole, &labels, findings);
        Self { fields, defaults, message, labels }
    }

    pub(crate) fn map(
        &self,
        capture: &str,
        record: &Json,
        declared: &BTreeMap<Name, AttributeType>,
    ) -> Result<Mapped, MapError> {
        let kind = self.kind(record)?;
        let mut attributes = if self.fields.is_empty() {
            self.by_key(capture, record, declared)?
        } else {
            self.by_field(record)?
        };
        let external_id = self.external_id(&attributes)?;
        let hash = content_hash(&attributes);
        for (name, value) in &self.defaults {
            if !attributes.contains_key(name) {
                attributes.insert(name.clone(), value.clone());
            }
        }
        let document = Document { attributes, ..Document::default() };
        Ok(Mapped { kind, external_id, document, hash })
    }

    fn kind(&self, record: &Json) -> Result<MessageKind, MapError> {
        let Some((text, node)) = &self.message else {
            return Ok(MessageKind::Create);
        };
        let value = evaluate(node, Root::Record(record)).map_err(|error| MapError::Expression {
            attribute: "message".into(),
            expression: text.clone(),
            reason: reason(text, &error),
        })?;
        let kind = match &value {
            Val::Absent => Some(MessageKind::Create),
            Val::Text(name) => MessageKind::parse(name),
            _ => None,
        };
        kind.ok_or_else(|| MapError::UnknownMessage {
            expression: text.clone(),
            got: value.excerpt(),
        })
    }

    fn by_field(&self, record: &Json) -> Result<Attributes, MapError> {
        let mut attributes = Attributes::new();
        for field in &self.fields {
            if let Some(value) = field.value(self, record)? {
                attributes.insert(field.attribute.clone(), value);
            }
        }
        Ok(attributes)
    }

    pub(crate) fn label_points(&self, word: &str) -> Option<i64> {
        self.labels.points(word)
    }

    /// The priority that a word stands for; `None` if it is no label of this capture point, which
    /// counts as no priority where there is a default.
    fn label(&self, word: &str, expression: &str) -> Result<Option<Value>, MapError> {
        if let Some(points) = self.labels.points(word) {
            return Ok(Some(Value::Integer(points)));
        }
        if self.defaults.contains_key(PRIORITY) {
            return Ok(None);
        }
        let known: Vec<&str> = self.labels.0.keys().map(Name::as_str).collect();
        Err(MapError::UnknownLabel {
            expression: expression.to_owned(),
            got: word.chars().take(EXCERPT_CHARS).collect(),
            known: known.join(", "),
        })
    }

    /// Without a mapping, the record's own keys are the attributes; `null` is absent.
    fn by_key(
        &self,
        capture: &str,
        record: &Json,
        declared: &BTreeMap<Name, AttributeType>,
    ) -> Result<Attributes, MapError> {
        let Json::Object(map) = record else {
            return Err(MapError::NotAMap {
                capture: capture.into(),
                got: Val::from_json(record).excerpt(),
            });
        };
        let mut attributes = Attributes::new();
        for (key, json) in map {
            if json.is_null() {
                continue;
            }
            let expression = || format!("record.{key}");
            let (name, value) = match declared.get_key_value(key.as_str()) {
                Some((name, _)) if let Some(word) = self.labels.word(key, json.as_str()) => {
                    let Some(value) = self.label(word, &expression())? else { continue };
                    (name.clone(), value)
                }
                Some((name, kind)) => {
                    let value = Value::from_json(json, kind)
                        .map_err(|mismatch| wrong_type(key, &expression(), mismatch))?;
                    (name.clone(), value)
                }
                None => (Name::new(key), Value::from_untyped(json)),
            };
            attributes.insert(name, value);
        }
        Ok(attributes)
    }

    fn external_id(&self, attributes: &Attributes) -> Result<String, MapError> {
        let id = match attributes.get(EXTERNAL_ID) {
            Some(Value::Text(id)) if !id.trim().is_empty() => id,
            _ => {
                let field = self.fields.iter().find(|f| f.attribute == *EXTERNAL_ID);
                return Err(MapError::NoExternalId {
                    expression: field
                        .map_or_else(|| format!("record.{EXTERNAL_ID}"), |f| f.text.clone()),
                });
            }
        };
        // Cheaper than counting, and right for all but the longest ids.
        if id.len() > EXTERNAL_ID_CHARS_MAX {
            let chars = id.chars().count();
            if chars > EXTERNAL_ID_CHARS_MAX {
                return Err(MapError::LongExternalId { chars });
            }
        }
        Ok(id.clone())
    }
}

impl Labels {
    /// The word that an attribute is given as, if it is one that may be a label.
    fn word<'w>(&self, attribute: &str, text: Option<&'w str>) -> Option<&'w str> {
        let text = text.filter(|_| attribute == PRIORITY && !self.0.is_empty())?;
        text.trim().parse::<i64>().is_err().then_some(text)
    }

    /// Sources are not strict with capital letters; the exact word goes first.
    fn points(&self, word: &str) -> Option<i64> {
        let word = word.trim();
        let alike = || self.0.iter().find(|(label, _)| label.to_lowercase() == word.to_lowercase());
        self.0.get(word).copied().or_else(|| alike().map(|(_, points)| *points))
    }
}

impl Field {
    fn value(&self, mapping: &Mapping, record: &Json) -> Result<Option<Value>, MapError> {
        let failed = |reason| MapError::Expression {
            attribute: self.attribute.to_string(),
            expression: self.text.clone(),
            reason,
        };
        let value = evaluate(&self.node, Root::Record(record))
            .map_err(|error| failed(reason(&self.text, &error)))?;
        let Some(kind) = &self.kind else {
            return Ok(value.into_untyped());
        };
        if let Val::Text(text) = &value
            && let Some(word) = mapping.labels.word(&self.attribute, Some(text))
        {
            return mapping.label(word, &self.text);
        }
        value.into_value(kind).map_err(|mismatch| wrong_type(&self.attribute, &self.text, mismatch))
    }
}

fn wrong_type(attribute: &str, expression: &str, mismatch: TypeMismatch) -> MapError {
    MapError::Type {
        attribute: attribute.into(),
        expression: expression.into(),
        expected: mismatch.expected,
        got: mismatch.got,
    }
}

fn defaults(
    capture: &Name,
    spec: &CaptureSpec,
    whole: &Spec,
    labels: &Labels,
    findings: &mut Vec<ExpressionFinding>,
) -> Attributes {
    let mut defaults = Attributes::new();
    for (attribute, json) in &spec.defaults {
        let word = labels.word(attribute, json.as_str());
        if let Some(points) = word.and_then(|word| labels.points(word)) {
            defaults.insert(attribute.clone(), Value::Integer(points));
            continue;
        }
        let value = match whole.attribute_type(attribute) {
            Some(kind) => Value::from_json(json, kind),
            None => Ok(Value::from_untyped(json)),
        };
        match value {
            Ok(value) => {
                defaults.insert(attribute.clone(), value);
            }
            Err(mismatch) => {
                let text = json.to_string();
                let found = ExpressionError::new(0..text.len(), mismatch.to_string());
                let path = ExpressionPath::Default {
                    capture: capture.clone(),
                    attribute: attribute.clone(),
                };
                findings.push(found.at(path, &text));
            }
        }
    }
    defaults
}

/// First 16 bytes of SHA-256 over the canonical JSON of the attributes.
fn content_hash(attributes: &Attributes) -> ContentHash {
    let mut json = Vec::with_capacity(512);
    serde_json::to_writer(&mut json, attributes)
        .expect("invariant: attributes have text keys only");
    let digest = Sha256::digest(&json);
    let mut hash = ContentHash::default();
    hash.copy_from_slice(&digest[..16]);
    hash
}

/// The types of all declared attributes, by name.
pub(crate) fn declared(spec: &Spec) -> BTreeMap<Name, AttributeType> {
    crate::check::attribute_names(spec)
        .filter_map(|name| {
            let kind = settable(name).or_else(|| spec.attribute_type(name))?;
            Some((Name::new(name), kind.clone()))
        })
        .collect()
}
