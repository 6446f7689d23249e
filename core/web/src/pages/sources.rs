//! The sources and what goes through them, for whoever keeps the hub running.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{Frame, page};
use crate::access::{Caller, Permission};
use crate::app::Shared;
use crate::problem::Problem;

/// The page.
#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage<'a> {
    frame: Frame,
    view: &'a View,
}

/// What the page shows of the pipeline's status.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct View {
    sources: BTreeMap<String, Source>,
    captures: BTreeMap<String, Part>,
    lookups: BTreeMap<String, Part>,
    callbacks: BTreeMap<String, Part>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Source {
    plugin: String,
    version: Option<String>,
    state: String,
    in_flight: u64,
    process: Option<Process>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Process {
    restarts: u64,
    cpu_seconds: f64,
    memory_bytes: u64,
    last_failure: Option<Failure>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Failure {
    at: String,
    reason: String,
}

/// A capture point, look-up or callback; what one of them does not have is 0.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Part {
    source: Option<String>,
    state: String,
    paused: Option<Paused>,
    last_ok_at: Option<String>,
    last_error: Option<LastError>,
    read: u64,
    refused: u64,
    asked: u64,
    delivered: u64,
    failed: u64,
    lanes_dead: u64,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Paused {
    at: String,
    by: String,
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct LastError {
    at: String,
    message: String,
}

/// What the rows of a table have in common.
struct Row<'v> {
    kind: &'static str,
    name: &'v str,
    part: &'v Part,
}

impl View {
    /// Everything that names a source, in the order in which an item meets it.
    fn parts(&self) -> impl Iterator<Item = Row<'_>> {
        rows("capture point", &self.captures)
            .chain(rows("look-up", &self.lookups))
            .chain(rows("callback", &self.callbacks))
    }
}

fn rows<'v>(
    kind: &'static str,
    parts: &'v BTreeMap<String, Part>,
) -> impl Iterator<Item = Row<'v>> {
    parts.iter().map(move |(name, part)| Row { kind, name, part })
}

impl Process {
    fn mebibytes(&self) -> u64 {
        self.memory_bytes >> 20
    }
}

impl Row<'_> {
    /// What came in, was asked or was delivered.
    fn count(&self) -> u64 {
        self.part.read + self.part.asked + self.part.delivered
    }

    /// What could not be used, answered or delivered.
    fn failed(&self) -> u64 {
        self.part.refused + self.part.failed + self.part.lanes_dead
    }

    /// The trouble that it has now.
    fn trouble(&self) -> Option<&LastError> {
        let well = matches!(self.part.state.as_str(), "running" | "idle");
        self.part.last_error.as_ref().filter(|_| !well)
    }
}

/// `GET /sources`.
pub(super) async fn sources(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.must(Permission::ReadStatus)?;
    let view: View =
        serde_json::from_value(app.intake.status()).map_err(|error| Problem::internal(&error))?;
    page(&headers, &view, SourcesPage { frame: Frame::new(&caller, "/sources"), view: &view })
}
