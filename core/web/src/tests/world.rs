//! A hub, a store and a web server in a temporary folder, and a client that calls the router.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use bytes::Bytes;
use gantry_engine::State;
use gantry_hub::{CaptureKey, Handle, Head, Hub, HubClock, NewDocument, Submission, Work};
use gantry_model::command::{Capture, Classified, Verdict};
use gantry_model::requirement::Compare;
use gantry_model::spec::{
    Bound, CalendarSpec, CapacityRule, Completion, CompletionMode, CurvePoint, Hours, MessageKind,
    OnChange, OnReopen, PrioritySchema, ProcessSpec, RouteSpec, RoutingSpec, Sla, Span, Spec,
    Weekday,
};
use gantry_model::{
    Actor, Classification, Command, Document, Millis, Name, Reply, Requirement, Timestamp,
    TraceParent, Value,
};
use gantry_store::Store;
use http_body_util::BodyExt as _;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::app::App;
use crate::intake::{
    ConfigReload, Intake, IntakeError, Message, Move, RecordOutcome, RecordResult, SourceReload,
    Target, Watch,
};
use crate::token::{Claims, Key, Role};
use crate::{Options, Parts, Web};

/// Everything a test needs. Dropping it ends the hub.
pub(super) struct World {
    pub(super) router: Router,
    pub(super) app: Arc<App>,
    pub(super) hub: Handle,
    pub(super) store: Arc<dyn Store>,
    pub(super) key: Key,
    pub(super) intake: Arc<StandIn>,
    running: JoinSet<()>,
    _folder: TempDir,
}

