//! `gantry verify`: the fold of the journal against the stored state.

use anyhow::{Result, bail};
use gantry_server::place::Place;
use serde_json::json;

use crate::{Global, table};

pub(crate) const EXAMPLE: &str = "Example:\n  gantry verify --config gantry.toml\n\n\
    It reads the store beside a running hub too, and again if the hub commits meanwhile; a busy \
    hub has to be stopped first.";

pub(crate) async fn verify(global: &Global) -> Result<()> {
    let place = Place::of(&global.config)?;
    let report = gantry_server::verify(&place).await?;
    if global.json {
        table::json(&json!(report));
    } else {
        say!(
            "{} events in {} commits give {} work items and {} agents; {} differ from the store",
            report.events,
            report.commits,
            report.items,
            report.agents,
            report.differences.len()
        );
        for difference in &report.differences {
            say!("  {difference}");
        }
    }
    if !report.differences.is_empty() {
        bail!("the stored state is not the fold of the journal: restore a backup");
    }
    Ok(())
}
