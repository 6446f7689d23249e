//! Attributes, capture points, look-ups and callbacks.

use std::collections::BTreeSet;

use gantry_model::attribute::{SETTABLE, settable};
use gantry_model::event::CALLBACK_EVENTS;
use gantry_model::spec::{Confirm, OnFailure};
use gantry_model::{AttributeType, Name, Value as AttributeValue};

use super::Checker;
use crate::finding::{Code, Found, Place};

/// The event whose callback can confirm a completion.
const DONE: &str = "done";

impl Checker<'_> {
    /// Reports a name that nothing has.
    pub(super) fn known<'n>(
        &mut self,
        what: &str,
        name: &Name,
        path: &[&str],
        known: impl Iterator<Item = &'n Name> + Clone,
    ) {
        // An empty name stands for one that is missing, which was reported before.
        if name.is_empty() || known.clone().any(|known| known == name) {
            return;
        }
        let message = format!("there is no {what} `{name}`");
        let found = Found::error(Code::UnknownName, self.tree.place_of(path), message);
        let found = found.label("not defined").suggest(name, known.map(Name::as_str));
        self.findings.push(found);
    }

    fn source(&mut self, family: &str, name: &Name, source: &Name) {
        let sources = self.spec.sources.keys();
        self.known("source", source, &[family, name, "source"], sources);
    }

    /// Reports an attribute that is not declared.
    pub(super) fn attribute(&mut self, name: &Name, place: Place) {
        if self.spec.attribute_type(name).is_some() {
            return;
        }
        let core = SETTABLE.iter().map(|(name, _)| *name);
        let declared = self.spec.attributes.keys().map(Name::as_str);
        let yielded = self.spec.lookups.values().flat_map(|l| l.yields.keys().map(Name::as_str));
        let near = gantry_rules::suggest(name, core.chain(declared).chain(yielded));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it: [attribute.{name}] with a type"),
        };
        let message = format!("there is no attribute `{name}`");
        let found = Found::error(Code::UnknownName, place, message);
        self.findings.push(found.label("not declared").help(help));
    }

    pub(super) fn keys_are_attributes<'n>(
        &mut self,
        path: &[&str],
        names: impl Iterator<Item = &'n Name>,
    ) {
        for name in names {
            let mut path = path.to_vec();
            path.push(name);
            self.attribute(name, self.tree.key_of(&path));
        }
    }

    pub(super) fn show(&mut self, process: &Name, names: &[Name]) {
        for (at, name) in names.iter().enumerate() {
            let place = self.tree.place_of(&["process", process, "show", &at.to_string()]);
            self.attribute(name, place);
        }
    }

    /// An attribute has one type, wherever it is declared.
    pub(super) fn attributes(&mut self) {
        for name in self.spec.attributes.keys().filter(|name| settable(name).is_some()) {
            let place = self.tree.key_of(&["attribute", name]);
            let message = format!("`{name}` is an attribute that every item has");
            let found = Found::error(Code::Twice, place, message).label("declared again");
            self.findings.push(found.help("leave the declaration out, or use another name"));
        }
        for (lookup, spec) in &self.spec.lookups {
            for (name, kind) in &spec.yields {
                let declared = self.spec.attribute_type(name);
                if let Some(declared) = declared.filter(|declared| !alike(declared, kind)) {
                    let place = self.tree.place_of(&["lookup", lookup, "yields", name]);
                    let message = format!("`{name}` is {} elsewhere", declared.label());
                    let found = Found::error(Code::Type, place, message);
                    let found = found.label(format!("here {}", kind.label()));
                    self.findings.push(found.help("give both the same type"));
                }
            }
        }
    }

    pub(super) fn captures(&mut self) {
        for (name, capture) in &self.spec.captures {
            match &capture.source {
                Some(source) => self.source("capture", name, source),
                None => self.without_source(name),
            }
            let map = ["capture", name.as_str(), "map"];
            self.keys_are_attributes(&map, capture.map.keys());
            let defaults = ["capture", name.as_str(), "defaults"];
            self.keys_are_attributes(&defaults, capture.defaults.keys());
            if !capture.map.is_empty() && !capture.map.contains_key("external_id") {
                let message = format!("the mapping of capture point `{name}` gives no external id");
                let found = Found::error(Code::NoExternalId, self.tree.key_of(&map), message);
                let help = "map the field that names the item in the source: \
                            external_id = \"record.id\"";
                self.findings.push(found.label("`external_id` is missing").help(help));
            }
            for (at, lookup) in capture.lookups.iter().flatten().enumerate() {
                let path = ["capture", name, "lookups", &at.to_string()];
                self.known("look-up", lookup, &path, self.spec.lookups.keys());
            }
            if capture.confirm == Confirm::Callback {
                self.confirmed_by_callback(name, capture.source.as_ref());
            }
        }
    }

    fn without_source(&mut self, capture: &Name) {
        for key in ["every", "cron", "settings"] {
            let path = ["capture", capture.as_str(), key];
            if self.tree.at(&path).is_some() {
                let message = format!("`{key}` means nothing without a source");
                let found = Found::error(Code::Schedule, self.tree.key_of(&path), message);
                let help = "add source = \"…\"; without one, records come in by the API only";
                self.findings.push(found.label("nothing uses it").help(help));
            }
        }
    }

    /// With `confirm = "callback"`, a callback must take the event that says an item is done.
    fn confirmed_by_callback(&mut self, capture: &Name, source: Option<&Name>) {
        let confirms = self.spec.callbacks.values().any(|callback| {
            let meant = callback.captures.contains(capture)
                || (callback.captures.is_empty() && source == Some(&callback.source));
            meant && callback.on.contains(DONE)
        });
        if confirms {
            return;
        }
        let place = self.tree.place_of(&["capture", capture, "confirm"]);
        let message = format!("no callback confirms the items of capture point `{capture}`");
        let found = Found::error(Code::Unconfirmed, place, message).label("waits for a callback");
        let help = format!("add a [callback.NAME] with on = [\"{DONE}\"] for it");
        self.findings.push(found.help(help));
    }

    pub(super) fn lookups(&mut self) {
        for (name, lookup) in &self.spec.lookups {
            match lookup.history_key() {
                Some(key) => self.history(name, lookup, key),
                None => self.source("lookup", name, &lookup.source),
            }
            let OnFailure::Default(values) = &lookup.on_failure else { continue };
            for (attribute, json) in values {
                let path = ["lookup", name.as_str(), "on_failure", "default", attribute.as_str()];
                let Some(kind) = lookup.yields.get(attribute) else {
                    let message = format!("look-up `{name}` does not yield `{attribute}`");
                    let found = Found::error(Code::UnknownName, self.tree.key_of(&path), message);
                    let known = lookup.yields.keys().map(Name::as_str);
                    self.findings.push(found.label("not in `yields`").suggest(attribute, known));
                    continue;
                };
                if let Err(mismatch) = AttributeValue::from_json(json, kind) {
                    let message = format!("default of `{attribute}`: {mismatch}");
                    let place = self.tree.place_of(&path);
                    self.findings
                        .push(Found::error(Code::Type, place, message).label("this value"));
                }
            }
        }
    }

    pub(super) fn callbacks(&mut self) {
        let events: Vec<Name> = CALLBACK_EVENTS.iter().map(Name::new).collect();
        for (name, callback) in &self.spec.callbacks {
            self.source("callback", name, &callback.source);
            self.listed("event", &["callback", name, "on"], &callback.on, &events);
            let captures: Vec<Name> = self.spec.captures.keys().cloned().collect();
            let path = ["callback", name.as_str(), "captures"];
            self.listed("capture point", &path, &callback.captures, &captures);
        }
    }

    /// Checks a list that the spec keeps sorted, at the places where the file has its parts.
    pub(super) fn listed(
        &mut self,
        what: &str,
        path: &[&str],
        names: &BTreeSet<Name>,
        known: &[Name],
    ) {
        for at in 0.. {
            let number = at.to_string();
            let mut path = path.to_vec();
            path.push(&number);
            let Some(node) = self.tree.at(&path) else { break };
            if let crate::tree::Value::Text(text) = &node.value
                && let Some(listed) = names.get(text.as_str())
            {
                self.known(what, listed, &path, known.iter());
            }
        }
    }
}

/// Labels aside, text and enumeration hold the same values.
fn alike(a: &AttributeType, b: &AttributeType) -> bool {
    let text =
        |kind: &AttributeType| matches!(kind, AttributeType::Text | AttributeType::Enumeration(_));
    a == b || (text(a) && text(b))
}
