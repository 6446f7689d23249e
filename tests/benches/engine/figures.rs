//! The figures: names, floors and targets, as a table for people and as JSON lines.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::measure::{Report, Spread};
use crate::postgres::Job;
use crate::world::Dates;

/// All that one run found.
pub(crate) struct Measured {
    pub(crate) reports: Vec<Report>,
    pub(crate) idle: Spread,
    pub(crate) job: Option<Job>,
    /// Size of the world that floors and targets are meant for.
    pub(crate) items: u64,
}

/// A figure that every world has.
struct Figure {
    name: &'static str,
    unit: &'static str,
    floor: Option<f64>,
    target: Option<f64>,
    value: fn(&Report) -> f64,
    spread: Option<fn(&Report) -> Spread>,
}

const FIGURES: [Figure; 10] = [
    Figure {
        floor: Some(100_000.0),
        target: Some(1_000_000.0),
        spread: Some(|report| report.decisions),
        ..figure("engine.decisions", "1/s", |report| report.decisions.a_second())
    },
    Figure {
        spread: Some(|report| report.turns),
        ..figure("engine.turns", "1/s", |report| report.turns.a_second())
    },
    Figure {
        spread: Some(|report| report.arrivals),
        ..figure("engine.arrivals", "1/s", |report| report.arrivals.a_second())
    },
    Figure {
        spread: Some(|report| report.sign_on),
        ..figure("engine.sign_on", "1/s", |report| report.sign_on.a_second())
    },
    Figure {
        floor: Some(1_750.0),
        target: Some(10.0),
        ..figure("engine.exact_cpu", "µs CPU/s", |report| report.exact_us)
    },
    Figure {
        target: Some(1_000.0),
        ..figure("engine.exact_pause", "µs", |report| report.exact_worst_us)
    },
    Figure {
        target: Some(25.0),
        spread: Some(|report| report.top_100),
        ..figure("engine.top_100", "µs", |report| report.top_100.cpu_us)
    },
    Figure {
        floor: Some(2_000.0),
        target: Some(50.0),
        ..figure("engine.schema_change", "ms", |report| report.schema_change_ms)
    },
    figure("engine.boot", "ms", |report| report.boot_ms),
    figure("engine.boot_offers", "ms", |report| report.boot_offers_ms),
];

const fn figure(name: &'static str, unit: &'static str, value: fn(&Report) -> f64) -> Figure {
    Figure { name, unit, floor: None, target: None, value, spread: None }
}

const BYTES: (&str, f64, f64) = ("engine.item_bytes", 160.0, 96.0);
const IDLE: &str = "engine.idle_agents";

impl Measured {
    /// One JSON object for each figure and world.
    pub(crate) fn lines(&self, wanted: impl Fn(&str) -> bool) -> Vec<Value> {
        let mut lines = Vec::new();
        for figure in FIGURES.iter().filter(|figure| wanted(figure.name)) {
            for report in &self.reports {
                let spread = figure.spread.map(|spread| spread(report));
                let mut line = json!({
                    "figure": figure.name, "unit": figure.unit,
                    "value": round((figure.value)(report)),
                    "dates": report.dates, "items": report.items, "beside": self.beside(report),
                });
                if let Some(spread) = spread {
                    line["p50"] = json!(spread.p50_us);
                    line["p99"] = json!(spread.p99_us);
                    line["max"] = json!(spread.max_us);
                }
                lines.push(line);
            }
        }
        for report in self.reports.iter().filter(|_| wanted(BYTES.0)) {
            lines.push(json!({
                "figure": BYTES.0, "unit": "B", "value": round(self.bytes(report)),
                "dates": report.dates, "items": report.items,
                "beside": { "resident_bytes": report.resident_bytes },
            }));
        }
        if wanted(IDLE) {
            let Spread { count, p50_us: p50, p99_us: p99, max_us: max, .. } = self.idle;
            lines.push(json!({
                "figure": IDLE, "unit": "1/s", "value": round(self.idle.a_second()),
                "p50": p50, "p99": p99, "max": max, "items": count,
            }));
        }
        lines
    }

