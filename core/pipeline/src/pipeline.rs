//! The pipeline as a whole: what it is built from, its services, and the handle to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_model::command::Holder;
use gantry_model::spec::{CaptureSpec, MessageKind, Spec};
use gantry_model::{Actor, Name, Reply};
use gantry_plugin_host::{CallbackHandle, CaptureHandle, Library, LookupHandle};
use gantry_rules::Rules;
use gantry_store::{PauseRow, Store};
use thiserror::Error;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::alerts::Alerts;
use crate::backoff::Backoff;
use crate::callback::{Caller, Desk, Subscriber, captures_of};
use crate::capture::{Feed, Feeder};
use crate::control::{Control, Paused};
use crate::credentials::{Custodian, Vault};
use crate::enrich::Enrich;
use crate::enrich::history::History;
use crate::intake::{Intake, MessageError, Point, Target};
use crate::leases::{Book, Keeper};
use crate::limits::Limits;
use crate::metered::MeteredCapture;
use crate::port::{CallbackPort, CapturePort, LookupPort};
use crate::reach::Reaches;
use crate::runs::{RunCounts, Runs};
use crate::source::{self, Attached, Kept, Source, SourceParts};
use crate::status::{CaptureStatus, Counts, Health, Pulse, State, Status};
use crate::tap::Tap;

/// What a pipeline is built from.
#[derive(Debug)]
pub struct PipelineParts {
    /// The config.
    pub spec: Arc<Spec>,
    /// Its version; the hub refuses verdicts of another one.
    pub version: u32,
    /// Its rules.
    pub rules: Arc<Rules>,
    /// The hub.
    pub hub: gantry_hub::Handle,
    /// The store that the hub writes to.
    pub store: Arc<dyn Store>,
    /// The sources whose plug-ins could be loaded; of the others, everything is refused as stopped.
    pub sources: BTreeMap<Name, SourceParts>,
    /// Where credentials are kept that sources replace; none: nowhere.
    pub vault: Option<Arc<dyn Vault>>,
    /// Sources of the pipeline before that go on, with these parts.
    pub kept: Kept,
    /// Number of the last commit at boot: where a callback begins that was never there before.
    pub after_seq: u64,
    /// Bounds.
    pub limits: Limits,
}

/// What the pipeline talks to: the plug-ins, or what stands for them in a test.
#[derive(Default)]
pub(crate) struct Ports {
    pub(crate) captures: BTreeMap<Name, Arc<dyn CapturePort>>,
    pub(crate) lookups: BTreeMap<Name, Arc<dyn LookupPort>>,
    pub(crate) callbacks: BTreeMap<Name, Arc<dyn CallbackPort>>,
    pub(crate) sources: BTreeMap<Name, Arc<Source>>,
}

/// Why a pipeline cannot be built or had to stop.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The place of a callback could not be read.
    #[error("cannot read how far callback {callback:?} has come")]
    Cursor {
        /// The callback.
        callback: Name,
        /// Why not.
        source: gantry_store::Error,
    },
    /// Which capture points are paused could not be read.
    #[error("cannot read which capture points are paused")]
    Pauses(#[source] gantry_store::Error),
    /// The hub stopped before the pipeline.
    #[error("the pipeline cannot start without the hub")]
    Hub(#[from] gantry_hub::Error),
}

/// The pipeline's services. Nothing runs before [`Pipeline::run`].
pub struct Pipeline {
    feeders: Vec<Feeder>,
    keepers: Vec<Keeper>,
    custodians: Vec<Custodian>,
    subscribers: Vec<Subscriber>,
    runs: Runs,
    alerts: Alerts,
    sources: Vec<Arc<Source>>,
    hub: gantry_hub::Handle,
    limits: Arc<Limits>,
    drain_timeout: Duration,
}

/// Asks the pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    intake: Arc<Intake>,
    points: BTreeMap<Name, PointParts>,
    desks: BTreeMap<Name, Desk>,
    sources: BTreeMap<Name, Arc<Source>>,
    runs: Arc<RunCounts>,
}

/// What the handle knows of a capture point beside the intake.
pub(crate) struct PointParts {
    spec: CaptureSpec,
    port: Option<Arc<dyn CapturePort>>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) control: Arc<Control>,
}

