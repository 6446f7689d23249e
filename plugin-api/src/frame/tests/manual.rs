//! The examples in the manual of the frames are what is really sent: each in CBOR and in JSON.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::{Encoding, Frame, Hello, Kind, LogLine, Welcome};
use crate::message::*;
use crate::{Error, ErrorClass, Manifest};

const MANUAL: &str = include_str!("../../../../docs/plugins/frames.md");

/// Collects what the manual lacks, so that one run tells all of it.
#[derive(Default)]
struct Manual {
    missing: String,
}

impl Manual {
    fn message<T>(&mut self, name: &str, message: &T)
    where
        T: Encode<()> + for<'b> Decode<'b, ()> + Serialize + DeserializeOwned + PartialEq,
    {
        let (cbor, json) = (encode(message), serde_json::to_string(message).unwrap());
        assert!(decode::<T>(&cbor, name).unwrap() == *message, "{name} in CBOR");
        assert!(serde_json::from_str::<T>(&json).unwrap() == *message, "{name} in JSON: {json}");
        self.expect(name, &json);
        self.expect(name, &hex(&cbor));
    }

    fn frame(&mut self, name: &str, frame: Frame<&[u8]>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).unwrap();
        self.expect(name, &hex(&bytes));
    }

    fn expect(&mut self, name: &str, text: &str) {
        if !MANUAL.contains(text) {
            writeln!(self.missing, "{name}\n{text}").unwrap();
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn record() -> Record {
    Record::json(r#"{"id":7}"#)
        .with_message_id("o-7")
        .with_position(Position::new("page=2").unwrap())
}

#[test]
fn its_messages_are_true() {
    let mut manual = Manual::default();
    let json = Bytes::from_static(br#"{"endpoint":"https://shop.example"}"#);
    manual.message("validate", &Validate { role: None, json: json.clone() });
    manual.message("faults", &vec![ConfigFault::new("endpoint", "must be https")]);
    manual.message("create", &Create { name: "shop".into(), config: json });
    manual.message(
        "attach",
        &Attach {
            instance: 1,
            role: RoleName::Capture,
            name: "orders".into(),
            settings: Bytes::from_static(b"{}"),
        },
    );
    let what = Suggest::new(Some(RoleName::Capture), r#"{"engine":"x"}"#, "table");
    manual.message("suggest", &what);
    manual.message("suggestions", &vec![Suggestion::text("orders").with_note("a table")]);
    manual.message("rotate", &Rotate { kept: Some(1) });
    let rotated = Rotated { number: 2, field: "refresh_token".into(), value: "t-2".into() };
    manual.message("rotated", &rotated);
    manual.message("drain", &Drain { deadline_ms: 30_000 });
    let from = Some(Position::new("page=1").unwrap());
    manual.message("poll", &Poll { from: from.clone(), limit: 100 });
    manual.message("stream", &Stream { from, credit: 256 });
    let batch = Batch { records: vec![record()], position_after: None, more: true };
    manual.message("batch", &batch);
    let outcome = RecordOutcome::of(&record(), Outcome::Refused, Some("no customer".into()));
    manual.message("acknowledge", &Acknowledge { outcomes: vec![outcome] });
    manual.message("extend", &vec![Lease::new("task-7", 600_000)]);
    let lost = Extended::Lost { reason: "another worker has it".into() };
    manual.message("extended", &vec![Extended::Kept { for_ms: 600_000 }, lost]);
    let request = HttpRequest {
        headers: vec![("content-type".into(), "application/json".into())],
        ..HttpRequest::new("POST", "/", r#"{"id":7}"#)
    };
    manual.message("http", &request);
    let records = vec![Record::json(r#"{"id":7}"#)];
    manual.message("http capture", &HttpCapture::records(records));
    manual.message("http refuse", &HttpCapture::Refuse(HttpResponse::status(401)));
    manual.message("fixed", &ResponseBody::Fixed(Bytes::from_static(b"ok")));
    manual.message("lookup", &vec![Query::new(Json::from_bytes(r#"{"id":7}"#))]);
    let answer = Answer::new(Json::from_bytes(r#"{"nps":9}"#));
    let failed = Answered::Failed(Error::transient("time-out"));
    manual.message("answers", &vec![Answered::Found(answer), Answered::Missing, failed]);
    let delivery = Delivery {
        capture_point: "orders".into(),
        occurred_at_ms: 1_700_000_000_000,
        sequence: 4,
        ..Delivery::new("shop/7/4", "completed", 7, "o-7")
    };
    manual.message("deliver", &vec![delivery]);
    let gone = Error::new(ErrorClass::Gone, "no order 7");
    let outcomes = vec![DeliveryOutcome::Done, DeliveryOutcome::Refused(gone)];
    manual.message("outcomes", &outcomes);
    let retry = Error::throttled("too many requests", Some(Duration::from_secs(2)));
    manual.message("error", &retry.because(&std::io::Error::other("HTTP 429")));
    let fields = Json::from_bytes(r#"{"page":2}"#);
    let line = LogLine { target: "shop".into(), message: "page read".into(), fields };
    manual.message("log", &line);
    assert!(manual.missing.is_empty(), "docs/plugins/frames.md lacks:\n{}", manual.missing);
}

#[test]
fn its_frames_are_true() {
    let mut manual = Manual::default();
    manual.frame("op", Frame::Op { op_id: 9, opcode: 3, target: 1, request: &[] });
    manual.frame("complete", Frame::Complete { op_id: 9, status: 0, reply: &[] });
    manual.frame("cancel", Frame::Cancel { op_id: 9 });
    manual.frame("credit", Frame::Credit { op_id: 9, n: 64 });
    manual.frame("ping", Frame::Ping { number: 2, now_ms: 1_700_000_000_000 });
    manual.frame("pong", Frame::Pong { number: 2 });
    manual.frame("shutdown", Frame::Shutdown { timeout_ms: 5_000 });
    manual.frame("goodbye", Frame::Goodbye(b""));
    let hello = Hello { pid: Some(4711), sdk: String::new(), ..Hello::new("shop", "1.2.0") };
    manual.expect("hello", &String::from_utf8(hello.to_body()).unwrap());
    let mut welcome = Welcome::new(1, Encoding::Cbor, "0.1.0");
    welcome.now_ms = 1_700_000_000_000;
    manual.expect("welcome", &String::from_utf8(welcome.to_body()).unwrap());
    assert!(manual.missing.is_empty(), "docs/plugins/frames.md lacks:\n{}", manual.missing);
}

#[test]
fn its_numbers_are_all_there() {
    let mut manual = Manual::default();
    for kind in Kind::ALL {
        manual.expect("kind", &format!("| {} | `{}` |", kind as u8, kind.name()));
    }
    for opcode in (0..64).filter_map(Opcode::from_code) {
        manual.expect("opcode", &format!("| {} | `{}` |", opcode as u32, opcode.name()));
    }
    for class in (1..=13).map(ErrorClass::from_code) {
        manual.expect("class", &format!("| {} | `{}` |", class.code(), class.name()));
    }
    assert!(manual.missing.is_empty(), "docs/plugins/frames.md lacks:\n{}", manual.missing);
}

#[test]
fn its_manifest_can_be_read() {
    let (_, example) = MANUAL.split_once("```javascript\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let manifest: Manifest = serde_json::from_str(example).unwrap();
    assert_eq!(manifest.command, ["./shop"]);
    assert_eq!(manifest.permissions.network, ["config:endpoint"]);
    assert_eq!(manifest.other, std::collections::BTreeMap::new());
}
