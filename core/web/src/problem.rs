//! Every refusal that leaves the web server: one table of kinds, one body format.
//!
//! The body is `application/problem+json` (RFC 9457). Pages show the same words. Each kind has a
//! stable code and a page `docs/errors/CODE.md`, which the hub serves itself under `/docs/errors/`.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gantry_hub::Error as HubError;
use gantry_model::Refusal;
use serde::Serialize;

use crate::token::TokenError;

/// A kind of refusal.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Stable code.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// What it is called.
    pub title: &'static str,
    /// Seconds after which trying again makes sense, if it does.
    pub retry_after_secs: Option<u32>,
}

/// Declares kinds and the list of them all.
macro_rules! kinds {
    ($($name:ident = $code:literal $status:literal $title:literal $(retry $secs:literal)?;)*) => {
        $(
            #[doc = $title]
            pub static $name: Kind = Kind {
                code: $code,
                status: $status,
                title: $title,
                retry_after_secs: kinds!(@retry $($secs)?),
            };
        )*
        /// All kinds, in the order of their codes.
        pub static KINDS: &[&Kind] = &[$(&$name),*];
    };
    (@retry $secs:literal) => { Some($secs) };
    (@retry) => { None };
}

kinds! {
    NO_TOKEN = "GANTRY-W001" 401 "Not signed in";
    TOKEN_EXPIRED = "GANTRY-W002" 401 "The token has ended";
    ROLE = "GANTRY-W003" 403 "The role may not do this";
    NOT_YOURS = "GANTRY-W004" 403 "It belongs to somebody else";
    CROSS_SITE = "GANTRY-W005" 403 "The request came from another site";
    NO_ADDRESS = "GANTRY-W006" 404 "No such address";
    METHOD = "GANTRY-W007" 405 "The address does not take this method";
    UNREADABLE = "GANTRY-W008" 400 "The body cannot be read";
    FIELDS = "GANTRY-W009" 422 "The body does not have the right fields";
    TOO_LARGE = "GANTRY-W010" 413 "The body is too large";
    CONTENT_TYPE = "GANTRY-W011" 415 "The content type is not taken";
    PARAMETER = "GANTRY-W012" 400 "A part of the address is wrong";
    NO_CAPTURE_POINT = "GANTRY-W013" 404 "No such capture point";
    NO_ITEM = "GANTRY-W014" 404 "No such work item";
    NO_AGENT = "GANTRY-W015" 404 "No such agent";
    NO_DEAD_LETTER = "GANTRY-W016" 404 "No such dead letter";
    STALE = "GANTRY-W017" 409 "The work item has moved on";
    STATE = "GANTRY-W018" 409 "The state does not allow this";
    CONFLICT = "GANTRY-W019" 409 "The content differs";
    DISPOSITION = "GANTRY-W020" 422 "The disposition is not accepted";
    REASON = "GANTRY-W021" 422 "The not-ready reason is not configured";
    AGENT_BUSY = "GANTRY-W022" 409 "The agent has work";
    UNAVAILABLE = "GANTRY-W023" 503 "The store does not take work at the moment" retry 1;
    OVERLOADED = "GANTRY-W024" 429 "Too much work is waiting" retry 1;
    STOPPED = "GANTRY-W025" 503 "The hub is stopping" retry 5;
    TIMEOUT = "GANTRY-W026" 504 "No answer in time" retry 1;
    INTERNAL = "GANTRY-W027" 500 "The hub failed";
    PLUGIN = "GANTRY-W028" 502 "The plug-in failed" retry 5;
    STREAMS = "GANTRY-W029" 503 "Too many live streams" retry 10;
    NAMES_IN_USE = "GANTRY-W030" 409 "The config drops names in use";
    RECORD = "GANTRY-W031" 422 "The record is refused";
    SENDER = "GANTRY-W032" 401 "The sender of the webhook is refused";
    FORM = "GANTRY-W033" 422 "The form is not filled in as the process asks";
    NO_SCHEMA = "GANTRY-W034" 404 "No such priority schema";
    PAUSED = "GANTRY-W035" 503 "The capture point is paused" retry 60;
    NO_POSITION = "GANTRY-W036" 404 "No such position";
    NOT_OPERABLE = "GANTRY-W037" 409 "The capture point does not allow this";
    BUSY = "GANTRY-W038" 503 "The capture point is busy" retry 5;
    NO_PLUGIN = "GANTRY-W039" 404 "No such plug-in in use";
    NOT_RELOADED = "GANTRY-W040" 409 "The plug-in was not reloaded";
    CONFIG_REFUSED = "GANTRY-W041" 409 "The config was not taken";
}

