//! `gantry check`: everything that is wrong with a config, at once. Nothing is connected to, unless
//! asked for.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use gantry_config::{Finding, Severity, render_human};
use gantry_model::spec::Spec;
use gantry_server::Error;
use gantry_server::connect::{self, Connection};
use gantry_server::plugins::{self, Folders};
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
    let mut findings = checked.findings;
    let connections = if options.connect && n_errors(&findings) == 0 {
        connect(global, options, &mut findings)?
    } else {
        Vec::new()
    };
    let n_errors = n_errors(&findings);
    let ok = n_errors == 0;
    if global.json {
        let refused = scan.refused.iter().map(plugin::refused_view);
        table::json(&json!({
            "ok": ok,
            "findings": findings,
            "refused_plugins": refused.collect::<Vec<_>>(),
            "connections": connections.iter().map(view).collect::<Vec<_>>(),
        }));
        return Ok(ok);
    }
    for line in render_human(&findings, &checked.sources).lines() {
        say!("{line}");
    }
    plugin::say_refused(&scan.refused);
    for connection in &connections {
        let works = connection.problem.is_none();
        say!("{}: {}", connection.part, if works { "works" } else { "does not work" });
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

fn n_errors(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.severity == Severity::Error).count()
}

/// Lets every plug-in look at its config and try; what is wrong becomes a finding.
fn connect(
    global: &Global,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Connection>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let given = options.plugins.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
    let folders = Folders::of(&global.config, given)?;
    let config = std::path::absolute(&global.config)?;
    let connections = match runtime.block_on(connect::connect(&config, folders)) {
        Ok(connections) => connections,
        Err(Error::PluginConfig { findings: found, .. }) => {
            findings.extend(found);
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let problems = connections.iter().filter_map(|connection| connection.problem.as_ref());
    findings.extend(problems.map(|problem| problem.finding.clone()));
    Ok(connections)
}

fn view(connection: &Connection) -> serde_json::Value {
    let problem = connection.problem.as_ref();
    json!({
        "part": connection.part,
        "problem": problem.map(|problem| &problem.text),
        "class": problem.and_then(|problem| problem.class),
        "field": problem.and_then(|problem| problem.field.as_ref()),
    })
}
