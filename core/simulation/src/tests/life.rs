//! Worlds with everything in them: the same bytes every time, no invariant broken, nothing lost.

use std::collections::BTreeSet;

use gantry_model::journal::Entry;
use gantry_model::spec::scenario::{
    BreakWindow, Distribution, Flow, RateWindow, ScenarioSpec, WeekWindow,
};
use gantry_model::{Millis, Name};

use super::{arrivals, exponential, scenario, staff, world};
use crate::{Observer, Options, Report, Spread, World, run};

const HOUR: Millis = Millis(3_600_000);
const PROCESSES: &[(&str, i64)] = &[("test/a", 150_000), ("test/b", 900_000)];

/// Two processes, two kinds of agents, shifts, a break, declines, offers that ring out, and
/// impatient customers.
fn lively() -> ScenarioSpec {
    let mut first = arrivals("test/a", 60.0, exponential(300.0));
    first.patience = Some(exponential(1_800.0));
    first.sla = Some(Millis(20 * 60_000));
    let mut second = arrivals("test/b", 0.0, exponential(600.0));
    let hours =
        WeekWindow { from: Millis(8 * HOUR.0), to: Millis(18 * HOUR.0), ..WeekWindow::ALWAYS };
    second.flow = Flow::Poisson(vec![RateWindow { window: hours, per_hour: 30.0 }]);
    second.due_in = Some(Distribution::Uniform { from: Millis(600_000), to: HOUR });
    second.requires = [(Name::new("german"), 50)].into();

    let mut early = staff("early", 6);
    early.shifts = vec![WeekWindow {
        from: Millis(6 * HOUR.0),
        to: Millis(14 * HOUR.0),
        ..WeekWindow::ALWAYS
    }];
    let noon =
        WeekWindow { from: Millis(12 * HOUR.0), to: Millis(13 * HOUR.0), ..WeekWindow::ALWAYS };
    early.breaks = vec![BreakWindow { window: noon, reason: Name::new("Lunch") }];
    early.accept_after = Distribution::Uniform { from: Millis(1_000), to: Millis(40_000) };
    early.decline = 0.1;
    let mut late = staff("late", 8);
    late.skills = [(Name::new("german"), 80)].into();
    late.groups = BTreeSet::from([Name::new("berlin")]);
    late.shifts = vec![WeekWindow {
        from: Millis(12 * HOUR.0),
        to: Millis(22 * HOUR.0),
        ..WeekWindow::ALWAYS
    }];
    late.ring_out = 0.05;
    late.back_after = exponential(300.0);
    late.speed = 1.25;
    late.capacity = [(Name::new("workitem"), 2)].into();
    let mut spec = scenario(Millis(24 * HOUR.0), vec![first, second], vec![early, late]);
    spec.warm_up = HOUR;
    spec
}

/// Every event, as it would be written to a trace.
#[derive(Default)]
struct Trace(Vec<u8>);

impl Observer for Trace {
    fn entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            serde_json::to_writer(&mut self.0, entry).expect("memory takes everything");
            self.0.push(b'\n');
        }
    }
}

fn traced(world: &World, seed: u64, check: bool) -> (Report, Vec<u8>) {
    let mut trace = Trace::default();
    let report = run(world, Options { seed, check }, &mut trace).expect("it runs");
    (report, trace.0)
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let world = world(lively(), PROCESSES);
    let (report, trace) = traced(&world, 1, false);
    let (again, trace_again) = traced(&world, 1, false);
    assert!(trace == trace_again, "two runs with one seed differ");
    assert_eq!(report, again);
    let (_, other) = traced(&world, 2, false);
    assert!(trace != other, "the seed has no effect");
}

/// Run with `GANTRY_UPDATE=1` to store it anew, after the engine's decisions changed on purpose.
#[test]
fn the_report_is_the_stored_one() {
    let (report, _) = traced(&world(lively(), PROCESSES), 1, false);
    let text = serde_json::to_string_pretty(&report).expect("a report is JSON") + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/lively.json");
    if std::env::var_os("GANTRY_UPDATE").is_some() {
        std::fs::write(path, &text).expect("the fixture can be written");
    }
    let stored = std::fs::read_to_string(path).expect("the fixture is there");
    assert!(text == stored, "the report differs from {path}:\n{text}");
}

#[test]
fn no_invariant_breaks() {
    let mut spec = lively();
    // One shift ends, the other begins, and between them is lunch.
    spec.start = spec.start.plus(Millis(11 * HOUR.0));
    spec.horizon = Millis(4 * HOUR.0);
    let world = world(spec, PROCESSES);
    for seed in 1..=2 {
        let (report, _) = traced(&world, seed, true);
        assert!(report.events > 1_000, "{report:?}");
    }
}

#[test]
fn every_item_is_accounted_for() {
    let (report, _) = traced(&world(lively(), PROCESSES), 1, false);
    for row in report.processes.iter().chain(&report.segments) {
        let ended = row.finished + row.abandoned + row.dropped;
        assert_eq!(row.arrived, ended + row.waiting + row.in_hand, "{row:?}");
        assert!(row.arrived > 100, "{row:?}");
        assert!(row.finished_in_time <= row.finished_with_due, "{row:?}");
    }
    for kind in &report.agents {
        assert!(kind.offers >= kind.accepted + kind.declined + kind.rona, "{kind:?}");
        assert!(kind.accepted > 100, "{kind:?}");
        assert!((0.1..=1.0).contains(&kind.utilisation), "{kind:?}");
    }
    let [early, late] = &report.agents[..] else { panic!("two kinds") };
    assert!(early.declined > 0 && late.rona > 0, "{report:?}");
    // 6 agents for 8 hours without one of break, and what they stay longer.
    assert!((42.0..45.0).contains(&early.hours_on_duty), "{early:?}");
}

/// More agents change nothing about who comes when: the comparison is of like with like.
#[test]
fn the_staff_does_not_change_the_arrivals() {
    let arrivals = |spec: ScenarioSpec| {
        let (_, trace) = traced(&world(spec, PROCESSES), 1, false);
        let trace = String::from_utf8(trace).expect("text");
        let captured = trace.lines().filter(|line| line.contains("\"captured\""));
        captured.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut more = lively();
    more.staff[0].count += 3;
    assert_eq!(arrivals(lively()), arrivals(more));
}

#[test]
fn what_nobody_can_do_is_told_with_the_reason() {
    let mut spec = lively();
    spec.staff[1].skills.clear();
    let (report, _) = traced(&world(spec, PROCESSES), 1, false);
    let unserved = report.unserved.iter().find(|row| row.arrivals == "test/b");
    let unserved = unserved.expect("test/b waits for ever");
    assert_eq!(unserved.reason, "no agent has german >= 50: none has german at all");
    assert_eq!(report.processes[1].finished, 0);
}

#[test]
fn several_seeds_have_a_spread() {
    let world = world(lively(), PROCESSES);
    let reports: Vec<Report> = (1..=3).map(|seed| traced(&world, seed, false).0).collect();
    let spread = Spread::of(&reports);
    assert_eq!((spread.runs, spread.items.len(), spread.agents.len()), (3, 4, 2));
    for row in &spread.items {
        let wait = row.wait_mean_ms.expect("some waits are over");
        assert!(wait.min < wait.mean && wait.mean < wait.max && wait.deviation > 0.0, "{row:?}");
    }
}
