//! Processes: names exist, times fit each other, and nothing is configured that cannot come.

use std::collections::BTreeSet;

use gantry_model::requirement::Compare;
use gantry_model::spec::{CompletionMode, ProcessSpec, SegmentLevel, Sla, Span, StageSpec};
use gantry_model::{Name, Requirement};

use super::Checker;
use crate::finding::{Code, Found};
use crate::tree::{RULES, TABLES};

/// What agents do at mark done, which the mode `source` hides.
const AT_MARK_DONE: [&str; 4] = ["wrap_up", "dispositions", "disposition_required", "form"];

impl Checker<'_> {
    pub(super) fn processes(&mut self) {
        for (name, process) in &self.spec.routing.processes {
            let priorities = self.spec.routing.priorities.keys();
            let path = ["process", name.as_str(), "priority"];
            self.known("priority schema", &process.priority, &path, priorities);
            if let Some(calendar) = &process.calendar {
                let path = ["process", name.as_str(), "calendar"];
                self.known("calendar", calendar, &path, self.spec.routing.calendars.keys());
            }
            self.show(name, &process.show);
            self.business_times(name, process);
            self.stages(name, &process.route.stages);
            self.warning(name, process);
            self.completion(name, process);
            self.escalation(name, &process.escalation);
        }
        self.business_rules();
        self.business_cells();
        self.escalation_cycles();
    }

    /// The calendar of a process, or else of its department.
    fn calendar_of(&self, process: &Name) -> Option<&Name> {
        let routing = &self.spec.routing;
        let own = routing.processes.get(process).and_then(|known| known.calendar.as_ref());
        own.or_else(|| {
            let (department, _) = process.split_once('/')?;
            routing.departments.get(department)?.calendar.as_ref()
        })
    }

    /// Business time needs a calendar.
    fn business_times(&mut self, name: &Name, process: &ProcessSpec) {
        if self.calendar_of(name).is_some() {
            return;
        }
        if process.sla.is_some_and(business) {
            self.no_calendar(name, &["process", name, "sla"]);
        }
        let spans =
            [(process.warn, ["warn", ""]), (process.route.preferred, ["route", "preferred"])];
        for (span, [key, inner]) in spans {
            if let Some(Span::Business(_)) = span {
                self.no_calendar(name, &["process", name, key, inner]);
            }
        }
        for (at, stage) in process.route.stages.iter().enumerate() {
            if let Some(Span::Business(_)) = stage.lasts {
                let number = at.to_string();
                self.no_calendar(name, &["process", name, "route", "stages", &number, "for"]);
            }
        }
        for (at, step) in process.escalation.iter().enumerate() {
            if let Some((key, Span::Business(_))) = super::escalation::clock(step.when) {
                self.no_calendar(name, &["process", name, "escalation", &at.to_string(), key]);
            }
        }
    }

    /// Rules that give business SLAs to processes without calendar.
    fn business_rules(&mut self) {
        for (at, rule) in self.spec.segmentation.iter().enumerate() {
            if !rule.sla.is_some_and(business) {
                continue;
            }
            let within = rule.within.as_ref().filter(|_| rule.level == SegmentLevel::Process);
            if let Some(process) = self.without_calendar(rule.process.as_ref().or(within)) {
                self.no_calendar(&process, &[RULES, &at.to_string(), "sla"]);
            }
        }
    }

    /// Rows of decision tables that do so; a process is told once a table.
    fn business_cells(&mut self) {
        for (at, table) in self.spec.decision_tables.iter().enumerate() {
            let column = |target| table.columns.iter().position(|name| sets(name, target));
            let Some(sla) = column("sla") else { continue };
            let process = column("process");
            let within = table.within.as_ref().filter(|_| table.level == SegmentLevel::Process);
            let mut told = BTreeSet::new();
            for (row, cells) in table.rows.iter().enumerate() {
                let value = |column: usize| cells.get(column).and_then(|cell| cell_value(cell));
                let in_business = value(sla).and_then(|sla| sla.parse().ok()).is_some_and(business);
                if !in_business {
                    continue;
                }
                let of_row = process.and_then(value).map(Name::new);
                let lacks = self.without_calendar(of_row.as_ref().or(within));
                if let Some(process) = lacks.filter(|process| told.insert(process.clone())) {
                    let [at, row, sla] = [at, row, sla].map(|number| number.to_string());
                    self.no_calendar(&process, &[TABLES, &at, "rows", &row, &sla]);
                }
            }
        }
    }

    /// The process that items get a business SLA in, if it has no calendar. A rule that names
    /// none may mean any: all is lost only if no process has a calendar.
    fn without_calendar(&self, process: Option<&Name>) -> Option<Name> {
        let processes = &self.spec.routing.processes;
        let lacks = |process: &Name| self.calendar_of(process).is_none();
        let process = match process {
            Some(process) => {
                Some(process).filter(|known| processes.contains_key(*known) && lacks(known))
            }
            None => {
                Some(&self.spec.routing.default_process).filter(|_| processes.keys().all(lacks))
            }
        };
        process.cloned()
    }

    fn no_calendar(&mut self, process: &Name, path: &[&str]) {
        let message = format!("process `{process}` has no calendar for business time");
        let found = Found::error(Code::NoCalendar, self.tree.place_of(path), message);
        let help = match self.spec.routing.calendars.keys().next() {
            Some(calendar) => format!("add calendar = \"{calendar}\" to it or to its department"),
            None => "define [calendar.office] and name it in the process or its department".into(),
        };
        self.findings.push(found.label("business time").help(help));
    }

    fn stages(&mut self, name: &Name, stages: &[StageSpec]) {
        for (at, stage) in stages.iter().enumerate() {
            let number = at.to_string();
            let path = ["process", name.as_str(), "route", "stages", &number, "for"];
            let place = self.tree.at(&path[..5]).map(|node| node.place).unwrap_or_default();
            if at + 1 < stages.len() && stage.lasts.is_none() && self.tree.at(&path).is_none() {
                let message = format!("stage {} of process `{name}` never ends", at + 1);
                let found = Found::error(Code::Stage, place, message);
                let help = "add for = \"20% sla\": how long until the next stage is added";
                self.findings.push(found.label("`for` is missing").help(help));
            }
            if at + 1 == stages.len() && stage.lasts.is_some() {
                let message = format!("the last stage of process `{name}` lasts until the end");
                let place = self.tree.place_of(&path);
                let found = Found::warning(Code::NoEffect, place, message).label("never over");
                self.findings.push(found.help("leave `for` out, or add a stage behind it"));
            }
            self.adds_nobody(name, stages, at);
        }
    }

    /// A stage whose agents all fit an earlier one.
    fn adds_nobody(&mut self, name: &Name, stages: &[StageSpec], at: usize) {
        let late = &stages[at].requirement;
        let Some(early) = stages[..at].iter().position(|early| within(late, &early.requirement))
        else {
            return;
        };
        let [place, first] = [at, early].map(|at| {
            let number = at.to_string();
            self.tree.place_of(&["process", name, "route", "stages", &number, "skills"])
        });
        // A skill expression with a mistake counts as `anybody`; the mistake was told.
        if stages[early].requirement == Requirement::Anybody && !self.says_anybody(name, early) {
            return;
        }
        let message = format!("stage {} of process `{name}` adds nobody", at + 1);
        let found = Found::warning(Code::NoEffect, place, message);
        let found = found.label("all who fit this").related(first, "fit this already");
        self.findings.push(found.help("each stage asks less than those before it: order them so"));
    }

    fn says_anybody(&self, name: &Name, stage: usize) -> bool {
        let path = ["process", name, "route", "stages", &stage.to_string(), "skills"];
        let Some(node) = self.tree.at(&path) else { return false };
        matches!(&node.value, crate::tree::Value::Text(text) if text.trim() == "anybody")
    }

    /// A warning of the SLA comes before the SLA is missed.
    fn warning(&mut self, name: &Name, process: &ProcessSpec) {
        let Some(warn) = process.warn else { return };
        let late = match (warn, process.sla) {
            (Span::SlaPermille(share), _) => share >= 1000,
            (Span::BeforeSla(time), _) => time.0 == 0,
            (Span::Time(time), Some(Sla::Wall(sla)))
            | (Span::Business(time), Some(Sla::Business(sla))) => time >= sla,
            (Span::Time(_) | Span::Business(_), _) => false,
        };
        if late {
            let [place, sla] =
                ["warn", "sla"].map(|key| self.tree.place_of(&["process", name, key]));
            let message = format!("process `{name}` warns when the SLA is missed already");
            let found = Found::warning(Code::NoEffect, place, message).label("too late");
            let found = match process.sla {
                Some(_) => found.related(sla, "the SLA"),
                None => found,
            };
            self.findings.push(found.help("write a time before it, as in \"80% sla\""));
        }
    }

    fn completion(&mut self, name: &Name, process: &ProcessSpec) {
        if process.disposition_required && process.dispositions.is_empty() {
            let path = ["process", name, "disposition_required"];
            let message = format!("process `{name}` needs a disposition, but offers none");
            let found = Found::error(Code::Value, self.tree.place_of(&path), message);
            let help = "add dispositions = [\"Processed\"]";
            self.findings.push(found.label("nothing to choose from").help(help));
        }
        if process.completion.mode != CompletionMode::Source {
            return;
        }
        let mode = self.tree.place_of(&["process", name, "completion", "mode"]);
        for key in AT_MARK_DONE {
            let path = ["process", name.as_str(), key];
            if self.tree.at(&path).is_none() {
                continue;
            }
            let message = format!("process `{name}` never comes to mark done");
            let found = Found::warning(Code::NoEffect, self.tree.key_of(&path), message);
            let found = found.label("never asked").related(mode, "the source alone completes");
            let help = format!("leave `{key}` out, or choose another mode of completion");
            self.findings.push(found.help(help));
        }
    }
}

