//! Capture points by hand: positions that are moved, pause and resume.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use gantry_model::journal::Segment;
use gantry_model::{Actor, Event, Timestamp};
use gantry_plugin_host::api::{CaptureMode, Outcome};
use gantry_store::Store;

use super::feeding::{lead, outcomes, polled, polled_in, stored_position};
use super::script::{self, batch};
use super::world::{World, spec_with};
use crate::pipeline::Ports;
use crate::{CaptureError, Move, OperateError, State};

fn admin() -> Actor {
    Actor::User("admin".into())
}

fn set(position: &str) -> Move {
    Move::Set { source_partition: String::new(), position: position.into() }
}

fn rewind(to: Timestamp) -> Move {
    Move::Rewind { source_partition: None, to }
}

const RESET: Move = Move::Reset { source_partition: None };

/// Hub time has gone on by at least a millisecond since then.
async fn later(world: &World, than: Timestamp) -> Timestamp {
    while world.hub.now() <= than {
        tokio::task::yield_now().await;
    }
    world.hub.now()
}

/// Who operated capture points, from the journal.
async fn operated(world: &World) -> Vec<(Actor, Event)> {
    let mut operated = Vec::new();
    for row in world.store.segments(0, 1000).await.unwrap() {
        let segment = Segment::from_slice(&row.segment).unwrap();
        let entries = segment.entries.into_iter();
        let entries = entries.filter(|entry| entry.event.name() == "capture_operated");
        operated.extend(entries.map(|entry| (entry.actor, entry.event)));
    }
    operated
}

