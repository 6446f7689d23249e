//! Files that pages load, and the pages about error codes. All of it is in the binary.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rust_embed::{Embed, EmbeddedFile};

use crate::extract::FromPath;
use crate::problem::{self, Problem};

/// The folder `static/`.
#[derive(Embed)]
#[folder = "static/"]
struct Files;

/// All error codes: each has a section `### CODE`.
const ERRORS: &str = include_str!("../../../../docs/errors.md");

/// `GET /static/{file}`. Browsers keep files and ask whether they changed.
pub(super) async fn file(
    FromPath(name): FromPath<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(EmbeddedFile { data, metadata }) = Files::get(&name) else {
        return Err(Problem::new(&problem::NO_ADDRESS, format!("no file {name:?}")));
    };
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(metadata.sha256_hash()));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| *known == *etag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        data.into_owned().into_response()
    };
    let headers = response.headers_mut();
    let text = |value: &str| HeaderValue::from_str(value).expect("invariant: printable ASCII");
    headers.insert(header::CONTENT_TYPE, text(metadata.mimetype()));
    headers.insert(header::ETAG, text(&etag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// `GET /docs/errors/{code}`: what a code means and what to do.
pub(super) async fn error_page(FromPath(code): FromPath<String>) -> Result<Response, Problem> {
    let section = section(&code).ok_or_else(|| {
        Problem::new(&problem::NO_ADDRESS, format!("no error has the code {code:?}"))
    })?;
    let content_type = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((content_type, section).into_response())
}

/// The section about a code, with its heading.
pub(crate) fn section(code: &str) -> Option<&'static str> {
    let heading = format!("### {code}");
    let is_heading = |at: usize| {
        let line_begins = at == 0 || ERRORS.as_bytes()[at - 1] == b'\n';
        let rest = &ERRORS[at + heading.len()..];
        line_begins && rest.starts_with([' ', '\n'])
    };
    let (begin, _) = ERRORS.match_indices(&heading).find(|(at, _)| is_heading(*at))?;
    let body = &ERRORS[begin..];
    let end = body.match_indices("\n#").map(|(at, _)| at).next().unwrap_or(body.len());
    Some(body[..end].trim_end())
}
