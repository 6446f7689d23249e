//! `gantry plugin docs`: the manual page of a plug-in, from what its manifest says.

use std::fmt::Write as _;

use gantry_plugin_host::api::manifest::{CaptureMode, Manifest, Permissions};
use gantry_plugin_host::api::secret::SCHEMA_KEYWORD;
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// How deep tables in tables are told; a schema that refers to itself ends here.
const DEPTH_MAX: usize = 6;

/// The page, as Markdown.
pub(super) fn page(manifest: &Manifest) -> String {
    let name = &manifest.name;
    let mut page = format!("# {name}\n\n");
    if !manifest.description.is_empty() {
        let _ = writeln!(page, "{}.\n", manifest.description.trim_end_matches('.'));
    }
    let _ = writeln!(page, "Version {}. {}\n", manifest.version, abilities(manifest));
    let _ = writeln!(page, "```toml\n{}```\n", example(manifest));
    part(&mut page, "Source", "`[source.NAME] config`", manifest.config.as_value());
    if let Some(role) = &manifest.capture {
        part(&mut page, "Capture", "`[capture.NAME] settings`", role.settings.as_value());
    }
    let others =
        [("Look-up", "lookup", &manifest.lookup), ("Callback", "callback", &manifest.callback)];
    for (title, family, role) in others {
        if let Some(role) = role {
            let place = format!("`[{family}.NAME] settings`");
            part(&mut page, title, &place, role.settings.as_value());
        }
    }
    permissions(&mut page, &manifest.permissions);
    page.truncate(page.trim_end().len());
    page
}

fn abilities(manifest: &Manifest) -> String {
    let mut can = Vec::new();
    if let Some(role) = &manifest.capture {
        let modes = role.modes.iter().map(|mode| match mode {
            CaptureMode::Poll => "is polled",
            CaptureMode::Stream => "streams",
            CaptureMode::Http => "takes requests at the hub's own server",
        });
        can.push(format!("captures records ({})", modes.collect::<Vec<_>>().join(", ")));
    }
    if manifest.lookup.is_some() {
        can.push("answers look-ups".to_owned());
    }
    if manifest.callback.is_some() {
        can.push("takes callbacks".to_owned());
    }
    format!("It {}.", can.join(", "))
}

/// A pipeline with the keys that are required.
fn example(manifest: &Manifest) -> String {
    let name = &manifest.name;
    let mut text = format!("[source.{name}]\nplugin = \"{name}\"\n");
    let line = |text: &mut String, key: &str, schema: &Value| {
        let value = required(schema, schema, 0);
        if value != "{}" {
            let _ = writeln!(text, "{key} = {value}");
        }
    };
    line(&mut text, "config", manifest.config.as_value());
    if let Some(role) = &manifest.capture {
        let _ = write!(text, "\n[capture.records]\nsource = \"{name}\"\n");
        if role.modes == [CaptureMode::Poll] {
            text += "every = \"30s\"\n";
        }
        line(&mut text, "settings", role.settings.as_value());
    }
    if let Some(role) = &manifest.lookup {
        let _ = write!(text, "\n[lookup.answer]\nsource = \"{name}\"\n");
        text += "yields = { answer = \"text\" }\n";
        line(&mut text, "settings", role.settings.as_value());
    }
    if let Some(role) = &manifest.callback {
        let _ = write!(text, "\n[callback.result]\nsource = \"{name}\"\non = [\"done\"]\n");
        line(&mut text, "settings", role.settings.as_value());
    }
    text
}

/// A value of TOML with what is required in it, and an ellipsis for each text.
fn required(root: &Value, schema: &Value, depth: usize) -> String {
    let schema = resolved(root, schema);
    if schema.get(SCHEMA_KEYWORD) == Some(&Value::Bool(true)) {
        return "{ env = \"…\" }".into();
    }
    if let Some(first) = alternatives(schema).first().filter(|_| depth < DEPTH_MAX) {
        return required(root, first, depth + 1);
    }
    if let Some(only) = schema.get("const").or_else(|| schema.get("enum")?.get(0)) {
        return only.to_string();
    }
    match kind(schema) {
        "integer" | "number" => schema.get("minimum").unwrap_or(&Value::from(1)).to_string(),
        "boolean" => "true".into(),
        "array" => {
            let item = schema.get("items").filter(|_| depth < DEPTH_MAX);
            format!("[{}]", item.map_or_else(String::new, |i| required(root, i, depth + 1)))
        }
        "object" => {
            let keys = schema.get("required").and_then(Value::as_array);
            let keys = keys.into_iter().flatten().filter_map(Value::as_str);
            let entries = keys.filter(|_| depth < DEPTH_MAX).filter_map(|key| {
                let value = required(root, schema.get("properties")?.get(key)?, depth + 1);
                Some(format!("{key} = {value}"))
            });
            let entries: Vec<String> = entries.collect();
            if entries.is_empty() { "{}".into() } else { format!("{{ {} }}", entries.join(", ")) }
        }
        _ => "\"…\"".into(),
    }
}

