//! The JSON Schema of the config file, with the plug-ins' own parts in it.
//!
//! It is made of the declarations that the reader reads by ([`crate::keys`]) and of the schemas in
//! the manifests. It says what can be said of one file: whether names exist, and what only all
//! files together must have, is for `check`.

mod draft4;
mod embed;

use std::collections::BTreeMap;

use gantry_model::Name;
use gantry_model::spec::SOURCE_HUB;
use serde_json::{Map, Value as Json, json};

use crate::check::HISTORY_KEY;
use crate::keys::{Key, Kind, Part, Section};
use crate::plugin::{Manifests, PluginManifest};
use crate::read::ROOT;

/// A version of JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draft {
    /// The one that editors of TOML know.
    Draft4,
    /// The one that plug-ins describe themselves in.
    Draft202012,
}

/// A duration, inside another pattern.
const TIME: &str = r"(0|([0-9]+\s*(d|h|ms|m|s)\s*)+)";

/// The schema of one file of a config.
///
/// `sources` are the sources that a config has, each with its plug-in: what names one of them is
/// checked against that plug-in, and what names another against any.
pub fn json_schema(draft: Draft, manifests: &Manifests, sources: &BTreeMap<Name, Name>) -> Json {
    let none = BTreeMap::new();
    let plugins = manifests.plugins.as_ref().unwrap_or(&none);
    let writer = Writer { plugins, sources };
    let mut schema = writer.table(&ROOT);
    let root = schema.as_object_mut().expect("invariant: the schema of a table is an object");
    // A file may leave to another one of the folder what all of them together need.
    root.remove("required");
    root.insert("title".into(), "Gantry config".into());
    root.insert("$defs".into(), Json::Object(writer.definitions()));
    match draft {
        Draft::Draft202012 => {
            let dialect = "https://json-schema.org/draft/2020-12/schema";
            root.insert("$schema".into(), dialect.into());
        }
        Draft::Draft4 => draft4::convert(&mut schema),
    }
    schema
}

/// The schema of one table, without plug-ins.
#[cfg(test)]
pub(crate) fn table_of(section: &Section) -> Json {
    Writer { plugins: &BTreeMap::new(), sources: &BTreeMap::new() }.table(section)
}

struct Writer<'w> {
    plugins: &'w BTreeMap<String, PluginManifest>,
    sources: &'w BTreeMap<Name, Name>,
}

impl Writer<'_> {
    fn table(&self, section: &Section) -> Json {
        let shown = || section.keys.iter().filter(|key| !matches!(key.kind, Kind::Internal));
        let properties: Map<String, Json> =
            shown().map(|key| (key.name.to_owned(), self.property(key))).collect();
        let mut schema = json!({
            "type": "object",
            "description": section.about,
            "properties": properties,
            "additionalProperties": false,
        });
        let required: Vec<&str> = shown().filter(|key| key.required).map(|key| key.name).collect();
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if !section.one_of.is_empty() {
            let each = section.one_of.iter().map(|key| json!({ "required": [key] }));
            schema["oneOf"] = each.collect();
        }
        let parts = section.keys.iter().filter_map(|key| match key.kind {
            Kind::Plugin(part) => Some((key.name, part)),
            _ => None,
        });
        let choices: Vec<Json> = parts.flat_map(|(key, part)| self.choices(key, part)).collect();
        if !choices.is_empty() {
            schema["allOf"] = Json::Array(choices);
        }
        schema
    }

    fn property(&self, key: &Key) -> Json {
        let mut schema = self.kind(key.kind);
        schema["description"] = key.about.into();
        if let Some(default) = key.default {
            schema["default"] = default();
        }
        schema
    }

    fn kind(&self, kind: Kind) -> Json {
        let shared = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
        match kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Expression => shared("expression"),
            Kind::Skills => shared("skills"),
            Kind::Integer(i64::MIN, i64::MAX) => json!({ "type": "integer" }),
            Kind::Integer(from, to) => {
                json!({ "type": "integer", "minimum": from, "maximum": to })
            }
            Kind::Boolean => json!({ "type": "boolean" }),
            Kind::Duration => shared("duration"),
            Kind::Span => shared("span"),
            Kind::Sla => shared("sla"),
            Kind::Share => shared("share"),
            Kind::Bytes => shared("bytes"),
            Kind::Rate => shared("rate"),
            Kind::Date => shared("date"),
            Kind::Words(words) => json!({ "enum": words() }),
            Kind::List(kind) => json!({ "type": "array", "items": self.kind(*kind) }),
            Kind::Map(kind) => {
                json!({ "type": "object", "additionalProperties": self.kind(*kind) })
            }
            Kind::Table(section) => self.table(section),
            Kind::Named(names, section) => json!({
                "type": "object",
                "patternProperties": { names: self.table(section) },
                "additionalProperties": false,
            }),
            Kind::Either(kinds) => {
                let each = kinds.iter().map(|kind| self.kind(*kind));
                json!({ "anyOf": each.collect::<Vec<_>>() })
            }
            Kind::Scalar => json!({ "type": ["string", "number", "boolean"] }),
            Kind::AnyTable | Kind::Plugin(_) => json!({ "type": "object" }),
            Kind::Any | Kind::Internal => json!({}),
        }
    }

    /// What the plug-in that is named makes of the part that belongs to it.
    fn choices(&self, key: &str, part: Part) -> Vec<Json> {
        let mut choices = Vec::new();
        if part == Part::Source {
            if !self.plugins.is_empty() {
                let known: Vec<&String> = self.plugins.keys().collect();
                choices.push(json!({ "properties": { "plugin": { "enum": known } } }));
            }
            for (name, plugin) in self.plugins {
                let own = plugin.config.as_ref().map(|schema| (defined(name, part), schema));
                choices.push(choice("plugin", name, key, own));
            }
            return choices;
        }
        let mut known: Vec<&str> = Vec::new();
        for (source, name) in self.sources {
            known.push(source);
            let plugin = self.plugins.get(name.as_str());
            if let Some(schema) = plugin.and_then(|plugin| plugin.part(part)) {
                choices.push(choice("source", source, key, Some((defined(name, part), schema))));
            }
        }
        if part == Part::Lookup && !known.contains(&SOURCE_HUB) {
            known.push(SOURCE_HUB);
            let is_hub = is("source", SOURCE_HUB);
            let own = json!({ "$ref": format!("#/$defs/{HISTORY}") });
            choices.push(json!({ "if": is_hub, "then": { "properties": { key: own } } }));
        }
        let able = self.plugins.iter().filter(|(_, plugin)| plugin.part(part).is_some());
        let able: Vec<Json> =
            able.map(|(name, _)| json!({ "$ref": defined(name, part) })).collect();
        if !able.is_empty() {
            let other = json!({ "properties": { "source": { "not": { "enum": known } } } });
            let then = json!({ "properties": { key: { "anyOf": able } } });
            choices.push(json!({ "if": other, "then": then }));
        }
        choices
    }

    fn definitions(&self) -> Map<String, Json> {
        let mut all = shared();
        for (name, plugin) in self.plugins {
            for part in [Part::Source, Part::Capture, Part::Lookup, Part::Callback] {
                if let Some(schema) = plugin.part(part) {
                    let place = defined(name, part);
                    let key = place.rsplit('/').next().unwrap_or_default().to_owned();
                    all.insert(key, embed::embedded(schema, &place));
                }
            }
        }
        all
    }
}

