//! Requests as senders make them, against what the hub gets to see.

mod callback;
mod cloudevents;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_plugin_api::{
    Capture, Context, HttpCapture, HttpRequest, HttpResponse, Record, ResponseBody,
};
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use sha2::Sha256;

use crate::Webhook;
use crate::config::Settings;

/// A vector that the scheme itself publishes.
const PUBLISHED: Vector = Vector {
    secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
    timestamp: 1_649_367_553,
    body: r#"{"email":"test@example.com","username":"test_user"}"#,
    signature: "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
};

/// A vector of our own, with the key 01 02 … 18 (hexadecimal).
const OURS: Vector = Vector {
    secret: "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY",
    id: "msg_hub0001",
    timestamp: 1_767_323_045,
    body: concat!(
        r#"{"type":"item.completed","timestamp":"2026-01-02T03:04:05Z","#,
        r#""data":{"id":"W-1"}}"#
    ),
    signature: "v1,amWzJGusSs4qJtMUFii3pQ6ILz4wKFh1fAN8YXagW4k=",
};

const TOKEN: &str = "3f1c9be2-token-of-the-shop";

#[derive(Clone, Copy)]
struct Vector {
    secret: &'static str,
    id: &'static str,
    timestamp: i64,
    body: &'static str,
    signature: &'static str,
}

impl Vector {
    fn request(self) -> HttpRequest {
        let mut request = HttpRequest::new("POST", "/", self.body);
        request.headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("webhook-id".to_owned(), self.id.to_owned()),
            ("webhook-timestamp".to_owned(), self.timestamp.to_string()),
            ("webhook-signature".to_owned(), self.signature.to_owned()),
        ];
        request
    }

    fn send(self, edit: impl FnOnce(&mut HttpRequest)) -> HttpCapture {
        let mut request = self.request();
        edit(&mut request);
        http(&signed_by(&[self.secret]), self.timestamp, request)
    }
}

fn settings(json: serde_json::Value) -> Settings {
    serde_json::from_value(json).unwrap()
}

fn signed_by(secrets: &[&str]) -> Settings {
    settings(serde_json::json!({ "auth": { "standard_webhooks": { "secrets": secrets } } }))
}

fn with_token(records: Option<&str>) -> Settings {
    let auth = serde_json::json!({ "bearer": { "tokens": ["another-token-in-force", TOKEN] } });
    settings(serde_json::json!({ "auth": auth, "records": records, "max_body_bytes": 1_000_000 }))
}

fn http(settings: &Settings, now_s: i64, request: HttpRequest) -> HttpCapture {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let cx = Context::standalone("carts", now_s * 1_000);
    runtime.block_on(Webhook { receiver: None }.http(settings, &cx, request)).unwrap()
}

fn set(request: &mut HttpRequest, name: &str, value: &str) {
    request.headers.retain(|(key, _)| key != name);
    request.headers.push((name.to_owned(), value.to_owned()));
}

/// A request with the token.
fn post(body: impl Into<Vec<u8>>) -> HttpRequest {
    let mut request = HttpRequest::new("POST", "/", body.into());
    set(&mut request, "authorization", &format!("Bearer {TOKEN}"));
    set(&mut request, "content-type", "application/json; charset=utf-8");
    request
}

fn records(capture: HttpCapture) -> Vec<Record> {
    match capture {
        HttpCapture::Capture { records, .. } => records,
        other => panic!("refused: {other:?}"),
    }
}

fn refusal(capture: HttpCapture) -> HttpResponse {
    match capture {
        HttpCapture::Refuse(answer) => answer,
        other => panic!("let in: {other:?}"),
    }
}

fn check_refused(capture: HttpCapture, status: u16, title: &str) {
    let answer = refusal(capture);
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body, serde_json::json!({ "status": status, "title": title }));
    assert_eq!(answer.status, status);
    let problem = ("content-type".to_owned(), "application/problem+json".to_owned());
    assert!(answer.headers.contains(&problem));
}

fn check_unauthorized(capture: HttpCapture) {
    check_refused(capture, 401, "not authorized");
}

fn payloads(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| std::str::from_utf8(&record.payload).unwrap()).collect()
}

