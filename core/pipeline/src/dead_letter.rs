//! Dead letters: records that were refused and callbacks that could not be delivered. They wait for
//! a person, who tries them again (a record also edited) or gives them up.

use std::fmt::Write as _;

use bytes::Bytes;
use gantry_model::spec::MessageKind;
use gantry_model::{Actor, ItemId, Name, Timestamp};
use gantry_plugin_host::api::ErrorClass;
use gantry_store::{DeadLetterChange, DeadLetterKind, DeadLetterRow, Resolution};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::callback::Ask;
use crate::intake::{Incoming, Refused};
use crate::outcome::{Outcome, Settled};
use crate::pipeline::Handle;

/// Why a dead letter was neither tried again nor given up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// No such dead letter.
    #[error("dead letter {id:?} does not exist")]
    Unknown {
        /// Its id.
        id: String,
    },
    /// It was settled before.
    #[error("dead letter {id:?} was {how} at {at}")]
    Settled {
        /// Its id.
        id: String,
        /// How.
        how: &'static str,
        /// When.
        at: Timestamp,
    },
    /// Its capture point or callback is not in the config any more.
    #[error("{origin:?}, which dead letter {id:?} belongs to, is not configured any more")]
    Gone {
        /// Its id.
        id: String,
        /// The capture point or callback.
        origin: Name,
    },
    /// A callback has no payload to edit.
    #[error("dead letter {id:?} is a callback, whose payload the hub makes: retry it without one")]
    NotEditable {
        /// Its id.
        id: String,
    },
    /// The hub could not take it.
    #[error("cannot settle dead letter {id:?}")]
    Hub {
        /// Its id.
        id: String,
        /// Why not.
        source: gantry_hub::Error,
    },
    /// The store could not be read.
    #[error("cannot read dead letter {id:?}")]
    Store {
        /// Its id.
        id: String,
        /// Why not.
        source: gantry_store::Error,
    },
}

/// What came of trying a dead letter again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Retried {
    /// A record: how it ended this time. It is settled unless it was refused again or must be
    /// retried.
    Record(Outcome),
    /// A callback: its lane goes on with it.
    Callback,
}

/// The dead letter of a refused record. The same record refused again is the same dead letter.
pub(crate) fn of_record(
    capture_point: &Name,
    record: &Incoming,
    refused: &Refused,
    at: Timestamp,
    bytes_max: usize,
) -> DeadLetterRow {
    DeadLetterRow {
        id: record_id(capture_point, &record.payload),
        kind: DeadLetterKind::Capture,
        origin: capture_point.clone(),
        external_id: refused.external_id.clone(),
        item: refused.item,
        payload: record.payload.slice(..record.payload.len().min(bytes_max)),
        content_type: write_content_type(record),
        code: refused.code.to_owned(),
        class: Some(ErrorClass::Permanent.name().to_owned()),
        reason: refused.reason.clone(),
        at,
        attempts: 1,
    }
}

