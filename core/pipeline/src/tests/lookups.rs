//! Look-ups: answers, failure policies, cache, stages, runs that the item overtakes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gantry_model::spec::{LookupSpec, OnFailure, Spec};
use gantry_model::{AttributeType, Command, Hold, ItemId, LifeCycle, Millis, Origin, Value};
use gantry_plugin_host::api::ErrorClass;
use serde_json::json;
use tokio::sync::Semaphore;

use super::script;
use super::world::{World, lookup, spec};
use crate::pipeline::Ports;
use crate::port::Trouble;

fn with_lookup(lookup: LookupSpec) -> Spec {
    Spec { lookups: [("nps".into(), lookup)].into(), ..spec() }
}

async fn queued(world: &World, item: ItemId) {
    world.until(item, |item| item.is_some_and(|item| item.life_cycle == LifeCycle::Queued)).await;
}

async fn nps(world: &World, item: ItemId) -> Option<Value> {
    world.document(item).await.attributes.get("nps").cloned()
}

#[tokio::test]
async fn an_answer_becomes_an_attribute_and_the_item_is_queued() {
    let mut ports = Ports::default();
    let asked = script::lookup(&mut ports, "nps", |_, question| async move {
        assert_eq!(question, json!({"customer_id": "C-1"}), "only what the settings name");
        Ok(Some(json!({"nps": 9, "not": "promised"})))
    });
    let world = World::start(with_lookup(lookup(OnFailure::Continue)), ports).await;
    let item = world.create(json!({"external_id": "L-1", "customer_id": "C-1", "name": "x"})).await;
    queued(&world, item).await;
    let document = world.document(item).await;
    assert_eq!(document.attributes.get("nps"), Some(&Value::Integer(9)));
    assert_eq!(document.origins.get("nps"), Some(&Origin::Lookup("nps".into())));
    assert!(!document.attributes.contains_key("not"));
    assert_eq!(world.item(item).await.revision, 2);

    // Without the attribute that its condition wants, nothing is asked, and the item is queued in
    // the same commit.
    let plain = world.create(json!({"external_id": "L-2"})).await;
    assert_eq!(world.item(plain).await.life_cycle, LifeCycle::Queued);
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    // An update that changes nothing the look-up is asked with asks nothing; another one does.
    world.capture(json!({"external_id": "L-1", "name": "y"})).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(nps(&world, item).await, Some(Value::Integer(9)));
    world.stop().await;
}

#[tokio::test]
async fn a_failure_goes_on_without_or_with_the_default_or_holds_and_tries_again() {
    let default = OnFailure::Default([("nps".into(), json!(5))].into());
    for (policy, expected) in [(OnFailure::Continue, None), (default, Some(Value::Integer(5)))] {
        let mut ports = Ports::default();
        let asked = script::lookup(&mut ports, "nps", |_, _| async {
            Err(Trouble::new(ErrorClass::Transient, "down"))
        });
        let world = World::start(with_lookup(lookup(policy)), ports).await;
        let item = world.create(json!({"external_id": "L-1", "customer_id": "C-1"})).await;
        queued(&world, item).await;
        assert_eq!(nps(&world, item).await, expected);
        assert_eq!(asked.load(Ordering::SeqCst), 2, "one retry");
        assert_eq!(world.pipeline.status().lookups["nps"].failed, 1);
        world.stop().await;
    }

    let mut ports = Ports::default();
    let repaired = Arc::new(Semaphore::new(0));
    let repair = Arc::clone(&repaired);
    script::lookup(&mut ports, "nps", move |_, _| {
        let works = repair.available_permits() > 0;
        async move {
            if works {
                return Ok(Some(json!({"nps": 7})));
            }
            Err(Trouble::new(ErrorClass::Transient, "down"))
        }
    });
    let policy = OnFailure::Hold { retry: Millis(20) };
    let world = World::start(with_lookup(lookup(policy)), ports).await;
    let item = world.create(json!({"external_id": "L-1", "customer_id": "C-1"})).await;
    world
        .until(item, |item| {
            item.is_some_and(|item| {
                matches!(&item.hold, Hold::Error { reason, retry_at: Some(_), .. }
                    if reason.contains("nps") && reason.contains("down"))
            })
        })
        .await;
    repaired.add_permits(1);
    queued(&world, item).await;
    assert_eq!(nps(&world, item).await, Some(Value::Integer(7)));
    world.stop().await;
}

#[tokio::test]
async fn a_look_up_that_never_answers_is_given_up_and_blocks_nobody() {
    let mut ports = Ports::default();
    script::lookup(&mut ports, "nps", |_, question| async move {
        if question == json!({"customer_id": "C-hangs"}) {
            std::future::pending::<()>().await;
        }
        Ok(Some(json!({"nps": 1})))
    });
    let spec = LookupSpec { timeout: Millis(200), retries: 0, ..lookup(OnFailure::Continue) };
    let world = World::start(with_lookup(spec), ports).await;
    let hangs = world.create(json!({"external_id": "L-1", "customer_id": "C-hangs"})).await;
    let other = world.create(json!({"external_id": "L-2", "customer_id": "C-2"})).await;
    queued(&world, other).await;
    assert_eq!(nps(&world, other).await, Some(Value::Integer(1)));
    queued(&world, hangs).await;
    assert_eq!(nps(&world, hangs).await, None);
    let error = world.pipeline.status().lookups["nps"].health.last_error.clone().unwrap();
    assert!(error.message.contains("did not answer within 200 ms"), "{error:?}");
    world.stop().await;
}

