//! Messages about items that exist: update, hold, resume, cancel, complete, restart. From records,
//! where the mapping says what they ask for, and from the API, where the caller says so.

use bytes::Bytes;
use gantry_hub::Work;
use gantry_model::attribute::TypeMismatch;
use gantry_model::command::Holder;
use gantry_model::spec::MessageKind;
use gantry_model::{Actor, Attributes, Command, ItemId, Name, Refusal, Reply, Value};
use gantry_rules::Mapped;
use serde_json::Map;
use thiserror::Error;

use super::Intake;
use super::merge::{Merged, Update};
use super::settle::unavailable;
use crate::payload::{self, PayloadError};

/// Reason of a hold or cancel that came without one.
const NO_REASON: &str = "asked for by the source";
/// The attribute that may be given as a word.
const PRIORITY: &str = "priority";
/// How often an update is merged anew because the item moved on meanwhile.
const ROUNDS_MAX: usize = 5;

/// The item that a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By the hub's id.
    Item(ItemId),
    /// By the source's id: the item that has it, or had it last.
    Key {
        /// The capture point.
        capture_point: Name,
        /// The source's own id.
        external_id: String,
    },
}

/// Why a message could not be handed to the hub.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The body cannot be read.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// An attribute has the wrong type.
    #[error("cannot set attribute {name:?}")]
    Attribute {
        /// The attribute.
        name: String,
        /// What is wrong.
        source: TypeMismatch,
    },
    /// No such item.
    #[error(
        "capture point {capture_point:?} has no work item with the external id {external_id:?}"
    )]
    Unknown {
        /// The capture point.
        capture_point: Name,
        /// The source's own id.
        external_id: String,
    },
    /// `create` names no existing item.
    #[error("a create is no message about an existing work item: capture it")]
    Create,
    /// The hub could not take it.
    #[error("cannot hand the message to the hub")]
    Hub(#[from] gantry_hub::Error),
}

impl MessageError {
    /// The stable code; none for the hub's own trouble.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Payload(error) => Some(error.code()),
            Self::Attribute { .. } => Some("GANTRY-R014"),
            Self::Unknown { .. } => Some("GANTRY-R011"),
            Self::Create => Some("GANTRY-R015"),
            Self::Hub(_) => None,
        }
    }
}

/// What a record asks of an item that exists.
pub(super) enum FromRecord {
    /// Nothing: it was seen before.
    Repeat,
    /// To change its attributes.
    Merge,
    /// This.
    Send(Box<Work>),
}

/// What the texts of a message come from: a mapped record, or the body of an API call.
struct Texts<'a> {
    reason: Option<&'a str>,
    result_code: Option<&'a str>,
    force: bool,
}

/// The command that a record stands for, unless it brings content.
pub(super) fn command_of(mapped: &Mapped, item: ItemId) -> Option<Command> {
    let texts = Texts {
        reason: mapped.document.text("reason"),
        result_code: mapped.document.text("result_code"),
        force: false,
    };
    command(mapped.kind, item, &texts)
}

fn command(kind: MessageKind, item: ItemId, texts: &Texts<'_>) -> Option<Command> {
    let reason = || texts.reason.unwrap_or(NO_REASON).to_owned();
    Some(match kind {
        MessageKind::Create
        | MessageKind::Update
        | MessageKind::Reschedule
        | MessageKind::Ignore => return None,
        MessageKind::Hold => Command::Hold { item, reason: reason() },
        MessageKind::Resume => Command::Resume { item },
        MessageKind::Cancel => Command::Cancel { item, reason: reason() },
        MessageKind::Complete => {
            Command::Complete { item, result_code: texts.result_code.map(Into::into) }
        }
        MessageKind::Restart => Command::Restart { item, force: texts.force },
    })
}

