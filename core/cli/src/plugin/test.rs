//! `gantry plugin test`: the conformance suite for a library or a program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use gantry_plugin_host::Program;
use gantry_plugin_testkit::{
    Ended, FILE_NAME, Report, Script, Suite, SuiteError, Transport, cases,
};
use serde_json::json;

use crate::{Global, table};

pub(super) const EXAMPLE: &str = "\
Example:
  gantry plugin test target/debug/libmy_counter.so
  gantry plugin test plugins/csv --filter capture/ --junit report.xml
  gantry plugin test --list

What the suite has to know of the plug-in stands in `gantry-plugin-test.toml`; what it is not told
it cannot ask, and says so. It ends with 0 if the plug-in conforms, 1 if not, 2 if it cannot be
tested.";

#[derive(Args)]
pub(crate) struct Options {
    /// The library, or the folder with `gantry-plugin.json`.
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// What the suite is told of the plug-in; else `gantry-plugin-test.toml` beside the plug-in or
    /// here.
    #[arg(long, value_name = "TOML")]
    test_file: Option<PathBuf>,
    /// How the plug-in is reached.
    #[arg(long, value_enum, default_value_t = Reach::All)]
    transport: Reach,
    /// Only cases whose id contains this.
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    /// Also write the report as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Show the cases and what each asks; run none.
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reach {
    /// Each way that there is for it.
    All,
    /// Loaded into this process; a library only.
    InProcess,
    /// In a process of its own.
    Process,
}

/// Whether the plug-in conforms.
pub(crate) fn test(global: &Global, options: &Options) -> Result<bool> {
    if options.list {
        list(global);
        return Ok(true);
    }
    let file = options.file.as_deref().context("name a library or the folder of a program")?;
    ensure!(
        cases().any(|case| case.id.contains(&options.filter)),
        "no case has `{}` in its id; --list shows them",
        options.filter
    );
    let script = if let Some(path) = options.test_file.clone().or_else(|| beside(file)) {
        Script::read(&path)?
    } else {
        eprintln!("no {FILE_NAME} beside the plug-in or here: most cases will be skipped");
        Script::default()
    };
    let transports = match options.transport {
        Reach::All => Vec::new(),
        Reach::InProcess => vec![Transport::InProcess],
        Reach::Process => vec![Transport::Process],
    };
    let suite = Suite::of_file(file, Program::this("plugin-child"));
    let suite = suite.script(script).transports(transports).filter(&options.filter);
    let mut before = None;
    let report = suite.run(|ended| {
        tell(global, ended, before.as_ref());
        before = Some(ended.clone());
    });
    let report = report.map_err(in_words)?;
    finish(global, options, &report)?;
    Ok(report.passed())
}

fn finish(global: &Global, options: &Options, report: &Report) -> Result<()> {
    if global.json {
        say!("{}", report.certificate());
    } else {
        say!("{}", report.summary());
    }
    if let Some(path) = &options.junit {
        fs::write(path, report.junit()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// As soon as a case has ended.
fn tell(global: &Global, ended: &Ended, before: Option<&Ended>) {
    if global.json {
        say!("{}", ended.json());
    } else {
        say!("{}", ended.text(before).trim_end());
    }
}

/// The test file in the folder of a program, beside a library, or here.
fn beside(file: &Path) -> Option<PathBuf> {
    let places = [Some(file), file.parent(), Some(Path::new(""))];
    let files = places.into_iter().flatten().map(|folder| folder.join(FILE_NAME));
    files.into_iter().find(|file| file.is_file())
}

fn list(global: &Global) {
    if global.json {
        let list = cases()
            .map(|case| json!({ "case": case.id, "asks": case.about, "remedy": case.remedy }));
        table::json(&json!(list.collect::<Vec<_>>()));
        return;
    }
    let rows: Vec<_> =
        cases().map(|case| vec![case.id.to_owned(), case.about.to_owned()]).collect();
    table::print(&["CASE", "ASKS"], &rows);
}

fn in_words(error: SuiteError) -> anyhow::Error {
    let told = match &error {
        SuiteError::Refused { source, .. } => Some((source.code(), source.remedy())),
        _ => None,
    };
    let error = anyhow::Error::new(error);
    match told {
        Some((code, remedy)) => error.context(format!("refused with {code}: {remedy}")),
        None => error,
    }
}
