//! `cargo xtask soak WHAT`: plays random worlds through the engine for as long as one likes, as
//! a nightly run does.
//!
//! The worlds are a test of the engine's own, so that what they look at stays private to it;
//! here it is built in release, started, and its report is put into words.

use std::{fs, process};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::build::{cargo, target_folder};

#[derive(Args)]
pub(crate) struct Options {
    /// What to look at.
    name: Name,
    /// Oracle: how many offers have to be compared.
    #[arg(long, default_value_t = 1_000_000)]
    decisions: u64,
    /// Invariants: how many steps have to be checked.
    #[arg(long, default_value_t = 1_000_000)]
    steps: u64,
    /// Seed of the first world; those after it have the following ones.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Every offer against the brute-force oracle: item, agent, and priority to the unit.
    Oracle,
    /// Every invariant after every step, and the replayed bytes against the state's.
    Invariants,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let (test, count) = match options.name {
        Name::Oracle => ("tests::soak::soak_oracle", options.decisions),
        Name::Invariants => ("tests::soak::soak_invariants", options.steps),
    };
    let file = target_folder()?.join(format!("soak-{}.txt", process::id()));
    let mut command = cargo();
    command.args(["test", "--release", "--quiet", "--package", "gantry-engine", "--lib", "--"]);
    command.args(["--ignored", "--exact", "--nocapture", test]);
    command.env("GANTRY_SOAK_COUNT", count.to_string());
    command.env("GANTRY_SOAK_SEED", options.seed.to_string());
    command.env("GANTRY_SOAK_REPORT", &file);
    // Cargo and the worlds tell their progress on standard error; what a test harness says of a
    // test is of no use here.
    command.stdout(process::Stdio::null());
    let ended = command.status().with_context(|| format!("starting {command:?}"))?;
    let report = fs::read_to_string(&file);
    let report = report.with_context(|| format!("reading the report of {test}, which {ended}"))?;
    fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
    say(options, &report)
}

fn say(options: &Options, report: &str) -> Result<()> {
    if let Some(failed) = report.strip_prefix("failed ") {
        let (seed, case) = failed.split_once('\n').context("reading the report: no seed")?;
        if options.json {
            println!("{}", serde_json::json!({ "agreed": false, "seed": seed, "case": case }));
        } else {
            println!("{case}");
        }
        bail!("the world of seed {seed} went wrong; its case file is above");
    }
    if !options.json {
        print!("{report}");
        return Ok(());
    }
    let mut object = serde_json::Map::from_iter([("agreed".to_owned(), true.into())]);
    let mut features = serde_json::Map::new();
    for line in report.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        if key == "with" {
            let (count, feature) = value.split_once(' ').unwrap_or((value, ""));
            features.insert(feature.to_owned(), number(count)?);
        } else {
            object.insert(key.to_owned(), number(value)?);
        }
    }
    object.insert("features".to_owned(), features.into());
    println!("{}", serde_json::Value::Object(object));
    Ok(())
}

fn number(text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).with_context(|| format!("reading the report: {text:?}"))
}
