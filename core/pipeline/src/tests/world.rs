//! A hub with its store in a folder of its own, and a pipeline over scripted plug-ins.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_hub::{Booted, Hub, Options, Side, Submission, Work, boot};
use gantry_model::agent::AgentProfile;
use gantry_model::spec::{
    CallbackSpec, CaptureSpec, Completion, CompletionMode, Confirm, CurvePoint, OnChange,
    OnFailure, OnReopen, PrioritySchema, ProcessSpec, RouteSpec, RoutingSpec, Span, Spec,
};
use gantry_model::spec::{Isolation, LookupSpec, ProcessLimits, SourceSpec};
use gantry_model::{
    Actor, AttributeType, Command, Document, ItemId, Millis, Name, Presence, Reply, WorkItem,
};
use gantry_store::{ConfigRow, DeadLetter, DeadLetterFilter, Store};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::flaky::FlakyStore;
use crate::pipeline::{Core, Ports};
use crate::{Change, Handle, Limits, Outcome, Pipeline, Settled};

/// A wait that only ends this way when something is broken.
const TOO_LONG: Duration = Duration::from_secs(30);

pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) hub: gantry_hub::Handle,
    pub(super) store: Arc<FlakyStore>,
    pub(super) pipeline: Handle,
    stop_hub: CancellationToken,
    stop_pipeline: CancellationToken,
    hub_task: JoinSet<Result<(), gantry_hub::Error>>,
    pipeline_task: JoinSet<()>,
}

impl World {
    pub(super) async fn start(spec: Spec, ports: Ports) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), spec, ports).await
    }

    pub(super) async fn start_in(folder: TempDir, spec: Spec, ports: Ports) -> Self {
        Self::start_with(folder, spec, ports, quick()).await
    }

    pub(super) async fn start_with(
        folder: TempDir,
        spec: Spec,
        ports: Ports,
        limits: Limits,
    ) -> Self {
        let store = Arc::new(FlakyStore::new(open(folder.path()).await));
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let Booted { state, seq, clock, down, config } = boot(&*shared).await.unwrap();
        let io = tokio::runtime::Handle::current();
        let options = Options { store: Arc::clone(&shared), state, seq, clock, io };
        let (engine, hub) = Hub::new(options);
        let (stop_hub, stop_pipeline) = (CancellationToken::new(), CancellationToken::new());
        let mut hub_task = JoinSet::new();
        hub_task.spawn(engine.run(stop_hub.clone()));
        if config.is_none() {
            activate(&hub, &spec).await;
        }
        hub.command(Actor::Hub, Command::Boot { down }).await.unwrap();
        let (rules, findings) = gantry_rules::compile(&spec);
        assert!(findings.is_empty(), "{findings:?}");
        let core = Core {
            spec: Arc::new(spec),
            version: 1,
            rules: Arc::new(rules),
            hub: hub.clone(),
            store: shared,
            after_seq: seq,
            limits,
        };
        let (service, pipeline) = Pipeline::over(core, ports).await.unwrap();
        let mut pipeline_task = JoinSet::new();
        let stop = stop_pipeline.clone();
        pipeline_task.spawn(async move { service.run(stop).await.unwrap() });
        Self { folder, hub, store, pipeline, stop_hub, stop_pipeline, hub_task, pipeline_task }
    }

    /// Ends everything in order.
    pub(super) async fn stop(mut self) -> TempDir {
        self.stop_pipeline.cancel();
        let stopped = tokio::time::timeout(TOO_LONG, self.pipeline_task.join_next()).await;
        stopped.expect("the pipeline drains").unwrap().unwrap();
        self.stop_hub.cancel();
        self.hub_task.join_next().await.unwrap().unwrap().unwrap();
        self.folder
    }

    /// Ends everything where it stands.
    pub(super) async fn crash(mut self) -> TempDir {
        self.pipeline_task.shutdown().await;
        self.hub_task.shutdown().await;
        self.folder
    }

    pub(super) async fn capture(&self, records: serde_json::Value) -> Vec<Outcome> {
        let body = Bytes::from(records.to_string());
        self.pipeline.capture_json("leads", body, None).await.unwrap()
    }

    /// Captures one new item.
    pub(super) async fn create(&self, record: serde_json::Value) -> ItemId {
        let outcomes = self.capture(record).await;
        match outcomes[0].settled {
            Settled::Accepted { item, change: Change::Created } => item,
            ref other => panic!("not created: {other:?}"),
        }
    }

    pub(super) async fn command(&self, command: Command) -> Reply {
        self.hub.command(Actor::Hub, command).await.unwrap()
    }

    pub(super) async fn item(&self, item: ItemId) -> WorkItem {
        self.store.item(item).await.unwrap().unwrap().item
    }

    pub(super) async fn document(&self, item: ItemId) -> Document {
        let row = self.store.document(item, None).await.unwrap().unwrap();
        let intake = self.pipeline.intake();
        intake.read_document(&row.attributes).unwrap()
    }

    pub(super) async fn dead_letters(&self) -> Vec<DeadLetter> {
        let filter = DeadLetterFilter { open: Some(true), limit: 100, ..Default::default() };
        self.store.dead_letters(&filter).await.unwrap()
    }

    /// Waits until a commit makes `holds` true of the live item; an item that ended is `None`.
    pub(super) async fn until(
        &self,
        item: ItemId,
        holds: impl Fn(Option<&WorkItem>) -> bool + Clone + Send + 'static,
    ) {
        let mut committed = self.hub.subscribe();
        let wait = async {
            loop {
                let holds = holds.clone();
                if self.hub.query(move |state, _| holds(state.item(item).as_ref())).await.unwrap() {
                    return;
                }
                committed.recv().await.unwrap();
            }
        };
        soon(wait).await;
    }

    /// Waits until a condition holds that some commit brings about.
    pub(super) async fn until_stored<F>(&self, holds: impl Fn() -> F)
    where
        F: Future<Output = bool>,
    {
        let mut committed = self.hub.subscribe();
        let wait = async {
            while !holds().await {
                committed.recv().await.unwrap();
            }
        };
        soon(wait).await;
    }

    /// An agent who takes whatever is offered.
    pub(super) async fn agent(&self, id: &str) {
        let capacity = [(Name::new("workitem"), 100)].into();
        let profile = AgentProfile { capacity, ..AgentProfile::new(id) };
        self.command(Command::PutAgent(profile)).await;
        let presence = Presence::Ready;
        self.command(Command::SetPresence { agent: id.into(), presence }).await;
    }

    /// The agent accepts the item's offer and marks it done.
    pub(super) async fn accept_and_finish(&self, item: ItemId, agent: &str) {
        self.until(item, |item| item.is_some_and(|item| item.agent().is_some())).await;
        let (epoch, agent) = (self.item(item).await.epoch, Name::new(agent));
        let accept = Command::Accept { item, epoch, agent: agent.clone() };
        assert!(matches!(self.command(accept).await, Reply::Done { .. }));
        let epoch = self.item(item).await.epoch;
        let (disposition, changed_from) = (Some("Processed".into()), None);
        let done = Command::MarkDone { item, epoch, agent, disposition, changed_from };
        let reply = self.command(done).await;
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    }
}

