//! What the hub and a plug-in say to each other, as values and as bytes.
//!
//! The layer knows nothing of the transport: the same bytes cross a function call and a pipe. Each
//! message is a CBOR array with numbered places, so a later version may append places that an
//! earlier one skips, and an absent place reads as none. Payloads are byte strings that nobody
//! parses on the way. Start reading at [`Opcode`], which says what request and reply belong to
//! each operation.

mod callback;
mod capture;
mod field;
mod http;
mod json;
mod lease;
mod lifecycle;
mod lookup;
mod record;
mod rotation;
mod suggest;
#[cfg(test)]
mod tests;

pub use callback::{Delivery, DeliveryOutcome};
pub use capture::{Acknowledge, Batch, Poll, Stream};
pub use http::{HttpCapture, HttpRequest, HttpResponse, ResponseBody, ResponseTemplate};
pub use json::Json;
pub use lease::{Extended, Lease};
pub use lifecycle::{Attach, ConfigFault, Create, Drain, RoleName, Validate};
pub use lookup::{Answer, Answered, Query};
pub use record::{MessageKind, Outcome, Position, PositionTooLong, Record, RecordOutcome};
pub use rotation::{Rotate, Rotated};
pub use suggest::{Suggest, Suggestion};

use minicbor::{Decode, Encode};

use crate::error::{Error, ErrorClass};

/// What an operation does. The numbers are part of the protocol: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u32)]
pub enum Opcode {
    /// [`Validate`] → `Vec<ConfigFault>`; no target. Pure.
    Validate = 1,
    /// [`Create`] → nothing; the target is the new instance. No input or output.
    Create = 2,
    /// Nothing → nothing; target instance. Connects, changes nothing.
    Check = 3,
    /// [`Attach`] → nothing; the target is the new attachment. No input or output.
    Attach = 4,
    /// Nothing → nothing; target attachment. Connects, changes nothing.
    CheckSettings = 5,
    /// Nothing → nothing; target attachment, which is forgotten.
    Detach = 6,
    /// [`Drain`] → nothing; target instance.
    Drain = 7,
    /// Nothing → nothing; target instance.
    Stop = 8,
    /// Nothing → nothing; target instance, which is forgotten with its attachments.
    Destroy = 9,
    /// [`Suggest`] → `Vec<Suggestion>`; target instance. Connects, changes nothing.
    Suggest = 10,
    /// [`Rotate`] → [`Rotated`], as soon as the source replaces a credential; target instance. One
    /// at a time, and only of a plug-in whose manifest names what `rotates`.
    Rotate = 11,
    /// [`Poll`] → [`Batch`]; target attachment.
    Poll = 16,
    /// [`Stream`] → nothing, when the stream has ended; each [`Batch`] goes by `emit`; target
    /// attachment.
    Stream = 17,
    /// [`HttpRequest`] → [`HttpCapture`]; target attachment.
    Http = 18,
    /// [`Acknowledge`] → nothing; target attachment.
    Acknowledge = 19,
    /// `Vec<Lease>` → `Vec<Extended>`, of the same length; target attachment.
    Extend = 20,
    /// `Vec<Query>` → `Vec<Answered>`, of the same length; target attachment.
    Lookup = 32,
    /// `Vec<Delivery>` → `Vec<DeliveryOutcome>`, of the same length; target attachment.
    Deliver = 48,
}

impl Opcode {
    const ALL: [Self; 18] = [
        Self::Validate,
        Self::Create,
        Self::Check,
        Self::Attach,
        Self::CheckSettings,
        Self::Detach,
        Self::Drain,
        Self::Stop,
        Self::Destroy,
        Self::Suggest,
        Self::Rotate,
        Self::Poll,
        Self::Stream,
        Self::Http,
        Self::Acknowledge,
        Self::Extend,
        Self::Lookup,
        Self::Deliver,
    ];

    /// Reads a number from the other side; none for an operation of a later version.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|opcode| *opcode as u32 == code)
    }

    /// The word for it in logs and errors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Create => "create",
            Self::Check => "check",
            Self::Attach => "attach",
            Self::CheckSettings => "check_settings",
            Self::Detach => "detach",
            Self::Drain => "drain",
            Self::Stop => "stop",
            Self::Destroy => "destroy",
            Self::Suggest => "suggest",
            Self::Rotate => "rotate",
            Self::Poll => "poll",
            Self::Stream => "stream",
            Self::Http => "http",
            Self::Acknowledge => "acknowledge",
            Self::Extend => "extend",
            Self::Lookup => "lookup",
            Self::Deliver => "deliver",
        }
    }
}

/// Turns a message into bytes.
pub fn encode<T: Encode<()>>(message: &T) -> Vec<u8> {
    // Most control messages fit; without it a vector grows by a handful of copies.
    let mut bytes = Vec::with_capacity(128);
    encode_into(message, &mut bytes);
    bytes
}

fn encode_into<T: Encode<()>>(message: &T, bytes: &mut Vec<u8>) {
    minicbor::encode(message, bytes).expect("invariant: writing to memory cannot fail");
}

/// Reads a message; `what` names it in the error.
///
/// # Errors
/// Of class `protocol` if the bytes are no such message.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8], what: &str) -> Result<T, Error> {
    minicbor::decode(bytes).map_err(|error| {
        Error::new(ErrorClass::Protocol, format!("cannot read {what}")).because(&error)
    })
}
