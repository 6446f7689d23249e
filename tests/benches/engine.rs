//! Measures `engine.*`: the queue on one core, through the same calls that the hub makes.
//!
//! Each world is measured in a process of its own. Decisions and lists are compared with a
//! brute-force scan in the same run, and staying exact with what it costs PostgreSQL to write a
//! priority column anew. Not measured: the store, the hub's loop, look-ups.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "engine/brute.rs"]
mod brute;
#[path = "engine/figures.rs"]
mod figures;
#[path = "engine/measure.rs"]
mod measure;
#[path = "engine/postgres.rs"]
mod postgres;
#[path = "engine/world.rs"]
mod world;

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::figures::Measured;
use crate::measure::{Report, measure, measure_idle};
use crate::world::Dates;

/// Sizes that are measured beside the world's own, to show what grows with the backlog.
const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];
const TEN_MILLION: u64 = 10_000_000;
/// Arrivals in the world of idle agents.
const IDLE_ARRIVALS: u64 = 20_000;

/// Measures how the engine keeps its queue.
#[derive(Parser)]
struct Args {
    /// Items that wait.
    #[arg(long, default_value_t = 1_000_000)]
    items: u64,
    /// Decisions in each world.
    #[arg(long, default_value_t = 100_000)]
    decisions: u64,
    /// Also with ten million items.
    #[arg(long)]
    ten_million: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Only the figures whose name ends with this.
    #[arg(long)]
    only: Option<String>,
    /// Measures one world and prints its report: what the program starts itself for.
    #[arg(long, hide = true)]
    world: Option<Dates>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(dates) = args.world {
        let report = measure(dates, args.items, args.decisions)?;
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    let mut worlds: Vec<(Dates, u64)> = SIZES
        .into_iter()
        .filter(|size| *size < args.items)
        .map(|size| (Dates::Rules, size))
        .collect();
    worlds.extend([(Dates::Rules, args.items), (Dates::Due, args.items)]);
    if args.ten_million {
        worlds.push((Dates::Due, TEN_MILLION));
    }
    let reports: Result<Vec<Report>> =
        worlds.into_iter().map(|(dates, items)| in_own_process(&args, dates, items)).collect();
    let idle = measure_idle(Dates::Rules, IDLE_ARRIVALS)?;
    let job = postgres::measure(args.items).await?;
    let measured = Measured { reports: reports?, idle, job, items: args.items };
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.ends_with(only));
    if args.json {
        measured.lines(wanted).iter().for_each(|line| println!("{line}"));
    } else {
        print!("{}", measured.table(wanted));
    }
    Ok(())
}

fn in_own_process(args: &Args, dates: Dates, items: u64) -> Result<Report> {
    let world = dates.to_possible_value().context("invariant: every value has a name")?;
    let output = Command::new(std::env::current_exe()?)
        .args(["--world", world.get_name(), "--items", &items.to_string()])
        .args(["--decisions", &args.decisions.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "measuring {items} items ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
