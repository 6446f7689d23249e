//! `[[arrivals]]`

use std::collections::{BTreeMap, BTreeSet};

use gantry_model::agent::Level;
use gantry_model::spec::scenario::{ArrivalSpec, Distribution, Flow, RateWindow, WeekWindow};
use gantry_model::{Millis, Name};

use super::value::PER_HOUR;
use super::{Reader, tables};
use crate::finding::{Code, Found};
use crate::table::{Table, wrong_type};
use crate::tree::{Node, Value};

/// Class of customers where the scenario names none.
const EVERYBODY: &str = "all";
/// Keys that say when items arrive.
const FLOWS: [&str; 4] = ["per_hour", "rates", "every", "recorded"];

impl Reader<'_> {
    pub(super) fn all_arrivals(&mut self, node: &Node) -> Vec<ArrivalSpec> {
        let mut all: Vec<ArrivalSpec> = Vec::new();
        let mut names = BTreeSet::new();
        for (at, node) in tables("`arrivals`", node, &mut self.findings).iter().enumerate() {
            let title = format!("[[arrivals]] number {}", at + 1);
            let mut table = Table::open(title, node, &mut self.findings);
            let arrivals = self.arrivals(&mut table);
            table.close(&mut self.findings);
            if !names.insert(arrivals.name.clone()) {
                let message = format!("arrivals `{}` are there twice", arrivals.name);
                let found = Found::error(Code::Twice, node.key, message).label("again here");
                self.findings.push(found.help("give each a `name` or `segment` of its own"));
            }
            all.push(arrivals);
        }
        all
    }

    fn arrivals(&mut self, table: &mut Table<'_>) -> ArrivalSpec {
        table.need("handle_time");
        let found = self.found(table);
        let process = match found.as_deref().and_then(|found| found.class.as_ref()) {
            Some(class) => class.process.clone(),
            None => table.name("process", &mut self.findings).unwrap_or_default(),
        };
        let segment = table.name("segment", &mut self.findings);
        let name = table.name("name", &mut self.findings);
        let default_name = || match &segment {
            Some(segment) => Name::from(format!("{process} {segment}")),
            None => process.clone(),
        };
        let name = name.unwrap_or_else(default_name);
        let segment = segment.clone().unwrap_or_else(|| Name::new(EVERYBODY));
        let flow = self.flow(table, &process, &segment);
        let nothing = Distribution::Constant(Millis(0));
        ArrivalSpec {
            name,
            flow,
            process,
            segment,
            found,
            schema: table.name("priority", &mut self.findings),
            sla: table.duration("sla", &mut self.findings),
            due_in: self.distribution(table, "due_in"),
            requires: self.levels(table, "requires"),
            group: table.name("group", &mut self.findings),
            preferred_agent: table.name("preferred_agent", &mut self.findings),
            required_agent: table.name("required_agent", &mut self.findings),
            media_type: table.name("media_type", &mut self.findings),
            handle_time: self.distribution(table, "handle_time").unwrap_or(nothing),
            patience: self.distribution(table, "patience"),
        }
    }

    fn flow(&mut self, table: &mut Table<'_>, process: &Name, segment: &Name) -> Flow {
        let title = table.title.clone();
        match FLOWS.map(|flow| table.get(flow)) {
            [Some(_), None, None, None] => {
                let per_hour = self.number(table, "per_hour", PER_HOUR).unwrap_or(0.0);
                Flow::Poisson(vec![RateWindow { window: WeekWindow::ALWAYS, per_hour }])
            }
            [None, Some(rates), None, None] => {
                Flow::Poisson(self.rates(&format!("`rates` in {title}"), rates))
            }
            [None, None, Some(_), None] => {
                let every = table.duration("every", &mut self.findings);
                Flow::Every(every.unwrap_or(super::DAY))
            }
            [None, None, None, Some(file)] => self.recorded(file, process, segment),
            _ => {
                let message = format!("{title} must have one of `{}`", FLOWS.join("`, `"));
                let found = Found::error(Code::MissingKey, table.node.key, message);
                let help = "write per_hour = 120 for arrivals at random, rates = [{ days = \
                            \"mon-fri\", from = \"08:00\", to = \"18:00\", per_hour = 120 }] for \
                            rates by time, every = \"30s\", or recorded = \"arrivals.csv\"";
                self.findings.push(found.label("when do they arrive?").help(help));
                Flow::Poisson(Vec::new())
            }
        }
    }

    /// Skills and their levels.
    pub(super) fn levels(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> BTreeMap<Name, Level> {
        let title = format!("`{key}` in {}", table.title);
        let mut levels = BTreeMap::new();
        for (skill, node) in table.entries_of(key, &mut self.findings) {
            match node.value {
                Value::Integer(level @ 1..=100) => {
                    levels.insert(Name::new(skill), level as Level);
                }
                Value::Integer(_) => {
                    let message = format!("level of `{skill}` in {title} is out of range");
                    let found = Found::error(Code::Value, node.place, message);
                    let found = found.label("out of range");
                    self.findings.push(found.help("write a number from 1 to 100"));
                }
                _ => {
                    let title = format!("level of `{skill}` in {title}");
                    self.findings.push(wrong_type(&title, "an integer", node));
                }
            }
        }
        levels
    }
}
