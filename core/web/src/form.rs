//! The form of a process: what has to be there when an agent marks an item done.

use std::collections::BTreeMap;

use gantry_model::spec::ProcessSpec;
use gantry_model::{Document, Name, Value};
use serde_json::{Map, Value as Json};

use crate::problem::{self, Fault, Problem};

/// Checks what would stand in the form's fields after `changed`, the agent's changes (`null`
/// takes an attribute out): a field that the agent leaves as it is counts with its value.
///
/// # Errors
/// [`problem::FORM`] with every field that is wrong.
pub(crate) fn check(
    process: &ProcessSpec,
    document: &Document,
    changed: &BTreeMap<Name, Json>,
) -> Result<(), Problem> {
    let Some(form) = &process.form else {
        return Ok(());
    };
    let mut filled = Map::new();
    let fields = form["properties"].as_object().into_iter().flatten();
    for (field, _) in fields {
        if let Some(value) = document.attributes.get(field.as_str()) {
            filled.insert(field.clone(), number_as_number(value));
        }
    }
    for (name, value) in changed {
        match value {
            Json::Null => filled.remove(name.as_str()),
            value => filled.insert(name.to_string(), value.clone()),
        };
    }
    let form = jsonschema::validator_for(form).map_err(|error| Problem::internal(&error))?;
    let filled = Json::Object(filled);
    let fault = |error: jsonschema::ValidationError<'_>| {
        let field = error.instance_path().to_string();
        Fault::new(field.trim_start_matches('/'), error.to_string())
    };
    Problem::of_faults(&problem::FORM, form.iter_errors(&filled).map(fault).collect())
}

/// A field of a form as a page shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// The attribute.
    pub(crate) name: String,
    /// What people read: its `title`, else the attribute's name.
    pub(crate) label: String,
    /// What its text stands for in JSON: `number`, `boolean` or `string`.
    pub(crate) kind: &'static str,
    pub(crate) required: bool,
    /// What stands in it now; empty = nothing.
    pub(crate) value: String,
    /// What there is to choose from, each with its words; empty = anything.
    pub(crate) options: Vec<(String, String)>,
    /// Attributes of the element, as in `min`.
    pub(crate) limits: Vec<(&'static str, String)>,
}

/// Rules of JSON Schema that a browser can check too, and what it calls them.
const LIMITS: [(&str, &str); 5] = [
    ("minimum", "min"),
    ("maximum", "max"),
    ("minLength", "minlength"),
    ("maxLength", "maxlength"),
    ("pattern", "pattern"),
];

/// The fields of a form, in the order of its names, with what stands in the document. What a
/// browser cannot check, the server does.
pub(crate) fn fields(form: &Json, document: &Document) -> Vec<Field> {
    let properties = form["properties"].as_object().into_iter().flatten();
    let required = |name: &str| {
        form["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name))
    };
    let field = |(name, schema): (&String, &Json)| {
        let kind = match schema["type"].as_str() {
            Some("number" | "integer") => "number",
            Some("boolean") => "boolean",
            _ => "string",
        };
        let current = document.attributes.get(name.as_str()).map(number_as_number);
        Field {
            name: name.clone(),
            label: schema["title"].as_str().map_or_else(|| label(name), str::to_owned),
            kind,
            required: required(name),
            value: current.as_ref().map_or_else(String::new, plain),
            options: options(kind, schema),
            limits: limits(kind, schema),
        }
    };
    properties.map(field).collect()
}

fn options(kind: &str, schema: &Json) -> Vec<(String, String)> {
    if kind == "boolean" {
        return [("true", "yes"), ("false", "no")].map(|(v, w)| (v.into(), w.into())).to_vec();
    }
    let values = schema["enum"].as_array().into_iter().flatten();
    values.map(|value| (plain(value), plain(value))).collect()
}

fn limits(kind: &str, schema: &Json) -> Vec<(&'static str, String)> {
    let given = LIMITS.iter().filter_map(|(rule, name)| {
        schema.get(*rule).filter(|limit| !limit.is_null()).map(|limit| (*name, plain(limit)))
    });
    let step = match (kind, schema["type"].as_str()) {
        ("number", Some("integer")) => Some(("step", "1".to_owned())),
        ("number", _) => Some(("step", "any".to_owned())),
        _ => None,
    };
    given.chain(step).collect()
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A name as people read it: `customer_id` is "Customer id".
pub(crate) fn label(name: &str) -> String {
    let mut label = name.replace('_', " ");
    label.get_mut(..1).unwrap_or_default().make_ascii_uppercase();
    label
}

/// As [`Value::to_json`], but decimals are numbers here: a form that asks for a number means them
/// too, and nothing is stored of this.
fn number_as_number(value: &Value) -> Json {
    match value {
        Value::Decimal(number) => Json::from(number.to_f64()),
        other => other.to_json(),
    }
}
