//! What plug-ins say about themselves, and whether the config asks of them what they can do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gantry_model::Name;
use gantry_model::spec::{SourceSpec, Spec};
use gantry_rules::suggest;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value as Json;

use crate::finding::{Code, Findings, Found, Place};
use crate::schema::{Schemas, tokens};
use crate::secret::{doubt, mask, reference};
use crate::tree::{Node, Value};

/// The plug-ins that are there; none known = not looked for, and nothing is said about them.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// By the name that `plugin = "…"` gives.
    pub plugins: Option<BTreeMap<String, PluginManifest>>,
}

/// What a plug-in's manifest says, as far as a config depends on it.
#[derive(Clone, Debug, Default)]
pub struct PluginManifest {
    /// JSON Schema of `config` in `[source.NAME]`; none = the plug-in takes none.
    pub config: Option<Json>,
    /// JSON Schema of `settings` in `[capture.NAME]`; none = it cannot capture.
    pub capture: Option<Json>,
    /// JSON Schema of `settings` in `[lookup.NAME]`; none = it cannot be asked.
    pub lookup: Option<Json>,
    /// JSON Schema of `settings` in `[callback.NAME]`; none = it takes no callbacks.
    pub callback: Option<Json>,
    /// How it captures: `poll`, `stream`, `http`.
    pub capture_modes: BTreeSet<String>,
}

/// The mode in which the hub asks for records on a schedule.
const POLL: &str = "poll";

/// Relative paths start at `folder`; without one, nothing is said of files.
pub(crate) fn check(
    tree: &Node,
    spec: &Spec,
    manifests: &Manifests,
    folder: Option<&Path>,
    findings: &mut Findings,
) {
    let Some(plugins) = &manifests.plugins else { return };
    let mut checker = Checker { tree, spec, plugins, folder, findings };
    for (name, source) in &spec.sources {
        checker.source(name, source);
    }
    for (name, capture) in &spec.captures {
        let Some(source) = &capture.source else { continue };
        if checker.role("capture", name, source, |plugin| plugin.capture.as_ref()) {
            checker.schedule(name, source);
        }
    }
    for (name, lookup) in &spec.lookups {
        checker.role("lookup", name, &lookup.source, |plugin| plugin.lookup.as_ref());
    }
    for (name, callback) in &spec.callbacks {
        checker.role("callback", name, &callback.source, |plugin| plugin.callback.as_ref());
    }
}

struct Checker<'c> {
    tree: &'c Node,
    spec: &'c Spec,
    plugins: &'c BTreeMap<String, PluginManifest>,
    folder: Option<&'c Path>,
    findings: &'c mut Findings,
}

impl<'c> Checker<'c> {
    fn source(&mut self, name: &Name, source: &SourceSpec) {
        // An empty name stands for one that is missing, which was reported before.
        if source.plugin.is_empty() {
            return;
        }
        let Some(plugin) = self.plugins.get(source.plugin.as_str()) else {
            let place = self.tree.place_of(&["source", name, "plugin"]);
            let message = format!("there is no plug-in `{}`", source.plugin);
            let found = Found::error(Code::UnknownPlugin, place, message).label("not found");
            let known = self.plugins.keys().map(String::as_str);
            let found = if self.plugins.is_empty() {
                found.help("no plug-in was found in the folders of [hub] plugins")
            } else {
                found.suggest(&source.plugin, known)
            };
            self.findings.push(found);
            return;
        };
        let nothing = Json::Bool(false);
        let schema = plugin.config.as_ref();
        if schema.is_some() || self.tree.at(&["source", name, "config"]).is_some() {
            self.settings(&["source", name, "config"], schema.unwrap_or(&nothing));
        }
    }

