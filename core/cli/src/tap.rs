//! `gantry tap`: the records of a capture point, live, with what became of them.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::Global;
use crate::client::{self, segment};
use crate::table::{self, cell};

pub(crate) const EXAMPLE: &str = "Example:\n  gantry tap leads --outcome refused -n 10\n  \
    gantry tap leads --json\n\n\
    Secrets are taken out. Whoever reads too slowly misses records and is told how many; capture \
    waits for nobody.";

/// Longest payload on a line, in characters.
const PAYLOAD_CHARS_MAX: usize = 160;

#[derive(Args)]
pub(crate) struct Options {
    /// The capture point.
    capture_point: String,
    /// End after so many records.
    #[arg(short, long)]
    n: Option<u64>,
    /// Only records that ended so.
    #[arg(long, value_parser = ["accepted", "filtered", "refused", "retry"])]
    outcome: Option<String>,
}

pub(crate) async fn tap(global: &Global, options: Options) -> Result<()> {
    let Options { capture_point, n, outcome } = options;
    let query = outcome.map(|outcome| format!("?outcome={outcome}")).unwrap_or_default();
    let path = format!("/capture-points/{}/tap{query}", segment(&capture_point));
    let mut stream = client::must_find(global)?.follow(&path).await?;
    let mut left = n.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(seen) = stream.next().await? else { return Ok(()) };
        if global.json {
            table::json(&seen);
        } else {
            say!("{}", line(&seen));
        }
        left -= u64::from(seen.get("lost").is_none());
    }
    Ok(())
}

/// A record on one line.
fn line(seen: &Value) -> String {
    if let Some(lost) = seen.get("lost") {
        return format!("… {lost} records were not shown: they came faster than they were read");
    }
    let text = |name: &str| seen[name].as_str().unwrap_or_default();
    let outcome = match text("change") {
        "" => text("outcome").to_owned(),
        change => format!("{} {change}", text("outcome")),
    };
    let parts = [text("item"), text("code"), text("reason")];
    let parts = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ");
    let payload = match &seen["payload"] {
        Value::Null => format!("({} bytes)", seen["bytes"]),
        payload => cut(&cell(payload)),
    };
    format!("{}  {outcome:<16}  {}  {parts}  {payload}", text("at"), cell(&seen["external_id"]))
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(PAYLOAD_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Messages of a stream of server-sent events, one after the other.
pub(crate) struct Stream {
    response: reqwest::Response,
    unread: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self { response, unread: Vec::new() }
    }

    /// The data of the next message; `None` at the end.
    async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                if let Some(data) = line.strip_prefix(b"data: ") {
                    return serde_json::from_slice(data).context("reading the stream").map(Some);
                }
            }
            match self.response.chunk().await.context("the hub ended the stream")? {
                Some(chunk) => self.unread.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
