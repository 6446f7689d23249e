//! Health: for people and monitors with a token, and bare yes or no for load balancers.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use gantry_hub::Health;
use serde::Serialize;

use crate::access::{Caller, Permission};
use crate::app::Shared;
use crate::problem::Problem;

/// Media type of the metrics. Source: OpenMetrics 1.0, section 4.2.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How the hub is doing.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    #[serde(flatten)]
    health: HealthView,
    /// Capture points, look-ups, callbacks: what the pipeline says of itself.
    #[serde(flatten)]
    pipeline: serde_json::Value,
    hub: gantry_hub::Stats,
    store: gantry_store::Stats,
}

/// Whether the hub takes work.
#[derive(Debug, Serialize)]
#[serde(tag = "health", rename_all = "snake_case")]
enum HealthView {
    Ready,
    Degraded { reason: String },
    Stopped,
}

/// `GET /status`.
pub(super) async fn status(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Status>, Problem> {
    caller.must(Permission::ReadStatus)?;
    let health = match app.hub.health().borrow().clone() {
        Health::Ready => HealthView::Ready,
        Health::Degraded { reason } => HealthView::Degraded { reason },
        Health::Stopped => HealthView::Stopped,
    };
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        health,
        pipeline: app.intake.status(),
        hub: app.hub.stats(),
        store: app.store.stats(),
    }))
}

/// `GET /metrics`: figures for monitors.
pub(crate) async fn metrics(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    caller.must(Permission::ReadStatus)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], app.intake.metrics()))
}

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the hub takes work.
pub(crate) async fn readyz(State(app): State<Shared>) -> (StatusCode, &'static str) {
    match *app.hub.health().borrow() {
        Health::Ready => (StatusCode::OK, "ready\n"),
        Health::Degraded { .. } => (StatusCode::SERVICE_UNAVAILABLE, "the store refuses commits\n"),
        Health::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopped\n"),
    }
}