    /// Checks that the plug-in can play a role, and the settings for it.
    fn role(
        &mut self,
        family: &str,
        name: &Name,
        source: &Name,
        schema: fn(&'c PluginManifest) -> Option<&'c Json>,
    ) -> bool {
        let Some((plugin_name, plugin)) = self.plugin_of(source) else { return false };
        let Some(schema) = schema(plugin) else {
            let place = self.tree.place_of(&[family, name, "source"]);
            let can = [("capture", &plugin.capture), ("lookup", &plugin.lookup)];
            let can = can.into_iter().chain([("callback", &plugin.callback)]);
            let can: Vec<&str> = can.filter(|(_, role)| role.is_some()).map(|(n, _)| n).collect();
            let message = format!("plug-in `{plugin_name}` has no role `{family}`");
            let found = Found::error(Code::Role, place, message).label("its source cannot do this");
            let related = self.tree.place_of(&["source", source, "plugin"]);
            let help = format!("it can do: {}", can.join(", "));
            self.findings.push(found.related(related, "the plug-in").help(help));
            return false;
        };
        self.settings(&[family, name, "settings"], schema);
        true
    }

    fn plugin_of(&self, source: &Name) -> Option<(&'c str, &'c PluginManifest)> {
        let plugin = &self.spec.sources.get(source)?.plugin;
        let (name, plugin) = self.plugins.get_key_value(plugin.as_str())?;
        Some((name, plugin))
    }

    fn schedule(&mut self, capture: &Name, source: &Name) {
        let Some((plugin_name, plugin)) = self.plugin_of(source) else { return };
        let polls = plugin.capture_modes.contains(POLL);
        let other = plugin.capture_modes.iter().any(|mode| mode != POLL);
        let every = ["capture", capture.as_str(), "every"];
        let cron = ["capture", capture.as_str(), "cron"];
        let given = [every, cron].into_iter().find(|key| self.tree.at(key).is_some());
        if polls && !other && given.is_none() {
            let place = self.tree.key_of(&every);
            let message = format!("capture point `{capture}` needs a schedule");
            let found = Found::error(Code::Schedule, place, message).label("`every` is missing");
            let help = "the source is asked for new records: add every = \"30s\", or cron";
            self.findings.push(found.help(help));
        } else if let (Some(given), false) = (given, polls) {
            let place = self.tree.key_of(&given);
            let message = format!("plug-in `{plugin_name}` sends records by itself");
            let found = Found::error(Code::Schedule, place, message).label("nothing uses it");
            self.findings.push(found.help(format!("leave `{}` out", given[2])));
        }
    }

    /// Checks a plug-in's own part of the config against its schema.
    fn settings(&mut self, path: &[&str], schema: &Json) {
        let node = self.tree.at(path);
        // What is no table was reported before.
        if node.is_some_and(|node| !matches!(node.value, Value::Table(_))) {
            return;
        }
        let mut value = node.map_or_else(|| Json::Object(serde_json::Map::new()), Node::to_json);
        for (pointer, given) in mask(&mut value, schema) {
            // The value itself, also if it is a table: what is underlined is not shown.
            let place = self.node(path, &pointer).map(|node| node.place).unwrap_or_default();
            let Some(reference) = reference(&given) else {
                let message = format!("{} is a secret", shown(path, &pointer));
                let found = Found::error(Code::Secret, place, message).label("not a reference");
                let help = "write { env = \"NAME\" }, { file = \"PATH\" } or { credential = \
                            \"NAME\" }; the value itself never stands in the config";
                self.findings.push(found.help(help));
                continue;
            };
            if let Some(doubt) = self.folder.and_then(|folder| doubt(reference, folder)) {
                let found = Found::warning(Code::NoSecret, place, doubt.message);
                self.findings.push(found.label("this reference").help(doubt.help));
            }
        }
        match jsonschema::validator_for(schema) {
            Ok(validator) => {
                let errors: Vec<_> = validator.iter_errors(&value).collect();
                self.mistakes(path, &errors, &Schemas::new(schema));
            }
            Err(error) => {
                let message = format!("the plug-in's own schema is wrong: {error}");
                let place = self.tree.key_of(path);
                let found =
                    Found::error(Code::UnknownPlugin, place, message).label("for this part");
                self.findings.push(found.help("this is for the plug-in's author to mend"));
            }
        }
    }

    /// Violations of a schema. A mistyped key is one mistake, not an unknown and a missing one.
    fn mistakes(&mut self, path: &[&str], errors: &[ValidationError<'_>], schemas: &Schemas<'_>) {
        let meant = |error: &ValidationError<'_>, wanted: &str| match error.kind() {
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                let known = schemas.at(&error.instance_path().to_string());
                unexpected.iter().any(|key| suggest(key, known.keys()) == Some(wanted))
            }
            _ => false,
        };
        for error in errors {
            let mistyped = match error.kind() {
                Kind::Required { property } => errors.iter().any(|other| {
                    other.instance_path() == error.instance_path()
                        && meant(other, property.as_str().unwrap_or_default())
                }),
                _ => false,
            };
            if !mistyped {
                self.mistake(path, error, schemas);
            }
        }
    }

