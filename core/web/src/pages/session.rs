//! Signing in and out. A page keeps its token in a cookie that scripts cannot read.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::html;
use crate::access::{COOKIE, Caller, must_be_same_origin, session_cookie};
use crate::app::Shared;
use crate::extract::Form;
use crate::problem::Problem;
use crate::token::{Claims, Role};

/// The start page of whoever is not signed in.
#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    /// Why signing in failed just now.
    problem: Option<String>,
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(super) struct SignIn {
    token: String,
}

/// `GET /`: to the right page, or the form.
pub(super) async fn start(
    State(app): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let verified = session_cookie(&headers).map(|token| app.key.verify(token, app.hub.now()));
    match verified {
        Some(Ok(claims)) => Ok(Redirect::to(home(&claims)).into_response()),
        Some(Err(error)) => html(&SignInPage { problem: Some(error.to_string()) }),
        None => html(&SignInPage { problem: None }),
    }
}

const fn home(claims: &Claims) -> &'static str {
    match claims.role {
        Role::Agent { .. } => "/desk",
        _ => "/items",
    }
}

/// `POST /session`: takes the token into a cookie.
pub(super) async fn sign_in(
    State(app): State<Shared>,
    headers: HeaderMap,
    Form(form): Form<SignIn>,
) -> Result<Response, Problem> {
    must_be_same_origin(&headers)?;
    let (token, now) = (form.token.trim(), app.hub.now());
    let claims = match app.key.verify(token, now) {
        Ok(claims) => claims,
        Err(error) => {
            let mut page = html(&SignInPage { problem: Some(error.to_string()) })?;
            *page.status_mut() = Problem::from(error).status();
            return Ok(page);
        }
    };
    let cookie = cookie(token, claims.expires_at.map(|end| end.since(now).0 / 1000), &headers);
    Ok(with_cookie(Redirect::to(home(&claims)), cookie))
}

/// `POST /sign-out`.
pub(super) async fn sign_out(_: Caller, headers: HeaderMap) -> Response {
    with_cookie(Redirect::to("/"), cookie("", Some(0), &headers))
}

/// The cookie; it ends with its token, or with the browser's session. It is for encrypted
/// connections only, if this one is: a proxy in front of the hub says so.
fn cookie(token: &str, max_age_secs: Option<i64>, headers: &HeaderMap) -> String {
    let mut cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict");
    if let Some(secs) = max_age_secs {
        let _ = write!(cookie, "; Max-Age={secs}");
    }
    if headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https") {
        cookie.push_str("; Secure");
    }
    cookie
}

fn with_cookie(redirect: Redirect, cookie: String) -> Response {
    let mut response = redirect.into_response();
    let cookie = HeaderValue::from_str(&cookie)
        .expect("invariant: a verified token is base64url, a dot and an underscore");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}
