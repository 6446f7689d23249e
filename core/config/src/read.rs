//! The tree to the spec: every key has its type, its unit and its default.
//!
//! Whether names exist and the parts fit together is for `check`, which has the whole spec.

mod alert;
mod attribute;
mod calendar;
mod escalation;
mod pipeline;
mod priority;
mod process;
mod routing;
mod segmentation;
mod validity;

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::Name;
use gantry_model::spec::{CalendarSpec, Confirm, HubSpec, RoutingSpec, Spec};

use crate::defaults;
use crate::finding::{Findings, Place};
use crate::keys::{Kind, PLAIN_NAME, Section, key, shown};
use crate::table::{Table, check_name};
use crate::tree::{Node, RULES, TABLES};

/// The whole config.
pub(crate) static ROOT: Section = Section::new(
    "The config of a Gantry hub. Files in `pipelines` and `rules` beside it may have the same \
     tables.",
    &[
        key("hub", Kind::Table(&HUB), "The hub itself."),
        key("routing", Kind::Table(&routing::ROUTING), routing::ROUTING.about).required(),
        key("fairness", Kind::Table(&routing::FAIRNESS), routing::FAIRNESS.about),
        key("attribute", Kind::Named(attribute::NAME, &attribute::ATTRIBUTE), "Attributes."),
        key("source", Kind::Named(PLAIN_NAME, &pipeline::SOURCE), "Sources."),
        key("capture", Kind::Named(PLAIN_NAME, &pipeline::CAPTURE), "Capture points."),
        key("lookup", Kind::Named(PLAIN_NAME, &pipeline::LOOKUP), "Look-ups."),
        key("callback", Kind::Named(PLAIN_NAME, &pipeline::CALLBACK), "Callbacks."),
        key("alert", Kind::Named(PLAIN_NAME, &alert::ALERT), "Alerts."),
        key("priority", Kind::Named(PLAIN_NAME, &priority::PRIORITY), "Priority schemas."),
        key("calendar", Kind::Named(PLAIN_NAME, &calendar::CALENDAR), "Business calendars."),
        key("process", Kind::Named(process::NAME, &process::PROCESS), "Processes."),
        key(
            "department",
            Kind::Named(routing::DEPARTMENT_NAME, &routing::DEPARTMENT),
            "Departments.",
        ),
        key("capacity", Kind::Named(PLAIN_NAME, &routing::CAPACITY), "Capacity rules."),
        key(RULES, Kind::List(&Kind::Table(&segmentation::RULE)), "Rules, tried in this order."),
        key(TABLES, Kind::List(&Kind::Table(&segmentation::TABLE)), "Decision tables."),
    ],
);

static HUB: Section = Section::new(
    "The hub itself.",
    &[
        key("listen", Kind::Text, "Host and port of the web server.")
            .or(|| shown(defaults::LISTEN)),
        key("store", Kind::Text, "The database, `sqlite:PATH`, on a local disk.")
            .or(|| shown(defaults::STORE)),
        key("plugins", Kind::List(&Kind::Text), "Folders that plug-ins are loaded from.")
            .or(|| vec![defaults::PLUGINS].into()),
        key(
            "drain_timeout",
            Kind::Duration,
            "How long a stop waits for work under way; may be \"0\".",
        )
        .or(|| shown(defaults::DRAIN_TIMEOUT)),
    ],
);

