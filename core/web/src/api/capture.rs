//! What comes in: records, webhooks, and messages about items.

use axum::body::Body;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gantry_model::{ItemId, Name, Reply, TraceParent};
use serde::{Deserialize, Serialize};

use super::{answered, message_kind};
use crate::access::{Caller, Permission};
use crate::app::{App, Shared};
use crate::extract::{FromPath, JsonBytes, RawBody};
use crate::intake::{Message, RecordOutcome, RecordResult, Target};
use crate::problem::{self, Kind, Problem};

/// The answer to an array of records.
#[derive(Debug, Serialize)]
struct Results {
    /// One a record, in the order of the records.
    results: Vec<RecordResult>,
}

/// `POST /capture/{capture_point}`: one record or many.
pub(super) async fn capture(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(capture_point): FromPath<String>,
    headers: HeaderMap,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    caller.must(Permission::Capture)?;
    caller.must_own_capture_point(&capture_point)?;
    let many = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let mut results = app.intake.capture_json(&capture_point, body, trace(&headers)).await?;
    match results.pop() {
        Some(last) if !many && results.is_empty() => one(last),
        last => {
            results.extend(last);
            Ok(all(results))
        }
    }
}

/// The trace of the caller. What is malformed counts as nothing, and so does more than one.
fn trace(headers: &HeaderMap) -> Option<TraceParent> {
    let mut given = headers.get_all("traceparent").iter();
    let (one, more) = (given.next()?, given.next());
    TraceParent::parse(one.to_str().ok()?).filter(|_| more.is_none())
}

/// A single record is answered by itself; if it was not taken, by a problem.
fn one(result: RecordResult) -> Result<Response, Problem> {
    match result.outcome {
        RecordOutcome::Refused { code, detail, .. } => {
            Err(Problem::new(&problem::RECORD, detail).with_code(code))
        }
        RecordOutcome::Retry { detail } => Err(Problem::new(&problem::UNAVAILABLE, detail)),
        RecordOutcome::Created => Ok((StatusCode::CREATED, axum::Json(result)).into_response()),
        _ => Ok(axum::Json(result).into_response()),
    }
}

/// An array is answered with 200 if every record was settled well, else with 207.
fn all(results: Vec<RecordResult>) -> Response {
    let failed = |result: &RecordResult| {
        matches!(result.outcome, RecordOutcome::Refused { .. } | RecordOutcome::Retry { .. })
    };
    let mixed = results.iter().any(failed);
    let status = if mixed { StatusCode::MULTI_STATUS } else { StatusCode::OK };
    (status, axum::Json(Results { results })).into_response()
}

/// `ANY /hooks/{capture_point}`: the plug-in authenticates the sender, not we.
pub(super) async fn hook(
    State(app): State<Shared>,
    FromPath(capture_point): FromPath<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    parts.uri = relative(&parts.uri);
    let RawBody(body) = RawBody::from_request(Request::new(body), &app).await?;
    let request = Request::from_parts(parts, body);
    let mut response = app.intake.capture_http(&capture_point, request).await?;
    // Whatever a plug-in echoes, it must not run as a page of ours.
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(coded(response).map(Body::from))
}

/// What a plug-in may refuse a webhook with, by status.
static HOOK_KINDS: [&Kind; 9] = [
    &problem::UNREADABLE,
    &problem::SENDER,
    &problem::NO_ADDRESS,
    &problem::METHOD,
    &problem::TOO_LARGE,
    &problem::CONTENT_TYPE,
    &problem::OVERLOADED,
    &problem::PLUGIN,
    &problem::UNAVAILABLE,
];

/// Gives a plug-in's refusal what all refusals have: a code with a page, and a trace id. Its words
/// become the detail, its headers stay.
fn coded(mut response: axum::http::Response<Bytes>) -> axum::http::Response<Bytes> {
    let status = response.status().as_u16();
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == "application/problem+json");
    let kind = HOOK_KINDS.iter().find(|kind| kind.status == status).filter(|_| is_problem);
    if let Some(kind) = kind
        && let Ok(Plain { title, code: None }) = serde_json::from_slice(response.body())
    {
        response.extensions_mut().insert(Problem::new(kind, title));
    }
    response
}

/// A problem as a plug-in writes it.
#[derive(Deserialize)]
struct Plain {
    title: String,
    /// A plug-in that has codes of its own keeps its whole answer.
    code: Option<String>,
}

/// The address of a hook as its plug-in sees it: its own root, with the query as it came.
fn relative(uri: &Uri) -> Uri {
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    Uri::try_from(format!("/{query}")).unwrap_or_else(|_| Uri::from_static("/"))
}

/// `POST /capture/{capture_point}/{external_id}/{kind}`: a message from the source.
pub(super) async fn message_by_key(
    State(app): State<Shared>,
    caller: Caller,
    FromPath((capture_point, external_id, kind)): FromPath<(Name, String, String)>,
    JsonBytes(body): JsonBytes,
) -> Result<axum::Json<Reply>, Problem> {
    caller.must(Permission::SendMessage)?;
    caller.must_own_capture_point(&capture_point)?;
    send(&app, &caller, Target::Key { capture_point, external_id }, &kind, body).await
}

/// `POST /items/{item}/{kind}`: the same by the hub's id.
pub(super) async fn message_by_item(
    State(app): State<Shared>,
    caller: Caller,
    FromPath((item, kind)): FromPath<(ItemId, String)>,
    JsonBytes(body): JsonBytes,
) -> Result<axum::Json<Reply>, Problem> {
    caller.must(Permission::SendMessage)?;
    let view = super::items::read(&app, item).await?;
    caller.must_own(&view.item)?;
    send(&app, &caller, Target::Item(item), &kind, body).await
}

async fn send(
    app: &App,
    caller: &Caller,
    target: Target,
    kind: &str,
    body: Bytes,
) -> Result<axum::Json<Reply>, Problem> {
    let kind = message_kind(kind)?;
    let message = Message { target, kind, body, by: None };
    answered(app.intake.message(caller.actor(), message).await?)
}
