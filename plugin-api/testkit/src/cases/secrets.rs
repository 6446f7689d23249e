//! The secrets of the test file's config are seen nowhere. The suite does not tell the host of
//! them, so nothing takes them out of what the plug-in says.

use std::collections::BTreeSet;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use gantry_plugin_host::api::message::RoleName;
use gantry_plugin_host::api::secret::SCHEMA_KEYWORD;
use serde_json::{Value, json};

use crate::bench::{Bench, Operation, laid_over};
use crate::case::{Outcome, Stop, Works as _, fail, in_words, skip};
use crate::proxy::Mood;

cases! {
    "secrets/logs", "No log line has a secret, also when all goes wrong",
    "never log a request, a header or a URL with the secret in it; log `Secret`s as they are", logs;
    "secrets/errors", "No error has a secret, in its message or its causes",
    "keep the secret out of URLs, and drop causes that repeat the request", errors;
    "secrets/answers", "No record, answer or outcome has a secret",
    "do not hand over what the plug-in itself was given", answers;
    "secrets/faults", "No fault of the config has a secret",
    "name the key in a fault, not its value", faults;
    "secrets/process", "The list of processes shows no secret",
    "start programs without secrets in their arguments or environment", process;
}

/// Shorter ones turn up by chance.
const LEN_MIN: usize = 8;

/// The secrets that the plug-in was given, in the forms in which they may be told.
fn canaries(bench: &Bench) -> Result<BTreeSet<String>, Stop> {
    let manifest = bench.manifest();
    let mut given = Vec::new();
    collect(
        &manifest.config.clone().to_value(),
        &Value::Object(bench.script.source.config.clone()),
        &mut given,
    );
    let settings = [
        (RoleName::Capture, manifest.capture.as_ref().map(|role| role.settings.clone().to_value())),
        (RoleName::Lookup, manifest.lookup.as_ref().map(|role| role.settings.clone().to_value())),
        (
            RoleName::Callback,
            manifest.callback.as_ref().map(|role| role.settings.clone().to_value()),
        ),
    ];
    for (role, schema) in settings {
        let schema = schema.unwrap_or_default();
        collect(&schema, &Value::Object(bench.settings(role)), &mut given);
    }
    given.retain(|secret| secret.len() >= LEN_MIN);
    if given.is_empty() {
        return Err(skip("the test file gives no secret of 8 characters or more"));
    }
    let forms = |secret: String| {
        let quoted = Value::from(secret.as_str()).to_string();
        [
            quoted[1..quoted.len() - 1].to_owned(),
            STANDARD.encode(&secret),
            STANDARD_NO_PAD.encode(&secret),
            URL_SAFE_NO_PAD.encode(&secret),
            percent(&secret),
            secret,
        ]
    };
    Ok(given.into_iter().flat_map(forms).collect())
}

fn percent(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The names of keys that are secrets, or tables of them, anywhere in a schema, and their values.
pub(crate) fn collect(schema: &Value, table: &Value, given: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    secret_keys(schema, &mut names);
    texts_of(table, &names, false, given);
}

fn secret_keys(schema: &Value, names: &mut BTreeSet<String>) {
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let choices = ["anyOf", "oneOf"].into_iter().filter_map(|word| inner[word].as_array());
        if holds_secrets(inner) || choices.flatten().any(holds_secrets) {
            names.insert(key.clone());
        }
    }
    match schema {
        Value::Object(map) => map.values().for_each(|inner| secret_keys(inner, names)),
        Value::Array(list) => list.iter().for_each(|inner| secret_keys(inner, names)),
        _ => {}
    }
}

/// Whether it is a secret, a list of them, or a table of them under any keys, such as headers.
fn holds_secrets(schema: &Value) -> bool {
    let parts = [schema, &schema["items"], &schema["additionalProperties"]];
    parts.iter().any(|part| part[SCHEMA_KEYWORD] == true)
}

fn texts_of(value: &Value, names: &BTreeSet<String>, secret: bool, given: &mut Vec<String>) {
    match value {
        Value::String(text) if secret => given.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| texts_of(value, names, secret, given)),
        Value::Object(map) => {
            for (key, value) in map {
                texts_of(value, names, secret || names.contains(key), given);
            }
        }
        _ => {}
    }
}

