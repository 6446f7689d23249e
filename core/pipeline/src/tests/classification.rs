//! Rules over the life of an item: failures that are readable and tried again, updates, restarts,
//! decision tables, priorities as words.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use gantry_model::spec::{DecisionTable, LookupSpec, MessageKind, OnFailure, SegmentRule, Spec};
use gantry_model::{Actor, Command, Hold, ItemId, LifeCycle, Millis, Value, WorkItem};
use gantry_plugin_host::api::ErrorClass;
use serde_json::json;

use super::script;
use super::world::{World, lookup, spec, spec_with};
use crate::pipeline::Ports;
use crate::port::Trouble;
use crate::{Settled, Target};

/// A rule that fails where `score` is no number above 1, and a table that needs what it sets.
fn with_rules(spec: Spec) -> Spec {
    let score = SegmentRule {
        id: "by-score".into(),
        when: Some("has(item.custom.score)".into()),
        set: [("business_value".into(), "100 / (item.custom[\"score\"] - 1)".into())].into(),
        ..SegmentRule::default()
    };
    let cells = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
    let table = DecisionTable {
        id: "value".into(),
        columns: cells(&["id", "business_value", "set category"]),
        rows: vec![cells(&["high", ">= 50", "high"]), cells(&["low", "< 50", "low"])],
        ..DecisionTable::default()
    };
    Spec { segmentation: vec![score], decision_tables: vec![table], ..spec }
}

async fn held_for(world: &World, item: ItemId) -> String {
    let held = |item: &WorkItem| matches!(item.hold, Hold::Error { .. }) && !item.run_open;
    world.until(item, move |item| item.is_some_and(held)).await;
    match world.item(item).await.hold {
        Hold::Error { reason, .. } => reason,
        other => panic!("not error-held: {other:?}"),
    }
}

async fn queued(world: &World, item: ItemId) {
    let queued = |item: &WorkItem| {
        item.life_cycle == LifeCycle::Queued && item.hold == Hold::None && !item.run_open
    };
    world.until(item, move |item| item.is_some_and(queued)).await;
}

#[tokio::test]
async fn a_rule_that_fails_holds_the_item_with_the_reason_until_the_attributes_are_right() {
    let world = World::start(with_rules(spec()), Ports::default()).await;
    let item = world.create(json!({"external_id": "L-1", "score": 1})).await;
    let reason = "rule `by-score` cannot set attribute `business_value`: division by zero, in \
                  `100 / (item.custom[\"score\"] - 1)`";
    assert_eq!(held_for(&world, item).await, reason);

    // Resuming tries again, and fails again.
    let run = world.item(item).await.run;
    world.command(Command::Resume { item }).await;
    assert_eq!(held_for(&world, item).await, reason);
    assert_eq!(world.item(item).await.run, run + 1);

    world.capture(json!({"external_id": "L-1", "score": "much"})).await;
    let reason = held_for(&world, item).await;
    assert!(reason.contains("by-score") && reason.contains("text \"much\""), "{reason}");

    world.capture(json!({"external_id": "L-1", "score": 2})).await;
    queued(&world, item).await;
    let class = world.item(item).await.class.unwrap();
    assert_eq!(class.rules, ["by-score", "value.high"]);
    let document = world.document(item).await;
    assert_eq!(document.attributes["category"], Value::Text("high".into()));

    // Changed attributes are asked about anew, and so is a restarted item.
    world.capture(json!({"external_id": "L-1", "score": 11})).await;
    queued(&world, item).await;
    assert_eq!(world.item(item).await.class.unwrap().rules, ["by-score", "value.low"]);
    let run = world.item(item).await.run;
    world.command(Command::Restart { item, force: false }).await;
    queued(&world, item).await;
    assert_eq!(world.item(item).await.run, run + 1);
    assert_eq!(world.item(item).await.class.unwrap().rules, ["by-score", "value.low"]);
    world.stop().await;
}

