//! `gantry schema`: what may stand in a config, for editors and other tools.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use gantry_config::Draft;
use gantry_server::plugins::{self, Folders};

use crate::Global;

pub(crate) const EXAMPLE: &str = "Example:\n  \
    gantry schema --draft 4 --output gantry.schema.json\n  \
    gantry schema --plugins ./plugins\n\n\
    Editors that know Even Better TOML or taplo check, complete and explain a config whose first \
    line is\n  #:schema ./gantry.schema.json\n\n\
    Sources that the config has are matched with their plug-ins. The config need not be there.";

#[derive(Args)]
pub(crate) struct Options {
    /// The version of JSON Schema; editors of TOML know draft 4.
    #[arg(long, value_enum, default_value = "2020-12")]
    draft: Version,
    /// A folder with plug-ins, instead of the config's; may be given several times.
    #[arg(long)]
    plugins: Vec<PathBuf>,
    /// Write it to this file instead of printing it.
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Version {
    #[value(name = "4")]
    Draft4,
    #[value(name = "2020-12")]
    Draft202012,
}

pub(crate) fn schema(global: &Global, options: &Options) -> Result<()> {
    let draft = match options.draft {
        Version::Draft4 => Draft::Draft4,
        Version::Draft202012 => Draft::Draft202012,
    };
    let folders = Folders::planned(&global.config, options.plugins.clone())?;
    let (schema, scan) = plugins::json_schema(&global.config, folders, draft)?;
    for refused in &scan.refused {
        let (refusal, remedy) = (&refused.refusal, refused.refusal.remedy());
        eprintln!("not in the schema: {refusal} ({}): {remedy}", refusal.code());
    }
    let text = serde_json::to_string_pretty(&schema)?;
    match &options.output {
        None => say!("{text}"),
        Some(path) => std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write the schema to {}", path.display()))?,
    }
    Ok(())
}
