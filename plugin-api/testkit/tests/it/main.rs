//! The suite itself under test: a sound plug-in passes all of it, and for each case there is a
//! fault that it finds.
#![allow(clippy::unwrap_used, reason = "these are tests, what helps them included")]

mod faulty;
mod source;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use faulty::{EVERYWHERE, Faulty};
use gantry_plugin_api::runtime::Exported as _;
use gantry_plugin_testkit::{Report, Script, Suite, Verdict, cases, conforms_with};
use serde_json::{Value, json};
use source::Source;

/// What only a library file, a process, or a plug-in made without the packages for authors can do
/// wrong: the workspace's `tests/it/conformance.rs` has some that do.
const ELSEWHERE: &[&str] = &[
    "abi/",
    "capture/killed_before_acknowledged",
    "chaos/killed_",
    "config/closed",
    "config/create_refuses",
    "config/described",
    "config/missing_key",
    "config/secrets_marked",
    "config/unknown_key",
    "config/wrong_type",
    "leases/declared",
    "lifecycle/hundred_attachments",
    "lifecycle/rotate",
    "secrets/process",
    "stream/credit",
];

fn is_elsewhere(case: &str) -> bool {
    ELSEWHERE.iter().any(|elsewhere| case.starts_with(elsewhere))
}

fn script() -> Script {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/gantry-plugin-test.toml");
    Script::read(&path).unwrap()
}

fn run(script: Script, filter: &str) -> Report {
    // The source and the plug-in's statics are there once.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    EVERYWHERE.forget();
    let suite = Suite::linked(Faulty::descriptor()).script(script).filter(filter);
    let report = suite.driver(|_| Ok(Box::new(Source::open()))).run(|_| {}).unwrap();
    EVERYWHERE.forget();
    report
}

/// A plug-in without a fault passes whatever a linked one can be asked.
#[test]
fn a_sound_plugin_conforms() {
    conforms_with::<Faulty>("tests/it/gantry-plugin-test.toml", |_| Ok(Box::new(Source::open())));
}

#[test]
fn only_what_needs_a_file_or_a_process_is_skipped() {
    let report = run(script(), "");
    let skipped = report.ended.iter().filter(|ended| matches!(ended.verdict, Verdict::Skipped(_)));
    let skipped: Vec<_> = skipped.map(|ended| ended.case.id).collect();
    assert_eq!(
        skipped,
        [
            "abi/newer_minor",
            "abi/newer_major",
            "abi/older_major",
            "abi/unknown_feature",
            "abi/foreign_role",
            "capture/killed_before_acknowledged",
            "secrets/process",
            "chaos/killed_idle",
            "chaos/killed_busy",
            "chaos/killed_draining",
            "chaos/killed_often",
        ],
        "{}",
        report.text()
    );
}

