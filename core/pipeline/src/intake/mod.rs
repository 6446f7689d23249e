//! The intake: records in, outcomes out, durable in between.
//!
//! The one place where records become work items, whichever way they came: polled, streamed, sent
//! to the plain JSON API or through a plug-in's HTTP capture. Start reading at [`Intake::settle`]
//! in
//! `settle`.

mod merge;
mod message;
mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gantry_hub::{Head, NewDocument};
use gantry_model::attribute::CAPTURED_AT;
use gantry_model::command::{Capture, Verdict};
use gantry_model::document::Lease;
use gantry_model::spec::{CaptureSpec, MessageKind, Spec};
use gantry_model::{Actor, Command, Document, ItemId, Name, Timestamp, TraceParent, Value};
use gantry_rules::{Mapped, Rules};
use gantry_store::Store;

use crate::enrich::Enrich;
use crate::leases::Book;
use crate::limits::Limits;
use crate::meter::{Flow, Operations};
use crate::payload::{self, PayloadError};
use crate::status::Counts;
use crate::tap::Tap;

pub use message::{MessageError, Target};
pub(crate) use settle::{Reading, unavailable};

/// Code of a record that its capture point's mapping refuses.
const CODE_MAPPING: &str = "GANTRY-R010";

/// Turns records into work items.
pub(crate) struct Intake {
    pub(crate) spec: Arc<Spec>,
    pub(crate) version: u32,
    /// New items keep the time of their capture, for rules to read.
    pub(crate) keeps_captured_at: bool,
    pub(crate) rules: Arc<Rules>,
    pub(crate) hub: gantry_hub::Handle,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) enrich: Arc<Enrich>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) points: BTreeMap<Name, Point>,
}

/// A capture point, ready for use.
pub(crate) struct Point {
    pub(crate) name: Name,
    pub(crate) actor: Actor,
    pub(crate) spec: CaptureSpec,
    /// Its look-ups in stages: those of a later stage may use the answers of an earlier one.
    pub(crate) stages: Vec<Vec<Name>>,
    pub(crate) counts: Counts,
    pub(crate) tap: Tap,
    pub(crate) flow: Arc<Flow>,
    pub(crate) leases: Book,
    pub(crate) operations: Arc<Operations>,
}

/// A record on its way in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Incoming {
    pub(crate) payload: Bytes,
    /// The payload, where somebody parsed it already.
    pub(crate) value: Option<serde_json::Value>,
    /// The payload's nesting was checked already.
    pub(crate) nesting_checked: bool,
    pub(crate) content_type: Option<String>,
    /// The source's id of this message.
    pub(crate) message_id: Option<String>,
    /// The version of the thing in the source: names the message where it has no id.
    pub(crate) version: Option<String>,
    /// What it asks for, where the source says so itself.
    pub(crate) kind: Option<MessageKind>,
    /// When it happened in the source.
    pub(crate) occurred_at: Option<Timestamp>,
    /// The trace it came with.
    pub(crate) traceparent: Option<TraceParent>,
    /// The source has only lent it.
    pub(crate) lease: Option<Lease>,
    /// Why the plug-in could not read it.
    pub(crate) unreadable: Option<String>,
}

/// Why a record is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    pub(crate) external_id: Option<String>,
    pub(crate) item: Option<ItemId>,
}

impl Incoming {
    pub(crate) fn new(payload: Bytes) -> Self {
        Self { payload, ..Self::default() }
    }

    /// What recognises this message when it comes again.
    fn message_id(&self, external_id: &str) -> Option<String> {
        let by_version = || self.version.as_ref().map(|version| format!("{external_id}@{version}"));
        self.message_id.clone().or_else(by_version)
    }
}

impl From<PayloadError> for Refused {
    fn from(error: PayloadError) -> Self {
        let reason = error.to_string();
        Self { code: error.code(), reason, external_id: None, item: None }
    }
}

impl Intake {
    pub(crate) fn point(&self, name: &str) -> Option<&Point> {
        self.points.get(name)
    }

    /// Parses and maps a record.
    fn map(&self, point: &Point, record: &Incoming) -> Result<Mapped, Refused> {
        if let Some(problem) = record.unreadable.clone() {
            return Err(PayloadError::Unreadable { problem }.into());
        }
        let parsed = match &record.value {
            Some(_) => None,
            None if record.nesting_checked => {
                Some(payload::parse_entry(&record.payload, &self.limits)?)
            }
            None => Some(payload::parse(&record.payload, &self.limits)?),
        };
        let value = record.value.as_ref().or(parsed.as_ref());
        let value = value.expect("invariant: one of them is there");
        let mapped = self.rules.map(&point.name, value).map_err(|error| Refused {
            code: CODE_MAPPING,
            reason: error.to_string(),
            external_id: None,
            item: None,
        })?;
        let mut mapped = Mapped { kind: record.kind.unwrap_or(mapped.kind), ..mapped };
        mapped.document.traceparent.clone_from(&record.traceparent);
        mapped.document.lease.clone_from(&record.lease);
        Ok(mapped)
    }

    /// The verdict of the rules, or `None` if a look-up has to be asked first.
    fn classify(&self, point: &Point, document: &mut Document) -> Option<Box<Verdict>> {
        if self.enrich.wanted(point, document) {
            return None;
        }
        let (verdict, _) = self.rules.classify(&point.name, self.version, document);
        Some(Box::new(verdict))
    }

    /// The row of a document, without payload.
    pub(crate) fn document_row(&self, document: &Document) -> NewDocument {
        let text = |name: &str| document.text(name).map(Into::into);
        let customer = self.spec.history_key().and_then(text);
        NewDocument {
            attributes: document.to_vec(),
            payload: None,
            content_type: None,
            head: Head { name: text("name"), source_url: text("source_url"), customer },
        }
    }

    fn capture(&self, point: &Point, mapped: &mut Mapped) -> Command {
        if self.keeps_captured_at {
            let now = Value::Timestamp(self.hub.now());
            mapped.document.set(Name::new(CAPTURED_AT), now, None);
        }
        let verdict = self.classify(point, &mut mapped.document);
        let created_at = timestamp(&mapped.document, "source_created_at")
            .or_else(|| timestamp(&mapped.document, "created_at"));
        Command::Capture(Capture {
            capture_point: point.name.clone(),
            hash: mapped.hash,
            known: None,
            on_change: point.spec.on_change,
            on_reopen: point.spec.on_reopen,
            created_at,
            activation_at: timestamp(&mapped.document, "activation_at"),
            verdict,
        })
    }
}

impl Point {
    /// The payload as it came, for inspection. Where nothing is mapped, the document says the same.
    fn kept_payload(&self, record: &Incoming) -> Option<Bytes> {
        (!self.spec.map.is_empty()).then(|| record.payload.clone())
    }
}

fn timestamp(document: &Document, name: &str) -> Option<Timestamp> {
    match document.attributes.get(name) {
        Some(Value::Timestamp(at)) => Some(*at),
        _ => None,
    }
}