impl PointParts {
    /// How the hub reads its source at the moment; `None`: it is fed by requests only.
    pub(crate) fn feed(&self) -> Option<Feed> {
        Feed::of(&self.spec, &self.port.as_ref()?.modes())
    }

    fn health(&self) -> Health {
        let mut health = self.pulse.read();
        if self.control.paused().is_some() {
            health.state = State::Paused;
        }
        health
    }

    fn status(&self, point: &Point) -> CaptureStatus {
        let flow = &point.flow;
        CaptureStatus {
            source: point.spec.source.clone(),
            health: self.health(),
            next_at: self.control.next_at(),
            feed: Feed::name(self.feed().as_ref()),
            paused: self.control.paused(),
            counts: point.counts.read(),
            bytes: flow.bytes.read(),
            lag: flow.lag.read(),
            settling: flow.settling.read(),
            oldest_unacknowledged_at: flow.oldest_unacknowledged_at(),
            credit: flow.credit(),
            leases: point.leases.status(),
            in_flight: point.operations.in_flight(),
            operations: point.operations.read(),
        }
    }
}

impl Pipeline {
    /// Builds the services and a handle to them. Reads the store; starts nothing.
    ///
    /// # Errors
    /// [`PipelineError::Cursor`], [`PipelineError::Pauses`].
    pub async fn build(parts: PipelineParts) -> Result<(Self, Handle), PipelineError> {
        let deadline = parts.spec.hub.drain_timeout.to_std();
        let sources = sources(&parts.spec, parts.sources, parts.kept, deadline).await;
        let ports = Ports::of_sources(&parts.spec, sources);
        let PipelineParts { spec, version, rules, hub, store, vault, after_seq, limits, .. } =
            parts;
        let core = Core { spec, version, rules, hub, store, after_seq, limits };
        let (mut pipeline, handle) = Self::over(core, ports).await?;
        let Some(vault) = vault else { return Ok((pipeline, handle)) };
        let rotate = |source: &&Arc<Source>| source.rotates();
        let custodians = pipeline.sources.iter().filter(rotate).map(|source| Custodian {
            source: Arc::clone(source),
            vault: Arc::clone(&vault),
            limits: Arc::clone(&pipeline.limits),
        });
        pipeline.custodians = custodians.collect();
        Ok((pipeline, handle))
    }

    pub(crate) async fn over(core: Core, ports: Ports) -> Result<(Self, Handle), PipelineError> {
        let Core { spec, version, rules, hub, store, after_seq, limits } = core;
        let limits = Arc::new(limits);
        let drain_timeout = spec.hub.drain_timeout.to_std();
        let Ports { captures, mut lookups, callbacks, sources } = ports;
        for (name, lookup) in &spec.lookups {
            if let Some(key) = lookup.history_key() {
                let history = History::new(Arc::clone(&store), key);
                lookups.insert(name.clone(), Arc::new(history));
            }
        }
        let mut reaches = Reaches::default();
        let clock = hub.clock();
        let enrich = Enrich::new(&spec, Arc::clone(&rules), lookups, &clock, &limits, &mut reaches);
        let intake = Arc::new(Intake {
            points: points(&spec, &enrich),
            enrich: Arc::new(enrich),
            spec: Arc::clone(&spec),
            version,
            keeps_captured_at: spec.keeps_captured_at(),
            rules,
            hub: hub.clone(),
            store: Arc::clone(&store),
            limits: Arc::clone(&limits),
        });
        let pauses = store.pauses().await.map_err(PipelineError::Pauses)?;
        let (feeders, points) = feeders(&intake, captures, pauses, &mut reaches);
        let keepers = feeders.iter().map(Keeper::beside).collect();
        let (mut subscribers, mut desks) = (Vec::new(), BTreeMap::new());
        for (name, port) in callbacks {
            let Some(callback) = spec.callbacks.get(&name) else { continue };
            let caller = Caller {
                name: name.clone(),
                spec: callback.clone(),
                whole: Arc::clone(&spec),
                captures: captures_of(&spec, callback),
                port,
                hub: hub.clone(),
                store: Arc::clone(&store),
            };
            let reach = reaches.of(&callback.source);
            let opened = Subscriber::open(caller, Arc::clone(&limits), &reach, after_seq).await;
            let (subscriber, desk) = opened
                .map_err(|source| PipelineError::Cursor { callback: name.clone(), source })?;
            subscribers.push(subscriber);
            desks.insert(name, desk);
        }
        let counts = Arc::new(RunCounts::default());
        let runs = Runs::new(Arc::clone(&intake), Arc::clone(&counts));
        let all_sources = sources.values().map(Arc::clone).collect();
        let handle = Handle(Arc::new(Shared { intake, points, desks, sources, runs: counts }));
        let alerts = Alerts::new(handle.clone());
        let sources = all_sources;
        let pipeline = Self {
            feeders,
            keepers,
            custodians: Vec::new(),
            subscribers,
            runs,
            alerts,
            sources,
            hub,
            limits,
            drain_timeout,
        };
        Ok((pipeline, handle))
    }

