//! The one thing the web server does not do itself: turning what comes in into work items.
//!
//! The pipeline implements [`Intake`], the server plugs it in. Whatever an implementation answers
//! with success is durable.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Request, Response};
use bytes::Bytes;
use gantry_model::command::Holder;
use gantry_model::spec::{MessageKind, Spec};
use gantry_model::{Actor, ItemId, Name, Reply, Requirement, Timestamp, TraceParent};
use serde::Serialize;
use thiserror::Error;

use crate::problem::{self, Problem};

/// Watches the records of a capture point.
#[async_trait]
pub trait Watch: Send {
    /// The next record that was settled, with its `outcome`, or `{"lost": n}` where the reader was
    /// too slow for `n` of them; `None` once there are no more. Secrets are taken out.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    async fn next(&mut self) -> Option<serde_json::Value>;
}

/// Records that one request may hold.
pub const RECORDS_MAX: usize = 1_000;

/// Takes in records, requests and messages.
///
/// Every method may be called any number of times at once, from any task. Each waits for the
/// commit that covers what it did.
///
/// # Cancel safety
/// Dropping a future does not take back what was begun; the same record or message again is
/// recognised as a repeat.
#[async_trait]
pub trait Intake: Send + Sync + std::fmt::Debug {
    /// Captures the records in `body`: one JSON object, or an array of 1 to [`RECORDS_MAX`].
    /// The body has been read completely and may be anything; it is parsed here, once. The records
    /// belong to the caller's trace, if there is one.
    ///
    /// Results stand in the order of the records. A record that is refused stops no other one.
    ///
    /// # Errors
    /// [`IntakeError`] if no record was looked at, or none is durable.
    async fn capture_json(
        &self,
        capture_point: &str,
        body: Bytes,
        traceparent: Option<TraceParent>,
    ) -> Result<Vec<RecordResult>, IntakeError>;

    /// Hands a request to the plug-in of a capture point, which authenticates it and says what
    /// is in it, and answers the sender when that is durable. The URI is relative to the hook.
    ///
    /// # Errors
    /// [`IntakeError`] if the plug-in gave no answer. A request that the plug-in refuses is none.
    async fn capture_http(
        &self,
        capture_point: &str,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, IntakeError>;

    /// Carries out a message about an item that is there.
    ///
    /// # Errors
    /// [`IntakeError`]: nothing changed.
    async fn message(&self, actor: Actor, message: Message) -> Result<Reply, IntakeError>;

    /// Tries a dead letter again, a captured record with another payload if one is given.
    ///
    /// # Errors
    /// [`IntakeError`]: it is still open; [`IntakeError::Refused`] if it failed once more.
    async fn retry_dead_letter(
        &self,
        actor: Actor,
        id: &str,
        payload: Option<Bytes>,
    ) -> Result<(), IntakeError>;

    /// Gives a dead letter up, so that what waits behind it goes on.
    ///
    /// # Errors
    /// [`IntakeError`]: it is still open.
    async fn skip_dead_letter(&self, actor: Actor, id: &str) -> Result<(), IntakeError>;

    /// Takes nothing more at a capture point until it is resumed, also over restarts.
    ///
    /// # Errors
    /// [`IntakeError`]: nothing changed.
    async fn pause(
        &self,
        actor: Actor,
        capture_point: &str,
        reason: Option<String>,
    ) -> Result<(), IntakeError>;

    /// Takes records again at a capture point.
    ///
    /// # Errors
    /// [`IntakeError`]: nothing changed.
    async fn resume(&self, actor: Actor, capture_point: &str) -> Result<(), IntakeError>;

    /// Asks the source of a capture point now.
    ///
    /// # Errors
    /// [`IntakeError`]: there is nothing to ask.
    fn poll_now(&self, capture_point: &str) -> Result<(), IntakeError>;

    /// Moves the position from which a source is read, once its batch is settled.
    ///
    /// # Errors
    /// [`IntakeError`]: nothing changed.
    async fn move_position(
        &self,
        actor: Actor,
        capture_point: &str,
        to: Move,
    ) -> Result<(), IntakeError>;

    /// Reads the config again, and runs what it says now.
    ///
    /// # Errors
    /// [`IntakeError`]: nothing changed.
    async fn reload_config(&self) -> Result<ConfigReload, IntakeError>;

    /// Runs the sources of a plug-in with what its file and their secrets are now.
    ///
    /// # Errors
    /// [`IntakeError`]: nothing changed.
    async fn reload_plugin(
        &self,
        actor: Actor,
        plugin: &str,
    ) -> Result<Vec<SourceReload>, IntakeError>;

    /// Reads a skill expression whose names the active config has to know.
    ///
    /// # Errors
    /// [`IntakeError::Expression`] with everything that is wrong.
    fn requirement(&self, expression: &str) -> Result<Requirement, IntakeError>;

    /// The config that is active.
    fn spec(&self) -> Arc<Spec>;

    /// How capture points, look-ups and callbacks are doing, for people and monitors.
    fn status(&self) -> serde_json::Value;

    /// The hub and its parts in figures, as OpenMetrics text.
    fn metrics(&self) -> String;

    /// Watches the records of a capture point from now on.
    ///
    /// # Errors
    /// [`IntakeError::UnknownCapturePoint`]
    fn watch(&self, capture_point: &str) -> Result<Box<dyn Watch>, IntakeError>;
}

/// A message about a work item.
#[derive(Clone, Debug)]
pub struct Message {
    /// Which item.
    pub target: Target,
    /// What is asked; never `create`.
    pub kind: MessageKind,
    /// One JSON object: attributes of an update or of a completion, the reason of a hold or
    /// cancellation. Empty = none.
    pub body: Bytes,
    /// The agent who has the item, where an agent reschedules it; none = a source or supervisor.
    pub by: Option<Holder>,
}

/// Names a work item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By the hub's id.
    Item(ItemId),
    /// By the source's own id.
    Key {
        /// Where it was captured.
        capture_point: Name,
        /// The source's own id.
        external_id: String,
    },
}

