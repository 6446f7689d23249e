//! Sources: instances of plug-ins, and what is attached to them.
//!
//! An instance whose plug-in panicked is made anew; so is one whose credentials expired, once a
//! call. Start reading at [`Attached`]; `ports` implements the traits in `port` with it.

mod ports;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use gantry_model::spec::SourceSpec;
use gantry_model::{Name, Timestamp};
use gantry_plugin_host::api::{CaptureMode, ErrorClass, Secret};
use gantry_plugin_host::{CallError, Instance, Library, Usage};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::port::Trouble;
use crate::status::{Count, Failure, ProcessStatus, SourceState, SourceStatus};

/// What a `[source.NAME]` is made of.
#[derive(Debug)]
pub struct SourceParts {
    /// The plug-in.
    pub library: Arc<Library>,
    /// The source's config as JSON, with secrets in place of their references.
    pub config: Vec<u8>,
    /// The plug-in's own settings of everything that names the source.
    pub settings: Settings,
    /// The secrets in both, to be taken out of whatever the plug-in says.
    pub secrets: Vec<Secret<String>>,
    /// Of the keys of the config whose secret the source replaces, the hash of what the operator
    /// gave.
    pub rotating: BTreeMap<String, String>,
}

/// The plug-in's own settings as JSON, with secrets in place of their references, by name of the
/// capture point, look-up or callback. What is not there is `{}`.
#[derive(Debug, Default)]
pub struct Settings {
    /// Of capture points.
    pub captures: BTreeMap<Name, Vec<u8>>,
    /// Of look-ups.
    pub lookups: BTreeMap<Name, Vec<u8>>,
    /// Of callbacks.
    pub callbacks: BTreeMap<Name, Vec<u8>>,
}

/// A source: its instance of the moment.
pub(crate) struct Source {
    name: Name,
    standing: Mutex<Standing>,
    /// The plug-in of the moment; `None`: it could not be loaded.
    library: RwLock<Option<Arc<Library>>>,
    /// How often its instance was made anew by itself.
    renewals: Count,
    /// One reload at a time.
    pub(crate) reloading: Mutex<()>,
    /// It goes on when its pipeline ends.
    kept: AtomicBool,
}

/// Sources that go on when their pipeline ends, for the next one.
#[derive(Default)]
pub struct Kept(pub(crate) BTreeMap<Name, Arc<Source>>);

/// What a source is at the moment.
#[derive(Default)]
pub(crate) struct Standing {
    /// `None`: its plug-in could not be loaded.
    parts: Option<SourceParts>,
    /// The number of the instance made last.
    number: u64,
    instance: Option<Instance>,
}

/// A capture point, look-up or callback of a source: attached on first use, and again to each new
/// instance.
pub(crate) struct Attached<H> {
    source: Arc<Source>,
    name: Name,
    handle: Mutex<Option<(u64, H)>>,
}

/// A kind of handle: how it is attached.
#[async_trait]
pub(crate) trait Role: Clone + Send + Sync + Sized {
    /// Its settings among all of the source's.
    fn settings<'s>(of: &'s Settings, name: &str) -> Option<&'s Vec<u8>>;
    async fn attach(instance: &Instance, name: &str, settings: Vec<u8>) -> Result<Self, CallError>;
    async fn check(&self) -> Result<(), CallError>;
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl SourceParts {
    pub(crate) async fn create(&self, name: &Name) -> Result<Instance, CallError> {
        self.library.create(name, self.config.clone(), &self.secrets).await
    }

    pub(crate) fn settings_of<H: Role>(&self, name: &str) -> Vec<u8> {
        H::settings(&self.settings, name).cloned().unwrap_or_else(|| b"{}".to_vec())
    }
}

impl Standing {
    pub(crate) fn new(parts: SourceParts, instance: Option<Instance>) -> Self {
        Self { parts: Some(parts), number: 0, instance }
    }

    async fn make(&mut self, name: &Name) -> Result<(u64, Instance), Trouble> {
        let Some(parts) = &self.parts else { return Err(missing(name)) };
        let instance = parts.create(name).await?;
        self.number += 1;
        self.instance = Some(instance.clone());
        Ok((self.number, instance))
    }

    /// Lets the plug-in finish and close, and ends its process; an instance that was never made
    /// needs neither.
    pub(crate) async fn stop(self, name: &Name, deadline: Duration) {
        if let Some(instance) = self.instance {
            finish(name, &instance, deadline).await;
        }
        let Some(parts) = self.parts else { return };
        let ended = tokio::task::spawn_blocking(move || parts.library.end_process(END_WITHIN));
        if let Err(error) = ended.await {
            tracing::warn!(source = %name, %error, "the process of a plug-in was not ended");
        }
    }
}

/// How long a plug-in's process gets to end, once its instances are stopped.
const END_WITHIN: Duration = Duration::from_secs(2);

