//! Callbacks: order, retries, dead letters, confirmation, restarts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gantry_model::command::Holder;
use gantry_model::spec::{Confirm, Spec};
use gantry_model::{Actor, Assignment, Command, LifeCycle, Millis, WorkItem};
use gantry_plugin_host::api::{CaptureMode, Delivery, DeliveryOutcome, Error};
use gantry_store::Store;
use serde_json::json;
use tokio::sync::mpsc::Receiver;

use super::script::{self, batch, record};
use super::world::{World, callback, quick, soon, spec};
use crate::Limits;
use crate::pipeline::Ports;

fn with_callback(on: &[&str]) -> Spec {
    Spec { callbacks: [("crm".into(), callback(on))].into(), ..spec() }
}

async fn next(deliveries: &mut Receiver<Delivery>) -> Delivery {
    soon(deliveries.recv()).await.unwrap()
}

/// Event and attempt, as in `held 1`.
fn short(delivery: &Delivery) -> String {
    format!("{} {}", delivery.event, delivery.attempt)
}

/// Waits until the subscriber has stored that this delivery and all before it are settled.
async fn all_settled(world: &World, last: &Delivery) {
    let seq = last.sequence >> 20;
    world
        .until_stored(|| async {
            let lanes = world.store.lanes(&"crm".into()).await.unwrap();
            let cursors = world.store.cursors().await.unwrap();
            lanes.is_empty() && cursors.iter().any(|cursor| cursor.seq >= seq)
        })
        .await;
}

#[tokio::test]
async fn events_go_out_in_order_with_what_belongs_to_them() {
    let mut ports = Ports::default();
    let mut deliveries = script::callback(&mut ports, |_| DeliveryOutcome::Done);
    let world = World::start(with_callback(&["captured", "held", "resumed"]), ports).await;
    let item = world.create(json!({"external_id": "L-1", "name": "Ada"})).await;
    world.command(Command::Hold { item, reason: "wait".into() }).await;
    world.command(Command::Resume { item }).await;
    let captured = next(&mut deliveries).await;
    let held = next(&mut deliveries).await;
    let resumed = next(&mut deliveries).await;
    assert_eq!(
        [short(&captured), short(&held), short(&resumed)],
        ["captured 1", "held 1", "resumed 1"]
    );
    assert!(captured.sequence < held.sequence && held.sequence < resumed.sequence);
    assert_eq!(held.idempotency_key, format!("crm/{item}/{}", held.sequence));
    assert_eq!((held.external_id.as_str(), held.capture_point.as_str()), ("L-1", "leads"));
    let details: serde_json::Value = held.details.parse().unwrap();
    assert_eq!(details, json!({"reason": "wait"}));
    let attributes: serde_json::Value = held.attributes.parse().unwrap();
    assert_eq!(attributes, json!({"external_id": "L-1", "name": "Ada"}));
    world.stop().await;
}

#[tokio::test]
async fn a_retry_keeps_the_key_and_the_order_of_its_lane_and_holds_up_no_other() {
    let mut ports = Ports::default();
    let failures = AtomicUsize::new(2);
    let mut deliveries = script::callback(&mut ports, move |delivery| {
        let fails = delivery.external_id == "L-1"
            && delivery.event == "captured"
            && failures
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok();
        if fails {
            return DeliveryOutcome::Retry(Error::transient("busy"));
        }
        DeliveryOutcome::Done
    });
    let world = World::start(with_callback(&["captured", "held"]), ports).await;
    let outcomes = world.capture(json!([{"external_id": "L-1"}, {"external_id": "L-2"}])).await;
    let crate::Settled::Accepted { item, .. } = outcomes[0].settled else { panic!("accepted") };
    world.command(Command::Hold { item, reason: "wait".into() }).await;
    let (mut lanes, mut keys) = (BTreeMap::<String, Vec<String>>::new(), Vec::new());
    let mut last: Option<Delivery> = None;
    for _ in 0..5 {
        let delivery = next(&mut deliveries).await;
        if delivery.external_id == "L-1" && delivery.event == "captured" {
            keys.push(delivery.idempotency_key.clone());
        }
        lanes.entry(delivery.external_id.clone()).or_default().push(short(&delivery));
        if last.as_ref().is_none_or(|last| last.sequence < delivery.sequence) {
            last = Some(delivery);
        }
    }
    assert_eq!(lanes["L-1"], ["captured 1", "captured 2", "captured 3", "held 1"]);
    assert_eq!(lanes["L-2"], ["captured 1"]);
    assert!(keys.iter().all(|key| *key == keys[0]));
    all_settled(&world, &last.unwrap()).await;
    assert!(deliveries.try_recv().is_err());
    world.stop().await;
}

