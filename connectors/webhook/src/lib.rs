//! Captures records from webhooks that the hub's own server receives, and posts signed webhooks
//! about items.
//!
//! A request is let in by a signature ([`signature`], Standard Webhooks) or a bearer token
//! ([`bearer`]); its JSON body is one record or many ([`body`]). The sender is answered 202 once
//! each record is durable; what the request was refused for stands in the log, and for a sender
//! that was let in also in the answer. A capture point may take CloudEvents instead
//! ([`cloudevents`]). Callbacks ([`callback`]) are signed in the same way, and are CloudEvents
//! where the receiver wants that.
//!
//! Source: Standard Webhooks, `spec/standard-webhooks.md` (read 2026-08); CloudEvents 1.0.2; RFC
//! 6750 (bearer tokens), RFC 6901 (JSON pointers), RFC 9457 (problem details).
//!
//! Limits: POST with JSON in UTF-8, not compressed, at most 64 levels deep and 10,000 records;
//! symmetric signatures (`v1`) only; what is posted is not compressed either.
#![forbid(unsafe_code)]

mod bearer;
mod body;
mod callback;
mod cloudevents;
mod config;
mod signature;
#[cfg(test)]
mod tests;

use config::{Auth, Config, Settings};
use gantry_plugin_api::{
    Capture, ConfigFault, Context, Error, ErrorClass, HttpCapture, HttpRequest, HttpResponse,
    Plugin, ResponseBody, ResponseTemplate, export_plugin,
};
use gantry_plugin_http::{Client, Method, Options, Request};

/// A body up to this length is checked within 100 µs, so on the thread that calls.
const INLINE_BODY_LEN_MAX: usize = 16 * 1024;

struct Webhook {
    /// Posts callbacks; none if the source has no `endpoint`.
    receiver: Option<Receiver>,
}

/// Who is told what happens to items.
struct Receiver {
    client: Client,
    /// Its address as the operator wrote it: with or without a slash at the end is not the same.
    endpoint: String,
}

impl Plugin for Webhook {
    type Config = Config;

    fn validate(config: &Config) -> Vec<ConfigFault> {
        let is_zero = config.request_timeout.get().is_zero();
        let fault = || ConfigFault::new("request_timeout", "must be longer than 0");
        is_zero.then(fault).into_iter().collect()
    }

    fn create(config: Config, cx: &Context) -> Result<Self, Error> {
        let receiver = |endpoint: String| -> Result<_, Error> {
            let options = Options::new(&endpoint, cx)
                .timeout(config.request_timeout.get())
                .tls_ca(config.tls_ca.clone());
            Ok(Receiver { client: Client::new(options)?, endpoint })
        };
        Ok(Self { receiver: config.endpoint.clone().map(receiver).transpose()? })
    }

    /// Any answer will do: what a receiver says to a request that changes nothing is its affair.
    async fn check(&self, _: &Context) -> Result<(), Error> {
        let Some(Receiver { client, endpoint }) = &self.receiver else { return Ok(()) };
        match client.send(Request::new(Method::OPTIONS, endpoint)).await {
            Err(error) if error.class() != ErrorClass::AuthDenied => Err(error),
            _ => Ok(()),
        }
    }
}

impl Capture for Webhook {
    type Settings = Settings;

    const HTTP_INLINE: bool = true;

    fn validate_settings(settings: &Settings) -> Vec<ConfigFault> {
        let mut faults = match &settings.auth {
            Auth::StandardWebhooks(auth) => signature::faults(auth),
            Auth::Bearer(auth) => bearer::faults(auth),
        };
        faults.extend(settings.records.as_deref().and_then(body::pointer_fault));
        if let Some(events) = &settings.cloud_events {
            faults.extend(cloudevents::faults(events));
            let both = settings.records.is_some();
            let message = "has no meaning with `cloud_events`: each event is a record";
            faults.extend(both.then(|| ConfigFault::new("records", message)));
        }
        faults
    }

