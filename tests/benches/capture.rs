//! Measures `capture.sqlite.*`: items through the plain API, durable before the answer.
//!
//! The hub is the real binary in a process of its own; this process is the load generator, on the
//! same machine. Beside each figure stand, from the same run, the machine's own fsync rate and what
//! SQLite alone takes of the same rows. Not measured: a network, TLS, look-ups.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "capture/baseline.rs"]
mod baseline;
#[path = "capture/load.rs"]
mod load;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use gantry_demo::hub::{Hub, Options};
use gantry_store::baseline::KeyOrder;
use serde_json::{Value, json};

use crate::baseline::Baseline;
use crate::load::{Load, Measured};

/// Measures how fast the hub takes work items.
#[derive(Parser)]
struct Args {
    /// The `gantry` binary, built in release.
    #[arg(long)]
    gantry: PathBuf,
    /// Seconds for each figure.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Only the figures whose name ends with this.
    #[arg(long)]
    only: Option<String>,
}

/// A figure, how it is loaded, and its floor (`design`: targets).
struct Figure {
    name: &'static str,
    connections: usize,
    items_a_request: usize,
    ids: KeyOrder,
    floor: Option<f64>,
}

const FIGURES: [Figure; 6] = [
    figure("capture.sqlite.sync", 1, 1, KeyOrder::Ordered, None),
    figure("capture.sqlite.single", 256, 1, KeyOrder::Ordered, Some(20_000.0)),
    figure("capture.sqlite.single.random", 256, 1, KeyOrder::Random, None),
    figure("capture.sqlite.batch", 16, 100, KeyOrder::Ordered, Some(85_000.0)),
    figure("capture.sqlite.batch.random", 16, 100, KeyOrder::Random, None),
    figure("capture.sqlite.batch.again", 16, 100, KeyOrder::Ordered, Some(85_000.0)),
];

const fn figure(
    name: &'static str,
    connections: usize,
    items_a_request: usize,
    ids: KeyOrder,
    floor: Option<f64>,
) -> Figure {
    Figure { name, connections, items_a_request, ids, floor }
}

/// A capture point with 8 mapped fields and 10 rules, no look-up.
const CONFIG: &str = include_str!("capture/gantry.toml");

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let folder = tempfile::Builder::new().prefix("gantry-bench-").tempdir()?;
    let config = folder.path().join("gantry.toml");
    std::fs::write(&config, CONFIG)?;
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins)?;
    let span = Duration::from_secs(u64::from(args.seconds));
    eprintln!("Measuring the disk and SQLite alone …");
    let baseline = baseline::measure(folder.path(), span.min(Duration::from_secs(5))).await?;
    for (round, figure) in FIGURES.iter().enumerate() {
        if args.only.as_ref().is_some_and(|only| !figure.name.ends_with(only)) {
            continue;
        }
        eprintln!("Measuring {} for {} s …", figure.name, args.seconds);
        let hub = Hub::start(Options {
            gantry: args.gantry.clone(),
            plugins: plugins.clone(),
            config: config.clone(),
            listen: "127.0.0.1:0".into(),
            env: Vec::new(),
        })
        .await?;
        let address = hub.admin.base.strip_prefix("http://").context("no address")?.to_owned();
        let load = Load {
            address,
            token: hub.admin.token.clone(),
            connections: figure.connections,
            items_a_request: figure.items_a_request,
            ids: figure.ids,
            round: round as u64,
        };
        let measured = load.run(span).await?;
        let status = hub.admin.get("/status").await?;
        hub.stop().await?;
        report(&args, figure, &measured, &baseline, &status);
    }
    Ok(())
}

fn report(args: &Args, figure: &Figure, measured: &Measured, beside: &Baseline, status: &Value) {
    let rate = measured.items_a_second();
    if args.json {
        let line = json!({
            "figure": figure.name,
            "value": rate.round(),
            "unit": "items/s",
            "p50": measured.percentile_ms(50.0),
            "p99": measured.percentile_ms(99.0),
            "max": measured.percentile_ms(100.0),
            "worst_stall_ms": measured.worst_stall.as_secs_f64() * 1e3,
            "failed": measured.failed,
            "floor": figure.floor,
            "beside": beside,
            "store": status["store"],
        });
        println!("{line}");
        return;
    }
    println!(
        "{:<30} {:>9.0} items/s   p50 {:>7.2} ms  p99 {:>7.2} ms  max {:>7.1} ms  stall {:>6.1} ms{}",
        figure.name,
        rate,
        measured.percentile_ms(50.0),
        measured.percentile_ms(99.0),
        measured.percentile_ms(100.0),
        measured.worst_stall.as_secs_f64() * 1e3,
        figure.floor.map_or(String::new(), |floor| format!("  floor {floor:.0}")),
    );
    if measured.failed > 0 {
        println!("{:<30} {} requests failed", "", measured.failed);
    }
    println!(
        "{:<30} beside: fsync {:.0}/s, SQLite alone {:.0} items/s ordered, {:.0} random",
        "", beside.fsync, beside.bare_insert, beside.bare_insert_random
    );
}