    /// Runs until `stop`, then drains: capture first, then the runs, then the callbacks, each until
    /// it is done or the config's drain time-out is over. The place of a new callback is durable
    /// before any capture point is fed.
    ///
    /// # Errors
    /// [`PipelineError::Hub`] if the hub stops before the services could start.
    ///
    /// # Cancel safety
    /// Dropping the future ends the services at their next await; what was under way is taken up
    /// after the next start.
    pub async fn run(self, stop: CancellationToken) -> Result<(), PipelineError> {
        let Self { feeders, keepers, custodians, subscribers, runs, alerts, sources, hub, .. } =
            self;
        let (limits, drain_timeout) = (self.limits, self.drain_timeout);
        let subscribers = settle_in(subscribers, &hub, &limits, &stop).await?;
        let force = CancellationToken::new();
        let (stop_runs, stop_callbacks) = (CancellationToken::new(), CancellationToken::new());
        let (mut captures, mut middle, mut callbacks) =
            (JoinSet::new(), JoinSet::new(), JoinSet::new());
        for subscriber in subscribers {
            callbacks.spawn(subscriber.run(stop_callbacks.clone(), force.clone()));
        }
        middle.spawn(runs.run(stop_runs.clone(), force.clone()));
        for feeder in feeders {
            captures.spawn(feeder.run(stop.clone()));
        }
        for keeper in keepers {
            captures.spawn(keeper.run(stop.clone()));
        }
        for custodian in custodians {
            captures.spawn(custodian.run(stop.clone()));
        }
        captures.spawn(alerts.run(stop.clone()));
        stop.cancelled().await;

        let deadline = tokio::time::Instant::now() + drain_timeout;
        ended(&mut captures, deadline, "capture").await;
        stop_runs.cancel();
        ended(&mut middle, deadline, "runs").await;
        stop_callbacks.cancel();
        ended(&mut callbacks, deadline, "callbacks").await;
        force.cancel();
        // What is left after the deadline ends with its set, at its next await.
        for source in sources {
            let rest = deadline.saturating_duration_since(tokio::time::Instant::now());
            source.stop_unless_kept(rest.max(Duration::from_millis(100))).await;
        }
        Ok(())
    }
}

/// What the services share, without the plug-ins.
pub(crate) struct Core {
    pub(crate) spec: Arc<Spec>,
    pub(crate) version: u32,
    pub(crate) rules: Arc<Rules>,
    pub(crate) hub: gantry_hub::Handle,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) after_seq: u64,
    pub(crate) limits: Limits,
}

/// Waits for services to end; says which did not in time.
async fn ended(tasks: &mut JoinSet<()>, deadline: tokio::time::Instant, what: &str) {
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(service = what, %error, "a service of the pipeline broke");
            }
        }
    };
    if tokio::time::timeout_at(deadline, all).await.is_err() {
        tracing::warn!(service = what, "a service of the pipeline did not end in time");
    }
}