/// A refusal on its way to whoever asked. [`crate::answer`] writes it, as JSON or as a page.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What kind.
    pub kind: &'static Kind,
    /// What was tried, on which object, and what to do.
    pub detail: String,
    /// A more exact code than the kind's, from deeper in the hub.
    pub code: Option<Cow<'static, str>>,
    /// The fields that are wrong, where they can be told apart.
    pub faults: Vec<Fault>,
}

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The field, with the fields that it lies in before it: `skills/sales`; empty = the whole.
    pub field: String,
    /// What is wrong, readable alone.
    pub detail: String,
}

/// The members of RFC 9457 and three of our own.
#[derive(Debug, Serialize)]
pub(crate) struct Body<'a> {
    /// Address of the page about the code.
    pub(crate) r#type: String,
    pub(crate) title: &'a str,
    pub(crate) status: u16,
    pub(crate) detail: &'a str,
    pub(crate) code: &'a str,
    /// Finds the log lines that belong to the request.
    pub(crate) trace_id: &'a str,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) fields: &'a [Fault],
}

impl Fault {
    pub(crate) fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}

impl Problem {
    /// A problem of that kind.
    pub fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), code: None, faults: Vec::new() }
    }

    /// The same with a more exact code; an empty one is none.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = Some(code.into()).filter(|code| !code.is_empty());
        self
    }

    /// Wrong fields, all that were found; none is no problem.
    pub(crate) fn of_faults(kind: &'static Kind, faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        let details: Vec<_> = faults.iter().map(|fault| fault.detail.as_str()).collect();
        Err(Self { faults: faults.clone(), ..Self::new(kind, details.join("; ")) })
    }

    /// Something that should not happen: the cause goes to the log, not to whoever asked.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = cause.to_string();
        let mut deeper = cause.source();
        while let Some(source) = deeper {
            chain.push_str(": ");
            chain.push_str(&source.to_string());
            deeper = source.source();
        }
        tracing::error!(error = %chain, "a request failed inside the hub");
        Self::new(&INTERNAL, "the request failed inside the hub; its log says why")
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status).expect("invariant: the table holds valid statuses")
    }

    pub(crate) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or(self.kind.code)
    }

    pub(crate) fn body<'a>(&'a self, trace_id: &'a str) -> Body<'a> {
        Body {
            r#type: format!("/docs/errors/{}", self.code()),
            title: self.kind.title,
            status: self.kind.status,
            detail: &self.detail,
            code: self.code(),
            trace_id,
            fields: &self.faults,
        }
    }
}

impl IntoResponse for Problem {
    /// Only status and headers: the body needs the request, so the outermost layer writes it.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        if let Some(secs) = self.kind.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.kind.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.kind.status == 413 {
            // The rest of the body stays unread, so no other request can come on this connection.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let kind = match refusal {
            Refusal::UnknownItem { .. } => &NO_ITEM,
            Refusal::UnknownAgent { .. } => &NO_AGENT,
            Refusal::Stale { .. } => &STALE,
            Refusal::NotYours { .. } | Refusal::MayNotPull { .. } => &NOT_YOURS,
            Refusal::Conflict { .. } | Refusal::Reopened { .. } => &CONFLICT,
            Refusal::Disposition { .. } => &DISPOSITION,
            Refusal::UnknownReason { .. } => &REASON,
            Refusal::AgentIdLength { .. }
            | Refusal::BoostTooLarge { .. }
            | Refusal::CalendarUnusable { .. }
            | Refusal::UnknownQueue { .. }
            | Refusal::UnknownGroup { .. } => &FIELDS,
            Refusal::AgentBusy { .. } | Refusal::NoRoom { .. } => &AGENT_BUSY,
            Refusal::NamesInUse { .. } => &NAMES_IN_USE,
            // `WrongState`, and what the engine may learn to refuse later.
            _ => &STATE,
        };
        Self::new(kind, refusal.to_string())
    }
}

impl From<HubError> for Problem {
    fn from(error: HubError) -> Self {
        let kind = match error {
            HubError::Unavailable { .. } => &UNAVAILABLE,
            HubError::Overloaded { .. } => &OVERLOADED,
            // Also `Fatal`: the process is about to end, and a repeat after that is right.
            _ => &STOPPED,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<gantry_store::Error> for Problem {
    fn from(error: gantry_store::Error) -> Self {
        if error.is_fatal() {
            return Self::internal(&error);
        }
        Self::new(&UNAVAILABLE, error.to_string())
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let kind = match error {
            TokenError::Expired(_) => &TOKEN_EXPIRED,
            TokenError::Form | TokenError::Signature => &NO_TOKEN,
        };
        Self::new(kind, error.to_string())
    }
}
