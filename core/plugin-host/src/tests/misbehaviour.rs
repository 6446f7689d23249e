//! Plug-ins that panic, hang or break the protocol: one operation or instance is hurt, nobody else.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use gantry_plugin_api::{Delivery, ErrorClass, HttpRequest, Json, Query};

use super::support::{Folder, misbehaving, told};
use crate::ops::{Emitted, Flights, OpTable, Reply};
use crate::transport::Body;
use crate::{CallError, CaptureHandle, Instance, Library, State};

/// Runs one operation told to misbehave.
async fn run(instance: &Instance, operation: &str, behaviour: &str) -> Result<(), CallError> {
    let settings = told(behaviour);
    match operation {
        "check" => instance.check().await,
        "lookup" => {
            let queries = [Query::new(Json::default())];
            instance.attach_lookup("l", settings).await?.lookup(&queries).await.map(drop)
        }
        "deliver" => {
            let deliveries = [Delivery::new("k", "captured", 1, "A-1")];
            instance.attach_callback("c", settings).await?.deliver(&deliveries).await.map(drop)
        }
        capture => run_capture(&instance.attach_capture("c", settings).await?, capture).await,
    }
}

async fn run_capture(capture: &CaptureHandle, operation: &str) -> Result<(), CallError> {
    match operation {
        "poll" => capture.poll(None, 1).await.map(drop),
        "http" => capture.http(&HttpRequest::new("POST", "/", "")).await.map(drop),
        "acknowledge" => capture.acknowledge(Vec::new()).await,
        "stream" => capture.stream(None, 1)?.next().await.expect("an error").map(drop),
        other => panic!("no operation {other}"),
    }
}

const OPERATIONS: [&str; 7] =
    ["check", "poll", "stream", "http", "acknowledge", "lookup", "deliver"];

async fn told_to(library: &Arc<Library>, behaviour: &str) -> Instance {
    misbehaving(library, &format!(r#"{{"behaviour": "{behaviour}"}}"#)).await
}

#[tokio::test]
async fn a_panic_in_any_operation_poisons_its_instance_and_no_other() {
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    let healthy = misbehaving(&library, "{}").await;
    for behaviour in ["panic", "panic_later"] {
        for operation in OPERATIONS {
            let instance = told_to(&library, behaviour).await;
            let error = run(&instance, operation, behaviour).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Panic, "{operation}: {error}");
            let text = std::error::Error::source(&error).expect("the plug-in's words").to_string();
            assert!(text.starts_with("plug-in panicked: told to panic"), "{operation}: {text}");
            assert_eq!(instance.health().state, State::Poisoned, "{operation}");

            let after = run(&instance, operation, "well").await.unwrap_err();
            assert!(matches!(after, CallError::Poisoned { .. }), "{operation}: {after}");
            run(&healthy, "poll", "well").await.unwrap();
        }
    }
    assert_eq!(library.n_violations(), 0);
}

#[tokio::test]
async fn a_panic_in_validate_or_create_is_an_error() {
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    let error = library.validate(None, told("panic"), &[]).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Panic);
    let error = library.create("crm", told("panic_twice"), &[]).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Panic);
    misbehaving(&library, "{}").await.check().await.unwrap();
}

#[tokio::test]
async fn a_panic_value_that_panics_when_dropped_is_a_panic_like_any_other() {
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    let instance = misbehaving(&library, "{}").await;
    let error = run(&instance, "poll", "panic_twice").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Panic);
}

#[tokio::test]
async fn a_dropped_call_calls_the_operation_off() {
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    for behaviour in ["hang", "panic_in_drop"] {
        let instance = misbehaving(&library, "{}").await;
        let capture = instance.attach_capture("a", told(behaviour)).await.unwrap();
        {
            let mut poll = std::pin::pin!(capture.poll(None, 1));
            let pending = poll.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(pending.is_pending());
            assert_eq!(instance.health().n_in_flight, 1);
        }
        // Nothing more is asked: the completion of the canceled operation ends this wait.
        instance.drain(Duration::from_secs(30)).await.unwrap();
        assert_eq!(instance.health().n_in_flight, 0);
    }
    assert_eq!(library.n_violations(), 0);
}

