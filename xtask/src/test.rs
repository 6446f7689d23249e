//! `cargo xtask test`: installs what is missing, then tidy, format, lints and every test.

use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::build::{Profile, build, cargo, run as run_command};
use crate::{clients, packages, peers, sdk, tidy};

#[derive(Args)]
pub(crate) struct Options {
    /// Only tests whose name contains this; no lints.
    filter: Option<String>,
    /// Only the packages for authors of plug-ins in other languages.
    #[arg(long, conflicts_with = "filter")]
    sdks: bool,
}

/// What the end-to-end tests start or load, beside the hub and its connectors.
const STARTED: [&str; 4] =
    ["gantry-demo", "gantry-example-counter", "gantry-test-crashing", "gantry-test-misbehaving"];

pub(crate) fn run(options: &Options) -> Result<()> {
    let begun = Instant::now();
    packages::install_missing();
    if options.sdks {
        return step("packages in other languages", sdk::run);
    }
    if options.filter.is_none() {
        step("tidy", tidy::run)?;
        step("format", || run_command(cargo().args(["fmt", "--all", "--check"])))?;
        step("lints", lint)?;
        step("packages in other languages", sdk::run)?;
    }
    let clients = clients::install()?;
    let peers = peers::build()?;
    let built = build(Profile::Debug, &STARTED)?;
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    tests.env("GANTRY_TEST_BINARY", &built.gantry);
    tests.env("GANTRY_TEST_DEMO", built.binary("gantry-demo"));
    tests.env("GANTRY_TEST_PLUGINS", &built.plugins);
    tests.env("GANTRY_TEST_LIBRARIES", &built.folder);
    tests.env("GANTRY_TEST_CLIENTS", clients);
    tests.env("GANTRY_TEST_PEERS", &peers);
    tests.env("INSTA_UPDATE", "no");
    if let Some(filter) = &options.filter {
        tests.args(["--", filter]);
    }
    step("tests", || run_command(&mut tests))?;
    println!("all of it took {} s", begun.elapsed().as_secs());
    Ok(())
}

fn lint() -> Result<()> {
    let mut clippy = cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--locked", "--quiet"]);
    clippy.args(["--", "--deny", "warnings"]);
    run_command(&mut clippy)
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    eprintln!("== {name}");
    work()?;
    eprintln!("== {name}: {} s", begun.elapsed().as_secs());
    Ok(())
}
