//! Tests of the frames: what goes in comes out however it is cut, nothing panics, each mistake is
//! named, and the manual shows what is really sent.

mod manual;

use proptest::prelude::*;

use super::*;

type Owned = Frame<Vec<u8>>;

fn frames() -> impl Strategy<Value = Owned> {
    let body = || prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        body().prop_map(Frame::Hello),
        body().prop_map(Frame::Welcome),
        (any::<u64>(), any::<u16>(), any::<u64>(), body()).prop_map(
            |(op_id, opcode, target, request)| Frame::Op { op_id, opcode, target, request }
        ),
        (any::<u64>(), any::<u16>(), body()).prop_map(|(op_id, status, reply)| Frame::Complete {
            op_id,
            status,
            reply
        }),
        any::<u64>().prop_map(|op_id| Frame::Cancel { op_id }),
        (any::<u64>(), body()).prop_map(|(op_id, batch)| Frame::Emit { op_id, batch }),
        (any::<u64>(), any::<u32>()).prop_map(|(op_id, n)| Frame::Credit { op_id, n }),
        (1_u16..=5, any::<u64>(), body()).prop_map(|(level, about, line)| Frame::Log {
            level,
            about,
            line
        }),
        (any::<u64>(), any::<i64>()).prop_map(|(number, now_ms)| Frame::Ping { number, now_ms }),
        any::<u64>().prop_map(|number| Frame::Pong { number }),
        any::<u32>().prop_map(|timeout_ms| Frame::Shutdown { timeout_ms }),
        body().prop_map(Frame::Goodbye),
    ]
}

fn owned(frame: Frame<&[u8]>) -> Owned {
    let vec = <[u8]>::to_vec;
    match frame {
        Frame::Hello(body) => Frame::Hello(vec(body)),
        Frame::Welcome(body) => Frame::Welcome(vec(body)),
        Frame::Op { op_id, opcode, target, request } => {
            Frame::Op { op_id, opcode, target, request: vec(request) }
        }
        Frame::Complete { op_id, status, reply } => {
            Frame::Complete { op_id, status, reply: vec(reply) }
        }
        Frame::Cancel { op_id } => Frame::Cancel { op_id },
        Frame::Emit { op_id, batch } => Frame::Emit { op_id, batch: vec(batch) },
        Frame::Credit { op_id, n } => Frame::Credit { op_id, n },
        Frame::Log { level, about, line } => Frame::Log { level, about, line: vec(line) },
        Frame::Ping { number, now_ms } => Frame::Ping { number, now_ms },
        Frame::Pong { number } => Frame::Pong { number },
        Frame::Shutdown { timeout_ms } => Frame::Shutdown { timeout_ms },
        Frame::Goodbye(reason) => Frame::Goodbye(vec(reason)),
    }
}

/// All frames of some bytes that arrive in pieces of the given lengths, in turn.
fn read(bytes: &[u8], pieces: &[usize]) -> Result<Vec<Owned>, FrameError> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    let mut rest = bytes;
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let room = decoder.room();
        let n = rest.len().min(*pieces.next().unwrap()).min(room.capacity() - room.len());
        room.extend_from_slice(&rest[..n]);
        rest = &rest[n..];
        while let Some(frame) = decoder.next()? {
            frames.push(owned(frame));
        }
    }
    assert!(!decoder.is_amid());
    Ok(frames)
}

proptest! {
    #[test]
    fn what_is_sent_arrives_however_it_is_cut(
        sent in prop::collection::vec(frames(), 0..20),
        pieces in prop::collection::vec(1_usize..500, 1..5),
    ) {
        let mut bytes = Vec::new();
        for frame in &sent {
            frame.encode(&mut bytes).unwrap();
        }
        prop_assert_eq!(read(&bytes, &pieces).unwrap(), sent);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(Some((frame, len))) = decode(&bytes) {
            let mut again = Vec::new();
            frame.encode(&mut again).unwrap();
            prop_assert_eq!(&again[..], &bytes[..len]);
        }
    }

    #[test]
    fn a_damaged_frame_is_a_frame_or_an_error(
        frame in frames(),
        at in 0_usize..16,
        value in any::<u8>(),
    ) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).unwrap();
        bytes[at] = value;
        if let Ok(Some((_, len))) = decode(&bytes) {
            prop_assert!(len <= bytes.len());
        }
    }

    #[test]
    fn no_json_makes_it_panic(json in "\\PC{0,80}") {
        for opcode in 0..64 {
            if let Some(opcode) = crate::message::Opcode::from_code(opcode) {
                let _ = reply_to_cbor(opcode, json.as_bytes());
                let _ = request_to_json(opcode, json.as_bytes());
            }
        }
        let _ = error_to_cbor(json.as_bytes());
        let _ = Hello::read(json.as_bytes());
    }
}

