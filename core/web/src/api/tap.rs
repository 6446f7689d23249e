//! The tap: the records of a capture point, live, as they are settled.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event as Sse, KeepAlive, Sse as SseResponse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::events::{live, too_many};
use crate::access::{Caller, Permission};
use crate::app::Shared;
use crate::extract::{FromPath, FromQuery};
use crate::intake::Watch;
use crate::problem::Problem;

/// The query of a tap.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TapQuery {
    /// Only records that ended so.
    outcome: Option<Outcome>,
}

/// How a record ends.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Accepted,
    Filtered,
    Refused,
    Retry,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Filtered => "filtered",
            Self::Refused => "refused",
            Self::Retry => "retry",
        }
    }
}

/// One who watches.
struct Watcher {
    watch: Box<dyn Watch>,
    outcome: Option<Outcome>,
    stopping: CancellationToken,
    /// Held until the stream ends, however it ends.
    _permit: OwnedSemaphorePermit,
}

/// `GET /capture-points/{capture_point}/tap`.
pub(super) async fn tap(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(capture_point): FromPath<String>,
    FromQuery(TapQuery { outcome }): FromQuery<TapQuery>,
) -> Result<Response, Problem> {
    caller.must(Permission::Tap)?;
    let permit = app.streams.clone().try_acquire_owned().map_err(too_many)?;
    let watch = app.intake.watch(&capture_point)?;
    let stopping = app.stopping.clone();
    let watcher = Watcher { watch, outcome, stopping, _permit: permit };
    let records = stream::unfold(watcher, |mut watcher| async {
        let seen = watcher.next().await?;
        Some((Ok::<_, Infallible>(Sse::default().data(seen.to_string())), watcher))
    });
    let keep_alive = KeepAlive::new().interval(app.options.heartbeat);
    Ok(live(SseResponse::new(records).keep_alive(keep_alive).into_response()))
}

impl Watcher {
    /// The next record that is wanted; none = the stream ends.
    async fn next(&mut self) -> Option<Value> {
        let stopping = self.stopping.clone();
        loop {
            let seen = tokio::select! {
                seen = self.watch.next() => seen?,
                () = stopping.cancelled() => return None,
            };
            // What was lost may have been wanted.
            let wanted = |outcome: Outcome| seen["outcome"] == outcome.name();
            if seen.get("lost").is_some() || self.outcome.is_none_or(wanted) {
                return Some(seen);
            }
        }
    }
}
