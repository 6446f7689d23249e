//! What all handlers share, and the router they hang in.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::get;
use gantry_hub::{Handle, QueueFigures, Scan, Unserved};
use gantry_model::Millis;
use gantry_store::Store;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::answer::answer;
use crate::api;
use crate::attendance::{self, Attendance};
use crate::intake::Intake;
use crate::pages;
use crate::past;
use crate::problem::{self, Problem};
use crate::token::Key;

/// Bounds of the web server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Largest body that is read, in bytes.
    pub body_bytes_max: usize,
    /// How long a handler may take until its answer begins.
    pub request_timeout: Duration,
    /// How long a client may take to send the head of a request, or to send a next one.
    pub idle_timeout: Duration,
    /// Connections at once; more wait until one ends.
    pub connections_max: usize,
    /// Live streams at once; more are refused.
    pub streams_max: usize,
    /// How long an agent may be without a page before they become not ready; it counts from the
    /// end of the agent's last live stream.
    pub disconnect_grace: Millis,
    /// How often a live stream that has nothing to tell shows that it is alive.
    pub heartbeat: Duration,
    /// How long a stop waits for requests under way.
    pub drain_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            body_bytes_max: 8 << 20,
            request_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            connections_max: 4_096,
            streams_max: 1_024,
            disconnect_grace: attendance::GRACE,
            heartbeat: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// What the web server is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The hub.
    pub hub: Handle,
    /// The store, for lists and history.
    pub store: Arc<dyn Store>,
    /// The pipeline.
    pub intake: Arc<dyn Intake>,
    /// The key that signs tokens.
    pub key: Key,
    /// Bounds.
    pub options: Options,
}

/// The web server. [`Web::run`] serves it on a listener.
#[derive(Debug)]
pub struct Web {
    pub(crate) app: Shared,
}

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) hub: Handle,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) key: Key,
    pub(crate) options: Options,
    /// Which agents have a page open.
    pub(crate) attendance: Arc<Attendance>,
    /// A permit a fold of the journal.
    pub(crate) folds: Semaphore,
    /// The figures of all queues.
    pub(crate) queues: Scan<Vec<QueueFigures>>,
    /// What nobody serves.
    pub(crate) unserved: Scan<Vec<Unserved>>,
    /// A permit a live stream.
    pub(crate) streams: Arc<Semaphore>,
    /// Canceled when the server stops: live streams end by themselves.
    pub(crate) stopping: CancellationToken,
}

pub(crate) type Shared = Arc<App>;

impl Web {
    /// Puts the server together. Nothing runs yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { hub, store, intake, key, options } = parts;
        let streams = Arc::new(Semaphore::new(options.streams_max));
        let stopping = CancellationToken::new();
        let (attendance, folds) = (Arc::default(), Semaphore::new(past::FOLDS_MAX));
        let app = Arc::new(App {
            hub,
            store,
            intake,
            key,
            options,
            attendance,
            folds,
            queues: Scan::default(),
            unserved: Scan::default(),
            streams,
            stopping,
        });
        Self { app }
    }

    /// All addresses, with everything around them. Also what tests call directly.
    pub fn router(&self) -> Router {
        let app = Arc::clone(&self.app);
        Router::new()
            .nest("/api/v1", api::routes())
            .merge(pages::routes())
            .route("/healthz", get(api::status::healthz))
            .route("/readyz", get(api::status::readyz))
            .route("/metrics", get(api::status::metrics))
            .fallback(no_address)
            .method_not_allowed_fallback(no_method)
            .layer(middleware::from_fn_with_state(Arc::clone(&app), answer))
            .with_state(app)
    }
}

async fn no_address() -> Problem {
    Problem::new(&problem::NO_ADDRESS, "nothing is at this address; the API is under /api/v1")
}

async fn no_method() -> Problem {
    let detail = "the address is there, but takes another method; the header Allow names it";
    Problem::new(&problem::METHOD, detail)
}