/// Where the position of a capture point is moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// To a place that the plug-in understands.
    Set {
        /// The partition of the source; empty if it has none.
        partition: String,
        /// The plug-in's own bytes.
        position: Vec<u8>,
    },
    /// To the beginning.
    Reset {
        /// Only this partition of the source.
        partition: Option<String>,
    },
    /// To where it stood at an instant, or up to a minute before it.
    Rewind {
        /// Only this partition of the source.
        partition: Option<String>,
        /// The instant.
        to: Timestamp,
    },
}

/// What came of a config that was read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigReload {
    /// The version that is active now.
    pub version: u32,
    /// Whether it is another one than before.
    pub changed: bool,
    /// Sources that go on as they are.
    pub kept: Vec<Name>,
    /// Sources that are new, or began anew with another config.
    pub restarted: Vec<Name>,
    /// Sources that are no more.
    pub ended: Vec<Name>,
    /// Keys that have changed, and count after a restart of the hub only.
    pub after_restart: Vec<&'static str>,
}

/// What became of a source whose plug-in was reloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceReload {
    /// The source.
    pub source: Name,
    /// Whether it runs with the plug-in as it is now; if not, it runs as before.
    pub reloaded: bool,
    /// Version of the plug-in as it is now.
    pub version: String,
    /// Hash of its file.
    pub sha256: String,
    /// What does not work at the moment, but may by itself.
    pub troubles: Vec<String>,
    /// Why it runs as before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordResult {
    /// The source's own id, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The item it made or met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: RecordOutcome,
}

/// The outcomes of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RecordOutcome {
    /// A new item.
    Created,
    /// It changed an item, or a message in it was carried out.
    Updated,
    /// The same as before; nothing changed.
    Repeat,
    /// Nothing had to be done.
    Filtered {
        /// Why, readable.
        detail: String,
    },
    /// The record is wrong; it lies among the dead letters.
    Refused {
        /// Stable code.
        code: Cow<'static, str>,
        /// What is wrong, readable.
        detail: String,
        /// Where it lies.
        #[serde(skip_serializing_if = "Option::is_none")]
        dead_letter: Option<String>,
    },
    /// The hub could not settle it now; send it again.
    Retry {
        /// Why, readable.
        detail: String,
    },
}

