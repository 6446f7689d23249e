//! The hub, priorities, processes and the words of routing.

use gantry_model::agent::REASON_RONA;
use gantry_model::spec::{Overdue, PointValue, PrioritySchema, Shape, Span};
use gantry_model::{Millis, Name};

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

    pub(super) fn priorities(&mut self) {
        for (name, schema) in &self.spec.routing.priorities {
            self.curve(name, schema);
            if let Some(overdue) = &schema.overdue {
                self.overdue(name, schema, overdue);
            }
        }
    }

    fn curve(&mut self, name: &Name, schema: &PrioritySchema) {
        let Shape::Points(points) = &schema.shape else { return };
        if points.is_empty() && self.tree.at(&["priority", name, "points"]).is_some() {
            let place = self.tree.place_of(&["priority", name, "points"]);
            let message = format!("priority schema `{name}` has no points");
            let found = Found::error(Code::Curve, place, message).label("empty");
            let help = "a constant priority is one point: [{ at = \"0\", priority = 500 }]";
            self.findings.push(found.help(help));
        }
        let (mut share, mut time) = (None, None);
        for (at, point) in points.iter().enumerate() {
            // Shares and durations meet only once the due date is known; each must rise by itself.
            let rises = match point.at {
                Span::SlaPermille(now) => share.replace(now).is_none_or(|before| before < now),
                Span::BeforeSla(_) => true,
                Span::Time(now) | Span::Business(now) => {
                    time.replace(now).is_none_or(|before: Millis| before < now)
                }
            };
            if !rises {
                let number = at.to_string();
                let before = (at - 1).to_string();
                let place = self.tree.place_of(&["priority", name, "points", &number, "at"]);
                let first = self.tree.place_of(&["priority", name, "points", &before, "at"]);
                let message = format!("the points of priority schema `{name}` do not rise in time");
                let found = Found::error(Code::Curve, place, message).label("not later");
                self.findings.push(found.related(first, "than this").help("order them by `at`"));
            }
        }
    }

    fn overdue(&mut self, name: &Name, schema: &PrioritySchema, overdue: &Overdue) {
        let Shape::Points(points) = &schema.shape else { return };
        let (Some(max), Some(last)) = (overdue.max, points.last()) else { return };
        let PointValue::Points(last) = last.priority else { return };
        let reachable = match overdue.add {
            add if add >= 0 => max >= last,
            _ => max <= last,
        };
        if !reachable {
            let place = self.tree.place_of(&["priority", name, "overdue", "max"]);
            let message =
                format!("the limit of priority schema `{name}` lies behind the last point, {last}");
            let found = Found::error(Code::Curve, place, message).label("already passed");
            self.findings.push(found.help("write a limit that the climb can reach"));
        }
    }

    pub(super) fn processes(&mut self) {
        for (name, process) in &self.spec.routing.processes {
            let priorities = self.spec.routing.priorities.keys();
            let path = ["process", name.as_str(), "priority"];
            self.known("priority schema", &process.priority, &path, priorities);
            self.show(name, &process.show);
            let stages = &process.route.stages;
            for (at, stage) in stages.iter().enumerate() {
                let number = at.to_string();
                let path = ["process", name.as_str(), "route", "stages", &number, "for"];
                if at + 1 < stages.len() && stage.lasts.is_none() && self.tree.at(&path).is_none() {
                    let message = format!("stage {} of process `{name}` never ends", at + 1);
                    let stage = self.tree.at(&path[..5]).map(|node| node.place);
                    let place = stage.unwrap_or_default();
                    let found = Found::error(Code::Stage, place, message);
                    let help = "add for = \"20% sla\": how long until the next stage is added";
                    self.findings.push(found.label("`for` is missing").help(help));
                }
            }
            if process.disposition_required && process.dispositions.is_empty() {
                let path = ["process", name.as_str(), "disposition_required"];
                let message = format!("process `{name}` needs a disposition, but offers none");
                let found = Found::error(Code::Value, self.tree.place_of(&path), message);
                let help = "add dispositions = [\"Processed\"]";
                self.findings.push(found.label("nothing to choose from").help(help));
            }
        }
    }
}
