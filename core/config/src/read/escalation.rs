//! Reads the steps of escalation: what sets them off, and what they do.

use std::collections::BTreeMap;

use gantry_model::priority::POINTS_MAX;
use gantry_model::spec::{EscalationStep, EscalationTrigger, Span};
use gantry_model::{Millis, Name, Workbin};

use crate::finding::{Code, Findings, Found, Place};
use crate::keys::{Kind, Section, key};
use crate::table::{Table, check_name, list, text};
use crate::tree::{Node, Value};

/// What may set a step off; it has one of these.
const TRIGGERS: [&str; 5] = ["waiting", "handling", "total", "parked", "declined"];
/// What a step may do besides `raise`; it does at least one of all.
const PLACES_AND_WORDS: [&str; 3] = ["queue", "workbin", "alert"];
/// Most declines that a step may wait for.
const DECLINES_MAX: i64 = 1000;
/// Longest text of an alert, in characters.
const ALERT_CHARS_MAX: usize = 256;

pub(super) static STEP: Section = Section::new(
    "A step of the escalation: what sets it off, and what it does.",
    &[
        key("id", Kind::Text, "Names it; an item takes each step at most once.").required(),
        key("waiting", Kind::Span, "In the queue for so long since it came into routing."),
        key("handling", Kind::Span, "With one agent for so long since it was accepted."),
        key("total", Kind::Span, "Open for so long since the start of its curve."),
        key("parked", Kind::Span, "In one workbin for so long."),
        key("declined", Kind::Integer(1, DECLINES_MAX), "Declined, or not answered, so often."),
        key(
            "raise",
            Kind::Integer(-POINTS_MAX, POINTS_MAX),
            "Adds points to the item's boost, either sign.",
        ),
        key("queue", Kind::Text, "Puts it into the queue of another process, with its route."),
        key(
            "workbin",
            Kind::Text,
            "Puts it into \"agent:ID\", \"group:NAME\" or \"supervisor:GROUP\".",
        ),
        key("alert", Kind::Text, "Raises an alert with this text, 1 to 256 characters."),
    ],
)
.one_of(&TRIGGERS);

pub(super) fn steps(table: &mut Table<'_>, findings: &mut Findings) -> Vec<EscalationStep> {
    let Some(node) = table.get("escalation") else {
        return Vec::new();
    };
    let title = format!("`escalation` of {}", table.title);
    let nodes = list(&title, node, findings);
    let mut ids: BTreeMap<Name, Place> = BTreeMap::new();
    let mut steps = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        let title = format!("step {} of {title}", at + 1);
        let mut table = Table::of(&STEP, title, node, findings);
        let step = step(&mut table, findings);
        let place = table.get("id").map_or(node.key, |id| id.place);
        table.close(findings);
        if let Some(first) = ids.insert(step.id.clone(), place).filter(|_| !step.id.is_empty()) {
            let message = format!("escalation step `{}` is defined twice", step.id);
            let found = Found::error(Code::Twice, place, message).label("again here");
            let found = found.related(first, "first defined here");
            findings.push(found.help("give every step of a process an id of its own"));
        }
        steps.push(step);
    }
    steps
}

/// A step that cannot be read still stands for one, so that the others keep their numbers.
fn step(table: &mut Table<'_>, findings: &mut Findings) -> EscalationStep {
    let id = table.need_name("id", findings);
    if let Some(node) = table.get("id").filter(|_| !id.is_empty()) {
        check_name("an escalation step", &id, node.place, findings);
        table.title = format!("escalation step `{id}`");
    }
    let step = EscalationStep {
        when: trigger(table, findings).unwrap_or(EscalationTrigger::Total(Span::Time(Millis(0)))),
        raise: table.integer("raise", findings).unwrap_or(0),
        queue: table.name("queue", findings),
        workbin: table.get("workbin").and_then(|node| workbin(&table.title, node, findings)),
        alert: table.text("alert", findings).map(str::to_owned),
        id,
    };
    actions(table, &step, findings);
    step
}

fn trigger(table: &mut Table<'_>, findings: &mut Findings) -> Option<EscalationTrigger> {
    let given: Vec<_> =
        TRIGGERS.into_iter().filter_map(|key| Some((key, table.get(key)?))).collect();
    match given.as_slice() {
        [] => {
            let message = format!("nothing sets {} off", table.title);
            let found = Found::error(Code::Escalation, table.node.key, message);
            let help = "add waiting = \"80% sla\", or handling, total, parked, declined";
            findings.push(found.label("when?").help(help));
        }
        [(key, first), (again, node), ..] => {
            let message = format!("two clocks set {} off", table.title);
            let found = Found::error(Code::Escalation, node.key, message).label("again here");
            let help = format!("write `{key}` or `{again}`, or make two steps of it");
            findings.push(found.related(first.key, "first here").help(help));
        }
        [_] => {}
    }
    let (key, _) = *given.first()?;
    if key == "declined" {
        let count = table.integer(key, findings)?;
        return Some(EscalationTrigger::Declined(count as u32));
    }
    let span = table.span(key, findings)?;
    Some(match key {
        "waiting" => EscalationTrigger::Waiting(span),
        "handling" => EscalationTrigger::Handling(span),
        "parked" => EscalationTrigger::Parked(span),
        _ => EscalationTrigger::Total(span),
    })
}

fn actions(table: &mut Table<'_>, step: &EscalationStep, findings: &mut Findings) {
    let raises = table.get("raise").is_some_and(|node| !matches!(node.value, Value::Integer(0)));
    if !raises && PLACES_AND_WORDS.into_iter().all(|key| table.get(key).is_none()) {
        let message = format!("{} does nothing", table.title);
        let found = Found::error(Code::Escalation, table.node.key, message).label("what then?");
        let help = "add raise = 100, queue, workbin or alert";
        findings.push(found.help(help));
    }
    if let (Some(queue), Some(workbin)) = (table.get("queue"), table.get("workbin")) {
        let message = format!("{} sends the item to two places", table.title);
        let found = Found::error(Code::Escalation, workbin.key, message).label("and here");
        let help = "an item is in one place: leave `queue` or `workbin` out";
        findings.push(found.related(queue.key, "here").help(help));
    }
    if let Some(node) = table.get("alert")
        && let Some(text) = &step.alert
        && (text.trim().is_empty() || text.chars().count() > ALERT_CHARS_MAX)
    {
        let message = format!("the alert of {} says nothing, or too much", table.title);
        let found = Found::error(Code::Value, node.place, message).label("this text");
        findings.push(found.help(format!("write 1 to {ALERT_CHARS_MAX} characters")));
    }
}

/// `"agent:ID"`, `"group:NAME"` or `"supervisor:NAME"`.
fn workbin(title: &str, node: &Node, findings: &mut Findings) -> Option<Workbin> {
    let title = format!("`workbin` in {title}");
    let text = text(&title, node, findings)?;
    let parts = text.split_once(':').map(|(kind, name)| (kind.trim(), name.trim()));
    let workbin = match parts {
        Some((_, "")) | None => None,
        Some(("agent", id)) => Some(Workbin::Agent(Name::new(id))),
        Some(("group", group)) => Some(Workbin::Group(Name::new(group))),
        Some(("supervisor", group)) => Some(Workbin::Supervisor(Name::new(group))),
        Some(_) => None,
    };
    if workbin.is_none() {
        let found = Found::error(Code::Value, node.place, format!("{title} is no workbin"));
        let help = "write \"agent:ID\", \"group:NAME\" or \"supervisor:NAME\" of a group";
        findings.push(found.label("not like this").help(help));
    }
    workbin
}