/// Id of the dead letter of a record: where it came in and what it says.
pub(crate) fn record_id(capture_point: &Name, payload: &[u8]) -> String {
    let digest = Sha256::new().chain_update(capture_point.as_bytes()).chain_update([0]);
    let digest = digest.chain_update(payload).finalize();
    digest.iter().take(10).fold(String::from("r-"), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// Parameter of the content type that keeps the kind of message, where the source named it.
const MESSAGE_PARAMETER: &str = "; message=";

/// The content type with the kind of message in it: a record that was a `cancel` must not come back
/// as a `create`.
fn write_content_type(record: &Incoming) -> Option<String> {
    let content_type = record.content_type.as_deref();
    let Some(kind) = record.kind else { return content_type.map(Into::into) };
    let name = MessageKind::ALL.iter().find(|(_, known)| *known == kind).map(|(name, _)| *name);
    let name = name.expect("invariant: the list names every kind");
    Some(format!("{}{MESSAGE_PARAMETER}{name}", content_type.unwrap_or("application/json")))
}

fn read_content_type(stored: Option<String>) -> (Option<String>, Option<MessageKind>) {
    match stored.as_deref().and_then(|text| text.rsplit_once(MESSAGE_PARAMETER)) {
        Some((content_type, name)) => (Some(content_type.into()), MessageKind::parse(name)),
        None => (stored, None),
    }
}

impl Handle {
    /// Tries a dead letter again: a record goes through the intake once more, with `payload` in its
    /// place if one is given; a callback's lane goes on. Success settles the dead letter.
    ///
    /// # Errors
    /// [`DeadLetterError`]; after `Hub` and `Store` it is still there.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the record captured and the dead letter open; trying again
    /// finds a repeat.
    pub async fn retry_dead_letter(
        &self,
        id: &str,
        payload: Option<Bytes>,
        actor: Actor,
    ) -> Result<Retried, DeadLetterError> {
        let row = self.open_dead_letter(id).await?;
        match row.kind {
            DeadLetterKind::Callback if payload.is_some() => {
                Err(DeadLetterError::NotEditable { id: id.into() })
            }
            DeadLetterKind::Callback => {
                self.ask_callback(&row, Ask::Retry).await?;
                Ok(Retried::Callback)
            }
            DeadLetterKind::Capture => self.retry_record(row, payload, actor).await,
        }
    }

    /// Gives a dead letter up. A callback's lane goes on with the next event of the item.
    ///
    /// # Errors
    /// [`DeadLetterError`]; after `Hub` and `Store` it is still there.
    ///
    /// # Cancel safety
    /// Dropping the future does not take it back.
    pub async fn skip_dead_letter(&self, id: &str, actor: Actor) -> Result<(), DeadLetterError> {
        let row = self.open_dead_letter(id).await?;
        match row.kind {
            DeadLetterKind::Callback => self.ask_callback(&row, Ask::Skip).await,
            DeadLetterKind::Capture => self.resolve(id, Resolution::Skipped, actor).await,
        }
    }

    async fn open_dead_letter(&self, id: &str) -> Result<DeadLetterRow, DeadLetterError> {
        let found = self.store().dead_letter(id).await;
        let found = found.map_err(|source| DeadLetterError::Store { id: id.into(), source })?;
        let found = found.ok_or_else(|| DeadLetterError::Unknown { id: id.into() })?;
        match found.resolved {
            None => Ok(found.row),
            Some((how, at)) => {
                let how = match how {
                    Resolution::Retried => "retried",
                    Resolution::Skipped => "skipped",
                };
                Err(DeadLetterError::Settled { id: id.into(), how, at })
            }
        }
    }

    async fn retry_record(
        &self,
        row: DeadLetterRow,
        payload: Option<Bytes>,
        actor: Actor,
    ) -> Result<Retried, DeadLetterError> {
        let intake = self.intake();
        let point = intake.point(&row.origin).ok_or_else(|| DeadLetterError::Gone {
            id: row.id.clone(),
            origin: row.origin.clone(),
        })?;
        let edited = payload.is_some();
        let payload = payload.unwrap_or(row.payload);
        let (content_type, kind) = read_content_type(row.content_type);
        let record = Incoming { content_type, kind, ..Incoming::new(payload) };
        let settled = intake.settle(point, &[record], None).await;
        let mut outcomes =
            settled.map_err(|source| DeadLetterError::Hub { id: row.id.clone(), source })?;
        let outcome = outcomes.pop().expect("invariant: one outcome for each record");
        // An edited record that is refused again has a dead letter of its own, in place of this
        // one.
        match &outcome.settled {
            Settled::Accepted { .. } | Settled::Filtered { .. } => {
                self.resolve(&row.id, Resolution::Retried, actor).await?;
            }
            Settled::Refused { .. } if edited => {
                self.resolve(&row.id, Resolution::Retried, actor).await?;
            }
            Settled::Refused { .. } | Settled::Retry { .. } => {}
        }
        Ok(Retried::Record(outcome))
    }

    async fn ask_callback(&self, row: &DeadLetterRow, ask: Ask) -> Result<(), DeadLetterError> {
        let gone = || DeadLetterError::Gone { id: row.id.clone(), origin: row.origin.clone() };
        let item: ItemId = row.item.ok_or_else(gone)?;
        let desk = self.callback_desk(&row.origin).ok_or_else(gone)?;
        let answered = desk.ask(item, ask).await;
        answered.map_err(|source| DeadLetterError::Hub { id: row.id.clone(), source })
    }

    async fn resolve(
        &self,
        id: &str,
        how: Resolution,
        actor: Actor,
    ) -> Result<(), DeadLetterError> {
        let at = self.hub().now();
        let resolved = DeadLetterChange::Resolve { id: id.into(), how, at };
        let side = gantry_hub::Side { dead_letters: vec![resolved], ..Default::default() };
        let submission = gantry_hub::Submission { actor, work: Vec::new(), side };
        let done = self.hub().submit(submission).await;
        done.map(drop).map_err(|source| DeadLetterError::Hub { id: id.into(), source })
    }
}