    fn beside(&self, report: &Report) -> Value {
        json!({ "brute_force_us": round(report.brute_us), "checked": report.checked,
                "postgres": self.job })
    }

    /// Memory that a further item takes: what grew since the smallest world, by item.
    fn bytes(&self, report: &Report) -> f64 {
        let smallest = self.reports.iter().min_by_key(|report| report.items);
        let smallest = smallest.filter(|smallest| smallest.items < report.items);
        let (items, bytes) =
            smallest.map_or((0, 0), |smallest| (smallest.items, smallest.resident_bytes));
        report.resident_bytes.saturating_sub(bytes) as f64 / (report.items - items).max(1) as f64
    }

    /// A table: figures down, worlds across.
    pub(crate) fn table(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut text = format!("{:<32}", "");
        for report in &self.reports {
            let _ = write!(text, "{:>14}", heading(report));
        }
        let _ = writeln!(text, "{:>12}{:>12}", "floor", "target");
        for figure in FIGURES.iter().filter(|figure| wanted(figure.name)) {
            let values: Vec<f64> = self.reports.iter().map(figure.value).collect();
            let name = format!("{} {}", figure.name, figure.unit);
            row(&mut text, &name, &values, figure.floor, figure.target);
            if let Some(spread) = figure.spread {
                let spreads: Vec<Spread> = self.reports.iter().map(spread).collect();
                let p50: Vec<f64> = spreads.iter().map(|spread| spread.p50_us).collect();
                let p99: Vec<f64> = spreads.iter().map(|spread| spread.p99_us).collect();
                row(&mut text, "  p50 µs", &p50, None, None);
                row(&mut text, "  p99 µs", &p99, None, None);
            }
        }
        if wanted(BYTES.0) {
            let values: Vec<f64> = self.reports.iter().map(|report| self.bytes(report)).collect();
            row(&mut text, "engine.item_bytes B", &values, Some(BYTES.1), Some(BYTES.2));
        }
        let brute: Vec<f64> = self.reports.iter().map(|report| report.brute_us).collect();
        row(&mut text, "beside: brute force, µs a decision", &brute, None, None);
        let checked: u64 = self.reports.iter().map(|report| report.checked).sum();
        let _ = writeln!(text, "{checked} decisions and lists were equal to brute force.");
        if wanted(IDLE) {
            let Spread { p50_us, p99_us, .. } = self.idle;
            let rate = self.idle.a_second();
            let _ = writeln!(
                text,
                "{IDLE}: an item arrives, 10,000 agents are idle: {rate:.0}/s, \
                 p50 {p50_us:.1} µs, p99 {p99_us:.1} µs",
            );
        }
        text + &self.job_line()
    }

    fn job_line(&self) -> String {
        let Some(Job { rows, update_ms, wal_bytes }) = self.job else {
            return "SKIPPED: PostgreSQL is not installed; nothing stands beside exact_cpu.\n"
                .into();
        };
        let exact = self.reports.iter().filter(|report| report.items == self.items);
        let exact = exact.map(|report| report.exact_us).fold(0.0, f64::max);
        format!(
            "beside: PostgreSQL writes {rows} priorities in {update_ms:.0} ms and {:.0} MB of log, \
             each pass; once a second that is {:.0} times the engine's CPU.\n",
            wal_bytes as f64 / 1e6,
            update_ms * 1e3 / exact,
        )
    }
}

fn heading(report: &Report) -> String {
    let dates = match report.dates {
        Dates::Rules => "rules",
        Dates::Due => "own dates",
    };
    let items = report.items;
    match items {
        1_000_000.. => format!("{} M {dates}", items as f64 / 1e6),
        _ => format!("{} k {dates}", items as f64 / 1e3),
    }
}

fn row(text: &mut String, name: &str, values: &[f64], floor: Option<f64>, target: Option<f64>) {
    let _ = write!(text, "{name:<32}");
    for value in values {
        let _ = write!(text, "{:>14}", shown(*value));
    }
    for bound in [floor, target] {
        let _ = write!(text, "{:>12}", bound.map(shown).unwrap_or_default());
    }
    text.push('\n');
}

fn shown(value: f64) -> String {
    if value.abs() < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