#[tokio::test]
async fn a_dead_letter_blocks_its_lane_until_it_is_retried_or_skipped() {
    for skip in [false, true] {
        let mut ports = Ports::default();
        let repaired = Arc::new(AtomicUsize::new(0));
        let repair = Arc::clone(&repaired);
        let mut deliveries = script::callback(&mut ports, move |delivery| {
            let of_one = delivery.external_id == "L-1" && delivery.event == "captured";
            if of_one && repair.load(Ordering::SeqCst) == 0 {
                return DeliveryOutcome::Refused(Error::permanent("no such lead"));
            }
            DeliveryOutcome::Done
        });
        let world = World::start(with_callback(&["captured", "held", "resumed"]), ports).await;
        let item = world.create(json!({"external_id": "L-1"})).await;
        assert_eq!(short(&next(&mut deliveries).await), "captured 1");
        world.command(Command::Hold { item, reason: "wait".into() }).await;
        world.until_stored(|| async { world.dead_letters().await.len() == 1 }).await;
        let letter = world.dead_letters().await[0].row.clone();
        assert_eq!((letter.code.as_str(), letter.reason.as_str()), ("GANTRY-B001", "no such lead"));
        assert_eq!(letter.class.as_deref(), Some("permanent"));
        assert_eq!((letter.item, letter.external_id.as_deref()), (Some(item), Some("L-1")));
        world.command(Command::Resume { item }).await;

        // The lane stays blocked over a restart.
        let folder = world.stop().await;
        let mut ports = Ports::default();
        let repair = Arc::clone(&repaired);
        let mut deliveries = script::callback(&mut ports, move |delivery| {
            let of_one = delivery.external_id == "L-1" && delivery.event == "captured";
            if of_one && repair.load(Ordering::SeqCst) == 0 {
                return DeliveryOutcome::Refused(Error::permanent("still no such lead"));
            }
            DeliveryOutcome::Done
        });
        let spec = with_callback(&["captured", "held", "resumed"]);
        let world = World::start_in(folder, spec, ports).await;
        world.create(json!({"external_id": "L-2"})).await;
        let first = next(&mut deliveries).await;
        assert_eq!(first.external_id, "L-2", "only the other lane goes on");
        let user = Actor::User("ops".into());
        if skip {
            world.pipeline.skip_dead_letter(&letter.id, user).await.unwrap();
        } else {
            repaired.store(1, Ordering::SeqCst);
            world.pipeline.retry_dead_letter(&letter.id, None, user).await.unwrap();
            assert_eq!(short(&next(&mut deliveries).await), "captured 1");
        }
        assert_eq!(short(&next(&mut deliveries).await), "held 1");
        assert_eq!(short(&next(&mut deliveries).await), "resumed 1");
        world.until_stored(|| async { world.dead_letters().await.is_empty() }).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn attempts_come_to_an_end() {
    let mut ports = Ports::default();
    let mut deliveries =
        script::callback(&mut ports, |_| DeliveryOutcome::Retry(Error::transient("busy")));
    let world = World::start(with_callback(&["captured"]), ports).await;
    world.create(json!({"external_id": "L-1"})).await;
    for attempt in 1..=3 {
        assert_eq!(next(&mut deliveries).await.attempt, attempt);
    }
    world.until_stored(|| async { world.dead_letters().await.len() == 1 }).await;
    let letter = &world.dead_letters().await[0].row;
    assert_eq!((letter.code.as_str(), letter.attempts), ("GANTRY-B002", 3));
    assert_eq!(letter.class.as_deref(), Some("transient"));
    let status = &world.pipeline.status().callbacks["crm"];
    assert_eq!((status.retried, status.dead), (2, 1));
    world.stop().await;
}

#[tokio::test]
async fn a_delivered_done_confirms_the_assignment_it_is_about() {
    let mut ports = Ports::default();
    let mut deliveries = script::callback(&mut ports, |_| DeliveryOutcome::AlreadyDone);
    let mut spec = with_callback(&["done", "completed"]);
    spec.captures.get_mut("leads").unwrap().confirm = Confirm::Callback;
    let world = World::start(spec, ports).await;
    world.agent("anna").await;
    let item = world.create(json!({"external_id": "L-1"})).await;
    world.accept_and_finish(item, "anna").await;
    let done = next(&mut deliveries).await;
    assert_eq!(done.event, "done");
    let details: serde_json::Value = done.details.parse().unwrap();
    assert_eq!((&details["agent"], &details["disposition"]), (&json!("anna"), &json!("Processed")));
    assert_eq!(next(&mut deliveries).await.event, "completed");
    assert_eq!(world.item(item).await.life_cycle, LifeCycle::Completed);
    world.stop().await;

    // Where the source confirms by message, the callback confirms nothing.
    let mut ports = Ports::default();
    let mut deliveries = script::callback(&mut ports, |_| DeliveryOutcome::Done);
    let world = World::start(with_callback(&["done"]), ports).await;
    world.agent("anna").await;
    let item = world.create(json!({"external_id": "L-1"})).await;
    world.accept_and_finish(item, "anna").await;
    let done = next(&mut deliveries).await;
    all_settled(&world, &done).await;
    assert!(matches!(world.item(item).await.assignment, Assignment::Confirming { .. }));
    world.stop().await;
}

#[tokio::test]
async fn a_done_delivered_during_the_wrap_up_completes_the_item_when_that_ends() {
    let mut ports = Ports::default();
    let mut deliveries = script::callback(&mut ports, |_| DeliveryOutcome::Done);
    let mut spec = with_callback(&["done", "wrap_up_ended", "completed"]);
    spec.captures.get_mut("leads").unwrap().confirm = Confirm::Callback;
    let processes = &mut Arc::make_mut(&mut spec.routing).processes;
    processes.get_mut("sales/leads").unwrap().wrap_up = Some(Millis::from_secs(3600));
    let world = World::start(spec, ports).await;
    world.agent("anna").await;
    let item = world.create(json!({"external_id": "L-1"})).await;
    world.accept_and_finish(item, "anna").await;
    assert_eq!(next(&mut deliveries).await.event, "done");
    let confirmed =
        |item: &WorkItem| matches!(item.assignment, Assignment::WrapUp { confirm_by: None, .. });
    world.until(item, move |item| item.is_some_and(confirmed)).await;
    let by = Holder { agent: "anna".into(), epoch: world.item(item).await.epoch };
    world.command(Command::EndWrapUp { item, by, disposition: None }).await;
    assert_eq!(next(&mut deliveries).await.event, "wrap_up_ended");
    assert_eq!(next(&mut deliveries).await.event, "completed");
    world.stop().await;
}

#[tokio::test]
async fn after_a_restart_only_what_was_not_settled_comes_again() {
    let mut ports = Ports::default();
    let mut deliveries =
        script::callback(&mut ports, |delivery| match delivery.external_id.as_str() {
            "L-2" => DeliveryOutcome::Retry(Error::throttled(
                "later",
                Some(std::time::Duration::from_hours(1)),
            )),
            _ => DeliveryOutcome::Done,
        });
    let spec = with_callback(&["captured", "held"]);
    let world = World::start(spec.clone(), ports).await;
    let records: Vec<_> = (1..=3).map(|n| json!({"external_id": format!("L-{n}")})).collect();
    let outcomes = world.capture(records.into()).await;
    let crate::Settled::Accepted { item, .. } = outcomes[1].settled else { panic!("accepted") };
    for _ in 0..3 {
        next(&mut deliveries).await;
    }
    world
        .until_stored(|| async { world.store.lanes(&"crm".into()).await.unwrap().len() == 1 })
        .await;
    world.command(Command::Hold { item, reason: "wait".into() }).await;
    let folder = world.crash().await;

    let mut ports = Ports::default();
    let mut deliveries = script::callback(&mut ports, |_| DeliveryOutcome::Done);
    let world = World::start_in(folder, spec, ports).await;
    let new = world.create(json!({"external_id": "L-4"})).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(delivery.item_id, new.as_u64(), "L-2 still waits for its hour");
    let lanes = world.store.lanes(&"crm".into()).await.unwrap();
    assert_eq!(lanes.len(), 1);
    assert_eq!((lanes[0].key.item, lanes[0].attempts), (item, 1));
    world.stop().await;
}

#[tokio::test]
async fn items_of_other_sources_are_not_told() {
    let mut ports = Ports::default();
    let mut deliveries = script::callback(&mut ports, |_| DeliveryOutcome::Done);
    let mut spec = with_callback(&["captured"]);
    let mut other = super::world::capture();
    other.source = None;
    spec.captures.insert("shop".into(), other);
    let world = World::start(spec, ports).await;
    let body = bytes::Bytes::from(r#"{"external_id": "S-1"}"#);
    world.pipeline.capture_json("shop", body, None).await.unwrap();
    world.create(json!({"external_id": "L-1"})).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(delivery.external_id, "L-1");
    all_settled(&world, &delivery).await;
    assert!(deliveries.try_recv().is_err());
    world.stop().await;
}

#[tokio::test]
async fn a_late_callback_does_not_confirm_a_later_assignment() {
    let mut ports = Ports::default();
    let go = Arc::new(AtomicUsize::new(0));
    let gate = Arc::clone(&go);
    let mut deliveries = script::callback(&mut ports, move |delivery| {
        if delivery.attempt == 1 && gate.load(Ordering::SeqCst) == 0 {
            return DeliveryOutcome::Refused(Error::permanent("closed"));
        }
        DeliveryOutcome::Done
    });
    let mut spec = with_callback(&["done"]);
    spec.captures.get_mut("leads").unwrap().confirm = Confirm::Callback;
    let world = World::start(spec, ports).await;
    world.agent("anna").await;
    let item = world.create(json!({"external_id": "L-1"})).await;
    world.accept_and_finish(item, "anna").await;
    next(&mut deliveries).await;
    world.until_stored(|| async { world.dead_letters().await.len() == 1 }).await;

    // The source sends the item round again, and it is done a second time.
    world.command(Command::Restart { item, force: true }).await;
    world.accept_and_finish(item, "anna").await;
    let letter = world.dead_letters().await[0].row.id.clone();
    go.store(1, Ordering::SeqCst);
    let user = Actor::User("ops".into());
    world.pipeline.retry_dead_letter(&letter, None, user).await.unwrap();
    let (first, second) = (next(&mut deliveries).await, next(&mut deliveries).await);
    assert!(first.sequence < second.sequence);
    all_settled(&world, &second).await;
    let history = world.store.history(item).await.unwrap();
    let completed = history.iter().filter(|entry| entry.entry.event.name() == "completed");
    assert_eq!(completed.count(), 1);
    let seq_of =
        |name: &str| history.iter().rfind(|entry| entry.entry.event.name() == name).unwrap().seq;
    assert!(seq_of("completed") > seq_of("done"));
    assert_eq!(world.item(item).await.life_cycle, LifeCycle::Completed);
    world.stop().await;
}

#[tokio::test]
async fn a_callback_that_is_down_as_a_whole_loses_nothing() {
    let mut ports = Ports::default();
    let mut deliveries = script::failing_callback(&mut ports, 3);
    let world = World::start(with_callback(&["captured", "held"]), ports).await;
    let item = world.create(json!({"external_id": "L-1"})).await;
    world.command(Command::Hold { item, reason: "wait".into() }).await;
    assert_eq!(short(&next(&mut deliveries).await), "captured 1");
    assert_eq!(short(&next(&mut deliveries).await), "held 1");
    let status = &world.pipeline.status().callbacks["crm"];
    assert_eq!((status.retried, status.dead), (0, 0), "no event is to blame");
    assert_eq!(status.health.last_error.as_ref().unwrap().message, "no instance");
    world.stop().await;
}

#[tokio::test]
async fn what_waits_for_a_source_goes_as_soon_as_a_poll_of_it_gets_through() {
    let mut ports = Ports::default();
    let mut source = script::capture_point(&mut ports, CaptureMode::Poll, None);
    let failures = AtomicUsize::new(3);
    let mut deliveries = script::callback(&mut ports, move |_| {
        let failing = |n: usize| n.checked_sub(1);
        match failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, failing) {
            Ok(_) => DeliveryOutcome::Retry(Error::transient("no route to host")),
            Err(_) => DeliveryOutcome::Done,
        }
    });
    let mut spec = with_callback(&["captured"]);
    spec.captures.get_mut("leads").unwrap().every = Some(Millis(1));
    // By themselves they would go after an hour.
    let limits = Limits { callback_pauses: vec![Duration::from_hours(1)], ..quick() };
    let world = World::start_with(tempfile::tempdir().unwrap(), spec, ports, limits).await;
    let leads =
        (1..=3).map(|n| record(&json!({"external_id": format!("L-{n}")}), &format!("p{n}")));
    source.asked().await;
    source.give(Ok(batch(leads.collect()))).await;
    for _ in 0..3 {
        assert_eq!(short(&next(&mut deliveries).await), "captured 1");
    }
    source.told().await;
    world
        .until_stored(|| async { world.store.lanes(&"crm".into()).await.unwrap().len() == 3 })
        .await;
    source.asked().await;
    source.give(Ok(batch(Vec::new()))).await;
    for _ in 0..3 {
        assert_eq!(short(&next(&mut deliveries).await), "captured 2");
    }
    world
        .until_stored(|| async { world.store.lanes(&"crm".into()).await.unwrap().is_empty() })
        .await;
    world.stop().await;
}
