//! `[[agents]]`

use std::collections::BTreeMap;

use gantry_model::agent::DEFAULT_MEDIA_TYPE;
use gantry_model::spec::scenario::{BreakWindow, Distribution, StaffSpec, WeekWindow};
use gantry_model::{Millis, Name};

use super::{Reader, tables};
use crate::finding::{Code, Found};
use crate::table::{Table, check_name, list};
use crate::tree::{Node, Value};

/// Most agents of a kind.
const COUNT_MAX: i64 = 100_000;
/// Longest name of a kind: with the agent's number it still is an id.
const NAME_MAX: usize = 56;
/// How long an agent stays away after an offer that ran out, where the scenario does not say.
const BACK_AFTER: Millis = Millis(5 * 60_000);

impl Reader<'_> {
    pub(super) fn all_staff(&mut self, node: &Node) -> Vec<StaffSpec> {
        let mut all: Vec<StaffSpec> = Vec::new();
        for (at, node) in tables("`agents`", node, &mut self.findings).iter().enumerate() {
            let title = format!("[[agents]] number {}", at + 1);
            let mut table = Table::open(title, node, &mut self.findings);
            let kind = self.staff(&mut table);
            table.close(&mut self.findings);
            let twice = all.iter().any(|known| known.name == kind.name);
            if twice && !kind.name.is_empty() {
                let message = format!("agents `{}` are there twice", kind.name);
                let found = Found::error(Code::Twice, node.key, message).label("again here");
                self.findings.push(found.help("give each kind a name of its own"));
            }
            all.push(kind);
        }
        all
    }

    fn staff(&mut self, table: &mut Table<'_>) -> StaffSpec {
        let name = self.kind_name(table);
        table.need("count");
        let count = table.integer_in("count", 0..=COUNT_MAX, &mut self.findings);
        let decline = self.number(table, "decline", 0.0..=1.0).unwrap_or(0.0);
        let ring_out = self.number(table, "ring_out", 0.0..=1.0).unwrap_or(0.0);
        if let Some(node) = table.get("decline").filter(|_| decline + ring_out > 1.0) {
            let message =
                format!("`decline` and `ring_out` in {} add up to more than 1", table.title);
            let found = Found::error(Code::Value, node.place, message).label("too much");
            self.findings.push(found.help("together they are at most 1: what is left is accepted"));
        }
        let groups = table.names("groups", &mut self.findings);
        StaffSpec {
            name,
            count: count.unwrap_or(0) as u32,
            skills: self.levels(table, "skills"),
            groups: groups.into_iter().collect(),
            capacity: self.capacity(table),
            shifts: self.windows(table, "shifts"),
            breaks: self.breaks(table),
            accept_after: self
                .distribution(table, "accept_after")
                .unwrap_or(Distribution::Constant(Millis(0))),
            decline,
            ring_out,
            back_after: self
                .distribution(table, "back_after")
                .unwrap_or(Distribution::Constant(BACK_AFTER)),
            speed: self.number(table, "speed", 0.01..=100.0).unwrap_or(1.0),
        }
    }

    fn kind_name(&mut self, table: &mut Table<'_>) -> Name {
        let name = table.need_name("name", &mut self.findings);
        if let Some(node) = table.get("name").filter(|_| !name.is_empty()) {
            check_name("a kind of agents", &name, node.place, &mut self.findings);
            if name.len() > NAME_MAX {
                let message = format!("`{name}` is too long for a kind of agents");
                let found = Found::error(Code::Value, node.place, message).label("too long");
                self.findings.push(found.help(format!("use at most {NAME_MAX} letters")));
            }
            table.title = format!("agents `{name}`");
        }
        name
    }

    fn capacity(&mut self, table: &mut Table<'_>) -> BTreeMap<Name, u16> {
        if table.get("capacity").is_none() {
            return BTreeMap::from([(Name::new(DEFAULT_MEDIA_TYPE), 1)]);
        }
        let title = format!("`capacity` in {}", table.title);
        let mut capacity = BTreeMap::new();
        for (media, node) in table.entries_of("capacity", &mut self.findings) {
            if let Value::Integer(count @ 0..=1_000) = node.value {
                capacity.insert(Name::new(media), count as u16);
            } else {
                let message = format!("`{media}` of {title} is no number of items");
                let found = Found::error(Code::Value, node.place, message).label("how many?");
                self.findings.push(found.help("write a number from 0 to 1000"));
            }
        }
        capacity
    }

    fn windows(&mut self, table: &mut Table<'_>, key: &'static str) -> Vec<WeekWindow> {
        let Some(node) = table.get(key) else { return Vec::new() };
        let title = format!("`{key}` of {}", table.title);
        let nodes = list(&title, node, &mut self.findings);
        let mut windows = Vec::with_capacity(nodes.len());
        for node in nodes {
            let mut inner = Table::open(format!("one of {title}"), node, &mut self.findings);
            windows.push(self.window(&mut inner));
            inner.close(&mut self.findings);
        }
        windows
    }

    fn breaks(&mut self, table: &mut Table<'_>) -> Vec<BreakWindow> {
        let Some(node) = table.get("breaks") else { return Vec::new() };
        let title = format!("`breaks` of {}", table.title);
        let nodes = list(&title, node, &mut self.findings);
        let mut breaks = Vec::with_capacity(nodes.len());
        for node in nodes {
            let mut inner = Table::open(format!("one of {title}"), node, &mut self.findings);
            let reason = inner.need_name("reason", &mut self.findings);
            breaks.push(BreakWindow { window: self.window(&mut inner), reason });
            inner.close(&mut self.findings);
        }
        breaks
    }
}