/// Reads the whole config.
pub(crate) fn spec(tree: &Node, findings: &mut Findings) -> Spec {
    let mut root = Table::of(&ROOT, "the config", tree, findings);
    let hub = hub(&mut root, findings);
    let attributes = family(&mut root, "attribute", findings, attribute::attribute);
    let sources = family(&mut root, "source", findings, pipeline::source);
    let captures = family(&mut root, "capture", findings, pipeline::capture);
    let lookups = family(&mut root, "lookup", findings, pipeline::lookup);
    let callbacks = family(&mut root, "callback", findings, pipeline::callback);
    let alerts = family(&mut root, "alert", findings, alert::alert);
    let priorities = family(&mut root, "priority", findings, priority::priority);
    let calendars = family(&mut root, "calendar", findings, calendar::calendar);
    let processes = family(&mut root, "process", findings, process::process);
    let departments = family(&mut root, "department", findings, routing::department);
    let capacity_rules = family(&mut root, "capacity", findings, routing::capacity);
    let fairness = routing::fairness(&mut root, findings);
    let words = routing::words(&mut root, findings);
    let segmentation = root.get(RULES).map(|node| segmentation::rules(node, findings));
    let tables = root.get(TABLES).map(|node| segmentation::decision_tables(node, findings));
    root.close(findings);
    let unconfirmed = captures.iter().filter(|(_, capture)| capture.confirm == Confirm::None);
    let unconfirmed = unconfirmed.map(|(name, _)| name.clone()).collect();
    let mut routing = RoutingSpec {
        calendars,
        priorities,
        processes,
        default_process: words.default_process,
        reasons: words.reasons,
        unconfirmed,
        departments,
        capacity_rules,
        ramp_up: words.ramp_up,
        absence: words.absence,
        fairness,
    };
    validity::resolve(tree, &mut routing, findings);
    Spec {
        hub,
        attributes: attributes.into_iter().filter_map(|(name, kind)| Some((name, kind?))).collect(),
        skills: words.skills,
        groups: words.groups,
        sources,
        captures,
        lookups,
        callbacks,
        alerts,
        segmentation: segmentation.unwrap_or_default(),
        decision_tables: tables.unwrap_or_default(),
        routing: Arc::new(routing),
    }
}

/// The calendars in which nothing is wrong, whatever else is wrong with the config.
pub(crate) fn sound_calendars(tree: &Node) -> BTreeMap<Name, CalendarSpec> {
    calendar::sound(tree)
}

/// Reads the named parts of a family, as in `[source.NAME]`.
fn family<T>(
    root: &mut Table<'_>,
    family: &'static str,
    findings: &mut Findings,
    read: fn(&mut Table<'_>, &mut Findings) -> T,
) -> BTreeMap<Name, T> {
    let Some(Kind::Named(_, section)) = ROOT.key(family).map(|key| key.kind) else {
        unreachable!("invariant: families are declared as named tables");
    };
    let mut parts = BTreeMap::new();
    for (name, node) in root.entries_of(family, findings) {
        family_name(family, name, node.key, findings);
        let quoted = if name.contains('/') { format!("\"{name}\"") } else { name.clone() };
        let title = format!("[{family}.{quoted}]");
        let mut table = Table::of(section, title, node, findings);
        let part = read(&mut table, findings);
        table.close(findings);
        parts.insert(Name::new(name), part);
    }
    parts
}

fn family_name(family: &str, name: &str, place: Place, findings: &mut Findings) {
    match family {
        "process" => process::process_name(name, place, findings),
        "department" => routing::department_name(name, place, findings),
        "attribute" => attribute::attribute_name(name, place, findings),
        _ => check_name(&format!("a {family}"), name, place, findings),
    }
}

fn hub(root: &mut Table<'_>, findings: &mut Findings) -> HubSpec {
    let Some(node) = root.get("hub") else {
        return default_hub();
    };
    let mut table = Table::of(&HUB, "[hub]", node, findings);
    let listen = table.text("listen", findings);
    let store = table.text("store", findings);
    let plugins = table.get("plugins").is_some().then(|| table.names("plugins", findings));
    let drain_timeout = table.duration_or_zero("drain_timeout", findings);
    table.close(findings);
    let standard = default_hub();
    HubSpec {
        listen: listen.map_or(standard.listen, str::to_owned),
        store: store.map_or(standard.store, str::to_owned),
        plugins: plugins.map_or(standard.plugins, |folders| {
            folders.iter().map(|folder| folder.as_str().into()).collect()
        }),
        drain_timeout: drain_timeout.unwrap_or(standard.drain_timeout),
    }
}

pub(crate) fn default_hub() -> HubSpec {
    HubSpec {
        listen: defaults::LISTEN.into(),
        store: defaults::STORE.into(),
        plugins: vec![defaults::PLUGINS.into()],
        drain_timeout: defaults::DRAIN_TIMEOUT,
    }
}
