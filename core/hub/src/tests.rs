//! The loop on a real store: repeats, groups, restarts, a full disk, questions.

use std::sync::Arc;

use gantry_model::command::Capture;
use gantry_model::spec::{
    Completion, CompletionMode, CurvePoint, OnChange, OnReopen, PrioritySchema, ProcessSpec,
    RouteSpec, RoutingSpec, Span, Spec,
};
use gantry_model::{Actor, Command, Document, ItemId, Millis, Name, Reply, Value};
use gantry_store::sqlite::{Options as StoreOptions, SqliteStore};
use gantry_store::{ConfigRow, Store};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    Booted, CaptureKey, Error, Handle, Head, Health, Hub, NewDocument, Options, Side, Submission,
    Work, boot,
};

/// A running hub on a store in a folder of its own.
struct Running {
    handle: Handle,
    store: Arc<dyn Store>,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), Error>>,
}

async fn start(folder: &TempDir, page_count_max: Option<u32>) -> Running {
    let path = folder.path().join("hub.db");
    let options = StoreOptions { page_count_max, ..StoreOptions::default() };
    let store = SqliteStore::open(path.to_str().unwrap(), options).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let Booted { state, seq, clock, down, config } = boot(&*store).await.unwrap();
    let io = tokio::runtime::Handle::current();
    let (hub, handle) = Hub::new(Options { store: Arc::clone(&store), state, seq, clock, io });
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(hub.run(stop.clone()));
    if config.is_none() {
        activate(&handle).await;
    }
    let booted = handle.command(Actor::Hub, Command::Boot { down }).await.unwrap();
    assert!(matches!(booted, Reply::Booted { .. }));
    Running { handle, store, stop, tasks }
}

impl Running {
    async fn stop(mut self) {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap().unwrap();
    }

    async fn capture(&self, id: &str, hash: u8) -> Reply {
        self.submit(vec![record(id, hash, None)]).await.pop().unwrap()
    }

    async fn submit(&self, work: Vec<Work>) -> Vec<Reply> {
        let actor = Actor::Source("leads".into());
        let submission = Submission { actor, work, side: Side::default() };
        self.handle.submit(submission).await.unwrap()
    }
}

/// Activates a config with one process, as the server does.
async fn activate(handle: &Handle) {
    let process = ProcessSpec {
        priority: "normal".into(),
        sla: None,
        route: RouteSpec::default(),
        offer_timeout: Millis::from_secs(30),
        decline_cool_down: Millis::from_secs(60),
        completion: Completion { mode: CompletionMode::DoneCloses, within: Millis::from_secs(60) },
        dispositions: Vec::new(),
        ..ProcessSpec::default()
    };
    let at = Span::Time(Millis(0));
    let schema = PrioritySchema::of_points(vec![CurvePoint { at, priority: 100.into() }]);
    let routing = Arc::new(RoutingSpec {
        priorities: [("normal".into(), schema)].into(),
        processes: [("sales/leads".into(), process)].into(),
        default_process: "sales/leads".into(),
        ..RoutingSpec::default()
    });
    let spec = Spec { routing: Arc::clone(&routing), ..Spec::default() };
    let row =
        ConfigRow { version: 1, json: spec.to_canonical_json(), sha256: [1; 32], at: handle.now() };
    let work = vec![Work::new(Command::Activate { version: 1, routing })];
    let side = Side { configs: vec![row], ..Side::default() };
    let replies = handle.submit(Submission { actor: Actor::Hub, work, side }).await.unwrap();
    assert!(matches!(replies[0], Reply::Done { .. }), "{replies:?}");
}

fn record(id: &str, hash: u8, message_id: Option<&str>) -> Work {
    let capture_point = Name::new("leads");
    let mut document = Document::default();
    document.set("name".into(), Value::Text(format!("lead {id}")), None);
    let command = Command::Capture(Capture {
        capture_point: capture_point.clone(),
        hash: [hash; 16],
        known: None,
        on_change: OnChange::Update,
        on_reopen: OnReopen::New,
        created_at: None,
        activation_at: None,
        verdict: None,
    });
    let key = CaptureKey {
        capture_point,
        external_id: id.into(),
        message_id: message_id.map(str::to_owned),
        hash: [hash; 16],
    };
    let document = NewDocument {
        attributes: document.to_vec(),
        payload: None,
        content_type: None,
        head: Head { name: Some(format!("lead {id}")), source_url: None, customer: None },
    };
    Work { command, key: Some(key), document: Some(document) }
}

