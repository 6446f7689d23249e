//! Sources: instances of plug-ins, and what is attached to them.
//!
//! An instance whose plug-in panicked is made anew; so is one whose credentials expired, once a
//! call. What stands here implements the traits in `port`.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gantry_model::spec::SourceSpec;
use gantry_model::{ItemId, Name, Timestamp};
use gantry_plugin_host::api::{
    Batch, Delivery, DeliveryOutcome, ErrorClass, HttpCapture, HttpRequest, Position, Query,
    RecordOutcome, Secret,
};
use gantry_plugin_host::{
    CallError, CallbackHandle, CaptureHandle, Instance, Library, LookupHandle, RecordStream, Usage,
};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::port::{BatchStream, CallbackPort, CapturePort, LookupPort, Trouble};
use crate::status::{Count, Failure, ProcessStatus, SourceState, SourceStatus};

/// What a `[source.NAME]` is made of.
#[derive(Debug)]
pub struct SourceParts {
    /// The plug-in.
    pub library: Arc<Library>,
    /// The source's config as JSON, with secrets in place of their references.
    pub config: Vec<u8>,
    /// The secrets in it, to be taken out of whatever the plug-in says.
    pub secrets: Vec<Secret<String>>,
}

/// A source: its instance of the moment.
pub(crate) struct Source {
    name: Name,
    parts: SourceParts,
    instance: Mutex<Option<(u64, Instance)>>,
    renewals: Count,
}

/// A capture point, look-up or callback of a source: attached on first use, and again to each new
/// instance.
pub(crate) struct Attached<H> {
    source: Arc<Source>,
    name: Name,
    settings: Vec<u8>,
    handle: Mutex<Option<(u64, H)>>,
}

/// A kind of handle: how it is attached.
#[async_trait]
pub(crate) trait Role: Clone + Send + Sync + Sized {
    async fn attach(instance: &Instance, name: &str, settings: Vec<u8>) -> Result<Self, CallError>;
}

impl Source {
    pub(crate) fn new(name: Name, parts: SourceParts) -> Self {
        Self { name, parts, instance: Mutex::new(None), renewals: Count::default() }
    }

    /// The instance and its number, made if there is none.
    async fn instance(&self) -> Result<(u64, Instance), CallError> {
        let mut current = self.instance.lock().await;
        match &*current {
            Some((number, instance)) => Ok((*number, instance.clone())),
            None => self.make(&mut current, 1).await,
        }
    }

    async fn make(
        &self,
        current: &mut Option<(u64, Instance)>,
        number: u64,
    ) -> Result<(u64, Instance), CallError> {
        let SourceParts { library, config, secrets } = &self.parts;
        let instance = library.create(&self.name, config.clone(), secrets).await?;
        *current = Some((number, instance.clone()));
        Ok((number, instance))
    }

    /// Makes the instance anew, unless somebody else did since `seen`.
    async fn renew(&self, seen: u64) -> Result<(), CallError> {
        let mut current = self.instance.lock().await;
        let number = current.as_ref().map_or(0, |(number, _)| *number);
        if number != seen {
            return Ok(());
        }
        let old = current.take();
        let renewed = self.make(&mut current, number + 1).await;
        if renewed.is_err() {
            // What was there stays, so that the next call sees the same trouble and tries again.
            *current = old;
        } else {
            self.renewals.add(1);
        }
        renewed.map(drop)
    }

    /// How its plug-in is, without asking it.
    fn status(&self, plugin: Name, usage: Option<Usage>) -> SourceStatus {
        let library = &self.parts.library;
        // Where it is being made, it is not there yet.
        let health = self.instance.try_lock().ok();
        let health = health.and_then(|current| Some(current.as_ref()?.1.health()));
        let process = library.process();
        let state = match &health {
            _ if process.as_ref().is_some_and(|process| process.quarantined) => {
                SourceState::Quarantined
            }
            None => SourceState::Idle,
            Some(health) => state_of(health.state),
        };
        let process = process.map(|process| ProcessStatus {
            id: process.process,
            restarts: process.n_restarts,
            quarantines: process.n_quarantines,
            last_failure: process
                .last_failure
                .map(|(at_ms, reason)| Failure { at: Timestamp(at_ms), reason }),
            cpu_seconds: (process.cpu_before + usage.unwrap_or_default().cpu).as_secs_f64(),
            memory_bytes: usage.unwrap_or_default().memory_bytes,
            processes: usage.unwrap_or_default().n_processes as u64,
        });
        SourceStatus {
            plugin,
            version: Some(library.manifest().version.clone()),
            state,
            in_flight: health.map_or(0, |health| health.n_in_flight as u64),
            violations: library.n_violations(),
            renewals: self.renewals.read(),
            process,
        }
    }

