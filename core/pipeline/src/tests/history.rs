//! The look-up of a customer's earlier items, which the hub answers itself.

use gantry_model::spec::{HISTORY_YIELDS, LookupSpec, SOURCE_HUB, SegmentRule, Spec};
use gantry_model::{ItemId, LifeCycle, Millis, Origin, Value};
use serde_json::json;

use super::world::{World, spec};
use crate::pipeline::Ports;

fn with_history() -> Spec {
    let lookup = LookupSpec {
        source: SOURCE_HUB.into(),
        settings: json!({"key": "customer_id"}),
        when: Some("has(item.customer_id)".into()),
        yields: HISTORY_YIELDS.map(|(name, kind)| (name.into(), kind)).into(),
        timeout: Millis::from_secs(20),
        cache: Some(Millis::from_secs(600)),
        ..LookupSpec::default()
    };
    let last_agent = SegmentRule {
        id: "same-agent".into(),
        when: Some("has(item.last_agent)".into()),
        set: [("preferred_agent".into(), "item.last_agent".into())].into(),
        ..SegmentRule::default()
    };
    Spec { lookups: [("history".into(), lookup)].into(), segmentation: vec![last_agent], ..spec() }
}

async fn settled(world: &World, item: ItemId) {
    let queued = |item: &gantry_model::WorkItem| item.life_cycle == LifeCycle::Queued;
    world.until(item, move |item| item.is_some_and(|item| queued(item) && !item.run_open)).await;
}

#[tokio::test]
async fn earlier_items_of_the_customer_tell_who_worked_on_them_and_with_what_result() {
    let world = World::start(with_history(), Ports::default()).await;
    let first = world.create(json!({"external_id": "L-1", "customer_id": "C-1"})).await;
    settled(&world, first).await;
    let document = world.document(first).await;
    assert_eq!(document.attributes["open_items"], Value::Integer(0), "it does not count itself");
    assert!(!document.attributes.contains_key("last_agent"));
    assert_eq!(world.item(first).await.preferred_agent, None);

    world.agent("ann").await;
    world.accept_and_finish(first, "ann").await;
    let other = world.create(json!({"external_id": "L-2", "customer_id": "C-2"})).await;
    settled(&world, other).await;
    assert_eq!(world.document(other).await.attributes["open_items"], Value::Integer(0));

    let second = world.create(json!({"external_id": "L-3", "customer_id": "C-1"})).await;
    settled(&world, second).await;
    let document = world.document(second).await;
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(document.attributes["last_agent"], text("ann"));
    assert_eq!(document.attributes["last_disposition"], text("Processed"));
    assert_eq!(document.attributes["open_items"], Value::Integer(1), "its confirmation is awaited");
    assert!(matches!(document.attributes["last_contact_at"], Value::Timestamp(_)));
    assert_eq!(document.origins["last_agent"], Origin::Lookup("history".into()));
    let preferred = world.item(second).await.preferred_agent;
    assert_eq!(preferred.as_deref(), Some("ann"));

    // The first item is completed; and the second turns out to be about somebody else.
    world.capture(json!({"external_id": "L-1", "message": "complete"})).await;
    world.capture(json!({"external_id": "L-3", "customer_id": "C-2"})).await;
    settled(&world, second).await;
    let third = world.create(json!({"external_id": "L-4", "customer_id": "C-1"})).await;
    settled(&world, third).await;
    let document = world.document(third).await;
    assert_eq!(document.attributes["open_items"], Value::Integer(0));
    assert_eq!(document.attributes["last_agent"], text("ann"));
    let fourth = world.create(json!({"external_id": "L-5", "customer_id": "C-2"})).await;
    settled(&world, fourth).await;
    assert_eq!(world.document(fourth).await.attributes["open_items"], Value::Integer(2));
    world.stop().await;
}
