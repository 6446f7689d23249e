//! The hub that runs, and what it says of its parts.

use gantry_model::Timestamp;
use gantry_server::place::Place;
use serde_json::Value;

use super::Finding;
use crate::Global;
use crate::client;

/// What a source may not know the fate of for so long is worth a look.
const UNACKNOWLEDGED_SECS: i64 = 60;

/// Asks the hub, if one runs here.
pub(super) async fn hub(global: &Global, place: &Place, findings: &mut Vec<Finding>) {
    let hub = match client::find(global) {
        Ok(Some(hub)) => hub,
        Ok(None) => {
            let remedy = format!("gantry run --config {}", global.config.display());
            findings.push(Finding::warn("hub", "none runs on this config", remedy));
            return;
        }
        Err(error) => {
            findings.push(Finding::wrong("hub", format!("{error:#}"), "see the message"));
            return;
        }
    };
    let status = match hub.get("/status").await {
        Ok(status) => status,
        Err(error) => {
            let remedy = format!(
                "start it; if none should run, a crash left {}, which may be removed",
                place.run_file().display()
            );
            findings.push(Finding::wrong("hub", format!("{error:#}"), remedy));
            return;
        }
    };
    parts(&status, gantry_server::wall_clock(), findings);
    match hub.get("/dead-letters?limit=500").await {
        Ok(page) => findings.push(dead_letters(&page)),
        Err(error) => {
            let text = format!("cannot be listed: {error:#}");
            findings.push(Finding::warn("dead letters", text, "give a token that may read them"));
        }
    }
}

/// What the status says.
pub(super) fn parts(status: &Value, now: Timestamp, findings: &mut Vec<Finding>) {
    let version = status["version"].as_str().unwrap_or_default();
    findings.push(match status["health"].as_str() {
        Some("ready") => Finding::ok("hub", format!("version {version} takes work")),
        health => {
            let reason = status["reason"].as_str().unwrap_or_default();
            let text = format!("{}: {reason}", health.unwrap_or("it does not say how it is"));
            Finding::wrong("hub", text, "make room on the disk, and look at its log")
        }
    });
    let before = findings.len();
    for (name, source) in members(&status["sources"]) {
        findings.extend(of_source(name, source));
    }
    for kind in ["captures", "lookups", "callbacks"] {
        for (name, part) in members(&status[kind]) {
            findings.extend(of_part(kind, name, part));
        }
    }
    for (name, capture) in members(&status["captures"]) {
        findings.extend(unacknowledged(name, capture, now));
    }
    if findings.len() == before {
        findings.push(Finding::ok("sources", "all of them work, or were not asked yet"));
    }
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn of_source(name: &str, source: &Value) -> Option<Finding> {
    let what = format!("source {name}");
    let failure = source["process"]["last_failure"]["reason"].as_str().unwrap_or_default();
    match source["state"].as_str()? {
        "missing" => {
            let remedy = "gantry plugin list says why; correct it, and restart the hub";
            Some(Finding::wrong(what, "its plug-in could not be loaded", remedy))
        }
        "quarantined" => {
            let remedy = "tell the plug-in's author, mend it, and restart the hub";
            Some(Finding::wrong(what, failure, remedy))
        }
        "restarting" => Some(Finding::warn(what, failure, "the log has what it wrote at its end")),
        "poisoned" => {
            let text = "its plug-in panicked and cannot be made anew";
            Some(Finding::wrong(what, text, "the log has the panic; tell the plug-in's author"))
        }
        _ => None,
    }
}

fn of_part(kind: &str, name: &str, part: &Value) -> Option<Finding> {
    let what = format!("{} {name}", kind.trim_end_matches('s'));
    let error = part["last_error"]["message"].as_str().unwrap_or_default();
    if part["lanes_dead"].as_u64().is_some_and(|n| n > 0) {
        let text = format!("events of {} items wait for a person", part["lanes_dead"]);
        return Some(Finding::wrong(what, text, "gantry dlq list, then gantry dlq retry"));
    }
    match part["state"].as_str()? {
        "stopped" => {
            let remedy = "correct what it says; gantry capture poll tries at once";
            Some(Finding::wrong(what, error, remedy))
        }
        "backing_off" => Some(Finding::warn(what, error, "it tries again by itself")),
        "paused" => {
            let by = part["paused"]["by"].as_str().unwrap_or_default();
            let remedy = format!("gantry capture resume {name}");
            Some(Finding::warn(what, format!("paused by {by}"), remedy))
        }
        _ => None,
    }
}

fn unacknowledged(name: &str, capture: &Value, now: Timestamp) -> Option<Finding> {
    let since: Timestamp =
        serde_json::from_value(capture["oldest_unacknowledged_at"].clone()).ok()?;
    let secs = now.since(since).0 / 1000;
    (secs >= UNACKNOWLEDGED_SECS).then(|| {
        let text = format!("for {secs} s its source has not heard what became of records");
        let remedy = "gantry top shows whether the hub or the source is slow";
        Finding::warn(format!("capture {name}"), text, remedy)
    })
}

pub(super) fn dead_letters(page: &Value) -> Finding {
    let what = "dead letters";
    let n = page["dead_letters"].as_array().map_or(0, Vec::len);
    let more = if page["next"].is_null() { "" } else { " and more" };
    match n {
        0 => Finding::ok(what, "none"),
        n => Finding::warn(what, format!("{n}{more}"), "gantry dlq list"),
    }
}
