//! Reads what operations edit: sources, capture points, look-ups, callbacks.

use std::collections::BTreeMap;

use gantry_model::priority::POINTS_MAX;
use gantry_model::spec::{
    CallbackSpec, CaptureSpec, Confirm, HISTORY_YIELDS, Isolation, LookupSpec, OnChange, OnFailure,
    OnReopen, ProcessLimits, SOURCE_HUB, SourceSpec,
};
use gantry_model::{AttributeType, Millis, Name};

use crate::defaults;
use crate::finding::{Code, Findings, Found};
use crate::table::{Table, text, wrong_type, wrong_unit};
use crate::tree::{Node, Value};
use crate::units;

pub(super) fn source(table: &mut Table<'_>, findings: &mut Findings) -> SourceSpec {
    let plugin = table.need_name("plugin", findings);
    let isolation = table.choice("isolation", ISOLATION, findings).unwrap_or_default();
    SourceSpec {
        plugin,
        isolation,
        limits: limits(table, isolation, findings),
        config: table.json("config", findings),
    }
}

const ISOLATION: &[(&str, Isolation)] =
    &[("process", Isolation::Process), ("in-process", Isolation::InProcess)];

fn limits(table: &mut Table<'_>, isolation: Isolation, findings: &mut Findings) -> ProcessLimits {
    let Some(node) = table.get("limits") else { return ProcessLimits::default() };
    if isolation == Isolation::InProcess {
        let message = "`limits` hold only for a plug-in in a process of its own";
        let found = Found::error(Code::Value, node.key, message).label("nothing to limit");
        findings.push(found.help("leave them out, or write `isolation = \"process\"`"));
    }
    let title = format!("`limits` of {}", table.title);
    let mut limits = Table::open(title, node, findings);
    let files = limits.integer("open_files", 16..=1_048_576, findings);
    let read = ProcessLimits {
        memory_bytes: limits.unit("memory", units::bytes, findings),
        open_files: files.map(|files| files as u64),
        user: limits.text("user", findings).map(str::to_owned),
    };
    limits.close(findings);
    read
}

pub(super) fn capture(table: &mut Table<'_>, findings: &mut Findings) -> CaptureSpec {
    let batch = table.integer("batch", 1..=i64::from(defaults::BATCH_MAX), findings);
    let lookups = table.get("lookups").is_some().then(|| table.names("lookups", findings));
    CaptureSpec {
        source: table.name("source", findings),
        settings: table.json("settings", findings),
        every: table.duration("every", findings),
        batch: batch.map_or(defaults::BATCH, |batch| batch as u32),
        map: table.texts("map", findings),
        defaults: table.values("defaults", findings),
        message: table.text("message", findings).map(str::to_owned),
        on_change: table.choice("on_change", ON_CHANGE, findings).unwrap_or_default(),
        on_reopen: table.choice("on_reopen", ON_REOPEN, findings).unwrap_or_default(),
        confirm: table.choice("confirm", CONFIRM, findings).unwrap_or_default(),
        lookups,
        priority_labels: table.numbers("priority_labels", -POINTS_MAX..=POINTS_MAX, findings),
    }
}

const ON_CHANGE: &[(&str, OnChange)] =
    &[("update", OnChange::Update), ("conflict", OnChange::Conflict), ("ignore", OnChange::Ignore)];
const ON_REOPEN: &[(&str, OnReopen)] =
    &[("new", OnReopen::New), ("ignore", OnReopen::Ignore), ("dead_letter", OnReopen::DeadLetter)];
const CONFIRM: &[(&str, Confirm)] =
    &[("message", Confirm::Message), ("callback", Confirm::Callback), ("none", Confirm::None)];

pub(super) fn lookup(table: &mut Table<'_>, findings: &mut Findings) -> LookupSpec {
    let retries = table.integer("retries", 0..=i64::from(defaults::LOOKUP_RETRIES_MAX), findings);
    let source = table.need_name("source", findings);
    let by_hub = source == SOURCE_HUB;
    let yields = if by_hub && table.get("yields").is_none() {
        HISTORY_YIELDS.map(|(name, kind)| (name.into(), kind)).into()
    } else {
        yields(table, findings)
    };
    let mut lookup = LookupSpec {
        source,
        settings: table.json("settings", findings),
        when: table.text("when", findings).map(str::to_owned),
        yields,
        timeout: table.duration("timeout", findings).unwrap_or(defaults::LOOKUP_TIMEOUT),
        retries: retries.map_or(defaults::LOOKUP_RETRIES, |retries| retries as u32),
        cache: table.duration("cache", findings),
        on_update: table.boolean("on_update", findings).unwrap_or(false),
        on_failure: on_failure(table, findings),
    };
    if let (None, Some(key)) = (&lookup.when, lookup.history_key()) {
        lookup.when = Some(format!("has(item.{key})"));
    }
    lookup
}

