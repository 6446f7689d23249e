//! The outermost layer: every request gets an answer, in time, whatever happens inside.

use std::panic::AssertUnwindSafe;

use askama::Template as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

use crate::app::Shared;
use crate::pages;
use crate::problem::{self, Problem};

/// Runs a handler and writes the problem it may have ended with.
pub(crate) async fn answer(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let traceparent = request.headers().get("traceparent").cloned();
    let as_page = wants_page(&request);
    let limit = app.options.request_timeout;
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match tokio::time::timeout(limit, handled).await {
        Ok(Ok(response)) => response,
        // The panic hook has logged message and place.
        Ok(Err(_)) => {
            let detail = "the request met a defect of the hub; its log says where";
            Problem::new(&problem::INTERNAL, detail).into_response()
        }
        Err(_) => {
            let detail = format!(
                "no answer within {} s; it may still be carried out, and is safe to repeat",
                limit.as_secs_f32()
            );
            Problem::new(&problem::TIMEOUT, detail).into_response()
        }
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        write(&mut response, &problem, traceparent.as_ref(), as_page);
    }
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// `true` if whoever asks is a person with a browser: pages, never the API.
fn wants_page(request: &Request) -> bool {
    let path = request.uri().path();
    !path.starts_with("/api/") && accepts_html(request.headers())
}

/// `true` if the client would rather have HTML than JSON.
pub(crate) fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn write(response: &mut Response, problem: &Problem, trace: Option<&HeaderValue>, as_page: bool) {
    let trace_id = trace_id(trace);
    tracing::debug!(trace_id, code = problem.code(), detail = problem.detail, "refused a request");
    let body = problem.body(&trace_id);
    let (content_type, bytes) = if as_page {
        let page = pages::ProblemPage { problem: &body }.render();
        let html = page.expect("invariant: writing to memory cannot fail");
        pages::protect(response.headers_mut());
        ("text/html; charset=utf-8", html.into_bytes())
    } else {
        let json = serde_json::to_vec(&body).expect("invariant: a problem has text keys only");
        ("application/problem+json", json)
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.remove(header::CONTENT_LENGTH);
    *response.body_mut() = bytes.into();
}

/// The caller's trace id (W3C Trace Context: 32 hex digits after the version), or a new one.
fn trace_id(traceparent: Option<&HeaderValue>) -> String {
    let given = traceparent
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split('-').nth(1))
        .filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    given.map_or_else(new_trace_id, str::to_owned)
}

fn new_trace_id() -> String {
    // Without random numbers the id says only that it is ours: a problem is still a problem.
    let high = getrandom::u64().unwrap_or_default();
    let low = getrandom::u64().unwrap_or_default();
    format!("{high:016x}{low:016x}")
}
