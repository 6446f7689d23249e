//! Callbacks: each event takes effect once, however often it is told.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use gantry_plugin_host::CallbackHandle;
use gantry_plugin_host::api::message::{Json, RoleName};
use gantry_plugin_host::api::{Delivery, DeliveryOutcome};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::case::{Outcome, Stop, Works as _, ensure, fail, skip};
use crate::proxy::Mood;
use crate::script;

cases! {
    "callback/examples", "The test file's deliveries are done",
    "correct the test file, or what `deliver` does", examples;
    "callback/arrives", "What is done has taken effect in the source",
    "answer `Done` only when the source has taken it", arrives;
    "callback/again", "A delivery that comes again is done, and takes effect once",
    "send the idempotency key along, or remember it in the source", again;
    "callback/again_after_restart", "Also by a new instance it takes effect once",
    "keep idempotency keys in the source, not in memory", again_after_restart;
    "callback/twice_in_a_batch", "Twice in one batch it takes effect once",
    "look for the key within the batch, too", twice_in_a_batch;
    "callback/none", "No deliveries get no outcomes",
    "give as many outcomes as there are deliveries, also if there are none", none;
    "callback/concurrent", "Eight calls at once are done as one is",
    "share nothing between calls that another one could change", concurrent;
    "callback/one_bad", "A delivery that the source does not take fails alone",
    "give an outcome for each delivery; do not stop at the first that fails", one_bad;
    "callback/odd_details", "No details panic, whatever they are",
    "answer what makes no sense with `Refused`", odd_details;
    "callback/check_tells_nothing", "`check` tells the source of no event",
    "let `check_settings` connect, and change nothing", check_tells_nothing;
    "callback/down", "While the source is down, deliveries have to be tried again",
    "answer `Retry` when the source cannot be reached, never `Done` or `Refused`", down;
}

fn told(bench: &Bench) -> Result<Vec<&script::Delivery>, Stop> {
    bench.needs(RoleName::Callback)?;
    let told = bench.script.callback.iter().flat_map(|callback| &callback.deliveries);
    let told: Vec<_> = told.filter(|delivery| !delivery.fails).collect();
    if told.is_empty() {
        return Err(skip("needs `[[callback.delivery]]` in the test file"));
    }
    Ok(told)
}

/// The test file's deliveries, with new keys.
fn deliveries(bench: &Bench) -> Result<Vec<Delivery>, Stop> {
    Ok(told(bench)?.into_iter().map(|told| bench.delivery(told)).collect())
}

async fn deliver(
    callback: &CallbackHandle,
    deliveries: &[Delivery],
) -> Result<Vec<DeliveryOutcome>, Stop> {
    callback.deliver(deliveries).await.works("as many outcomes as deliveries")
}

fn in_words(outcome: &DeliveryOutcome) -> String {
    match outcome {
        DeliveryOutcome::Done => "done".to_owned(),
        DeliveryOutcome::AlreadyDone => "already done".to_owned(),
        DeliveryOutcome::Retry(error) => format!("retry: class `{}`: {error}", error.class()),
        DeliveryOutcome::Refused(error) => format!("refused: class `{}`: {error}", error.class()),
        _ => "an outcome of a later version".to_owned(),
    }
}

fn is_done(outcome: &DeliveryOutcome) -> bool {
    matches!(outcome, DeliveryOutcome::Done | DeliveryOutcome::AlreadyDone)
}

fn all_done(outcomes: &[DeliveryOutcome]) -> Outcome {
    outcomes.iter().try_for_each(|outcome| ensure(is_done(outcome), "done", || in_words(outcome)))
}

/// Each of them has taken effect once.
fn once(bench: &Bench, deliveries: &[Delivery]) -> Outcome {
    let took_effect: BTreeMap<String, usize> = bench.delivered()?;
    deliveries.iter().try_for_each(|delivery| {
        let key = &delivery.idempotency_key;
        let n = took_effect.get(key).copied().unwrap_or(0);
        ensure(n == 1, "each event takes effect once", || format!("`{key}`: {n} times"))
    })
}

async fn examples(bench: &Bench) -> Outcome {
    let deliveries = deliveries(bench)?;
    let (_instance, callback) = bench.callback().await?;
    all_done(&deliver(&callback, &deliveries).await?)
}

async fn arrives(bench: &Bench) -> Outcome {
    let deliveries = deliveries(bench)?;
    bench.delivered()?;
    let (_instance, callback) = bench.callback().await?;
    all_done(&deliver(&callback, &deliveries).await?)?;
    once(bench, &deliveries)
}

