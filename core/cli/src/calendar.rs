//! `gantry calendar`: business calendars asked and shown. No hub is needed, and the rest of the
//! config may have mistakes.

mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _, Write};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use gantry_model::calendar::{Calendar, WorkingTimeError};
use gantry_model::spec::{CalendarSpec, Sla};
use gantry_model::{Millis, Name, Timestamp};
use jiff::{SignedDuration, SpanRelativeTo};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::Global;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Answer questions about working time: JSON lines in, one answer a line out.
    #[command(after_help = EVAL_EXAMPLE)]
    Eval,
    /// Show the working hours and the days off of a year.
    #[command(after_help = "Example:\n  gantry calendar show office --year 2027")]
    Show(show::Options),
}

const EVAL_EXAMPLE: &str = r#"Example:
  gantry calendar eval --config gantry.toml

It reads questions from standard input, one a line:
  {"op": "add", "calendar": "office", "start": "2026-12-24T11:00:00+01:00", "duration": "PT3H30M"}
  {"op": "subtract", "calendar": "office", "start": "2026-12-24T10:00Z", "duration": "2 workdays"}
  {"op": "between", "calendar": "office", "start": "2026-12-23T15:00Z", "end": "2026-12-28T09:00Z"}

Durations are ISO 8601 (PT3H30M; a day is 24 hours of working time), 3h30m, or whole workdays.
A line that cannot be answered gets {"error": …} on its line; then it ends with 1."#;

/// Longest line of questions, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Runs the command; `false` if a question could not be answered.
pub(crate) fn run(global: &Global, command: &Command) -> Result<bool> {
    let specs = specs(global)?;
    match command {
        Command::Eval => eval(&build(&specs)?, io::stdin().lock(), io::stdout().lock()),
        Command::Show(options) => show::show(global, &specs, options).map(|()| true),
    }
}

fn specs(global: &Global) -> Result<BTreeMap<Name, CalendarSpec>> {
    let checked = gantry_config::load_rules(&global.config);
    if checked.calendars.is_empty() {
        let config = global.config.display();
        bail!("{config} has no calendar without mistakes: see gantry check --config {config}");
    }
    Ok(checked.calendars)
}

fn build(specs: &BTreeMap<Name, CalendarSpec>) -> Result<BTreeMap<Name, Calendar>> {
    let build = |(name, spec): (&Name, &CalendarSpec)| {
        let calendar = Calendar::new(spec).with_context(|| format!("building calendar {name}"))?;
        Ok((name.clone(), calendar))
    };
    specs.iter().map(build).collect()
}

/// The calendar of that name.
fn named<'c, T>(calendars: &'c BTreeMap<Name, T>, name: &str) -> Result<&'c T> {
    calendars.get(name).with_context(|| {
        let known: Vec<&str> = calendars.keys().map(Name::as_str).collect();
        format!("there is no calendar {name:?} without mistakes; there are: {}", known.join(", "))
    })
}

/// Answers line by line, in order; `false` if one could not be answered.
fn eval(
    calendars: &BTreeMap<Name, Calendar>,
    mut lines: impl BufRead,
    mut answers: impl Write,
) -> Result<bool> {
    let mut all = true;
    let mut line = Vec::new();
    loop {
        line.clear();
        let n_bytes = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if n_bytes == 0 {
            return Ok(all);
        }
        if n_bytes as u64 == LINE_BYTES_MAX {
            bail!("a line has more than {LINE_BYTES_MAX} bytes");
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = answer(calendars, &line).unwrap_or_else(|error| {
            all = false;
            json!({ "error": format!("{error:#}") })
        });
        // Whoever reads may stop early.
        if writeln!(answers, "{answer}").and_then(|()| answers.flush()).is_err() {
            return Ok(all);
        }
    }
}

/// A question on one line. Keys beyond these are left alone.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Question {
    /// When so much working time has passed since a start.
    Add(Moved),
    /// When so much working time remained until a start.
    Subtract(Moved),
    /// How much working time lies between two instants.
    Between { calendar: String, start: Timestamp, end: Timestamp },
}

#[derive(Deserialize)]
struct Moved {
    calendar: String,
    start: Timestamp,
    duration: String,
}

/// How far to move.
#[derive(Debug, PartialEq, Eq)]
enum Distance {
    Time(Millis),
    Workdays(u32),
}

fn answer(calendars: &BTreeMap<Name, Calendar>, line: &[u8]) -> Result<Json> {
    match serde_json::from_slice(line).context("reading the question")? {
        Question::Add(question) => {
            let calendar = named(calendars, &question.calendar)?;
            let found = match distance(&question.duration)? {
                Distance::Time(time) => calendar.add(covered(question.start)?, time),
                Distance::Workdays(n) => calendar.add_days(covered(question.start)?, n),
            };
            Ok(json!({ "result": found? }))
        }
        Question::Subtract(question) => {
            let calendar = named(calendars, &question.calendar)?;
            let found = match distance(&question.duration)? {
                Distance::Time(time) => calendar.subtract(covered(question.start)?, time),
                Distance::Workdays(n) => calendar.subtract_days(covered(question.start)?, n),
            };
            Ok(json!({ "result": found? }))
        }
        Question::Between { calendar, start, end } => {
            let calendar = named(calendars, &calendar)?;
            let time = calendar.between(covered(start)?, covered(end)?);
            Ok(json!({ "result": SignedDuration::from_millis(time.0).to_string() }))
        }
    }
}

fn covered(t: Timestamp) -> Result<Timestamp> {
    if Calendar::covers(t) { Ok(t) } else { Err(WorkingTimeError::OutOfRange.into()) }
}

/// Reads `PT3H30M`, `3h30m` or `3 workdays`.
fn distance(text: &str) -> Result<Distance> {
    if let Ok(span) = text.parse::<jiff::Span>()
        && text.trim_start_matches(['+', '-']).starts_with(['P', 'p'])
    {
        // Months and years have no fixed length.
        let time = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .with_context(|| format!("{text:?} has no fixed length"))?;
        let millis = i64::try_from(time.as_millis())?;
        if SignedDuration::from_millis(millis) != time {
            bail!("{text:?} is finer than a millisecond");
        }
        return Ok(Distance::Time(Millis(millis)));
    }
    let sla = text.parse().with_context(|| {
        format!("{text:?} is no duration: write ISO 8601 (PT3H30M), 3h30m or 3 workdays")
    });
    match sla? {
        Sla::Wall(time) | Sla::Business(time) => Ok(Distance::Time(time)),
        Sla::Workdays(n) => Ok(Distance::Workdays(n)),
    }
}
