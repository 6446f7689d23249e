//! `gantry rules try`: what a capture point's mapping and the rules make of a record. Nothing is
//! created, asked or connected to.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use gantry_config::{Manifests, render_human};
use gantry_model::attribute::CAPTURED_AT;
use gantry_model::command::{Classified, Verdict};
use gantry_model::spec::Spec;
use gantry_model::{Classification, Document, Name, Origin, Timestamp};
use gantry_rules::{Mapped, Rules};
use serde_json::{Map, Value, json};

use crate::{Global, table};

pub(crate) const EXAMPLE: &str = "Example:\n  gantry rules try --capture leads record.json";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show what mapping, rules and decision tables make of a record, without creating anything.
    #[command(after_help = TRY_EXAMPLE)]
    Try(Options),
}

const TRY_EXAMPLE: &str = "Example:\n  gantry rules try --capture leads record.json\n  \
    gantry rules try --capture leads record.json --answers answers.json --json\n\n\
    It ends with 0 if the record becomes an item that the rules can classify, 1 if it would be \
    refused or held.";

#[derive(Args)]
pub(crate) struct Options {
    /// The capture point that the record would come from.
    #[arg(long, value_name = "NAME")]
    capture: String,
    /// A file with what look-ups would answer, as JSON: { "LOOKUP": { "attribute": value } }.
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// A file with the record as JSON; `-` reads standard input.
    record: PathBuf,
}

/// A look-up, and what became of it here.
struct Asked<'s> {
    lookup: &'s Name,
    what: &'static str,
}

/// What became of the record.
struct Tried<'s> {
    mapped: Mapped,
    asked: Vec<Asked<'s>>,
    verdict: Verdict,
}

/// `false` if the record would be refused or held.
pub(crate) fn run(global: &Global, command: &Command) -> Result<bool> {
    let Command::Try(options) = command;
    let checked = gantry_config::load(&global.config, &Manifests::default());
    let Some(spec) = checked.spec else {
        bail!("{}", render_human(&checked.findings, &checked.sources));
    };
    let capture = options.capture.as_str();
    if !spec.captures.contains_key(capture) {
        let known: Vec<&str> = spec.captures.keys().map(Name::as_str).collect();
        bail!("there is no capture point {capture:?}; there are: {}", known.join(", "));
    }
    let record = read(&options.record)?;
    let answers = match &options.answers {
        Some(path) => read(path)?,
        None => json!({}),
    };
    let (rules, _) = gantry_rules::compile(&spec);
    let mapped = match rules.map(capture, &record) {
        Ok(mapped) => mapped,
        Err(error) => {
            if global.json {
                let reason = error.to_string();
                table::json(&json!({ "outcome": "refused", "reason": reason }));
            } else {
                say!("refused: {error}");
            }
            return Ok(false);
        }
    };
    let tried = attempt(&spec, &rules, capture, mapped, &answers)?;
    if global.json {
        table::json(&view(&tried));
    } else {
        show(&spec, &tried);
    }
    Ok(matches!(tried.verdict, Verdict::Classified(_)))
}

fn read(path: &Path) -> Result<Value> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("reading standard input")?;
        bytes
    } else {
        fs::read(path).with_context(|| format!("reading {}", path.display()))?
    };
    serde_json::from_slice(&bytes).with_context(|| format!("{} is no JSON", path.display()))
}

/// Does with the record what the hub would do, but for asking look-ups.
fn attempt<'s>(
    spec: &'s Spec,
    rules: &Rules,
    capture: &str,
    mut mapped: Mapped,
    answers: &Value,
) -> Result<Tried<'s>> {
    for given in answers.as_object().context("the answers are no JSON object")?.keys() {
        let known = spec.lookups.contains_key(given.as_str());
        ensure!(known, "the answers name look-up {given:?}, which does not exist");
    }
    if spec.keeps_captured_at() {
        let now = Timestamp(jiff::Timestamp::now().as_millisecond());
        mapped.document.set(CAPTURED_AT.into(), gantry_model::Value::Timestamp(now), None);
    }
    let mut asked = Vec::new();
    let mut failed = None;
    for lookup in spec.lookups_of(capture) {
        let what = match rules.wants_lookup(lookup, &mapped.document) {
            Ok(false) => "does not apply",
            Ok(true) => match answers.get(lookup.as_str()) {
                None => "would be asked",
                Some(answer) => match rules.read_answer(lookup, answer, &mut mapped.document) {
                    Ok(()) => "answered as given",
                    Err(error) => {
                        failed.get_or_insert(error.to_string());
                        "its answer cannot be read"
                    }
                },
            },
            Err(error) => {
                failed.get_or_insert(error.to_string());
                "cannot tell whether it applies"
            }
        };
        asked.push(Asked { lookup, what });
    }
    let verdict = match failed {
        Some(reason) => Verdict::Failed { reason, retry_at: None },
        None => rules.classify(capture, 0, &mut mapped.document).0,
    };
    Ok(Tried { mapped, asked, verdict })
}

