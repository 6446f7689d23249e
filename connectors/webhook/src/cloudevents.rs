//! CloudEvents 1.0 over HTTP: structured, binary and in batches, and the handshake before them.
//!
//! In each mode a record is the event as an object: its attributes, and the payload as `data` or
//! `data_base64`. So one mapping does for all modes. Source and id together are the message id.
//!
//! Source: CloudEvents 1.0.2, `spec.md`, `formats/json-format.md`,
//! `bindings/http-protocol-binding.md`, `http-webhook.md`, `extensions/distributed-tracing.md`
//! (read 2026-08).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_plugin_api::{ConfigFault, ResponseTemplate};
use gantry_plugin_api::{HttpCapture, HttpRequest, HttpResponse, Record, ResponseBody};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

use crate::body::{self, N_RECORDS_MAX};
use crate::config::CloudEvents;
use crate::signature::ID_LEN_MAX;
use crate::{HeaderFault, only};

/// Prefix of the headers that carry attributes in binary mode.
const PREFIX: &str = "ce-";
const BATCH: &str = "application/cloudevents-batch";
const STRUCTURED: &str = "application/cloudevents";

/// Why a request holds no event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Fault {
    #[error("the event has no `{0}`")]
    Missing(&'static str),
    #[error("`specversion` must be `1.0`, not `{0}`")]
    Version(String),
    #[error("`time` must be a date and time as RFC 3339 has it, not `{0}`")]
    Time(String),
    #[error("the event has both `data` and `data_base64`")]
    TwoPayloads,
    #[error("header `{0}` comes more than once")]
    Repeated(String),
    #[error("header `{0}` is not UTF-8 once its percent signs are resolved")]
    Escape(String),
    #[error("header `ce-datacontenttype` is not allowed: `content-type` says it")]
    ContentType,
    #[error("events come as `{STRUCTURED}+json`, `{BATCH}+json` or with headers `ce-…`")]
    Format,
    #[error("the event is no object as CloudEvents has it: {0}")]
    NoEvent(serde_json::Error),
    #[error(transparent)]
    Body(#[from] body::Fault),
}

/// The attributes that are looked at; the others go on as they are.
#[derive(Deserialize)]
struct Event<'a> {
    id: Option<String>,
    source: Option<String>,
    specversion: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    time: Option<String>,
    traceparent: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<&'a RawValue>,
}

impl Fault {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Format => 415,
            Self::Body(fault) => fault.status(),
            _ => 400,
        }
    }
}

/// What is wrong with the settings.
pub(crate) fn faults(settings: &CloudEvents) -> Vec<ConfigFault> {
    let fits = |origin: &String| origin == "*" || (!origin.is_empty() && !origin.contains('/'));
    let wrong = settings.origins.iter().enumerate().filter(|(_, origin)| !fits(origin));
    let message = "must be the name of a host, such as `shop.example`, or `*`";
    wrong.map(|(at, _)| ConfigFault::new(format!("cloud_events.origins[{at}]"), message)).collect()
}

/// The events of a request, as records. Of a batch, one that is no event costs itself only.
pub(crate) fn records(request: &HttpRequest) -> Result<Vec<Record>, Fault> {
    let media_type = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let mut records = if essence.starts_with(BATCH) {
        batch(request, essence)?
    } else if essence.starts_with(STRUCTURED) {
        if essence != format!("{STRUCTURED}+json") {
            return Err(Fault::Format);
        }
        vec![structured(request, body::whole(request)?)?]
    } else {
        vec![binary(request, essence)?]
    };
    // The header tells of this hop, the attribute of the event's origin.
    if let Some(hop) = request.header("traceparent") {
        for record in &mut records {
            record.traceparent = Some(hop.to_owned());
        }
    }
    Ok(records)
}

fn batch(request: &HttpRequest, essence: &str) -> Result<Vec<Record>, Fault> {
    if essence != format!("{BATCH}+json") {
        return Err(Fault::Format);
    }
    let whole = body::whole(request)?;
    let events: Vec<&RawValue> = serde_json::from_str(whole.get()).map_err(Fault::NoEvent)?;
    if events.len() > N_RECORDS_MAX {
        return Err(body::Fault::TooMany.into());
    }
    let taken = |event: &RawValue| {
        structured(request, event).unwrap_or_else(|fault| {
            let bytes = request.body.slice_ref(event.get().as_bytes());
            Record::unreadable(bytes, fault.to_string())
        })
    };
    Ok(events.into_iter().map(taken).collect())
}

fn structured(request: &HttpRequest, event: &RawValue) -> Result<Record, Fault> {
    let bytes = request.body.slice_ref(event.get().as_bytes());
    read(Record::json(bytes), event.get())
}

