//! Escalation: its targets exist, and no item is sent round in a circle.

use std::collections::{BTreeMap, BTreeSet};

use gantry_model::spec::{EscalationStep, EscalationTrigger, Span};
use gantry_model::{Name, Workbin};

use super::Checker;
use crate::finding::{Code, Found};

impl Checker<'_> {
    pub(super) fn escalation(&mut self, process: &Name, steps: &[EscalationStep]) {
        for (at, step) in steps.iter().enumerate() {
            let number = at.to_string();
            let path = |key| ["process", process.as_str(), "escalation", &number, key];
            if let Some(queue) = &step.queue {
                self.known("queue", queue, &path("queue"), self.spec.routing.processes.keys());
            }
            if let Some(Workbin::Group(group) | Workbin::Supervisor(group)) = &step.workbin {
                self.known("group", group, &path("workbin"), self.spec.groups.iter());
            }
        }
    }

    /// Queue actions that lead back to the queue where they began.
    pub(super) fn escalation_cycles(&mut self) {
        let mut done: BTreeSet<&Name> = BTreeSet::new();
        for start in self.spec.routing.processes.keys() {
            // Queues on the way from the start, with the step that leads on from each.
            let mut way: Vec<(&Name, usize)> = vec![(start, 0)];
            let mut on_way: BTreeMap<&Name, usize> = BTreeMap::from([(start, 0)]);
            while let Some((process, step)) = way.last().copied() {
                let steps =
                    self.spec.routing.processes.get(process).map_or(&[][..], |p| &p.escalation);
                let Some(next) = steps.get(step).filter(|_| !done.contains(process)) else {
                    done.insert(process);
                    on_way.remove(process);
                    way.pop();
                    continue;
                };
                let depth = way.len() - 1;
                way[depth].1 += 1;
                let Some(queue) = next.queue.as_ref() else { continue };
                if let Some(from) = on_way.get(queue) {
                    self.cycle(&way[*from..]);
                } else if self.spec.routing.processes.contains_key(queue) {
                    on_way.insert(queue, way.len());
                    way.push((queue, 0));
                }
            }
        }
    }

    /// Each part of the way names the step after the one that leads on.
    fn cycle(&mut self, way: &[(&Name, usize)]) {
        let place = |(process, step): (&Name, usize)| {
            let number = (step - 1).to_string();
            self.tree.place_of(&["process", process, "escalation", &number, "queue"])
        };
        let [first @ .., last] = way else { return };
        let circle: Vec<String> =
            way.iter().chain(&way[..1]).map(|(process, _)| format!("`{process}`")).collect();
        let message = format!("escalation goes round in a circle: {}", circle.join(" → "));
        let found = Found::error(Code::Escalation, place(*last), message).label("back again");
        let found = match first.first() {
            Some(first) => found.related(place(*first), "goes out here"),
            None => found,
        };
        self.findings
            .push(found.help("let one of the steps raise, alert or use a workbin instead"));
    }
}

/// The key and the span of a clock.
pub(super) fn clock(when: EscalationTrigger) -> Option<(&'static str, Span)> {
    match when {
        EscalationTrigger::Waiting(span) => Some(("waiting", span)),
        EscalationTrigger::Handling(span) => Some(("handling", span)),
        EscalationTrigger::Total(span) => Some(("total", span)),
        EscalationTrigger::Parked(span) => Some(("parked", span)),
        EscalationTrigger::Declined(_) => None,
    }
}