fn view(tried: &Tried<'_>) -> Value {
    let document = &tried.mapped.document;
    let attributes = document.attributes.iter().map(|(name, value)| {
        let entry = json!({ "value": value, "from": origin(document, name) });
        (name.to_string(), entry)
    });
    let lookups = tried.asked.iter().map(|asked| (asked.lookup.to_string(), json!(asked.what)));
    let (outcome, reason, classified) = match &tried.verdict {
        Verdict::Classified(classified) => ("classified", None, Some(classified)),
        Verdict::Rejected { reason } => ("rejected", Some(reason), None),
        Verdict::Failed { reason, .. } => ("held", Some(reason), None),
    };
    json!({
        "outcome": outcome,
        "reason": reason,
        "message": tried.mapped.kind,
        "external_id": tried.mapped.external_id,
        "attributes": attributes.collect::<Map<_, _>>(),
        "lookups": lookups.collect::<Map<_, _>>(),
        "classified": classified,
    })
}

/// Where an attribute came from, in words.
fn origin(document: &Document, attribute: &str) -> String {
    match document.origins.get(attribute) {
        None => "record".into(),
        Some(Origin::Lookup(lookup)) => format!("look-up {lookup}"),
        Some(Origin::Rule(rule)) => format!("rule {rule}"),
        Some(Origin::Agent(agent)) => format!("agent {agent}"),
    }
}

fn show(spec: &Spec, tried: &Tried<'_>) {
    let document = &tried.mapped.document;
    let rows = document.attributes.iter().map(|(name, value)| {
        vec![name.to_string(), table::cell(&value.to_json()), origin(document, name)]
    });
    table::print(&["ATTRIBUTE", "VALUE", "FROM"], &rows.collect::<Vec<_>>());
    say!("");
    for asked in &tried.asked {
        say!("look-up {}: {}", asked.lookup, asked.what);
    }
    match &tried.verdict {
        Verdict::Classified(classified) => {
            for line in lines(spec, classified) {
                say!("{line}");
            }
        }
        Verdict::Rejected { reason } => say!("rejected: {reason}"),
        Verdict::Failed { reason, .. } => say!("held: {reason}"),
    }
}

/// What the rules said, a line each.
fn lines(spec: &Spec, classified: &Classified) -> Vec<String> {
    let Some(class) = &classified.class else { return Vec::new() };
    let rules: Vec<&str> = class.rules.iter().map(Name::as_str).collect();
    let none = || "none hits".to_owned();
    let mut lines = vec![
        format!("rules: {}", if rules.is_empty() { none() } else { rules.join(", ") }),
        format!("process: {}", class.process),
        due(classified, class),
        priority(classified, class),
    ];
    let moments = [("activation", classified.activation_at), ("expiration", classified.expires_at)];
    lines.extend(moments.iter().filter_map(|(what, at)| Some(format!("{what}: {}", (*at)?))));
    let agents = [
        ("preferred agent", &classified.preferred_agent),
        ("required agent", &classified.required_agent),
    ];
    lines.extend(agents.iter().filter_map(|(what, id)| Some(format!("{what}: {}", id.as_ref()?))));
    if let Some(requirement) = &class.requirement {
        lines.push(format!("asks for: {requirement}"));
    }
    let process = spec.routing.processes.get(&class.process);
    let stages = process.map_or(&[][..], |process| &process.route.stages);
    for (at, stage) in stages.iter().enumerate() {
        lines.push(format!("stage {}: {}", at + 1, stage.requirement));
    }
    lines
}

fn due(classified: &Classified, class: &Classification) -> String {
    match (classified.due_at, class.sla) {
        (Some(at), _) => format!("due: {at}"),
        (None, Some(sla)) => format!("SLA: {sla}"),
        (None, None) => "SLA: none".into(),
    }
}

fn priority(classified: &Classified, class: &Classification) -> String {
    if let Some(points) = classified.priority {
        return format!("priority: {points}, given by the source");
    }
    let bounds = classified.bounds.as_deref().copied().unwrap_or_default();
    let given = [("start", bounds.start), ("minimum", bounds.min), ("maximum", bounds.max)];
    let given = given.iter().filter_map(|(what, points)| Some(format!(", {what} {}", (*points)?)));
    format!("priority: schema {}{}", class.schema, given.collect::<String>())
}
