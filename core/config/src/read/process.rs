//! Reads processes: their SLA, route, escalation, and how their items end.

use gantry_model::spec::{
    AgentOrder, Answer, Completion, CompletionMode, ProcessSpec, RouteSpec, Sla, StageSpec,
    Validity,
};
use gantry_model::{Millis, Requirement};

use super::escalation;
use crate::defaults;
use crate::finding::{Code, Findings, Found, Place};
use crate::table::{Table, list};
use crate::tree::{Node, Value};
use crate::units;

const ORDERS: &[(&str, AgentOrder)] = &[
    ("highest_level", AgentOrder::HighestLevel),
    ("longest_idle", AgentOrder::LongestIdle),
    ("least_loaded", AgentOrder::LeastLoaded),
];

const ANSWERS: &[(&str, Answer)] = &[("manual", Answer::Manual), ("automatic", Answer::Automatic)];

const MODES: &[(&str, CompletionMode)] = &[
    ("source", CompletionMode::Source),
    ("done_then_confirm", CompletionMode::DoneThenConfirm),
    ("done_closes", CompletionMode::DoneCloses),
];

pub(super) fn process_name(name: &str, place: Place, findings: &mut Findings) {
    let parts = name.split_once('/');
    let two = parts.is_some_and(|(department, process)| {
        let filled = |part: &str| !part.trim().is_empty() && part.trim() == part;
        filled(department) && filled(process) && !process.contains('/')
    });
    if !two {
        let message = format!("`{name}` is no process");
        let found = Found::error(Code::Value, place, message).label("not department/process");
        findings.push(found.help("write [process.\"department/process\"]"));
    }
}

/// Dates of validity are read by `validity`, which knows all calendars.
pub(super) fn process(table: &mut Table<'_>, findings: &mut Findings) -> ProcessSpec {
    super::validity::ask(table);
    ProcessSpec {
        priority: table.need_name("priority", findings),
        sla: sla(table, findings),
        route: route(table, findings),
        offer_timeout: table.duration("offer_timeout", findings).unwrap_or(defaults::OFFER_TIMEOUT),
        decline_cool_down: table
            .duration_or_zero("decline_cool_down", findings)
            .unwrap_or(defaults::DECLINE_COOL_DOWN),
        completion: completion(table, findings),
        dispositions: table.names("dispositions", findings),
        disposition_required: table.boolean("disposition_required", findings).unwrap_or(false),
        show: table.names("show", findings),
        calendar: table.name("calendar", findings),
        valid: Validity::default(),
        order: table.choice("order", ORDERS, findings).unwrap_or_default(),
        answer: table.choice("answer", ANSWERS, findings).unwrap_or_default(),
        wrap_up: table.duration("wrap_up", findings),
        warn: table.span("warn", findings),
        escalation: escalation::steps(table, findings),
        choose: table.boolean("choose", findings).unwrap_or(false),
        park_limit: table.duration("park_limit", findings),
        form: form(table, findings),
    }
}

/// An SLA longer than nothing.
pub(super) fn sla(table: &mut Table<'_>, findings: &mut Findings) -> Option<Sla> {
    let sla = table.unit("sla", units::sla, findings)?;
    if ![Sla::Wall(Millis(0)), Sla::Business(Millis(0)), Sla::Workdays(0)].contains(&sla) {
        return Some(sla);
    }
    let place = table.get("sla").map_or(table.node.key, |node| node.place);
    let message = format!("{} must be longer than nothing", table.title_of("sla"));
    findings.push(Found::error(Code::Value, place, message).label("no time at all"));
    None
}

fn completion(table: &mut Table<'_>, findings: &mut Findings) -> Completion {
    let standard = Completion { mode: CompletionMode::default(), within: defaults::CONFIRM_WITHIN };
    let Some(node) = table.get("completion") else {
        return standard;
    };
    let mut inner = Table::open(format!("`completion` of {}", table.title), node, findings);
    let mode = inner.choice("mode", MODES, findings);
    let within = inner.duration("within", findings);
    inner.close(findings);
    Completion { mode: mode.unwrap_or_default(), within: within.unwrap_or(standard.within) }
}

fn route(table: &mut Table<'_>, findings: &mut Findings) -> RouteSpec {
    let Some(node) = table.get("route") else {
        return RouteSpec::default();
    };
    let mut inner = Table::open(format!("`route` of {}", table.title), node, findings);
    let preferred = inner.span("preferred", findings);
    let stages = inner
        .get("stages")
        .map_or(&[][..], |node| list(&format!("`stages` of {}", table.title), node, findings));
    let stages = stages.iter().map(|node| stage(&table.title, node, findings)).collect();
    inner.close(findings);
    RouteSpec { preferred, stages }
}

/// What the stage asks of an agent is read by `expressions`, which knows all skills and groups.
fn stage(title: &str, node: &Node, findings: &mut Findings) -> StageSpec {
    let mut table = Table::open(format!("a stage of {title}"), node, findings);
    table.need("skills");
    table.text("skills", findings);
    let lasts = table.span("for", findings);
    table.close(findings);
    StageSpec { requirement: Requirement::Anybody, lasts }
}

/// A JSON Schema, written as TOML.
fn form(table: &mut Table<'_>, findings: &mut Findings) -> Option<serde_json::Value> {
    let node = table.get("form")?;
    let form = table.json("form", findings);
    if !matches!(node.value, Value::Table(_)) {
        return None;
    }
    if let Err(error) = jsonschema::validator_for(&form) {
        let pointer = error.instance_path().to_string();
        let path = crate::schema::tokens(&pointer);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let message = format!("the form of {} is no JSON Schema: {error}", table.title);
        let found = Found::error(Code::Value, node.place_of(&path), message).label("this part");
        let help = "write it as in { type = \"object\", properties = { amount = { type = \
                    \"number\" } } }";
        findings.push(found.help(help));
        return None;
    }
    Some(form)
}
