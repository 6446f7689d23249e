//! What a source has only lent is extended while its item is open, over restarts and trouble, and
//! withdrawn when the source took it back.

use gantry_model::{Assignment, Command, ItemId};
use gantry_plugin_host::api::{Error, ErrorClass, Extended, Lease, Record};
use gantry_store::Store;

use super::feeding::{lead, polled, polled_in};
use super::script::{SourceEnd, batch};
use super::world::World;
use crate::port::Trouble;

const SPAN_MS: u64 = 30;

fn lent(n: u32) -> Record {
    lead(n).with_lease(Lease::new(format!("task-{n}"), SPAN_MS))
}

#[expect(clippy::unnecessary_wraps, reason = "an answer of the source")]
fn kept(leases: &[Lease]) -> Result<Vec<Extended>, Trouble> {
    Ok(leases.iter().map(|_| Extended::Kept { for_ms: SPAN_MS }).collect())
}

#[expect(clippy::unnecessary_wraps, reason = "an answer of the source")]
fn lost(leases: &[Lease]) -> Result<Vec<Extended>, Trouble> {
    let lost = |_: &Lease| Extended::Lost { reason: "worker 2 has it".into() };
    Ok(leases.iter().map(lost).collect())
}

async fn give(source: &mut SourceEnd, records: Vec<Record>) {
    source.asked().await;
    source.give(Ok(batch(records))).await;
    source.told().await;
}

async fn item(world: &World, external_id: &str) -> ItemId {
    world.store.find("leads", external_id).await.unwrap().unwrap().item.id
}

#[tokio::test]
async fn what_is_lent_is_extended_until_its_item_ends() {
    let (world, mut source) = polled().await;
    give(&mut source, vec![lent(1), lead(2)]).await;
    for _ in 0..3 {
        assert_eq!(source.extends(kept).await, ["task-1"]);
    }
    let lent = item(&world, "L-1").await;
    world.command(Command::Hold { item: lent, reason: "not now".into() }).await;
    assert_eq!(source.extends(kept).await, ["task-1"], "held items are open");

    let status = world.pipeline.status().captures["leads"].leases.clone().unwrap();
    assert_eq!((status.held, status.lost), (1, 0));
    world.command(Command::Cancel { item: lent, reason: "enough".into() }).await;
    // One call may have been under way.
    let leases = || world.pipeline.status().captures["leads"].leases.clone();
    while leases().is_some() {
        if source.is_extending() {
            source.extends(kept).await;
        }
        tokio::task::yield_now().await;
    }
    world.stop().await;
}

#[tokio::test]
async fn what_the_source_took_back_is_withdrawn_with_the_reason() {
    let (world, mut source) = polled().await;
    give(&mut source, vec![lent(1)]).await;
    let item = item(&world, "L-1").await;
    source.extends(lost).await;
    world.until(item, |item| item.is_none()).await;
    let ended = world.store.segments(0, 100).await.unwrap().into_iter().any(|row| {
        let text = String::from_utf8_lossy(&row.segment).into_owned();
        text.contains("the source took it back: worker 2 has it")
    });
    assert!(ended, "the journal says why");

    // Lent again, though nothing in it has changed, it is new work.
    give(&mut source, vec![lent(1)]).await;
    let again = self::item(&world, "L-1").await;
    assert_ne!(again, item);
    assert_eq!(source.extends(kept).await, ["task-1"]);
    assert_eq!(world.item(again).await.previous, Some(item));
    world.stop().await;
}

#[tokio::test]
async fn what_an_agent_has_done_waits_for_the_word_of_the_source() {
    let (world, mut source) = polled().await;
    give(&mut source, vec![lent(1)]).await;
    let item = item(&world, "L-1").await;
    world.agent("anna").await;
    world.accept_and_finish(item, "anna").await;
    let confirming = |assignment: &Assignment| matches!(assignment, Assignment::Confirming { .. });
    assert!(confirming(&world.item(item).await.assignment));
    // Those asked for before may still come.
    source.extends(lost).await;
    let leases = || world.pipeline.status().captures["leads"].leases.clone();
    while leases().is_some() {
        if source.is_extending() {
            source.extends(lost).await;
        }
        tokio::task::yield_now().await;
    }
    assert!(confirming(&world.item(item).await.assignment), "it is not withdrawn");
    world.stop().await;
}

#[tokio::test]
async fn trouble_withdraws_nothing_and_is_over_when_the_source_says_so() {
    let (world, mut source) = polled().await;
    give(&mut source, vec![lent(1), lent(2)]).await;
    let failed = |_: &[Lease]| Err(Trouble::new(ErrorClass::Transient, "no route to host"));
    assert_eq!(source.extends(failed).await, ["task-1", "task-2"]);
    let half = |_: &[Lease]| {
        let failed = Extended::Failed(Error::transient("busy"));
        Ok(vec![Extended::Kept { for_ms: 3_600_000 }, failed])
    };
    assert_eq!(source.extends(half).await, ["task-1", "task-2"]);
    assert_eq!(source.extends(kept).await, ["task-2"]);
    let (one, two) = (item(&world, "L-1").await, item(&world, "L-2").await);
    world.until(one, |item| item.is_some()).await;
    world.until(two, |item| item.is_some()).await;
    world.stop().await;
}

#[tokio::test]
async fn a_restart_asks_at_once_and_an_update_keeps_the_lease() {
    let (world, mut source) = polled().await;
    let long = Lease::new("task-1", 3_600_000);
    give(&mut source, vec![lead(1).with_lease(long)]).await;
    let changed = serde_json::json!({"external_id": "L-1", "name": "another"});
    world.capture(changed).await;
    let folder = world.crash().await;

    let (world, mut source) = polled_in(folder).await;
    assert_eq!(source.extends(kept).await, ["task-1"]);
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_kept_makes_a_dead_letter() {
    let (world, mut source) = polled().await;
    let long = Lease::new("x".repeat(Lease::TOKEN_LEN_MAX + 1), SPAN_MS);
    give(&mut source, vec![lead(1).with_lease(long)]).await;
    let dead = world.dead_letters().await;
    assert!(
        dead[0].row.reason.contains("the token of its lease has 1025 bytes"),
        "{}",
        dead[0].row.reason
    );
    world.stop().await;
}
