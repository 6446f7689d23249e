//! What waits: the most urgent items, and every queue in figures.

use axum::Json;
use axum::extract::State;
use gantry_hub::{QueueFigures, Unserved};
use gantry_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::items::within;
use crate::access::{Caller, Permission};
use crate::app::Shared;
use crate::extract::FromQuery;
use crate::live;
use crate::problem::Problem;
use crate::view::{List, Summary};

/// Items that the head of the queue shows, unless the query says otherwise, and at most.
const TOP: u32 = 20;
const TOP_MAX: u32 = 100;

/// How much of the queue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopQuery {
    limit: Option<u32>,
}

/// `GET /queues`
#[derive(Debug, Serialize)]
pub(super) struct Queues {
    /// Every queue of the config, and others that have items; by name.
    queues: Vec<QueueFigures>,
    /// The instant that the figures are of.
    at: Timestamp,
}

/// `GET /queue/unserved`
#[derive(Debug, Serialize)]
pub(super) struct UnservedList {
    /// The worst first.
    unserved: Vec<Unserved>,
    /// The instant that it was so.
    at: Timestamp,
}

/// `GET /queue/unserved`: what nobody serves at the moment, and why.
pub(super) async fn unserved(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<UnservedList>, Problem> {
    caller.must(Permission::ReadQueue)?;
    let (unserved, at) = app.unserved.get(&app.hub, gantry_hub::State::unserved).await?;
    Ok(Json(UnservedList { unserved, at }))
}

/// `GET /queue`: what waits, the most urgent first.
pub(super) async fn top(
    State(app): State<Shared>,
    caller: Caller,
    FromQuery(query): FromQuery<TopQuery>,
) -> Result<Json<List>, Problem> {
    caller.must(Permission::ReadQueue)?;
    let limit = within(query.limit, TOP, TOP_MAX)?;
    let (top, now) = live::top(&app.hub, limit as usize).await?;
    let mut items = Vec::with_capacity(top.len());
    for (item, priority) in top {
        if let Some(view) = app.store.item(item).await? {
            items.push(Summary::new(&view, Some(priority), now));
        }
    }
    Ok(Json(List { items, next: None, now }))
}

/// `GET /queues`.
pub(super) async fn queues(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Queues>, Problem> {
    caller.must(Permission::ReadQueue)?;
    let (queues, at) = app.queues.get(&app.hub, gantry_hub::queues).await?;
    Ok(Json(Queues { queues, at }))
}
