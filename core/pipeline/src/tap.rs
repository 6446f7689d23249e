//! The tap: what one capture point settles, record by record, for whoever watches at the moment.
//!
//! Nobody who watches slows capture: what a slow one does not read in time is lost to them, and
//! they are told how much. While nobody watches, nothing is kept or copied. Secrets that the
//! source knows, and members whose names say that they are secret, are taken out by the one who
//! watches, not on the way of the record.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gantry_model::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::intake::Incoming;
use crate::operate::OperateError;
use crate::outcome::{Outcome, Settled};
use crate::pipeline::Handle;
use crate::source::Source;

/// Records that one who watches may be behind.
const BEHIND_MAX: usize = 256;
/// The longest payload that is shown, in bytes.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;
/// What stands in place of what is not shown.
const MASK: &str = "***";
/// Members of a payload whose names hold one of these, in letters and digits, are not shown.
const MASKED: [&str; 7] =
    ["password", "passwd", "secret", "token", "apikey", "credential", "authorization"];

/// Where the records of a capture point can be watched.
#[derive(Debug, Default)]
pub(crate) struct Tap(OnceLock<broadcast::Sender<Tapped>>);

/// A settled record.
#[derive(Clone, Debug)]
struct Tapped {
    at: Timestamp,
    occurred_at: Option<Timestamp>,
    outcome: Outcome,
    bytes: usize,
    payload: Option<Bytes>,
}

/// Watches a capture point.
pub struct Watch {
    records: broadcast::Receiver<Tapped>,
    /// Its plug-in of the moment knows its secrets.
    source: Option<Arc<Source>>,
}

/// What is seen of a capture point.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Seen {
    /// A settled record.
    Record(Box<SeenRecord>),
    /// Records that came faster than they were watched.
    Lost {
        /// How many.
        lost: u64,
    },
}

/// A record as it may be seen.
#[derive(Clone, Debug, Serialize)]
pub struct SeenRecord {
    /// When it was settled.
    pub at: Timestamp,
    /// When it happened in the source, where the source says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Length of its payload.
    pub bytes: usize,
    /// Its payload, without secrets; `None` if it is too long to be shown.
    pub payload: Option<Value>,
}

impl Tap {
    /// Shows settled records to those who watch.
    pub(crate) fn show(&self, now: Timestamp, records: &[Incoming], outcomes: &[Outcome]) {
        let Some(watched) = self.0.get().filter(|watched| watched.receiver_count() > 0) else {
            return;
        };
        for (record, outcome) in records.iter().zip(outcomes) {
            let bytes = record.payload.len();
            // A copy, so that what is watched holds no whole batch in memory.
            let shown = bytes <= PAYLOAD_BYTES_MAX;
            let payload = shown.then(|| Bytes::copy_from_slice(&record.payload));
            let (outcome, occurred_at) = (outcome.clone(), record.occurred_at);
            // Without anybody who watches any more it is shown to nobody.
            let _ = watched.send(Tapped { at: now, occurred_at, outcome, bytes, payload });
        }
    }

    fn watch(&self) -> broadcast::Receiver<Tapped> {
        self.0.get_or_init(|| broadcast::Sender::new(BEHIND_MAX)).subscribe()
    }
}

impl Handle {
    /// Watches what a capture point settles from now on.
    ///
    /// # Errors
    /// [`OperateError::UnknownPoint`]
    pub fn watch(&self, capture_point: &str) -> Result<Watch, OperateError> {
        let point = self.intake().point(capture_point);
        let point = point.ok_or_else(|| self.unknown_point(capture_point))?;
        let source = point.spec.source.as_ref().and_then(|source| self.source(source));
        Ok(Watch { records: point.tap.watch(), source: source.map(Arc::clone) })
    }
}

impl Watch {
    /// The next record, or how many were missed; `None` once the pipeline is gone.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Seen> {
        match self.records.recv().await {
            Ok(record) => Some(Seen::Record(Box::new(self.seen(record)))),
            Err(RecvError::Lagged(lost)) => Some(Seen::Lost { lost }),
            Err(RecvError::Closed) => None,
        }
    }

    fn seen(&self, record: Tapped) -> SeenRecord {
        let Tapped { at, occurred_at, mut outcome, bytes, payload } = record;
        match &mut outcome.settled {
            Settled::Refused { reason, .. } | Settled::Retry { reason } => {
                *reason = self.clean(reason);
            }
            Settled::Accepted { .. } | Settled::Filtered { .. } => {}
        }
        let payload = payload.map(|payload| {
            // What a plug-in could not read may be anything.
            let text = self.clean(&String::from_utf8_lossy(&payload));
            match serde_json::from_str(&text) {
                Ok(json) => masked(json),
                Err(_) => Value::String(text),
            }
        });
        SeenRecord { at, occurred_at, outcome, bytes, payload }
    }

    fn clean(&self, text: &str) -> String {
        match self.source.as_ref().and_then(|source| source.library()) {
            Some(library) => library.without_secrets(text).into_owned(),
            None => text.to_owned(),
        }
    }
}

/// A payload without what its members' names say is secret.
fn masked(payload: Value) -> Value {
    match payload {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let value = if is_masked(&name) { MASK.into() } else { masked(value) };
                (name, value)
            });
            Value::Object(members.collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(masked).collect()),
        other => other,
    }
}

fn is_masked(name: &str) -> bool {
    let plain = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = plain.map(|letter| letter.to_ascii_lowercase()).collect();
    MASKED.iter().any(|word| plain.contains(word))
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