async fn finish(name: &Name, instance: &Instance, deadline: Duration) {
    if let Err(error) = instance.drain(deadline).await {
        tracing::warn!(source = %name, error = %chain(&error), "a source did not drain");
    }
    match tokio::time::timeout(deadline, instance.stop()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(source = %name, error = %chain(&error), "a source did not stop");
        }
        Err(_) => tracing::warn!(source = %name, "a source did not stop in time"),
    }
}

/// A config with another text at a key; as before where it has no such key.
fn with_value(config: &[u8], field: &str, value: &Secret<String>) -> Vec<u8> {
    let read = serde_json::from_slice::<Value>(config);
    let mut config_json = read.expect("invariant: the config is JSON that the hub wrote");
    let pointer = format!("/{}", field.replace('.', "/"));
    match config_json.pointer_mut(&pointer) {
        Some(place) => *place = Value::from(value.expose().as_str()),
        None => return config.to_vec(),
    }
    serde_json::to_vec(&config_json).expect("invariant: it was JSON before")
}

fn missing(source: &Name) -> Trouble {
    let message = format!("source {source:?} is not there: its plug-in could not be loaded");
    Trouble::new(ErrorClass::Config, message)
}

impl Source {
    /// A source without parts is one whose plug-in could not be loaded: whatever is asked of it
    /// says so.
    pub(crate) fn new(name: Name, parts: Option<SourceParts>) -> Self {
        let library = RwLock::new(parts.as_ref().map(|parts| Arc::clone(&parts.library)));
        let standing = Mutex::new(Standing { parts, ..Standing::default() });
        let (renewals, reloading) = (Count::default(), Mutex::default());
        Self { name, standing, library, renewals, reloading, kept: AtomicBool::new(false) }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn library(&self) -> Option<Arc<Library>> {
        self.library.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ways in which it gives records. Of a plug-in that could not be loaded they are not
    /// known: whatever way a capture point would be fed, it shows why it is not.
    fn modes(&self) -> Vec<CaptureMode> {
        match self.library() {
            Some(library) => {
                let capture = library.manifest().capture.as_ref();
                capture.map_or_else(Vec::new, |capture| capture.modes.clone())
            }
            None => vec![CaptureMode::Poll, CaptureMode::Stream],
        }
    }

    /// The hash of what the operator gave for a key whose secret the source replaces.
    pub(crate) async fn replaces(&self, field: &str) -> Option<String> {
        let standing = self.standing.lock().await;
        standing.parts.as_ref()?.rotating.get(field).cloned()
    }

    /// From now on this stands at a key of its config: the next instance is made with it.
    pub(crate) async fn replace(&self, field: &str, value: &Secret<String>) {
        let mut standing = self.standing.lock().await;
        if let Some(parts) = &mut standing.parts {
            parts.secrets.push(Secret::new(value.expose().clone()));
            parts.config = with_value(&parts.config, field, value);
        }
    }

    /// Whether its source replaces credentials, at the moment.
    pub(crate) fn rotates(&self) -> bool {
        self.library().is_some_and(|library| !library.manifest().rotates.is_empty())
    }

    /// The instance and its number, made if there is none.
    pub(crate) async fn instance(&self) -> Result<(u64, Instance), Trouble> {
        let mut standing = self.standing.lock().await;
        match &standing.instance {
            Some(instance) => Ok((standing.number, instance.clone())),
            None => standing.make(&self.name).await,
        }
    }

    /// The instance, its number, and what to attach something to it with.
    async fn attachable<H: Role>(&self, name: &Name) -> Result<(u64, Instance, Vec<u8>), Trouble> {
        let mut standing = self.standing.lock().await;
        let (number, instance) = match &standing.instance {
            Some(instance) => (standing.number, instance.clone()),
            None => standing.make(&self.name).await?,
        };
        let settings = standing.parts.as_ref().map(|parts| parts.settings_of::<H>(name));
        Ok((number, instance, settings.unwrap_or_default()))
    }

    /// Makes the instance anew, unless somebody else did since `seen`. If that fails, what was
    /// there stays, so that the next call sees the same trouble and tries again.
    async fn renew(&self, seen: u64) -> Result<(), Trouble> {
        let mut standing = self.standing.lock().await;
        if standing.number != seen {
            return Ok(());
        }
        standing.make(&self.name).await?;
        self.renewals.add(1);
        Ok(())
    }

    /// Puts other parts, and an instance of them, in place of what stands; gives what stood.
    pub(crate) async fn switch(&self, mut to: Standing) -> Standing {
        let mut standing = self.standing.lock().await;
        to.number = standing.number + 1;
        let library = to.parts.as_ref().map(|parts| Arc::clone(&parts.library));
        *self.library.write().unwrap_or_else(PoisonError::into_inner) = library;
        std::mem::replace(&mut *standing, to)
    }

    /// How its instance is; `None` if there is none.
    pub(crate) async fn health(&self) -> Option<gantry_plugin_host::Health> {
        self.standing.lock().await.instance.as_ref().map(Instance::health)
    }

    /// How its plug-in is, without asking it.
    fn status(&self, library: &Library, plugin: Name, usage: Option<Usage>) -> SourceStatus {
        // Where it is being made, it is not there yet.
        let health = self.standing.try_lock().ok();
        let health = health.and_then(|standing| Some(standing.instance.as_ref()?.health()));
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

    /// Goes on when its pipeline ends.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Takes other parts, of the same plug-in. Its instance stays, unless its own config is another
    /// one by now: then the next call makes one.
    pub(crate) async fn refit(&self, parts: SourceParts, deadline: Duration) {
        let mut standing = self.standing.lock().await;
        let same = standing.parts.as_ref().is_some_and(|now| now.config == parts.config);
        let former = if same { None } else { standing.instance.take() };
        standing.parts = Some(parts);
        drop(standing);
        if let Some(instance) = former {
            finish(&self.name, &instance, deadline).await;
        }
    }

    /// Lets the plug-in finish and close at the end of its pipeline, unless it is kept for the next
    /// one.
    pub(crate) async fn stop_unless_kept(&self, deadline: Duration) {
        if !self.kept.swap(false, Ordering::Relaxed) {
            self.stop(deadline).await;
        }
    }

    /// Lets the plug-in finish and close, for good.
    async fn stop(&self, deadline: Duration) {
        let standing = std::mem::take(&mut *self.standing.lock().await);
        standing.stop(&self.name, deadline).await;
    }
}

/// How all sources of a config are, also those whose plug-in could not be loaded.
pub(crate) fn status(
    configured: &BTreeMap<Name, SourceSpec>,
    sources: &BTreeMap<Name, Arc<Source>>,
) -> BTreeMap<Name, SourceStatus> {
    let libraries: BTreeMap<&Name, Arc<Library>> =
        sources.iter().filter_map(|(name, source)| Some((name, source.library()?))).collect();
    let process = |library: &Arc<Library>| library.process()?.process;
    let processes: Vec<_> = libraries.values().filter_map(process).collect();
    let usage: BTreeMap<_, _> =
        processes.iter().copied().zip(gantry_plugin_host::usage(&processes)).collect();
    let statuses = configured.iter().map(|(name, spec)| {
        let plugin = spec.plugin.clone();
        let status = match (sources.get(name), libraries.get(name)) {
            (Some(source), Some(library)) => {
                let usage = process(library).and_then(|id| *usage.get(&id)?);
                source.status(library, plugin, usage)
            }
            _ => SourceStatus {
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
    pub(crate) fn new(source: Arc<Source>, name: Name) -> Self {
        Self { source, name, handle: Mutex::new(None) }
    }

    /// The handle, attached to the instance of the moment.
    async fn handle(&self) -> Result<(u64, H), Trouble> {
        let (number, _) = self.source.instance().await?;
        let mut handle = self.handle.lock().await;
        if let Some((attached_to, handle)) = &*handle
            && *attached_to == number
        {
            return Ok((number, handle.clone()));
        }
        let (number, instance, settings) = self.source.attachable::<H>(&self.name).await?;
        let fresh = H::attach(&instance, &self.name, settings).await?;
        *handle = Some((number, fresh.clone()));
        Ok((number, fresh))
    }

    /// Calls; makes the instance anew after a panic, and after expired credentials calls again.
    async fn call<T, F>(&self, op: impl Fn(H) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let (number, result) = self.call_once(&op).await;
        let trouble = match result {
            Ok(answer) => return Ok(answer),
            Err(trouble) => trouble,
        };
        let source = &self.source.name;
        match trouble.class {
            ErrorClass::AuthExpired => {
                self.source.renew(number).await?;
                let (_, again) = self.call_once(&op).await;
                // Expired twice in a row: the fresh credentials are no better.
                again.map_err(|trouble| match trouble.class {
                    ErrorClass::AuthExpired => Trouble { class: ErrorClass::AuthDenied, ..trouble },
                    _ => trouble,
                })
            }
            ErrorClass::Panic => {
                let error = &trouble.message;
                tracing::error!(%source, error, "a plug-in panicked; its source is made anew");
                if let Err(error) = self.source.renew(number).await {
                    tracing::error!(%source, %error, "a source cannot be made anew");
                }
                Err(trouble)
            }
            _ => Err(trouble),
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
                let source = &self.source.name;
                tracing::error!(%source, %error, "a source cannot be made anew");
                false
            }
        }
    }

    async fn call_once<T, F>(&self, op: &impl Fn(H) -> F) -> (u64, Result<T, Trouble>)
    where
        F: Future<Output = Result<T, CallError>>,
    {
        match self.handle().await {
            Ok((number, handle)) => (number, op(handle).await.map_err(Trouble::from)),
            // Attaching can panic as well: then the instance of the moment is the one to renew.
            Err(trouble) => (self.source.standing.lock().await.number, Err(trouble)),
        }
    }
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self { class: error.class(), message: chain(&error), after: error.retry_after() }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
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
