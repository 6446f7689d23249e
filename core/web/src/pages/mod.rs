//! Pages for people: sign in, the list of work items, one item, an agent's desk, the sources.
//!
//! Each page is a template over the very struct that the API answers with, and answers
//! `Accept: application/json` with that struct. Scripts only save reloading: what they show comes
//! from the same templates.

pub(crate) mod assets;
mod describe;
mod desk;
mod items;
mod session;
mod sources;

use askama::Template;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;

use crate::access::{Caller, Permission};
use crate::answer::accepts_html;
use crate::app::Shared;
use crate::problem::{Body, Problem};

/// What a page may load and do: its own files only, nothing in line, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// All addresses of pages.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(session::start))
        .route("/session", post(session::sign_in))
        .route("/sign-out", post(session::sign_out))
        .route("/items", get(items::list))
        .route("/items/{item}", get(items::one))
        .route("/desk", get(desk::desk))
        .route("/sources", get(sources::sources))
        .route("/static/{file}", get(assets::file))
        .route("/docs/errors/{code}", get(assets::error_page))
}

/// Who is signed in, for the head of every page.
pub(crate) struct Frame {
    name: String,
    role: &'static str,
    /// `true` if there is a desk to link to.
    desk: bool,
    /// `true` if they may see the sources.
    sources: bool,
    /// The address in the menu that the page belongs to.
    at: &'static str,
}

impl Frame {
    fn new(caller: &Caller, at: &'static str) -> Self {
        Self {
            name: caller.0.name.to_string(),
            role: caller.0.role.as_str(),
            desk: caller.agent().is_some(),
            sources: caller.must(Permission::ReadStatus).is_ok(),
            at,
        }
    }
}

/// A problem as a page.
#[derive(Template)]
#[template(path = "problem.html")]
pub(crate) struct ProblemPage<'a> {
    pub(crate) problem: &'a Body<'a>,
}

/// The page, or what is in it as JSON, as the client would rather have it.
fn page<V: Serialize>(
    headers: &HeaderMap,
    view: &V,
    template: impl Template,
) -> Result<Response, Problem> {
    if accepts_html(headers) { html(&template) } else { Ok(axum::Json(view).into_response()) }
}

fn html(template: &impl Template) -> Result<Response, Problem> {
    let body = template.render().map_err(|error| Problem::internal(&error))?;
    let mut response = Html(body).into_response();
    protect(response.headers_mut());
    Ok(response)
}

/// Headers of every page.
pub(crate) fn protect(headers: &mut HeaderMap) {
    let set = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
