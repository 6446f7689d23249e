//! `gantry top`: sources, capture points, look-ups and callbacks, and what goes through them a
//! second.

mod figures;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Global;
use crate::client;
use crate::table;
use figures::Figures;

pub(crate) const EXAMPLE: &str = "Example:\n  gantry top\n  gantry top --once --json\n\n\
    Rates are those of the last second. LAG is from when something happened in the source to when \
    it was durable; OLDEST is the age of what the source does not know the fate of.";

/// From one picture to the next.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct Options {
    /// Measure for one second, print, end.
    #[arg(long)]
    once: bool,
}

pub(crate) async fn top(global: &Global, options: Options) -> Result<()> {
    let hub = client::must_find(global)?;
    let (mut before, mut at) = (hub.get("/status").await?, Instant::now());
    loop {
        tokio::time::sleep_until(at + EVERY).await;
        let (now, seen_at) = (hub.get("/status").await?, Instant::now());
        let figures = Figures::between(&before, &now, (seen_at - at).as_secs_f64());
        show(global, &now, &figures, options.once);
        if options.once {
            return Ok(());
        }
        (before, at) = (now, seen_at);
    }
}

fn show(global: &Global, status: &Value, figures: &Figures, once: bool) {
    if global.json {
        return table::json(&json!(figures));
    }
    if !once && std::io::stdout().is_terminal() {
        // Up and left, and away with all that is there.
        say!("\x1b[H\x1b[2J");
    }
    let health = status["health"].as_str().unwrap_or_default();
    let version = status["version"].as_str().unwrap_or_default();
    say!("gantry {version}: {health}\n");
    for line in figures.lines() {
        say!("{line}");
    }
    // Of a pipe, too, each picture comes whole.
    let _ = std::io::stdout().flush();
}