/// A fault, and the cases that have to find it.
const FAULTS: &[(&str, &[&str])] = &[
    ("never_content", &["config/example"]),
    ("moody", &["config/validate_is_pure"]),
    ("validate_panics", &["config/odd_values"]),
    ("opens_files", &["lifecycle/create_connects_nothing"]),
    ("slow_create", &["lifecycle/create_is_quick"]),
    ("check_fails", &["lifecycle/check", "lifecycle/side_by_side"]),
    ("check_asks_nobody", &["lifecycle/check_says_no"]),
    ("stop_hangs", &["lifecycle/stop", "lifecycle/stop_unused"]),
    ("stop_stops_all", &["lifecycle/side_by_side"]),
    ("drain_hangs", &["lifecycle/drain"]),
    ("leaks", &["lifecycle/hundred_starts"]),
    ("spoiled_by_cancel", &["lifecycle/goes_on_after_cancel"]),
    ("no_records", &["capture/records", "capture/limit", "perf/poll", "capture/new_records"]),
    ("generous", &["capture/limit"]),
    ("silent_on_more", &["capture/says_more"]),
    ("endless", &["capture/to_the_end"]),
    ("no_positions", &["capture/positions", "capture/nothing_twice_in_a_row"]),
    ("forgetful", &["capture/resumes"]),
    ("deaf", &["capture/new_records"]),
    ("takes_any_position", &["capture/foreign_position"]),
    ("one_id", &["capture/identified"]),
    ("new_ids", &["capture/same_ids_again", "http/same_ids_again"]),
    ("shuffled", &["capture/same_order_again"]),
    ("not_json", &["capture/readable", "http/readable"]),
    ("refuses_acknowledgements", &["capture/acknowledged"]),
    ("wants_each_once", &["capture/acknowledged_twice"]),
    ("wants_its_own", &["capture/acknowledged_unknown"]),
    ("deletes_all_before", &["capture/acknowledged_in_any_order"]),
    ("deletes_early", &["capture/not_acknowledged"]),
    ("deletes_on_retry", &["capture/retry"]),
    ("strides", &["capture/one_at_a_time"]),
    ("stream_fails", &["stream/records"]),
    ("stream_gives_up", &["stream/goes_on_with_credit"]),
    ("stream_skips", &["stream/resumes"]),
    ("stream_never_ends", &["stream/drain"]),
    ("stream_blocks", &["stream/called_off"]),
    ("http_takes_nothing", &["http/examples"]),
    ("http_panics", &["http/odd_requests"]),
    ("http_status", &["http/statuses"]),
    ("lends_for_a_moment", &["leases/usable"]),
    ("extends_nothing", &["leases/extended", "leases/none"]),
    ("keeps_anything", &["leases/each_by_itself"]),
    ("no_leases_panic", &["leases/none"]),
    ("suggest_panics", &["lifecycle/suggest"]),
    ("wrong", &["lookup/examples", "lookup/order"]),
    ("missing_is_error", &["lookup/missing"]),
    ("reversed", &["lookup/order"]),
    ("lonely", &["lookup/alone_as_together"]),
    ("no_queries_panic", &["lookup/none"]),
    ("few_at_a_time", &["lookup/many"]),
    ("one_at_a_time", &["lookup/concurrent", "callback/concurrent"]),
    ("odd_panics", &["lookup/odd_attributes"]),
    ("fails_together", &["lookup/one_bad", "callback/one_bad"]),
    ("asks_nobody", &["lookup/down"]),
    ("never_delivers", &["callback/examples"]),
    ("lies", &["callback/arrives"]),
    (
        "tells_again",
        &["callback/again", "callback/again_after_restart", "callback/twice_in_a_batch"],
    ),
    ("no_deliveries_panic", &["callback/none"]),
    ("odd_details_panic", &["callback/odd_details"]),
    ("check_delivers", &["callback/check_tells_nothing"]),
    ("down_is_done", &["callback/down"]),
    ("logs_token", &["secrets/logs"]),
    ("tells_token", &["secrets/errors"]),
    ("records_tell_token", &["secrets/answers"]),
    ("faults_tell_token", &["secrets/faults"]),
    ("down_is_permanent", &["chaos/down"]),
    ("never_connects_again", &["chaos/up_again"]),
    ("impatient", &["chaos/slow"]),
    ("fears_the_past", &["chaos/clock_back"]),
    ("fears_the_future", &["chaos/clock_ahead"]),
    ("fears_waiting", &["chaos/slow_hub"]),
];

/// Cases that find what the test file says, not a fault of the plug-in.
const TOLD: [&str; 12] = [
    "panic/check",
    "panic/poll",
    "panic/stream",
    "panic/http",
    "panic/acknowledge",
    "panic/lookup",
    "panic/deliver",
    "lifecycle/cancel",
    "lifecycle/drain_deadline",
    "perf/start",
    "perf/lookup",
    "perf/deliver",
];

fn finds(script: &Script, fault: &str, case: &str) {
    let report = run(script.clone(), case);
    let ended = report.ended.iter().find(|ended| ended.case.id == case);
    let verdict = &ended.unwrap_or_else(|| panic!("there is no case {case}")).verdict;
    assert!(matches!(verdict, Verdict::Failed { .. }), "{case} does not find {fault}: {verdict:?}");
}

#[test]
fn each_fault_is_found() {
    for (fault, cases) in FAULTS {
        let mut script = script();
        script.source.config.insert("fault".to_owned(), json!(fault));
        for case in *cases {
            finds(&script, fault, case);
        }
    }
}

#[test]
fn what_is_provoked_is_looked_for() {
    let mut calm = script();
    let panic = calm.provoke.panic.as_mut().unwrap();
    for part in [&mut panic.config, &mut panic.capture, &mut panic.lookup, &mut panic.callback] {
        part.as_mut().unwrap().clear();
    }
    for case in TOLD.iter().filter(|case| case.starts_with("panic/")) {
        finds(&calm, "no panic", case);
    }
    let mut blocking = script();
    let hang = blocking.provoke.hang.as_mut().unwrap();
    hang.capture.as_mut().unwrap().insert("switch".to_owned(), json!("block"));
    hang.config = None;
    for case in ["lifecycle/cancel", "lifecycle/drain_deadline"] {
        finds(&blocking, "a blocked thread", case);
    }
    let mut slow = script();
    slow.source.config.insert("fault".to_owned(), Value::from("slow_create"));
    slow.perf.start_ms = 1000;
    slow.perf.lookups_per_s = f64::MAX;
    slow.perf.deliveries_per_s = f64::MAX;
    for case in ["perf/start", "perf/lookup", "perf/deliver"] {
        finds(&slow, "slowness", case);
    }
}

#[test]
fn each_case_can_fail() {
    let found = FAULTS.iter().flat_map(|(_, cases)| cases.iter().copied());
    let found: BTreeSet<_> = found.chain(TOLD).collect();
    let all = cases().map(|case| case.id).filter(|case| !is_elsewhere(case));
    assert_eq!(found, all.collect::<BTreeSet<_>>());
}
