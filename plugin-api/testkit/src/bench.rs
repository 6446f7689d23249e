//! What a case works with: the plug-in on one transport, its upstream, and short ways to both.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gantry_plugin_host::api::manifest::Manifest;
use gantry_plugin_host::api::message::{Json, RoleName};
use gantry_plugin_host::api::{
    Batch, CaptureMode, Delivery, ErrorClass, HttpRequest, Outcome as Became, Position, Query,
    Record, RecordOutcome,
};
use gantry_plugin_host::{
    CallError, CallbackHandle, CaptureHandle, Instance, Library, LookupHandle, Options,
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::case::{Outcome, Stop, Works as _, fail, in_words, skip};
use crate::logs::Logs;
use crate::proxy::{Mood, Proxy};
use crate::script::{Script, Switch};
use crate::transport::Transport;
use crate::upstream::{Driver, DriverError};

/// Records that a case puts into the upstream.
pub(crate) const N_PUT: usize = 6;

/// More records than any upstream of a test has.
pub(crate) const MANY: u32 = 1000;

/// A source that is asked so often for the rest never comes to an end.
const N_POLLS_MAX: usize = 400;

/// Longer than a process takes to be started again.
const RESTART: Duration = Duration::from_secs(20);

/// Longer than a connection takes to be made again.
const RECONNECT: Duration = Duration::from_secs(3);

/// Longer than a stream takes to send a record that is there.
const FIRST_RECORD: Duration = Duration::from_secs(2);

/// One plug-in on one transport.
pub(crate) struct Bench {
    pub(crate) transport: Transport,
    pub(crate) library: Arc<Library>,
    pub(crate) script: Script,
    pub(crate) driver: Mutex<Option<Box<dyn Driver>>>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) logs: Option<Logs>,
    /// Added to the hub's time, in milliseconds.
    pub(crate) ahead_ms: Arc<AtomicI64>,
    /// Loads changed copies of the library; none if it is no library file.
    pub(crate) copies: Option<Copies>,
    /// Figures that a case gives beside its verdict.
    pub(crate) note: Mutex<Option<String>>,
    pub(crate) n_made: AtomicUsize,
}

/// Where changed copies of the library are laid and loaded from.
pub(crate) struct Copies {
    pub(crate) file: PathBuf,
    pub(crate) options: Options,
}

/// An operation with all it needs.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Check(Instance),
    Poll(CaptureHandle),
    Stream(CaptureHandle),
    Http(CaptureHandle, HttpRequest),
    Acknowledge(CaptureHandle),
    Lookup(LookupHandle, Vec<Query>),
    Deliver(CallbackHandle, Vec<Delivery>),
}

/// The kinds of [`Call`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Check,
    Poll,
    Stream,
    Http,
    Acknowledge,
    Lookup,
    Deliver,
}

impl Operation {
    pub(crate) const ALL: [Self; 7] = [
        Self::Check,
        Self::Poll,
        Self::Stream,
        Self::Http,
        Self::Acknowledge,
        Self::Lookup,
        Self::Deliver,
    ];

    /// Those that ask the source.
    pub(crate) const ASKING: [Self; 4] = [Self::Check, Self::Poll, Self::Lookup, Self::Deliver];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Poll => "poll",
            Self::Stream => "stream",
            Self::Http => "http",
            Self::Acknowledge => "acknowledge",
            Self::Lookup => "lookup",
            Self::Deliver => "deliver",
        }
    }

    fn role(self) -> Option<RoleName> {
        match self {
            Self::Check => None,
            Self::Poll | Self::Stream | Self::Http | Self::Acknowledge => Some(RoleName::Capture),
            Self::Lookup => Some(RoleName::Lookup),
            Self::Deliver => Some(RoleName::Callback),
        }
    }
}

