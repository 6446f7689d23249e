//! What is asked: method, path, query, headers, body.

use std::time::Duration;

use bytes::Bytes;
use gantry_plugin_api::Error;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use url::form_urlencoded;

/// All but what RFC 3986, section 2.3 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One request, made part by part.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) timeout: Option<Duration>,
}

/// Escapes an id or another foreign text so that it is one segment of a path, whatever it holds.
pub fn escape(segment: &str) -> String {
    match segment {
        // Alone they would be steps in the path.
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(segment, RESERVED).to_string(),
    }
}

impl Request {
    /// A request to `path`: it counts from the endpoint, or from the server's root if it starts
    /// with `/`. A whole URL is taken if it leads to the endpoint's origin. Put ids into it by
    /// [`escape`].
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: None,
        }
    }

    /// [`Request::new`] with GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// [`Request::new`] with POST.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Adds a parameter to the query, escaped.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Passes on a W3C trace context, as records, queries and deliveries carry it.
    #[must_use]
    pub fn traceparent(self, traceparent: Option<&str>) -> Self {
        match traceparent {
            Some(traceparent) => self.header("traceparent", traceparent),
            None => self,
        }
    }

    /// Sends a value as JSON.
    ///
    /// # Errors
    /// Of class `permanent` if the value cannot be JSON, such as a map with keys that are no text.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::permanent("cannot write a request as JSON").because(&error))?;
        self.body = body.into();
        Ok(self.header("content-type", "application/json"))
    }

    /// Sends fields as an HTML form does.
    #[must_use]
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body = body.into();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// Sends bytes as they are.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Waits longer or shorter for this answer than for others; for a long poll, longer than the
    /// server was asked to wait.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}
