//! The results of a simulation for people: tables, and pictures made of letters.

use std::path::Path;

use gantry_model::{Millis, Timestamp};
use gantry_simulation::{
    Range, Report, Row, RowSpread, Spread, StaffRow, Unserved, WAIT_BOUNDS_SECS,
};

use crate::table;

/// From an empty part of the queue to its longest.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Length of the longest bar of waits.
const BAR: f64 = 40.0;
const NONE: &str = "–";

/// Says what was simulated.
pub(super) fn heading(
    scenario: &Path,
    rules: Option<&str>,
    reports: &[Report],
    utc_offset: Millis,
) {
    let Some(report) = reports.first() else { return };
    let (from, to) = (local(report.from, utc_offset), local(report.to, utc_offset));
    let seeds = match reports {
        [report] => format!("seed {}", report.seed),
        more => format!("seeds {} to {}", report.seed, more.last().unwrap_or(report).seed),
    };
    say!("{}, {from} to {to}, {seeds}", scenario.display());
    match rules {
        Some(rules) => say!("processes, priorities and routes of {rules}"),
        None => say!("without a config: every process first come, first served"),
    }
}

/// All of one run.
pub(super) fn report(report: &Report, utc_offset: Millis) {
    say!("");
    let mut rows = Vec::new();
    for process in &report.processes {
        rows.push(items(process));
        let segments = || report.segments.iter().filter(|row| row.process == process.process);
        if segments().count() > 1 {
            rows.extend(segments().map(items));
        }
    }
    let headings = [
        "process",
        "segment",
        "arrived",
        "finished",
        "abandoned",
        "waiting",
        "wait",
        "p50",
        "p90",
        "p99",
        "longest",
        "in time",
        "overdue",
    ];
    figures(&headings, 2, rows);
    say!("");
    let headings =
        ["agents", "count", "hours", "at work", "offers", "accepted", "declined", "RONA"];
    figures(&headings, 1, report.agents.iter().map(staff).collect());
    queue(report, utc_offset);
    waits(report);
    unserved(&report.unserved);
}

/// Key figures of several runs.
pub(super) fn spread(spread: &Spread) {
    say!("\nmean of {} runs, and in brackets from the smallest to the largest\n", spread.runs);
    let headings =
        ["process", "segment", "finished", "abandoned", "wait", "p90", "in time", "overdue"];
    figures(&headings, 2, spread.items.iter().map(spread_row).collect());
    say!("");
    let kinds = spread.agents.iter();
    let kinds = kinds.map(|kind| vec![kind.agents.to_string(), range(&kind.utilisation, percent)]);
    figures(&["agents", "at work"], 1, kinds.collect());
}

fn spread_row(row: &RowSpread) -> Vec<String> {
    let count = |number: f64| format!("{number:.0}");
    let optional = |figure: &Option<Range>, show: fn(f64) -> String| {
        figure.as_ref().map_or_else(|| NONE.to_owned(), |figure| range(figure, show))
    };
    vec![
        row.process.to_string(),
        row.segment.as_ref().map_or_else(|| NONE.to_owned(), ToString::to_string),
        range(&row.finished, count),
        range(&row.abandoned, count),
        optional(&row.wait_mean_ms, time),
        optional(&row.wait_p90_ms, time),
        optional(&row.in_time, percent),
        optional(&row.overdue, percent),
    ]
}

fn range(range: &Range, show: impl Fn(f64) -> String) -> String {
    format!("{} ({} … {})", show(range.mean), show(range.min), show(range.max))
}

fn items(row: &Row) -> Vec<String> {
    let share = |share: Option<f64>| share.map_or_else(|| NONE.to_owned(), percent);
    let wait = &row.wait;
    let some = |figure: f64| if wait.count > 0 { time(figure) } else { NONE.to_owned() };
    vec![
        row.process.to_string(),
        row.segment.as_ref().map_or_else(|| NONE.to_owned(), ToString::to_string),
        row.arrived.to_string(),
        row.finished.to_string(),
        (row.abandoned + row.dropped).to_string(),
        row.waiting.to_string(),
        some(wait.mean_ms),
        some(wait.p50_ms as f64),
        some(wait.p90_ms as f64),
        some(wait.p99_ms as f64),
        some(wait.max_ms as f64),
        share(row.in_time()),
        share(row.overdue_share()),
    ]
}