impl PluginManifest {
    /// The schema of one part; none if the plug-in has none.
    fn part(&self, part: Part) -> Option<&Json> {
        match part {
            Part::Source => self.config.as_ref(),
            Part::Capture => self.capture.as_ref(),
            Part::Lookup => self.lookup.as_ref(),
            Part::Callback => self.callback.as_ref(),
        }
    }
}

/// Where the schema of a plug-in's part stands.
fn defined(plugin: &str, part: Part) -> String {
    let part = match part {
        Part::Source => "source",
        Part::Capture => "capture",
        Part::Lookup => "lookup",
        Part::Callback => "callback",
    };
    format!("#/$defs/{plugin}.{part}")
}

/// A table in which a key has a value.
fn is(key: &str, value: &str) -> Json {
    json!({ "properties": { key: { "const": value } }, "required": [key] })
}

/// Where `by` is `name`, the part `key` is `own`: the place of its schema, and the schema.
fn choice(by: &str, name: &str, key: &str, own: Option<(String, &Json)>) -> Json {
    let Some((place, schema)) = own else {
        let nothing = json!({ "type": "object", "additionalProperties": false });
        return json!({ "if": is(by, name), "then": { "properties": { key: nothing } } });
    };
    let mut then = json!({ "properties": { key: { "$ref": place } } });
    let needed = schema.get("required").and_then(Json::as_array);
    if needed.is_some_and(|keys| !keys.is_empty()) {
        then["required"] = json!([key]);
    }
    json!({ "if": is(by, name), "then": then })
}

/// The name of the schema of the hub's own look-up.
const HISTORY: &str = "earlier_items";

/// What many keys have.
fn shared() -> Map<String, Json> {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let unit = |about: &str, pattern: String| json!({ "type": "string", "description": about, "pattern": format!(r"^\s*{pattern}\s*$") });
    let reference = |kind: &str| {
        let target = json!({ "type": "string", "minLength": 1 });
        let properties = Map::from_iter([(kind.to_owned(), target)]);
        json!({
            "type": "object",
            "properties": properties,
            "required": [kind],
            "additionalProperties": false,
        })
    };
    let secrets: Vec<Json> = crate::secret::KINDS.iter().map(|kind| reference(kind)).collect();
    let all = [
        ("duration", unit("A duration, as in \"1h30m\": units d, h, m, s, ms.", TIME.into())),
        (
            "span",
            unit(
                "A share of the SLA (\"20% sla\", \"sla\"), a time before the due date \
                 (\"sla - 2h\"), a duration, or one in business time (\"2h business\").",
                format!(r"(([0-9]+(\.[0-9])?\s*%\s*)?sla|sla\s*-\s*{TIME}|{TIME}(\s*business)?)"),
            ),
        ),
        (
            "sla",
            unit(
                "An SLA: \"72h\", \"72h business\" or \"3 workdays\".",
                format!(r"({TIME}(\s*business)?|[0-9]+\s*workdays?)"),
            ),
        ),
        ("share", unit("A share, as in \"50%\".", r"[0-9]+(\.[0-9])?\s*%".into())),
        ("bytes", unit("Bytes, as in \"512MiB\".", r"[0-9]+\s*[KMG]iB".into())),
        ("rate", unit("So many in a period, as in \"10/1m\".", format!(r"[0-9]+\s*/\s*{TIME}"))),
        ("date", text("A date without quotes, with or without time: 2026-01-31.")),
        ("expression", text("An expression in CEL.")),
        ("skills", text("An expression over skills and groups, as in \"sales > 70\".")),
        ("secret", json!({ "description": "A secret, given by reference.", "anyOf": secrets })),
        (
            HISTORY,
            json!({
                "type": "object",
                "description": "How the hub finds a customer's earlier items.",
                "properties": {
                    HISTORY_KEY: { "type": "string", "description": "The attribute to go by." },
                },
                "additionalProperties": false,
            }),
        ),
    ];
    all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}