    /// Lets the plug-in finish and close; an instance that was never made needs neither.
    pub(crate) async fn stop(&self, deadline: Duration) {
        let Some((_, instance)) = self.instance.lock().await.take() else { return };
        if let Err(error) = instance.drain(deadline).await {
            tracing::warn!(source = %self.name, error = %chain(&error), "a source did not drain");
        }
        match tokio::time::timeout(deadline, instance.stop()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(source = %self.name, error = %chain(&error), "a source did not stop");
            }
            Err(_) => tracing::warn!(source = %self.name, "a source did not stop in time"),
        }
    }
}

/// How all sources of a config are, also those whose plug-in could not be loaded.
pub(crate) fn status(
    configured: &BTreeMap<Name, SourceSpec>,
    loaded: &[Arc<Source>],
) -> BTreeMap<Name, SourceStatus> {
    let process = |source: &Arc<Source>| source.parts.library.process()?.process;
    let processes: Vec<_> = loaded.iter().filter_map(process).collect();
    let usage: BTreeMap<_, _> =
        processes.iter().copied().zip(gantry_plugin_host::usage(&processes)).collect();
    let statuses = configured.iter().map(|(name, spec)| {
        let plugin = spec.plugin.clone();
        let status = match loaded.iter().find(|source| source.name == *name) {
            Some(source) => {
                let usage = process(source).and_then(|id| *usage.get(&id)?);
                source.status(plugin, usage)
            }
            None => SourceStatus {
                plugin,
                version: None,
                state: SourceState::Missing,
                in_flight: 0,
                violations: 0,
                renewals: 0,
                process: None,
            },
        };
        (name.clone(), status)
    });
    statuses.collect()
}

fn state_of(state: gantry_plugin_host::State) -> SourceState {
    use gantry_plugin_host::State;
    match state {
        State::Running => SourceState::Running,
        State::Poisoned => SourceState::Poisoned,
        State::Restarting => SourceState::Restarting,
        State::Quarantined => SourceState::Quarantined,
        _ => SourceState::Stopped,
    }
}

impl<H: Role> Attached<H> {
    pub(crate) fn new(source: Arc<Source>, name: Name, settings: Vec<u8>) -> Self {
        Self { source, name, settings, handle: Mutex::new(None) }
    }

    /// The handle, attached to the instance of the moment.
    async fn handle(&self) -> Result<(u64, H), CallError> {
        let (number, instance) = self.source.instance().await?;
        let mut handle = self.handle.lock().await;
        if let Some((attached_to, handle)) = &*handle
            && *attached_to == number
        {
            return Ok((number, handle.clone()));
        }
        let fresh = H::attach(&instance, &self.name, self.settings.clone()).await?;
        *handle = Some((number, fresh.clone()));
        Ok((number, fresh))
    }

