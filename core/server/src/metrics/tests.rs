//! The text as monitors see it.

use gantry_pipeline::{
    CallbackStatus, CaptureStatus, Health as PartHealth, LeaseStatus, LookupStatus, ProcessStatus,
    RecordCounts, RunStatus, SourceState, SourceStatus, State,
};

use super::*;

fn histogram() -> Histogram {
    Histogram { buckets: vec![(0.5, 2), (1.0, 0), (f64::INFINITY, 1)], sum: 7.5 }
}

fn operations(operation: &'static str, outcome: &'static str) -> Vec<OperationStatus> {
    vec![OperationStatus { operation, outcome, took: histogram() }]
}

fn health(state: State) -> PartHealth {
    PartHealth { state, ..PartHealth::default() }
}

fn capture() -> CaptureStatus {
    CaptureStatus {
        source: Some("crm".into()),
        health: health(State::BackingOff),
        feed: "stream",
        next_at: None,
        paused: None,
        counts: RecordCounts { read: 6, created: 3, refused: 1, in_hand: 2, ..Default::default() },
        bytes: 1234,
        lag: histogram(),
        settling: histogram(),
        oldest_unacknowledged_at: Some(Timestamp(7_500)),
        credit: Some(900),
        leases: Some(LeaseStatus { held: 5, lost: 2, next_at: None }),
        in_flight: 1,
        operations: operations("poll", "auth_expired"),
    }
}

fn callback() -> CallbackStatus {
    CallbackStatus {
        source: "crm".into(),
        health: health(State::Running),
        delivered: 4,
        retried: 1,
        dead: 0,
        lanes_retrying: 1,
        lanes_dead: 0,
        cursor_seq: 17,
        open: 0,
        oldest_open_at: None,
        lag: histogram(),
        in_flight: 0,
        operations: operations("deliver", "ok"),
    }
}

fn seen() -> Seen {
    let process = ProcessStatus {
        id: Some(17),
        restarts: 2,
        quarantines: 0,
        last_failure: None,
        cpu_seconds: 1.25,
        memory_bytes: 4096,
        processes: 1,
    };
    let source = SourceStatus {
        plugin: "crm".into(),
        version: Some("1.0".into()),
        state: SourceState::Running,
        in_flight: 1,
        violations: 0,
        renewals: 3,
        process: Some(process),
    };
    let beside = SourceStatus { process: None, ..source.clone() };
    let lookup = LookupStatus {
        source: "crm".into(),
        health: health(State::Idle),
        asked: 5,
        cached: 2,
        failed: 1,
        in_flight: 0,
        operations: operations("lookup", "ok"),
    };
    let pipeline = Status {
        sources: [("beside".into(), beside), ("crm".into(), source)].into(),
        captures: [("leads".into(), capture())].into(),
        lookups: [("nps".into(), lookup)].into(),
        callbacks: [("crm".into(), callback())].into(),
        runs: RunStatus { ended: 1, stale: 0, failed: 0, under_way: 2 },
    };
    Seen {
        now: Timestamp(10_000),
        health: Health::Ready,
        pipeline,
        hub: gantry_hub::Stats { commits: 9, commit_micros: 1_500_000, ..Default::default() },
        store: gantry_store::Stats::default(),
    }
}

#[test]
fn the_text_names_unit_and_meaning_of_everything() {
    insta::assert_snapshot!(text(seen()));
}

#[test]
fn every_metric_stands_in_the_manual() {
    let manual = include_str!("../../../../docs/operate.md");
    let text = text(seen());
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut n = 0;
    for (name, kind) in names {
        n += 1;
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(manual.contains(&format!("`{name}`")), "{name} is not in docs/operate.md");
    }
    assert!(n > 30, "only {n} metrics");
}
