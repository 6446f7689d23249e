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

/// As [`Value::to_json`], but decimals are numbers here: a form that asks for a number means them
/// too, and nothing is stored of this.
fn number_as_number(value: &Value) -> Json {
    match value {
        Value::Decimal(number) => Json::from(number.to_f64()),
        other => other.to_json(),
    }
}
