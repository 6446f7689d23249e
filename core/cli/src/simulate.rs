//! `gantry simulate`: the engine in a simulated world. Nothing is connected to, nothing stored.
//!
//! Standard output is the same to the byte for the same scenario, config and seed; what depends on
//! the machine, progress and speed, goes to standard error.

mod show;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use gantry_config::{Finding, Severity, Sources, load_rules, load_scenario, render_human};
use gantry_model::journal::Entry;
use gantry_model::spec::Spec;
use gantry_simulation::{Observer, Progress, Report, Spread, World, run};
use serde_json::json;

use crate::{Global, table};

pub(crate) const EXAMPLE: &str = "Example:\n  gantry simulate monday.toml --config gantry.toml\n  \
    gantry simulate monday.toml --seeds 5 --json\n\n\
    The config's processes, priorities and routes count; if there is no gantry.toml and none is \
    named, every process is served first come, first served. It ends with 1 if scenario or config \
    have errors.";

/// First word on progress after this long, then as often.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct Options {
    /// The scenario: what arrives, and who works.
    scenario: PathBuf,
    /// What all randomness follows from, instead of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// Run with so many seeds, one after the other, and show how far the results lie apart.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    seeds: u32,
    /// Check every invariant of the engine after every step: slow, for small worlds.
    #[arg(long)]
    check: bool,
    /// Write every event of the engine to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

/// Runs a scenario; `false` if scenario or config have errors.
pub(crate) fn simulate(global: &Global, options: &Options) -> Result<bool> {
    let config = match config(global) {
        Ok(config) => config,
        Err(Wrong { findings, sources }) => return Ok(refuse(global, &findings, &sources)),
    };
    let checked = load_scenario(&options.scenario, config.as_ref());
    let Some((spec, routing)) = checked.scenario else {
        return Ok(refuse(global, &checked.findings, &checked.sources));
    };
    eprint!("{}", render_human(&checked.findings, &checked.sources));
    let utc_offset = spec.utc_offset;
    let world = World::new(spec, routing)?;
    let reports = runs(options, &world)?;
    let spread = (reports.len() > 1).then(|| Spread::of(&reports));
    if global.json {
        table::json(&json!({ "ok": true, "runs": reports, "spread": spread }));
        return Ok(true);
    }
    let rules = config.is_some().then(|| global.config.display().to_string());
    show::heading(&options.scenario, rules.as_deref(), &reports, utc_offset);
    match (&spread, reports.first()) {
        (Some(spread), _) => show::spread(spread),
        (None, Some(report)) => show::report(report, utc_offset),
        (None, None) => {}
    }
    Ok(true)
}

/// A config with errors.
struct Wrong {
    findings: Vec<Finding>,
    sources: Sources,
}

/// The config; `None` if none was named and the usual file is not there.
fn config(global: &Global) -> Result<Option<Spec>, Wrong> {
    if global.config == Path::new(crate::CONFIG) && !global.config.exists() {
        return Ok(None);
    }
    let checked = load_rules(&global.config);
    let (findings, sources) = (checked.findings, checked.sources);
    checked.spec.map(Some).ok_or(Wrong { findings, sources })
}

/// Says what is wrong; always `false`.
fn refuse(global: &Global, findings: &[Finding], sources: &Sources) -> bool {
    if global.json {
        table::json(&json!({ "ok": false, "findings": findings }));
        return false;
    }
    for line in render_human(findings, sources).lines() {
        say!("{line}");
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    match errors.count() {
        1 => say!("1 error"),
        n => say!("{n} errors"),
    }
    false
}

/// Runs the world once for each seed.
fn runs(options: &Options, world: &World) -> Result<Vec<Report>> {
    let mut onlooker = Onlooker::new(options)?;
    let first = options.seed.unwrap_or(world.seed());
    let mut reports = Vec::new();
    for number in 0..u64::from(options.seeds) {
        let seed = first.wrapping_add(number);
        let begun = Instant::now();
        let run_options = gantry_simulation::Options { seed, check: options.check };
        let report = run(world, run_options, &mut onlooker).with_context(|| {
            format!("simulating {} with seed {seed}", options.scenario.display())
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!(
            "seed {seed}: {} events in {seconds:.2} s, {:.0} a second",
            report.events,
            report.events as f64 / seconds.max(1e-9)
        );
        reports.push(report);
    }
    onlooker.finish()?;
    Ok(reports)
}

/// Tells of progress, and writes the trace.
struct Onlooker {
    told: Instant,
    trace: Option<BufWriter<File>>,
    /// The first that went wrong with the trace.
    error: Option<std::io::Error>,
}

impl Onlooker {
    fn new(options: &Options) -> Result<Self> {
        let create = |path: &PathBuf| {
            File::create(path).with_context(|| format!("writing the trace {}", path.display()))
        };
        let trace = options.trace.as_ref().map(create).transpose()?;
        Ok(Self { told: Instant::now(), trace: trace.map(BufWriter::new), error: None })
    }

    fn finish(mut self) -> Result<()> {
        if let Some(error) = self.error {
            return Err(error).context("writing the trace");
        }
        self.trace.as_mut().map_or(Ok(()), Write::flush).context("writing the trace")
    }
}

impl Observer for Onlooker {
    fn entries(&mut self, entries: &[Entry]) {
        let Some(trace) = self.trace.as_mut().filter(|_| self.error.is_none()) else { return };
        for entry in entries {
            let line = serde_json::to_vec(entry).map_err(std::io::Error::from);
            let written = line.and_then(|mut line| {
                line.push(b'\n');
                trace.write_all(&line)
            });
            self.error = self.error.take().or(written.err());
        }
    }

    fn progress(&mut self, progress: Progress) {
        if self.told.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.told = Instant::now();
        eprintln!(
            "simulated up to {} of {}, {} events",
            progress.now, progress.end, progress.events
        );
    }
}
