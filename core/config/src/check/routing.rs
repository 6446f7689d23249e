//! The hub, the words of routing, departments, capacity rules and shares.

use std::collections::BTreeSet;

use gantry_model::agent::REASON_RONA;
use gantry_model::spec::{FLOW_OTHER, FlowKey};
use gantry_model::{AttributeType, Name};

use super::Checker;
use crate::finding::{Code, Found};

/// What the address of a store starts with.
const STORES: [&str; 3] = ["sqlite:", "postgres://", "postgresql://"];

impl Checker<'_> {
    pub(super) fn hub(&mut self) {
        let hub = &self.spec.hub;
        let port = hub.listen.rsplit_once(':').and_then(|(host, port)| {
            (!host.is_empty()).then(|| port.parse::<u16>().ok()).flatten()
        });
        if port.is_none() {
            let place = self.tree.place_of(&["hub", "listen"]);
            let message = format!("`{}` is no address to listen on", hub.listen);
            let found = Found::error(Code::Value, place, message).label("not host:port");
            self.findings.push(found.help("write host and port, as in \"127.0.0.1:8080\""));
        }
        if !STORES.iter().any(|start| hub.store.starts_with(start)) {
            let place = self.tree.place_of(&["hub", "store"]);
            let message = format!("`{}` is no store", hub.store);
            let found = Found::error(Code::Value, place, message).label("unknown kind of store");
            self.findings.push(found.help("write \"sqlite:PATH\""));
        } else if !hub.store.starts_with("sqlite:") {
            let place = self.tree.place_of(&["hub", "store"]);
            let message = "a store on PostgreSQL is not there yet".to_owned();
            let found = Found::error(Code::NotYet, place, message).label("not yet");
            self.findings.push(found.help("write \"sqlite:PATH\" in this version"));
        }
    }

    pub(super) fn routing(&mut self) {
        let routing = &self.spec.routing;
        let path = ["routing", "default_process"];
        self.known("process", &routing.default_process, &path, routing.processes.keys());
        if routing.reasons.contains(REASON_RONA) {
            let place = self.tree.place_of(&["routing", "reasons"]);
            let message = format!("the reason `{REASON_RONA}` is the hub's own");
            let found = Found::error(Code::ReservedReason, place, message);
            let help = "leave it out; the hub sets it when an offer is not answered in time";
            self.findings.push(found.label("names it").help(help));
        }
    }

    /// A department is the first part of the names of processes.
    pub(super) fn department_parts(&mut self) {
        let departments = self.departments();
        for (name, department) in &self.spec.routing.departments {
            if !departments.contains(name) {
                let place = self.tree.key_of(&["department", name]);
                let message = format!("there is no department `{name}`");
                let found = Found::error(Code::UnknownName, place, message);
                let known = departments.iter().map(Name::as_str);
                self.findings.push(found.label("no process is in it").suggest(name, known));
            }
            if let Some(calendar) = &department.calendar {
                let path = ["department", name.as_str(), "calendar"];
                self.known("calendar", calendar, &path, self.spec.routing.calendars.keys());
            }
        }
    }

    pub(super) fn capacity_rules(&mut self) {
        for (name, rule) in &self.spec.routing.capacity_rules {
            let path = ["capacity", name.as_str(), "media"];
            if rule.media.is_empty() && self.tree.at(&path).is_some() {
                let message = format!("capacity rule `{name}` gives an agent nothing");
                let found = Found::error(Code::Capacity, self.tree.place_of(&path), message);
                let help = "write media = { workitem = 2 }; agents who take nothing are not ready";
                self.findings.push(found.label("no media type").help(help));
            }
            for (media, others) in &rule.excludes {
                self.excludes(name, media, others);
            }
        }
    }

    /// The first may be carried elsewhere, a call for example; the others are given here.
    fn excludes(&mut self, rule: &Name, media: &Name, others: &BTreeSet<Name>) {
        let given = &self.spec.routing.capacity_rules[rule].media;
        let path = ["capacity", rule.as_str(), "excludes", media.as_str()];
        if others.contains(media) {
            let message = format!("capacity rule `{rule}` lets `{media}` exclude itself");
            let found = Found::error(Code::Capacity, self.tree.place_of(&path), message);
            let help = format!("one at a time is written media = {{ {media} = 1 }}");
            self.findings.push(found.label("names itself").help(help));
        }
        // An empty rule was told already.
        if !given.is_empty() {
            let given: Vec<Name> = given.keys().cloned().collect();
            self.listed("media type", &path, others, &given);
        }
    }

    pub(super) fn fairness(&mut self) {
        let Some(fairness) = &self.spec.routing.fairness else { return };
        let place = self.tree.place_of(&["fairness", "flows"]);
        if fairness.flows.is_empty() && self.tree.at(&["fairness", "flows"]).is_some() {
            let message = "no flow has a share or a rate".to_owned();
            let found = Found::error(Code::Value, place, message).label("empty");
            let help = "write flows = { gold = { weight = 3 } }, or leave [fairness] out";
            self.findings.push(found.help(help));
        }
        let captures = &self.spec.captures;
        let values: Option<Vec<Name>> = match &fairness.by {
            FlowKey::CapturePoint => Some(captures.keys().cloned().collect()),
            FlowKey::Attribute(attribute) => self.flow_attribute(attribute),
        };
        let what = match &fairness.by {
            FlowKey::CapturePoint => "capture point".to_owned(),
            FlowKey::Attribute(attribute) => format!("label of `{attribute}`"),
        };
        for (name, flow) in &fairness.flows {
            if let Some(values) = values.as_ref().filter(|_| *name != *FLOW_OTHER) {
                let known = values.contains(name);
                let place = self.tree.key_of(&["fairness", "flows", name]);
                if !known {
                    let message = format!("there is no {what} `{name}`");
                    let found = Found::error(Code::UnknownName, place, message);
                    let known = values.iter().map(Name::as_str).chain([FLOW_OTHER]);
                    self.findings.push(found.label("not defined").suggest(name, known));
                }
            }
            let path = ["fairness", "flows", name.as_str(), "weight"];
            if fairness.strength == 0 && flow.weight != 1 {
                let message = format!("the weight of flow `{name}` does not count");
                let found = Found::warning(Code::NoEffect, self.tree.place_of(&path), message);
                let strength = self.tree.place_of(&["fairness", "strength"]);
                let found = found.label("this weight").related(strength, "nothing for an offer");
                self.findings.push(found.help("write the points that an offer costs a flow"));
            }
        }
    }

    /// The labels of an attribute that divides items; none if it has any text.
    fn flow_attribute(&mut self, attribute: &Name) -> Option<Vec<Name>> {
        let place = self.tree.place_of(&["fairness", "by"]);
        match self.spec.attribute_type(attribute) {
            Some(AttributeType::Text) => None,
            Some(AttributeType::Enumeration(labels)) => {
                Some(labels.iter().map(Name::new).collect())
            }
            Some(kind) => {
                let message = format!("`{attribute}` is {}, which divides no items", kind.label());
                let found = Found::error(Code::Type, place, message).label("not text");
                self.findings.push(found.help("name an attribute of type text or enumeration"));
                None
            }
            None => {
                self.attribute(attribute, place);
                None
            }
        }
    }
}