impl Call {
    /// Runs it; an outcome or answer that is an error counts as one.
    pub(crate) async fn run(&self) -> Result<Vec<String>, CallError> {
        let debug = |value: &dyn std::fmt::Debug| format!("{value:?}");
        Ok(match self {
            Self::Check(instance) => instance.check().await.map(|()| Vec::new())?,
            Self::Poll(capture) => vec![debug(&capture.poll(None, MANY).await?)],
            Self::Stream(capture) => {
                let mut stream = capture.stream(None, 1)?;
                // Without a record it goes on for ever, and there is nothing to see.
                let first = tokio::time::timeout(FIRST_RECORD, stream.next()).await;
                let batch = first.ok().flatten().transpose()?;
                batch.iter().map(|batch| debug(batch)).collect()
            }
            Self::Http(capture, request) => vec![debug(&capture.http(request).await?)],
            Self::Acknowledge(capture) => {
                let record = Record::json("{}").with_message_id("nobody-knows-it");
                let outcomes = vec![RecordOutcome::of(&record, Became::Accepted, None)];
                capture.acknowledge(outcomes).await.map(|()| Vec::new())?
            }
            Self::Lookup(lookup, queries) => {
                lookup.lookup(queries).await?.iter().map(|answer| debug(answer)).collect()
            }
            Self::Deliver(callback, deliveries) => {
                callback.deliver(deliveries).await?.iter().map(|outcome| debug(outcome)).collect()
            }
        })
    }
}

impl Bench {
    pub(crate) fn manifest(&self) -> &Manifest {
        self.library.manifest()
    }

    /// The process the plug-in runs in, if it has one of its own.
    pub(crate) fn is_isolated(&self) -> bool {
        matches!(self.transport, Transport::Process)
    }

