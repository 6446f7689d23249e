//! `gantry dlq`: records and callbacks that a person has to look at.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use gantry_plugin_host::api::ErrorClass;
use serde_json::{Value, json};

use crate::Global;
use crate::client::{self, Hub, segment};
use crate::table::{self, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List open dead letters.
    #[command(after_help = "Example:\n  gantry dlq list --json\n  \
        gantry dlq list --origin answered --class auth_denied")]
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Try a dead letter again: `all` tries every open one.
    #[command(after_help = "Example:\n  gantry dlq retry all\n  \
        gantry dlq retry all --class auth_denied\n  \
        gantry dlq retry leads-17 --payload mended.json")]
    Retry {
        /// Its id, or `all`.
        id: String,
        #[command(flatten)]
        which: Which,
        /// For a captured record: a file with the mended payload.
        #[arg(long)]
        payload: Option<PathBuf>,
    },
}

/// Which dead letters of all.
#[derive(Args)]
pub(crate) struct Which {
    /// Only those of this capture point or callback.
    #[arg(long)]
    origin: Option<String>,
    /// Only those of this class of errors.
    #[arg(long, value_parser = PossibleValuesParser::new(ErrorClass::ALL.map(ErrorClass::name)))]
    class: Option<String>,
}

impl Which {
    /// The part of a query that says so.
    fn query(&self) -> String {
        let part = |key, value: &Option<String>| {
            value.as_ref().map_or(String::new(), |value| format!("&{key}={}", segment(value)))
        };
        part("origin", &self.origin) + &part("class", &self.class)
    }
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<()> {
    match command {
        Command::List { which, limit } => list(global, &which, limit).await,
        Command::Retry { id, which, payload } => retry(global, &id, &which, payload).await,
    }
}

async fn list(global: &Global, which: &Which, limit: u32) -> Result<()> {
    let hub = client::must_find(global)?;
    let page = hub.get(&format!("/dead-letters?limit={limit}{}", which.query())).await?;
    if global.json {
        table::json(&page);
        return Ok(());
    }
    let columns = ["id", "kind", "origin", "external_id", "code", "class", "reason"];
    let rows: Vec<Vec<String>> = letters(&page)?
        .iter()
        .map(|letter| columns.iter().map(|column| cell(&letter[*column])).collect())
        .collect();
    table::print(&["ID", "KIND", "FROM", "EXTERNAL ID", "CODE", "CLASS", "REASON"], &rows);
    Ok(())
}

async fn retry(global: &Global, id: &str, which: &Which, payload: Option<PathBuf>) -> Result<()> {
    if id != "all" && !which.query().is_empty() {
        bail!("--origin and --class choose among `all`: leave them out for one dead letter");
    }
    let hub = client::must_find(global)?;
    if id == "all" && payload.is_some() {
        bail!("--payload mends one dead letter: name it instead of `all`");
    }
    let payload = payload.map(|path| read_payload(&path)).transpose()?;
    let ids = if id == "all" { all(&hub, which).await? } else { vec![id.to_owned()] };
    let mut results = Vec::new();
    let mut failed = 0;
    for id in ids {
        let path = format!("/dead-letters/{}/retry", segment(&id));
        let tried = hub.post(&path, payload.clone()).await;
        let problem = tried.err().map(|error| format!("{error:#}"));
        failed += usize::from(problem.is_some());
        if !global.json {
            say!("{id}: {}", problem.as_deref().unwrap_or("done"));
        }
        results.push(json!({ "id": id, "problem": problem }));
    }
    if global.json {
        table::json(&json!(results));
    }
    match failed {
        0 => Ok(()),
        1 => bail!("1 dead letter is still open"),
        n => bail!("{n} dead letters are still open"),
    }
}

/// The ids of all that are open, as they are now: what fails again stays, and is not tried twice.
async fn all(hub: &Hub, which: &Which) -> Result<Vec<String>> {
    let first = format!("/dead-letters?limit=500{}", which.query());
    let (mut ids, mut path) = (Vec::new(), first.clone());
    loop {
        let page = hub.get(&path).await?;
        ids.extend(letters(&page)?.iter().map(|letter| cell(&letter["id"])));
        let Some(next) = page["next"].as_str() else { return Ok(ids) };
        path = format!("{first}&after={}", segment(next));
    }
}

/// The bytes of the file as they are: parsed and written again, numbers could lose digits.
fn read_payload(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice::<Value>(&bytes)
        .with_context(|| format!("{} is no JSON", path.display()))?;
    Ok(bytes)
}

fn letters(page: &Value) -> Result<&Vec<Value>> {
    page["dead_letters"].as_array().context("the hub sent no dead letters")
}
