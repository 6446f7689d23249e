//! What handlers read from a request. Everything that is wrong with it becomes a [`Problem`].

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::app::Shared;
use crate::problem::{self, Problem};

/// Parts of the path.
pub(crate) struct FromPath<T>(pub(crate) T);

/// The query string.
pub(crate) struct FromQuery<T>(pub(crate) T);

/// A body of any type, read completely.
pub(crate) struct RawBody(pub(crate) Bytes);

/// A body that says it is JSON, read completely and not parsed; none at all is empty.
pub(crate) struct JsonBytes(pub(crate) Bytes);

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for FromPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, app).await;
        path.map(|Path(value)| Self(value)).map_err(|error| parameter(&error.body_text()))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for FromQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        query.map(|Query(value)| Self(value)).map_err(|error| parameter(&error.body_text()))
    }
}

fn parameter(detail: &str) -> Problem {
    Problem::new(&problem::PARAMETER, detail)
}

impl FromRequest<Shared> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        read(request.into_body(), app.options.body_bytes_max).await.map(Self)
    }
}

impl FromRequest<Shared> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let says_json = says_json(&parts.headers);
        let bytes = read(body, app.options.body_bytes_max).await?;
        if !says_json && !bytes.is_empty() {
            let detail = "send content-type: application/json; the body was not looked at";
            return Err(Problem::new(&problem::CONTENT_TYPE, detail));
        }
        Ok(Self(bytes))
    }
}

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        let JsonBytes(bytes) = JsonBytes::from_request(request, app).await?;
        parse(&bytes).map(Self)
    }
}

/// The fields of an HTML form.
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        let form = axum::Form::<T>::from_request(request, app).await;
        form.map(|axum::Form(value)| Self(value))
            .map_err(|error| Problem::new(&problem::FIELDS, error.body_text()))
    }
}

/// Parses a JSON body. Nesting is bounded by the parser, at 128 levels.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let kind = if error.is_data() { &problem::FIELDS } else { &problem::UNREADABLE };
        Problem::new(kind, format!("cannot read the JSON body: {error}"))
    })
}

/// `true` for `application/json` and `application/…+json`, with any parameters.
fn says_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json"
        || media_type.starts_with("application/") && media_type.ends_with("+json")
}

async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let collected = Limited::new(body, bytes_max).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            let detail = format!("the body has more than {bytes_max} bytes; send it in parts");
            return Problem::new(&problem::TOO_LARGE, detail);
        }
        Problem::new(&problem::UNREADABLE, format!("the body broke off: {error}"))
    })
}
