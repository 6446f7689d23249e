//! Reads custom attributes: their names and types.

use gantry_model::AttributeType;

use crate::finding::{Code, Findings, Found, Place};
use crate::keys::{Kind, Section, key, words};
use crate::table::Table;

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

pub(super) static ATTRIBUTE: Section = Section::new(
    "A custom attribute of work items.",
    &[
        key("type", Kind::Words(all_types), "What its values are.").required(),
        key(
            "labels",
            Kind::List(&Kind::Text),
            "The labels of an `enumeration`, which needs some; other types have none.",
        ),
    ],
);

/// Names of attributes, which stand in expressions.
pub(super) const NAME: &str = "^[a-z_][a-z0-9_]*$";

fn all_types() -> Vec<&'static str> {
    let mut all = plain_types();
    all.push(ENUMERATION);
    all
}

pub(super) fn plain_types() -> Vec<&'static str> {
    words(PLAIN_TYPES)
}

pub(super) fn plain_type(word: &str) -> Option<AttributeType> {
    let found = PLAIN_TYPES.iter().find(|(name, _)| *name == word);
    found.map(|(_, kind)| kind.clone())
}

pub(super) fn attribute(table: &mut Table<'_>, findings: &mut Findings) -> Option<AttributeType> {
    let named = table.get("type");
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