impl Intake {
    /// See [`crate::Handle::message`].
    pub(crate) async fn message(
        &self,
        actor: Actor,
        target: Target,
        kind: MessageKind,
        body: &Bytes,
        by: Option<Holder>,
    ) -> Result<Reply, MessageError> {
        let body = self.read_body(body)?;
        let (item, capture_point) = self.find(target).await?;
        let text = |name: &str| body.get(name).and_then(serde_json::Value::as_str);
        let force = body.get("force").and_then(serde_json::Value::as_bool).unwrap_or(false);
        let texts = Texts { reason: text("reason"), result_code: text("result_code"), force };
        match (kind, command(kind, item, &texts)) {
            (MessageKind::Create | MessageKind::Ignore, _) => Err(MessageError::Create),
            (_, Some(command)) => Ok(self.hub.command(actor, command).await?),
            (_, None) => {
                let attributes = self.read_attributes(&capture_point, &body)?;
                let reschedule = kind == MessageKind::Reschedule;
                let how = Update { reschedule, by, ..Update::default() };
                self.update(actor, item, &capture_point, attributes, &how).await
            }
        }
    }

    fn read_body(&self, body: &Bytes) -> Result<Map<String, serde_json::Value>, PayloadError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Map::new());
        }
        match payload::parse(body, &self.limits)? {
            serde_json::Value::Object(map) => Ok(map),
            _ => Err(PayloadError::NotAnObject { what: "no object" }),
        }
    }

    /// The item and its capture point.
    async fn find(&self, target: Target) -> Result<(ItemId, Name), MessageError> {
        let found = match &target {
            Target::Item(item) => self.store.item(*item).await,
            Target::Key { capture_point, external_id } => {
                self.store.find(capture_point, external_id).await
            }
        };
        match (found.map_err(|error| unavailable(&error))?, target) {
            (Some(view), _) => Ok((view.item.id, view.item.capture_point)),
            // The hub itself says that it does not know the id, as it does for every command.
            (None, Target::Item(item)) => Ok((item, Name::default())),
            (None, Target::Key { capture_point, external_id }) => {
                Err(MessageError::Unknown { capture_point, external_id })
            }
        }
    }

    /// Reads attributes that the caller names as the config does; `null`, undeclared types and
    /// labels of priorities are as in a record.
    fn read_attributes(
        &self,
        capture_point: &str,
        body: &Map<String, serde_json::Value>,
    ) -> Result<Attributes, MessageError> {
        let given = body.iter().filter(|(_, json)| !json.is_null());
        given
            .map(|(name, json)| {
                let label = json.as_str().filter(|_| name == PRIORITY);
                let points =
                    label.and_then(|label| self.rules.priority_label(capture_point, label));
                let value = match self.spec.attribute_type(name) {
                    Some(_) if let Some(points) = points => Value::Integer(points),
                    Some(kind) => Value::from_json(json, kind)
                        .map_err(|source| MessageError::Attribute { name: name.clone(), source })?,
                    None => Value::from_untyped(json),
                };
                Ok((Name::from(name.as_str()), value))
            })
            .collect()
    }

    async fn update(
        &self,
        actor: Actor,
        item: ItemId,
        capture_point: &Name,
        attributes: Attributes,
        how: &Update,
    ) -> Result<Reply, MessageError> {
        if capture_point.is_empty() {
            return Ok(Reply::Refused(Refusal::UnknownItem { item }));
        }
        let mut reply = Reply::Refused(Refusal::UnknownItem { item });
        for _ in 0..ROUNDS_MAX {
            let point = self.point(capture_point);
            let merged = self.merge(point, item, attributes.clone(), how.clone()).await?;
            let Merged { command, document } = merged;
            let work = Work { command, key: None, document: Some(document) };
            let side = gantry_hub::Side::default();
            let submission =
                gantry_hub::Submission { actor: actor.clone(), work: vec![work], side };
            let mut replies = self.hub.submit(submission).await?;
            reply = replies.pop().expect("invariant: one reply for each command");
            if !matches!(reply, Reply::Refused(Refusal::Stale { what: "revision", .. })) {
                break;
            }
        }
        Ok(reply)
    }
}
