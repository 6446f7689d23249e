//! How far the figures of several runs lie apart: what one run says is one draw of many.

use gantry_model::Name;
use serde::Serialize;

use crate::report::{Report, Row, StaffRow};

/// The key figures over several runs of one world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many runs.
    pub runs: usize,
    /// By process, then by process and class of customers, as in each [`Report`].
    pub items: Vec<RowSpread>,
    /// By kind of agents.
    pub agents: Vec<StaffSpread>,
}

/// Key figures of items over several runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowSpread {
    /// The process.
    pub process: Name,
    /// The class of customers; `None` for all of the process.
    pub segment: Option<Name>,
    /// Items that were completed.
    pub finished: Range,
    /// Items that the source withdrew.
    pub abandoned: Range,
    /// Mean wait, in milliseconds; of runs in which any wait was over.
    pub wait_mean_ms: Option<Range>,
    /// What nine of ten waits do not exceed, in milliseconds; of the same runs.
    pub wait_p90_ms: Option<Range>,
    /// Share of completed items that were done by their due date; of runs that had any.
    pub in_time: Option<Range>,
    /// Share of items with a due date that passed before they were done; of runs that had any.
    pub overdue: Option<Range>,
}

/// Key figures of a kind of agents over several runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StaffSpread {
    /// The kind.
    pub agents: Name,
    /// Share of the time on duty in which an agent had work.
    pub utilisation: Range,
}

/// A figure over several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// Mean.
    pub mean: f64,
    /// Standard deviation between runs; 0 for one run.
    pub deviation: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Compares runs of the same world; empty for none.
    pub fn of(reports: &[Report]) -> Self {
        let first = reports.first();
        let n_rows = first.map_or(0, |report| rows(report).count());
        let n_kinds = first.map_or(0, |report| report.agents.len());
        let row = |at: usize| {
            let same: Vec<&Row> =
                reports.iter().filter_map(|report| rows(report).nth(at)).collect();
            RowSpread::of(&same)
        };
        let kind = |at: usize| {
            let same: Vec<&StaffRow> =
                reports.iter().filter_map(|report| report.agents.get(at)).collect();
            let utilisation = Range::of(same.iter().map(|row| row.utilisation))?;
            Some(StaffSpread { agents: same.first()?.agents.clone(), utilisation })
        };
        Self {
            runs: reports.len(),
            items: (0..n_rows).filter_map(row).collect(),
            agents: (0..n_kinds).filter_map(kind).collect(),
        }
    }
}

fn rows(report: &Report) -> impl Iterator<Item = &Row> {
    report.processes.iter().chain(&report.segments)
}

impl RowSpread {
    fn of(rows: &[&Row]) -> Option<Self> {
        let range = |figure: fn(&Row) -> f64| Range::of(rows.iter().map(|row| figure(row)));
        let waits = || rows.iter().map(|row| row.wait).filter(|wait| wait.count > 0);
        let first = rows.first()?;
        Some(Self {
            process: first.process.clone(),
            segment: first.segment.clone(),
            finished: range(|row| row.finished as f64)?,
            abandoned: range(|row| row.abandoned as f64)?,
            wait_mean_ms: Range::of(waits().map(|wait| wait.mean_ms)),
            wait_p90_ms: Range::of(waits().map(|wait| wait.p90_ms as f64)),
            in_time: Range::of(rows.iter().filter_map(|row| row.in_time())),
            overdue: Range::of(rows.iter().filter_map(|row| row.overdue_share())),
        })
    }
}

impl Range {
    fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let figures: Vec<f64> = figures.collect();
        if figures.is_empty() {
            return None;
        }
        let count = figures.len() as f64;
        let mean = figures.iter().sum::<f64>() / count;
        let squares: f64 = figures.iter().map(|figure| (figure - mean) * (figure - mean)).sum();
        Some(Self {
            mean,
            deviation: libm::sqrt(squares / (count - 1.0).max(1.0)),
            min: figures.iter().copied().fold(f64::INFINITY, f64::min),
            max: figures.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}
