//! What happened between two looks at the status, in figures a second.

use gantry_model::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::table::{self, cell};

/// All that is shown.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    sources: Vec<Source>,
    capture_points: Vec<Capture>,
    lookups: Vec<Lookup>,
    callbacks: Vec<Callback>,
}

#[derive(Debug, Serialize)]
struct Source {
    name: String,
    plugin: String,
    state: String,
    in_flight: u64,
    restarts: u64,
    /// Of one processor.
    cpu_percent: Option<f64>,
    memory_bytes: Option<u64>,
    last_failure: Option<String>,
}

#[derive(Debug, Serialize)]
struct Capture {
    name: String,
    source: String,
    state: String,
    records_per_second: f64,
    refused_per_second: f64,
    bytes_per_second: f64,
    /// Mean of what came between the looks.
    lag_seconds: Option<f64>,
    oldest_unacknowledged_seconds: Option<f64>,
    in_flight: u64,
    credit: Option<u64>,
    last_error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Lookup {
    name: String,
    source: String,
    state: String,
    asked_per_second: f64,
    failed_per_second: f64,
    /// Mean of what was answered between the looks.
    took_seconds: Option<f64>,
    in_flight: u64,
    last_error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Callback {
    name: String,
    source: String,
    state: String,
    delivered_per_second: f64,
    retried_per_second: f64,
    lag_seconds: Option<f64>,
    open: u64,
    lanes_retrying: u64,
    lanes_dead: u64,
    last_error: Option<String>,
}

/// One part at both looks.
struct Part<'s> {
    name: &'s str,
    before: &'s Value,
    now: &'s Value,
    seconds: f64,
}

impl Figures {
    /// Compares two statuses that were asked for so many seconds apart.
    pub(super) fn between(before: &Value, now: &Value, seconds: f64) -> Self {
        let parts = |kind: &str| {
            let all = now[kind].as_object().into_iter().flatten();
            let (before, seconds) = (&before[kind], seconds.max(0.001));
            let part = |(name, now)| {
                let name: &String = name;
                Part { name, before: &before[name], now, seconds }
            };
            all.map(part).collect::<Vec<_>>()
        };
        Self {
            sources: parts("sources").iter().map(Part::source).collect(),
            capture_points: parts("captures").iter().map(Part::capture).collect(),
            lookups: parts("lookups").iter().map(Part::lookup).collect(),
            callbacks: parts("callbacks").iter().map(Part::callback).collect(),
        }
    }

    /// Tables for people; of what there is none of, none.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let sources = self.sources.iter().map(Source::row);
        table(&mut lines, &SOURCE, sources.collect());
        let captures = self.capture_points.iter().map(Capture::row);
        table(&mut lines, &CAPTURE, captures.collect());
        table(&mut lines, &LOOKUP, self.lookups.iter().map(Lookup::row).collect());
        table(&mut lines, &CALLBACK, self.callbacks.iter().map(Callback::row).collect());
        lines
    }
}

const SOURCE: [&str; 8] =
    ["SOURCE", "PLUG-IN", "STATE", "UNDER WAY", "RESTARTS", "CPU", "MEMORY", "LAST FAILURE"];
const CAPTURE: [&str; 11] = [
    "CAPTURE POINT",
    "SOURCE",
    "STATE",
    "RECORDS/S",
    "REFUSED/S",
    "BYTES/S",
    "LAG",
    "OLDEST",
    "UNDER WAY",
    "CREDIT",
    "NOTE",
];
const LOOKUP: [&str; 8] =
    ["LOOK-UP", "SOURCE", "STATE", "ASKED/S", "FAILED/S", "TOOK", "UNDER WAY", "NOTE"];
const CALLBACK: [&str; 10] = [
    "CALLBACK",
    "SOURCE",
    "STATE",
    "DELIVERED/S",
    "RETRIED/S",
    "LAG",
    "TO DELIVER",
    "RETRYING",
    "DEAD",
    "NOTE",
];

fn table(lines: &mut Vec<String>, headings: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let all: Vec<Vec<String>> = [headings].into_iter().chain(rows).collect();
    lines.extend(table::columns(&all));
    lines.push(String::new());
}

