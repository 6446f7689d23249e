//! Rules and decision tables.

use std::collections::{BTreeMap, BTreeSet};

use gantry_model::Name;
use gantry_model::spec::SegmentLevel;

use super::Checker;
use crate::finding::{Code, Found};
use crate::tree::{RULES, TABLES};

impl Checker<'_> {
    pub(super) fn rules(&mut self) {
        let mut seen: BTreeMap<&Name, usize> = BTreeMap::new();
        for (at, rule) in self.spec.segmentation.iter().enumerate() {
            let number = at.to_string();
            if let Some(first) = seen.insert(&rule.id, at).filter(|_| !rule.id.is_empty()) {
                let place = self.tree.place_of(&[RULES, &number, "id"]);
                let first = self.tree.place_of(&[RULES, &first.to_string(), "id"]);
                let message = format!("rule `{}` is defined twice", rule.id);
                let found = Found::error(Code::Twice, place, message).label("again here");
                let found = found.related(first, "first defined here");
                self.findings.push(found.help("give every rule an id of its own"));
            }
            self.reachable(at);
            self.within(RULES, &number, rule.level, rule.within.as_ref());
            if let Some(department) = &rule.department {
                let departments = self.departments();
                let path = [RULES, &number, "department"];
                self.known("department", department, &path, departments.iter());
            }
            if let Some(process) = &rule.process {
                let processes = self.spec.routing.processes.keys();
                self.known("process", process, &[RULES, &number, "process"], processes);
            }
            if let Some(priority) = &rule.priority {
                let priorities = self.spec.routing.priorities.keys();
                self.known("priority schema", priority, &[RULES, &number, "priority"], priorities);
            }
            self.keys_are_attributes(&[RULES, &number, "set"], rule.set.keys());
        }
    }

    /// A rule without condition hits always: those of its level behind it never do.
    fn reachable(&mut self, at: usize) {
        let rules = &self.spec.segmentation;
        let rule = &rules[at];
        let before = rules[..at].iter().position(|earlier| {
            earlier.level == rule.level
                && earlier.when.is_none()
                && (earlier.within.is_none() || earlier.within == rule.within)
        });
        let Some(before) = before else { return };
        let place = self.tree.place_of(&[RULES, &at.to_string(), "id"]);
        let first = self.tree.place_of(&[RULES, &before.to_string(), "id"]);
        let message = format!("rule `{}` can never hit", rule.id);
        let found = Found::warning(Code::Unreachable, place, message).label("never asked");
        let help = "in each level the first rule that hits counts: move the rule without \
                    condition to the end of its level";
        self.findings.push(found.related(first, "hits always").help(help));
    }

    fn within(&mut self, family: &str, number: &str, level: SegmentLevel, within: Option<&Name>) {
        let Some(within) = within else { return };
        let path = [family, number, "within"];
        match level {
            SegmentLevel::Global => {
                let message = "a global rule is for all items, not `within` something";
                let found = Found::error(Code::Value, self.tree.key_of(&path), message);
                let found = found.label("means nothing here");
                let level = self.tree.place_of(&[family, number, "level"]);
                let help =
                    "leave it out, or write level = \"capture\", \"department\" or \"process\"";
                self.findings.push(found.related(level, "the level").help(help));
            }
            SegmentLevel::Capture => {
                self.known("capture point", within, &path, self.spec.captures.keys());
            }
            SegmentLevel::Department => {
                let departments = self.departments();
                self.known("department", within, &path, departments.iter());
            }
            SegmentLevel::Process => {
                self.known("process", within, &path, self.spec.routing.processes.keys());
            }
        }
    }

    /// The departments are what the processes say they are.
    pub(super) fn departments(&self) -> BTreeSet<Name> {
        let processes = self.spec.routing.processes.keys();
        processes.filter_map(|name| Some(Name::new(name.split_once('/')?.0))).collect()
    }

    /// What stands in the cells is for the rules to check.
    pub(super) fn decision_tables(&mut self) {
        let mut seen: BTreeMap<&Name, usize> = BTreeMap::new();
        for (at, table) in self.spec.decision_tables.iter().enumerate() {
            let number = at.to_string();
            if let Some(first) = seen.insert(&table.id, at).filter(|_| !table.id.is_empty()) {
                let place = self.tree.place_of(&[TABLES, &number, "id"]);
                let first = self.tree.place_of(&[TABLES, &first.to_string(), "id"]);
                let message = format!("decision table `{}` is defined twice", table.id);
                let found = Found::error(Code::Twice, place, message).label("again here");
                let found = found.related(first, "first defined here");
                self.findings.push(found.help("give every table an id of its own"));
            }
            self.within(TABLES, &number, table.level, table.within.as_ref());
        }
    }
}
