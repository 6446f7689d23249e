//! Tests of the values an author works with.

use std::time::Duration;

use serde_json::json;

use crate::abi::{Buf, Header, MAGIC, Section, Version, negotiate};
use crate::message::{Batch, decode, encode};
use crate::{
    Context, Delivery, DeliveryOutcome, Emitter, Error, ErrorClass, HumanDuration, HumanMoment,
    Json, Position, Record, Secret,
};

#[test]
fn durations_are_read_and_written() {
    for (text, ms) in
        [("0s", 0), ("250ms", 250), ("30s", 30_000), ("1h30m", 5_400_000), ("2d", 172_800_000)]
    {
        let duration: HumanDuration = text.parse().unwrap();
        assert_eq!(duration.get(), Duration::from_millis(ms));
        assert_eq!(duration.to_string(), text);
    }
    assert_eq!("90m".parse::<HumanDuration>().unwrap().to_string(), "1h30m");
}

#[test]
fn what_is_no_duration_says_why() {
    for (text, why) in [
        ("", "write numbers with units"),
        ("30", "write numbers with units"),
        ("s", "write numbers with units"),
        ("30 s", "write numbers with units"),
        ("-3s", "write numbers with units"),
        ("3w", "no unit `w`"),
        ("99999999999999999999d", "too long"),
    ] {
        let error = text.parse::<HumanDuration>().unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn moments_are_days_or_have_an_offset() {
    for (text, moment) in [
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
    ] {
        assert_eq!(text.parse::<HumanMoment>().unwrap().to_string(), moment);
    }
    for text in ["", "yesterday", "2026-13-01", "2026-01-31T12:00:00"] {
        let error = text.parse::<HumanMoment>().unwrap_err().to_string();
        assert!(error.contains("write a day"), "{text}: {error}");
    }
}

#[test]
fn a_place_is_written_and_read_as_json() {
    let position = Position::of(&[1, 2]).unwrap();
    assert_eq!(position.as_bytes(), b"[1,2]");
    assert_eq!(position.parse::<Vec<u8>>("[1]").unwrap(), [1, 2]);
    let error = position.parse::<String>("TEXT").unwrap_err();
    assert_eq!(error.class(), ErrorClass::CursorExpired);
    assert!(error.message().contains("write TEXT"), "{error}");
    assert!(Position::of(&"x".repeat(Position::LEN_MAX)).is_err());
}

#[test]
fn what_a_delivery_says_itself_comes_first() {
    let mut delivery = Delivery::new("key", "completed", u64::MAX, "4711");
    delivery.occurred_at_ms = 1_769_860_800_000;
    delivery.details = Json::of(&json!({ "agent": "eve", "event": "forged" })).unwrap();
    delivery.attributes = Json::of(&json!({ "agent": "bob", "city": "Ulm" })).unwrap();
    let values = delivery.values().unwrap();
    let said = ["event", "agent", "city", "item_id", "occurred_at"].map(|name| &values[name]);
    let expected = ["completed", "eve", "Ulm", "18446744073709551615", "2026-01-31T12:00:00Z"];
    assert_eq!(said, expected);
}

#[test]
fn a_delivery_is_refused_only_for_good() {
    for (error, is_refused) in [
        (Error::permanent("no"), true),
        (Error::gone("no"), true),
        (Error::conflict("no"), true),
        (Error::transient("no"), false),
        (Error::throttled("no", None), false),
        (Error::config("key", "no"), false),
    ] {
        let outcome = DeliveryOutcome::from(error);
        assert_eq!(matches!(outcome, DeliveryOutcome::Refused(_)), is_refused, "{outcome:?}");
    }
}

#[test]
fn a_secret_shows_only_where_it_is_asked_for() {
    #[derive(schemars::JsonSchema)]
    struct Config {
        #[expect(dead_code, reason = "only its schema matters")]
        password: Option<Secret<String>>,
    }
    let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
    assert_eq!(secret.expose(), "hunter2");
    assert_eq!(format!("{secret:?} {:?}", secret.clone()), "*** ***");
    assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");

    let schema = schemars::schema_for!(Config);
    assert_eq!(schema.pointer("/properties/password/x-gantry-secret"), Some(&true.into()));
}

#[test]
fn error_classes_keep_their_numbers() {
    let codes = [(1, ErrorClass::AuthExpired), (9, ErrorClass::Config), (13, ErrorClass::Protocol)];
    for (code, class) in codes {
        assert_eq!((class.code(), ErrorClass::from_code(code)), (code, class));
    }
    assert_eq!(ErrorClass::from_code(14), ErrorClass::Permanent, "of a later version");
    assert_eq!(ErrorClass::from_code(0), ErrorClass::Permanent);
}

#[test]
fn an_error_keeps_its_chain_on_the_way() {
    let inner = Error::permanent("inner").because(&std::io::Error::other("innermost"));
    let error = Error::config("tls.ca", "outer").because(&inner);
    let there: Error = decode(&encode(&error), "error").unwrap();
    assert_eq!(there, error);
    let chain = std::iter::successors(std::error::Error::source(&there), |error| error.source());
    assert_eq!(chain.map(ToString::to_string).collect::<Vec<_>>(), ["inner", "innermost"]);
    assert_eq!((there.class(), there.field()), (ErrorClass::Config, Some("tls.ca")));

    let quiet = there.map_text(|text| text.replace("inner", "***"));
    let source = std::error::Error::source(&quiet).unwrap().to_string();
    assert_eq!((quiet.message(), source.as_str()), ("outer", "***"));
}

#[test]
fn a_chain_without_end_is_cut_and_a_longer_one_refused() {
    let mut error = Error::permanent("0");
    for depth in 1..40 {
        error = Error::permanent(depth.to_string()).because(&error);
    }
    let chain = std::iter::successors(std::error::Error::source(&error), |error| error.source());
    assert_eq!(chain.count(), 16);

    let mut bytes = Vec::new();
    let mut e = minicbor::Encoder::new(&mut bytes);
    e.array(5).unwrap().u32(8).unwrap().str("x").unwrap().null().unwrap().null().unwrap();
    e.array(17).unwrap();
    for _ in 0..17 {
        e.str("cause").unwrap();
    }
    assert_eq!(decode::<Error>(&bytes, "error").unwrap_err().class(), ErrorClass::Protocol);
}

#[tokio::test]
async fn a_batch_goes_in_parts_as_far_as_there_is_credit() {
    let (out, mut receiver) = Emitter::standalone(5);
    let records: Vec<_> = (0..4).map(|n| Record::json(n.to_string())).collect();
    let position_after = Some(Position::new("4").unwrap());
    out.emit(Batch { records: records.clone(), position_after, more: false }).await.unwrap();
    let whole = receiver.try_recv().unwrap();
    assert_eq!((whole.records.len(), whole.more), (4, false));

    // One credit is left for four records: the rest has to wait.
    let batch = Batch { records, ..Batch::default() };
    let waiting = tokio::time::timeout(Duration::ZERO, out.emit(batch)).await;
    assert!(waiting.is_err());
    let part = receiver.try_recv().unwrap();
    assert_eq!((part.records.len(), part.more, part.position_after), (1, true, None));
    assert!(receiver.try_recv().is_err());
}

#[tokio::test]
async fn an_emitter_nobody_listens_to_says_so() {
    let (out, receiver) = Emitter::standalone(1);
    drop(receiver);
    assert_eq!(out.emit(Batch::default()).await.unwrap_err().class(), ErrorClass::Canceled);
}

#[test]
fn a_standalone_context_stands_still() {
    let cx = Context::standalone("crm", 42).named("leads");
    assert_eq!((cx.instance(), cx.name(), cx.now_ms()), ("crm", "leads", 42));
    assert!(!cx.is_draining());
}

#[test]
fn the_highest_common_version_is_spoken() {
    let v = Version::new;
    for (host, plugin, spoken) in [
        ((v(1, 0), v(1, 0)), (v(1, 0), v(1, 0)), Some(v(1, 0))),
        ((v(1, 0), v(1, 4)), (v(1, 2), v(1, 9)), Some(v(1, 4))),
        ((v(1, 0), v(1, 4)), (v(1, 5), v(1, 9)), None),
        ((v(2, 0), v(2, 1)), (v(1, 0), v(1, 9)), None),
        ((v(1, 0), v(2, 1)), (v(1, 0), v(1, 9)), Some(v(1, 9))),
    ] {
        assert_eq!(negotiate(host, plugin), spoken, "{host:?} {plugin:?}");
    }
}

#[test]
#[allow(unsafe_code, reason = "reads a buffer as the other side would")]
fn a_buffer_and_a_section_hold_what_they_were_given() {
    let buf = Buf::from_vec(b"bytes".to_vec());
    // SAFETY: made right here.
    assert_eq!(unsafe { buf.as_bytes() }, b"bytes");
    let empty = Buf::EMPTY;
    // SAFETY: an empty one needs nothing.
    assert_eq!(unsafe { empty.as_bytes() }, b"");

    let section = Section::<2>::new("{}", true);
    assert_eq!(section.header.manifest_len, 2);
    assert_eq!(section.header, Header::new(2, true));
    let mut bytes = MAGIC.to_vec();
    bytes.extend([48, 1 << 16, 1 << 16, 1].into_iter().flat_map(u32::to_ne_bytes));
    bytes.extend([0, 0, 2].into_iter().flat_map(u64::to_ne_bytes));
    assert_eq!(Header::read(&bytes), Some(section.header));
    assert_eq!(Header::read(&bytes[..47]), None);
}