impl Part<'_> {
    fn text(&self, field: &str) -> String {
        cell(&self.now[field])
    }

    fn number(&self, field: &str) -> u64 {
        self.now[field].as_u64().unwrap_or_default()
    }

    /// How much a count rose a second. One that fell began anew.
    fn rate(&self, count: impl Fn(&Value) -> f64) -> f64 {
        (count(self.now) - count(self.before)).max(0.0) / self.seconds
    }

    fn rate_of(&self, field: &str) -> f64 {
        self.rate(|status| status[field].as_f64().unwrap_or_default())
    }

    /// The mean of what histograms took up between the looks.
    fn mean<'v>(&'v self, histograms: impl Fn(&'v Value) -> Vec<&'v Value>) -> Option<f64> {
        let total = |status: &'v Value, field: &str| -> f64 {
            histograms(status).iter().filter_map(|histogram| histogram[field].as_f64()).sum()
        };
        let rise = |field: &str| total(self.now, field) - total(self.before, field);
        let n = rise("count");
        (n > 0.0).then(|| (rise("sum_seconds") / n).max(0.0))
    }

    fn last_error(&self) -> Option<String> {
        let well = matches!(self.now["state"].as_str(), Some("running" | "idle"));
        let message = self.now["last_error"]["message"].as_str().filter(|_| !well);
        message.map(ToOwned::to_owned)
    }

    fn source(&self) -> Source {
        let process = Some(&self.now["process"]).filter(|process| process.is_object());
        let cpu = |status: &Value| status["process"]["cpu_seconds"].as_f64().unwrap_or_default();
        Source {
            name: self.name.to_owned(),
            plugin: self.text("plugin"),
            state: self.text("state"),
            in_flight: self.number("in_flight"),
            restarts: process.and_then(|it| it["restarts"].as_u64()).unwrap_or_default(),
            cpu_percent: process.map(|_| self.rate(cpu) * 100.0),
            memory_bytes: process.and_then(|it| it["memory_bytes"].as_u64()),
            last_failure: process
                .and_then(|it| it["last_failure"]["reason"].as_str())
                .map(ToOwned::to_owned),
        }
    }

    fn capture(&self) -> Capture {
        let at = |status: &Value| -> Option<Timestamp> {
            serde_json::from_value(status["oldest_unacknowledged_at"].clone()).ok()
        };
        let now = gantry_server::wall_clock();
        Capture {
            name: self.name.to_owned(),
            source: self.text("source"),
            state: self.text("state"),
            records_per_second: self.rate_of("read"),
            refused_per_second: self.rate_of("refused"),
            bytes_per_second: self.rate_of("bytes"),
            lag_seconds: self.mean(|status| vec![&status["lag"]]),
            oldest_unacknowledged_seconds: at(self.now)
                .map(|at| now.since(at).0.max(0) as f64 / 1000.0),
            in_flight: self.number("in_flight"),
            credit: self.now["credit"].as_u64(),
            last_error: self.last_error(),
        }
    }

    fn lookup(&self) -> Lookup {
        Lookup {
            name: self.name.to_owned(),
            source: self.text("source"),
            state: self.text("state"),
            asked_per_second: self.rate_of("asked"),
            failed_per_second: self.rate_of("failed"),
            took_seconds: self
                .mean(|status| status["operations"].as_array().into_iter().flatten().collect()),
            in_flight: self.number("in_flight"),
            last_error: self.last_error(),
        }
    }

    fn callback(&self) -> Callback {
        Callback {
            name: self.name.to_owned(),
            source: self.text("source"),
            state: self.text("state"),
            delivered_per_second: self.rate_of("delivered"),
            retried_per_second: self.rate_of("retried"),
            lag_seconds: self.mean(|status| vec![&status["lag"]]),
            open: self.number("open"),
            lanes_retrying: self.number("lanes_retrying"),
            lanes_dead: self.number("lanes_dead"),
            last_error: self.last_error(),
        }
    }
}

impl Source {
    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.plugin.clone(),
            self.state.clone(),
            self.in_flight.to_string(),
            self.restarts.to_string(),
            self.cpu_percent.map_or_else(none, |percent| format!("{percent:.1} %")),
            self.memory_bytes.map_or_else(none, |bytes| size(bytes as f64)),
            self.last_failure.clone().unwrap_or_default(),
        ]
    }
}

impl Capture {
    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.source.clone(),
            self.state.clone(),
            rate(self.records_per_second),
            rate(self.refused_per_second),
            size(self.bytes_per_second),
            self.lag_seconds.map_or_else(none, span),
            self.oldest_unacknowledged_seconds.map_or_else(none, span),
            self.in_flight.to_string(),
            self.credit.map_or_else(none, |credit| credit.to_string()),
            self.last_error.clone().unwrap_or_default(),
        ]
    }
}

impl Lookup {
    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.source.clone(),
            self.state.clone(),
            rate(self.asked_per_second),
            rate(self.failed_per_second),
            self.took_seconds.map_or_else(none, span),
            self.in_flight.to_string(),
            self.last_error.clone().unwrap_or_default(),
        ]
    }
}

impl Callback {
    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.source.clone(),
            self.state.clone(),
            rate(self.delivered_per_second),
            rate(self.retried_per_second),
            self.lag_seconds.map_or_else(none, span),
            self.open.to_string(),
            self.lanes_retrying.to_string(),
            self.lanes_dead.to_string(),
            self.last_error.clone().unwrap_or_default(),
        ]
    }
}

fn none() -> String {
    "–".to_owned()
}

fn rate(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1}") } else { format!("{per_second:.0}") }
}

/// Bytes, in the unit that leaves few digits.
fn size(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1024.0 => format!("{bytes:.0} B"),
        bytes if bytes < 1024.0 * 1024.0 => format!("{:.0} KiB", bytes / 1024.0),
        bytes => format!("{:.0} MiB", bytes / (1024.0 * 1024.0)),
    }
}

/// Seconds, in the unit that leaves few digits.
fn span(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.0} h", seconds / 3600.0),
    }
}