#[test]
fn known_signatures_are_let_in() {
    for vector in [PUBLISHED, OURS] {
        let HttpCapture::Capture { records, response } = vector.send(|_| ()) else {
            panic!("refused")
        };
        assert_eq!(payloads(&records), [vector.body]);
        assert_eq!(records[0].message_id.as_deref(), Some(vector.id));
        assert_eq!(records[0].content_type, "application/json");
        assert_eq!((response.status, response.status_refused), (202, 202));
        assert_eq!(response.body, ResponseBody::Outcomes);
    }
}

#[test]
fn whatever_is_changed_is_not_let_in() {
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        check_unauthorized(OURS.send(|r| r.headers.retain(|(key, _)| key != name)));
        check_unauthorized(OURS.send(|r| {
            let (_, value) = r.headers.iter().find(|(key, _)| key == name).unwrap().clone();
            r.headers.push((name.to_owned(), value));
        }));
        check_unauthorized(OURS.send(|r| set(r, name, "")));
    }
    check_unauthorized(OURS.send(|r| r.body = r.body.slice(..r.body.len() - 1)));
    check_unauthorized(OURS.send(|r| set(r, "webhook-id", "msg_hub0002")));
    check_unauthorized(OURS.send(|r| set(r, "webhook-timestamp", "1767323046")));
    check_unauthorized(OURS.send(|r| set(r, "webhook-timestamp", "+1767323045")));
    check_unauthorized(OURS.send(|r| set(r, "webhook-timestamp", "99999999999999999999")));
    for signature in [
        PUBLISHED.signature,
        // Without padding, in other spelling of the same bits, with another tag, without one.
        OURS.signature.trim_end_matches('='),
        "v1,amWzJGusSs4qJtMUFii3pQ6ILz4wKFh1fAN8YXagW4l=",
        "v1a,amWzJGusSs4qJtMUFii3pQ6ILz4wKFh1fAN8YXagW4k=",
        "amWzJGusSs4qJtMUFii3pQ6ILz4wKFh1fAN8YXagW4k=",
        "v1,",
    ] {
        check_unauthorized(OURS.send(|r| set(r, "webhook-signature", signature)));
    }
    check_unauthorized(http(&signed_by(&[PUBLISHED.secret]), OURS.timestamp, OURS.request()));
}

