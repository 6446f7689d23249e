//! Reads what operations edit: sources, capture points, look-ups, callbacks.

use std::collections::BTreeMap;

use gantry_model::calendar::timezone;
use gantry_model::event::CALLBACK_EVENTS;
use gantry_model::priority::POINTS_MAX;
use gantry_model::spec::{
    CAPTURE_TIMEOUT, CallbackSpec, CaptureSpec, Confirm, CronSpec, HISTORY_YIELDS, Isolation,
    LookupSpec, OnChange, OnFailure, OnReopen, ProcessLimits, SOURCE_HUB, SourceSpec,
};
use gantry_model::{AttributeType, Cron, Millis, Name};

use super::attribute::plain_types;
use super::calendar::unknown_zone;
use crate::defaults;
use crate::finding::{Code, Findings, Found};
use crate::keys::{Kind, Part, Section, key, shown, words};
use crate::table::{Table, text, wrong_type, wrong_unit};
use crate::tree::{Node, Value};
use crate::units;

pub(super) static SOURCE: Section = Section::new(
    "One instance of a plug-in: a connection that capture points, look-ups and callbacks share.",
    &[
        key("plugin", Kind::Text, "The plug-in's name, as `gantry plugin list` shows it.")
            .required(),
        key(
            "isolation",
            Kind::Words(|| words(ISOLATION)),
            "Where it runs: in a process of its own, or in the hub's.",
        )
        .or(|| shown("process")),
        key("limits", Kind::Table(&LIMITS), "What a plug-in in a process of its own may use."),
        key("config", Kind::Plugin(Part::Source), "The plug-in's own part."),
    ],
);

static LIMITS: Section = Section::new(
    "What a plug-in in a process of its own may use.",
    &[
        key("memory", Kind::Bytes, "Memory of the process, as in \"512MiB\"."),
        key("open_files", Kind::Integer(16, 1_048_576), "Files and connections at a time."),
        key("user", Kind::Text, "The user that it runs as, where the hub is root."),
    ],
);

pub(super) static CAPTURE: Section = Section::new(
    "A capture point: where records become work items.",
    &[
        key("source", Kind::Text, "The source; without one, records come by the JSON API only."),
        key("settings", Kind::Plugin(Part::Capture), "The plug-in's own settings."),
        key(
            "every",
            Kind::Duration,
            "Pause between polls; required for sources that can only be polled.",
        ),
        key(
            "cron",
            Kind::Text,
            "Times at which it is polled, instead of `every`: minute, hour, day of month, month, \
             weekday, as in \"*/5 8-17 * * MON-FRI\".",
        ),
        key("timezone", Kind::Text, "The time zone of `cron`, as in \"Europe/Berlin\".")
            .or(|| shown(ZONE)),
        key(
            "jitter",
            Kind::Duration,
            "A poll comes at most so much later, at random; else a tenth of `every`, and nothing \
             with `cron`.",
        ),
        key(
            "timeout",
            Kind::Duration,
            "How long the source may take to answer; then it is asked again, after a pause.",
        )
        .or(|| shown(CAPTURE_TIMEOUT)),
        key(
            "batch",
            Kind::Integer(1, defaults::BATCH_MAX as i64),
            "Records that one poll asks for.",
        )
        .or(|| defaults::BATCH.into()),
        key("map", Kind::Map(&Kind::Expression), "Attribute = expression over `record`."),
        key("defaults", Kind::Map(&Kind::Any), "Attribute = value, where the record gives none."),
        key(
            "message",
            Kind::Expression,
            "The kind of message, over `record`: \"create\", \"update\", \"hold\", \"resume\", \
             \"cancel\", \"complete\" or \"restart\"; absent means \"create\".",
        ),
        key("on_change", Kind::Words(|| words(ON_CHANGE)), "Other content on an open item.")
            .or(|| shown("update")),
        key("on_reopen", Kind::Words(|| words(ON_REOPEN)), "Other content on an ended item.")
            .or(|| shown("new")),
        key(
            "confirm",
            Kind::Words(|| words(CONFIRM)),
            "How the source confirms that an item is done.",
        )
        .or(|| shown("message")),
        key(
            "lookups",
            Kind::List(&Kind::Text),
            "The look-ups of its items, in order; else all that no capture point lists.",
        ),
        key(
            "priority_labels",
            Kind::Map(&Kind::Integer(-POINTS_MAX, POINTS_MAX)),
            "Label = points: words that the source gives as `priority`.",
        ),
    ],
);

