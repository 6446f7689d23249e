//! Poll and stream: positions, acknowledgement, trouble of the source and of the hub.

use std::time::Duration;

use gantry_model::spec::CronSpec;
use gantry_model::{Cron, Millis, Timestamp};
use gantry_plugin_host::api::{Batch, CaptureMode, ErrorClass, Outcome, Record};
use gantry_store::{ItemFilter, Page, Store};
use serde_json::json;

use super::script::{self, SourceEnd, batch, place, record};
use super::world::{World, soon, spec_with};
use crate::pipeline::Ports;
use crate::port::Trouble;
use crate::{OperateError, RecordCounts, State};

pub(super) async fn polled() -> (World, SourceEnd) {
    polled_in(tempfile::tempdir().unwrap()).await
}

pub(super) async fn polled_in(folder: tempfile::TempDir) -> (World, SourceEnd) {
    let mut ports = Ports::default();
    let source = script::capture_point(&mut ports, CaptureMode::Poll, None);
    let spec = spec_with(|point| point.every = Some(Millis(1)));
    (World::start_in(folder, spec, ports).await, source)
}

pub(super) async fn stored_position(world: &World) -> Option<String> {
    let rows = world.store.positions(Some("leads")).await.unwrap();
    rows.first().map(|row| String::from_utf8(row.position.clone()).unwrap())
}

pub(super) fn lead(n: u32) -> Record {
    record(&json!({"external_id": format!("L-{n}"), "name": "lead"}), &format!("p{n}"))
}

pub(super) fn outcomes(told: &[gantry_plugin_host::api::RecordOutcome]) -> Vec<Outcome> {
    told.iter().map(|told| told.outcome).collect()
}

#[tokio::test]
async fn the_source_hears_of_a_batch_when_records_and_position_are_durable() {
    let (world, mut source) = polled().await;
    assert_eq!(source.asked().await, None);
    let refused = record(&json!({"name": "no id"}), "p2");
    source.give(Ok(batch(vec![lead(1), refused, lead(3)]))).await;
    let told = source.told().await;
    assert_eq!(outcomes(&told), [Outcome::Accepted, Outcome::Refused, Outcome::Accepted]);
    assert_eq!(stored_position(&world).await.as_deref(), Some("p3"));
    assert_eq!(source.asked().await.as_deref(), Some("p3"));

    // The dead letter, the position and the new items stand in one commit.
    let mut seqs = Vec::new();
    for row in world.store.segments(0, 100).await.unwrap() {
        let segment = gantry_model::journal::Segment::from_slice(&row.segment).unwrap();
        let captured = segment.entries.iter().filter(|entry| entry.event.name() == "captured");
        seqs.extend(captured.map(|_| row.seq));
    }
    assert_eq!(seqs.len(), 2);
    assert_eq!(seqs[0], seqs[1]);
    let last = world.store.segments(seqs[0], 100).await.unwrap();
    assert!(last.is_empty(), "nothing was committed after the records: {last:?}");
    assert_eq!(world.dead_letters().await.len(), 1);

    // An empty batch may move the position too.
    let scanned = Batch { position_after: Some(place("p9")), more: true, ..Batch::default() };
    source.give(Ok(scanned)).await;
    assert_eq!(source.asked().await.as_deref(), Some("p9"));
    assert_eq!(stored_position(&world).await.as_deref(), Some("p9"));
    let folder = world.stop().await;

    // A restart goes on from there.
    let (world, mut source) = polled_in(folder).await;
    assert_eq!(source.asked().await.as_deref(), Some("p9"));
    world.stop().await;
}

#[tokio::test]
async fn a_crash_between_commit_and_acknowledgement_gives_repeats() {
    let (world, mut source) = polled().await;
    source.asked().await;
    source.may_acknowledge.forget_permits(1000);
    source.give(Ok(batch(vec![lead(1), lead(2)]))).await;
    world.until_stored(|| async { stored_position(&world).await.is_some() }).await;
    let folder = world.crash().await;

    let (world, mut source) = polled_in(folder).await;
    assert_eq!(source.asked().await.as_deref(), Some("p2"));
    source.give(Ok(batch(vec![lead(1), lead(2), lead(3)]))).await;
    assert_eq!(outcomes(&source.told().await), [Outcome::Accepted; 3]);
    let counts = world.pipeline.status().captures["leads"].counts;
    assert_eq!((counts.created, counts.repeats), (1, 2));
    world.stop().await;
}