async fn again(bench: &Bench) -> Outcome {
    let mut deliveries = deliveries(bench)?;
    bench.delivered()?;
    let (_instance, callback) = bench.callback().await?;
    for attempt in 1..=3 {
        for delivery in &mut deliveries {
            delivery.attempt = attempt;
        }
        all_done(&deliver(&callback, &deliveries).await?)?;
    }
    once(bench, &deliveries)
}

async fn again_after_restart(bench: &Bench) -> Outcome {
    let deliveries = deliveries(bench)?;
    bench.delivered()?;
    for _ in 0..2 {
        let (instance, callback) = bench.callback().await?;
        all_done(&deliver(&callback, &deliveries).await?)?;
        instance.stop().await.works("`stop` goes well")?;
    }
    once(bench, &deliveries)
}

async fn twice_in_a_batch(bench: &Bench) -> Outcome {
    let mut deliveries = deliveries(bench)?;
    bench.delivered()?;
    deliveries.truncate(1);
    deliveries.push(deliveries[0].clone());
    let (_instance, callback) = bench.callback().await?;
    all_done(&deliver(&callback, &deliveries).await?)?;
    once(bench, &deliveries[..1])
}

async fn none(bench: &Bench) -> Outcome {
    let (_instance, callback) = bench.callback().await?;
    deliver(&callback, &[]).await.map(drop)
}

async fn concurrent(bench: &Bench) -> Outcome {
    let (_instance, callback) = bench.callback().await?;
    let batches = (0..8).map(|_| deliveries(bench)).collect::<Result<Vec<_>, _>>()?;
    for outcomes in join_all(batches.iter().map(|batch| deliver(&callback, batch))).await {
        all_done(&outcomes?)?;
    }
    match batches.iter().try_for_each(|batch| once(bench, batch)) {
        Err(Stop::Skip(_)) => Ok(()), // the upstream cannot tell
        counted => counted,
    }
}

async fn one_bad(bench: &Bench) -> Outcome {
    let good = deliveries(bench)?;
    let bad = bench.script.callback.iter().flat_map(|callback| &callback.deliveries);
    let bad = bad.filter(|delivery| delivery.fails).collect::<Vec<_>>();
    let Some(bad) = bad.first() else {
        return Err(skip("needs a `[[callback.delivery]]` with `fails = true` in the test file"));
    };
    let (_instance, callback) = bench.callback().await?;
    let mut all = good;
    all.insert(0, bench.delivery(bad));
    let outcomes = deliver(&callback, &all).await?;
    let first = &outcomes[0];
    ensure(!is_done(first), "an error for the one that fails", || in_words(first))?;
    all_done(&outcomes[1..])
}

async fn odd_details(bench: &Bench) -> Outcome {
    let (_instance, callback) = bench.callback().await?;
    let values = [
        json!({}),
        json!({ "disposition": null }),
        json!({ "disposition": ["a", { "b": 1 }], "reason": "'; --\u{0}\u{1f9ed}" }),
        json!({ "number": u64::MAX, "text": "a".repeat(10_000) }),
    ];
    let odd = |value: &Value| {
        let mut delivery = bench.delivery(&script::Delivery::default());
        delivery.details = Json::from_bytes(value.to_string());
        delivery.attributes = Json::from_bytes(value.to_string());
        delivery
    };
    let odd: Vec<_> = values.iter().map(odd).collect();
    // Each may fail, but the call does not.
    deliver(&callback, &odd).await.map(drop)
}

async fn check_tells_nothing(bench: &Bench) -> Outcome {
    let (_instance, callback) = bench.callback().await?;
    let before = bench.delivered()?;
    callback.check().await.works("`check_settings` goes well")?;
    let after = bench.delivered()?;
    ensure(before == after, "no event", || format!("{} more", after.len() - before.len()))
}

async fn down(bench: &Bench) -> Outcome {
    let deliveries = deliveries(bench)?;
    bench.needs_proxy()?;
    let (_instance, callback) = bench.callback().await?;
    let told = async { Ok(callback.deliver(&deliveries).await) };
    match bench.while_network_is(Mood::Down, told).await? {
        Err(_) => Ok(()), // the hub tries a call that failed again, too
        Ok(outcomes) => outcomes.iter().try_for_each(|outcome| match outcome {
            DeliveryOutcome::Retry(_) => Ok(()),
            other => Err(fail("retry", in_words(other))),
        }),
    }
}
