//! Plug-ins in processes of their own: they do what they do in-process, and what ends one of them
//! ends nothing else.

mod kills;

use std::fs;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_plugin_api::{ErrorClass, Json, Position, Query};

use super::support::{Folder, NOW_MS, isolate, misbehaving, told};
use crate::{
    CallError, CaptureHandle, ChildError, Host, Instance, Isolated, Library, Limits, Options,
    Refusal, State, run_child,
};

/// Longer than anything takes that goes well.
const WITHIN: Duration = Duration::from_mins(1);

/// No test: this is where the child processes of the others begin.
#[test]
fn child() {
    let error = run_child().unwrap_err();
    assert!(matches!(error, ChildError::NoHub), "{error}");
}

/// Asks until it goes well: while a process is started again, operations fail as transient.
async fn at_last<T, F: Future<Output = Result<T, CallError>>>(ask: impl Fn() -> F) -> T {
    let until = Instant::now() + WITHIN;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => {
                assert_eq!(error.class(), ErrorClass::Transient, "{error:?}");
                assert!(Instant::now() < until, "{error:?}");
                tokio::task::yield_now().await;
            }
        }
    }
}

fn words(error: &CallError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// A capture point told to do something, beside one that does well, in one process.
struct Pair {
    instance: Instance,
    bad: CaptureHandle,
    good: CaptureHandle,
}

impl Pair {
    async fn new(library: &Arc<Library>, behaviour: &str) -> Self {
        let instance = misbehaving(library, "{}").await;
        let bad = instance.attach_capture("bad", told(behaviour)).await.unwrap();
        let good = instance.attach_capture("good", told("well")).await.unwrap();
        Self { instance, bad, good }
    }
}

#[tokio::test]
async fn the_same_library_does_the_same_in_a_process() {
    let folder = Folder::with(&["counter", "misbehaving"]);
    let counter = folder.isolate("counter");
    let row = counter.create("row", b"{\"last\": 5}".to_vec(), &[]).await.unwrap();
    let capture = row.attach_capture("odd", b"{\"step\": 2}".to_vec()).await.unwrap();
    let first = capture.poll(None, 2).await.unwrap();
    assert_eq!(first.records[1].payload.as_ref(), br#"{"number":3}"#);
    let second = capture.poll(first.records[1].position.clone(), 2).await.unwrap();
    assert_eq!(second.records[0].message_id.as_deref(), Some("5"));

    let lookup = row.attach_lookup("even", b"{}".to_vec()).await.unwrap();
    let query = Query::new(Json::from_bytes(br#"{"number": 4}"#.as_slice()));
    let answers = lookup.lookup(&[query]).await.unwrap();
    let answer = answers[0].as_ref().unwrap().as_ref().unwrap();
    assert_eq!(answer.attributes.as_bytes(), br#"{"even":true}"#);
    assert_eq!(row.health().state, State::Running);

    let other = misbehaving(&folder.isolate("misbehaving"), "{}").await;
    let capture = other.attach_capture("a", b"{}".to_vec()).await.unwrap();
    let batch = capture.poll(None, 1).await.unwrap();
    let now_ms: i64 = std::str::from_utf8(&batch.records[0].payload).unwrap().parse().unwrap();
    assert!((NOW_MS..NOW_MS + 60_000).contains(&now_ms), "{now_ms}");
    let mut stream = capture.stream(None, 3).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().records.len(), 3);
    stream.grant(2);
    assert_eq!(stream.next().await.unwrap().unwrap().records.len(), 2);
    drop(stream);
    other.drain(WITHIN).await.unwrap();
    other.stop().await.unwrap();
    assert_eq!(counter.n_violations(), 0);
}

#[tokio::test]
async fn whatever_ends_a_process_is_told_and_ends_nothing_else() {
    let folder = Folder::with(&["misbehaving"]);
    let beside = Pair::new(&folder.isolate("misbehaving"), "well").await;
    let library = folder.isolate("misbehaving");
    for (behaviour, why) in [
        ("segfault", "killed by SIGSEGV in poll bad"),
        ("abort", "killed by SIGABRT in poll bad"),
        ("overflow", "killed by SIGSEGV in poll bad"),
        ("close_connection", ""),
        ("garbage", "it broke the protocol: cannot read a frame of kind 255"),
        ("huge_frame", "it broke the protocol: cannot take a frame `complete` of 4294967295 bytes"),
    ] {
        let pair = Pair::new(&library, behaviour).await;
        let before = pair.instance.health().process;
        let error = pair.bad.poll(None, 1).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{behaviour}: {error:?}");
        let told = words(&error);
        let expected = format!("plug-in `misbehaving` of source crm failed: {why}");
        assert!(told.starts_with(&expected), "{behaviour}: {told}");

        let polled = beside.good.poll(None, 1).await.unwrap();
        assert_eq!(polled.records.len(), 1, "another process lives on");
        let polled = at_last(|| pair.good.poll(None, 1)).await;
        assert_eq!(polled.records.len(), 1, "what was attached is attached again");
        let after = pair.instance.health();
        assert_eq!(after.state, State::Running);
        assert!(after.process.is_some() && after.process != before, "{behaviour}");
    }
    assert_eq!(beside.instance.health().n_violations, 0);
    let fared = library.process().unwrap();
    assert_eq!((fared.n_restarts, fared.n_quarantines, fared.quarantined), (6, 0, false));
    let (failed_at_ms, why) = fared.last_failure.unwrap();
    assert!(failed_at_ms >= NOW_MS, "{failed_at_ms}");
    assert!(why.contains("4294967295 bytes"), "{why}");
}

#[tokio::test]
async fn what_never_ends_is_ended_when_nobody_wants_it_any_more() {
    let folder = Folder::with(&["misbehaving"]);
    let mut options = folder.isolating();
    options.timing.grace = Duration::from_millis(100);
    let pair = Pair::new(&isolate(options, "misbehaving"), "spin").await;
    // The only thread of the plug-in spins, so another poll waits until the process is ended. What
    // is called off before the plug-in has begun with it does not spin, and is asked for again.
    let until = Instant::now() + WITHIN;
    let error = loop {
        let spins = pair.bad.poll(None, 1);
        tokio::time::timeout(Duration::from_millis(10), spins).await.unwrap_err();
        match pair.good.poll(None, 1).await {
            Err(error) => break error,
            Ok(_) => assert!(Instant::now() < until),
        }
    };
    assert!(
        words(&error).contains("it did not end `poll` bad within 0.1 s after it was called off"),
        "{error:?}"
    );
    at_last(|| pair.good.poll(None, 1)).await;
    let fared = pair.instance.library().process().unwrap();
    assert!(fared.cpu_before > Duration::ZERO, "what it spun away is kept: {fared:?}");
    let taken = crate::usage(&[fared.process.unwrap()])[0].unwrap();
    assert!(taken.memory_bytes > 0 && taken.n_processes >= 1, "{taken:?}");
}

#[tokio::test]
async fn a_process_that_does_not_end_is_killed_in_time() {
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.isolate("misbehaving");
    let pair = Pair::new(&library, "spin").await;
    let process = pair.instance.health().process.unwrap();
    let ending = Arc::clone(&library);
    let (spun, ended) = tokio::join!(
        pair.bad.poll(None, 1),
        tokio::task::spawn_blocking(move || ending.shutdown(Duration::from_millis(50)))
    );
    ended.unwrap();
    assert_eq!(spun.unwrap_err().class(), ErrorClass::Canceled);
    assert!(!fs::exists(format!("/proc/{process}")).unwrap());
    let error = pair.good.poll(None, 1).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Canceled);
}

#[tokio::test]
async fn a_process_ends_with_the_last_who_uses_it() {
    let folder = Folder::with(&["misbehaving"]);
    let pair = Pair::new(&folder.isolate("misbehaving"), "well").await;
    let process = pair.instance.health().process.unwrap();
    drop(pair);
    let until = Instant::now() + WITHIN;
    while fs::exists(format!("/proc/{process}")).unwrap() {
        assert!(Instant::now() < until);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_counted_and_dropped() {
    let folder = Folder::with(&["misbehaving"]);
    let pair = Pair::new(&folder.isolate("misbehaving"), "double_complete").await;
    assert_eq!(pair.bad.poll(None, 1).await.unwrap().records.len(), 1);
    assert_eq!(pair.good.poll(None, 1).await.unwrap().records.len(), 1);
    assert_eq!(pair.instance.health().n_violations, 5);
}

#[tokio::test]
async fn records_without_credit_end_the_stream_at_the_first_that_is_lost() {
    let folder = Folder::with(&["misbehaving"]);
    let pair = Pair::new(&folder.isolate("misbehaving"), "without_credit").await;
    let mut stream = pair.bad.stream(None, 2).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().records.len(), 1);
    assert_eq!(stream.next().await.unwrap().unwrap().records.len(), 1);
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Protocol, "{error:?}");
    assert!(stream.next().await.is_none());
    // The plug-in guesses the numbers of operations; what it has still on the way may hit this one.
    let batch = loop {
        match pair.good.poll(None, 1).await {
            Ok(batch) => break batch,
            Err(error) => assert_eq!(error.class(), ErrorClass::Protocol, "{error:?}"),
        }
    };
    assert_eq!(batch.records.len(), 1);
}

#[tokio::test]
async fn a_flood_of_lines_slows_only_the_one_who_writes_them() {
    let folder = Folder::with(&["misbehaving"]);
    let beside = Pair::new(&folder.isolate("misbehaving"), "well").await;
    let pair = Pair::new(&folder.isolate("misbehaving"), "flood").await;
    let polls = async {
        for _ in 0..200 {
            beside.good.poll(None, 10).await.unwrap();
        }
    };
    tokio::select! {
        flooded = pair.bad.poll(None, 1) => panic!("{flooded:?}"),
        () = polls => {}
    }
    // Called off, it stops, and the same process answers.
    assert_eq!(pair.good.poll(None, 1).await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn what_a_process_leaves_behind_goes_with_it() {
    let folder = Folder::with(&["misbehaving"]);
    let pair = Pair::new(&folder.isolate("misbehaving"), "orphans").await;
    pair.bad.poll(None, 1).await.unwrap_err();
    // Whose parent has died is this process's child.
    let ours = format!("\nPPid:\t{}\n", std::process::id());
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let children = processes.filter(|process| {
        fs::read_to_string(process.join("status")).is_ok_and(|status| status.contains(&ours))
    });
    let lines = children.filter_map(|child| fs::read(child.join("cmdline")).ok());
    assert_eq!(lines.filter(|line| line == b"/bin/sleep\x001000\0").count(), 0);
    at_last(|| pair.good.poll(None, 1)).await;
}

#[tokio::test]
async fn a_reply_too_long_for_a_frame_fails_alone() {
    let folder = Folder::with(&["misbehaving"]);
    let pair = Pair::new(&folder.isolate("misbehaving"), "huge_reply").await;
    let error = pair.bad.poll(None, 1).await.unwrap_err();
    assert_eq!(
        (error.class(), words(&error)),
        (ErrorClass::Permanent, "cannot send the reply".into())
    );
    let position = Position::new(vec![7; 4096]).unwrap();
    assert_eq!(pair.good.poll(Some(position), 1).await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn a_process_gets_no_more_memory_than_its_limit() {
    let folder = Folder::with(&["misbehaving"]);
    let limits = Limits { memory_bytes: Some(512 << 20), ..Limits::default() };
    let isolated = Isolated { source: "crm", config: &serde_json::Value::Null, limits };
    let library = Host::new(folder.isolating()).load_isolated("misbehaving", &isolated).unwrap();
    let pair = Pair::new(&library, "devour").await;
    let error = pair.bad.poll(None, 1).await.unwrap_err();
    assert!(words(&error).contains("killed by SIGABRT in poll bad"), "{error:?}");
    at_last(|| pair.good.poll(None, 1)).await;
}

#[tokio::test]
async fn what_the_manifest_does_not_permit_is_refused_by_the_kernel() {
    let folder = Folder::with(&["misbehaving"]);
    let pair = Pair::new(&folder.isolate("misbehaving"), "trespass").await;
    let error = pair.bad.poll(None, 1).await.unwrap_err();
    let denied = "Permission denied (os error 13)";
    assert_eq!(
        words(&error),
        format!(
            "write: {denied}; read: {denied}; start: {denied}; \
             connect: Operation not permitted (os error 1); own: done; \
             home: environment variable not found"
        ),
    );
}

#[tokio::test]
async fn who_fails_too_often_is_quarantined_with_the_reason() {
    let folder = Folder::with(&["misbehaving"]);
    let mut options = folder.isolating();
    options.timing.failures_max = 3;
    let pair = Pair::new(&isolate(options, "misbehaving"), "segfault").await;
    for _ in 0..3 {
        at_last(|| pair.good.poll(None, 1)).await;
        pair.bad.poll(None, 1).await.unwrap_err();
    }
    let until = Instant::now() + WITHIN;
    while pair.instance.health().state != State::Quarantined {
        assert!(Instant::now() < until);
        tokio::task::yield_now().await;
    }
    let error = pair.good.poll(None, 1).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Config);
    assert_eq!(
        words(&error),
        "plug-in `misbehaving` of source crm is quarantined: killed by SIGSEGV in poll bad, 3 \
         times in 10 min; reload it to try it again: gantry plugin reload misbehaving",
    );
}

#[test]
fn what_does_not_start_is_refused_with_the_reason() {
    #[track_caller]
    fn refused(options: Options, name: &str, limits: Limits) -> String {
        let isolated = Isolated { source: "crm", config: &serde_json::Value::Null, limits };
        let refusal = Host::new(options).load_isolated(name, &isolated).unwrap_err();
        assert!(matches!(refusal, Refusal::Start { .. }) && refusal.code() == "GANTRY-P026");
        refusal.to_string()
    }
    let folder = Folder::with(&["counter", "crashing"]);
    let crashed = refused(folder.isolating(), "crashing", Limits::default());
    assert!(crashed.ends_with("in a process of its own: killed by SIGABRT"), "{crashed}");

    let mut options = folder.isolating();
    options.program.path = "/no/such/program".into();
    let absent = refused(options, "counter", Limits::default());
    assert!(absent.contains("its process cannot be started: No such file"), "{absent}");

    let mut options = folder.isolating();
    options.program = crate::Program { path: "/bin/sleep".into(), arguments: vec!["100".into()] };
    options.timing.start_timeout = Duration::from_millis(100);
    let silent = refused(options, "counter", Limits::default());
    assert!(silent.contains("it was not ready within 0.1 s after its start"), "{silent}");
}