/// Makes the place of each callback durable, as soon as the hub takes work.
async fn settle_in(
    mut subscribers: Vec<Subscriber>,
    hub: &gantry_hub::Handle,
    limits: &Limits,
    stop: &CancellationToken,
) -> Result<Vec<Subscriber>, PipelineError> {
    let mut backoff = Backoff::new(limits);
    for subscriber in &mut subscribers {
        while let Err(error) = subscriber.settle_in().await {
            let over = matches!(*hub.health().borrow(), gantry_hub::Health::Stopped);
            if over || stop.is_cancelled() {
                return Err(error.into());
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = stop.cancelled() => return Err(error.into()),
            }
        }
    }
    Ok(subscribers)
}

fn points(spec: &Spec, enrich: &Enrich) -> BTreeMap<Name, Point> {
    let points = spec.captures.iter().map(|(name, point)| {
        let point = Point {
            name: name.clone(),
            actor: Actor::Source(name.clone()),
            spec: point.clone(),
            stages: enrich.stages(spec, name),
            counts: Counts::default(),
            tap: Tap::default(),
            flow: Arc::default(),
            leases: Book::default(),
            operations: Arc::default(),
        };
        (name.clone(), point)
    });
    points.collect()
}

fn feeders(
    intake: &Arc<Intake>,
    mut captures: BTreeMap<Name, Arc<dyn CapturePort>>,
    pauses: Vec<PauseRow>,
    reaches: &mut Reaches,
) -> (Vec<Feeder>, BTreeMap<Name, PointParts>) {
    let paused = pauses.into_iter().map(|row| {
        let PauseRow { capture_point, at, by, reason } = row;
        (capture_point, Paused { at, by, reason })
    });
    let mut paused: BTreeMap<Name, Paused> = paused.collect();
    let (mut feeders, mut points) = (Vec::new(), BTreeMap::new());
    for (name, point) in &intake.points {
        let control = Arc::new(Control::new(paused.remove(name)));
        let pulse = Arc::new(Pulse::default());
        // One without a source is fed by requests: nobody waits for it.
        let source = point.spec.source.as_ref();
        let reach = source.map_or_else(Arc::default, |source| reaches.of(source));
        let port = captures.remove(name).map(|port| {
            let reach = Arc::clone(&reach);
            let (flow, operations) = (Arc::clone(&point.flow), Arc::clone(&point.operations));
            Arc::new(MeteredCapture { port, operations, flow, reach }) as Arc<dyn CapturePort>
        });
        let parts = PointParts { spec: point.spec.clone(), port, pulse, control };
        if let Some(port) = parts.port.clone() {
            feeders.push(Feeder {
                name: name.clone(),
                intake: Arc::clone(intake),
                port,
                pulse: Arc::clone(&parts.pulse),
                control: Arc::clone(&parts.control),
                reach,
            });
        }
        points.insert(name.clone(), parts);
    }
    (feeders, points)
}

/// The sources of a config: those that go on, and new ones.
async fn sources(
    spec: &Spec,
    mut parts: BTreeMap<Name, SourceParts>,
    mut kept: Kept,
    deadline: Duration,
) -> BTreeMap<Name, Arc<Source>> {
    let mut sources = BTreeMap::new();
    for name in spec.sources.keys() {
        let source = match (kept.0.remove(name), parts.remove(name)) {
            (Some(source), Some(parts)) => {
                source.refit(parts, deadline).await;
                source
            }
            (_, parts) => Arc::new(Source::new(name.clone(), parts)),
        };
        sources.insert(name.clone(), source);
    }
    sources
}

impl Ports {
    fn of_sources(spec: &Spec, sources: BTreeMap<Name, Arc<Source>>) -> Self {
        let mut ports = Self::default();
        for (name, point) in &spec.captures {
            if let Some(source) = point.source.as_ref().and_then(|source| sources.get(source)) {
                let port = Attached::<CaptureHandle>::new(Arc::clone(source), name.clone());
                ports.captures.insert(name.clone(), Arc::new(port));
            }
        }
        for (name, lookup) in &spec.lookups {
            if let Some(source) = sources.get(&lookup.source) {
                let port = Attached::<LookupHandle>::new(Arc::clone(source), name.clone());
                ports.lookups.insert(name.clone(), Arc::new(port));
            }
        }
        for (name, callback) in &spec.callbacks {
            if let Some(source) = sources.get(&callback.source) {
                let port = Attached::<CallbackHandle>::new(Arc::clone(source), name.clone());
                ports.callbacks.insert(name.clone(), Arc::new(port));
            }
        }
        ports.sources = sources;
        ports
    }
}

