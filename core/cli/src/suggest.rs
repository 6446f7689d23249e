//! `gantry suggest`: what could stand at a key of the config, asked of the system behind it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use gantry_plugin_host::api::Suggestion;
use gantry_server::plugins::Folders;
use serde_json::{Value, json};

use crate::{Global, table};

pub(crate) const EXAMPLE: &str = "Example:\n  gantry suggest capture.leads.table\n  \
    gantry suggest capture.leads.watermark --json\n\n\
    The plug-in connects to its system, and changes nothing. What else stands there may still be\n\
    wrong. `gantry schema` says which keys there are.";

#[derive(Args)]
pub(crate) struct Options {
    /// The key: `source.NAME.KEY`, `capture.NAME.KEY`, `lookup.NAME.KEY` or `callback.NAME.KEY`.
    key: String,
    /// A folder with plug-ins, instead of the config's; may be given several times.
    #[arg(long)]
    plugins: Vec<PathBuf>,
}

/// Prints the values; `false` if there are none.
pub(crate) fn suggest(global: &Global, options: &Options) -> Result<bool> {
    let config = std::path::absolute(&global.config)?;
    let given = options.plugins.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
    let folders = Folders::of(&config, given)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = gantry_server::suggest::suggest(&config, folders, &options.key);
    let suggestions = runtime.block_on(asked)?;
    if global.json {
        let all = suggestions.iter().map(view).collect::<Result<Vec<_>>>()?;
        table::json(&json!({ "key": options.key, "suggestions": all }));
        return Ok(!suggestions.is_empty());
    }
    if suggestions.is_empty() {
        say!("nothing to recommend for {}", options.key);
        return Ok(false);
    }
    for suggestion in &suggestions {
        // As it is written in TOML, which of these values is the same as JSON.
        let value: Value = suggestion.value.parse()?;
        match &suggestion.note {
            Some(note) => say!("{value}  # {note}"),
            None => say!("{value}"),
        }
    }
    Ok(true)
}

fn view(suggestion: &Suggestion) -> Result<Value> {
    let value: Value = suggestion.value.parse()?;
    Ok(json!({ "value": value, "note": suggestion.note }))
}
