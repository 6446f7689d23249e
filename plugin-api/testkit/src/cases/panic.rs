//! A panic ends one operation and one instance, and strange input is no reason for one.

use gantry_plugin_host::State;
use gantry_plugin_host::api::ErrorClass;

use crate::bench::{Bench, Operation};
use crate::case::{Outcome, Works as _, ensure, in_words, skip};

cases! {
    "panic/check", "A panic in `check` ends one operation and one instance",
    "do not abort on a panic; answer with status 10", in_check;
    "panic/poll", "A panic in `poll` ends one operation and one instance",
    "do not abort on a panic; answer with status 10", in_poll;
    "panic/stream", "A panic in `stream` ends one operation and one instance",
    "do not abort on a panic; answer with status 10", in_stream;
    "panic/http", "A panic in `http` ends one operation and one instance",
    "do not abort on a panic; answer with status 10", in_http;
    "panic/acknowledge", "A panic in `acknowledge` ends one operation and one instance",
    "do not abort on a panic; answer with status 10", in_acknowledge;
    "panic/lookup", "A panic in `lookup` ends one operation and one instance",
    "do not abort on a panic; answer with status 10", in_lookup;
    "panic/deliver", "A panic in `deliver` ends one operation and one instance",
    "do not abort on a panic; answer with status 10", in_deliver;
}

async fn in_check(bench: &Bench) -> Outcome {
    panics(bench, Operation::Check).await
}

async fn in_poll(bench: &Bench) -> Outcome {
    panics(bench, Operation::Poll).await
}

async fn in_stream(bench: &Bench) -> Outcome {
    panics(bench, Operation::Stream).await
}

async fn in_http(bench: &Bench) -> Outcome {
    panics(bench, Operation::Http).await
}

async fn in_acknowledge(bench: &Bench) -> Outcome {
    panics(bench, Operation::Acknowledge).await
}

async fn in_lookup(bench: &Bench) -> Outcome {
    panics(bench, Operation::Lookup).await
}

async fn in_deliver(bench: &Bench) -> Outcome {
    panics(bench, Operation::Deliver).await
}

async fn panics(bench: &Bench, operation: Operation) -> Outcome {
    let switch = bench.script.provoke.panic.as_ref();
    let switch =
        switch.ok_or_else(|| skip("needs a switch: `[provoke.panic]` in the test file"))?;
    let (_well, beside) = bench.operation(operation, None).await?;
    let (instance, call) = bench.operation(operation, Some(switch)).await?;
    let expected = "an error of class `panic`";
    match call.run().await {
        Ok(_) => return ensure(false, expected, || "it went well".to_owned()),
        Err(error) => {
            ensure(error.class() == ErrorClass::Panic, expected, || in_words(&error))?;
        }
    }
    let state = instance.health().state;
    let seen = || format!("{state:?}");
    ensure(state == State::Poisoned, "the instance is not used again", seen)?;
    beside.run().await.works("another instance goes on").map(drop)
}
