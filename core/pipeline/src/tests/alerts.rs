//! Alerts: raised and cleared once, heard by the callback that they name, through restarts.

use std::sync::atomic::{AtomicUsize, Ordering};

use gantry_model::spec::{AlertSpec, Spec, Statistic};
use gantry_model::{Command, Millis, Timestamp};
use gantry_plugin_host::api::{Delivery, DeliveryOutcome, Error};
use gantry_store::Store;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use super::script;
use super::world::{World, callback, soon, spec};
use crate::alerts::Watch;
use crate::pipeline::Ports;

fn backlog(over: i64) -> AlertSpec {
    AlertSpec {
        when: Statistic::Backlog,
        queue: Some("sales/leads".into()),
        capture: None,
        over,
        lasts: Millis(0),
        callback: Some("crm".into()),
    }
}

fn watched(over: i64) -> Spec {
    Spec {
        callbacks: [("crm".into(), callback(&["alert_raised", "alert_cleared"]))].into(),
        alerts: [("many".into(), backlog(over))].into(),
        ..spec()
    }
}

/// Event, attempt and value of the next delivery.
async fn next(deliveries: &mut Receiver<Delivery>) -> (String, u32, i64) {
    let delivery = soon(deliveries.recv()).await.unwrap();
    let details: Value = delivery.details.parse().unwrap();
    assert_eq!((delivery.item_id, delivery.external_id.as_str()), (0, "many"));
    (delivery.event, delivery.attempt, details["value"].as_i64().unwrap())
}

async fn raised(world: &World, count: usize) {
    world.until_stored(|| async { world.store.alerts().await.unwrap().len() == count }).await;
}

#[test]
fn a_value_has_to_stay_over_the_limit_and_is_told_once() {
    let spec = AlertSpec { lasts: Millis::from_secs(60), ..backlog(10) };
    let at = |seconds: i64| Timestamp(seconds * 1000);
    let mut watch = Watch::default();
    let mut told = Vec::new();
    // Over for 50 seconds, then not; over for good from 70 on; the limit itself is not over it.
    let values =
        [(0, 11), (50, 11), (60, 10), (70, 12), (129, 12), (130, 13), (131, 14), (140, 10)];
    for (second, value) in values.into_iter().chain([(141, 9)]) {
        if let Some(raised) = watch.judge(&spec, value, at(second)) {
            told.push((second, raised));
            watch.said(raised);
        }
    }
    assert_eq!(told, [(130, true), (140, false)]);
    // What could not be said is said again.
    let mut watch = Watch::default();
    let now = AlertSpec { lasts: Millis(0), ..spec };
    assert_eq!(watch.judge(&now, 11, at(0)), Some(true));
    assert_eq!(watch.judge(&now, 11, at(1)), Some(true));
}

#[tokio::test]
async fn an_alert_is_raised_once_outlives_the_hub_and_is_cleared_once() {
    let mut ports = Ports::default();
    let mut deliveries = script::callback(&mut ports, |_| DeliveryOutcome::Done);
    let world = World::start(watched(1), ports).await;
    let first = world.create(json!({"external_id": "L-1"})).await;
    world.create(json!({"external_id": "L-2"})).await;
    assert_eq!(next(&mut deliveries).await, ("alert_raised".into(), 1, 2));
    let folder = world.stop().await;

    let mut ports = Ports::default();
    let mut deliveries = script::callback(&mut ports, |_| DeliveryOutcome::Done);
    let world = World::start_in(folder, watched(1), ports).await;
    let alerts = world.store.alerts().await.unwrap();
    assert_eq!((alerts.len(), alerts[0].value), (1, 2));
    world.command(Command::Cancel { item: first, reason: "gone".into() }).await;
    assert_eq!(next(&mut deliveries).await, ("alert_cleared".into(), 1, 1));
    raised(&world, 0).await;
    world.create(json!({"external_id": "L-3"})).await;
    assert_eq!(next(&mut deliveries).await, ("alert_raised".into(), 1, 2));
    let folder = world.stop().await;

    // An alert that is no longer in the config is over.
    let world = World::start_in(folder, spec(), Ports::default()).await;
    raised(&world, 0).await;
    world.stop().await;
}

#[tokio::test]
async fn an_alert_that_is_refused_or_retried_holds_up_no_other_for_good() {
    let mut ports = Ports::default();
    let calls = AtomicUsize::new(0);
    let outcome = move |_: &Delivery| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => DeliveryOutcome::Refused(Error::permanent("no such pager")),
        1 => DeliveryOutcome::Retry(Error::transient("busy")),
        _ => DeliveryOutcome::Done,
    };
    let mut deliveries = script::callback(&mut ports, outcome);
    let world = World::start(watched(0), ports).await;
    let item = world.create(json!({"external_id": "L-1"})).await;
    assert_eq!(next(&mut deliveries).await, ("alert_raised".into(), 1, 1));
    world.command(Command::Cancel { item, reason: "gone".into() }).await;
    assert_eq!(next(&mut deliveries).await, ("alert_cleared".into(), 1, 0));
    assert_eq!(next(&mut deliveries).await, ("alert_cleared".into(), 2, 0));
    world.create(json!({"external_id": "L-2"})).await;
    assert_eq!(next(&mut deliveries).await, ("alert_raised".into(), 1, 1));
    assert!(world.dead_letters().await.is_empty());
    assert_eq!(world.pipeline.status().callbacks["crm"].dead, 1);
    world.stop().await;
}
