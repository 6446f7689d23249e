//! Scenarios of a simulation: one TOML file, and the data files it names, to a [`ScenarioSpec`].
//!
//! Mistakes are findings as in the config. The names of processes, skills, groups and reasons are
//! those of a config; without one they are what the scenario says, and every process is served
//! first come, first served.

mod arrivals;
mod recorded;
mod rules;
mod staff;
mod value;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use gantry_model::spec::scenario::{Distribution, ScenarioSpec};
use gantry_model::spec::{RoutingSpec, Spec};
use gantry_model::{Millis, Name, Timestamp};
use gantry_rules::Rules;

use crate::finding::{Code, Finding, Findings, Found, Place, Severity, Source, Sources};
use crate::load::{check_text, read_text};
use crate::plugin::Manifests;
use crate::table::{Table, list};
use crate::tree::{self, Node, Value};

/// A scenario that was looked at.
#[derive(Debug)]
pub struct CheckedScenario {
    /// The scenario and the routing it meets; none if a finding is an error.
    pub scenario: Option<(ScenarioSpec, Arc<RoutingSpec>)>,
    /// Everything there is to say about it.
    pub findings: Vec<Finding>,
    /// The files that were read.
    pub sources: Sources,
}

/// Reads and checks a scenario and its data files, whose paths start at its folder. Without a
/// config its processes are served first come, first served, by anybody who has what the items
/// themselves ask for.
///
/// Never fails: a file that cannot be read is a finding like any other.
pub fn load_scenario(path: &Path, config: Option<&Spec>) -> CheckedScenario {
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let rules = config.map(|config| (config, gantry_rules::compile(config).0));
    let (sources, findings) = (Sources::default(), Findings::default());
    let mut reader = Reader { folder: &folder, rules, sources, findings };
    let text = read_text(path).unwrap_or_else(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        let found = Found::error(Code::File, Place::default(), message).label("this file");
        reader.findings.push(found.help("check the path and who may read it"));
        String::new()
    });
    reader.sources.0.push(Source { name, text: text.clone(), csv: false });
    let tree =
        if reader.findings.is_empty() { tree::parse(0, &text, &mut reader.findings) } else { None };
    let scenario = tree.map(|tree| {
        let spec = reader.scenario(&tree);
        reader.check_agents(&tree, &spec);
        let routing = match config {
            Some(config) => {
                reader.check_names(&tree, &spec, config);
                Some(Arc::clone(&config.routing))
            }
            None => reader.plain(&tree, &spec),
        };
        (spec, routing)
    });
    let findings = reader.findings.located(&reader.sources);
    let wrong = findings.iter().any(|finding| finding.severity == Severity::Error);
    let scenario = scenario.filter(|_| !wrong);
    let scenario = scenario.and_then(|(spec, routing)| Some((spec, routing?)));
    CheckedScenario { scenario, findings, sources: reader.sources }
}

/// Reads one scenario.
struct Reader<'a> {
    folder: &'a Path,
    /// The config, and its rules.
    rules: Option<(&'a Spec, Rules)>,
    sources: Sources,
    findings: Findings,
}

const DAY: Millis = Millis(24 * 3_600_000);

