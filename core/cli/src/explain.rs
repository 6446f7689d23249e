//! `gantry explain`: why an item was offered to whom, or why it still waits; now, then, or later.

#[cfg(test)]
mod tests;
mod text;

use anyhow::{Context, Result};
use clap::Args;
use gantry_model::Timestamp;

use crate::client::segment;
use crate::{Global, client, item, table};

#[derive(Args)]
#[command(after_help = "Example:\n  gantry explain W00004T4\n  \
    gantry explain leads/L-0001 --why-not anna\n  \
    gantry explain W00004T4 --at 2027-03-02T09:14:00Z --json\n\n\
    An instant that has passed is explained as things were then, by folding the journal up to it; \
    one that is to come, as things are now. Times are UTC.")]
pub(crate) struct Options {
    /// The hub's id, or CAPTURE_POINT/EXTERNAL_ID.
    item: String,
    /// How it stood, or will stand, at that instant.
    #[arg(long)]
    at: Option<Timestamp>,
    /// Why this agent does not get it.
    #[arg(long)]
    why_not: Option<String>,
}

pub(crate) async fn explain(global: &Global, options: Options) -> Result<()> {
    let hub = client::must_find(global)?;
    let found = hub.get(&item::address(&options.item)).await?;
    let id = found["item"].as_str().context("the hub sent no item")?;
    let asked = [("at", options.at.map(|at| at.to_string())), ("why_not", options.why_not.clone())];
    let asked = asked.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let query: Vec<_> = asked.map(|(name, value)| format!("{name}={}", segment(&value))).collect();
    let explained = hub.get(&format!("/items/{id}/explain?{}", query.join("&"))).await?;
    if global.json {
        table::json(&explained);
        return Ok(());
    }
    for line in text::of(&found, &explained, options.why_not.as_deref()) {
        say!("{line}");
    }
    Ok(())
}
