//! The messages in the frames: requests, replies, errors and log lines, in CBOR and in JSON.

use std::fmt::Debug;

use gantry_plugin_api::frame::{Encoding, error_to_cbor, log_from, reply_to_cbor, request_to_json};
use gantry_plugin_api::message::{
    Acknowledge, Answered, Attach, Create, Delivery, DeliveryOutcome, Drain, HttpCapture,
    HttpRequest, Opcode, Poll, Query, Stream, Validate, decode, encode,
};
use gantry_plugin_api::{Batch, ConfigFault, Error, Record, RecordOutcome};
use minicbor::{Decode, Encode};

/// The first byte says which message the others are, the second for which operation.
pub(crate) fn run(bytes: &[u8]) {
    let [which, opcode, bytes @ ..] = bytes else { return };
    let opcode = Opcode::from_code(u32::from(*opcode));
    match which % 24 {
        0 => cbor::<Batch>(bytes),
        1 => cbor::<Record>(bytes),
        2 => cbor::<RecordOutcome>(bytes),
        3 => cbor::<Vec<ConfigFault>>(bytes),
        4 => cbor::<Validate>(bytes),
        5 => cbor::<Create>(bytes),
        6 => cbor::<Attach>(bytes),
        7 => cbor::<Drain>(bytes),
        8 => cbor::<Poll>(bytes),
        9 => cbor::<Stream>(bytes),
        10 => cbor::<HttpRequest>(bytes),
        11 => cbor::<HttpCapture>(bytes),
        12 => cbor::<Acknowledge>(bytes),
        13 => cbor::<Vec<Query>>(bytes),
        14 => cbor::<Vec<Answered>>(bytes),
        15 => cbor::<Vec<Delivery>>(bytes),
        16 => cbor::<Vec<DeliveryOutcome>>(bytes),
        17 => cbor::<Error>(bytes),
        18 => drop(log_from(Encoding::Cbor, bytes)),
        19 => drop(log_from(Encoding::Json, bytes)),
        20 => is_cbor(error_to_cbor(bytes)),
        21 => drop(opcode.map(|opcode| request_to_json(opcode, bytes))),
        _ => is_cbor(opcode.map_or(Ok(Vec::new()), |opcode| reply_to_cbor(opcode, bytes))),
    }
}

/// What can be read is written and read again as the same.
fn cbor<T>(bytes: &[u8])
where
    T: for<'b> Decode<'b, ()> + Encode<()> + PartialEq + Debug,
{
    let Ok(message) = decode::<T>(bytes, "message") else { return };
    let again = decode::<T>(&encode(&message), "message");
    let again = again.expect("invariant: what was read can be written and read");
    assert!(again == message, "a message is read as it was written: {message:?}");
}

/// What is made of JSON is whole CBOR.
fn is_cbor(made: Result<Vec<u8>, Error>) {
    let Ok(made) = made else { return };
    let mut decoder = minicbor::Decoder::new(&made);
    while decoder.position() < made.len() {
        decoder.skip().expect("invariant: the hub makes CBOR");
    }
}
