//! `gantry plugin reload`: the sources of a running hub go on with a plug-in's new file.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::Global;
use crate::client::{self, segment};
use crate::table::{self, cell};

pub(super) async fn run(global: &Global, plugin: &str) -> Result<()> {
    let path = format!("/plugins/{}/reload", segment(plugin));
    let answer = client::must_find(global)?.post(&path, None).await?;
    let sources = answer.as_array().context("the hub sent no sources")?;
    if global.json {
        table::json(&answer);
    } else {
        sources.iter().for_each(say_source);
    }
    let n_left = sources.iter().filter(|source| source["reloaded"] != true).count();
    if n_left > 0 {
        bail!("{n_left} of {} sources run as before", sources.len());
    }
    Ok(())
}

fn say_source(source: &Value) {
    let name = cell(&source["source"]);
    if source["reloaded"] == true {
        let sha256 = cell(&source["sha256"]);
        let short = sha256.get(..12).unwrap_or(&sha256);
        say!("{name}: runs with version {} ({short})", cell(&source["version"]));
    } else {
        say!("{name}: runs as before: {}", cell(&source["reason"]));
    }
    for trouble in source["troubles"].as_array().into_iter().flatten() {
        say!("  at the moment, {}", cell(trouble));
    }
}
