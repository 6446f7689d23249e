//! `gantry check`: everything that is wrong with a config, at once. Nothing is connected to, unless
//! asked for.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use gantry_config::{Severity, render_human};
use gantry_model::spec::Spec;
use gantry_server::plugins::{self, Connection, Folders};
use serde_json::json;

use crate::{Global, plugin, table};

pub(crate) const EXAMPLE: &str = "Example:\n  gantry check --config gantry.toml\n  \
    gantry check --connect --json\n\n\
    It ends with 0 if the hub would start on it (with --connect: and every system answers), 1 if \
    there are errors.";

#[derive(Args)]
pub(crate) struct Options {
    /// A folder with plug-ins, instead of the config's; may be given several times.
    #[arg(long)]
    plugins: Vec<PathBuf>,
    /// If the config is fine, also let every plug-in connect to its system and try, changing
    /// nothing.
    #[arg(long)]
    connect: bool,
}

/// Prints the findings; `false` if one of them is an error.
pub(crate) fn check(global: &Global, options: &Options) -> Result<bool> {
    let folders = Folders::of(&global.config, options.plugins.clone())
        .with_context(|| format!("checking {}", global.config.display()))?;
    let (checked, scan) = plugins::check(&global.config, folders)?;
    let errors = checked.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let n_errors = errors.count();
    let connections =
        if options.connect && n_errors == 0 { connect(global, options)? } else { Vec::new() };
    let ok = n_errors == 0 && connections.iter().all(|connection| connection.problem.is_none());
    if global.json {
        let refused = scan.refused.iter().map(plugin::refused_view);
        table::json(&json!({
            "ok": ok,
            "findings": checked.findings,
            "refused_plugins": refused.collect::<Vec<_>>(),
            "connections": connections.iter().map(view).collect::<Vec<_>>(),
        }));
        return Ok(ok);
    }
    for line in render_human(&checked.findings, &checked.sources).lines() {
        say!("{line}");
    }
    plugin::say_refused(&scan.refused);
    for connection in &connections {
        let result = connection.problem.as_deref().unwrap_or("works");
        say!("{}: {result}", connection.part);
    }
    match n_errors {
        0 => {
            let parts = checked.spec.as_ref().map(summary).unwrap_or_default();
            say!("{} is fine: {parts}", global.config.display());
        }
        1 => say!("1 error"),
        n => say!("{n} errors"),
    }
    Ok(ok)
}

/// How much of what there is, in the order in which an item meets it.
fn summary(spec: &Spec) -> String {
    let routing = &spec.routing;
    let n_rows: usize = spec.decision_tables.iter().map(|table| table.rows.len()).sum();
    let parts = [
        (spec.captures.len(), "capture point"),
        (spec.lookups.len(), "look-up"),
        (spec.segmentation.len() + n_rows, "rule"),
        (routing.processes.len(), "process"),
        (routing.priorities.len(), "priority schema"),
        (routing.calendars.len(), "calendar"),
        (routing.capacity_rules.len(), "capacity rule"),
        (spec.callbacks.len(), "callback"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, name)| table::counted(count, name)).collect();
    parts.join(", ")
}

/// Lets every plug-in try.
fn connect(global: &Global, options: &Options) -> Result<Vec<Connection>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let given = options.plugins.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
    let folders = Folders::of(&global.config, given)?;
    let config = std::path::absolute(&global.config)?;
    Ok(runtime.block_on(plugins::connect(&config, folders))?)
}

fn view(connection: &Connection) -> serde_json::Value {
    json!({ "part": connection.part, "problem": connection.problem })
}