    async fn http(
        &self,
        settings: &Settings,
        cx: &Context,
        request: HttpRequest,
    ) -> Result<HttpCapture, Error> {
        if request.body.len() > INLINE_BODY_LEN_MAX {
            tokio::task::yield_now().await;
        }
        Ok(take(settings, cx, &request).unwrap_or_else(|fault| {
            let (status, remote) = (fault.status(), request.remote.as_deref());
            tracing::warn!(status, remote, reason = %fault, "webhook is refused");
            HttpCapture::Refuse(fault.answer())
        }))
    }
}

/// Why a request is refused as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum RequestFault {
    #[error("no such path")]
    Path,
    #[error("only POST is taken")]
    Method,
    #[error("body is longer than {0} bytes")]
    TooLong(usize),
    #[error(transparent)]
    Signature(#[from] signature::Fault),
    #[error(transparent)]
    Bearer(#[from] bearer::Fault),
    #[error(transparent)]
    Body(#[from] body::Fault),
    #[error(transparent)]
    CloudEvents(#[from] cloudevents::Fault),
}

impl RequestFault {
    fn status(&self) -> u16 {
        match self {
            Self::Path => 404,
            Self::Method => 405,
            Self::TooLong(_) => 413,
            Self::Signature(_) | Self::Bearer(_) => 401,
            Self::Body(fault) => fault.status(),
            Self::CloudEvents(fault) => fault.status(),
        }
    }

    /// A stranger learns nothing of what was wrong with its proof.
    fn answer(&self) -> HttpResponse {
        let title = match self {
            Self::Signature(_) | Self::Bearer(_) => "not authorized".to_owned(),
            other => other.to_string(),
        };
        let mut answer = HttpResponse::problem(self.status(), &title);
        let header = match self {
            Self::Method => Some(("allow", "POST")),
            Self::Bearer(_) => Some(("www-authenticate", "Bearer")),
            _ => None,
        };
        answer.headers.extend(header.map(|(name, value)| (name.to_owned(), value.to_owned())));
        answer
    }
}

fn take(
    settings: &Settings,
    cx: &Context,
    request: &HttpRequest,
) -> Result<HttpCapture, RequestFault> {
    if !["", "/"].contains(&request.path.as_str()) {
        return Err(RequestFault::Path);
    }
    if let Some(events) = settings.cloud_events.as_ref().filter(|_| request.method == "OPTIONS") {
        return Ok(cloudevents::handshake(events, request));
    }
    if request.method != "POST" {
        return Err(RequestFault::Method);
    }
    if request.body.len() > settings.max_body_bytes {
        return Err(RequestFault::TooLong(settings.max_body_bytes));
    }
    // Who signs sends again whatever is not answered 2xx, and in the end switches the endpoint off.
    // A refused record is a durable dead letter, so its sender is done.
    let (message_id, status_refused) = match &settings.auth {
        Auth::StandardWebhooks(auth) => (Some(signature::verify(auth, request, cx.now_ms())?), 202),
        Auth::Bearer(auth) => {
            bearer::verify(auth, request)?;
            (request.header(signature::ID).filter(|id| signature::fits_id(id)), 422)
        }
    };
    let records = match &settings.cloud_events {
        Some(_) => cloudevents::records(request)?,
        None => body::records(settings.records.as_deref(), request, message_id)?,
    };
    let response = ResponseTemplate {
        status: 202,
        status_refused,
        headers: Vec::new(),
        body: ResponseBody::Outcomes,
    };
    Ok(HttpCapture::Capture { records, response })
}

/// The value of a header that must come exactly once: of two, another reader might take the other.
fn only<'a>(request: &'a HttpRequest, name: &str) -> Result<&'a str, HeaderFault> {
    let mut values =
        request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(HeaderFault::Missing),
        _ => Err(HeaderFault::Repeated),
    }
}

/// Why a header has no one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeaderFault {
    Missing,
    Repeated,
}

export_plugin! {
    plugin: Webhook,
    roles: [capture, callback],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
