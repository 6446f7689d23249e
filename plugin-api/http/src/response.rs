//! What came back, and which class of error a status is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gantry_plugin_api::{Error, Json};
use hyper::header::{DATE, RETRY_AFTER};
use hyper::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// At most so much of a text that is no JSON goes into an error, in characters.
const N_TEXT_MAX: usize = 300;

/// A whole answer: its body has been read.
#[derive(Clone, Debug)]
pub struct Response {
    pub(crate) asked: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header as text; none if it is absent or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The server's time as it answered (the header `Date`): Unix milliseconds, whole seconds.
    pub fn date_ms(&self) -> Option<i64> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        unix_ms(httpdate::parse_http_date(date).ok()?)
    }

    /// How long the server asks us to wait (the header `Retry-After`, seconds or a date). A date is
    /// counted from the server's own time, for its clock and ours may differ.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at_ms = unix_ms(httpdate::parse_http_date(text).ok()?)?;
        let wait_ms = at_ms.checked_sub(self.date_ms()?)?;
        Some(Duration::from_millis(wait_ms.try_into().unwrap_or_default()))
    }

    /// The body, as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// Reads the body as JSON. Fields that the type does not name are no fault, unless it says so.
    ///
    /// # Errors
    /// Of class `transient`, naming the place inside the document: an answer that was cut or came
    /// from something between us and the server may be whole the next time.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Json::from_bytes(self.body.clone()).parse().map_err(|error: Error| {
            Error::transient(format!("cannot read the answer to {}", self.asked)).because(&error)
        })
    }

    /// The answer itself if its status is 2xx, else [`Response::error`].
    ///
    /// # Errors
    /// As [`Response::error`] says.
    pub fn ok(self) -> Result<Self, Error> {
        if self.status.is_success() { Ok(self) } else { Err(self.error()) }
    }

    /// What the status means: 401 `auth_denied`; 404 and 410 `gone`; 409 and 412 `conflict`; 429,
    /// and 503 with `Retry-After`, `throttled`; 408, 425 and other 5xx `transient`; the rest, 403
    /// and redirects elsewhere included, `permanent`. The text has what was asked, the status and
    /// the vendor's message.
    pub fn error(&self) -> Error {
        let status = self.status.as_u16();
        let text = self.failure();
        match status {
            401 => Error::auth_denied(text),
            404 | 410 => Error::gone(text),
            409 | 412 => Error::conflict(text),
            429 => Error::throttled(text, self.retry_after()),
            503 if self.retry_after().is_some() => Error::throttled(text, self.retry_after()),
            501 | 505 => Error::permanent(text),
            408 | 425 | 500.. => Error::transient(text),
            _ => Error::permanent(text),
        }
    }

    /// What was asked, the status, and the vendor's message: the text of an error about this
    /// answer.
    pub fn failure(&self) -> String {
        let Self { asked, status, .. } = self;
        match self.vendor_message() {
            Some(message) => format!("{asked} was answered {status}: {message}"),
            None => format!("{asked} was answered {status}"),
        }
    }

    /// The message in the body, where vendors put one; else the beginning of the text.
    fn vendor_message(&self) -> Option<String> {
        const PATHS: [&str; 6] =
            ["/message", "/error_description", "/error/message", "/detail", "/title", "/error"];
        if let Ok(body) = serde_json::from_slice::<Value>(&self.body) {
            let body = body.get(0).unwrap_or(&body);
            let found = PATHS.iter().find_map(|path| body.pointer(path)?.as_str());
            if let Some(found) = found {
                return Some(shortened(found));
            }
        }
        let text = std::str::from_utf8(&self.body).ok()?.trim();
        // A page for people is no message.
        (!text.is_empty() && !text.starts_with('<')).then(|| shortened(text))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(N_TEXT_MAX).collect()
}

fn unix_ms(time: SystemTime) -> Option<i64> {
    time.duration_since(UNIX_EPOCH).ok()?.as_millis().try_into().ok()
}