fn binary(request: &HttpRequest, essence: &str) -> Result<Record, Fault> {
    let mut event: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    for (header, value) in &request.headers {
        let Some(name) = header.strip_prefix(PREFIX) else { continue };
        if name == "datacontenttype" {
            return Err(Fault::ContentType);
        }
        let value = decoded(value).ok_or_else(|| Fault::Escape(header.clone()))?;
        if event.insert(name.to_owned(), raw(&value)).is_some() {
            return Err(Fault::Repeated(header.clone()));
        }
    }
    if event.is_empty() {
        return Err(Fault::Format);
    }
    if !essence.is_empty() {
        let whole = request.header("content-type").unwrap_or_default();
        event.insert("datacontenttype".to_owned(), raw(&whole));
    }
    if !request.body.is_empty() {
        let is_json =
            essence.is_empty() || essence.ends_with("/json") || essence.ends_with("+json");
        let text = std::str::from_utf8(&request.body);
        let (key, payload) = match text {
            _ if is_json => ("data", body::whole(request)?.to_owned()),
            Ok(text) if essence.starts_with("text/") => ("data", raw(&text)),
            _ => ("data_base64", raw(&STANDARD.encode(&request.body))),
        };
        event.insert(key.to_owned(), payload);
    }
    let json = raw(&event);
    read(Record::json(json.get().to_owned()), json.get())
}

/// Fills in what the event says of the record.
fn read(mut record: Record, event: &str) -> Result<Record, Fault> {
    let event: Event<'_> = serde_json::from_str(event).map_err(Fault::NoEvent)?;
    let given = |value: Option<String>, name| {
        value.filter(|value| !value.is_empty()).ok_or(Fault::Missing(name))
    };
    let version = given(event.specversion, "specversion")?;
    if version != "1.0" {
        return Err(Fault::Version(version));
    }
    given(event.kind, "type")?;
    let (source, id) = (given(event.source, "source")?, given(event.id, "id")?);
    if event.data.is_some() && event.data_base64.is_some() {
        return Err(Fault::TwoPayloads);
    }
    if let Some(time) = event.time {
        let moment: Timestamp = time.parse().map_err(|_| Fault::Time(time))?;
        record.occurred_at_ms = Some(moment.as_millisecond());
    }
    record.traceparent = event.traceparent;
    Ok(record.with_message_id(message_id(&source, &id)))
}

/// No reference holds a blank, so source and id cannot be split in another way.
fn message_id(source: &str, id: &str) -> String {
    let whole = format!("{source} {id}");
    if whole.len() <= ID_LEN_MAX {
        return whole;
    }
    STANDARD.encode(Sha256::digest(&whole))
}

/// A header's value with its percent signs resolved; none if that is not UTF-8.
fn decoded(value: &str) -> Option<String> {
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let mut bytes = unquoted.unwrap_or(value).as_bytes().iter();
    let mut plain = Vec::with_capacity(value.len());
    while let Some(&byte) = bytes.next() {
        let rest = bytes.as_slice();
        let code = rest.get(..2).filter(|_| byte == b'%').and_then(|code| {
            let code = std::str::from_utf8(code).ok().filter(|code| !code.starts_with('+'))?;
            u8::from_str_radix(code, 16).ok()
        });
        if code.is_some() {
            bytes.nth(1);
        }
        plain.push(code.unwrap_or(byte));
    }
    String::from_utf8(plain).ok()
}

fn raw(value: &(impl Serialize + ?Sized)) -> Box<RawValue> {
    to_raw_value(value).expect("invariant: text, and maps of text, are valid JSON")
}

/// Answers a sender that asks, before it sends anything, whether it may.
pub(crate) fn handshake(settings: &CloudEvents, request: &HttpRequest) -> HttpCapture {
    let origin = match only(request, "webhook-request-origin") {
        Ok(origin) => origin,
        Err(HeaderFault::Missing | HeaderFault::Repeated) => {
            let title = "there is no one header `webhook-request-origin`";
            return HttpCapture::Refuse(HttpResponse::problem(400, title));
        }
    };
    let fits = |known: &String| known == "*" || known.eq_ignore_ascii_case(origin);
    if !settings.origins.iter().any(fits) {
        tracing::warn!(
            origin,
            remedy = format!("cloud_events = {{ origins = [{origin:?}] }}"),
            "a sender of CloudEvents may not send"
        );
        let title = "this origin may not send here";
        return HttpCapture::Refuse(HttpResponse::problem(403, title));
    }
    let rate = settings.rate.map_or_else(|| "*".to_owned(), |rate| rate.to_string());
    let headers = [("allow", "POST"), ("webhook-allowed-origin", origin)];
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    headers.push(("webhook-allowed-rate".to_owned(), rate));
    let body = ResponseBody::Fixed(Vec::new().into());
    let response = ResponseTemplate { status: 200, status_refused: 200, headers, body };
    HttpCapture::Capture { records: Vec::new(), response }
}
