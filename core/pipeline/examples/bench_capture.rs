//! Measures capture without HTTP: JSON → mapped → classified → queued → durable, on SQLite.
//!
//! `cargo run --release -p gantry-pipeline --example bench_capture -- [batches|256|...]`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gantry_hub::{Booted, Hub, Side, Submission, Work, boot};
use gantry_model::spec::{
    CaptureSpec, Completion, CompletionMode, Confirm, CurvePoint, OnChange, OnReopen,
    PrioritySchema, ProcessSpec, RouteSpec, RoutingSpec, SegmentLevel, SegmentRule, Sla, Span,
    Spec,
};
use gantry_model::{Actor, Command, Millis};
use gantry_pipeline::{Handle, Kept, Limits, Pipeline, PipelineParts};
use gantry_store::ConfigRow;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long each way is measured.
const SPAN: Duration = Duration::from_secs(4);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("bench.db").display());
    let store = gantry_store::open(&url).await.expect("a store");
    let Booted { state, seq, clock, .. } = boot(&*store).await.expect("an empty store");
    let io = tokio::runtime::Handle::current();
    let options = gantry_hub::Options { store: Arc::clone(&store), state, seq, clock, io };
    let (engine, hub) = Hub::new(options);
    let stop = CancellationToken::new();
    let stop_engine = stop.clone();
    let engine = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(engine.run(stop_engine))
    });
    let mut maintenance = JoinSet::new();
    let maintained = Arc::clone(&store);
    maintenance.spawn(async move { maintained.maintain().await });

    let spec = Arc::new(spec());
    activate(&hub, &spec).await;
    let (rules, findings) = gantry_rules::compile(&spec);
    assert!(findings.is_empty(), "{findings:?}");
    let parts = PipelineParts {
        vault: None,
        kept: Kept::default(),
        spec,
        version: 1,
        rules: Arc::new(rules),
        hub,
        store,
        sources: BTreeMap::default(),
        after_seq: seq,
        limits: Limits::default(),
    };
    let (_pipeline, handle) = Pipeline::build(parts).await.expect("a pipeline");
    let only = std::env::args().nth(1).unwrap_or_default();
    let ways = [
        ("batches of 100, 32 senders", 32, 100),
        ("single, 256 senders", 256, 1),
        ("single, 1 sender", 1, 1),
    ];
    for (name, senders, batch) in ways.into_iter().filter(|(name, ..)| name.contains(&only)) {
        report(name, send(&handle, senders, batch).await);
    }
    stop.cancel();
    engine.join().expect("the loop").expect("a clean end");
}

/// Items, time, and the time of each request in microseconds.
struct Measured {
    items: u64,
    took: Duration,
    micros: Vec<u64>,
}

fn report(name: &str, Measured { items, took, mut micros }: Measured) {
    micros.sort_unstable();
    let at = |share: usize| micros[(micros.len() - 1) * share / 1000];
    let rate = items as f64 / took.as_secs_f64();
    let (p50, p99, max) = (at(500), at(990), at(1000));
    println!("{name:28} {rate:9.0} items/s   p50 {p50} µs   p99 {p99} µs   max {max} µs");
}

async fn send(handle: &Handle, senders: usize, batch: u64) -> Measured {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..senders {
        let handle = handle.clone();
        tasks.spawn(async move {
            let mut micros = Vec::new();
            while begun.elapsed() < SPAN {
                let first = NEXT.fetch_add(batch, Ordering::Relaxed);
                let body = Bytes::from(body(first, batch));
                let sent = Instant::now();
                let outcomes = handle.capture_json("leads", body, None).await.expect("captured");
                micros.push(sent.elapsed().as_micros() as u64);
                assert_eq!(outcomes.len() as u64, batch);
            }
            micros
        });
    }
    let mut micros = Vec::new();
    while let Some(sent) = tasks.join_next().await {
        micros.extend(sent.expect("a sender"));
    }
    Measured { items: micros.len() as u64 * batch, took: begun.elapsed(), micros }
}

/// Records of about 400 bytes.
fn body(first: u64, batch: u64) -> String {
    let record = |n: u64| {
        format!(
            r#"{{"Id":"L-{n:012}","Name":"Customer number {n}","Company":"Company {n} Limited","Segment":"Gold","Product":"loan","Phone":"+49 30 {n:09}","Amount":"{}.50","Channel":"web","CreatedDate":"2026-01-31T08:00:00Z","Description":"wants to be called back about an offer that was sent last week and has questions about its terms","Url":"https://crm.example/leads/{n}"}}"#,
            n % 10_000
        )
    };
    if batch == 1 {
        return record(first);
    }
    let records: Vec<String> = (first..first + batch).map(record).collect();
    format!("[{}]", records.join(","))
}

async fn activate(hub: &gantry_hub::Handle, spec: &Spec) {
    let row =
        ConfigRow { version: 1, json: spec.to_canonical_json(), sha256: [1; 32], at: hub.now() };
    let routing = Arc::clone(&spec.routing);
    let work = vec![Work::new(Command::Activate { version: 1, routing })];
    let side = Side { configs: vec![row], ..Side::default() };
    hub.submit(Submission { actor: Actor::Hub, work, side }).await.expect("activated");
}

fn spec() -> Spec {
    let process = ProcessSpec {
        priority: "normal".into(),
        sla: Some(Sla::Wall(Millis::from_secs(72 * 3600))),
        route: RouteSpec::default(),
        offer_timeout: Millis::from_secs(30),
        decline_cool_down: Millis::from_secs(60),
        completion: Completion { mode: CompletionMode::DoneCloses, within: Millis::from_secs(60) },
        ..ProcessSpec::default()
    };
    let at = Span::Time(Millis(0));
    let schema = PrioritySchema::of_points(vec![CurvePoint { at, priority: 100.into() }]);
    let routing = RoutingSpec {
        priorities: [("normal".into(), schema)].into(),
        processes: [("sales/leads".into(), process)].into(),
        default_process: "sales/leads".into(),
        ..RoutingSpec::default()
    };
    let map = [
        ("external_id", "record.Id"),
        ("name", "record.Name"),
        ("customer_segment", "record.Segment"),
        ("product", "record.Product"),
        ("channel", "record.Channel"),
        ("deal_value", "record.Amount"),
        ("source_created_at", "record.CreatedDate"),
        ("source_url", "record.Url"),
    ];
    let capture = CaptureSpec {
        source: None,
        settings: serde_json::Value::Null,
        every: None,
        batch: 100,
        map: map.into_iter().map(|(name, text)| (name.into(), text.into())).collect(),
        defaults: BTreeMap::default(),
        message: None,
        on_change: OnChange::Update,
        on_reopen: OnReopen::New,
        confirm: Confirm::None,
        lookups: None,
        ..CaptureSpec::default()
    };
    let gold = SegmentRule {
        id: "gold".into(),
        level: SegmentLevel::Global,
        when: Some(r#"item.customer_segment == "Gold" && item.product == "loan""#.into()),
        process: Some("sales/leads".into()),
        sla: Some(Sla::Wall(Millis::from_secs(24 * 3600))),
        ..SegmentRule::default()
    };
    Spec {
        captures: [("leads".into(), capture)].into(),
        segmentation: vec![gold],
        routing: Arc::new(routing),
        ..Spec::default()
    }
}
