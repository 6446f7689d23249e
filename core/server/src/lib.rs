//! The wiring: boot order, the engine's thread, drain.
//!
//! Boot: config → plug-ins → store → state → engine loop → config version → pipeline → web. Stop:
//! web and capture first, then look-ups, callbacks, engine, store. Nothing is decided here.
//!
//! Start reading at [`run`].
#![forbid(unsafe_code)]

pub mod connect;
mod engine;
mod error;
mod generation;
mod intake;
mod metrics;
pub mod place;
pub mod plugins;
mod reload;
pub mod suggest;
pub mod telemetry;
mod vault;
mod verify;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_hub::Handle;
use gantry_model::{Clock as _, Name, Timestamp};
use gantry_pipeline::{Kept, Limits, Pipeline, PipelineParts};
use gantry_store::Store;
use gantry_web::{Claims, Key, Parts, Role, Web};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::Engine;
pub use crate::error::Error;
use crate::generation::{Active, Generation, Succession, WISHES_MAX};
use crate::intake::PipelineIntake;
use crate::place::{Place, Running};
use crate::plugins::Loaded;
use crate::reload::Reloader;
pub use crate::verify::{Report, verify};
use crate::watch::Watch;

/// What a hub is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The config file.
    pub config: PathBuf,
    /// Address of the web server, instead of the config's.
    pub listen: Option<String>,
    /// Folders with plug-ins, instead of the config's.
    pub plugins: Vec<PathBuf>,
    /// Whether what changes on the disk, the config or a plug-in in use, is reloaded by itself.
    pub watch: bool,
}

/// A hub that takes work.
#[derive(Clone, Debug)]
pub struct Ready {
    /// `http://host:port`
    pub url: String,
    /// What the command line reads to find the hub.
    pub run_file: PathBuf,
}

/// Runs a hub until SIGTERM or SIGINT, or until its store is lost. `ready` is called once, when it
/// takes work.
///
/// # Errors
/// [`Error`]: what keeps it from starting, or ended it.
pub fn run(options: Options, ready: impl FnOnce(Ready)) -> Result<(), Error> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Threads)?;
    runtime.block_on(start(options, ready))
}

/// The current wall clock, for what is not hub time: expiry of a token that is being issued.
pub fn wall_clock() -> Timestamp {
    gantry_hub::HubClock::new(Timestamp::default()).now()
}

async fn start(options: Options, ready: impl FnOnce(Ready)) -> Result<(), Error> {
    let Options { config, listen, plugins, watch } = options;
    let (config, plugins) = (absolute(&config)?, absolute_all(&plugins)?);
    let place = Place::of(&config)?;
    // Paths in plug-ins' settings count from the config's folder too.
    std::env::set_current_dir(&place.folder)
        .map_err(|source| Error::Folder { path: place.folder.clone(), source })?;
    let folders = plugins::Folders::new(place.clone(), plugins);
    let Loaded { spec, sources, .. } = plugins::load(&config, folders.clone(), |_, _| None).await?;
    let (rules, _) = gantry_rules::compile(&spec);
    let spec = Arc::new(spec);
    let opened = gantry_store::open(&place.store).await;
    let store = opened.map_err(|source| Error::Store { url: place.store.clone(), source })?;
    let engine = Engine::start(Arc::clone(&store)).await?;
    let version = engine.activate(&spec).await?;
    let after_seq = engine.boot().await?;
    let hub = engine.handle.clone();
    let parts = PipelineParts {
        spec: Arc::clone(&spec),
        version: version.0,
        rules: Arc::new(rules),
        hub: hub.clone(),
        store: Arc::clone(&store),
        sources,
        vault: Some(Arc::new(folders.vault())),
        kept: Kept::default(),
        after_seq,
        limits: Limits::default(),
    };
    let (pipeline, pipeline_handle) = Pipeline::build(parts).await?;
    let key = Key::load_or_create(&place.key_file())?;
    let address = listen.unwrap_or_else(|| spec.hub.listen.clone());
    let listener = listen_on(&address).await?;
    let running = running(&listener, &key)?;
    let active = Active::new(Generation { pipeline: pipeline_handle, spec });
    let (tasks, (wishes, wished)) = (TaskTracker::new(), mpsc::channel(WISHES_MAX));
    let reloader = Reloader { folders: folders.clone(), active: active.clone(), tasks };
    let watch = watch.then(|| Watch {
        config: config.clone(),
        active: active.clone(),
        reloader: reloader.clone(),
        wishes: wishes.clone(),
    });
    let succession = Succession {
        config,
        folders,
        place: place.clone(),
        hub: hub.clone(),
        store: Arc::clone(&store),
        active: active.clone(),
        version,
        wishes: wished,
    };
    let (asked, kept) = (hub.clone(), Arc::clone(&store));
    let intake = PipelineIntake { active, hub: asked, store: kept, reloader, wishes };
    let web = web(hub.clone(), Arc::clone(&store), intake, key);
    let services = Services { pipeline, succession, watch, web, listener, engine };
    let announced = place.clone();
    let result = services
        .serve(move || {
            announced.announce(&running)?;
            tracing::info!(url = %running.url, "the hub takes work");
            ready(Ready { url: running.url, run_file: announced.run_file() });
            Ok(())
        })
        .await;
    place.withdraw();
    drop(store);
    result
}

