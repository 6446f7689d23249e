//! `gantry positions`: how far sources have been read, and from where they are read on.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use gantry_model::Timestamp;
use serde_json::{Value, json};

use crate::Global;
use crate::client::{self, segment};
use crate::table::{self, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the stored positions; what is no text stands as base64.
    #[command(after_help = "Example:\n  gantry positions list leads")]
    List {
        /// Only those of this capture point.
        capture_point: Option<String>,
    },
    /// Read a source on from another place; the plug-in's page says what a position looks like.
    #[command(after_help = "Example:\n  gantry positions set leads 2027-03-01T00:00:00Z\n  \
        gantry positions set orders --base64 AAAAKg== --partition 3")]
    Set(Set),
    /// Read a source from its beginning; what is known already is found to be a repeat.
    #[command(after_help = "Example:\n  gantry positions reset leads")]
    Reset {
        /// The capture point.
        capture_point: String,
        /// Only this partition of the source.
        #[arg(long)]
        partition: Option<String>,
    },
    /// Read a source again from where it had been read to at an instant.
    ///
    /// The history keeps one position a minute for 7 days: it is read from up to a minute earlier.
    #[command(after_help = "Example:\n  gantry positions rewind leads --to 2027-03-02T08:00:00Z")]
    Rewind {
        /// The capture point.
        capture_point: String,
        /// The instant, as RFC 3339.
        #[arg(long)]
        to: Timestamp,
        /// Only this partition of the source.
        #[arg(long)]
        partition: Option<String>,
    },
}

#[derive(Args)]
pub(crate) struct Set {
    /// The capture point.
    capture_point: String,
    /// The position as text.
    #[arg(required_unless_present = "base64")]
    position: Option<String>,
    /// The position as base64, where it is no text.
    #[arg(long, conflicts_with = "position")]
    base64: Option<String>,
    /// The partition of the source, if it has any.
    #[arg(long, default_value = "")]
    partition: String,
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<()> {
    let (capture_point, verb, body) = match command {
        Command::List { capture_point } => {
            let query = capture_point.map(|point| format!("?capture_point={}", segment(&point)));
            let path = format!("/positions{}", query.unwrap_or_default());
            let answer = client::must_find(global)?.get(&path).await?;
            return show(global, &answer);
        }
        Command::Set(Set { capture_point, position, base64, partition }) => {
            let body = match base64 {
                Some(base64) => json!({ "position_base64": base64, "partition": partition }),
                None => json!({ "position": position, "partition": partition }),
            };
            (capture_point, "set", body)
        }
        Command::Reset { capture_point, partition } => {
            (capture_point, "reset", json!({ "partition": partition }))
        }
        Command::Rewind { capture_point, to, partition } => {
            (capture_point, "rewind", json!({ "to": to, "partition": partition }))
        }
    };
    let path = format!("/positions/{}/{verb}", segment(&capture_point));
    let body = body.to_string().into_bytes();
    let answer = client::must_find(global)?.post(&path, Some(body)).await?;
    show(global, &answer)
}

fn show(global: &Global, answer: &Value) -> Result<()> {
    if global.json {
        table::json(answer);
        return Ok(());
    }
    let positions = answer["positions"].as_array().context("the hub sent no positions")?;
    let rows: Vec<_> = positions.iter().map(row).collect();
    table::print(&["CAPTURE POINT", "PARTITION", "POSITION", "SINCE"], &rows);
    Ok(())
}

fn row(position: &Value) -> Vec<String> {
    let place = match (position["position"].as_str(), position["position_base64"].as_str()) {
        (Some(""), _) => "from the beginning".to_owned(),
        (Some(text), _) => text.to_owned(),
        (None, base64) => format!("base64:{}", base64.unwrap_or_default()),
    };
    let [capture_point, partition, at] =
        ["capture_point", "partition", "at"].map(|column| cell(&position[column]));
    vec![capture_point, partition, place, at]
}
