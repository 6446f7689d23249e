//! Reads processes: their SLA, route, escalation, and how their items end.

use gantry_model::spec::{
    AgentOrder, Answer, Completion, CompletionMode, ProcessSpec, RouteSpec, Sla, StageSpec,
    Validity,
};
use gantry_model::{Millis, Requirement};

use super::escalation;
use crate::defaults;
use crate::finding::{Code, Findings, Found, Place};
use crate::keys::{Kind, Section, key, shown, words};
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

/// Names of processes.
pub(super) const NAME: &str = "^[^/]+/[^/]+$";

pub(super) static PROCESS: Section = Section::new(
    "A process: what its items are worth, who gets them, and how they end.",
    &[
        key("priority", Kind::Text, "The priority schema, unless a rule names one.").required(),
        key("sla", Kind::Sla, "The SLA, unless a rule or the source's due date says it."),
        key(
            "warn",
            Kind::Span,
            "When the SLA is called in danger, from the start of the curve on.",
        ),
        key("calendar", Kind::Text, "The calendar of its business times; else the department's."),
        super::validity::VALID_FROM,
        super::validity::VALID_TO,
        key("route", Kind::Table(&ROUTE), "Who gets its items; else anybody."),
        key("order", Kind::Words(|| words(ORDERS)), "Who stands first among the agents who fit.")
            .or(|| shown("highest_level")),
        key("offer_timeout", Kind::Duration, "How long an agent has to accept.")
            .or(|| shown(defaults::OFFER_TIMEOUT)),
        key(
            "decline_cool_down",
            Kind::Duration,
            "Who declined or let it ring is not asked so long.",
        )
        .or(|| shown(defaults::DECLINE_COOL_DOWN)),
        key(
            "answer",
            Kind::Words(|| words(ANSWERS)),
            "`automatic`: an offer counts as accepted at once.",
        )
        .or(|| shown("manual")),
        key(
            "escalation",
            Kind::List(&Kind::Table(&escalation::STEP)),
            "Steps for items that wait or are worked on too long.",
        ),
        key("choose", Kind::Boolean, "Agents may choose from the queue, which is counted.")
            .or(|| false.into()),
        key(
            "park_limit",
            Kind::Duration,
            "How long an item may stay parked until it is distributed again.",
        ),
        key("wrap_up", Kind::Duration, "Time after mark done to give the disposition."),
        key("completion", Kind::Table(&COMPLETION), "Who says that an item is done."),
        key("dispositions", Kind::List(&Kind::Text), "Results that an agent may choose from."),
        key("disposition_required", Kind::Boolean, "Mark done needs a disposition.")
            .or(|| false.into()),
        key("form", Kind::AnyTable, "JSON Schema of what mark done asks for."),
        key("show", Kind::List(&Kind::Text), "Attributes that agents see; else all."),
    ],
);

static COMPLETION: Section = Section::new(
    "How items end.",
    &[
        key(
            "mode",
            Kind::Words(|| words(MODES)),
            "`source`: the source alone completes; `done_then_confirm`: the agent marks done, the \
             source confirms; `done_closes`: mark done completes.",
        )
        .or(|| shown("done_then_confirm")),
        key("within", Kind::Duration, "How long the source has to confirm.")
            .or(|| shown(defaults::CONFIRM_WITHIN)),
    ],
);

static ROUTE: Section = Section::new(
    "Who gets the items of a process.",
    &[
        key("preferred", Kind::Span, "How long the item's preferred agent is waited for."),
        key("stages", Kind::List(&Kind::Table(&STAGE)), "Targets, one after the other."),
    ],
);

static STAGE: Section = Section::new(
    "A target; the next one adds agents to it.",
    &[
        key(
            "skills",
            Kind::Skills,
            "Whom it is for, as in \"sales > 70 && group(\\\"night\\\")\".",
        )
        .required(),
        key("for", Kind::Span, "How long until the next; the last needs none."),
    ],
);

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
    let mut inner =
        Table::of(&COMPLETION, format!("`completion` of {}", table.title), node, findings);
    let mode = inner.choice("mode", MODES, findings);
    let within = inner.duration("within", findings);
    inner.close(findings);
    Completion { mode: mode.unwrap_or_default(), within: within.unwrap_or(standard.within) }
}

fn route(table: &mut Table<'_>, findings: &mut Findings) -> RouteSpec {
    let Some(node) = table.get("route") else {
        return RouteSpec::default();
    };
    let mut inner = Table::of(&ROUTE, format!("`route` of {}", table.title), node, findings);
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
    let mut table = Table::of(&STAGE, format!("a stage of {title}"), node, findings);
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