#[test]
fn the_same_bytes_split_in_another_way_are_not_let_in() {
    // Signed is `a.1.2.{}`, which another id and another time would give as well.
    let key = STANDARD.decode(OURS.secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update("a.1.2.{}").finalize();
    let signature = format!("v1,{}", STANDARD.encode(mac.into_bytes()));
    let mut request = OURS.request();
    set(&mut request, "webhook-id", "a.1");
    set(&mut request, "webhook-timestamp", "2");
    set(&mut request, "webhook-signature", &signature);
    request.body = "{}".into();
    check_unauthorized(http(&signed_by(&[OURS.secret]), 2, request));
}

#[test]
fn the_clocks_may_be_five_minutes_apart() {
    let at = |now_s: i64| http(&signed_by(&[OURS.secret]), now_s, OURS.request());
    assert_eq!(records(at(OURS.timestamp + 300)).len(), 1);
    assert_eq!(records(at(OURS.timestamp - 300)).len(), 1);
    check_unauthorized(at(OURS.timestamp + 301));
    check_unauthorized(at(OURS.timestamp - 301));

    let mut wider = signed_by(&[OURS.secret]);
    if let crate::config::Auth::StandardWebhooks(auth) = &mut wider.auth {
        auth.tolerance = "10m".parse().unwrap();
    }
    assert_eq!(records(http(&wider, OURS.timestamp + 301, OURS.request())).len(), 1);
}

#[test]
fn keys_are_changed_without_a_gap() {
    // The hub has both keys, or the sender signs with both.
    let both = signed_by(&[PUBLISHED.secret, OURS.secret]);
    assert_eq!(records(http(&both, OURS.timestamp, OURS.request())).len(), 1);
    let signatures = format!("{} v2,x {}", PUBLISHED.signature, OURS.signature);
    let capture = OURS.send(|r| set(r, "webhook-signature", &signatures));
    assert_eq!(records(capture).len(), 1);
}

#[test]
fn header_names_are_read_in_any_case() {
    let capture = OURS.send(|r| {
        for (name, _) in &mut r.headers {
            if name.starts_with("webhook") {
                *name = name.to_uppercase();
            }
        }
    });
    assert_eq!(records(capture).len(), 1);
}

#[test]
fn only_a_token_in_force_is_let_in() {
    let settings = with_token(None);
    let send = |authorization: &str| {
        let mut request = post("{}");
        set(&mut request, "authorization", authorization);
        http(&settings, 0, request)
    };
    for let_in in [format!("Bearer {TOKEN}"), "bearer  another-token-in-force ".to_owned()] {
        assert_eq!(records(send(&let_in)).len(), 1, "{let_in}");
    }
    for refused in ["", "Bearer", "Bearer ", "Basic eDp5", &TOKEN[..9], &format!("Bearer {TOKEN}x")]
    {
        check_unauthorized(send(refused));
    }
    let mut request = post("{}");
    request.headers.retain(|(name, _)| name != "authorization");
    let answer = refusal(http(&settings, 0, request));
    assert!(answer.headers.contains(&("www-authenticate".to_owned(), "Bearer".to_owned())));
}

#[test]
fn a_body_is_one_record_or_many() {
    let mut request = post(r#" {"id": 1, "tags": []} "#);
    set(&mut request, "webhook-id", "msg_1");
    set(&mut request, "traceparent", "00-1-2-01");
    let one = records(http(&with_token(None), 0, request));
    assert_eq!(payloads(&one), [r#"{"id": 1, "tags": []}"#], "the bytes stay as they came");
    assert_eq!(one[0].message_id.as_deref(), Some("msg_1"));
    assert_eq!(one[0].traceparent.as_deref(), Some("00-1-2-01"));

    let mut request = post(r#"[{"id":1}, 7, {"id":2}]"#);
    set(&mut request, "webhook-id", "msg_1");
    let many = records(http(&with_token(None), 0, request));
    assert_eq!(payloads(&many), [r#"{"id":1}"#, "7", r#"{"id":2}"#]);
    let ids: Vec<_> = many.iter().map(|record| record.message_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["msg_1/0", "msg_1/1", "msg_1/2"]);
    let unreadable: Vec<_> = many.iter().map(|record| record.unreadable.as_deref()).collect();
    assert_eq!(unreadable, [None, Some("not a JSON object"), None]);

    assert!(records(http(&with_token(None), 0, post("[]"))).is_empty(), "a ping");
    assert_eq!(records(http(&with_token(None), 0, post("{}")))[0].message_id, None);
}

#[test]
fn a_pointer_finds_the_records() {
    let check = |pointer: &str, body: &str, expected: &[&str]| {
        let records = records(http(&with_token(Some(pointer)), 0, post(body)));
        assert_eq!(payloads(&records), expected, "{pointer} in {body}");
    };
    check("/items", r#"{"n":2,"items":[{"id":1},{"id":2}]}"#, &[r#"{"id":1}"#, r#"{"id":2}"#]);
    check("/a~1b/m~0n/1", r#"{"a/b":{"m~n":[0,[{"id":1}]]}}"#, &[r#"{"id":1}"#]);
    for body in ["{}", r#"{"items":{}}"#, "[]", r#""items""#] {
        let capture = http(&with_token(Some("/items")), 0, post(body));
        check_refused(capture, 400, "body has no array at `/items`");
    }
}

#[test]
fn what_is_no_record_is_refused_as_a_whole() {
    let check = |body: &[u8], status: u16, title: &str| {
        check_refused(http(&with_token(None), 0, post(body)), status, title);
    };
    check(b"7", 400, "body must be an object or an array of objects");
    check(b"", 400, "body is not JSON: EOF while parsing a value at line 1 column 0");
    check(b"{} {}", 400, "body is not JSON: trailing characters at line 1 column 4");
    check(b"{\"a\":\"\xff\"}", 400, "body is not UTF-8 from byte 7 on");
    let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n)).into_bytes();
    check(&nested(64), 400, "body is more than 64 levels deep");
    check(&nested(400_000), 400, "body is more than 64 levels deep");
    assert_eq!(records(http(&with_token(None), 0, post(nested(63)))).len(), 1);
    let brackets = format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(100));
    assert_eq!(records(http(&with_token(None), 0, post(brackets))).len(), 1, "they are text");
    check(&vec![b' '; 1_000_001], 413, "body is longer than 1000000 bytes");
    let many = format!("[{}{{}}]", "{},".repeat(10_000));
    check(many.as_bytes(), 413, "body has more than 10000 records");
}

#[test]
fn only_plain_json_by_post_on_the_own_path_is_taken() {
    let send = |edit: fn(&mut HttpRequest)| {
        let mut request = post("{}");
        edit(&mut request);
        http(&with_token(None), 0, request)
    };
    let media = "body must be `application/json`, in UTF-8 and not compressed";
    check_refused(send(|r| set(r, "content-type", "text/plain")), 415, media);
    check_refused(send(|r| set(r, "content-type", "application/json; charset=latin1")), 415, media);
    check_refused(send(|r| r.headers.retain(|(key, _)| key != "content-type")), 415, media);
    check_refused(send(|r| set(r, "content-encoding", "gzip")), 415, media);
    check_refused(send(|r| r.path = "/other".to_owned()), 404, "no such path");
    check_refused(send(|r| r.method = "GET".to_owned()), 405, "only POST is taken");
    let cloud_event = send(|r| set(r, "content-type", "Application/CloudEvents+JSON"));
    assert_eq!(records(cloud_event).len(), 1);
}

#[test]
fn all_faults_of_the_settings_are_found_at_once() {
    assert!(Webhook::validate_settings(&signed_by(&[OURS.secret, PUBLISHED.secret])).is_empty());
    assert!(Webhook::validate_settings(&with_token(Some("/a~0b/c"))).is_empty());
    let paths = |settings: &Settings| -> Vec<String> {
        let faults = Webhook::validate_settings(settings);
        let text = format!("{faults:?}");
        assert!(!text.contains("AQID") && !text.contains("short"), "{text} tells a secret");
        faults.into_iter().map(|fault| fault.path).collect()
    };
    let long = format!("whsec_{}", STANDARD.encode([1; 65]));
    let short = format!("whsec_{}", STANDARD.encode([1; 23]));
    let edge = format!("whsec_{}", STANDARD.encode([1; 64]));
    let key = OURS.secret.strip_prefix("whsec_").unwrap();
    let mut keys = signed_by(&[key, &edge, &short, &long, "whsec_AQID!"]);
    keys.records = Some("items".to_owned());
    let at = |index: usize| format!("auth.standard_webhooks.secrets[{index}]");
    assert_eq!(paths(&keys), [at(0), at(2), at(3), at(4), "records".to_owned()]);
    let none = serde_json::json!({ "secrets": [], "tolerance": "0s" });
    let none = settings(serde_json::json!({ "auth": { "standard_webhooks": none } }));
    let expected = ["auth.standard_webhooks.secrets", "auth.standard_webhooks.tolerance"];
    assert_eq!(paths(&none), expected);
    let bearer =
        serde_json::json!({ "bearer": { "tokens": [TOKEN, "short", "has a blank inside it"] } });
    let bearer = settings(serde_json::json!({ "auth": bearer, "records": "/a~2" }));
    assert_eq!(paths(&bearer), ["auth.bearer.tokens[1]", "auth.bearer.tokens[2]", "records"]);
}

proptest! {
    /// Whatever comes in from somebody with a token, it neither panics nor gives a record that is
    /// no part of the body.
    #[test]
    fn arbitrary_bodies_are_taken_or_refused(
        body in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"\"\\[]{},:1a \n".to_vec())],
            0..200,
        ),
        pointer in prop::option::of("(/[a~01]{0,3}){0,3}"),
    ) {
        if let HttpCapture::Capture { records, .. } =
            http(&with_token(pointer.as_deref()), 0, post(body))
        {
            for record in records {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&record.payload).is_ok());
            }
        }
    }

    /// Without a right signature nobody gets in, whatever the headers hold.
    #[test]
    fn arbitrary_signatures_are_refused(
        id in ".{0,20}",
        timestamp in "[0-9+-]{0,12}",
        signature in "(v1,[A-Za-z0-9+/=]{0,48} ?){0,4}",
    ) {
        let capture = OURS.send(|r| {
            set(r, "webhook-id", &id);
            set(r, "webhook-timestamp", &timestamp);
            set(r, "webhook-signature", &signature);
        });
        prop_assert_eq!(refusal(capture).status, 401);
    }
}
