//! The vendor's error codes, and the class each one is.

use std::time::Duration;

use gantry_plugin_api::{Error, ErrorClass};
use gantry_plugin_http::Response;
use serde::Deserialize;
use serde_json::Value;

/// How long a source rests that has used up its calls: the limit is that of a rolling day, so every
/// quarter of an hour frees some.
pub(crate) const REST: Duration = Duration::from_mins(15);

/// A list that was read in part is no longer kept: it has to be asked for again.
pub(crate) const LOCATOR_EXPIRED: &str = "INVALID_QUERY_LOCATOR";

/// One entry of an error body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Fault {
    pub(crate) error_code: String,
    pub(crate) message: String,
    pub(crate) fields: Vec<String>,
}

impl Fault {
    /// Reads the first entry of an error body: an array, or, of some answers, the entry alone.
    pub(crate) fn read(body: &Value) -> Self {
        let entry = body.get(0).unwrap_or(body);
        serde_json::from_value(entry.clone()).unwrap_or_default()
    }

    /// The fault of a whole answer.
    pub(crate) fn of(response: &Response) -> Self {
        serde_json::from_slice(response.bytes()).map(|body| Self::read(&body)).unwrap_or_default()
    }

    /// What the hub should do about it, where the code says more than the status.
    pub(crate) fn class(&self) -> Option<ErrorClass> {
        Some(match &*self.error_code {
            "REQUEST_LIMIT_EXCEEDED" => ErrorClass::Throttled,
            "UNABLE_TO_LOCK_ROW" | "QUERY_TIMEOUT" | "SERVER_UNAVAILABLE" | "UNKNOWN_EXCEPTION" => {
                ErrorClass::Transient
            }
            "NOT_FOUND" | "ENTITY_IS_DELETED" => ErrorClass::Gone,
            LOCATOR_EXPIRED => ErrorClass::CursorExpired,
            _ => return None,
        })
    }

    /// The setting at fault where a query is refused.
    pub(crate) fn setting(&self) -> Option<&'static str> {
        match &*self.error_code {
            "INVALID_TYPE" => Some("object"),
            "INVALID_FIELD" => Some("fields"),
            "MALFORMED_QUERY" => Some("where"),
            _ => None,
        }
    }

    /// The error of a query that is refused for what stands in a setting.
    pub(crate) fn refused_query(&self, setting: &str) -> Error {
        let message = self.message.trim().trim_end_matches('.');
        // A condition has fields too.
        let also = if setting == "fields" { " and `where`" } else { "" };
        let text = format!("the org refuses the query: {message}; check `{setting}`{also}");
        Error::config(setting, text)
    }

    /// The error of a class for it; `tried` says what was asked and how it was answered.
    pub(crate) fn error(&self, class: ErrorClass, tried: &str) -> Error {
        let Self { error_code, fields, .. } = self;
        let mut text = tried.to_owned();
        for part in std::iter::once(error_code).chain(fields).filter(|part| !part.is_empty()) {
            text = format!("{text}, {part}");
        }
        if class != ErrorClass::Throttled {
            return Error::new(class, text);
        }
        // Calls at the same time pass sooner than those of a day.
        let of_a_day = !self.message.starts_with("Concurrent");
        Error::throttled(text, of_a_day.then_some(REST))
    }
}

/// The error of an answer that was none of 2xx.
pub(crate) fn failed(response: &Response) -> Error {
    let fault = Fault::of(response);
    match fault.class() {
        Some(class) => fault.error(class, &response.failure()),
        None if fault.error_code.is_empty() => response.error(),
        None => match response.error().class() {
            ErrorClass::Throttled => response.error(),
            class => fault.error(class, &response.failure()),
        },
    }
}