fn part(page: &mut String, title: &str, place: &str, schema: &Value) {
    let _ = writeln!(page, "## {title}\n");
    let about = text(schema, "description");
    let _ = if about.is_empty() {
        writeln!(page, "{place}:\n")
    } else {
        writeln!(page, "{place}: {about}\n")
    };
    let mut rows = String::new();
    keys(&mut rows, schema, schema, "", 0, false);
    if rows.is_empty() {
        let _ = writeln!(page, "There is nothing to set.\n");
    } else {
        let _ = writeln!(page, "| key | type | default | meaning |\n|---|---|---|---|\n{rows}");
    }
}

/// One row a key; those of inner tables with the path to them.
fn keys(rows: &mut String, root: &Value, schema: &Value, path: &str, depth: usize, choice: bool) {
    let schema = resolved(root, schema);
    let forms = alternatives(schema);
    for form in &forms {
        if depth < DEPTH_MAX {
            keys(rows, root, form, path, depth + 1, forms.len() > 1);
        }
    }
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required = schema.get("required").and_then(Value::as_array);
    let required = |key: &str| required.is_some_and(|all| all.iter().any(|known| known == key));
    let (needed, other): (Vec<_>, Vec<_>) = properties.iter().partition(|(key, _)| required(key));
    // A form that consists of one key is chosen by writing that key.
    let must = if choice && needed.len() == 1 { "one of them" } else { "required" };
    for (key, property) in needed.into_iter().chain(other) {
        let target = resolved(root, property);
        let default = property.get("default").filter(|default| !default.is_null());
        let default = match default {
            _ if required(key) => must.to_owned(),
            Some(default) => cell(&format!("`{default}`")),
            None => String::new(),
        };
        let about = match text(property, "description") {
            about if about.is_empty() => text(target, "description"),
            about => about,
        };
        let choices = choices(root, target);
        let (kind, about) = (type_name(root, target), cell(&format!("{about}{choices}")));
        let _ = writeln!(rows, "| `{path}{key}` | {kind} | {default} | {about} |");
        if depth < DEPTH_MAX {
            let path = format!("{path}{key}.");
            let inner = if kind.starts_with("list") { target.get("items") } else { Some(target) };
            if let Some(inner) = inner {
                keys(rows, root, inner, &path, depth + 1, false);
            }
        }
    }
}

/// The schema that is meant: what a reference points at, or the one alternative beside `null`.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut schema = schema;
    for _ in 0..DEPTH_MAX {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|r| root.pointer(r.strip_prefix('#')?));
        let optional = || match alternatives(schema).as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        match target.or_else(optional) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// Forms of which one holds, without `null`.
fn alternatives(schema: &Value) -> Vec<&Value> {
    let all = ["oneOf", "anyOf"].into_iter().filter_map(|keyword| schema.get(keyword)?.as_array());
    all.flatten().filter(|schema| kind(schema) != "null").collect()
}

fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
        }
        _ => "",
    }
}

fn type_name(root: &Value, schema: &Value) -> String {
    if schema.get(SCHEMA_KEYWORD) == Some(&Value::Bool(true)) {
        return "secret".into();
    }
    let plain = match kind(schema) {
        "string" if schema.get("x-gantry-type") == Some(&"duration".into()) => "duration",
        "string" if schema.get("x-gantry-type") == Some(&"moment".into()) => "moment",
        "string" => "text",
        "integer" => "integer",
        "number" => "number",
        "boolean" => "boolean",
        "object" => "table",
        "array" => {
            let items = schema.get("items").map(|items| resolved(root, items));
            return items.map_or("list".into(), |i| format!("list of {}", type_name(root, i)));
        }
        _ => match alternatives(schema).first() {
            Some(first) => return type_name(root, resolved(root, first)),
            None => "any",
        },
    };
    plain.into()
}

/// The values to choose from, each with its meaning.
fn choices(root: &Value, schema: &Value) -> String {
    let mut told = String::new();
    for schema in alternatives(schema) {
        let schema = resolved(root, schema);
        let all = schema.get("enum").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for value in schema.get("const").into_iter().chain(all) {
            let about = text(schema, "description");
            let about = if about.is_empty() { about } else { format!(": {about}") };
            let _ = write!(told, " `{value}`{about}");
        }
    }
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        let all: Vec<String> = all.iter().map(|value| format!("`{value}`")).collect();
        let _ = write!(told, " One of {}.", all.join(", "));
    }
    told
}

fn text(schema: &Value, key: &str) -> String {
    schema.get(key).and_then(Value::as_str).unwrap_or_default().replace('\n', " ")
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|")
}

fn permissions(page: &mut String, permissions: &Permissions) {
    let lists = [
        ("connects to", &permissions.network),
        ("reads", &permissions.read),
        ("writes", &permissions.write),
        ("starts", &permissions.exec),
        ("reads the environment variables", &permissions.env),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let lines: Vec<String> = lists
        .map(|(does, list)| {
            let list: Vec<String> = list.iter().map(|one| format!("`{one}`")).collect();
            format!("- It {does} {}.", list.join(", "))
        })
        .collect();
    if !lines.is_empty() {
        let _ = writeln!(
            page,
            "## What it needs of the machine\n\n{}\n\n`config:KEY` is what `KEY` in its config says.",
            lines.join("\n")
        );
    }
}
