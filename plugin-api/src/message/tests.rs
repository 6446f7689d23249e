//! Tests of the messages: what goes in comes out, of older and newer peers too, and nothing panics.

use std::fmt::Debug;

use bytes::Bytes;
use minicbor::{Decode, Encode, Encoder};

use super::*;

#[track_caller]
fn round_trip<T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + Debug>(message: T) {
    let bytes = encode(&message);
    assert_eq!(decode::<T>(&bytes, "message").unwrap(), message);
    // Whatever is cut off or damaged is an error or another message, never a panic.
    for at in 0..bytes.len() {
        let _ = decode::<T>(&bytes[..at], "message");
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let _ = decode::<T>(&damaged, "message");
    }
}

fn record() -> Record {
    Record {
        payload: Bytes::from_static(b"\x00\xff payload"),
        content_type: "text/csv".into(),
        message_id: Some("m-1".into()),
        version: Some("7".into()),
        position: Some(Position::new("p").unwrap()),
        partition: Some("3".into()),
        message: Some(MessageKind::Cancel),
        ack_token: Some(Bytes::from_static(b"\x01")),
        occurred_at_ms: Some(-1),
        traceparent: Some("00-…".into()),
        unreadable: Some("line 7".into()),
        lease: Some(Lease::new("task-7", 600_000)),
    }
}

#[test]
fn every_message_survives_the_way() {
    let (full, plain) = (record(), Record::json("{}"));
    let error = Error::throttled("slow down", Some(std::time::Duration::from_secs(7)));
    round_trip(Batch {
        records: vec![full.clone(), plain.clone()],
        position_after: Some(Position::new("q").unwrap()),
        more: true,
    });
    round_trip(Poll { from: None, limit: 50 });
    round_trip(Stream { from: Some(Position::new("").unwrap()), credit: 1 });
    let outcomes = [Outcome::Accepted, Outcome::Filtered, Outcome::Refused, Outcome::Retry];
    let outcomes = outcomes.map(|outcome| RecordOutcome::of(&full, outcome, Some("why".into())));
    round_trip(Acknowledge { outcomes: outcomes.to_vec() });
    round_trip(HttpRequest {
        headers: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
        remote: Some("192.0.2.1".into()),
        ..HttpRequest::new("POST", "/", "body")
    });
    round_trip(HttpCapture::records(vec![full, plain]));
    round_trip(HttpCapture::Refuse(HttpResponse::problem(401, "bad signature")));
    round_trip(vec![Query::new(Json::default())]);
    let answer = Answer::new(Json::from_bytes("{\"nps\":9}"));
    round_trip(vec![Answered::Found(answer), Answered::Missing, Answered::Failed(error.clone())]);
    round_trip(vec![Delivery::new("s/1/2", "completed", u64::MAX, "A-1")]);
    round_trip(vec![
        DeliveryOutcome::Done,
        DeliveryOutcome::AlreadyDone,
        DeliveryOutcome::Retry(error.clone()),
        DeliveryOutcome::Refused(error),
    ]);
    round_trip(Suggest::new(Some(RoleName::Capture), "{}", "table"));
    round_trip(vec![Suggestion::text("crm.leads").with_note("a table")]);
    round_trip(Rotate { kept: Some(1) });
    round_trip(Rotated { number: 1, field: "auth.token".into(), value: "t-2".into() });
    round_trip(vec![Lease::new("task-7", 600_000)]);
    round_trip(vec![
        Extended::Kept { for_ms: u64::MAX },
        Extended::Lost { reason: "another worker has it".into() },
        Extended::Failed(Error::transient("time-out")),
    ]);
    round_trip(vec![ConfigFault::new("a.b", "is wrong")]);
    round_trip(Validate { role: Some(RoleName::Callback), json: Bytes::from_static(b"{}") });
    round_trip(Create { name: "crm".into(), config: Bytes::from_static(b"{}") });
    let settings = Bytes::from_static(b"{}");
    round_trip(Attach { instance: 1, role: RoleName::Capture, name: "leads".into(), settings });
    round_trip(Drain { deadline_ms: 30_000 });
}

#[test]
fn places_may_be_added_at_the_end() {
    // A peer of a later version says more than we know …
    let mut newer = Vec::new();
    let mut e = Encoder::new(&mut newer);
    e.array(4).unwrap().null().unwrap().u32(50).unwrap().str("later").unwrap();
    e.map(1).unwrap().str("a").unwrap().array(2).unwrap().u8(1).unwrap().u8(2).unwrap();
    assert_eq!(decode::<Poll>(&newer, "poll").unwrap(), Poll { from: None, limit: 50 });

    // … and one of an earlier version less: what may be absent is.
    let mut older = Vec::new();
    let mut e = Encoder::new(&mut older);
    e.array(2).unwrap().bytes(b"{}").unwrap().str("application/json").unwrap();
    assert_eq!(decode::<Record>(&older, "record").unwrap(), Record::json("{}"));
}

#[test]
fn an_outcome_nobody_knows_is_no_outcome() {
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes).u32(4).unwrap();
    let error = decode::<Outcome>(&bytes, "outcome").unwrap_err();
    assert_eq!((error.class(), error.message()), (ErrorClass::Protocol, "cannot read outcome"));
}

#[test]
fn a_position_is_no_store() {
    assert_eq!(Position::new(vec![0; 4097]), Err(PositionTooLong(4097)));
    let longest = Position::new(vec![0; 4096]).unwrap();
    assert_eq!(longest.as_bytes().len(), 4096);
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes).bytes(&[0; 4097]).unwrap();
    decode::<Position>(&bytes, "position").unwrap_err();
}

#[test]
fn opcodes_keep_their_numbers() {
    let numbers: Vec<_> = Opcode::ALL.into_iter().map(|opcode| opcode as u32).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 32, 48]);
    for opcode in Opcode::ALL {
        assert_eq!(Opcode::from_code(opcode as u32), Some(opcode));
    }
    assert_eq!(Opcode::from_code(0), None);
}

#[test]
fn json_names_the_place_of_a_mistake() {
    #[derive(Debug, serde::Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "only its type matters")]
        inner: Vec<u8>,
    }
    let error = Json::from_bytes(r#"{"inner": [1, "x"]}"#).parse::<Outer>().unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("inner[1]: invalid type: string"), "{source}");
}
