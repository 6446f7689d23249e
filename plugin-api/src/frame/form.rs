//! The JSON form of the messages: what the hub says in CBOR, in JSON for a plug-in that asked for
//! it, and back. The fields have the names of the structs in [`crate::message`].

use minicbor::Decode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Encoding, LogLine};
use crate::error::{Error, ErrorClass};
use crate::message::{
    Acknowledge, Answered, Attach, Batch, ConfigFault, Create, Delivery, DeliveryOutcome, Drain,
    Extended, HttpCapture, HttpRequest, Lease, Opcode, Poll, Query, Rotate, Rotated, Stream,
    Suggest, Suggestion, Validate, decode, encode,
};

/// Turns a request of an operation from CBOR into JSON.
///
/// # Errors
/// Of class `protocol` if the bytes are no such request, or what should be JSON in it is not.
pub fn request_to_json(opcode: Opcode, cbor: &[u8]) -> Result<Vec<u8>, Error> {
    match opcode {
        Opcode::Validate => to_json::<Validate>(cbor),
        Opcode::Create => to_json::<Create>(cbor),
        Opcode::Attach => to_json::<Attach>(cbor),
        Opcode::Suggest => to_json::<Suggest>(cbor),
        Opcode::Rotate => to_json::<Rotate>(cbor),
        Opcode::Drain => to_json::<Drain>(cbor),
        Opcode::Poll => to_json::<Poll>(cbor),
        Opcode::Stream => to_json::<Stream>(cbor),
        Opcode::Http => to_json::<HttpRequest>(cbor),
        Opcode::Acknowledge => to_json::<Acknowledge>(cbor),
        Opcode::Extend => to_json::<Vec<Lease>>(cbor),
        Opcode::Lookup => to_json::<Vec<Query>>(cbor),
        Opcode::Deliver => to_json::<Vec<Delivery>>(cbor),
        Opcode::Check | Opcode::CheckSettings | Opcode::Detach | Opcode::Stop | Opcode::Destroy => {
            Ok(Vec::new())
        }
    }
}

/// Turns a reply of an operation from JSON into CBOR; that of a stream is one of its batches. An
/// operation without a reply gives none, whatever stands there.
///
/// # Errors
/// Of class `protocol`, with the place, if the bytes are no such reply.
pub fn reply_to_cbor(opcode: Opcode, json: &[u8]) -> Result<Vec<u8>, Error> {
    match opcode {
        Opcode::Validate => to_cbor::<Vec<ConfigFault>>(json, "faults"),
        Opcode::Suggest => to_cbor::<Vec<Suggestion>>(json, "suggestions"),
        Opcode::Rotate => to_cbor::<Rotated>(json, "rotated credential"),
        Opcode::Poll | Opcode::Stream => to_cbor::<Batch>(json, "batch"),
        Opcode::Http => to_cbor::<HttpCapture>(json, "http capture"),
        Opcode::Extend => to_cbor::<Vec<Extended>>(json, "extended leases"),
        Opcode::Lookup => to_cbor::<Vec<Answered>>(json, "answers"),
        Opcode::Deliver => to_cbor::<Vec<DeliveryOutcome>>(json, "outcomes"),
        Opcode::Create
        | Opcode::Check
        | Opcode::Attach
        | Opcode::CheckSettings
        | Opcode::Detach
        | Opcode::Drain
        | Opcode::Stop
        | Opcode::Destroy
        | Opcode::Acknowledge => Ok(Vec::new()),
    }
}

/// Turns an error from JSON into CBOR.
///
/// # Errors
/// Of class `protocol`, with the place, if the bytes are no error.
pub fn error_to_cbor(json: &[u8]) -> Result<Vec<u8>, Error> {
    to_cbor::<Error>(json, "error")
}

/// Reads a log line.
///
/// # Errors
/// Of class `protocol` if the bytes are none.
pub fn log_from(encoding: Encoding, bytes: &[u8]) -> Result<LogLine, Error> {
    match encoding {
        Encoding::Cbor => decode(bytes, "log line"),
        Encoding::Json => from_json(bytes, "log line"),
    }
}

fn to_json<'b, T: Decode<'b, ()> + Serialize>(cbor: &'b [u8]) -> Result<Vec<u8>, Error> {
    let message: T = decode(cbor, "request")?;
    serde_json::to_vec(&message).map_err(|error| {
        Error::new(ErrorClass::Protocol, "cannot write a request as JSON").because(&error)
    })
}

fn to_cbor<T: minicbor::Encode<()> + DeserializeOwned>(
    json: &[u8],
    what: &str,
) -> Result<Vec<u8>, Error> {
    from_json::<T>(json, what).map(|message| encode(&message))
}

fn from_json<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<T, Error> {
    // Keeping track of the path costs more than parsing, so it is done only where it is needed.
    serde_json::from_slice(json).or_else(|_| {
        let reader = &mut serde_json::Deserializer::from_slice(json);
        serde_path_to_error::deserialize(reader).map_err(|error| {
            Error::new(ErrorClass::Protocol, format!("cannot read {what}")).because(&error)
        })
    })
}