/// A path that stays the same when the working folder changes.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Folder { path: path.into(), source })
}

fn absolute_all(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    paths.iter().map(|path| absolute(path)).collect()
}

/// Everything that runs.
struct Services {
    pipeline: Pipeline,
    succession: Succession,
    watch: Option<Watch>,
    web: Web,
    listener: TcpListener,
    engine: Engine,
}

impl Services {
    /// Serves until a signal or the loss of the store, then drains in order.
    async fn serve(self, ready: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let Self { pipeline, succession, watch, web, listener, mut engine } = self;
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Threads)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Threads)?;
        let mut pipelines = JoinSet::new();
        pipelines.spawn(succession.run(pipeline, stop.clone()));
        let mut webs = JoinSet::new();
        webs.spawn(web.run(listener, stop.clone()));
        ready()?;
        let mut watches = JoinSet::new();
        watch.map(|watch| watches.spawn(watch.run()));
        let lost = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            ended = engine.ended() => Some(ended),
            ended = pipelines.join_next() => Some(succession_ended(ended)),
            ended = webs.join_next() => Some(web_ended(ended)),
        };
        tracing::info!("the hub stops: no new work, what is under way is finished");
        watches.abort_all();
        stop.cancel();
        while webs.join_next().await.is_some() {}
        while let Some(ended) = pipelines.join_next().await {
            if let Err(error) = succession_ended(Some(ended)) {
                tracing::warn!(%error, "the pipeline ended with an error");
            }
        }
        let stopped = engine.stop().await;
        lost.unwrap_or(stopped)
    }
}

/// The web server runs until it is told to stop; a hub without one is of no use.
fn web_ended(ended: Option<Result<(), tokio::task::JoinError>>) -> Result<(), Error> {
    match ended {
        Some(Err(error)) => Err(Error::Broken { what: "web server", reason: error.to_string() }),
        Some(Ok(())) | None => Ok(()),
    }
}

/// The pipeline runs until it is told to stop; if it ends before, something is wrong.
fn pipeline_ended(
    ended: Option<Result<Result<(), gantry_pipeline::PipelineError>, tokio::task::JoinError>>,
) -> Result<(), Error> {
    match ended {
        Some(Ok(Err(error))) => Err(error.into()),
        Some(Err(error)) => Err(Error::Broken { what: "pipeline", reason: error.to_string() }),
        Some(Ok(Ok(()))) | None => Ok(()),
    }
}

fn succession_ended(
    ended: Option<Result<Result<(), Error>, tokio::task::JoinError>>,
) -> Result<(), Error> {
    match ended {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(Error::Broken { what: "pipeline", reason: error.to_string() }),
        None => Ok(()),
    }
}

fn web(hub: Handle, store: Arc<dyn Store>, intake: PipelineIntake, key: Key) -> Web {
    let options = gantry_web::Options::default();
    Web::new(Parts { hub, store, intake: Arc::new(intake), key, options })
}

async fn listen_on(address: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address: address.into(), source })
}

/// The note for the command line, with a token for the administrator.
fn running(listener: &TcpListener, key: &Key) -> Result<Running, Error> {
    let address = listener.local_addr().map_err(Error::Threads)?;
    let claims = Claims { name: Name::new("admin"), role: Role::Administrator, expires_at: None };
    let token = key.issue(&claims);
    Ok(Running { url: format!("http://{address}"), token, process: std::process::id() })
}