    /// One violation of a schema, as a finding.
    fn mistake(&mut self, path: &[&str], error: &ValidationError<'_>, schemas: &Schemas<'_>) {
        let pointer = error.instance_path().to_string();
        let at = shown(path, &pointer);
        match error.kind() {
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                let known = schemas.at(&pointer);
                for key in unexpected {
                    let place = self.key_place(path, &pointer, key);
                    let message = format!("unknown key `{key}` in {at}");
                    let found = Found::error(Code::UnknownKey, place, message);
                    self.findings.push(found.label("unknown key").suggest(key, known.keys()));
                }
            }
            Kind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let message = format!("{at} needs `{key}`");
                let place = self.key_place(path, &pointer, "");
                let found = Found::error(Code::MissingKey, place, message);
                self.findings.push(found.label(format!("`{key}` is missing")));
            }
            Kind::AnyOf { context }
            | Kind::OneOfNotValid { context }
            | Kind::OneOfMultipleValid { context } => {
                self.no_branch(path, error, context, schemas);
            }
            _ => self.violation(path, error, schemas),
        }
    }

    /// None of several alternatives fits: tells what is wrong with the one that was meant.
    fn no_branch(
        &mut self,
        path: &[&str],
        error: &ValidationError<'_>,
        branches: &[Vec<ValidationError<'static>>],
        schemas: &Schemas<'_>,
    ) {
        let depth = |error: &ValidationError<'_>| tokens(&error.instance_path().to_string()).len();
        let own = depth(error);
        // The branch whose complaints lie deepest was followed furthest.
        let meant = branches
            .iter()
            .filter(|branch| !branch.is_empty())
            .map(|branch| (branch.iter().map(depth).min().unwrap_or(0), branch))
            .filter(|(deepest, _)| *deepest > own)
            .max_by_key(|(deepest, branch)| (*deepest, std::cmp::Reverse(branch.len())));
        match meant {
            Some((_, branch)) => {
                self.mistakes(path, branch, schemas);
            }
            None => self.violation(path, error, schemas),
        }
    }

    fn violation(&mut self, path: &[&str], error: &ValidationError<'_>, schemas: &Schemas<'_>) {
        let pointer = error.instance_path().to_string();
        let at = shown(path, &pointer);
        let place = self.place(path, &pointer);
        let choices = schemas.at(&pointer).choices();
        let instance = error.instance();
        if let (Some(given), false) = (instance.as_str(), choices.is_empty()) {
            let found =
                Found::error(Code::PluginSettings, place, format!("{at} cannot be `{given}`"));
            let found = found.label("not one of the choices");
            self.findings.push(found.suggest(given, choices.into_iter()));
            return;
        }
        if let (Some(given), Kind::Pattern { .. }) = (instance.as_str(), error.kind())
            && let Some(examples) = schemas.at(&pointer).examples()
        {
            let message = format!("{at} cannot be `{given}`");
            let found = Found::error(Code::PluginSettings, place, message);
            self.findings
                .push(found.label("does not fit").help(format!("write it like {examples}")));
            return;
        }
        let message = match error.kind() {
            Kind::FalseSchema => format!("{at} is not taken by the plug-in"),
            Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
                format!("{at} has none of the forms that the plug-in takes")
            }
            // The value itself may be long; it stands underlined in the file anyway.
            _ => format!("{at}: {}", error.masked_with("this")),
        };
        let code = match error.kind() {
            Kind::Type { .. } => Code::Type,
            _ => Code::PluginSettings,
        };
        let found = Found::error(code, place, message).label("does not fit");
        self.findings.push(if reference(instance).is_some() {
            found.help("only secrets are given by reference, and this is none")
        } else {
            found
        });
    }

    fn node(&self, path: &[&str], pointer: &str) -> Option<&'c Node> {
        let tokens = tokens(pointer);
        let inner: Vec<&str> = tokens.iter().map(String::as_str).collect();
        self.tree.at(path)?.at(&inner)
    }

    fn place(&self, path: &[&str], pointer: &str) -> Place {
        let tokens = tokens(pointer);
        let path: Vec<&str> =
            path.iter().copied().chain(tokens.iter().map(String::as_str)).collect();
        self.tree.place_of(&path)
    }

    /// The place of a key of the map at a pointer; of the map's own key if it has no such key.
    fn key_place(&self, path: &[&str], pointer: &str, key: &str) -> Place {
        let tokens = tokens(pointer);
        let path = path.iter().copied().chain(tokens.iter().map(String::as_str));
        let path: Vec<&str> = path.chain([key]).collect();
        self.tree.key_of(&path)
    }
}

/// How messages name a value in a plug-in's part: `config.tls` of source `crm`.
fn shown(path: &[&str], pointer: &str) -> String {
    let mut dotted = path.last().copied().unwrap_or_default().to_owned();
    for token in tokens(pointer) {
        dotted.push('.');
        dotted.push_str(&token);
    }
    match path {
        [family, name, ..] => format!("`{dotted}` of [{family}.{name}]"),
        _ => format!("`{dotted}`"),
    }
}