impl Reader<'_> {
    fn scenario(&mut self, tree: &Node) -> ScenarioSpec {
        let mut table = Table::open("the scenario", tree, &mut self.findings);
        table.need("start");
        table.need("horizon");
        table.need("arrivals");
        table.need("agents");
        let (start, utc_offset) = self.start(&mut table);
        let horizon = table.duration("horizon", &mut self.findings).unwrap_or(DAY);
        let warm_up = table.duration_or_zero("warm_up", &mut self.findings).unwrap_or_default();
        let seed = table.integer_in("seed", 0..=i64::MAX, &mut self.findings).unwrap_or(1);
        let confirm_after = self.distribution(&mut table, "confirm_after");
        if let Some(node) = table.get("warm_up").filter(|_| warm_up >= horizon) {
            let message = "the warm-up is as long as everything".to_owned();
            let found = Found::error(Code::Value, node.place, message).label("not below `horizon`");
            self.findings.push(found.help("nothing would be counted: make it shorter"));
        }
        let arrivals = table.get("arrivals").map(|node| self.all_arrivals(node));
        let staff = table.get("agents").map(|node| self.all_staff(node));
        table.close(&mut self.findings);
        ScenarioSpec {
            start,
            utc_offset,
            horizon,
            warm_up,
            seed: seed.unsigned_abs(),
            confirm_after: confirm_after.unwrap_or(Distribution::Constant(Millis(0))),
            arrivals: arrivals.unwrap_or_default(),
            staff: staff.unwrap_or_default(),
        }
    }

    /// The start, and how far its local time is ahead of UTC.
    fn start(&mut self, table: &mut Table<'_>) -> (Timestamp, Millis) {
        let nothing = (Timestamp::default(), Millis(0));
        let Some(node) = table.get("start") else { return nothing };
        let text = match &node.value {
            Value::Text(text) | Value::Datetime(text) => text.as_str(),
            _ => "",
        };
        if let (Ok(start), Some(offset)) = (text.parse::<Timestamp>(), utc_offset(text)) {
            return (start, offset);
        }
        let found = Found::error(Code::Value, node.place, "`start` is no instant");
        let help = "write date, time and distance from UTC, as in 2026-03-02T00:00:00+01:00";
        self.findings.push(found.label("cannot be read").help(help));
        nothing
    }

    /// Says what the config does not have.
    fn check_names(&mut self, tree: &Node, spec: &ScenarioSpec, config: &Spec) {
        let routing = &config.routing;
        for (at, arrivals) in spec.arrivals.iter().enumerate() {
            let at = ["arrivals", &at.to_string()].map(str::to_owned);
            let path = |key: &'static str| [at[0].as_str(), at[1].as_str(), key];
            let processes = || routing.processes.keys();
            self.known("process", tree, &path("process"), Some(&arrivals.process), processes());
            let (schema, schemas) = (arrivals.schema.as_ref(), routing.priorities.keys());
            self.known("priority schema", tree, &path("priority"), schema, schemas);
            self.known(
                "group",
                tree,
                &path("group"),
                arrivals.group.as_ref(),
                config.groups.iter(),
            );
            for skill in arrivals.requires.keys() {
                let path = [at[0].as_str(), at[1].as_str(), "requires", skill];
                self.known("skill", tree, &path, Some(skill), config.skills.iter());
            }
        }
        for (at, kind) in spec.staff.iter().enumerate() {
            let at = at.to_string();
            for skill in kind.skills.keys() {
                let path = ["agents", &at, "skills", skill];
                self.known("skill", tree, &path, Some(skill), config.skills.iter());
            }
            for group in &kind.groups {
                let path = ["agents", &at, "groups"];
                self.known("group", tree, &path, Some(group), config.groups.iter());
            }
            for (number, pause) in kind.breaks.iter().enumerate() {
                let path = ["agents", &at, "breaks", &number.to_string(), "reason"];
                let reasons = routing.reasons.iter();
                self.known("not-ready reason", tree, &path, Some(&pause.reason), reasons);
            }
        }
    }

    fn known<'n>(
        &mut self,
        kind: &str,
        tree: &Node,
        path: &[&str],
        name: Option<&Name>,
        known: impl Iterator<Item = &'n Name> + Clone,
    ) {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return };
        if known.clone().any(|known| known == name) {
            return;
        }
        // A skill is a key, everything else a value.
        let place = if kind == "skill" { tree.key_of(path) } else { tree.place_of(path) };
        let found = Found::error(Code::UnknownName, place, format!("unknown {kind} `{name}`"));
        let found = found.label("not in the config");
        self.findings.push(found.suggest(name, known.map(Name::as_str)));
    }

    /// Says which agents do not exist.
    fn check_agents(&mut self, tree: &Node, spec: &ScenarioSpec) {
        let known = |agent: &str| {
            agent.rsplit_once('-').is_some_and(|(kind, number)| {
                let kind = spec.staff.iter().find(|known| known.name == kind);
                let number = number.parse::<u32>().ok().filter(|_| !number.starts_with('0'));
                kind.zip(number).is_some_and(|(kind, number)| (1..=kind.count).contains(&number))
            })
        };
        for (at, arrivals) in spec.arrivals.iter().enumerate() {
            let named = [
                ("preferred_agent", &arrivals.preferred_agent),
                ("required_agent", &arrivals.required_agent),
            ];
            for (key, agent) in named {
                let Some(agent) = agent.as_ref().filter(|agent| !known(agent)) else { continue };
                let place = tree.place_of(&["arrivals", &at.to_string(), key]);
                let found = Found::error(Code::UnknownName, place, format!("no agent `{agent}`"));
                let help = "agents are called by their kind and a number: the first of `seniors` \
                            is `seniors-1`";
                self.findings.push(found.label("does not exist").help(help));
            }
        }
    }

    /// The routing of a scenario without a config: written as a config and read as one, so that
    /// everything it does not name is as in any other config.
    fn plain(&mut self, tree: &Node, spec: &ScenarioSpec) -> Option<Arc<RoutingSpec>> {
        for (at, arrivals) in spec.arrivals.iter().enumerate() {
            if let Some(schema) = &arrivals.schema {
                let place = tree.place_of(&["arrivals", &at.to_string(), "priority"]);
                let message = format!("unknown priority schema `{schema}`");
                let found = Found::error(Code::UnknownName, place, message);
                let found = found.label("needs a config");
                self.findings.push(found.help("name the config that has it with --config"));
            }
        }
        let checked = check_text("gantry.toml", &plain_config(spec), &Manifests::default());
        let wrong = checked.findings.iter().find(|finding| finding.severity == Severity::Error);
        if let Some(wrong) = wrong.filter(|_| self.findings.is_empty()) {
            let place = tree.key_of(&["arrivals"]);
            let found = Found::error(wrong.code, place, wrong.message.clone());
            self.findings.push(found.label("in here").maybe_help(wrong.help.clone()));
        }
        checked.spec.map(|spec| spec.routing)
    }
}

