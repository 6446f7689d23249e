//! Operations that go well: config, capture, look-up, streams, stop.

use std::time::Duration;

use gantry_plugin_api::message::RoleName;
use gantry_plugin_api::{
    Delivery, DeliveryOutcome, ErrorClass, HttpCapture, HttpRequest, Json, Outcome, Query,
    RecordOutcome,
};

use super::support::{Folder, NOW_MS, block_on, misbehaving, told};
use crate::State;

fn query(json: &str) -> Query {
    Query::new(Json::from_bytes(json.as_bytes().to_vec()))
}

#[tokio::test]
async fn a_capture_point_is_polled_page_by_page() {
    let folder = Folder::with(&["counter"]);
    let counter = folder.load("counter").create("row", b"{\"last\": 5}".to_vec(), &[]).await;
    let capture = counter.unwrap().attach_capture("odd", b"{\"step\": 2}".to_vec()).await.unwrap();

    let first = capture.poll(None, 2).await.unwrap();
    let payloads: Vec<_> = first.records.iter().map(|r| r.payload.as_ref()).collect();
    assert_eq!(payloads, [br#"{"number":1}"#, br#"{"number":3}"#]);
    assert!(first.more);

    let second = capture.poll(first.records[1].position.clone(), 2).await.unwrap();
    assert_eq!(second.records[0].payload.as_ref(), br#"{"number":5}"#);
    assert_eq!(second.records[0].message_id.as_deref(), Some("5"));
    assert!(!second.more);
}

#[tokio::test]
async fn a_lookup_answers_each_query_in_its_place() {
    let folder = Folder::with(&["counter"]);
    let library = folder.load("counter");
    let counter = library.create("row", b"{\"last\": 5}".to_vec(), &[]).await.unwrap();
    let lookup = counter.attach_lookup("even", b"{}".to_vec()).await.unwrap();

    let queries = [query(r#"{"number": 4}"#), query(r#"{"number": 9}"#), query("{}")];
    let answers = lookup.lookup(&queries).await.unwrap();

    assert_eq!(
        answers[0].as_ref().unwrap().as_ref().unwrap().attributes.as_bytes(),
        br#"{"even":true}"#
    );
    assert_eq!(answers[1], Ok(None));
    assert_eq!(answers[2].as_ref().unwrap_err().class(), ErrorClass::Permanent);
    assert_eq!(counter.health().n_in_flight, 0);
}

#[tokio::test]
async fn validate_gives_all_faults_and_their_paths() {
    let folder = Folder::with(&["counter", "misbehaving"]);
    let counter = folder.load("counter");
    let faults = counter.validate(None, b"{\"last\": true}".to_vec(), &[]).await.unwrap();
    assert_eq!(faults[0].path, "last");
    assert!(faults[0].message.contains("expected u64"), "{faults:?}");

    let role = Some(RoleName::Capture);
    let faults = counter.validate(role, b"{\"step\": 0}".to_vec(), &[]).await.unwrap();
    assert_eq!(faults[0].to_string(), "`step`: must be 1 or more, else it never ends");
    let none = counter.validate(Some(RoleName::Callback), b"{}".to_vec(), &[]).await;
    assert_eq!(none.unwrap_err().class(), ErrorClass::Unsupported);

    let misbehaving = folder.load("misbehaving");
    let faults = misbehaving.validate(None, told("too_much"), &[]).await.unwrap();
    assert_eq!(faults.len(), 2);
}

#[tokio::test]
async fn a_wrong_config_names_its_field() {
    let folder = Folder::with(&["counter"]);
    let error = folder.load("counter").create("row", b"{}".to_vec(), &[]).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Config);
}

#[tokio::test]
async fn http_acknowledge_and_deliver_reach_the_plugin() {
    let folder = Folder::with(&["misbehaving"]);
    let instance = misbehaving(&folder.load("misbehaving"), "{}").await;

    let capture = instance.attach_capture("hook", b"{}".to_vec()).await.unwrap();
    let request = HttpRequest::new("POST", "/", "body");
    let made = capture.http(&request).await.unwrap();
    let HttpCapture::Capture { records, response } = made else { panic!("{made:?}") };
    assert_eq!((records[0].payload.as_ref(), response.status), (b"body".as_ref(), 202));
    let outcome = RecordOutcome::of(&records[0], Outcome::Accepted, None);
    capture.acknowledge(vec![outcome]).await.unwrap();

    let callback = instance.attach_callback("back", b"{}".to_vec()).await.unwrap();
    let deliveries = [Delivery::new("s/1/1", "captured", 1, "A-1")];
    assert_eq!(callback.deliver(&deliveries).await.unwrap(), [DeliveryOutcome::Done]);
    callback.check().await.unwrap();
    instance.check().await.unwrap();
}

#[tokio::test]
async fn the_plugin_reads_the_hubs_clock() {
    let folder = Folder::with(&["misbehaving"]);
    let instance = misbehaving(&folder.load("misbehaving"), "{}").await;
    let capture = instance.attach_capture("a", b"{}".to_vec()).await.unwrap();
    let batch = capture.poll(None, 1).await.unwrap();
    assert_eq!(batch.records[0].payload, NOW_MS.to_string());
}

#[tokio::test]
async fn a_stream_sends_as_much_as_it_has_credit_and_ends_when_drained() {
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    let instance = misbehaving(&library, "{}").await;
    let capture = instance.attach_capture("a", b"{}".to_vec()).await.unwrap();

    let mut stream = capture.stream(None, 4).unwrap();
    let mut numbers = Vec::new();
    let mut sizes = Vec::new();
    for credit in [0, 0, 5, 0] {
        stream.grant(credit);
        let batch = stream.next().await.unwrap().unwrap();
        sizes.push(batch.records.len());
        // A batch sent in parts has its position only with the last of them.
        assert_eq!(batch.position_after.is_some(), !batch.more);
        numbers.extend(batch.records.into_iter().map(|record| record.payload));
    }
    // Batches of 3 against a credit of 4, then of 5: the second batch came in parts.
    assert_eq!(sizes, [3, 1, 2, 3]);
    let expected: Vec<_> = (0..9).map(|n| n.to_string()).collect();
    assert_eq!(numbers, expected);

    assert_eq!(instance.health().n_in_flight, 1);
    instance.drain(Duration::from_secs(30)).await.unwrap();
    assert!(stream.next().await.is_none(), "the stream ended well");
    assert_eq!(instance.health().state, State::Draining);
    assert_eq!(library.n_violations(), 0);

    instance.stop().await.unwrap();
    instance.stop().await.unwrap();
    let late = capture.poll(None, 1).await.unwrap_err();
    assert!(late.to_string().ends_with("it was stopped"), "{late}");
}

#[test]
fn no_runtime_is_needed_on_the_calling_thread() {
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    block_on(async {
        let instance = misbehaving(&library, "{}").await;
        let capture = instance.attach_capture("a", b"{}".to_vec()).await.unwrap();
        assert_eq!(capture.poll(None, 3).await.unwrap().records.len(), 3);
        instance.stop().await.unwrap();
    });
}

#[tokio::test]
async fn one_file_is_loaded_once() {
    let folder = Folder::with(&["counter"]);
    let (first, second) = (folder.load("counter"), folder.load("counter"));
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    assert_eq!(first.manifest().name, "counter");
}
