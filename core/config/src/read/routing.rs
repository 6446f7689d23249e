//! Reads what holds for all of routing: words, departments, capacity rules, shares.

use std::collections::{BTreeMap, BTreeSet};

use gantry_model::Name;
use gantry_model::priority::POINTS_MAX;
use gantry_model::spec::{
    Absence, AbsenceAction, CapacityRule, DepartmentSpec, Fairness, FlowKey, FlowSpec, RampUp,
    Validity,
};

use super::validity;
use crate::defaults;
use crate::finding::{Code, Findings, Found, Place};
use crate::keys::{self, Kind, Section, key};
use crate::table::{Table, list, text};
use crate::tree::Node;
use crate::units;

/// Most interactions that a capacity rule gives an agent, and most offers of a period.
const COUNT_MAX: i64 = 1000;
/// Largest weight of a flow.
const WEIGHT_MAX: i64 = 1000;
/// How `by` names the capture point.
const BY_CAPTURE_POINT: &str = "capture_point";

const ABSENCES: &[(&str, AbsenceAction)] =
    &[("return", AbsenceAction::Return), ("park", AbsenceAction::Park)];

pub(super) static ROUTING: Section = Section::new(
    "What holds for all of routing.",
    &[
        key("default_process", Kind::Text, "The process of items that no rule gives one.")
            .required(),
        key("skills", Kind::List(&Kind::Text), "Skills that routes may ask for."),
        key(
            "groups",
            Kind::List(&Kind::Text),
            "Groups that routes, workbins and transfers may name.",
        ),
        key("reasons", Kind::List(&Kind::Text), "Reasons for not being ready."),
        key("ramp_up", Kind::Table(&RAMP_UP), "How gently agents start after they signed on."),
        key("absence", Kind::Table(&ABSENCE), "The work of agents who signed off."),
    ],
);

static RAMP_UP: Section = Section::new(
    "How gently agents start after they signed on.",
    &[
        key("for", Kind::Duration, "How long after sign-on.").required(),
        key("offers", Kind::Integer(1, COUNT_MAX), "At most so many offers in a period.")
            .required(),
        key("per", Kind::Duration, "The period.").required(),
    ],
);

static ABSENCE: Section = Section::new(
    "What becomes of the work of agents who signed off.",
    &[
        key("after", Kind::Duration, "How long they have to come back.").required(),
        key(
            "then",
            Kind::Words(|| keys::words(ABSENCES)),
            "It returns to distribution, or is parked in their own workbins.",
        )
        .required(),
    ],
);

/// Names of departments: the first part of the name of a process.
pub(super) const DEPARTMENT_NAME: &str = "^[^/]+$";

pub(super) static DEPARTMENT: Section = Section::new(
    "A department: the first part of the names of its processes.",
    &[
        key("calendar", Kind::Text, "The calendar of its processes that name none."),
        validity::VALID_FROM,
        validity::VALID_TO,
    ],
);

pub(super) static CAPACITY: Section = Section::new(
    "A capacity rule: how much an agent who names it carries at once.",
    &[
        key("media", Kind::Map(&COUNT), "Media type = how many at once; others are not offered.")
            .required(),
        key("total", COUNT, "How many of all together."),
        key(
            "excludes",
            Kind::Map(&Kind::List(&Kind::Text)),
            "Media type = those not offered while the agent carries one of it.",
        ),
        key("prefill", COUNT, "So many items lie in the agent's workbin in advance."),
    ],
);
const COUNT: Kind = Kind::Integer(1, COUNT_MAX);

pub(super) static FAIRNESS: Section = Section::new(
    "Divides items into flows that share the agents.",
    &[
        key("by", Kind::Text, "`capture_point`, or an attribute of type text or enumeration.")
            .required(),
        key(
            "strength",
            Kind::Integer(0, POINTS_MAX),
            "Points that each offer beyond its share costs a flow; 0 = none.",
        )
        .required(),
        key(
            "flows",
            Kind::Map(&Kind::Table(&FLOW)),
            "Value = its flow; all other values are the flow `other`.",
        )
        .required(),
    ],
);

static FLOW: Section = Section::new(
    "A flow of items.",
    &[
        key("weight", Kind::Integer(1, WEIGHT_MAX), "Share beside the other flows.")
            .or(|| defaults::FLOW_WEIGHT.into()),
        key("rate", Kind::Rate, "At most so many offers in a period: \"10/1m\"."),
    ],
);

