//! `gantry check`: everything that is wrong with a config, at once. Nothing is connected to.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use gantry_config::{Severity, render_human};
use gantry_server::plugins::{self, Folders};
use serde_json::json;

use crate::{Global, plugin, table};

pub(crate) const EXAMPLE: &str = "Example:\n  gantry check --config gantry.toml\n\n\
    It ends with 0 if the hub would start on it, 1 if there are errors.";

#[derive(Args)]
pub(crate) struct Options {
    /// A folder with plug-ins, instead of the config's; may be given several times.
    #[arg(long)]
    plugins: Vec<PathBuf>,
}

/// Prints the findings; `false` if one of them is an error.
pub(crate) fn check(global: &Global, options: &Options) -> Result<bool> {
    let folders = Folders::of(&global.config, options.plugins.clone())
        .with_context(|| format!("checking {}", global.config.display()))?;
    let (checked, scan) = plugins::check(&global.config, folders)?;
    let errors = checked.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let n_errors = errors.count();
    if global.json {
        let refused = scan.refused.iter().map(plugin::refused_view);
        table::json(&json!({
            "ok": n_errors == 0,
            "findings": checked.findings,
            "refused_plugins": refused.collect::<Vec<_>>(),
        }));
        return Ok(n_errors == 0);
    }
    for line in render_human(&checked.findings, &checked.sources).lines() {
        say!("{line}");
    }
    plugin::say_refused(&scan.refused);
    match n_errors {
        0 => say!("{} is fine", global.config.display()),
        1 => say!("1 error"),
        n => say!("{n} errors"),
    }
    Ok(n_errors == 0)
}