pub(super) static LOOKUP: Section = Section::new(
    "One question to another system about each item.",
    &[
        key(
            "source",
            Kind::Text,
            "The source that is asked; \"hub\" for a customer's earlier items.",
        )
        .required(),
        key("settings", Kind::Plugin(Part::Lookup), "The plug-in's own settings."),
        key(
            "yields",
            Kind::Map(&Kind::Words(plain_types)),
            "Attribute = type: what is taken of the answer. Required, but for source \"hub\".",
        ),
        key(
            "fields",
            Kind::Map(&Kind::Either(&[Kind::Text, Kind::List(&Kind::Text)])),
            "Attribute = the answer's field, where it has another name, as \"AccountId\"; a list goes \
             into tables, as [\"Account\", \"Name\"].",
        ),
        key("when", Kind::Expression, "Asked only if true, over `item`; else always."),
        key("timeout", Kind::Duration, "For one attempt.").or(|| shown(defaults::LOOKUP_TIMEOUT)),
        key(
            "retries",
            Kind::Integer(0, defaults::LOOKUP_RETRIES_MAX as i64),
            "Attempts after the first.",
        )
        .or(|| defaults::LOOKUP_RETRIES.into()),
        key("cache", Kind::Duration, "How long an answer is kept; else it is not."),
        key("on_update", Kind::Boolean, "Every update of an item asks again.").or(|| false.into()),
        key(
            "on_failure",
            Kind::Either(&[Kind::Words(|| vec![CONTINUE]), Kind::Table(&ON_FAILURE)]),
            "What happens when all attempts failed.",
        )
        .or(|| shown(CONTINUE)),
    ],
);

/// How `on_failure` says that the item goes on without the answer.
const CONTINUE: &str = "continue";

static ON_FAILURE: Section = Section::new(
    "What happens to the item.",
    &[
        key("default", Kind::Map(&Kind::Any), "It goes on with these values."),
        key("hold", Kind::Text, "It is held and tried again then: \"retry in 1m\"."),
    ],
)
.one_of(&["default", "hold"]);

pub(super) static CALLBACK: Section = Section::new(
    "Tells a source what happens to items.",
    &[
        key("source", Kind::Text, "The source that is told.").required(),
        key("settings", Kind::Plugin(Part::Callback), "The plug-in's own settings."),
        key("on", Kind::List(&Kind::Words(|| CALLBACK_EVENTS.to_vec())), "Events, at least one.")
            .required(),
        key(
            "captures",
            Kind::List(&Kind::Text),
            "Capture points whose items are meant; else those of `source`.",
        ),
        key("timeout", Kind::Duration, "For one attempt.").or(|| shown(defaults::CALLBACK_TIMEOUT)),
        key(
            "attempts",
            Kind::Integer(1, defaults::CALLBACK_ATTEMPTS_MAX as i64),
            "Attempts until the event becomes a dead letter.",
        )
        .or(|| defaults::CALLBACK_ATTEMPTS.into()),
    ],
);

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
    let mut limits = Table::of(&LIMITS, title, node, findings);
    let files = limits.integer("open_files", findings);
    let read = ProcessLimits {
        memory_bytes: limits.unit("memory", units::bytes, findings),
        open_files: files.map(|files| files as u64),
        user: limits.text("user", findings).map(str::to_owned),
    };
    limits.close(findings);
    read
}

pub(super) fn capture(table: &mut Table<'_>, findings: &mut Findings) -> CaptureSpec {
    let batch = table.integer("batch", findings);
    let lookups = table.get("lookups").is_some().then(|| table.names("lookups", findings));
    CaptureSpec {
        source: table.name("source", findings),
        settings: table.json("settings", findings),
        every: table.duration("every", findings),
        cron: cron(table, findings),
        jitter: table.duration_or_zero("jitter", findings),
        timeout: table.duration("timeout", findings),
        batch: batch.map_or(defaults::BATCH, |batch| batch as u32),
        map: table.texts("map", findings),
        defaults: table.values("defaults", findings),
        message: table.text("message", findings).map(str::to_owned),
        on_change: table.choice("on_change", ON_CHANGE, findings).unwrap_or_default(),
        on_reopen: table.choice("on_reopen", ON_REOPEN, findings).unwrap_or_default(),
        confirm: table.choice("confirm", CONFIRM, findings).unwrap_or_default(),
        lookups,
        priority_labels: table.numbers("priority_labels", findings),
    }
}

/// The time zone of `cron` where none is given.
const ZONE: &str = "UTC";

