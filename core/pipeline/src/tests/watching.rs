//! The tap, and the trace that a record brings along.

use bytes::Bytes;
use gantry_model::TraceParent;
use gantry_plugin_host::api::{DeliveryOutcome, Record};
use serde_json::{Value, json};

use super::feeding::{lead, polled};
use super::script::{self, batch, record};
use super::world::{World, callback, lookup, soon, spec};
use crate::pipeline::Ports;
use crate::{Change, Seen, SeenRecord, Settled, Watch};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn seen(watch: &mut Watch) -> SeenRecord {
    match soon(watch.next()).await.unwrap() {
        Seen::Record(record) => *record,
        lost @ Seen::Lost { .. } => panic!("{lost:?}"),
    }
}

#[tokio::test]
async fn who_watches_sees_each_record_and_how_it_ended() {
    let (world, mut source) = polled().await;
    source.asked().await;
    source.give(Ok(batch(vec![lead(1)]))).await;
    source.told().await;
    let mut watch = world.pipeline.watch("leads").unwrap();
    let with_secret = json!({"external_id": "L-2", "name": "Ada", "crm_Api-Key": "k-17"});
    let refused = record(&json!({"name": "no id"}), "p3");
    let unreadable = Record::unreadable(vec![0xff, b'x'], "line 4: no JSON");
    source.give(Ok(batch(vec![record(&with_secret, "p2"), refused, unreadable]))).await;
    source.told().await;

    let first = seen(&mut watch).await;
    assert_eq!(first.outcome.external_id.as_deref(), Some("L-2"), "none from before it watched");
    assert!(matches!(first.outcome.settled, Settled::Accepted { change: Change::Created, .. }));
    let expected = json!({"external_id": "L-2", "name": "Ada", "crm_Api-Key": "***"});
    assert_eq!((first.payload, first.bytes), (Some(expected), with_secret.to_string().len()));
    let second = serde_json::to_value(seen(&mut watch).await).unwrap();
    assert_eq!((&second["outcome"], &second["code"]), (&json!("refused"), &json!("GANTRY-R010")));
    let third = seen(&mut watch).await;
    assert_eq!(third.payload, Some(Value::String("\u{fffd}x".into())));
    assert!(world.pipeline.watch("nobody").is_err());
    world.stop().await;
}

#[tokio::test]
async fn who_watches_too_slowly_is_told_what_was_lost_and_holds_nobody_up() {
    let (world, mut source) = polled().await;
    source.asked().await;
    let mut watch = world.pipeline.watch("leads").unwrap();
    for hundred in 0..4 {
        source.give(Ok(batch((0..100).map(|n| lead(hundred * 100 + n)).collect()))).await;
        assert_eq!(source.told().await.len(), 100);
    }
    let Some(Seen::Lost { lost }) = soon(watch.next()).await else { panic!("nothing was lost") };
    assert_eq!(lost, 400 - 256);
    let next = seen(&mut watch).await;
    assert_eq!(next.outcome.external_id, Some(format!("L-{lost}")));
    world.stop().await;
}

#[tokio::test]
async fn a_long_payload_is_not_shown() {
    let (world, mut source) = polled().await;
    source.asked().await;
    let mut watch = world.pipeline.watch("leads").unwrap();
    let long = json!({"external_id": "L-1", "name": "x".repeat(20_000)});
    source.give(Ok(batch(vec![record(&long, "p1")]))).await;
    let seen = seen(&mut watch).await;
    assert_eq!((seen.payload, seen.bytes), (None, long.to_string().len()));
    world.stop().await;
}

#[tokio::test]
async fn a_trace_goes_from_the_record_through_look_ups_to_callbacks() {
    let mut ports = Ports::default();
    let (asked, mut traces) = tokio::sync::mpsc::channel(10);
    script::traced_lookup(&mut ports, "nps", asked);
    let mut deliveries = script::callback(&mut ports, |_| DeliveryOutcome::Done);
    let lookups = [("nps".into(), lookup(gantry_model::spec::OnFailure::Continue))].into();
    let callbacks = [("crm".into(), callback(&["captured", "held"]))].into();
    let spec = gantry_model::spec::Spec { lookups, callbacks, ..spec() };
    let world = World::start(spec, ports).await;
    let body = Bytes::from(json!({"external_id": "L-1", "customer_id": "C-1"}).to_string());
    let trace = TraceParent::parse(TRACE);
    let outcomes = world.pipeline.capture_json("leads", body, trace).await.unwrap();
    let Settled::Accepted { item, .. } = outcomes[0].settled else { panic!("{outcomes:?}") };
    assert_eq!(soon(traces.recv()).await.unwrap().as_deref(), Some(TRACE));
    assert_eq!(soon(deliveries.recv()).await.unwrap().traceparent.as_deref(), Some(TRACE));

    // New content without a trace keeps the one that is known.
    world.capture(json!({"external_id": "L-1", "customer_id": "C-1", "name": "new"})).await;
    let hold = gantry_model::Command::Hold { item, reason: "wait".into() };
    world.command(hold).await;
    let held = soon(deliveries.recv()).await.unwrap();
    assert_eq!((held.event.as_str(), held.traceparent.as_deref()), ("held", Some(TRACE)));

    world.create(json!({"external_id": "L-2"})).await;
    assert_eq!(soon(deliveries.recv()).await.unwrap().traceparent, None);
    world.stop().await;
}

#[tokio::test]
async fn a_malformed_trace_of_a_source_is_dropped() {
    let (world, mut source) = polled().await;
    source.asked().await;
    let (mut good, mut bad) = (lead(1), lead(2));
    good.traceparent = Some(TRACE.into());
    bad.traceparent = Some("00-1-2-01".into());
    source.give(Ok(batch(vec![good, bad]))).await;
    source.told().await;
    for (id, expected) in [("L-1", TraceParent::parse(TRACE)), ("L-2", None)] {
        let item = world.pipeline.store().find("leads", id).await.unwrap().unwrap().item.id;
        assert_eq!(world.document(item).await.traceparent, expected, "{id}");
    }
    world.stop().await;
}