/// An answer, read completely.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) text: String,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(super) async fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gantry.db");
        let store = gantry_store::open(&format!("sqlite:{}", path.display())).await.unwrap();
        let clock = Arc::new(HubClock::new(Timestamp(0)));
        let (hub, handle) = Hub::new(gantry_hub::Options {
            store: Arc::clone(&store),
            state: State::new(0),
            seq: 0,
            clock,
            io: tokio::runtime::Handle::current(),
        });
        let mut running = JoinSet::new();
        running.spawn(async move { hub.run(CancellationToken::new()).await.unwrap() });
        let routing = Arc::new(routing());
        let activate = Command::Activate { version: 1, routing: Arc::clone(&routing) };
        handle.command(Actor::Hub, activate).await.unwrap();
        let skills = ["sales".into(), "german".into()].into();
        let groups = ["berlin".into()].into();
        let spec = Arc::new(Spec { routing, skills, groups, ..Spec::default() });
        let intake = Arc::new(StandIn {
            hub: handle.clone(),
            spec,
            next: Mutex::new(None),
            begun: Notify::new(),
            told: Mutex::default(),
            moved: Mutex::default(),
        });
        let key = Key::from_bytes(&[7; 32]);
        let web = Web::new(Parts {
            hub: handle.clone(),
            store: Arc::clone(&store),
            intake: intake.clone(),
            key: key.clone(),
            options,
        });
        let (router, app) = (web.router(), Arc::clone(&web.app));
        Self { router, app, hub: handle, store, key, intake, running, _folder: folder }
    }

    /// A token that ends in an hour.
    pub(super) fn token(&self, role: Role) -> String {
        let expires_at = Some(self.hub.now().plus(Millis::from_secs(3600)));
        self.key.issue(&Claims { name: Name::new("test"), role, expires_at })
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// A request with a token, and a JSON body unless it is `null`.
    pub(super) async fn call(&self, role: Role, method: &str, path: &str, body: Json) -> Answer {
        let token = self.token(role);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("authorization", format!("Bearer {token}"));
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn get(&self, role: Role, path: &str) -> Answer {
        self.call(role, "GET", path, Json::Null).await
    }

    /// Captures a lead and gives its id.
    pub(super) async fn capture(&self, external_id: &str) -> String {
        let record = json!({ "external_id": external_id, "name": format!("Lead {external_id}") });
        let answer = self.call(Role::Administrator, "POST", "/capture/leads", record).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["item"].as_str().unwrap().to_owned()
    }

    /// Makes an agent who is ready.
    pub(super) async fn hire(&self, agent: &str, capacity: u16) {
        let profile = json!({ "id": agent, "capacity": { "workitem": capacity } });
        let path = format!("/agents/{agent}");
        let answer = self.call(Role::Administrator, "PUT", &path, profile).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let ready = json!({ "state": "ready" });
        let answer = self.call(as_agent(agent), "PUT", &format!("{path}/presence"), ready).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    /// The one card in that part of an agent's desk.
    pub(super) async fn card(&self, agent: &str, part: &str) -> Json {
        let desk = self.get(as_agent(agent), &format!("/agents/{agent}/desk")).await.json();
        let cards = desk[part].as_array().unwrap();
        assert_eq!(cards.len(), 1, "{part} of {desk}");
        cards[0].clone()
    }

    /// Ends the hub as a crash would.
    pub(super) async fn kill_hub(&mut self) {
        self.running.shutdown().await;
    }
}

impl Answer {
    pub(super) async fn read(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    pub(super) fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a complete problem of that kind.
    #[track_caller]
    pub(super) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("/docs/errors/{code}"));
        assert_eq!(body["trace_id"].as_str().unwrap().len(), 32);
        for member in ["title", "detail"] {
            assert!(!body[member].as_str().unwrap().is_empty(), "{body}");
        }
    }
}

pub(super) fn as_agent(agent: &str) -> Role {
    Role::Agent { agent: Name::new(agent) }
}

fn routing() -> RoutingSpec {
    let process = ProcessSpec {
        priority: Name::new("flat"),
        sla: Some(Sla::Wall(Millis::from_secs(3600))),
        route: RouteSpec::default(),
        offer_timeout: Millis::from_secs(600),
        decline_cool_down: Millis::from_secs(600),
        completion: Completion {
            mode: CompletionMode::DoneThenConfirm,
            within: Millis::from_secs(600),
        },
        dispositions: vec![Name::new("converted"), Name::new("not converted")],
        disposition_required: true,
        show: vec![Name::new("name"), Name::new("budget")],
        ..ProcessSpec::default()
    };
    let points = vec![CurvePoint { at: Span::Time(Millis(0)), priority: 500.into() }];
    let wrap_up = Some(Millis::from_secs(600));
    RoutingSpec {
        priorities: BTreeMap::from([
            ("flat".into(), PrioritySchema::of_points(points)),
            ("rising".into(), rising()),
        ]),
        processes: BTreeMap::from([
            ("sales/leads".into(), process.clone()),
            ("sales/calls".into(), ProcessSpec { wrap_up, ..process.clone() }),
            ("sales/orders".into(), ProcessSpec { form: Some(form()), ..process }),
        ]),
        calendars: BTreeMap::from([("office".into(), office())]),
        capacity_rules: BTreeMap::from([("blended".into(), CapacityRule::default())]),
        default_process: "sales/leads".into(),
        reasons: ["Lunch".into()].into(),
        ..RoutingSpec::default()
    }
}

/// From 0, or from what is given, to 900 at the due date.
fn rising() -> PrioritySchema {
    let points = vec![
        CurvePoint { at: Span::Time(Millis(0)), priority: 0.into() },
        CurvePoint { at: Span::SlaPermille(1000), priority: 900.into() },
    ];
    PrioritySchema {
        start: Some(Bound::Expression("item.business_value".to_owned())),
        ..PrioritySchema::of_points(points)
    }
}

/// What mark done of an order asks for.
fn form() -> Json {
    json!({
        "type": "object",
        "required": ["total", "name"],
        "properties": {
            "name": { "type": "string" },
            "total": { "type": "number", "minimum": 0 },
        },
    })
}

/// Open from 8 to 17 on weekdays, in Berlin.
fn office() -> CalendarSpec {
    let hours: Hours = serde_json::from_value(json!(["08:00-17:00"])).unwrap();
    let week = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];
    CalendarSpec {
        timezone: "Europe/Berlin".into(),
        hours: week.map(|day| (day, hours.clone())).into(),
        exceptions: BTreeMap::new(),
    }
}

/// Stands in for the pipeline: maps nothing, asks nobody, classifies everything alike.
#[derive(Debug)]
pub(super) struct StandIn {
    hub: Handle,
    spec: Arc<Spec>,
    /// What the next call does instead of its work.
    pub(super) next: Mutex<Option<Instead>>,
    /// Told when a call hangs.
    pub(super) begun: Notify,
    /// Messages that need rules, which are not here, as they came.
    pub(super) told: Mutex<Vec<Message>>,
    /// Where positions were moved to.
    pub(super) moved: Mutex<Vec<Move>>,
}

#[derive(Debug)]
pub(super) enum Instead {
    Fail(IntakeError),
    Panic,
    Hang,
    Result(RecordOutcome),
}

impl StandIn {
    pub(super) fn next_time(&self, instead: Instead) {
        *self.next.lock().unwrap() = Some(instead);
    }

    async fn instead(&self) -> Result<Option<RecordOutcome>, IntakeError> {
        let instead = self.next.lock().unwrap().take();
        match instead {
            None => Ok(None),
            Some(Instead::Fail(error)) => Err(error),
            Some(Instead::Panic) => panic!("a defect in the pipeline"),
            Some(Instead::Hang) => {
                self.begun.notify_one();
                std::future::pending().await
            }
            Some(Instead::Result(outcome)) => Ok(Some(outcome)),
        }
    }