/// A config in which every process of the scenario is served first come, first served.
fn plain_config(spec: &ScenarioSpec) -> String {
    let quoted = |name: &Name| serde_json::Value::from(name.as_str()).to_string();
    let processes: BTreeSet<&Name> = spec.arrivals.iter().map(|part| &part.process).collect();
    let pauses = spec.staff.iter().flat_map(|kind| &kind.breaks);
    let reasons: BTreeSet<&Name> = pauses.map(|pause| &pause.reason).collect();
    let reasons: Vec<String> = reasons.into_iter().map(quoted).collect();
    let default = processes.first().map_or_else(|| "\"\"".to_owned(), |name| quoted(name));
    let mut text = format!(
        "[routing]\ndefault_process = {default}\nreasons = [{}]\n\n\
         [priority.flat]\npoints = [{{ at = \"0\", priority = 0 }}]\n",
        reasons.join(", ")
    );
    for process in processes {
        let name = quoted(process);
        let _ = write!(
            text,
            "\n[process.{name}]\npriority = \"flat\"\ncompletion = {{ mode = \"done_closes\" }}\n"
        );
    }
    text
}

/// Tables of a list of tables.
fn tables<'n>(title: &str, node: &'n Node, findings: &mut Findings) -> &'n [Node] {
    let nodes = list(title, node, findings);
    if nodes.is_empty() && matches!(node.value, Value::List(_)) {
        let found = Found::error(Code::Value, node.place, format!("{title} are empty"));
        findings.push(found.label("nobody").help("write at least one"));
    }
    nodes
}

/// The distance from UTC at the end of an instant in RFC 3339.
fn utc_offset(text: &str) -> Option<Millis> {
    if text.ends_with(['Z', 'z']) {
        return Some(Millis(0));
    }
    let at = text.len().checked_sub("+00:00".len())?;
    let (sign, clock) = text.get(at..)?.split_at_checked(1)?;
    let offset = value::time_of_day(clock)?;
    match sign {
        "+" => Some(offset),
        "-" => Some(Millis(-offset.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
