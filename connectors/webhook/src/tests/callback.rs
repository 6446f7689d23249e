//! Callbacks as a receiver gets them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

use gantry_plugin_api::{
    Callback as _, Context, Delivery, DeliveryOutcome, Error, ErrorClass, HttpRequest, Json,
    Plugin as _,
};
use serde_json::{Value, json};

use super::{OURS, PUBLISHED, Webhook};
use crate::config::{CallbackSettings, Config};
use crate::signature;

const NOW_MS: i64 = 1_767_323_045_999;

fn settings(more: Value) -> CallbackSettings {
    let mut settings = json!({ "secrets": [OURS.secret, PUBLISHED.secret] });
    settings.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
    serde_json::from_value(settings).unwrap()
}

fn delivery() -> Delivery {
    let mut delivery = Delivery::new("ended.crm/W00004T4/4608", "done", u64::MAX, "L-1");
    delivery.capture_point = "leads".to_owned();
    delivery.occurred_at_ms = 1_767_323_000_000;
    delivery.sequence = 4608;
    delivery.details = Json::of(&json!({ "disposition": "converted" })).unwrap();
    delivery.attributes = Json::of(&json!({ "name": "Tent" })).unwrap();
    delivery
}

/// A receiver that answers one request and gives what came.
fn receiver(answer: &'static str) -> (String, JoinHandle<HttpRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/hooks/", listener.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        let request = loop {
            let n = stream.read(&mut part).unwrap();
            assert!(n > 0, "it hung up");
            bytes.extend_from_slice(&part[..n]);
            if let Some(request) = whole(&bytes) {
                break request;
            }
        };
        stream.write_all(answer.as_bytes()).unwrap();
        request
    });
    (endpoint, received)
}

/// A request, once all of it is there.
fn whole(bytes: &[u8]) -> Option<HttpRequest> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap(), first.next().unwrap());
    let body = &bytes[end + 4..];
    let mut request = HttpRequest::new(method, path, body.to_vec());
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        request.headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length: usize = request.header("content-length")?.parse().unwrap();
    (body.len() >= length).then_some(request)
}

fn deliver(endpoint: Option<String>, settings: &CallbackSettings) -> DeliveryOutcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cx = Context::standalone("ended", NOW_MS);
    let config: Config = serde_json::from_value(json!({ "endpoint": endpoint })).unwrap();
    let webhook = Webhook::create(config, &cx).unwrap();
    runtime.block_on(webhook.deliver(settings, &cx, vec![delivery()])).remove(0)
}

fn answered(answer: &'static str) -> DeliveryOutcome {
    let (endpoint, received) = receiver(answer);
    let outcome = deliver(Some(endpoint), &settings(json!({})));
    received.join().unwrap();
    outcome
}

#[test]
fn signatures_are_those_of_the_scheme() {
    for vector in [PUBLISHED, OURS] {
        let CallbackSettings { secrets, .. } = settings(json!({ "secrets": [vector.secret] }));
        let timestamp = vector.timestamp.to_string();
        let body = vector.body.as_bytes();
        let signed = signature::signatures(&secrets, vector.id, &timestamp, body);
        assert_eq!(signed.as_deref(), Some(vector.signature));
    }
}