fn header(len: u32, kind: u8, flags: u8, code: u16, number: u64) -> Vec<u8> {
    let mut bytes = len.to_le_bytes().to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(code.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes
}

#[test]
fn each_mistake_is_named_before_its_body_came() {
    #[track_caller]
    fn check(header: Vec<u8>, expected: &str) {
        assert_eq!(decode(&header).unwrap_err().to_string(), expected);
    }
    check(header(0, 13, 0, 0, 0), "cannot read a frame of kind 13: there is no such kind");
    check(header(0, 0, 0, 0, 0), "cannot read a frame of kind 0: there is no such kind");
    check(
        header(16_777_217, 4, 0, 0, 1),
        "cannot take a frame `complete` of 16777217 bytes: at most 16777216",
    );
    check(
        header(0, 4, 0x80, 0, 1),
        "cannot read a frame `complete` with flags 0x80: no flag is known",
    );
    check(header(0, 10, 0, 7, 1), "cannot read a frame `pong` with code 7: it must be 0");
    check(header(0, 12, 0, 0, 9), "cannot read a frame `goodbye` with number 9: it must be 0");
    check(header(0, 8, 0, 6, 0), "cannot read a frame `log` with level 6: 1 (error) to 5 (trace)");
    check(
        header(7, 3, 0, 6, 1),
        "cannot read a frame `op` with a body of 7 bytes: it has at least 8",
    );
    check(header(5, 7, 0, 0, 1), "cannot read a frame `credit` with a body of 5 bytes: it has 4");
    check(header(1, 5, 0, 0, 1), "cannot read a frame `cancel` with a body of 1 bytes: it has 0");
}

#[test]
fn a_frame_may_be_as_long_as_allowed_and_no_longer() {
    let body = vec![7; BODY_MAX];
    let mut bytes = Vec::new();
    Frame::Goodbye(&body).encode(&mut bytes).unwrap();
    assert_eq!(read(&bytes, &[1 << 20]).unwrap(), [Frame::Goodbye(body.clone())]);

    let op = Frame::Op { op_id: 1, opcode: 2, target: 3, request: &body };
    let mut bytes = Vec::new();
    let error = op.encode(&mut bytes).unwrap_err();
    assert_eq!(error, FrameError::TooLong { kind: "op", len: BODY_MAX as u64 + 8 });
    assert!(bytes.is_empty());
}

#[test]
fn the_greeting_agrees_on_the_highest_version_and_the_first_known_encoding() {
    let hello = |protocol: &str, encodings: &str| {
        let json = format!(
            r#"{{"protocol": {protocol}, "encodings": {encodings}, "name": "a", "version": "1",
                "later": true}}"#
        );
        let read = Hello::read(json.as_bytes());
        read.map(|(_, version, encoding)| (version, encoding)).map_err(|error| error.to_string())
    };
    assert_eq!(hello("[1, 1]", r#"["cbor"]"#), Ok((1, Encoding::Cbor)));
    assert_eq!(hello("[0, 7]", r#"["msgpack", "json", "cbor"]"#), Ok((1, Encoding::Json)));
    assert_eq!(
        hello("[2, 3]", r#"["cbor"]"#).unwrap_err(),
        "cannot talk to the plug-in: it speaks protocol 2 to 3, the hub 1 to 1",
    );
    assert_eq!(
        hello("[1, 1]", r#"["xml"]"#).unwrap_err(),
        "cannot talk to the plug-in: it takes xml, the hub gives cbor or json",
    );
    assert_eq!(hello("1", "[]").unwrap_err(), "cannot read the plug-in's hello");

    let sent = Hello::new("shop", "1.2.0");
    let (read, version, encoding) = Hello::read(&sent.to_body()).unwrap();
    assert_eq!((read, version, encoding), (sent, 1, Encoding::Cbor));
    let welcome = Welcome::new(1, Encoding::Json, "0.1.0");
    assert_eq!(Welcome::read(&welcome.to_body()).unwrap(), welcome);
}

#[test]
fn json_says_where_it_is_wrong() {
    use crate::message::Opcode;

    let json = br#"{"records": [{"payload": "a"}, {"payload": 7}]}"#;
    let error = reply_to_cbor(Opcode::Poll, json).unwrap_err();
    assert_eq!(error.message(), "cannot read batch");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("records[1].payload: invalid type: integer `7`"), "{source}");
}

#[test]
fn bytes_stand_in_json_as_text_as_base64_or_as_the_value_they_are() {
    use crate::message::{Batch, Opcode, decode};

    let json = br#"{"records": [{"payload": "a\u00e4"}, {"payload": {"base64": "AP8="}},
        {"payload": {"json": {"b":  [1]}}, "ack_token": "t", "position": {"base64": "/w=="}}]}"#;
    let batch: Batch = decode(&reply_to_cbor(Opcode::Poll, json).unwrap(), "batch").unwrap();
    let payloads: Vec<_> = batch.records.iter().map(|record| &record.payload[..]).collect();
    assert_eq!(payloads, ["aä".as_bytes(), b"\x00\xff", br#"{"b":  [1]}"#]);
    assert_eq!(batch.records[2].ack_token.as_deref(), Some(&b"t"[..]));
    assert_eq!(batch.records[2].position.as_ref().unwrap().as_bytes(), b"\xff");
}
