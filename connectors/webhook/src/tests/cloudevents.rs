//! CloudEvents in each mode, and the handshake.

use gantry_plugin_api::{Capture as _, HttpCapture, HttpRequest};
use serde_json::{Value, json};

use super::{TOKEN, Webhook, check_refused, http, payloads, post, records, refusal, set, settings};
use crate::config::Settings;

const BATCH: &str = "application/cloudevents-batch+json";
const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";

fn events(cloud_events: Value) -> Settings {
    let auth = json!({ "bearer": { "tokens": [TOKEN] } });
    settings(json!({ "auth": auth, "cloud_events": cloud_events }))
}

fn take(request: HttpRequest) -> HttpCapture {
    http(&events(json!({})), 0, request)
}

fn of_type(content_type: &str, body: impl Into<Vec<u8>>) -> HttpRequest {
    let mut request = post(body);
    set(&mut request, "content-type", content_type);
    request
}

/// In binary mode, with all that is required.
fn binary(content_type: &str, body: &[u8], more: &[(&str, &str)]) -> HttpRequest {
    let mut request = of_type(content_type, body);
    let required =
        [("ce-specversion", "1.0"), ("ce-id", "8f2a"), ("ce-source", "/shop"), ("ce-type", "cart")];
    for (name, value) in required.iter().chain(more) {
        set(&mut request, name, value);
    }
    request
}

fn event(id: &str, more: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"cart"{more}}}"#)
}