#[test]
fn an_event_is_posted_signed_with_each_key() {
    let (endpoint, received) = receiver("HTTP/1.1 204 No Content\r\n\r\n");
    let outcome = deliver(Some(endpoint), &settings(json!({ "path": "gantry" })));
    assert_eq!(outcome, DeliveryOutcome::Done);
    let request = received.join().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hooks/gantry"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("webhook-id"), Some("ended%2Ecrm/W00004T4/4608"));
    assert_eq!(request.header("webhook-timestamp"), Some("1767323045"));
    for secret in [OURS.secret, PUBLISHED.secret] {
        // The receiver knows one of the two keys: what we let in ourselves it lets in, too.
        let known = serde_json::from_value(json!({ "secrets": [secret] })).unwrap();
        let id = signature::verify(&known, &request, NOW_MS);
        assert_eq!(id, Ok("ended%2Ecrm/W00004T4/4608"));
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let data = json!({
        "item_id": "18446744073709551615",
        "external_id": "L-1",
        "capture_point": "leads",
        "sequence": "4608",
        "details": { "disposition": "converted" },
        "attributes": { "name": "Tent" },
    });
    let time = "2026-01-02T03:03:20Z";
    assert_eq!(body, json!({ "type": "item.done", "timestamp": time, "data": data }));
}

#[test]
fn an_event_may_be_a_cloud_event_that_we_would_take_ourselves() {
    let (endpoint, received) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let events = settings(json!({ "format": "cloud_events", "event_source": "urn:gantry:berlin" }));
    assert_eq!(deliver(Some(endpoint), &events), DeliveryOutcome::Done);
    let request = received.join().unwrap();
    let record = crate::cloudevents::records(&request).unwrap().remove(0);
    assert_eq!(record.message_id.as_deref(), Some("urn:gantry:berlin ended%2Ecrm/W00004T4/4608"));
    assert_eq!(record.occurred_at_ms, Some(1_767_323_000_000));
    let event: Value = serde_json::from_slice(&record.payload).unwrap();
    assert_eq!(event["type"], "gantry.item.done");
    assert_eq!(event["subject"], "L-1");
    assert_eq!(event["data"]["details"]["disposition"], "converted");
}

#[test]
fn the_address_is_taken_as_it_was_written() {
    for end in ["", "/"] {
        let (endpoint, received) = receiver("HTTP/1.1 204 No Content\r\n\r\n");
        let endpoint = endpoint.trim_end_matches('/').to_owned() + end;
        assert_eq!(deliver(Some(endpoint), &settings(json!({}))), DeliveryOutcome::Done);
        assert_eq!(received.join().unwrap().path, format!("/hooks{end}"));
    }
}

#[test]
fn each_answer_has_its_class() {
    let retry = |outcome: DeliveryOutcome| -> Error {
        match outcome {
            DeliveryOutcome::Retry(error) => error,
            other => panic!("no retry: {other:?}"),
        }
    };
    let throttled =
        retry(answered("HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(throttled.class(), ErrorClass::Throttled);
    assert_eq!(throttled.retry_after(), Some(Duration::from_secs(7)));
    let down = retry(answered("HTTP/1.1 502 Down\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(down.class(), ErrorClass::Transient);
    let lost = retry(answered("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"));
    assert_eq!(lost.class(), ErrorClass::Transient, "the answer was cut");
    let denied = retry(answered("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(denied.class(), ErrorClass::AuthDenied);

    let refused = |answer| match answered(answer) {
        DeliveryOutcome::Refused(error) => error.class(),
        other => panic!("not refused: {other:?}"),
    };
    let gone = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(refused(gone), ErrorClass::Gone);
    let bad = "HTTP/1.1 422 Bad\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(refused(bad), ErrorClass::Permanent);
    let conflict = "HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(refused(conflict), ErrorClass::Conflict);
    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(refused(elsewhere), ErrorClass::Permanent, "only 2xx counts");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = deliver(Some(format!("http://{closed}/")), &settings(json!({})));
    assert_eq!(retry(nobody).class(), ErrorClass::Transient);
}

#[test]
fn mistakes_of_the_operator_name_the_key() {
    let DeliveryOutcome::Retry(error) = deliver(None, &settings(json!({}))) else {
        panic!("nowhere to go");
    };
    assert_eq!((error.class(), error.field()), (ErrorClass::Config, Some("endpoint")));
    let bad = settings(json!({ "secrets": [OURS.secret, "whsec_AQID"], "event_source": "" }));
    let paths: Vec<_> = <Webhook as gantry_plugin_api::Callback>::validate_settings(&bad)
        .into_iter()
        .map(|fault| fault.path)
        .collect();
    assert_eq!(paths, ["secrets[1]", "event_source"]);
    let none: Config = serde_json::from_value(json!({ "request_timeout": "0s" })).unwrap();
    assert_eq!(Webhook::validate(&none)[0].path, "request_timeout");
}