    fn work(capture_point: &str, record: &Json) -> Option<(String, Work)> {
        let external_id = record["external_id"].as_str()?.to_owned();
        let mut document = Document::default();
        for (name, value) in record.as_object()? {
            document.set(Name::new(name), Value::from_untyped(value), None);
        }
        let attributes = document.to_vec();
        let hash: [u8; 16] = Sha256::digest(&attributes)[..16].try_into().unwrap();
        let class = Classification {
            version: 1,
            rules: vec![Name::new("all-leads")],
            process: Name::new(record["process"].as_str().unwrap_or("sales/leads")),
            schema: Name::new("flat"),
            sla: None,
            requirement: None,
            media_type: Name::new("workitem"),
            flow: None,
        };
        let classified = Classified {
            class: Some(Arc::new(class)),
            due_at: None,
            activation_at: None,
            expires_at: None,
            priority: None,
            preferred_agent: None,
            required_agent: None,
            bounds: None,
        };
        let command = Command::Capture(Capture {
            capture_point: Name::new(capture_point),
            hash,
            known: None,
            on_change: OnChange::Conflict,
            on_reopen: OnReopen::New,
            created_at: None,
            activation_at: None,
            verdict: Some(Box::new(Verdict::Classified(classified))),
        });
        let key = CaptureKey {
            capture_point: Name::new(capture_point),
            external_id: external_id.clone(),
            message_id: None,
            hash,
        };
        let text = |name: &str| document.text(name).map(str::to_owned);
        let head = Head { name: text("name"), source_url: text("source_url"), customer: None };
        let document = NewDocument { attributes, payload: None, content_type: None, head };
        Some((external_id, Work { command, key: Some(key), document: Some(document) }))
    }
}

/// There is one capture point that can be operated.
fn operated(point: &str) -> Result<(), IntakeError> {
    match point {
        "leads" => Ok(()),
        "paused" => Err(IntakeError::Paused("it is paused".to_owned())),
        "web" => Err(IntakeError::NotOperable("requests only".to_owned())),
        "busy" => Err(IntakeError::Busy("it is busy".to_owned())),
        _ => Err(IntakeError::UnknownCapturePoint(point.to_owned())),
    }
}

/// What is watched, until it ends.
struct Watched(VecDeque<Json>);

#[async_trait]
impl Watch for Watched {
    async fn next(&mut self) -> Option<Json> {
        self.0.pop_front()
    }
}

#[async_trait]
impl Intake for StandIn {
    async fn capture_json(
        &self,
        capture_point: &str,
        body: Bytes,
        _: Option<TraceParent>,
    ) -> Result<Vec<RecordResult>, IntakeError> {
        if let Some(outcome) = self.instead().await? {
            return Ok(vec![RecordResult { external_id: None, item: None, outcome }]);
        }
        if capture_point != "leads" {
            return Err(IntakeError::UnknownCapturePoint(capture_point.to_owned()));
        }
        let body: Json =
            serde_json::from_slice(&body).map_err(|error| IntakeError::Body(error.to_string()))?;
        let records = match body {
            Json::Array(records) => records,
            record => vec![record],
        };
        let mut results = Vec::new();
        for record in records {
            let Some((external_id, work)) = Self::work(capture_point, &record) else {
                let detail = "the record has no external_id".to_owned();
                let code = "GANTRY-P001".into();
                let outcome = RecordOutcome::Refused { code, detail, dead_letter: None };
                results.push(RecordResult { external_id: None, item: None, outcome });
                continue;
            };
            let actor = Actor::Source(Name::new(capture_point));
            let submission =
                Submission { work: vec![work], ..Submission::one(actor, Command::Tick) };
            let (item, outcome) = match self.hub.submit(submission).await?.pop().unwrap() {
                Reply::Created { item, .. } => (item, RecordOutcome::Created),
                Reply::Repeat { item } => (item, RecordOutcome::Repeat),
                reply => panic!("unexpected {reply:?}"),
            };
            results.push(RecordResult {
                external_id: Some(external_id),
                item: Some(item),
                outcome,
            });
        }
        Ok(results)
    }

