//! `gantry doctor`: looks the installation over, from the config to the hub that runs on it, and
//! says of each thing whether it is well and what to do if not.
//!
//! It changes nothing, and asks no source system: `gantry check --connect` does.

mod machine;
mod running;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use gantry_config::Severity;
use gantry_server::place::Place;
use gantry_server::plugins::{self, Folders};
use serde::Serialize;
use serde_json::json;

use crate::{Global, table};

pub(crate) const EXAMPLE: &str = "Example:\n  gantry doctor\n  gantry doctor --json\n\n\
    It ends with 0 if nothing is wrong, 1 if something is. What is worth a look only (WARN) does \
    not count. The whole store is read: leave that out on a large one with --quick.";

#[derive(Args)]
pub(crate) struct Options {
    /// A folder with plug-ins, instead of the config's; may be given several times.
    #[arg(long)]
    plugins: Vec<PathBuf>,
    /// Do not read through the store.
    #[arg(long)]
    quick: bool,
}

/// What was looked at, and how it is.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    what: String,
    verdict: Verdict,
    /// How it is.
    text: String,
    /// What to do; nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warn,
    Wrong,
}

impl Finding {
    fn ok(what: impl Into<String>, text: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Ok, text: text.into(), remedy: None }
    }

    fn warn(what: impl Into<String>, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { what: what.into(), verdict: Verdict::Warn, text: text.into(), remedy }
    }

    fn wrong(what: impl Into<String>, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, ..Self::warn(what, text, remedy) }
    }
}

/// Prints the findings; `false` if something is wrong.
pub(crate) async fn doctor(global: &Global, options: Options) -> Result<bool> {
    let place = Place::of(&global.config)?;
    let mut findings = Vec::new();
    config(global, options.plugins, &mut findings)?;
    machine::folders(&place, &mut findings);
    machine::limits(&place, &mut findings);
    if !options.quick {
        findings.push(store(&place).await);
    }
    running::hub(global, &place, &mut findings).await;
    let well = findings.iter().all(|finding| finding.verdict != Verdict::Wrong);
    if global.json {
        table::json(&json!({ "ok": well, "findings": findings }));
        return Ok(well);
    }
    for finding in &findings {
        show(finding);
    }
    Ok(well)
}

fn show(finding: &Finding) {
    let Finding { what, verdict, text, remedy } = finding;
    let verdict = match verdict {
        Verdict::Ok => "ok   ",
        Verdict::Warn => "WARN ",
        Verdict::Wrong => "WRONG",
    };
    say!("{verdict}  {what}: {text}");
    if let Some(remedy) = remedy {
        say!("       → {remedy}");
    }
}

/// The config, and the plug-ins in the folders.
fn config(global: &Global, plugins: Vec<PathBuf>, findings: &mut Vec<Finding>) -> Result<()> {
    let folders = Folders::of(&global.config, plugins)?;
    let (checked, scan) = plugins::check(&global.config, folders)?;
    let count = |severity| checked.findings.iter().filter(|it| it.severity == severity).count();
    let path = global.config.display();
    let remedy = format!("gantry check --config {path}");
    findings.push(match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => Finding::ok("config", format!("{path} has no mistakes")),
        (0, n) => Finding::warn("config", table::counted(n, "warning"), remedy),
        (n, _) => Finding::wrong("config", table::counted(n, "mistake"), remedy),
    });
    let found = scan.found.iter().map(|found| found.inspected.manifest.name.as_str());
    let found: Vec<_> = found.collect();
    if scan.refused.is_empty() {
        let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
        findings.push(Finding::ok("plug-ins", found));
    }
    for refused in &scan.refused {
        let text = format!("{} ({})", refused.refusal, refused.refusal.code());
        findings.push(Finding::wrong("plug-ins", text, refused.refusal.remedy()));
    }
    Ok(())
}

/// Whether the database is sound, as far as it can tell itself.
async fn store(place: &Place) -> Finding {
    let what = "store";
    if !place.store_file().is_some_and(|file| file.exists()) {
        return Finding::ok(what, "not there yet: the first start of the hub makes it");
    }
    match gantry_store::damage(&place.store).await {
        Ok(damage) if damage.is_empty() => {
            Finding::ok(what, "sound; `gantry verify` compares it with the journal")
        }
        Ok(damage) => Finding::wrong(what, damage.join("; "), "restore a backup"),
        Err(error) => {
            let remedy = "see the page of the error in docs/errors.md, or restore a backup";
            Finding::wrong(what, format!("{:#}", anyhow::Error::new(error)), remedy)
        }
    }
}
