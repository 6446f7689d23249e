//! Alerts: what they watch is there, and who hears of them listens.

use super::Checker;
use crate::finding::{Code, Found};

/// Events that a callback hears of alerts.
const EVENTS: [&str; 2] = ["alert_raised", "alert_cleared"];

impl Checker<'_> {
    pub(super) fn alerts(&mut self) {
        let spec = self.spec;
        for (name, alert) in &spec.alerts {
            if let Some(queue) = &alert.queue {
                let path = ["alert", name.as_str(), "queue"];
                self.known("queue", queue, &path, spec.routing.processes.keys());
            }
            if let Some(capture) = &alert.capture {
                let path = ["alert", name.as_str(), "capture"];
                self.known("capture point", capture, &path, spec.captures.keys());
            }
            let Some(callback) = &alert.callback else { continue };
            let path = ["alert", name.as_str(), "callback"];
            self.known("callback", callback, &path, spec.callbacks.keys());
            let Some(listener) = spec.callbacks.get(callback) else { continue };
            if EVENTS.iter().all(|event| !listener.on.contains(*event)) {
                let message = format!("callback `{callback}` does not listen to alerts");
                let place = self.tree.place_of(&path);
                let found = Found::error(Code::NoEffect, place, message).label("hears nothing");
                let on = self.tree.place_of(&["callback", callback, "on"]);
                let found = found.related(on, "listens to these only");
                self.findings.push(found.help("add \"alert_raised\" and \"alert_cleared\" there"));
            }
        }
        self.unheard_callbacks();
    }

    /// A callback that listens to alerts hears only those that name it.
    fn unheard_callbacks(&mut self) {
        let spec = self.spec;
        for (name, callback) in &spec.callbacks {
            let Some(at) = callback.on.iter().find(|on| EVENTS.contains(&on.as_str())) else {
                continue;
            };
            if spec.alerts.values().any(|alert| alert.callback.as_ref() == Some(name)) {
                continue;
            }
            let message = format!("callback `{name}` listens to `{at}`, but no alert names it");
            let place = self.tree.place_of(&["callback", name, "on"]);
            let found = Found::warning(Code::NoEffect, place, message).label("hears no alert");
            self.findings
                .push(found.help(format!("write callback = \"{name}\" in an [alert.NAME]")));
        }
    }
}