fn created(reply: &Reply) -> ItemId {
    match reply {
        Reply::Created { item, .. } => *item,
        other => panic!("not created: {other:?}"),
    }
}

#[tokio::test]
async fn the_same_record_twice_in_one_submission_is_one_item() {
    let folder = tempfile::tempdir().unwrap();
    let hub = start(&folder, None).await;
    let replies =
        hub.submit(vec![record("L-1", 1, None), record("L-1", 1, None), record("L-1", 2, None)]);
    let replies = replies.await;
    let item = created(&replies[0]);
    assert_eq!(replies[1], Reply::Repeat { item });
    assert_eq!(replies[2], Reply::Changed { item, revision: 1 });
    hub.stop().await;
}

#[tokio::test]
async fn a_repeat_after_a_restart_is_recognised_by_content_and_by_message() {
    let folder = tempfile::tempdir().unwrap();
    let hub = start(&folder, None).await;
    let item = created(&hub.capture("L-1", 1).await);
    let by_message = created(&hub.submit(vec![record("L-2", 1, Some("m-1"))]).await[0]);
    hub.stop().await;
    let hub = start(&folder, None).await;
    assert_eq!(hub.capture("L-1", 1).await, Reply::Repeat { item });
    let again = hub.submit(vec![record("L-2", 9, Some("m-1"))]).await;
    assert_eq!(again, [Reply::Repeat { item: by_message }]);
    assert_ne!(created(&hub.capture("L-3", 1).await), item);
    hub.stop().await;
}

#[tokio::test]
async fn many_submitters_of_one_key_make_one_item() {
    let folder = tempfile::tempdir().unwrap();
    let hub = start(&folder, None).await;
    let mut submitters = JoinSet::new();
    for _ in 0..200 {
        let handle = hub.handle.clone();
        submitters.spawn(async move {
            let work = vec![record("L-1", 1, None)];
            let actor = Actor::Source("leads".into());
            let submission = Submission { actor, work, side: Side::default() };
            handle.submit(submission).await.unwrap().pop().unwrap()
        });
    }
    let replies = submitters.join_all().await;
    let n_created = replies.iter().filter(|reply| matches!(reply, Reply::Created { .. })).count();
    assert_eq!(n_created, 1);
    let stats = hub.handle.stats();
    assert!(stats.commits < 200, "commands share commits: {stats:?}");
    hub.stop().await;
}

#[tokio::test]
async fn a_question_is_answered_after_the_commit_of_what_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let hub = start(&folder, None).await;
    let mut followed = hub.handle.subscribe();
    let item = created(&hub.capture("L-1", 1).await);
    let seen = hub.handle.query(move |state, _| state.item(item).is_some()).await.unwrap();
    assert!(seen);
    assert!(hub.store.item(item).await.unwrap().is_some());
    let committed = followed.recv().await.unwrap();
    let names: Vec<_> = committed.segment.entries.iter().map(|e| e.event.name()).collect();
    assert_eq!(names, ["captured", "run_started"]);
    hub.stop().await;
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_the_hub_recovers() {
    const PAGES: u32 = 60;
    let folder = tempfile::tempdir().unwrap();
    let hub = start(&folder, Some(PAGES)).await;
    let mut health = hub.handle.health();
    let mut accepted = 0_u32;
    let refused = loop {
        let id = format!("L-{accepted}");
        let mut work = record(&id, 1, None);
        work.document.as_mut().unwrap().payload = Some(vec![b'x'; 4000].into());
        let submission = Submission {
            actor: Actor::Source("leads".into()),
            work: vec![work],
            side: Side::default(),
        };
        tokio::select! {
            reply = hub.handle.submit(submission) => {
                created(&reply.unwrap()[0]);
                accepted += 1;
            }
            degraded = health.wait_for(|health| matches!(health, Health::Degraded { .. })) => {
                break degraded.unwrap().clone();
            }
        }
    };
    assert!(matches!(refused, Health::Degraded { reason } if reason.contains("full")));
    let error = hub.handle.command(Actor::Hub, Command::Tick).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    // Whatever was answered is there after a restart with more room.
    let Running { mut tasks, store, .. } = hub;
    tasks.shutdown().await;
    drop(store);
    let hub = start(&folder, None).await;
    for number in 0..accepted {
        let id = format!("L-{number}");
        assert!(hub.store.find("leads", &id).await.unwrap().is_some(), "{id} is lost");
    }
    hub.stop().await;
}
