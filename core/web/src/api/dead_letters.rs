//! Dead letters: records and callbacks that a person has to look at.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_model::{ItemId, Name, Timestamp};
use gantry_store::{DeadLetter, DeadLetterFilter, DeadLetterKind, Resolution};
use serde::{Deserialize, Serialize};

use super::items::within;
use crate::access::{Caller, Permission};
use crate::app::Shared;
use crate::extract::{FromPath, FromQuery, RawBody};
use crate::problem::{self, Problem};

/// Dead letters that a page of the list holds, unless the query says otherwise, and at most.
const PAGE: u32 = 50;
const PAGE_MAX: u32 = 500;

/// The query of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// `capture` or `callback`.
    kind: Option<String>,
    /// Capture point or subscriber.
    origin: Option<Name>,
    /// The class of the error, such as `transient`.
    class: Option<String>,
    /// `true`: those that nobody has settled (the default); `false`: the others.
    open: Option<bool>,
    after: Option<String>,
    limit: Option<u32>,
}

/// A page of the list.
#[derive(Debug, Serialize)]
pub(super) struct List {
    dead_letters: Vec<Row>,
    /// `after` of the next page; none = this was the last.
    next: Option<String>,
}

/// A dead letter.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    id: String,
    kind: DeadLetterKind,
    origin: Name,
    external_id: Option<String>,
    item: Option<ItemId>,
    code: String,
    class: Option<String>,
    reason: String,
    at: Timestamp,
    attempts: u32,
    resolved: Option<Resolved>,
}

#[derive(Debug, Serialize)]
struct Resolved {
    how: Resolution,
    at: Timestamp,
}

/// A dead letter with what was to be taken or delivered.
#[derive(Debug, Serialize)]
pub(super) struct Full {
    #[serde(flatten)]
    row: Row,
    content_type: Option<String>,
    #[serde(flatten)]
    payload: Payload,
}

/// The payload, as text if it is text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Payload {
    Payload(String),
    PayloadBase64(String),
}

/// `GET /dead-letters`.
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    FromQuery(query): FromQuery<ListQuery>,
) -> Result<Json<List>, Problem> {
    caller.must(Permission::ReadDeadLetters)?;
    let kind = query.kind.as_deref().map(kind).transpose()?;
    let limit = within(query.limit, PAGE, PAGE_MAX)?;
    let filter = DeadLetterFilter {
        kind,
        origin: query.origin,
        class: query.class,
        open: Some(query.open.unwrap_or(true)),
        after: query.after,
        limit: limit + 1,
    };
    let mut letters = app.store.dead_letters(&filter).await?;
    let more = letters.len() > limit as usize;
    letters.truncate(limit as usize);
    let next = letters.last().filter(|_| more).map(|letter| letter.row.id.clone());
    Ok(Json(List { dead_letters: letters.into_iter().map(Row::from).collect(), next }))
}

fn kind(name: &str) -> Result<DeadLetterKind, Problem> {
    DeadLetterKind::parse(name).ok_or_else(|| {
        let detail = format!("{name:?} is no kind of dead letter; capture or callback is");
        Problem::new(&problem::PARAMETER, detail)
    })
}

/// `GET /dead-letters/{id}`.
pub(super) async fn one(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(id): FromPath<String>,
) -> Result<Json<Full>, Problem> {
    caller.must(Permission::ReadDeadLetters)?;
    let Some(letter) = app.store.dead_letter(&id).await? else {
        return Err(Problem::new(&problem::NO_DEAD_LETTER, format!("no dead letter {id:?}")));
    };
    let bytes = letter.row.payload.clone();
    let payload = match String::from_utf8(bytes.into()) {
        Ok(text) => Payload::Payload(text),
        Err(error) => Payload::PayloadBase64(STANDARD.encode(error.as_bytes())),
    };
    let content_type = letter.row.content_type.clone();
    Ok(Json(Full { row: letter.into(), content_type, payload }))
}

/// `POST /dead-letters/{id}/retry`: the body, if there is one, replaces the payload of a record.
pub(super) async fn retry(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(id): FromPath<String>,
    RawBody(body): RawBody,
) -> Result<StatusCode, Problem> {
    caller.must(Permission::SettleDeadLetters)?;
    let payload = (!body.is_empty()).then_some(body);
    app.intake.retry_dead_letter(caller.actor(), &id, payload).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /dead-letters/{id}/skip`.
pub(super) async fn skip(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(id): FromPath<String>,
) -> Result<StatusCode, Problem> {
    caller.must(Permission::SettleDeadLetters)?;
    app.intake.skip_dead_letter(caller.actor(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<DeadLetter> for Row {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { row, resolved } = letter;
        Self {
            id: row.id,
            kind: row.kind,
            origin: row.origin,
            external_id: row.external_id,
            item: row.item,
            code: row.code,
            class: row.class,
            reason: row.reason,
            at: row.at,
            attempts: row.attempts,
            resolved: resolved.map(|(how, at)| Resolved { how, at }),
        }
    }
}