    async fn capture_http(
        &self,
        capture_point: &str,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, IntakeError> {
        self.instead().await?;
        let text = format!(
            "{} {} {} {}",
            capture_point,
            request.method(),
            request.uri(),
            request.body().len()
        );
        Ok(Response::builder().status(202).header("x-plugin", "yes").body(text.into()).unwrap())
    }

    async fn message(&self, actor: Actor, message: Message) -> Result<Reply, IntakeError> {
        self.instead().await?;
        let Target::Item(item) = message.target else {
            return Err(IntakeError::UnknownItem(format!("{:?}", message.target)));
        };
        if message.kind == MessageKind::Reschedule {
            self.told.lock().unwrap().push(message);
            return Ok(Reply::Done { item: Some(item), revision: None, run: None });
        }
        let command = match message.kind {
            MessageKind::Complete => Command::Complete { item, result_code: None },
            MessageKind::Hold => Command::Hold { item, reason: "test".to_owned() },
            MessageKind::Resume => Command::Resume { item },
            MessageKind::Cancel => Command::Cancel { item, reason: "test".to_owned() },
            kind => panic!("unexpected {kind:?}"),
        };
        Ok(self.hub.command(actor, command).await?)
    }

    async fn retry_dead_letter(
        &self,
        _: Actor,
        id: &str,
        payload: Option<Bytes>,
    ) -> Result<(), IntakeError> {
        self.instead().await?;
        match payload {
            Some(_) => Ok(()),
            None => Err(IntakeError::UnknownDeadLetter(id.to_owned())),
        }
    }

    async fn skip_dead_letter(&self, _: Actor, id: &str) -> Result<(), IntakeError> {
        Err(IntakeError::UnknownDeadLetter(id.to_owned()))
    }

    async fn pause(&self, _: Actor, point: &str, _: Option<String>) -> Result<(), IntakeError> {
        operated(point)
    }

    async fn resume(&self, _: Actor, point: &str) -> Result<(), IntakeError> {
        operated(point)
    }

    fn poll_now(&self, point: &str) -> Result<(), IntakeError> {
        operated(point)
    }

    async fn reload_config(&self) -> Result<ConfigReload, IntakeError> {
        Err(IntakeError::ConfigRefused("[[routing]] is no table".to_owned()))
    }

    async fn reload_plugin(&self, _: Actor, name: &str) -> Result<Vec<SourceReload>, IntakeError> {
        match name {
            "shop" => Err(IntakeError::NotReloaded("it is no library".to_owned())),
            "crm" => Ok(vec![SourceReload {
                source: Name::new("crm"),
                reloaded: true,
                version: "1.2.0".to_owned(),
                sha256: "00".to_owned(),
                troubles: Vec::new(),
                reason: None,
            }]),
            _ => Err(IntakeError::UnknownPlugin(name.to_owned())),
        }
    }

    async fn move_position(&self, _: Actor, point: &str, to: Move) -> Result<(), IntakeError> {
        self.moved.lock().unwrap().push(to);
        operated(point)
    }

    fn requirement(&self, expression: &str) -> Result<Requirement, IntakeError> {
        let unknown = || IntakeError::Expression(format!("what is {expression:?}?"));
        let (skill, level) = expression.split_once(" > ").ok_or_else(unknown)?;
        let skill = self.spec.skills.get(skill).ok_or_else(unknown)?.clone();
        let level = level.parse().map_err(|_| unknown())?;
        Ok(Requirement::Skill { skill, compare: Compare::Greater, level })
    }

    fn spec(&self) -> Arc<Spec> {
        Arc::clone(&self.spec)
    }

    fn status(&self) -> Json {
        json!({
            "sources": {
                "crm": { "plugin": "database", "version": "1.2", "state": "restarting",
                    "process": { "restarts": 3, "cpu_seconds": 1.5, "memory_bytes": 5 << 20,
                        "last_failure": { "at": "2027-03-02T09:14:07Z",
                            "reason": "killed by <SIGSEGV>" } } },
                "files": { "plugin": "files", "state": "running", "process": null },
            },
            "captures": {
                "leads": { "source": "crm", "state": "backing_off", "read": 7, "refused": 2,
                    "last_error": { "at": "2027-03-02T09:14:07Z", "message": "no answer" } },
                "orders": { "source": null, "state": "paused", "read": 1, "refused": 0,
                    "paused": { "at": "2027-03-02T09:14:07Z", "by": "ada", "reason": null } },
            },
            "lookups": { "nps": { "source": "crm", "state": "running", "asked": 5, "failed": 1,
                "last_error": { "at": "2027-03-02T09:14:07Z", "message": "long over" } } },
            "callbacks": {},
        })
    }

    fn metrics(&self) -> String {
        "# TYPE gantry_hub_ready gauge\ngantry_hub_ready 1.0\n# EOF\n".to_owned()
    }

    fn watch(&self, point: &str) -> Result<Box<dyn Watch>, IntakeError> {
        operated(point)?;
        let seen = [
            json!({ "outcome": "accepted", "external_id": "L-1" }),
            json!({ "lost": 3 }),
            json!({ "outcome": "refused", "external_id": "L-2" }),
        ];
        Ok(Box::new(Watched(seen.into_iter().collect())))
    }
}
