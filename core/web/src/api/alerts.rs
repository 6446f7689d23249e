//! Alerts that are raised.

use axum::Json;
use axum::extract::State;
use gantry_model::spec::Statistic;
use gantry_model::{Name, Timestamp};
use serde::Serialize;

use crate::access::{Caller, Permission};
use crate::app::{App, Shared};
use crate::problem::Problem;

/// `GET /alerts`
#[derive(Debug, Serialize)]
pub(super) struct AlertList {
    /// The one that is raised the longest first.
    alerts: Vec<AlertView>,
    /// The instant that they are of.
    at: Timestamp,
}

/// An alert that is raised.
#[derive(Debug, Serialize)]
pub(crate) struct AlertView {
    pub(crate) alert: Name,
    pub(crate) when: Statistic,
    queue: Option<Name>,
    capture: Option<Name>,
    /// The statistic when it was raised: a number, or milliseconds.
    value: i64,
    /// The limit, in the same unit.
    over: i64,
    pub(crate) raised_at: Timestamp,
    /// The same in words.
    pub(crate) text: String,
}

/// `GET /alerts`.
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<AlertList>, Problem> {
    caller.must(Permission::ReadQueue)?;
    Ok(Json(AlertList { alerts: raised(&app).await?, at: app.hub.now() }))
}

/// The alerts of the config that are raised, the longest first.
pub(crate) async fn raised(app: &App) -> Result<Vec<AlertView>, Problem> {
    let config = app.intake.spec();
    let rows = app.store.alerts().await?;
    let views = rows.into_iter().filter_map(|row| {
        let spec = config.alerts.get(&row.alert)?;
        Some(AlertView {
            text: spec.sentence(row.value),
            when: spec.when,
            queue: spec.queue.clone(),
            capture: spec.capture.clone(),
            value: row.value,
            over: spec.over,
            raised_at: row.raised_at,
            alert: row.alert,
        })
    });
    Ok(views.collect())
}