    /// Calls; makes the instance anew after a panic, and after expired credentials calls again.
    async fn call<T, F>(&self, op: impl Fn(H) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let (number, result) = self.call_once(&op).await;
        let error = match result {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        match error.class() {
            ErrorClass::AuthExpired => {
                self.source.renew(number).await.map_err(Trouble::from)?;
                let (_, again) = self.call_once(&op).await;
                // Expired twice in a row: the fresh credentials are no better.
                again.map_err(|error| match error.class() {
                    ErrorClass::AuthExpired => Trouble::new(ErrorClass::AuthDenied, chain(&error)),
                    _ => error.into(),
                })
            }
            ErrorClass::Panic => {
                tracing::error!(
                    source = %self.source.name,
                    error = %chain(&error),
                    "a plug-in panicked; its source is made anew"
                );
                if let Err(error) = self.source.renew(number).await {
                    let (source, error) = (&self.source.name, chain(&error));
                    tracing::error!(%source, %error, "a source cannot be made anew");
                }
                Err(error.into())
            }
            _ => Err(error.into()),
        }
    }

    /// Makes the instance of the moment anew, if what it answered says that its credentials
    /// expired.
    async fn renew_if_expired(&self, class: Option<ErrorClass>) -> bool {
        if class != Some(ErrorClass::AuthExpired) {
            return false;
        }
        let Ok((number, _)) = self.source.instance().await else { return false };
        match self.source.renew(number).await {
            Ok(()) => true,
            Err(error) => {
                let (source, error) = (&self.source.name, chain(&error));
                tracing::error!(%source, %error, "a source cannot be made anew");
                false
            }
        }
    }

    async fn call_once<T, F>(&self, op: &impl Fn(H) -> F) -> (u64, Result<T, CallError>)
    where
        F: Future<Output = Result<T, CallError>>,
    {
        match self.handle().await {
            Ok((number, handle)) => (number, op(handle).await),
            // Attaching can panic as well: then the instance of the moment is the one to renew.
            Err(error) => {
                let current = self.source.instance.lock().await;
                (current.as_ref().map_or(0, |(number, _)| *number), Err(error))
            }
        }
    }
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self { class: error.class(), message: chain(&error), after: error.retry_after() }
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<gantry_plugin_host::api::Error> for Trouble {
    fn from(error: gantry_plugin_host::api::Error) -> Self {
        Self { class: error.class(), message: chain(&error), after: error.retry_after() }
    }
}

#[async_trait]
impl Role for CaptureHandle {
    async fn attach(instance: &Instance, name: &str, settings: Vec<u8>) -> Result<Self, CallError> {
        instance.attach_capture(name, settings).await
    }
}

#[async_trait]
impl Role for LookupHandle {
    async fn attach(instance: &Instance, name: &str, settings: Vec<u8>) -> Result<Self, CallError> {
        instance.attach_lookup(name, settings).await
    }
}

#[async_trait]
impl Role for CallbackHandle {
    async fn attach(instance: &Instance, name: &str, settings: Vec<u8>) -> Result<Self, CallError> {
        instance.attach_callback(name, settings).await
    }
}

#[async_trait]
impl CapturePort for Attached<CaptureHandle> {
    async fn poll(&self, from: Option<Position>, limit: u32) -> Result<Batch, Trouble> {
        self.call(|handle| {
            let from = from.clone();
            async move { handle.poll(from, limit).await }
        })
        .await
    }

    async fn stream(
        &self,
        from: Option<Position>,
        credit: u32,
    ) -> Result<Box<dyn BatchStream>, Trouble> {
        let stream = self.call(|handle| {
            let from = from.clone();
            async move { handle.stream(from, credit) }
        });
        Ok(Box::new(stream.await?))
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpCapture, Trouble> {
        let request = &request;
        self.call(|handle| async move { handle.http(request).await }).await
    }

    async fn acknowledge(&self, outcomes: Vec<RecordOutcome>) -> Result<(), Trouble> {
        self.call(|handle| {
            let outcomes = outcomes.clone();
            async move { handle.acknowledge(outcomes).await }
        })
        .await
    }
}

#[async_trait]
impl BatchStream for RecordStream {
    async fn next(&mut self) -> Option<Result<Batch, Trouble>> {
        Self::next(self).await.map(|batch| batch.map_err(Trouble::from))
    }

    fn grant(&mut self, credit: u32) {
        Self::grant(self, credit);
    }
}

#[async_trait]
impl LookupPort for Attached<LookupHandle> {
    async fn ask(&self, query: Query, _: ItemId) -> Result<Option<Value>, Trouble> {
        let queries = &[query];
        let ask = || self.call(|handle| async move { handle.lookup(queries).await });
        let one = "invariant: the host gives one answer a query";
        let mut answer = ask().await?.pop().expect(one);
        let class = answer.as_ref().err().map(gantry_plugin_host::api::Error::class);
        if self.renew_if_expired(class).await {
            answer = ask().await?.pop().expect(one);
        }
        let answer = answer?;
        Ok(answer.map(|answer| answer.attributes.parse()).transpose()?)
    }
}

#[async_trait]
impl CallbackPort for Attached<CallbackHandle> {
    async fn deliver(&self, deliveries: Vec<Delivery>) -> Result<Vec<DeliveryOutcome>, Trouble> {
        let deliveries = &deliveries[..];
        let outcomes = self.call(|handle| async move { handle.deliver(deliveries).await }).await?;
        let classes = outcomes.iter().filter_map(|outcome| match outcome {
            DeliveryOutcome::Retry(error) => Some(error.class()),
            _ => None,
        });
        // Those that met the expired credentials are retried in their lanes, with the new ones.
        let expired = classes.into_iter().find(|class| *class == ErrorClass::AuthExpired);
        self.renew_if_expired(expired).await;
        Ok(outcomes)
    }
}