#[tokio::test]
async fn changes_in_a_batch_are_durable_before_the_position_is() {
    let (world, mut source) = polled().await;
    source.asked().await;
    source.give(Ok(batch(vec![lead(1)]))).await;
    source.told().await;
    let changed = record(&json!({"external_id": "L-1", "name": "other"}), "p4");
    let conflict = record(&json!({"external_id": "L-7", "message": "hold"}), "p5");
    source.give(Ok(batch(vec![changed, conflict, lead(6)]))).await;
    let told = source.told().await;
    assert_eq!(outcomes(&told), [Outcome::Accepted, Outcome::Refused, Outcome::Accepted]);
    assert_eq!(stored_position(&world).await.as_deref(), Some("p6"));
    let item = world.store.find("leads", "L-1").await.unwrap().unwrap().item.id;
    assert_eq!(world.document(item).await.text("name"), Some("other"));
    assert_eq!(world.dead_letters().await.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn while_the_hub_takes_nothing_the_batch_is_kept() {
    let (world, mut source) = polled().await;
    source.asked().await;
    world.store.set_full(true);
    source.give(Ok(batch(vec![lead(1)]))).await;
    let mut health = world.hub.health();
    soon(health.wait_for(|health| *health != gantry_hub::Health::Ready)).await.unwrap();
    assert!(
        world.hub.command(gantry_model::Actor::Hub, gantry_model::Command::Tick).await.is_err()
    );
    world.store.set_full(false);
    assert_eq!(outcomes(&source.told().await), [Outcome::Accepted]);
    assert_eq!(source.asked().await.as_deref(), Some("p1"));
    world.stop().await;
}

#[tokio::test]
async fn the_class_of_an_error_decides() {
    let (world, mut source) = polled().await;
    assert_eq!(source.asked().await, None);
    source.give(Ok(batch(vec![lead(1)]))).await;
    source.told().await;

    // Transient: again, from the same place.
    assert_eq!(source.asked().await.as_deref(), Some("p1"));
    source.give(Err(Trouble::new(ErrorClass::Transient, "no route"))).await;
    assert_eq!(source.asked().await.as_deref(), Some("p1"));
    let status = &world.pipeline.status().captures["leads"];
    assert_eq!(status.health.state, State::BackingOff);
    assert_eq!(status.health.last_error.as_ref().unwrap().message, "no route");

    // Throttled: not before the source said.
    let after = Duration::from_millis(30);
    let throttled = Trouble { after: Some(after), ..Trouble::new(ErrorClass::Throttled, "slow") };
    let begun = tokio::time::Instant::now();
    source.give(Err(throttled)).await;
    assert_eq!(source.asked().await.as_deref(), Some("p1"));
    assert!(begun.elapsed() >= after);

    // The place is lost: from the beginning, durably.
    source.give(Err(Trouble::new(ErrorClass::CursorExpired, "too old"))).await;
    assert_eq!(source.asked().await, None);
    assert_eq!(stored_position(&world).await.as_deref(), Some(""));

    // No entrance: stopped, with the reason, until somebody asks.
    source.give(Err(Trouble::new(ErrorClass::AuthDenied, "wrong password"))).await;
    let stopped = async {
        while world.pipeline.status().captures["leads"].health.state != State::Stopped {
            tokio::task::yield_now().await;
        }
    };
    soon(stopped).await;
    world.pipeline.poll_now("leads").unwrap();
    assert_eq!(source.asked().await, None);
    source.give(Ok(batch(vec![lead(2)]))).await;
    source.told().await;
    let health = &world.pipeline.status().captures["leads"].health;
    assert_eq!(health.state, State::Running);
    assert!(health.last_ok_at > Some(Timestamp(0)));
    let nobody = world.pipeline.poll_now("nobody").unwrap_err();
    assert!(matches!(nobody, OperateError::UnknownPoint { .. }), "{nobody}");
    world.stop().await;
}

#[tokio::test]
async fn a_stream_is_settled_and_acknowledged_batch_by_batch() {
    let mut ports = Ports::default();
    let mut source = script::capture_point(&mut ports, CaptureMode::Stream, None);
    let world = World::start(spec_with(|_| ()), ports).await;
    assert_eq!(source.asked().await, None);
    let message = lead(1).with_message_id("m-1");
    source.give(Ok(batch(vec![message.clone()]))).await;
    assert_eq!(outcomes(&source.told().await), [Outcome::Accepted]);
    let unreadable = Record::unreadable("a;b", "line 7: no header");
    source.give(Ok(batch(vec![message, unreadable, lead(2)]))).await;
    let told = source.told().await;
    assert_eq!(outcomes(&told), [Outcome::Accepted, Outcome::Refused, Outcome::Accepted]);
    let letter = &world.dead_letters().await[0].row;
    assert_eq!((letter.code.as_str(), &letter.payload[..]), ("GANTRY-R007", &b"a;b"[..]));
    assert_eq!(world.pipeline.status().captures["leads"].counts.repeats, 1);
    assert_eq!(stored_position(&world).await.as_deref(), Some("p2"));
    world.stop().await;
}

/// Every record that came in is accounted for.
fn adds_up(counts: &RecordCounts) {
    let RecordCounts { read, in_hand, created, updated, repeats, done, .. } = *counts;
    let RecordCounts { filtered, refused, retried, .. } = *counts;
    let sum = in_hand + created + updated + repeats + done + filtered + refused + retried;
    assert_eq!(read, sum, "{counts:?}");
}

#[tokio::test]
async fn every_record_is_accounted_for_also_over_a_crash() {
    let (world, mut source) = polled().await;
    source.asked().await;
    let refused = record(&json!({"name": "no id"}), "p2");
    let ended = record(&json!({"external_id": "L-9", "message": "cancel"}), "p3");
    source.give(Ok(batch(vec![lead(1), refused.clone(), ended.clone(), lead(4)]))).await;
    source.told().await;
    let counts = world.pipeline.status().captures["leads"].counts;
    let expected =
        RecordCounts { read: 4, created: 2, refused: 1, filtered: 1, ..RecordCounts::default() };
    assert_eq!(counts, expected);

    // What the hub cannot take is in hand, or has to come again.
    source.asked().await;
    world.store.set_full(true);
    source.give(Ok(batch(vec![lead(5)]))).await;
    let mut health = world.hub.health();
    soon(health.wait_for(|health| *health != gantry_hub::Health::Ready)).await.unwrap();
    let counts = world.pipeline.status().captures["leads"].counts;
    adds_up(&counts);
    assert_eq!((counts.read, counts.in_hand), (5, 1));
    let folder = world.crash().await;

    // After the crash the source gives again what it was never told of; the store adds up.
    let (world, mut source) = polled_in(folder).await;
    assert_eq!(source.asked().await.as_deref(), Some("p4"));
    source.give(Ok(batch(vec![lead(1), refused, ended, lead(4), lead(5)]))).await;
    source.told().await;
    let counts = world.pipeline.status().captures["leads"].counts;
    adds_up(&counts);
    assert_eq!((counts.read, counts.created, counts.repeats), (5, 1, 2));
    let page = Page { after: None, limit: 100, newest_first: false };
    let items = world.store.list(&ItemFilter::default(), page).await.unwrap();
    assert_eq!(items.len(), 3, "one item each of the leads 1, 4, 5");
    assert_eq!(world.dead_letters().await.len(), 1, "the same refusal is one dead letter");
    world.stop().await;
}

#[tokio::test]
async fn a_source_that_does_not_answer_in_time_is_asked_again() {
    let mut ports = Ports::default();
    let mut source = script::capture_point(&mut ports, CaptureMode::Poll, None);
    let spec = spec_with(|point| {
        point.every = Some(Millis(1));
        point.timeout = Some(Millis(20));
    });
    let world = World::start(spec, ports).await;
    assert_eq!(source.asked().await, None);
    assert_eq!(source.asked().await, None);
    let error = world.pipeline.status().captures["leads"].health.last_error.clone().unwrap();
    assert_eq!(
        (error.class, &*error.message),
        ("transient", "the source did not answer within 20 ms")
    );
    source.give(Ok(batch(vec![lead(1)]))).await;
    source.told().await;
    world.stop().await;
}

#[tokio::test]
async fn a_source_is_asked_at_the_times_of_its_schedule_only() {
    let mut ports = Ports::default();
    let mut source = script::capture_point(&mut ports, CaptureMode::Poll, None);
    let (expression, timezone) = ("0 0 29 2 *".to_owned(), "Europe/Berlin".into());
    let cron = CronSpec { expression, timezone };
    let next = Cron::new(&cron).unwrap();
    let world = World::start(spec_with(|point| point.cron = Some(cron)), ports).await;
    let next_at = async || {
        loop {
            if let Some(at) = world.pipeline.status().captures["leads"].next_at {
                break at;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(Some(soon(next_at()).await), next.next_after(world.hub.now()));
    assert!(!source.was_asked(), "29 February is years away");
    world.pipeline.poll_now("leads").unwrap();
    assert_eq!(source.asked().await, None);
    assert_eq!(world.pipeline.status().captures["leads"].next_at, None, "it is asked now");
    source.give(Ok(Batch { more: false, ..batch(vec![lead(1)]) })).await;
    source.told().await;
    soon(next_at()).await;
    assert!(!source.was_asked());
    world.stop().await;
}