/// Why intake did not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The config has no such capture point.
    #[error("capture point {0:?} is not configured")]
    UnknownCapturePoint(String),
    /// The capture point takes no requests of its own.
    #[error("capture point {0:?} takes no webhooks; POST to /api/v1/capture/{0} instead")]
    NoHook(String),
    /// The body is not what it should be: bad UTF-8, bad JSON, nested too deeply, no object.
    #[error("{0}")]
    Body(String),
    /// No skill expression, or one with names that the config does not have.
    #[error("{0}")]
    Expression(String),
    /// More bytes in one record, or more records, than one request may hold.
    #[error("{0}")]
    TooLarge(String),
    /// No such item; the text says which, and where it was looked for.
    #[error("{0}")]
    UnknownItem(String),
    /// No such dead letter among the open ones.
    #[error("no open dead letter {0:?}")]
    UnknownDeadLetter(String),
    /// The capture point is paused.
    #[error("{0}")]
    Paused(String),
    /// The capture point has no such position, or none is known from so long ago.
    #[error("{0}")]
    NoPosition(String),
    /// The capture point does not allow this.
    #[error("{0}")]
    NotOperable(String),
    /// The capture point is busy.
    #[error("{0}")]
    Busy(String),
    /// The config as it is now cannot be used.
    #[error("the config was not taken, and the one before stays active: {0}")]
    ConfigRefused(String),
    /// No source is of this plug-in.
    #[error("no source of the active config is of plug-in {0:?}")]
    UnknownPlugin(String),
    /// The plug-in as it is now cannot be used.
    #[error("the plug-in was not reloaded, and runs as before: {0}")]
    NotReloaded(String),
    /// The content is refused, with a code of its own.
    #[error("{detail}")]
    Refused {
        /// Stable code.
        code: Cow<'static, str>,
        /// What is wrong, readable.
        detail: String,
    },
    /// The plug-in failed.
    #[error("the plug-in of capture point {capture_point:?} failed: {detail}")]
    Plugin {
        /// The capture point.
        capture_point: String,
        /// What it said.
        detail: String,
    },
    /// The hub took nothing.
    #[error(transparent)]
    Hub(#[from] gantry_hub::Error),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] gantry_store::Error),
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let detail = error.to_string();
        let kind = match error {
            IntakeError::UnknownCapturePoint(_) | IntakeError::NoHook(_) => {
                &problem::NO_CAPTURE_POINT
            }
            IntakeError::Body(_) => &problem::UNREADABLE,
            IntakeError::Expression(_) => &problem::FIELDS,
            IntakeError::TooLarge(_) => &problem::TOO_LARGE,
            IntakeError::UnknownItem(_) => &problem::NO_ITEM,
            IntakeError::UnknownDeadLetter(_) => &problem::NO_DEAD_LETTER,
            IntakeError::Paused(_) => &problem::PAUSED,
            IntakeError::NoPosition(_) => &problem::NO_POSITION,
            IntakeError::NotOperable(_) => &problem::NOT_OPERABLE,
            IntakeError::Busy(_) => &problem::BUSY,
            IntakeError::ConfigRefused(_) => &problem::CONFIG_REFUSED,
            IntakeError::UnknownPlugin(_) => &problem::NO_PLUGIN,
            IntakeError::NotReloaded(_) => &problem::NOT_RELOADED,
            IntakeError::Refused { code, .. } => {
                return Self::new(&problem::RECORD, detail).with_code(code);
            }
            IntakeError::Plugin { .. } => &problem::PLUGIN,
            IntakeError::Hub(error) => return error.into(),
            IntakeError::Store(error) => return error.into(),
        };
        Self::new(kind, detail)
    }
}