/// What the plug-in says when it is asked all it can be asked: answers, then errors.
#[derive(Default)]
struct Said {
    answers: Vec<String>,
    errors: Vec<String>,
}

async fn ask_everything(bench: &Bench, said: &mut Said) {
    for operation in Operation::ALL {
        let switches = [None, bench.script.provoke.panic.as_ref()];
        for switch in switches.into_iter().take(1 + usize::from(switches[1].is_some())) {
            match bench.operation(operation, switch).await {
                Ok((_instance, call)) => match call.run().await {
                    Ok(answers) => said.answers.extend(answers),
                    Err(error) => said.errors.push(in_words(&error)),
                },
                Err(Stop::Fail { seen, .. }) => said.errors.push(seen),
                Err(Stop::Skip(_)) => {}
            }
        }
    }
}

async fn everything(bench: &Bench) -> Result<Said, Stop> {
    let mut said = Said::default();
    if let Err(Stop::Fail { seen, .. }) = bench.fresh().map(drop) {
        said.errors.push(seen);
    }
    ask_everything(bench, &mut said).await;
    if bench.proxy.is_some() {
        let asked = async {
            ask_everything(bench, &mut said).await;
            Ok(())
        };
        bench.while_network_is(Mood::Down, asked).await?;
    }
    Ok(said)
}

fn silent<'t>(
    canaries: &BTreeSet<String>,
    what: &str,
    texts: impl IntoIterator<Item = &'t String>,
) -> Outcome {
    for text in texts {
        if canaries.iter().any(|canary| text.contains(canary.as_str())) {
            let shown =
                canaries.iter().fold(text.clone(), |text, form| text.replace(form, "<SECRET>"));
            let shown: String = shown.chars().take(300).collect();
            return Err(fail(format!("no secret in {what}"), shown));
        }
    }
    Ok(())
}

async fn logs(bench: &Bench) -> Outcome {
    let canaries = canaries(bench)?;
    let Some(logs) = &bench.logs else {
        return Err(skip("this process has another listener for log lines"));
    };
    logs.clear();
    everything(bench).await?;
    // Lines of another process may come a little later than its answers.
    let instance = bench.instance().await?;
    let _ = instance.check().await;
    silent(&canaries, "a log line", &logs.all())
}

async fn errors(bench: &Bench) -> Outcome {
    let canaries = canaries(bench)?;
    let said = everything(bench).await?;
    silent(&canaries, "an error", &said.errors)
}

async fn answers(bench: &Bench) -> Outcome {
    let canaries = canaries(bench)?;
    let said = everything(bench).await?;
    silent(&canaries, "an answer", &said.answers)
}

async fn faults(bench: &Bench) -> Outcome {
    let canaries = canaries(bench)?;
    let tables = [
        (None, bench.script.source.config.clone()),
        (Some(RoleName::Capture), bench.settings(RoleName::Capture)),
        (Some(RoleName::Lookup), bench.settings(RoleName::Lookup)),
        (Some(RoleName::Callback), bench.settings(RoleName::Callback)),
    ];
    let mut told = Vec::new();
    for (role, table) in tables {
        if role.is_some_and(|role| !bench.has(role)) {
            continue;
        }
        for wrong in table.keys().cloned().chain(["no_such_key".to_owned()]) {
            let mut table = table.clone();
            table.insert(wrong, json!([[1]]));
            let json = laid_over(&table, None).into_bytes();
            let faults = bench.library.validate(role, json, &[]).await;
            told.extend(faults.works("`validate` gives faults")?.iter().map(ToString::to_string));
        }
    }
    silent(&canaries, "a fault", &told)
}

async fn process(bench: &Bench) -> Outcome {
    let canaries = canaries(bench)?;
    if !bench.is_isolated() {
        return Err(skip("it has no process of its own"));
    }
    let (instance, _call) = bench.operation(Operation::Check, None).await?;
    let _ = instance.check().await;
    let Some(pid) = instance.health().process else {
        return Err(skip("its process has just ended"));
    };
    let read = |what: &str| fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
    let texts =
        ["cmdline", "environ"].map(|what| String::from_utf8_lossy(&read(what)).into_owned());
    silent(&canaries, "the arguments or environment of its process", &texts)
}