#[test]
fn each_mode_gives_the_same_record() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let more = r#","time":"2026-01-02T03:04:05Z","subject":"lead 42","datacontenttype":"application/json","data":{"cart":"C-1"}"#;
    let headers = [("ce-time", "2026-01-02T03:04:05Z"), ("ce-subject", "lead%2042")];
    let whole = event("8f2a", more);
    for request in [
        of_type(STRUCTURED, whole.clone()),
        of_type(&BATCH.to_uppercase(), format!("[{whole}]")),
        binary("application/json", br#"{"cart":"C-1"}"#, &headers),
    ] {
        let mut request = request;
        set(&mut request, "traceparent", trace);
        let records = records(take(request));
        let payload: Value = serde_json::from_slice(&records[0].payload).unwrap();
        assert_eq!(payload, serde_json::from_str::<Value>(&whole).unwrap());
        assert_eq!(records[0].message_id.as_deref(), Some("/shop 8f2a"));
        assert_eq!(records[0].occurred_at_ms, Some(1_767_323_045_000));
        assert_eq!(records[0].traceparent.as_deref(), Some(trace));
        assert_eq!(records.len(), 1);
    }
    let from_far = event("1", &format!(r#","traceparent":"{trace}""#));
    let record = records(take(of_type(STRUCTURED, from_far))).remove(0);
    assert_eq!(record.traceparent.as_deref(), Some(trace), "the event's own, without a header");
    let long = event(&"x".repeat(300), "");
    let id = records(take(of_type(STRUCTURED, long))).remove(0).message_id.unwrap();
    assert!(id.len() < 256, "{id}");
}

#[test]
fn a_payload_of_any_type_is_taken() {
    let check = |content_type: &str, body: &[u8], key: &str, expected: Value| {
        let record = records(take(binary(content_type, body, &[]))).remove(0);
        let payload: Value = serde_json::from_slice(&record.payload).unwrap();
        assert_eq!(payload[key], expected, "{content_type}");
        assert_eq!(payload["datacontenttype"], content_type);
    };
    check("application/json", b"\"a text\"", "data", json!("a text"));
    check("application/vnd.shop+json", b"[1]", "data", json!([1]));
    check("text/plain", "Euro €".as_bytes(), "data", json!("Euro €"));
    check("text/plain", b"\xff", "data_base64", json!("/w=="));
    check("image/png", b"ab", "data_base64", json!("YWI="));
    let none = records(take(binary("application/json", b"", &[]))).remove(0);
    let payload: Value = serde_json::from_slice(&none.payload).unwrap();
    assert_eq!(payload.get("data"), None);
}

#[test]
fn attributes_in_headers_are_percent_encoded() {
    let decoded = |value: &str| {
        let record = records(take(binary("", b"", &[("ce-subject", value)]))).remove(0);
        let payload: Value = serde_json::from_slice(&record.payload).unwrap();
        payload["subject"].as_str().unwrap().to_owned()
    };
    assert_eq!(decoded("Euro%20%E2%82%AC%20%F0%9F%98%80"), "Euro € 😀");
    assert_eq!(decoded("%e2%82%ac%41"), "€A");
    assert_eq!(decoded("\"in quotes\""), "in quotes");
    assert_eq!(decoded("100%"), "100%");
    assert_eq!(decoded("%+1%zz"), "%+1%zz");
    let title = "header `ce-subject` is not UTF-8 once its percent signs are resolved";
    check_refused(take(binary("", b"", &[("ce-subject", "%C0%A0")])), 400, title);
}

#[test]
fn what_is_no_event_is_refused_by_name() {
    let check = |content_type: &str, body: &str, status: u16, title: &str| {
        check_refused(take(of_type(content_type, body)), status, title);
    };
    let format = "events come as `application/cloudevents+json`, \
                  `application/cloudevents-batch+json` or with headers `ce-…`";
    check("application/cloudevents+avro", "{}", 415, format);
    check("application/cloudevents-batch+avro", "[]", 415, format);
    check("application/json", "{}", 415, format);
    check(STRUCTURED, r#"{"id":"1"}"#, 400, "the event has no `specversion`");
    check(STRUCTURED, &event("", ""), 400, "the event has no `id`");
    let old = event("1", "").replace("1.0", "0.3");
    check(STRUCTURED, &old, 400, "`specversion` must be `1.0`, not `0.3`");
    let noon = "`time` must be a date and time as RFC 3339 has it, not `noon`";
    check(STRUCTURED, &event("1", r#","time":"noon""#), 400, noon);
    let two = event("1", r#","data":1,"data_base64":"YQ==""#);
    check(STRUCTURED, &two, 400, "the event has both `data` and `data_base64`");
    let deep = event("1", &format!(r#","data":{}{}"#, "[".repeat(70), "]".repeat(70)));
    check(STRUCTURED, &deep, 400, "body is more than 64 levels deep");
    let answer = refusal(take(of_type(STRUCTURED, "[]")));
    assert_eq!(answer.status, 400);

    let mut request = binary("", b"", &[]);
    request.headers.retain(|(name, _)| name != "ce-type");
    check_refused(take(request), 400, "the event has no `type`");
    let typed = binary("", b"", &[("ce-datacontenttype", "text/plain")]);
    let title = "header `ce-datacontenttype` is not allowed: `content-type` says it";
    check_refused(take(typed), 400, title);
    let mut twice = binary("", b"", &[]);
    twice.headers.push(("ce-id".to_owned(), "other".to_owned()));
    check_refused(take(twice), 400, "header `ce-id` comes more than once");
}

#[test]
fn one_that_is_no_event_costs_itself_and_not_the_batch() {
    let body = format!("[{}, 7, {}, {}]", event("1", ""), r#"{"id":"2"}"#, event("3", ""));
    let records = records(take(of_type(BATCH, body)));
    let unreadable: Vec<_> = records.iter().map(|record| record.unreadable.is_some()).collect();
    assert_eq!(unreadable, [false, true, true, false]);
    assert_eq!(payloads(&records)[1], "7");
    assert_eq!(records[2].unreadable.as_deref(), Some("the event has no `specversion`"));
    assert!(super::records(take(of_type(BATCH, "[]"))).is_empty());
}

#[test]
fn a_sender_asks_first_and_is_told_whether_it_may() {
    let ask = |settings: Value, origin: Option<&str>| {
        let mut request = HttpRequest::new("OPTIONS", "/", Vec::new());
        if let Some(origin) = origin {
            set(&mut request, "webhook-request-origin", origin);
        }
        http(&events(settings), 0, request)
    };
    let allowed = json!({ "origins": ["shop.example"], "rate": 100 });
    let HttpCapture::Capture { records, response } = ask(allowed.clone(), Some("Shop.example"))
    else {
        panic!("refused");
    };
    assert!(records.is_empty() && response.status == 200);
    let headers: Vec<_> =
        response.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("allow", "POST"),
        ("webhook-allowed-origin", "Shop.example"),
        ("webhook-allowed-rate", "100"),
    ];
    assert_eq!(headers, expected);
    let any = ask(json!({ "origins": ["*"] }), Some("shop.example"));
    assert!(matches!(any, HttpCapture::Capture { .. }));

    let refused = refusal(ask(allowed.clone(), Some("else.example")));
    assert_eq!(refused.status, 403);
    assert!(refused.headers.iter().all(|(name, _)| !name.starts_with("webhook-allowed")));
    check_refused(ask(allowed, None), 400, "there is no one header `webhook-request-origin`");
    assert_eq!(refusal(ask(json!({}), Some("shop.example"))).status, 403, "nobody is named");
    // Without CloudEvents there is nothing to ask.
    let plain = http(&super::with_token(None), 0, HttpRequest::new("OPTIONS", "/", Vec::new()));
    assert_eq!(refusal(plain).status, 405);
}

#[test]
fn settings_that_contradict_each_other_are_found() {
    let auth = json!({ "bearer": { "tokens": [TOKEN] } });
    let events = json!({ "origins": ["*", "https://shop.example", ""] });
    let both = json!({ "auth": auth, "records": "/items", "cloud_events": events });
    let paths: Vec<_> =
        Webhook::validate_settings(&settings(both)).into_iter().map(|fault| fault.path).collect();
    assert_eq!(paths, ["cloud_events.origins[1]", "cloud_events.origins[2]", "records"]);
}