fn staff(row: &StaffRow) -> Vec<String> {
    vec![
        row.agents.to_string(),
        row.count.to_string(),
        format!("{:.1}", row.hours_on_duty),
        percent(row.utilisation),
        row.offers.to_string(),
        row.accepted.to_string(),
        row.declined.to_string(),
        row.rona.to_string(),
    ]
}

fn queue(report: &Report, utc_offset: Millis) {
    let parts = &report.queue.parts;
    let highest = parts.iter().copied().fold(0.0, f64::max);
    let level = |length: &f64| {
        let share = if highest > 0.0 { length / highest } else { 0.0 };
        LEVELS[(share * (LEVELS.len() - 1) as f64).round() as usize]
    };
    let (from, to) = (local(report.from, utc_offset), local(report.to, utc_offset));
    let mean = report.queue.mean;
    say!("\nwaiting items from {from} to {to}: {mean:.1} on average, {highest:.1} at most");
    say!("{}", parts.iter().map(level).collect::<String>());
}

fn waits(report: &Report) {
    let total: u64 = report.waits.iter().sum();
    if total == 0 {
        return;
    }
    say!("\nwaits");
    let longest = report.waits.iter().copied().max().unwrap_or(1).max(1);
    let last = report.waits.iter().rposition(|count| *count > 0).unwrap_or(0);
    let mut rows = Vec::new();
    for (at, count) in report.waits.iter().enumerate().take(last + 1) {
        let bound = match (at, WAIT_BOUNDS_SECS.get(at)) {
            (0, _) => "at once".to_owned(),
            (_, Some(bound)) => format!("up to {}", Millis::from_secs(*bound)),
            (_, None) => "longer".to_owned(),
        };
        let bar = (*count as f64 / longest as f64 * BAR).round() as usize;
        rows.push(vec![bound, percent(*count as f64 / total as f64), "█".repeat(bar)]);
    }
    for row in aligned(rows, 1, 2) {
        say!("{}", row.join("  ").trim_end());
    }
}

fn unserved(unserved: &[Unserved]) {
    if unserved.is_empty() {
        return;
    }
    say!("");
    let row = |row: &Unserved| {
        vec![
            row.arrivals.to_string(),
            row.items.to_string(),
            time(row.waited_ms as f64),
            row.oldest.to_string(),
            row.reason.clone(),
        ]
    };
    let headings = ["still waiting", "items", "longest", "work item", "because"];
    table::print(&headings, &aligned(unserved.iter().map(row).collect(), 1, 3));
}

/// A table whose columns from `first` on are figures.
fn figures(headings: &[&str], first: usize, mut rows: Vec<Vec<String>>) {
    rows.insert(0, headings.iter().map(ToString::to_string).collect());
    let mut rows = aligned(rows, first, headings.len());
    let headings = rows.remove(0);
    table::print(&headings.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
}

/// Moves the cells of some columns to the right.
fn aligned(mut rows: Vec<Vec<String>>, first: usize, end: usize) -> Vec<Vec<String>> {
    for column in first..end {
        let width = |row: &Vec<String>| row.get(column).map_or(0, |cell| cell.chars().count());
        let widest = rows.iter().map(width).max().unwrap_or(0);
        for cell in rows.iter_mut().filter_map(|row| row.get_mut(column)) {
            *cell = format!("{cell:>widest$}");
        }
    }
    rows
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Milliseconds as a time that is read at a glance.
fn time(millis: f64) -> String {
    if millis < 9_950.0 {
        return format!("{:.1}s", millis / 1000.0);
    }
    let rounding = if millis < 7_200_000.0 { 1_000.0 } else { 60_000.0 };
    Millis(((millis / rounding).round() * rounding) as i64).to_string()
}

/// An instant on the clocks of the scenario.
fn local(at: Timestamp, utc_offset: Millis) -> String {
    let text = at.plus(utc_offset).to_string();
    let minutes = text.get(..16).unwrap_or(&text);
    minutes.replace('T', " ")
}
