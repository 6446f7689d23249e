//! HTTP capture: the hub's own server received a request, the plug-in says what it means.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::field;
use super::record::Record;

/// A request the hub's server received for a capture point.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpRequest {
    /// Upper case: `POST`.
    #[n(0)]
    pub method: String,
    /// The path behind the capture point's own, from `/` on.
    #[n(1)]
    pub path: String,
    /// The raw query string, without the question mark.
    #[n(2)]
    pub query: String,
    /// Names in lower case, in the order received; a name may come more than once. A value that is
    /// not UTF-8 is left out.
    #[n(3)]
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The bytes as received: signatures are computed over these.
    #[n(4)]
    #[cbor(with = "field::bytes")]
    #[serde(default, with = "field::json_bytes")]
    pub body: Bytes,
    /// The sender's address, as far as the hub knows it.
    #[n(5)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
}

impl HttpRequest {
    /// A request without query, headers and sender; set the other fields as received.
    pub fn new(method: impl Into<String>, path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            query: String::new(),
            headers: Vec::new(),
            body: body.into(),
            remote: None,
        }
    }

    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct HttpResponse {
    /// 100 to 599.
    #[n(0)]
    pub status: u16,
    /// Names in lower case.
    #[n(1)]
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[n(2)]
    #[cbor(with = "field::bytes")]
    #[serde(default, with = "field::json_bytes")]
    pub body: Bytes,
}

impl HttpResponse {
    /// An empty answer.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// A refusal that says why, as `application/problem+json`.
    pub fn problem(status: u16, title: &str) -> Self {
        let body = serde_json::json!({ "status": status, "title": title }).to_string();
        let headers = vec![("content-type".to_owned(), "application/problem+json".to_owned())];
        Self { status, headers, body: body.into() }
    }
}

/// What the hub answers with once every record is settled.
///
/// If a record has to be retried, the hub answers 503 by itself: the sender must send again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ResponseTemplate {
    /// If at least one record was accepted or filtered.
    #[n(0)]
    pub status: u16,
    /// If each record was refused. Many senders switch an endpoint off that answers 4xx: they get
    /// the same as for success, since the dead letter is durable and theirs is done.
    #[n(1)]
    pub status_refused: u16,
    /// Names in lower case.
    #[n(2)]
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// What stands in it.
    #[n(3)]
    pub body: ResponseBody,
}

/// The body of a [`ResponseTemplate`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseBody {
    /// Always the same bytes.
    #[n(0)]
    Fixed(
        #[n(0)]
        #[cbor(with = "field::bytes")]
        #[serde(with = "field::json_bytes")]
        Bytes,
    ),
    /// The hub's own JSON with one outcome a record, as in its capture API.
    #[n(1)]
    Outcomes,
}

/// What the plug-in made of a request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HttpCapture {
    /// Records to settle, then the answer. No records is fine (a ping): the answer goes out at
    /// once.
    #[n(0)]
    Capture {
        /// In the order of the request.
        #[n(0)]
        records: Vec<Record>,
        /// The answer to come.
        #[n(1)]
        response: ResponseTemplate,
    },
    /// The request itself is refused (no such path, bad signature): this answer, and no record.
    #[n(1)]
    Refuse(#[n(0)] HttpResponse),
}

impl HttpCapture {
    /// Records, answered with 202 and one outcome a record; 422 if each was refused.
    pub fn records(records: Vec<Record>) -> Self {
        let response = ResponseTemplate {
            status: 202,
            status_refused: 422,
            headers: Vec::new(),
            body: ResponseBody::Outcomes,
        };
        Self::Capture { records, response }
    }
}