#[tokio::test]
async fn equal_questions_are_asked_once_while_the_answer_is_kept() {
    let mut ports = Ports::default();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let asked = script::lookup(&mut ports, "nps", move |_, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(None)
        }
    });
    let cache = Some(Millis::from_secs(600));
    let world =
        World::start(with_lookup(LookupSpec { cache, ..lookup(OnFailure::Continue) }), ports).await;
    let one = world.create(json!({"external_id": "L-1", "customer_id": "C-1"})).await;
    let two = world.create(json!({"external_id": "L-2", "customer_id": "C-1"})).await;
    go.add_permits(1);
    queued(&world, one).await;
    queued(&world, two).await;
    let three = world.create(json!({"external_id": "L-3", "customer_id": "C-1"})).await;
    queued(&world, three).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(world.pipeline.status().lookups["nps"].cached, 2);
    world.stop().await;
}

#[tokio::test]
async fn a_look_up_that_names_what_another_yields_comes_after_it() {
    let mut ports = Ports::default();
    script::lookup(&mut ports, "nps", |_, _| async { Ok(Some(json!({"nps": 3}))) });
    script::lookup(&mut ports, "offer", |_, question| async move {
        assert_eq!(question, json!({"nps": 3}));
        Ok(Some(json!({"discount": 10})))
    });
    let offer = LookupSpec {
        settings: json!({"query": "SELECT discount FROM offer WHERE nps <= :nps"}),
        when: None,
        yields: [("discount".into(), AttributeType::Integer)].into(),
        ..lookup(OnFailure::Continue)
    };
    let lookups = [("nps".into(), lookup(OnFailure::Continue)), ("offer".into(), offer)];
    let world = World::start(Spec { lookups: lookups.into(), ..spec() }, ports).await;
    let item = world.create(json!({"external_id": "L-1", "customer_id": "C-1"})).await;
    queued(&world, item).await;
    let document = world.document(item).await;
    assert_eq!(document.attributes.get("discount"), Some(&Value::Integer(10)));
    world.stop().await;
}

#[tokio::test]
async fn a_run_that_the_item_overtook_is_dropped_and_made_again() {
    let mut ports = Ports::default();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let asked = script::lookup(&mut ports, "nps", move |n, question| {
        let gate = Arc::clone(&gate);
        async move {
            if n == 0 {
                gate.acquire().await.unwrap().forget();
            }
            let nps = if question == json!({"customer_id": "C-1"}) { 1 } else { 2 };
            Ok(Some(json!({"nps": nps})))
        }
    });
    let world = World::start(with_lookup(lookup(OnFailure::Continue)), ports).await;
    let item = world.create(json!({"external_id": "L-1", "customer_id": "C-1"})).await;
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let changed = world.capture(json!({"external_id": "L-1", "customer_id": "C-2"})).await;
    assert!(changed[0].settled.is_final());
    go.add_permits(1);
    queued(&world, item).await;
    assert_eq!(nps(&world, item).await, Some(Value::Integer(2)));
    assert_eq!(world.pipeline.status().runs.stale, 1);
    world.stop().await;
}

#[tokio::test]
async fn open_runs_are_made_after_a_restart() {
    let mut ports = Ports::default();
    let asked = script::lookup(&mut ports, "nps", |_, _| async {
        std::future::pending::<()>().await;
        Ok(None)
    });
    let spec =
        with_lookup(LookupSpec { timeout: Millis::from_secs(600), ..lookup(OnFailure::Continue) });
    let world = World::start(spec.clone(), ports).await;
    let item = world.create(json!({"external_id": "L-1", "customer_id": "C-1"})).await;
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let folder = world.crash().await;

    let mut ports = Ports::default();
    script::lookup(&mut ports, "nps", |_, _| async { Ok(Some(json!({"nps": 4}))) });
    let world = World::start_in(folder, spec, ports).await;
    queued(&world, item).await;
    assert_eq!(nps(&world, item).await, Some(Value::Integer(4)));

    // A restart of the item asks anew, and an answer that is gone takes its attribute along.
    let folder = world.stop().await;
    let mut ports = Ports::default();
    script::lookup(&mut ports, "nps", |_, _| async { Ok(None) });
    let world = World::start_in(folder, with_lookup(lookup(OnFailure::Continue)), ports).await;
    world.command(Command::Restart { item, force: false }).await;
    queued(&world, item).await;
    assert_eq!(nps(&world, item).await, None);
    world.stop().await;
}

#[test]
fn a_look_up_that_keeps_failing_is_left_alone_for_a_while() {
    let pause = Duration::from_secs(10);
    let breaker = crate::enrich::breaker::Breaker::new(2, pause);
    let now = tokio::time::Instant::now();
    breaker.failed(now);
    assert_eq!(breaker.check(now), Ok(()));
    breaker.failed(now);
    assert_eq!(breaker.check(now), Err(pause));
    assert_eq!(breaker.check(now + pause), Ok(()), "one trial");
    assert_eq!(breaker.check(now + pause), Err(pause), "and only one");
    breaker.succeeded();
    assert_eq!(breaker.check(now), Ok(()));
}