/// Waits for what has to happen soon.
pub(super) async fn soon<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(TOO_LONG, wait).await.expect("it happens soon")
}

async fn open(folder: &Path) -> Arc<dyn Store> {
    let url = format!("sqlite:{}", folder.join("hub.db").display());
    gantry_store::open(&url).await.unwrap()
}

async fn activate(hub: &gantry_hub::Handle, spec: &Spec) {
    let row =
        ConfigRow { version: 1, json: spec.to_canonical_json(), sha256: [1; 32], at: hub.now() };
    let routing = Arc::clone(&spec.routing);
    let work = vec![Work::new(Command::Activate { version: 1, routing })];
    let side = Side { configs: vec![row], ..Side::default() };
    let replies = hub.submit(Submission { actor: Actor::Hub, work, side }).await.unwrap();
    assert!(matches!(replies[0], Reply::Done { .. }), "{replies:?}");
}

/// Bounds with pauses that a test can wait for.
pub(super) fn quick() -> Limits {
    Limits {
        pause_first: Duration::from_millis(1),
        pause_longest: Duration::from_millis(4),
        callback_pauses: vec![Duration::from_millis(1)],
        breaker_failures: 1000,
        alerts_every: Duration::from_millis(5),
        lease_every_min: Duration::from_millis(1),
        ..Limits::default()
    }
}

/// One process; capture point `leads` of source `crm`, whose records are taken as they are.
pub(super) fn spec() -> Spec {
    let process = ProcessSpec {
        priority: "normal".into(),
        sla: None,
        route: RouteSpec::default(),
        offer_timeout: Millis::from_secs(300),
        decline_cool_down: Millis::from_secs(60),
        completion: Completion {
            mode: CompletionMode::DoneThenConfirm,
            within: Millis::from_secs(3600),
        },
        dispositions: vec!["Processed".into()],
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
    let crm = SourceSpec {
        plugin: "crm".into(),
        isolation: Isolation::default(),
        limits: ProcessLimits::default(),
        config: json!({}),
    };
    Spec {
        sources: [("crm".into(), crm)].into(),
        captures: [("leads".into(), capture())].into(),
        routing: Arc::new(routing),
        ..Spec::default()
    }
}

pub(super) fn capture() -> CaptureSpec {
    CaptureSpec {
        source: Some("crm".into()),
        settings: json!({}),
        every: None,
        batch: 100,
        map: BTreeMap::default(),
        defaults: BTreeMap::default(),
        message: Some("record.message".into()),
        on_change: OnChange::Update,
        on_reopen: OnReopen::New,
        confirm: Confirm::Message,
        lookups: None,
        ..CaptureSpec::default()
    }
}

/// The spec with its one capture point changed.
pub(super) fn spec_with(change: impl FnOnce(&mut CaptureSpec)) -> Spec {
    let mut spec = spec();
    change(spec.captures.get_mut("leads").unwrap());
    spec
}

/// Look-up `nps`: asked with `customer_id`, yields the integer `nps`.
pub(super) fn lookup(on_failure: OnFailure) -> LookupSpec {
    LookupSpec {
        source: "crm".into(),
        settings: json!({"query": "SELECT nps FROM customer WHERE id = :customer_id"}),
        when: Some("has(item.customer_id)".into()),
        yields: [("nps".into(), AttributeType::Integer)].into(),
        timeout: Millis::from_secs(20),
        retries: 1,
        cache: None,
        on_failure,
        ..LookupSpec::default()
    }
}

pub(super) fn callback(on: &[&str]) -> CallbackSpec {
    CallbackSpec {
        source: "crm".into(),
        settings: json!({}),
        on: on.iter().copied().map(Name::new).collect(),
        captures: std::collections::BTreeSet::default(),
        timeout: Millis::from_secs(20),
        attempts: 3,
    }
}
