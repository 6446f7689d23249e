//! The config read again in a running hub: what runs of one version of it is a generation, and the
//! next one takes its place.
//!
//! A config that has faults, or that the engine refuses, changes nothing. The new version counts
//! for new decisions at once; then the pipeline of the old one drains, and that of the new one
//! begins where it ended: at the stored positions, open runs and cursors. Sources whose part of the
//! config is as before keep their instances and connections.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use gantry_hub::Committed;
use gantry_model::spec::{SourceSpec, Spec};
use gantry_model::{Event, Name};
use gantry_pipeline::{Handle, Kept, Limits, Pipeline, PipelineParts};
use gantry_plugin_host::Library;
use gantry_store::Store;
use gantry_web::intake::{ConfigReload, IntakeError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, MutexGuard, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine::{Version, activate};
use crate::error::{Error, chain};
use crate::plugins::{self, Folders, Loaded};
use crate::{pipeline_ended, place::Place};

/// Wishes to read the config again that may wait.
pub(crate) const WISHES_MAX: usize = 4;

/// Somebody wants the config to be read again, and waits for what came of it.
pub(crate) type Wish = oneshot::Sender<Result<ConfigReload, IntakeError>>;

/// What runs of one version of the config.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) pipeline: Handle,
    pub(crate) spec: Arc<Spec>,
}

/// The generation of the moment. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Active(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    now: RwLock<Arc<Generation>>,
    /// Plug-ins and the config are reloaded one after the other.
    changes: Mutex<()>,
}

impl Active {
    pub(crate) fn new(generation: Generation) -> Self {
        let now = RwLock::new(Arc::new(generation));
        Self(Arc::new(Shared { now, changes: Mutex::default() }))
    }

    pub(crate) fn now(&self) -> Arc<Generation> {
        Arc::clone(&self.0.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, generation: Generation) {
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(generation);
    }

    /// Waits for the turn to change what runs.
    pub(crate) async fn changes(&self) -> MutexGuard<'_, ()> {
        self.0.changes.lock().await
    }
}

/// Lets one generation follow the other.
#[derive(Debug)]
pub(crate) struct Succession {
    pub(crate) config: PathBuf,
    pub(crate) folders: Folders,
    pub(crate) place: Place,
    pub(crate) hub: gantry_hub::Handle,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) active: Active,
    pub(crate) version: Version,
    pub(crate) wishes: mpsc::Receiver<Wish>,
}

/// A generation that is about to begin.
struct Next {
    parts: PipelineParts,
    /// Sources that keep what they run with.
    keep: BTreeSet<Name>,
    answer: ConfigReload,
}

impl Succession {
    /// Runs generations until `stop`, or until one ends by itself. The config is read again when
    /// somebody wishes it, and on SIGHUP.
    pub(crate) async fn run(
        mut self,
        mut pipeline: Pipeline,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let mut hangup = signal(SignalKind::hangup()).map_err(Error::Threads)?;
        let active = self.active.clone();
        loop {
            let end = stop.child_token();
            let mut running = JoinSet::new();
            running.spawn(pipeline.run(end.clone()));
            pipeline = loop {
                let wish = tokio::select! {
                    ended = running.join_next() => return pipeline_ended(ended),
                    Some(wish) = self.wishes.recv() => Some(wish),
                    _ = hangup.recv() => None,
                };
                let _one = active.changes().await;
                let next = match self.prepare().await {
                    Ok(next) if next.answer.changed => next,
                    unchanged => {
                        tell(wish, unchanged.map(|next| next.answer));
                        continue;
                    }
                };
                let Next { mut parts, keep, answer } = next;
                parts.kept = active.now().pipeline.keep(&keep);
                end.cancel();
                pipeline_ended(running.join_next().await)?;
                let spec = Arc::clone(&parts.spec);
                let (pipeline, handle) = Pipeline::build(parts).await?;
                active.set(Generation { pipeline: handle, spec });
                tell(wish, Ok(answer));
                break pipeline;
            };
        }
    }

