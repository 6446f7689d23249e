//! Capture points by hand: pause, resume, ask the source now, the positions of sources; plug-ins
//! and the config reloaded.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_model::{Name, Timestamp};
use gantry_store::PositionRow;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::moves::{check_text, fault};
use crate::access::{Caller, Permission};
use crate::app::{App, Shared};
use crate::extract::{FromPath, FromQuery, Json as Body, JsonBytes, parse};
use crate::intake::{ConfigReload, Move, SourceReload};
use crate::problem::{self, Problem};

/// Why a capture point is paused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Pause {
    reason: Option<String>,
}

/// The query of the list of positions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PositionsQuery {
    capture_point: Option<Name>,
}

/// A position, as text or as base64.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    /// The partition of the source; empty if it has none.
    #[serde(default)]
    partition: String,
    position: Option<String>,
    position_base64: Option<String>,
}

/// Back to the beginning.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reset {
    /// None = all.
    partition: Option<String>,
}

/// Back to where it stood.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rewind {
    to: Timestamp,
    /// None = all.
    partition: Option<String>,
}

/// How far sources have been read.
#[derive(Debug, Serialize)]
pub(super) struct Positions {
    positions: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    capture_point: Name,
    /// The partition of the source; empty if it has none.
    partition: String,
    #[serde(flatten)]
    position: Position,
    at: Timestamp,
}

/// A position, as text if it is text.
#[derive(Debug, Serialize)]
enum Position {
    #[serde(rename = "position")]
    Text(String),
    #[serde(rename = "position_base64")]
    Base64(String),
}

/// `POST /capture-points/{capture_point}/pause`: nothing more is taken until it is resumed.
pub(super) async fn pause(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(capture_point): FromPath<String>,
    JsonBytes(body): JsonBytes,
) -> Result<StatusCode, Problem> {
    caller.must(Permission::OperateCapture)?;
    let Pause { reason } = parse_if_any(&body)?;
    check_text("reason", reason.as_deref())?;
    app.intake.pause(caller.actor(), &capture_point, reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /capture-points/{capture_point}/resume`.
pub(super) async fn resume(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(capture_point): FromPath<String>,
) -> Result<StatusCode, Problem> {
    caller.must(Permission::OperateCapture)?;
    app.intake.resume(caller.actor(), &capture_point).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /capture-points/{capture_point}/poll`: the source is asked now.
pub(super) async fn poll(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(capture_point): FromPath<String>,
) -> Result<StatusCode, Problem> {
    caller.must(Permission::OperateCapture)?;
    app.intake.poll_now(&capture_point)?;
    Ok(StatusCode::ACCEPTED)
}

/// `POST /config/reload`: the config is read again.
pub(super) async fn reload_config(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<ConfigReload>, Problem> {
    caller.must(Permission::Reload)?;
    Ok(Json(app.intake.reload_config().await?))
}

/// `POST /plugins/{plugin}/reload`: its sources run with what its file is now, or as before.
pub(super) async fn reload(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(plugin): FromPath<String>,
) -> Result<Json<Vec<SourceReload>>, Problem> {
    caller.must(Permission::Reload)?;
    Ok(Json(app.intake.reload_plugin(caller.actor(), &plugin).await?))
}

/// `GET /positions`.
pub(super) async fn positions(
    State(app): State<Shared>,
    caller: Caller,
    FromQuery(query): FromQuery<PositionsQuery>,
) -> Result<Json<Positions>, Problem> {
    caller.must(Permission::ReadStatus)?;
    list(&app, query.capture_point.as_deref()).await
}

/// `POST /positions/{capture_point}/set`: the source is read on from there.
pub(super) async fn set(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(capture_point): FromPath<String>,
    Body(set): Body<Set>,
) -> Result<Json<Positions>, Problem> {
    caller.must(Permission::MovePosition)?;
    let Set { partition, position, position_base64 } = set;
    let position = match (position, position_base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => STANDARD.decode(&text).map_err(|error| {
            let detail = format!("position_base64 is no base64: {error}");
            fault("position_base64", detail)
        })?,
        _ => {
            let detail = "give either position (text) or position_base64";
            return Err(Problem::new(&problem::FIELDS, detail));
        }
    };
    moved(&app, &caller, &capture_point, Move::Set { partition, position }).await
}

/// `POST /positions/{capture_point}/reset`: the source is read from the beginning.
pub(super) async fn reset(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(capture_point): FromPath<String>,
    JsonBytes(body): JsonBytes,
) -> Result<Json<Positions>, Problem> {
    let Reset { partition } = parse_if_any(&body)?;
    moved(&app, &caller, &capture_point, Move::Reset { partition }).await
}

/// `POST /positions/{capture_point}/rewind`: the source is read from where it had been read to.
pub(super) async fn rewind(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(capture_point): FromPath<String>,
    Body(Rewind { to, partition }): Body<Rewind>,
) -> Result<Json<Positions>, Problem> {
    moved(&app, &caller, &capture_point, Move::Rewind { partition, to }).await
}

/// A body that may be left out.
fn parse_if_any<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() { Ok(T::default()) } else { parse(body) }
}

/// Moves, and tells the positions as they are now.
async fn moved(
    app: &App,
    caller: &Caller,
    capture_point: &str,
    to: Move,
) -> Result<Json<Positions>, Problem> {
    caller.must(Permission::MovePosition)?;
    app.intake.move_position(caller.actor(), capture_point, to).await?;
    list(app, Some(capture_point)).await
}

async fn list(app: &App, capture_point: Option<&str>) -> Result<Json<Positions>, Problem> {
    let rows = app.store.positions(capture_point).await?;
    Ok(Json(Positions { positions: rows.into_iter().map(Row::from).collect() }))
}

impl From<PositionRow> for Row {
    fn from(row: PositionRow) -> Self {
        let PositionRow { capture_point, source_partition, position, at } = row;
        let position = match String::from_utf8(position) {
            Ok(text) => Position::Text(text),
            Err(error) => Position::Base64(STANDARD.encode(error.as_bytes())),
        };
        Self { capture_point, partition: source_partition, position, at }
    }
}
