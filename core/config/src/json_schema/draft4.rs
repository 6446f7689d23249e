//! From JSON Schema 2020-12 to draft 4, which editors of TOML know.
//!
//! What draft 4 cannot say is left out: the result accepts all that the original accepts.

use serde_json::{Map, Value as Json, json};

use super::embed::rewrite;

/// Keywords that draft 4 has nothing for.
const UNSAID: [&str; 6] = [
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
    "contains",
    "dependentSchemas",
    "$comment",
];

pub(super) fn convert(schema: &mut Json) {
    rewrite(schema, &mut part);
    schema["$schema"] = "http://json-schema.org/draft-04/schema#".into();
}

fn part(map: &mut Map<String, Json>) {
    map.retain(|keyword, _| !UNSAID.contains(&keyword.as_str()));
    if let Some(only) = map.remove("const") {
        map.insert("enum".into(), json!([only]));
    }
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if let Some(number) = map.get(exclusive).filter(|limit| limit.is_number()).cloned() {
            map.insert(bound.into(), number);
            map.insert(exclusive.into(), true.into());
        }
    }
    if let Some(first) = map.remove("prefixItems")
        && let Some(rest) = map.insert("items".into(), first)
    {
        map.insert("additionalItems".into(), rest);
    }
    condition(map);
    definitions(map);
    booleans(map);
    reference(map);
}

/// `if` and `then` as what they mean: not the one, or the other.
fn condition(map: &mut Map<String, Json>) {
    let (condition, then, other) = (map.remove("if"), map.remove("then"), map.remove("else"));
    let Some(condition) = condition else { return };
    let mut meant = Vec::new();
    if let Some(then) = then {
        meant.push(json!({ "anyOf": [{ "not": condition.clone() }, then] }));
    }
    if let Some(other) = other {
        meant.push(json!({ "anyOf": [condition, other] }));
    }
    add(map, meant);
}

fn definitions(map: &mut Map<String, Json>) {
    if let Some(all) = map.remove("$defs") {
        map.insert("definitions".into(), all);
    }
}

/// Schemas that are just `true` or `false`, where draft 4 has none.
fn booleans(map: &mut Map<String, Json>) {
    let plain = |part: &mut Json| match part {
        Json::Bool(true) => *part = json!({}),
        Json::Bool(false) => *part = json!({ "not": {} }),
        _ => {}
    };
    for keyword in ["properties", "patternProperties", "definitions"] {
        if let Some(Json::Object(parts)) = map.get_mut(keyword) {
            parts.values_mut().for_each(plain);
        }
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        if let Some(Json::Array(parts)) = map.get_mut(keyword) {
            parts.iter_mut().for_each(plain);
        }
    }
    for keyword in ["not", "items"] {
        match map.get_mut(keyword) {
            Some(Json::Array(parts)) => parts.iter_mut().for_each(plain),
            Some(part) => plain(part),
            None => {}
        }
    }
}

/// Beside a reference, draft 4 sees nothing else.
fn reference(map: &mut Map<String, Json>) {
    let Some(Json::String(target)) = map.remove("$ref") else { return };
    let target = json!({ "$ref": target.replace("/$defs/", "/definitions/") });
    if map.is_empty() {
        map.extend(target.as_object().cloned().into_iter().flatten());
    } else {
        add(map, vec![target]);
    }
}

fn add(map: &mut Map<String, Json>, more: Vec<Json>) {
    let all = map.entry("allOf").or_insert_with(|| json!([]));
    if let Json::Array(all) = all {
        all.extend(more);
    }
}