/// `true` if this is the heading of the column that sets a target.
fn sets(heading: &str, target: &str) -> bool {
    heading.trim().strip_prefix("set ").is_some_and(|named| named.trim_start() == target)
}

/// What a cell sets, as far as it stands there as it is: nothing where it is empty, `-` or an
/// expression.
fn cell_value(cell: &str) -> Option<&str> {
    let cell = cell.trim();
    let quoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| cell.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)));
    let value = quoted.unwrap_or(cell);
    let says = !value.is_empty() && value != "-" && !value.starts_with('{');
    says.then_some(value)
}

fn business(sla: Sla) -> bool {
    match sla {
        Sla::Business(_) | Sla::Workdays(_) => true,
        Sla::Wall(_) => false,
    }
}

/// `true` if surely all who fit the first also fit the second.
fn within(inner: &Requirement, outer: &Requirement) -> bool {
    use Requirement::{All, AnyOf, Anybody, Skill};
    if inner == outer {
        return true;
    }
    match (inner, outer) {
        (_, Anybody) => true,
        (AnyOf(parts), _) => parts.iter().all(|part| within(part, outer)),
        (_, All(parts)) => parts.iter().all(|part| within(inner, part)),
        (
            Skill { skill, compare, level },
            Skill { skill: other, compare: other_compare, level: other_level },
        ) => {
            let lowest = |compare: Compare, level: u8| match compare {
                Compare::Greater => Some(u16::from(level) + 1),
                Compare::AtLeast => Some(u16::from(level)),
                Compare::Equal | Compare::AtMost | Compare::Less => None,
            };
            let exact = if *compare == Compare::Equal { Some(u16::from(*level)) } else { None };
            let from = lowest(*compare, *level).or(exact);
            let outer = lowest(*other_compare, *other_level);
            skill == other && from.zip(outer).is_some_and(|(from, outer)| from >= outer)
        }
        (All(parts), _) => parts.iter().any(|part| within(part, outer)),
        (_, AnyOf(parts)) => parts.iter().any(|part| within(inner, part)),
        _ => false,
    }
}
