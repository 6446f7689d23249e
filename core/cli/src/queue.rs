//! `gantry queue`: what waits, queue by queue, item by item, what nobody serves, and the alerts.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::Global;
use crate::client;
use crate::item;
use crate::table::{self, cell};

#[derive(Args)]
#[command(after_help = "Example:\n  gantry queue\n  gantry queue --top 20\n  \
    gantry queue --unserved\n  gantry queue --alerts")]
pub(crate) struct Options {
    /// Show the most urgent items of all queues instead, so many (at most 100).
    #[arg(long, group = "what")]
    top: Option<u32>,
    /// Show what nobody serves at the moment instead, and why.
    #[arg(long, group = "what")]
    unserved: bool,
    /// Show the alerts that are raised instead.
    #[arg(long, group = "what")]
    alerts: bool,
}

pub(crate) async fn queue(global: &Global, options: Options) -> Result<()> {
    let hub = client::must_find(global)?;
    let path = match options {
        Options { unserved: true, .. } => "/queue/unserved".to_owned(),
        Options { alerts: true, .. } => "/alerts".to_owned(),
        Options { top: Some(top), .. } => format!("/queue?limit={top}"),
        Options { .. } => "/queues".to_owned(),
    };
    let answer = hub.get(&path).await?;
    if global.json {
        table::json(&answer);
        return Ok(());
    }
    match options {
        Options { unserved: true, .. } => print_unserved(&answer),
        Options { alerts: true, .. } => print_alerts(&answer),
        Options { top: Some(_), .. } => item::print(&answer),
        Options { .. } => print_queues(&answer),
    }
}

fn print_queues(answer: &Value) -> Result<()> {
    let queues = answer["queues"].as_array().context("the hub sent no queues")?;
    let columns = ["queue", "waiting", "oldest_since", "top", "with_agents", "parked", "overdue"];
    let row = |queue: &Value| columns.iter().map(|column| cell(&queue[*column])).collect();
    let rows: Vec<Vec<String>> = queues.iter().map(row).collect();
    let headings =
        ["QUEUE", "WAITING", "OLDEST SINCE", "TOP PRIORITY", "WITH AGENTS", "PARKED", "OVERDUE"];
    table::print(&headings, &rows);
    Ok(())
}

fn print_alerts(answer: &Value) -> Result<()> {
    let alerts = answer["alerts"].as_array().context("the hub sent no alerts")?;
    if alerts.is_empty() {
        say!("no alert is raised");
        return Ok(());
    }
    let row = |alert: &Value| ["alert", "raised_at", "text"].map(|key| cell(&alert[key])).to_vec();
    let rows: Vec<Vec<String>> = alerts.iter().map(row).collect();
    table::print(&["ALERT", "SINCE", "WHAT"], &rows);
    Ok(())
}

fn print_unserved(answer: &Value) -> Result<()> {
    let unserved = answer["unserved"].as_array().context("the hub sent no list")?;
    if unserved.is_empty() {
        say!("whatever waits has somebody who serves it");
        return Ok(());
    }
    let columns = ["queue", "items", "oldest_since", "top", "service", "requirement", "reason"];
    let row = |group: &Value| columns.iter().map(|column| cell(&group[*column])).collect();
    let rows: Vec<Vec<String>> = unserved.iter().map(row).collect();
    let headings = ["QUEUE", "ITEMS", "OLDEST SINCE", "TOP PRIORITY", "SERVICE", "ASKS FOR", "WHY"];
    table::print(&headings, &rows);
    Ok(())
}