fn cron(table: &mut Table<'_>, findings: &mut Findings) -> Option<CronSpec> {
    let zone = table.text("timezone", findings);
    let expression = table.text("cron", findings);
    let place_of = |table: &mut Table<'_>, key| table.get(key).map(|node| node.place);
    let timezone = match zone.map(|name| (name, timezone(name))) {
        None => Name::new(ZONE),
        Some((_, Some(zone))) => zone,
        Some((name, None)) => {
            let place = place_of(table, "timezone").unwrap_or_default();
            findings.push(unknown_zone(name, place));
            return None;
        }
    };
    let Some(expression) = expression else {
        if let Some(node) = table.get("timezone") {
            let message = "`timezone` means nothing without `cron`";
            let found = Found::error(Code::Schedule, node.key, message).label("nothing uses it");
            findings.push(found.help("add cron = \"*/5 8-17 * * MON-FRI\", or leave it out"));
        }
        return None;
    };
    if let Some(node) = table.get("every") {
        let message = format!("{} has two schedules", table.title);
        let found = Found::error(Code::Schedule, node.key, message).label("beside `cron`");
        findings.push(found.help("leave `every` or `cron` out"));
    }
    let spec = CronSpec { expression: expression.to_owned(), timezone };
    match Cron::new(&spec) {
        Ok(_) => Some(spec),
        Err(error) => {
            let place = place_of(table, "cron").unwrap_or_default();
            let found = Found::error(Code::Value, place, error.to_string()).label("no such times");
            let help = "write minute, hour, day of month, month and weekday, as in \
                        \"*/5 8-17 * * MON-FRI\": every 5 minutes from 8:00 to 17:55 on workdays";
            findings.push(found.help(help));
            None
        }
    }
}

const ON_CHANGE: &[(&str, OnChange)] =
    &[("update", OnChange::Update), ("conflict", OnChange::Conflict), ("ignore", OnChange::Ignore)];
const ON_REOPEN: &[(&str, OnReopen)] =
    &[("new", OnReopen::New), ("ignore", OnReopen::Ignore), ("dead_letter", OnReopen::DeadLetter)];
const CONFIRM: &[(&str, Confirm)] =
    &[("message", Confirm::Message), ("callback", Confirm::Callback), ("none", Confirm::None)];

pub(super) fn lookup(table: &mut Table<'_>, findings: &mut Findings) -> LookupSpec {
    let retries = table.integer("retries", findings);
    let source = table.need_name("source", findings);
    let by_hub = source == SOURCE_HUB;
    let yields = if by_hub && table.get("yields").is_none() {
        HISTORY_YIELDS.map(|(name, kind)| (name.into(), kind)).into()
    } else {
        yields(table, findings)
    };
    let fields = fields(table, &yields, findings);
    let mut lookup = LookupSpec {
        source,
        settings: table.json("settings", findings),
        when: table.text("when", findings).map(str::to_owned),
        yields,
        fields,
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

/// `"AccountId"` or `["Account", "Name"]` for attributes that the look-up yields.
fn fields(
    table: &mut Table<'_>,
    yields: &BTreeMap<Name, AttributeType>,
    findings: &mut Findings,
) -> BTreeMap<Name, Vec<String>> {
    let mut fields = BTreeMap::new();
    for (name, node) in table.entries_of("fields", findings) {
        let title = format!("`{name}` in `fields` of {}", table.title);
        if !yields.contains_key(name.as_str()) {
            let message = format!("{title} is not yielded");
            let found = Found::error(Code::UnknownName, node.key, message).label("not in `yields`");
            findings.push(found.suggest(name, yields.keys().map(Name::as_str)));
        }
        let keys = match &node.value {
            Value::List(keys) => keys.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let path: Vec<_> = keys.iter().filter_map(|key| text(&title, key, findings)).collect();
        if keys.is_empty() || path.iter().any(|key| key.is_empty()) {
            let message = format!("{title} names no field");
            let found = Found::error(Code::Value, node.place, message).label("empty");
            findings.push(found.help("write the field as the answer has it: \"AccountId\""));
        }
        fields.insert(Name::new(name), path.into_iter().map(str::to_owned).collect());
    }
    fields
}

/// `"continue"`, `{ default = { … } }` or `{ hold = "retry in 1m" }`.
fn on_failure(table: &mut Table<'_>, findings: &mut Findings) -> OnFailure {
    let Some(node) = table.get("on_failure") else {
        return OnFailure::Continue;
    };
    match &node.value {
        Value::Text(word) if word == CONTINUE => OnFailure::Continue,
        Value::Table(_) => {
            let title = format!("`on_failure` of {}", table.title);
            let mut inner = Table::of(&ON_FAILURE, title, node, findings);
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
    let attempts = table.integer("attempts", findings);
    if let Some(node) = table.get("on")
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
