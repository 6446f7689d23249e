//! `gantry workbin`: what lies parked, and where.

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;

use crate::Global;
use crate::client::{self, segment};
use crate::item;
use crate::moves::bin;
use crate::table::{self, cell, counted};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the workbins in which anything lies.
    #[command(after_help = "Example:\n  gantry workbin list")]
    List,
    /// Show what lies in a workbin, the most urgent first.
    #[command(after_help = "Example:\n  gantry workbin show agent/anna")]
    Show {
        /// The workbin, as agent/NAME, group/NAME or supervisor/GROUP.
        workbin: String,
    },
    /// Give everything in a workbin back into distribution.
    #[command(after_help = "Example:\n  gantry workbin empty group/berlin")]
    Empty {
        /// The workbin, as agent/NAME, group/NAME or supervisor/GROUP.
        workbin: String,
    },
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<()> {
    match command {
        Command::List => list(global).await,
        Command::Show { workbin } => show(global, &workbin).await,
        Command::Empty { workbin } => empty(global, &workbin).await,
    }
}

async fn list(global: &Global) -> Result<()> {
    let answer = client::must_find(global)?.get("/workbins").await?;
    if global.json {
        table::json(&answer);
        return Ok(());
    }
    let bins = answer["workbins"].as_array().context("the hub sent no workbins")?;
    let rows: Vec<_> =
        bins.iter().map(|bin| vec![name(&bin["workbin"]), cell(&bin["items"])]).collect();
    table::print(&["WORKBIN", "ITEMS"], &rows);
    Ok(())
}

async fn show(global: &Global, workbin: &str) -> Result<()> {
    let answer = client::must_find(global)?.get(&address(workbin)?).await?;
    if global.json {
        table::json(&answer);
        return Ok(());
    }
    item::print(&answer)
}

async fn empty(global: &Global, workbin: &str) -> Result<()> {
    let path = format!("{}/empty", address(workbin)?);
    let reply = client::must_find(global)?.post(&path, None).await?;
    if global.json {
        table::json(&reply);
        return Ok(());
    }
    let items = reply["items"].as_u64().context("the hub sent no count")?;
    say!("{} back in distribution", counted(items as usize, "item"));
    Ok(())
}

/// The API's address of a workbin.
fn address(workbin: &str) -> Result<String> {
    bin(workbin)?;
    let (kind, name) = workbin.split_once('/').context("a workbin has a kind and a name")?;
    Ok(format!("/workbins/{kind}/{}", segment(name)))
}

/// The API's form of a workbin, as it is typed here.
fn name(workbin: &Value) -> String {
    let parts = workbin.as_object().and_then(|object| object.iter().next());
    parts.map_or_else(|| cell(workbin), |(kind, name)| format!("{kind}/{}", cell(name)))
}