    /// A number that no case of this run has had.
    pub(crate) fn number(&self) -> usize {
        self.n_made.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, note: String) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = Some(note);
    }

    /// An instance with the test file's config.
    pub(crate) async fn instance(&self) -> Result<Instance, Stop> {
        self.instance_with(None).await
    }

    async fn instance_with(&self, over: Option<&Map<String, Value>>) -> Result<Instance, Stop> {
        let config = laid_over(&self.script.source.config, over);
        let name = format!("testkit-{}", self.number());
        let created = self.library.create(&name, config.into_bytes(), &[]).await;
        let created = match created {
            Err(error) if self.script.source.config.is_empty() => {
                let reason = in_words(&error);
                return Err(skip(format!("needs `[source] config` in the test file: {reason}")));
            }
            created => created,
        };
        created.works("an instance is created from the test file's config")
    }

    /// The same while a process may just be started again.
    pub(crate) async fn instance_at_last(&self) -> Result<Instance, Stop> {
        let config = laid_over(&self.script.source.config, None).into_bytes();
        let name = format!("testkit-{}", self.number());
        self.at_last("an instance is created in the next process", || {
            self.library.create(&name, config.clone(), &[])
        })
        .await
    }

    /// The settings of a role in the test file; an empty table if it has none.
    pub(crate) fn settings(&self, role: RoleName) -> Map<String, Value> {
        let settings = match role {
            RoleName::Capture => self.script.capture.as_ref().map(|part| &part.settings),
            RoleName::Lookup => self.script.lookup.as_ref().map(|part| &part.settings),
            RoleName::Callback => self.script.callback.as_ref().map(|part| &part.settings),
        };
        settings.cloned().unwrap_or_default()
    }

    /// Whether the plug-in has a role.
    pub(crate) fn has(&self, role: RoleName) -> bool {
        let manifest = self.manifest();
        match role {
            RoleName::Capture => manifest.capture.is_some(),
            RoleName::Lookup => manifest.lookup.is_some(),
            RoleName::Callback => manifest.callback.is_some(),
        }
    }

    /// Skips if the plug-in does not capture in this way.
    pub(crate) fn needs_mode(&self, mode: CaptureMode) -> Outcome {
        let modes = self.manifest().capture.as_ref().map(|capture| &capture.modes);
        if modes.is_some_and(|modes| modes.contains(&mode)) {
            return Ok(());
        }
        let word = format!("{mode:?}").to_lowercase();
        Err(skip(format!("the plug-in does not capture by {word}")))
    }

    pub(crate) async fn capture(&self) -> Result<(Instance, CaptureHandle), Stop> {
        let instance = self.instance().await?;
        let capture = self.attach_capture(&instance, None).await?;
        Ok((instance, capture))
    }

    /// A capture point that is polled.
    pub(crate) async fn poller(&self) -> Result<(Instance, CaptureHandle), Stop> {
        self.needs_mode(CaptureMode::Poll)?;
        self.capture().await
    }

    async fn attach_capture(
        &self,
        instance: &Instance,
        over: Option<&Map<String, Value>>,
    ) -> Result<CaptureHandle, Stop> {
        let settings = laid_over(&self.settings(RoleName::Capture), over).into_bytes();
        self.attached(RoleName::Capture, instance.attach_capture("records", settings).await)
    }

    pub(crate) async fn lookup(&self) -> Result<(Instance, LookupHandle), Stop> {
        self.needs(RoleName::Lookup)?;
        let instance = self.instance().await?;
        let settings = laid_over(&self.settings(RoleName::Lookup), None).into_bytes();
        let lookup = instance.attach_lookup("questions", settings).await;
        Ok((instance, self.attached(RoleName::Lookup, lookup)?))
    }

    pub(crate) async fn callback(&self) -> Result<(Instance, CallbackHandle), Stop> {
        self.needs(RoleName::Callback)?;
        let instance = self.instance().await?;
        let settings = laid_over(&self.settings(RoleName::Callback), None).into_bytes();
        let callback = instance.attach_callback("events", settings).await;
        Ok((instance, self.attached(RoleName::Callback, callback)?))
    }

    pub(crate) fn needs(&self, role: RoleName) -> Outcome {
        if self.has(role) {
            return Ok(());
        }
        Err(skip(format!("the plug-in has no role `{role}`")))
    }

    fn attached<T>(&self, role: RoleName, attached: Result<T, CallError>) -> Result<T, Stop> {
        match attached {
            Err(error) if self.settings(role).is_empty() => {
                let reason = in_words(&error);
                Err(skip(format!("needs `[{role}] settings` in the test file: {reason}")))
            }
            attached => attached.works("the test file's settings are taken"),
        }
    }

    /// An operation on an instance of its own, with a switch thrown.
    pub(crate) async fn operation(
        &self,
        operation: Operation,
        switch: Option<&Switch>,
    ) -> Result<(Instance, Call), Stop> {
        if let Some(role) = operation.role() {
            self.needs(role)?;
        }
        match operation {
            Operation::Poll => self.needs_mode(CaptureMode::Poll)?,
            Operation::Stream => self.needs_mode(CaptureMode::Stream)?,
            Operation::Http => self.needs_mode(CaptureMode::Http)?,
            _ => {}
        }
        let config = switch.and_then(|switch| switch.config.as_ref());
        let instance = self.instance_with(config.filter(|_| operation == Operation::Check)).await?;
        let of = |switch: &Switch| match operation.role() {
            None => switch.config.clone(),
            Some(RoleName::Capture) => switch.capture.clone(),
            Some(RoleName::Lookup) => switch.lookup.clone(),
            Some(RoleName::Callback) => switch.callback.clone(),
        };
        let over = switch.map(|switch| of(switch).ok_or_else(|| skip("no switch for this role")));
        let over = over.transpose()?;
        let settings = |role| laid_over(&self.settings(role), over.as_ref()).into_bytes();
        let call = match operation {
            Operation::Check => Call::Check(instance.clone()),
            Operation::Lookup => {
                let lookup = instance.attach_lookup("l", settings(RoleName::Lookup)).await;
                let queries = self.queries();
                Call::Lookup(self.attached(RoleName::Lookup, lookup)?, queries)
            }
            Operation::Deliver => {
                let callback = instance.attach_callback("c", settings(RoleName::Callback)).await;
                let deliveries = self.deliveries();
                Call::Deliver(self.attached(RoleName::Callback, callback)?, deliveries)
            }
            of_capture => {
                let capture = self.attach_capture(&instance, over.as_ref()).await?;
                match of_capture {
                    Operation::Poll => Call::Poll(capture),
                    Operation::Stream => Call::Stream(capture),
                    Operation::Http => Call::Http(capture, self.request()),
                    _ => Call::Acknowledge(capture),
                }
            }
        };
        Ok((instance, call))
    }

    /// The first request of the test file.
    fn request(&self) -> HttpRequest {
        let requests = self.script.capture.iter().flat_map(|capture| &capture.requests);
        requests
            .map(crate::cases::http::request)
            .next()
            .unwrap_or_else(|| HttpRequest::new("POST", "/", "{}"))
    }

    /// The test file's queries that do not fail; an empty one if it has none.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let told = self.script.lookup.iter().flat_map(|lookup| &lookup.queries);
        let queries: Vec<_> =
            told.filter(|query| !query.fails).map(|query| query_of(&query.attributes)).collect();
        if queries.is_empty() { vec![query_of(&Map::new())] } else { queries }
    }

    /// The test file's deliveries that do not fail, each with a key of its own; a made-up one if it
    /// has none.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let told = self.script.callback.iter().flat_map(|callback| &callback.deliveries);
        let deliveries: Vec<_> = told
            .filter(|delivery| !delivery.fails)
            .map(|delivery| self.delivery(delivery))
            .collect();
        if deliveries.is_empty() {
            return vec![self.delivery(&crate::script::Delivery::default())];
        }
        deliveries
    }

    /// A delivery as the hub would make it, with a key of its own.
    pub(crate) fn delivery(&self, told: &crate::script::Delivery) -> Delivery {
        let number = self.number() as u64;
        let event = if told.event.is_empty() { "done" } else { &told.event };
        let key = format!("testkit/{}/{number}", std::process::id());
        let external_id = if told.external_id.is_empty() { "testkit-1" } else { &told.external_id };
        let mut delivery = Delivery::new(key, event, number + 1, external_id);
        "records".clone_into(&mut delivery.capture_point);
        delivery.occurred_at_ms = 1_700_000_000_000;
        delivery.sequence = number;
        delivery.details = Json::from_bytes(laid_over(&told.details, None));
        delivery.attributes = Json::from_bytes(laid_over(&told.attributes, None));
        delivery
    }

    /// Makes sure that there are records to capture, and says how many at least.
    pub(crate) fn fresh(&self) -> Result<usize, Stop> {
        match self.put(N_PUT) {
            Err(Stop::Skip(reason)) => {
                let told = self.script.capture.as_ref().and_then(|capture| capture.records);
                told.filter(|n| *n > 0).ok_or_else(|| {
                    skip(format!(
                        "{reason}, and `[capture] records` does not say that some are there"
                    ))
                })
            }
            put => put.map(|()| N_PUT),
        }
    }

    pub(crate) fn put(&self, n: usize) -> Outcome {
        self.drive(|driver| driver.put(n))
    }

    /// How often each event took effect, by key.
    pub(crate) fn delivered(&self) -> Result<BTreeMap<String, usize>, Stop> {
        self.drive(|driver| driver.delivered())
    }

    fn drive<T>(
        &self,
        ask: impl FnOnce(&mut dyn Driver) -> Result<T, DriverError>,
    ) -> Result<T, Stop> {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(driver) = driver.as_mut() else {
            return Err(skip("the test file names no `[upstream] command`"));
        };
        ask(driver.as_mut()).map_err(|error| match error {
            DriverError::Unsupported(_) => skip(error.to_string()),
            DriverError::Failed { .. } => {
                fail("the upstream does as it is asked", error.to_string())
            }
        })
    }

    /// Skips if the connections of the plug-in do not come by the proxy.
    pub(crate) fn needs_proxy(&self) -> Result<&Proxy, Stop> {
        self.proxy.as_ref().ok_or_else(|| skip("the upstream names no address of this machine"))
    }

    /// Makes the network as told while something is done, and well again afterwards.
    pub(crate) async fn while_network_is<T>(
        &self,
        mood: Mood,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        self.needs_proxy()?.set(mood);
        let done = work.await;
        self.needs_proxy()?.set(Mood::Well);
        done
    }

    /// Asks until it goes well: while a process is started again, operations fail as transient.
    pub(crate) async fn at_last<T, F: Future<Output = Result<T, CallError>>>(
        &self,
        expected: &str,
        ask: impl Fn() -> F,
    ) -> Result<T, Stop> {
        let until = Instant::now() + if self.is_isolated() { RESTART } else { RECONNECT };
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        loop {
            pause.tick().await;
            match ask().await {
                Err(error) if error.class() == ErrorClass::Transient && Instant::now() < until => {}
                done => return done.works(expected),
            }
        }
    }

    /// Reads to the end from a position, as the hub does it: each batch is acknowledged, and the
    /// next one asked for after it.
    pub(crate) async fn walk(
        &self,
        capture: &CaptureHandle,
        from: Option<Position>,
        limit: u32,
    ) -> Result<Walk, Stop> {
        let mut walk = Walk { records: Vec::new(), position: from };
        for _ in 0..N_POLLS_MAX {
            let polled = capture.poll(walk.position.clone(), limit).await;
            let batch = polled.works("each poll on the way to the end goes well")?;
            acknowledge(capture, &batch.records, Became::Accepted).await?;
            let done = batch.records.is_empty() && !batch.more;
            walk.position = position_after(&batch).or(walk.position);
            walk.records.extend(batch.records);
            if done {
                return Ok(walk);
            }
        }
        let seen = format!("{N_POLLS_MAX} polls, and there is always more");
        Err(fail("reading comes to an end when all records are read", seen))
    }
}