#[tokio::test]
async fn the_next_turn_reads_from_where_the_position_was_moved_to() {
    let (world, mut source) = polled().await;
    assert_eq!(source.asked().await, None);
    source.give(Ok(batch(vec![lead(1), lead(2)]))).await;
    source.told().await;
    assert_eq!(source.asked().await.as_deref(), Some("p2"));

    // The question that is open is called off; the next one starts from the new place.
    world.pipeline.move_position(admin(), "leads", set("p1")).await.unwrap();
    assert_eq!(stored_position(&world).await.as_deref(), Some("p1"));
    assert_eq!(source.asked().await.as_deref(), Some("p1"));
    source.give(Ok(batch(vec![lead(2), lead(3)]))).await;
    assert_eq!(outcomes(&source.told().await), [Outcome::Accepted; 2]);
    let counts = world.pipeline.status().captures["leads"].counts;
    assert_eq!((counts.created, counts.repeats), (3, 1));
    assert_eq!(source.asked().await.as_deref(), Some("p3"));

    world.pipeline.move_position(admin(), "leads", RESET).await.unwrap();
    assert_eq!(source.asked().await, None);
    let operated = operated(&world).await;
    assert_eq!(operated.len(), 2);
    assert!(operated.iter().all(|(actor, _)| *actor == admin()), "{operated:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_batch_that_was_taken_is_acknowledged_before_the_position_is_moved() {
    let (world, mut source) = polled().await;
    source.asked().await;
    source.may_acknowledge.forget_permits(1000);
    source.give(Ok(batch(vec![lead(1)]))).await;
    world.until_stored(|| async { stored_position(&world).await.is_some() }).await;
    let mut moving = Box::pin(world.pipeline.move_position(admin(), "leads", set("p7")));
    for _ in 0..100 {
        let moved = poll_fn(|cx| Poll::Ready(moving.as_mut().poll(cx).is_ready())).await;
        assert!(!moved, "the source has not been told yet");
        tokio::task::yield_now().await;
    }
    assert_eq!(stored_position(&world).await.as_deref(), Some("p1"));
    source.may_acknowledge.add_permits(1000);
    assert_eq!(outcomes(&source.told().await), [Outcome::Accepted]);
    moving.await.unwrap();
    // It may have asked once more before it was interrupted.
    while source.asked().await.as_deref() != Some("p7") {}
    world.stop().await;
}

#[tokio::test]
async fn a_stream_starts_again_from_the_new_place() {
    let mut ports = Ports::default();
    let mut source = script::capture_point(&mut ports, CaptureMode::Stream, None);
    let world = World::start(spec_with(|_| ()), ports).await;
    assert_eq!(source.asked().await, None);
    source.give(Ok(batch(vec![lead(1)]))).await;
    source.told().await;
    world.pipeline.move_position(admin(), "leads", set("p9")).await.unwrap();
    assert_eq!(source.asked().await.as_deref(), Some("p9"));
    world.stop().await;
}

#[tokio::test]
async fn a_source_is_rewound_to_where_it_stood_at_an_instant() {
    let (world, mut source) = polled().await;
    source.asked().await;
    let start = world.hub.now();
    later(&world, start).await;
    let mut moved = Vec::new();
    for place in ["p5", "p6", "p7"] {
        world.pipeline.move_position(admin(), "leads", set(place)).await.unwrap();
        assert_eq!(source.asked().await.as_deref(), Some(place));
        let at = world.hub.now();
        moved.push((at, place));
        later(&world, at).await;
    }
    for (at, place) in moved {
        world.pipeline.move_position(admin(), "leads", rewind(at)).await.unwrap();
        assert_eq!(source.asked().await.as_deref(), Some(place));
    }
    let before = world.pipeline.move_position(admin(), "leads", rewind(start)).await;
    assert!(matches!(before, Err(OperateError::NotKept { .. })), "{before:?}");
    assert_eq!(stored_position(&world).await.as_deref(), Some("p7"), "nothing changed");
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_moved_is_refused() {
    let (world, mut source) = polled().await;
    source.asked().await;
    let unknown = Some("eu".to_owned());
    for (to, says) in [
        (set(""), "1 to 4096 bytes"),
        (set(&"x".repeat(4097)), "1 to 4096 bytes"),
        (Move::Reset { source_partition: unknown }, "no position of source partition \"eu\""),
    ] {
        let error = world.pipeline.move_position(admin(), "leads", to).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let error = world.pipeline.move_position(admin(), "laeds", RESET).await.unwrap_err();
    assert!(error.to_string().contains("configured are leads"), "{error}");
    assert_eq!(stored_position(&world).await, None);
    assert_eq!(operated(&world).await, []);
    world.stop().await;

    let world = World::start(spec_with(|point| point.source = None), Ports::default()).await;
    let error = world.pipeline.move_position(admin(), "leads", RESET).await.unwrap_err();
    assert!(matches!(error, OperateError::NotFed { .. }), "{error}");
    world.stop().await;
}

#[tokio::test]
async fn a_pause_outlives_a_restart() {
    let (world, mut source) = polled().await;
    source.asked().await;
    let reason = Some("the CRM is moved".to_owned());
    world.pipeline.pause(admin(), "leads", reason.clone()).await.unwrap();
    let status = &world.pipeline.status().captures["leads"];
    assert_eq!(status.health.state, State::Paused);
    let asked = world.pipeline.poll_now("leads").unwrap_err();
    assert!(matches!(asked, OperateError::Paused { .. }), "{asked}");
    let record = Bytes::from_static(br#"{"external_id": "L-1"}"#);
    let captured = world.pipeline.capture_json("leads", record.clone(), None).await.unwrap_err();
    assert!(matches!(captured, CaptureError::Paused { .. }), "{captured}");
    // A position can be moved meanwhile.
    world.pipeline.move_position(admin(), "leads", set("p4")).await.unwrap();
    let folder = world.stop().await;
    assert!(!source.was_asked());

    let (world, mut source) = polled_in(folder).await;
    let paused = world.pipeline.status().captures["leads"].paused.clone().unwrap();
    assert_eq!((paused.by, paused.reason), ("admin".into(), reason));
    assert!(!source.was_asked());
    world.pipeline.resume(admin(), "leads").await.unwrap();
    assert_eq!(source.asked().await.as_deref(), Some("p4"));
    assert_eq!(world.pipeline.status().captures["leads"].paused, None);
    world.pipeline.capture_json("leads", record, None).await.unwrap();
    let folder = world.stop().await;

    let (world, mut source) = polled_in(folder).await;
    assert_eq!(source.asked().await.as_deref(), Some("p4"), "it stays resumed");
    assert_eq!(operated(&world).await.len(), 3);
    world.stop().await;
}
