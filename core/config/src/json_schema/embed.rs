//! Puts the schema of a plug-in's part into that of the file.

use serde_json::{Map, Value as Json, json};

use crate::schema::SECRET;

/// The schema as it stands at `place`, a pointer with `#`: its references begin there, and secrets
/// are what an operator writes for them.
pub(super) fn embedded(schema: &Json, place: &str) -> Json {
    let mut schema = schema.clone();
    rewrite(&mut schema, &mut |part| {
        if part.get(SECRET) == Some(&Json::Bool(true)) {
            part.retain(|keyword, _| keyword == "description" || keyword == "title");
            part.insert("$ref".into(), "#/$defs/secret".into());
        } else if let Some(Json::String(reference)) = part.get_mut("$ref")
            && let Some(inner) = reference.strip_prefix('#')
        {
            *reference = format!("{place}{inner}");
        }
    });
    if let Json::Object(root) = &mut schema {
        root.retain(|keyword, _| keyword != "$schema" && keyword != "$id");
    }
    // What says nothing still has to be a table.
    if schema == json!(true) { json!({ "type": "object" }) } else { schema }
}

/// Applies a change to a schema and to all schemas in it, innermost first.
pub(super) fn rewrite(schema: &mut Json, change: &mut dyn FnMut(&mut Map<String, Json>)) {
    let Json::Object(map) = schema else { return };
    for (keyword, value) in map.iter_mut() {
        match (keyword.as_str(), value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Json::Object(parts),
            ) => parts.values_mut().for_each(|part| rewrite(part, change)),
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Json::Array(parts)) => {
                for part in parts {
                    rewrite(part, change);
                }
            }
            (
                "items"
                | "additionalProperties"
                | "not"
                | "if"
                | "then"
                | "else"
                | "contains"
                | "propertyNames"
                | "unevaluatedProperties"
                | "unevaluatedItems",
                part,
            ) => rewrite(part, change),
            _ => {}
        }
    }
    change(map);
}