/// What was read, and where that ended.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) records: Vec<Record>,
    pub(crate) position: Option<Position>,
}

/// Tells what became of records.
pub(crate) async fn acknowledge(
    capture: &CaptureHandle,
    records: &[Record],
    became: Became,
) -> Outcome {
    if records.is_empty() {
        return Ok(());
    }
    let outcomes = records.iter().map(|record| RecordOutcome::of(record, became, None)).collect();
    capture.acknowledge(outcomes).await.works("acknowledgements are taken")
}

/// The place behind a batch.
pub(crate) fn position_after(batch: &Batch) -> Option<Position> {
    let last = || batch.records.iter().rev().find_map(|record| record.position.clone());
    batch.position_after.clone().or_else(last)
}

/// By what the hub recognises a record that comes again.
pub(crate) fn identity(record: &Record) -> String {
    let payload = String::from_utf8_lossy(&record.payload);
    match (&record.message_id, &record.version) {
        (Some(id), _) => id.clone(),
        (None, Some(version)) => format!("{version} of {payload}"),
        (None, None) => payload.into_owned(),
    }
}

pub(crate) fn identities(records: &[Record]) -> Vec<String> {
    records.iter().map(identity).collect()
}

/// What is in the first and not in the second.
pub(crate) fn missing(wanted: &[String], seen: &[String]) -> Vec<String> {
    let seen: BTreeSet<_> = seen.iter().collect();
    wanted.iter().filter(|id| !seen.contains(id)).cloned().collect()
}

pub(crate) fn query_of(attributes: &Map<String, Value>) -> Query {
    Query::new(Json::from_bytes(laid_over(attributes, None)))
}

/// A table with another one laid over it, as JSON.
pub(crate) fn laid_over(table: &Map<String, Value>, over: Option<&Map<String, Value>>) -> String {
    let mut table = table.clone();
    table.extend(over.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(table).to_string()
}
