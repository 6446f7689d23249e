//! `gantry capture`: the capture points, paused, resumed and asked by hand.

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::Global;
use crate::client::{self, segment};
use crate::table::{self, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the capture points: how each is, and what became of its records since the start.
    #[command(after_help = "Example:\n  gantry capture list")]
    List,
    /// Take nothing more at a capture point, until it is resumed, also over restarts.
    #[command(after_help = "Example:\n  gantry capture pause leads --reason maintenance")]
    Pause {
        /// The capture point.
        capture_point: String,
        /// Why, for whoever finds it paused.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take records again at a capture point.
    #[command(after_help = "Example:\n  gantry capture resume leads")]
    Resume {
        /// The capture point.
        capture_point: String,
    },
    /// Ask the source of a capture point now, whatever its schedule.
    #[command(after_help = "Example:\n  gantry capture poll leads")]
    Poll {
        /// The capture point.
        capture_point: String,
    },
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<()> {
    match command {
        Command::List => list(global).await,
        Command::Pause { capture_point, reason } => {
            let body = json!({ "reason": reason }).to_string();
            operate(global, &capture_point, "pause", Some(body), "paused").await
        }
        Command::Resume { capture_point } => {
            operate(global, &capture_point, "resume", None, "resumed").await
        }
        Command::Poll { capture_point } => {
            operate(global, &capture_point, "poll", None, "asked").await
        }
    }
}

async fn list(global: &Global) -> Result<()> {
    let status = client::must_find(global)?.get("/status").await?;
    let captures = &status["captures"];
    if global.json {
        table::json(captures);
        return Ok(());
    }
    let captures = captures.as_object().context("the hub sent no capture points")?;
    let rows: Vec<_> = captures.iter().map(|(name, capture)| row(name, capture)).collect();
    table::print(&["CAPTURE POINT", "STATE", "FED BY", "LAST OK", "NEXT", "NOTE"], &rows);
    Ok(())
}

fn row(name: &str, capture: &Value) -> Vec<String> {
    let columns = ["state", "feed", "last_ok_at", "next_at"].map(|column| cell(&capture[column]));
    let [state, feed, last_ok_at, next_at] = columns;
    vec![name.to_owned(), state, feed, last_ok_at, next_at, note(capture)]
}

/// Why it stands still, or what troubles it.
fn note(capture: &Value) -> String {
    let (paused, error) = (&capture["paused"], &capture["last_error"]);
    if let Some(by) = paused["by"].as_str() {
        let reason = paused["reason"].as_str().map(|reason| format!(": {reason}"));
        return format!("by {by}, {}{}", cell(&paused["at"]), reason.unwrap_or_default());
    }
    let troubled = capture["state"] != "running" && error.is_object();
    if troubled { cell(&error["message"]) } else { String::new() }
}

async fn operate(
    global: &Global,
    capture_point: &str,
    verb: &str,
    body: Option<String>,
    done: &str,
) -> Result<()> {
    let path = format!("/capture-points/{}/{verb}", segment(capture_point));
    client::must_find(global)?.post(&path, body.map(String::into_bytes)).await?;
    if global.json {
        table::json(&json!({ "capture_point": capture_point, "done": done }));
    } else {
        say!("{capture_point}: {done}");
    }
    Ok(())
}
