//! The files as one tree: every value with the place where it stands.
//!
//! `gantry.toml`, `pipelines/*.toml` and `rules/*.toml` may have the same tables. Named parts
//! (`[source.crm]`) are united and may be defined once; rules are joined in the order of the
//! files.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::finding::{Code, Findings, Found, Place};

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The key, where there is one; else the value.
    pub(crate) key: Place,
    /// The value.
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    /// As written, so that nothing is rounded.
    Float(String),
    Boolean(bool),
    Datetime(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

/// The rules: a list of tables.
pub(crate) const RULES: &str = "segmentation";
/// The decision tables: a list of tables too.
pub(crate) const TABLES: &str = "decision_table";

/// Parses one file; on a mistake in its syntax the findings say so and there is no tree.
pub(crate) fn parse(file: usize, text: &str, findings: &mut Findings) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or_default();
        let place = Place { file, start: span.start, end: span.end };
        let message = format!("this is not TOML: {}", error.message().replace('\n', ", "));
        findings.push(Found::error(Code::Syntax, place, message).label("cannot be read"));
    }
    if !errors.is_empty() {
        return None;
    }
    let start = Place { file, start: 0, end: 0 };
    Some(Node { key: start, place: start, value: from_table(file, table.into_inner()) })
}

fn from_table(file: usize, table: DeTable<'_>) -> Value {
    let entries = table.into_iter().map(|(key, value)| {
        let key_place = place(file, &key);
        (key.into_inner().into_owned(), from_value(file, value, Some(key_place)))
    });
    Value::Table(entries.collect())
}

fn from_value(file: usize, value: Spanned<DeValue<'_>>, key: Option<Place>) -> Node {
    let place = place(file, &value);
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                // Larger than any number the hub knows: kept as written, for the error.
                Err(_) => Value::Float(number.as_str().to_owned()),
            }
        }
        DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Value::Boolean(truth),
        DeValue::Datetime(at) => Value::Datetime(at.to_string()),
        DeValue::Array(list) => {
            Value::List(list.into_iter().map(|value| from_value(file, value, None)).collect())
        }
        DeValue::Table(table) => from_table(file, table),
    };
    Node { key: key.unwrap_or(place), place, value }
}

fn place<T>(file: usize, spanned: &Spanned<T>) -> Place {
    let span = spanned.span();
    Place { file, start: span.start, end: span.end }
}

/// Joins the files into one tree.
pub(crate) fn join(files: Vec<Node>, findings: &mut Findings) -> Node {
    let mut files = files.into_iter();
    let mut joined = files.next().unwrap_or_else(|| Node {
        key: Place::default(),
        place: Place::default(),
        value: Value::Table(BTreeMap::new()),
    });
    for file in files {
        let (Value::Table(into), Value::Table(from)) = (&mut joined.value, file.value) else {
            continue;
        };
        for (name, node) in from {
            match into.get_mut(&name) {
                None => {
                    into.insert(name, node);
                }
                Some(known) => join_top(&name, known, node, findings),
            }
        }
    }
    joined
}

/// Joins a table that stands at the top of several files.
fn join_top(name: &str, known: &mut Node, node: Node, findings: &mut Findings) {
    match (&mut known.value, node.value) {
        (Value::Table(into), Value::Table(from)) => {
            for (part, node) in from {
                if let Some(first) = into.get(&part) {
                    findings.push(twice(&format!("{name}.{part}"), &node, first));
                } else {
                    into.insert(part, node);
                }
            }
        }
        (Value::List(into), Value::List(from)) if [RULES, TABLES].contains(&name) => {
            into.extend(from);
        }
        (_, value) => {
            let again = Node { value, ..node };
            findings.push(twice(name, &again, known));
        }
    }
}

pub(crate) fn twice(name: &str, again: &Node, first: &Node) -> Found {
    Found::error(Code::Twice, again.key, format!("`{name}` is defined twice"))
        .label("again here")
        .related(first.key, "first defined here")
        .help("give one of them another name, or join them")
}

impl Node {
    /// The node at a path of keys; list elements by number.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| match &node.value {
            Value::Table(table) => table.get(*key),
            Value::List(list) => list.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The place of the nearest node on a path that exists: of what is missing, its parent.
    pub(crate) fn place_of(&self, path: &[&str]) -> Place {
        (0..=path.len()).rev().find_map(|length| self.at(&path[..length])).map_or_else(
            Place::default,
            |node| match node.value {
                // All of a table would underline half a page.
                Value::Table(_) => node.key,
                _ => node.place,
            },
        )
    }

    /// The place of the key at a path, or of its nearest parent.
    pub(crate) fn key_of(&self, path: &[&str]) -> Place {
        (0..=path.len())
            .rev()
            .find_map(|length| self.at(&path[..length]))
            .map_or_else(Place::default, |node| node.key)
    }

    /// What the value is, in the words of TOML.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "text",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a decimal number",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a date or time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The value as JSON, for plug-ins and attributes.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Text(text) | Value::Datetime(text) => Json::from(text.as_str()),
            Value::Integer(number) => Json::from(*number),
            // Infinity and not-a-number have no JSON; as text they fail the type check.
            Value::Float(number) => {
                let plain = number.replace('_', "");
                let parsed = plain.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
                parsed.map_or_else(|| Json::from(plain), Json::Number)
            }
            Value::Boolean(truth) => Json::from(*truth),
            Value::List(list) => list.iter().map(Self::to_json).collect(),
            Value::Table(table) => {
                let entries = table.iter().map(|(key, node)| (key.clone(), node.to_json()));
                Json::Object(entries.collect())
            }
        }
    }
}