fn yields(table: &mut Table<'_>, findings: &mut Findings) -> BTreeMap<Name, AttributeType> {
    table.need("yields");
    let mut yields = BTreeMap::new();
    for (name, node) in table.entries_of("yields", findings) {
        super::attribute::attribute_name(name, node.key, findings);
        let title = format!("`{name}` in `yields` of {}", table.title);
        let Some(word) = text(&title, node, findings) else { continue };
        if let Some(kind) = super::attribute::plain_type(word) {
            yields.insert(Name::new(name), kind);
        } else {
            let message = format!("unknown type `{word}`");
            let found = Found::error(Code::Value, node.place, message).label("no such type");
            findings.push(found.suggest(word, super::attribute::PLAIN_TYPES.iter().map(|t| t.0)));
        }
    }
    yields
}

/// `"continue"`, `{ default = { … } }` or `{ hold = "retry in 1m" }`.
fn on_failure(table: &mut Table<'_>, findings: &mut Findings) -> OnFailure {
    let Some(node) = table.get("on_failure") else {
        return OnFailure::Continue;
    };
    match &node.value {
        Value::Text(word) if word == "continue" => OnFailure::Continue,
        Value::Table(_) => {
            let title = format!("`on_failure` of {}", table.title);
            let mut inner = Table::open(title, node, findings);
            let hold = inner.get("hold");
            let default = inner.get("default").is_some().then(|| inner.values("default", findings));
            inner.close(findings);
            match (hold, default) {
                (None, Some(values)) => OnFailure::Default(values),
                (Some(hold), None) => {
                    OnFailure::Hold { retry: retry_in(hold, findings).unwrap_or_default() }
                }
                _ => {
                    findings.push(wrong_on_failure(node));
                    OnFailure::Continue
                }
            }
        }
        _ => {
            findings.push(wrong_on_failure(node));
            OnFailure::Continue
        }
    }
}

fn wrong_on_failure(node: &Node) -> Found {
    let message = "`on_failure` says one thing that happens";
    Found::error(Code::Value, node.place, message).label("not one of the three").help(
        "write \"continue\", { default = { attribute = value } } or { hold = \"retry in 1m\" }",
    )
}

fn retry_in(node: &Node, findings: &mut Findings) -> Option<Millis> {
    let title = "`hold` in `on_failure`";
    let phrase = text(title, node, findings)?;
    let time = phrase.trim().strip_prefix("retry in ").map(units::duration);
    match time {
        Some(Ok(time)) if time.0 > 0 => Some(time),
        Some(Err(error)) => {
            findings.push(wrong_unit(title, node, error));
            None
        }
        _ => {
            let found = Found::error(Code::Value, node.place, format!("{title} cannot be read"));
            findings.push(found.label("no such phrase").help("write \"retry in 1m\""));
            None
        }
    }
}

pub(super) fn callback(table: &mut Table<'_>, findings: &mut Findings) -> CallbackSpec {
    let attempts =
        table.integer("attempts", 1..=i64::from(defaults::CALLBACK_ATTEMPTS_MAX), findings);
    if let Some(node) = table.need("on")
        && matches!(&node.value, Value::List(list) if list.is_empty())
    {
        findings.push(wrong_type(&format!("`on` in {}", table.title), "a list of events", node));
    }
    CallbackSpec {
        source: table.need_name("source", findings),
        settings: table.json("settings", findings),
        on: table.names("on", findings).into_iter().collect(),
        captures: table.names("captures", findings).into_iter().collect(),
        timeout: table.duration("timeout", findings).unwrap_or(defaults::CALLBACK_TIMEOUT),
        attempts: attempts.map_or(defaults::CALLBACK_ATTEMPTS, |attempts| attempts as u32),
    }
}
