//! `gantry item`: work items of the running hub.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::Global;
use crate::client::{self, segment};
use crate::moves::{self, Move};
use crate::table::{self, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List items, the latest first.
    #[command(after_help = "Example:\n  gantry item list --status waiting --process sales/leads")]
    List(Filter),
    /// Show one item: state, attributes, history.
    #[command(
        after_help = "Example:\n  gantry item show W00004T4\n  gantry item show leads/L-0001"
    )]
    Show {
        /// The hub's id, or CAPTURE_POINT/EXTERNAL_ID.
        item: String,
    },
    #[command(flatten)]
    Move(Move),
}

#[derive(Args)]
pub(crate) struct Filter {
    /// Only items in this status; `open` = all that have not ended.
    #[arg(long)]
    status: Option<String>,
    /// Only items of this process, as `department/process`.
    #[arg(long)]
    process: Option<String>,
    /// Only items of this capture point.
    #[arg(long)]
    capture_point: Option<String>,
    /// Only items with this agent.
    #[arg(long)]
    agent: Option<String>,
    /// Only items whose name or external id has this in it.
    #[arg(long)]
    text: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<()> {
    match command {
        Command::List(filter) => list(global, &filter).await,
        Command::Show { item } => show(global, &item).await,
        Command::Move(asked) => moves::run(global, asked).await,
    }
}

async fn list(global: &Global, filter: &Filter) -> Result<()> {
    let hub = client::must_find(global)?;
    let mut path = format!("/items?limit={}", filter.limit);
    let filters = [
        ("status", &filter.status),
        ("process", &filter.process),
        ("capture_point", &filter.capture_point),
        ("agent", &filter.agent),
        ("text", &filter.text),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", segment(value));
        }
    }
    let page = hub.get(&path).await?;
    if global.json {
        table::json(&page);
        return Ok(());
    }
    print(&page)?;
    if !page["next"].is_null() {
        say!("… and more: raise --limit, or filter");
    }
    Ok(())
}

/// Prints items as a table.
pub(crate) fn print(page: &Value) -> Result<()> {
    let columns =
        ["item", "priority", "due_at", "status", "process", "agent", "external_id", "name"];
    let rows: Vec<Vec<String>> = page["items"]
        .as_array()
        .context("the hub sent no items")?
        .iter()
        .map(|item| columns.iter().map(|column| cell(&item[*column])).collect())
        .collect();
    let headings = ["ITEM", "PRIORITY", "DUE", "STATUS", "PROCESS", "AGENT", "EXTERNAL ID", "NAME"];
    table::print(&headings, &rows);
    Ok(())
}

async fn show(global: &Global, item: &str) -> Result<()> {
    let hub = client::must_find(global)?;
    let found = hub.get(&address(item)).await?;
    let id = found["item"].as_str().context("the hub sent no item")?;
    let history = hub.get(&format!("/items/{id}/history")).await?;
    if global.json {
        let mut whole = found.clone();
        whole["history"] = history;
        table::json(&whole);
        return Ok(());
    }
    for key in ["item", "external_id", "name", "capture_point", "status", "process", "priority"] {
        say!("{key:<14} {}", cell(&found[key]));
    }
    for key in ["due_at", "agent", "source_url"] {
        say!("{key:<14} {}", cell(&found[key]));
    }
    say!("\nattributes");
    for (name, value) in found["attributes"].as_object().into_iter().flatten() {
        say!("  {name:<24} {}", cell(value));
    }
    say!("\nhistory");
    for entry in history["entries"].as_array().into_iter().flatten() {
        say!("  {}", line(entry));
    }
    Ok(())
}

/// The API's address of an item, by either id.
pub(crate) fn address(item: &str) -> String {
    match item.split_once('/') {
        Some((point, external_id)) => {
            format!("/capture/{}/{}", segment(point), segment(external_id))
        }
        None => format!("/items/{}", segment(item)),
    }
}

/// One event as a line of text: when, what, with what, by whom.
fn line(entry: &Value) -> String {
    let details = &entry["data"];
    let mut line = format!("{}  {}", cell(&entry["at"]), cell(&entry["event"]));
    for key in ["agent", "disposition", "reason"] {
        if !details[key].is_null() {
            let _ = write!(line, "  {key}={}", cell(&details[key]));
        }
    }
    let actor = &entry["actor"];
    let _ = write!(line, "  by {}", cell(&actor["kind"]));
    if !actor["id"].is_null() {
        let _ = write!(line, " {}", cell(&actor["id"]));
    }
    line
}