    /// Reads the config, and makes it the active version if it is another one.
    async fn prepare(&mut self) -> Result<Next, IntakeError> {
        let generation = self.active.now();
        let before = &generation.spec;
        let reuse = |name: &Name, source: &SourceSpec| -> Option<Arc<Library>> {
            let same = before.sources.get(name) == Some(source);
            same.then(|| generation.pipeline.library(name)).flatten()
        };
        let loaded = plugins::load(&self.config, self.folders.clone(), reuse).await;
        let Loaded { spec, sources, refused: not_loaded, .. } = loaded.map_err(refused)?;
        // At boot such a source keeps nothing else from running. Here it can be seen to first.
        let is_new = |name: &Name| before.sources.get(name) != spec.sources.get(name);
        if let Some((name, refusal)) = not_loaded.iter().find(|(name, _)| is_new(name)) {
            let (code, why, remedy) = (refusal.code(), chain(refusal), refusal.remedy());
            let reason = format!("source.{name} cannot run: {why} ({code}): {remedy}");
            return Err(IntakeError::ConfigRefused(reason));
        }
        let (rules, _) = gantry_rules::compile(&spec);
        let spec = Arc::new(spec);
        let commits = self.hub.subscribe();
        let version = activate(&self.hub, Some(self.version), &spec).await.map_err(refused)?;
        let changed = version != self.version;
        self.version = version;
        let after_seq = if changed { activated(commits, version.0).await } else { 0 };
        let is_kept = |name: &&Name| {
            let same = before.sources.get(*name) == spec.sources.get(*name);
            let kept = sources.get(*name).zip(generation.pipeline.library(name));
            same && kept.is_some_and(|(parts, running)| Arc::ptr_eq(&parts.library, &running))
        };
        let keep: BTreeSet<Name> = spec.sources.keys().filter(is_kept).cloned().collect();
        let restarted = spec.sources.keys().filter(|name| !keep.contains(*name)).cloned();
        let ended = before.sources.keys().filter(|name| !spec.sources.contains_key(*name));
        let answer = ConfigReload {
            version: version.0,
            changed,
            kept: keep.iter().cloned().collect(),
            restarted: restarted.collect(),
            ended: ended.cloned().collect(),
            after_restart: self.after_restart(before, &spec),
        };
        let parts = PipelineParts {
            spec,
            version: version.0,
            rules: Arc::new(rules),
            hub: self.hub.clone(),
            store: Arc::clone(&self.store),
            sources,
            vault: Some(Arc::new(self.folders.vault())),
            kept: Kept::default(),
            after_seq,
            limits: Limits::default(),
        };
        Ok(Next { parts, keep, answer })
    }

    /// Keys that have changed and count after a restart only.
    fn after_restart(&self, before: &Spec, spec: &Spec) -> Vec<&'static str> {
        let folders = Place::planned(&self.config).map(|place| place.plugins);
        let keys = [
            ("hub.listen", before.hub.listen != spec.hub.listen),
            ("hub.store", before.hub.store != spec.hub.store),
            ("hub.plugins", folders.is_ok_and(|folders| folders != self.place.plugins)),
        ];
        keys.into_iter().filter(|(_, has_changed)| *has_changed).map(|(key, _)| key).collect()
    }
}

/// The number of the commit that made a config version the active one.
async fn activated(mut commits: Receiver<Committed>, wanted: u32) -> u64 {
    let is_it = |event: &Event| match event {
        Event::ConfigActivated { version, .. } => *version == wanted,
        _ => false,
    };
    let mut is_behind = false;
    loop {
        match commits.recv().await {
            // Among those that were missed; this one is near it.
            Ok(Committed { segment }) if is_behind => return segment.seq,
            Ok(Committed { segment }) => {
                if segment.entries.iter().any(|entry| is_it(&entry.event)) {
                    return segment.seq;
                }
            }
            Err(RecvError::Lagged(_)) => is_behind = true,
            // The hub has ended, and nothing begins any more.
            Err(RecvError::Closed) => return u64::MAX,
        }
    }
}

fn refused(error: Error) -> IntakeError {
    match error {
        Error::Hub(error) => IntakeError::Hub(error),
        other => IntakeError::ConfigRefused(chain(&other)),
    }
}

/// Says what came of it, to whoever waits, and in the log.
fn tell(wish: Option<Wish>, result: Result<ConfigReload, IntakeError>) {
    match &result {
        Ok(ConfigReload { version, changed: true, restarted, kept, ended, .. }) => {
            tracing::info!(version, ?restarted, ?kept, ?ended, "the config was read again");
        }
        Ok(_) => tracing::info!("the config was read again, and is as before"),
        Err(error) => tracing::error!(%error, "the config was read again, and not taken"),
    }
    // Whoever wished it may be gone.
    let _ = wish.map(|wish| wish.send(result));
}