/// `[routing]`
#[derive(Default)]
pub(super) struct Words {
    pub(super) skills: BTreeSet<Name>,
    pub(super) groups: BTreeSet<Name>,
    pub(super) reasons: BTreeSet<Name>,
    pub(super) default_process: Name,
    pub(super) ramp_up: Option<RampUp>,
    pub(super) absence: Option<Absence>,
}

pub(super) fn words(root: &mut Table<'_>, findings: &mut Findings) -> Words {
    let Some(node) = root.get("routing") else {
        return Words::default();
    };
    let mut table = Table::of(&ROUTING, "[routing]", node, findings);
    let words = Words {
        skills: table.names("skills", findings).into_iter().collect(),
        groups: table.names("groups", findings).into_iter().collect(),
        reasons: table.names("reasons", findings).into_iter().collect(),
        default_process: table.need_name("default_process", findings),
        ramp_up: table.get("ramp_up").and_then(|node| ramp_up(node, findings)),
        absence: table.get("absence").and_then(|node| absence(node, findings)),
    };
    table.close(findings);
    words
}

fn ramp_up(node: &Node, findings: &mut Findings) -> Option<RampUp> {
    let mut table = Table::of(&RAMP_UP, "`ramp_up` in [routing]", node, findings);
    let lasts = table.duration("for", findings);
    let offers = table.integer("offers", findings);
    let per = table.duration("per", findings);
    table.close(findings);
    Some(RampUp { lasts: lasts?, offers: offers? as u16, per: per? })
}

fn absence(node: &Node, findings: &mut Findings) -> Option<Absence> {
    let mut table = Table::of(&ABSENCE, "`absence` in [routing]", node, findings);
    let after = table.duration("after", findings);
    let then = table.choice("then", ABSENCES, findings);
    table.close(findings);
    Some(Absence { after: after?, then: then? })
}

/// A department is the first part of the name of a process.
pub(super) fn department_name(name: &str, place: Place, findings: &mut Findings) {
    if name.trim().is_empty() || name.trim() != name || name.contains('/') {
        let message = format!("`{name}` is no department");
        let found = Found::error(Code::Value, place, message).label("not as a name");
        findings.push(found.help("write the first part of a process: [department.sales]"));
    }
}

/// Dates of validity are read by `validity`, which knows all calendars.
pub(super) fn department(table: &mut Table<'_>, findings: &mut Findings) -> DepartmentSpec {
    validity::ask(table);
    DepartmentSpec { valid: Validity::default(), calendar: table.name("calendar", findings) }
}

pub(super) fn capacity(table: &mut Table<'_>, findings: &mut Findings) -> CapacityRule {
    let media = table.numbers("media", findings);
    let total = table.integer("total", findings);
    let prefill = table.integer("prefill", findings);
    let title = format!("`excludes` in {}", table.title);
    let mut excludes = BTreeMap::new();
    for (media, node) in table.entries_of("excludes", findings) {
        let others = list(&format!("`{media}` in {title}"), node, findings).iter();
        let others = others.filter_map(|other| text(&title, other, findings)).map(Name::new);
        excludes.insert(Name::new(media), others.collect());
    }
    CapacityRule {
        media: media.into_iter().map(|(media, count)| (media, count as u16)).collect(),
        total: total.map(|total| total as u16),
        excludes,
        prefill: prefill.unwrap_or(0) as u16,
    }
}

pub(super) fn fairness(root: &mut Table<'_>, findings: &mut Findings) -> Option<Fairness> {
    let node = root.get("fairness")?;
    let mut table = Table::of(&FAIRNESS, "[fairness]", node, findings);
    let by = table.name("by", findings);
    let strength = table.integer("strength", findings);
    let mut flows = BTreeMap::new();
    for (name, node) in table.entries_of("flows", findings) {
        flows.insert(Name::new(name), flow(name, node, findings));
    }
    table.close(findings);
    let by = by?;
    let by = if by == *BY_CAPTURE_POINT { FlowKey::CapturePoint } else { FlowKey::Attribute(by) };
    Some(Fairness { by, strength: strength?, flows })
}

fn flow(name: &str, node: &Node, findings: &mut Findings) -> FlowSpec {
    let mut table = Table::of(&FLOW, format!("flow `{name}` in [fairness]"), node, findings);
    let weight = table.integer("weight", findings);
    let rate = table.unit("rate", units::rate, findings);
    table.close(findings);
    FlowSpec { weight: weight.map_or(defaults::FLOW_WEIGHT, |weight| weight as u32), rate }
}
