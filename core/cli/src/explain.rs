//! `gantry explain`: why an item was offered to whom, or why it still waits.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::table::{self, cell};
use crate::{Global, client, item};

#[derive(Args)]
#[command(after_help = "Example:\n  gantry explain W00004T4\n  gantry explain leads/L-0001 --json")]
pub(crate) struct Options {
    /// The hub's id, or CAPTURE_POINT/EXTERNAL_ID.
    item: String,
}

pub(crate) async fn explain(global: &Global, options: Options) -> Result<()> {
    let hub = client::must_find(global)?;
    let found = hub.get(&item::address(&options.item)).await?;
    let id = found["item"].as_str().context("the hub sent no item")?;
    let explained = hub.get(&format!("/items/{id}/explain")).await?;
    if global.json {
        table::json(&explained);
        return Ok(());
    }
    say!("{id}  {}  {}", cell(&found["status"]), cell(&found["name"]));
    for decision in explained["decisions"].as_array().into_iter().flatten() {
        print_decision(decision);
    }
    if !explained["now"].is_null() {
        say!("\nnow");
        print_fields(&explained["now"], 2);
    }
    Ok(())
}

fn print_decision(decision: &Value) {
    let why = &decision["explanation"];
    let (at, agent) = (cell(&decision["at"]), cell(&decision["agent"]));
    say!("\n{at}  offered to {agent}");
    say!(
        "  priority {} · stage {} · trigger {} · tie-break {} · config {}",
        cell(&why["priority"]),
        cell(&why["stage"]),
        cell(&why["trigger"]),
        cell(&why["tie_break"]),
        cell(&why["version"])
    );
    for near in why["nearest"].as_array().into_iter().flatten() {
        say!("  not {}: {}", cell(&near["agent"]), cell(&near["failed"]));
    }
    for count in why["counts"].as_array().into_iter().flatten() {
        say!("  {} agents: {}", cell(&count["count"]), cell(&count["reason"]));
    }
}

/// Prints a JSON object as indented lines.
fn print_fields(value: &Value, indent: usize) {
    for (key, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) => {
                say!("{:indent$}{key}", "");
                print_fields(value, indent + 2);
            }
            Value::Array(list) => {
                say!("{:indent$}{key}", "");
                for entry in list {
                    say!("{:indent$}  {}", "", cell(entry));
                }
            }
            _ => say!("{:indent$}{key}: {}", "", cell(value)),
        }
    }
}
