//! What the hub measures of its plug-ins.

use gantry_model::spec::{OnFailure, Spec};
use gantry_model::{LifeCycle, Millis};
use gantry_plugin_host::api::{CaptureMode, DeliveryOutcome, ErrorClass};
use serde_json::json;

use super::feeding::{lead, polled};
use super::script::{self, batch};
use super::world::{World, callback, lookup, soon, spec};
use crate::pipeline::Ports;
use crate::port::Trouble;
use crate::{CaptureStatus, OperationStatus};

fn leads(world: &World) -> CaptureStatus {
    world.pipeline.status().captures["leads"].clone()
}

/// Lets everything else go on until a condition holds.
async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    soon(wait).await;
}

/// How often each kind of operation ended how.
fn ended(operations: &[OperationStatus]) -> Vec<(&'static str, &'static str, u64)> {
    operations.iter().map(|it| (it.operation, it.outcome, it.took.count())).collect()
}

#[tokio::test]
async fn a_batch_is_unacknowledged_until_its_source_knows() {
    let (world, mut source) = polled().await;
    source.asked().await;
    assert_eq!(leads(&world).oldest_unacknowledged_at, None);
    source.may_acknowledge.forget_permits(1000);
    let before = world.hub.now();
    let mut late = lead(1);
    late.occurred_at_ms = Some(before.0 - 90_000);
    source.give(Ok(batch(vec![late, lead(2)]))).await;
    until(|| leads(&world).counts.created == 2).await;

    let status = leads(&world);
    let since = status.oldest_unacknowledged_at.expect("the source does not know yet");
    assert!(since >= before && since <= world.hub.now(), "{since}");
    assert_eq!(status.bytes, 2 * lead(1).payload.len() as u64);
    assert_eq!(status.lag.count(), 1, "one record said when it happened");
    assert!((90.0..150.0).contains(&status.lag.sum), "{:?}", status.lag);
    assert_eq!(status.settling.count(), 1);
    assert_eq!((status.credit, status.in_flight), (None, 1), "the acknowledgement is under way");

    source.may_acknowledge.add_permits(1);
    source.told().await;
    source.asked().await;
    let status = leads(&world);
    assert_eq!(status.oldest_unacknowledged_at, None);
    assert_eq!(ended(&status.operations), [("poll", "ok", 1), ("acknowledge", "ok", 1)]);

    // What comes again is not late: it was here in time.
    let mut again = lead(1);
    again.occurred_at_ms = Some(before.0 - 90_000);
    source.give(Ok(batch(vec![again]))).await;
    source.may_acknowledge.add_permits(1);
    source.told().await;
    source.asked().await;
    assert_eq!(leads(&world).lag.count(), 1);

    source.give(Err(Trouble::new(ErrorClass::Throttled, "too often"))).await;
    source.asked().await;
    let polls = ended(&leads(&world).operations);
    assert!(polls.contains(&("poll", "throttled", 1)), "{polls:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_stream_shows_the_credit_it_has_left() {
    let mut ports = Ports::default();
    let mut source = script::capture_point(&mut ports, CaptureMode::Stream, None);
    let world = World::start(spec(), ports).await;
    source.asked().await;
    source.may_acknowledge.forget_permits(1000);
    let whole = u64::from(crate::Limits::default().stream_credit);
    source.give(Ok(batch(vec![lead(1), lead(2)]))).await;
    until(|| leads(&world).counts.created == 2).await;
    assert_eq!(leads(&world).credit, Some(whole - 2));
    source.may_acknowledge.add_permits(1000);
    source.told().await;
    source.give(Ok(batch(vec![lead(3)]))).await;
    source.told().await;
    source.give(Err(Trouble::new(ErrorClass::Protocol, "nonsense"))).await;
    world.stop().await;
}

#[tokio::test]
async fn look_ups_and_callbacks_are_measured_alike() {
    let mut ports = Ports::default();
    script::lookup(&mut ports, "nps", |n, _| async move {
        match n {
            0 => Err(Trouble::new(ErrorClass::Transient, "busy")),
            _ => Ok(Some(json!({"nps": 9}))),
        }
    });
    let mut deliveries = script::callback(&mut ports, |_| DeliveryOutcome::Done);
    let lookups = [("nps".into(), lookup(OnFailure::Continue))].into();
    let callbacks = [("crm".into(), callback(&["captured"]))].into();
    let world = World::start(Spec { lookups, callbacks, ..spec() }, ports).await;
    let item = world.create(json!({"external_id": "L-1", "customer_id": "c"})).await;
    world.until(item, |item| item.is_some_and(|item| item.life_cycle == LifeCycle::Queued)).await;
    let lookup = world.pipeline.status().lookups["nps"].clone();
    assert_eq!(ended(&lookup.operations), [("lookup", "ok", 1), ("lookup", "transient", 1)]);
    assert_eq!((lookup.asked, lookup.in_flight), (2, 0));

    soon(deliveries.recv()).await.unwrap();
    until(|| world.pipeline.status().callbacks["crm"].delivered == 1).await;
    let callback = world.pipeline.status().callbacks["crm"].clone();
    assert_eq!(ended(&callback.operations), [("deliver", "ok", 1)]);
    assert_eq!(callback.lag.count(), 1);
    assert!(callback.lag.sum < Millis::from_secs(60).0 as f64 / 1000.0, "{:?}", callback.lag);
    world.stop().await;
}

#[tokio::test]
async fn what_is_called_off_counts_as_canceled() {
    let (world, mut source) = polled().await;
    source.asked().await;
    assert_eq!(leads(&world).in_flight, 1);
    let pipeline = world.pipeline.clone();
    world.stop().await;
    let status = pipeline.status().captures["leads"].clone();
    assert_eq!((status.in_flight, ended(&status.operations)), (0, vec![("poll", "canceled", 1)]));
}