#[tokio::test]
async fn an_item_that_waits_for_a_look_up_is_not_let_through_by_an_update() {
    let mut ports = Ports::default();
    let works = Arc::new(AtomicBool::new(false));
    let repaired = Arc::clone(&works);
    let asked = script::lookup(&mut ports, "nps", move |_, _| {
        let works = repaired.load(Ordering::SeqCst);
        async move {
            if works {
                return Ok(Some(json!({"nps": 7})));
            }
            Err(Trouble::new(ErrorClass::Permanent, "down"))
        }
    });
    let policy = OnFailure::Hold { retry: Millis::from_secs(3600) };
    let spec = Spec { lookups: [("nps".into(), lookup(policy))].into(), ..spec() };
    let world = World::start(spec, ports).await;
    let item = world.create(json!({"external_id": "L-1", "customer_id": "C-1"})).await;
    assert!(held_for(&world, item).await.contains("down"));

    // The question stays the same, but the answer is still missing.
    let before = asked.load(Ordering::SeqCst);
    world.capture(json!({"external_id": "L-1", "name": "x"})).await;
    assert!(held_for(&world, item).await.contains("down"));
    assert!(asked.load(Ordering::SeqCst) > before);

    works.store(true, Ordering::SeqCst);
    world.command(Command::Resume { item }).await;
    queued(&world, item).await;
    assert_eq!(world.document(item).await.attributes["nps"], Value::Integer(7));
    world.stop().await;
}

#[tokio::test]
async fn a_look_up_is_asked_with_each_update_only_where_its_config_says_so() {
    for (on_update, expected) in [(false, 1), (true, 2)] {
        let mut ports = Ports::default();
        let asked =
            script::lookup(&mut ports, "nps", |n, _| async move { Ok(Some(json!({"nps": n}))) });
        let lookup = LookupSpec { on_update, ..lookup(OnFailure::Continue) };
        let spec = Spec { lookups: [("nps".into(), lookup)].into(), ..spec() };
        let world = World::start(spec, ports).await;
        let item = world.create(json!({"external_id": "L-1", "customer_id": "C-1"})).await;
        queued(&world, item).await;
        world.capture(json!({"external_id": "L-1", "name": "x"})).await;
        queued(&world, item).await;
        assert_eq!(asked.load(Ordering::SeqCst), expected, "{on_update}");
        let nps = Value::Integer(i64::try_from(expected).unwrap() - 1);
        assert_eq!(world.document(item).await.attributes["nps"], nps, "{on_update}");
        world.stop().await;
    }
}

#[tokio::test]
async fn priorities_of_the_source_may_be_words_and_unknown_ones_are_refused() {
    let labels = [("high".into(), 900), ("low".into(), 100)];
    let spec = spec_with(|capture| capture.priority_labels = labels.into());
    let world = World::start(spec, Ports::default()).await;
    let item = world.create(json!({"external_id": "L-1", "priority": "High"})).await;
    assert_eq!(world.item(item).await.priority, Some(900));
    let outcomes = world.capture(json!({"external_id": "L-2", "priority": "urgent"})).await;
    let Settled::Refused { code, reason, .. } = &outcomes[0].settled else {
        panic!("{outcomes:?}");
    };
    assert_eq!(*code, "GANTRY-R010");
    assert!(reason.contains("high, low"), "{reason}");

    // By the API as by a record.
    let body = Bytes::from(json!({"priority": "low"}).to_string());
    let (actor, kind) = (Actor::User("admin".into()), MessageKind::Update);
    let target = Target::Item(item);
    world.pipeline.message(actor, target, kind, body, None).await.unwrap();
    assert_eq!(world.item(item).await.priority, Some(100));
    world.stop().await;
}

#[tokio::test]
async fn rules_may_read_when_an_item_was_captured_and_nobody_else_sets_it() {
    let due = SegmentRule {
        id: "due".into(),
        set: [("due_at".into(), "item.captured_at + duration(\"72h\")".into())].into(),
        ..SegmentRule::default()
    };
    let world = World::start(Spec { segmentation: vec![due], ..spec() }, Ports::default()).await;
    let forged = json!({"external_id": "L-1", "captured_at": "1990-01-01T00:00:00Z"});
    let item = world.create(forged).await;
    let captured = world.document(item).await.attributes["captured_at"].clone();
    let Value::Timestamp(at) = captured else { panic!("{captured:?}") };
    assert!(at <= world.item(item).await.captured_at && at.0 > 0);
    let due_at = Some(at.plus(Millis::from_secs(72 * 3600)));
    assert_eq!(world.item(item).await.due_at, due_at);
    let update = json!({"external_id": "L-1", "captured_at": "1991-01-01T00:00:00Z"});
    world.capture(update).await;
    assert_eq!(world.item(item).await.due_at, due_at);
    world.stop().await;

    // Where nobody asks for it, it is not kept.
    let world = World::start(spec(), Ports::default()).await;
    let item = world.create(json!({"external_id": "L-1"})).await;
    assert!(!world.document(item).await.attributes.contains_key("captured_at"));
    world.stop().await;
}