#[tokio::test]
async fn draining_calls_off_what_hangs() {
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    let instance = misbehaving(&library, "{}").await;
    let lookup = instance.attach_lookup("a", told("hang")).await.unwrap();
    let queries = [Query::new(Json::default())];
    let (answer, drained) =
        tokio::join!(lookup.lookup(&queries), instance.drain(Duration::from_secs(3)));
    drained.unwrap();
    assert_eq!(answer.unwrap_err().class(), ErrorClass::Canceled);
}

#[tokio::test]
async fn more_than_was_asked_for_is_a_protocol_error() {
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    let instance = misbehaving(&library, "{}").await;
    for operation in ["poll", "lookup", "deliver"] {
        let error = run(&instance, operation, "too_much").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Protocol, "{operation}: {error}");
    }
    assert_eq!(instance.health().state, State::Running);
}

#[tokio::test]
async fn after_shutdown_operations_fail_and_none_hangs() {
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    let instance = misbehaving(&library, "{}").await;
    let lookup = instance.attach_lookup("a", told("hang")).await.unwrap();
    let queries = [Query::new(Json::default())];
    let ending = Arc::clone(&library);
    let (hanging, ended) = tokio::join!(
        lookup.lookup(&queries),
        tokio::task::spawn_blocking(move || ending.shutdown(Duration::from_secs(30)))
    );
    ended.unwrap();
    assert_eq!(hanging.unwrap_err().class(), ErrorClass::Canceled);
    assert_eq!(instance.check().await.unwrap_err().class(), ErrorClass::Canceled);
}

#[test]
fn late_double_and_unknown_answers_are_counted_and_dropped() {
    let reply = || Reply { status: 0, body: Body::EMPTY };
    let (table, flights) = (OpTable::default(), Arc::new(Flights::default()));

    let done = table.open(&flights, None);
    table.complete(done, reply(), false);
    assert_eq!((table.n_violations(), flights.n()), (0, 0));
    table.complete(done, reply(), false);
    assert_eq!(table.n_violations(), 1, "double");

    table.complete(u64::MAX, reply(), false);
    table.complete(0, reply(), false);
    assert_eq!(table.n_violations(), 3, "unknown");

    let abandoned = table.open(&flights, None);
    table.abandon(abandoned);
    table.complete(abandoned, reply(), false);
    assert_eq!(table.n_violations(), 3, "the end of a canceled operation is expected");
    let next = table.open(&flights, None);
    assert_eq!(next as u32, abandoned as u32, "the place is used again");
    table.complete(abandoned, reply(), false);
    assert_eq!(table.n_violations(), 4, "late: it names the one before");
}

#[test]
fn a_batch_beyond_the_credit_is_refused() {
    let (table, flights) = (OpTable::default(), Arc::new(Flights::default()));
    let stream = table.open(&flights, Some(3));
    let emit = |op_id, cost| table.emit(op_id, cost, Body::EMPTY);
    assert_eq!(emit(stream, 2), Emitted::Taken);
    assert_eq!(emit(stream, 2), Emitted::Violation);
    assert!(table.grant(stream, 1));
    assert_eq!(emit(stream, 2), Emitted::Taken);
    assert_eq!(emit(stream, 0), Emitted::Violation, "a batch without records costs one");
    let call = table.open(&flights, None);
    assert_eq!(emit(call, 1), Emitted::Violation, "no stream");
    assert_eq!(table.n_violations(), 3);
    table.abandon(stream);
    assert_eq!(emit(stream, 1), Emitted::Unwanted);
    assert_eq!(table.n_violations(), 3, "it may not know yet that nobody listens");
}