impl Handle {
    /// Hands a message about an existing item to the hub. The body, a JSON object or nothing, gives
    /// `reason` (hold, cancel), `result_code` (complete), `force` (restart), or the attributes to
    /// change (update, reschedule), by their names in the config. `by` is the agent who has the
    /// item, where an agent reschedules it.
    ///
    /// A refusal is a [`Reply::Refused`], not an error.
    ///
    /// # Errors
    /// [`MessageError`]: nothing was done, unless the hub stopped.
    ///
    /// # Cancel safety
    /// Dropping the future does not take back what was submitted.
    pub async fn message(
        &self,
        actor: Actor,
        target: Target,
        kind: MessageKind,
        body: Bytes,
        by: Option<Holder>,
    ) -> Result<Reply, MessageError> {
        self.intake().message(actor, target, kind, &body, by).await
    }

    /// How everything is at the moment.
    pub fn status(&self) -> Status {
        let shared = &*self.0;
        let captures = shared.points.iter().filter_map(|(name, parts)| {
            Some((name.clone(), parts.status(shared.intake.point(name)?)))
        });
        let desks = shared.desks.iter();
        Status {
            sources: source::status(&shared.intake.spec.sources, &shared.sources),
            captures: captures.collect(),
            lookups: shared.intake.enrich.status(),
            callbacks: desks.map(|(name, desk)| (name.clone(), desk.status())).collect(),
            runs: shared.runs.status(),
        }
    }

    /// What the capture points do that are polled or stream.
    pub(crate) fn fed_points(&self) -> impl Iterator<Item = (&Name, State)> {
        let fed = self.0.points.iter().filter(|(_, parts)| parts.feed().is_some());
        fed.map(|(name, parts)| (name, parts.health().state))
    }

    pub(crate) fn intake(&self) -> &Intake {
        &self.0.intake
    }

    pub(crate) fn hub(&self) -> &gantry_hub::Handle {
        &self.0.intake.hub
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.0.intake.store
    }

    /// The plug-in that a source runs with; `None` if it could not be loaded.
    pub fn library(&self, source: &str) -> Option<Arc<Library>> {
        self.0.sources.get(source)?.library()
    }

    /// Lets sources go on when the pipeline ends, so that the next one takes them over.
    pub fn keep(&self, names: &BTreeSet<Name>) -> Kept {
        let kept = self.0.sources.iter().filter(|(name, _)| names.contains(*name));
        let kept = kept.inspect(|(_, source)| source.keep());
        Kept(kept.map(|(name, source)| (name.clone(), Arc::clone(source))).collect())
    }

    pub(crate) fn source(&self, name: &str) -> Option<&Arc<Source>> {
        self.0.sources.get(name)
    }

    pub(crate) fn parts(&self, capture_point: &str) -> Option<(&Name, &PointParts)> {
        self.0.points.get_key_value(capture_point)
    }

    /// The capture points there are, for a message.
    pub(crate) fn known_points(&self) -> String {
        let known: Vec<&str> = self.intake().points.keys().map(Name::as_str).collect();
        known.join(", ")
    }

    pub(crate) fn callback_desk(&self, callback: &str) -> Option<&Desk> {
        self.0.desks.get(callback)
    }

    pub(crate) fn http_port(&self, name: &str) -> Option<(&Point, &dyn CapturePort, &Pulse)> {
        let parts = self.0.points.get(name)?;
        let port = parts.port.as_deref()?;
        Some((self.intake().point(name)?, port, &parts.pulse))
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (feeders, subscribers) = (self.feeders.len(), self.subscribers.len());
        f.debug_struct("Pipeline")
            .field("feeders", &feeders)
            .field("subscribers", &subscribers)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let points: Vec<_> = self.0.points.keys().collect();
        f.debug_struct("Handle").field("capture_points", &points).finish_non_exhaustive()
    }
}
