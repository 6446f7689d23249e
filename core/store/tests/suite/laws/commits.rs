//! Commits: whole or not at all, once, in order, by one hub.

use std::collections::BTreeMap;

use gantry_model::{Agent, AgentProfile, ItemId, Presence, WorkItem};
use gantry_store::baseline::KeyOrder;
use gantry_store::{AgentChange, Error, ItemFilter, Page, PositionRow};

use crate::Bed;
use crate::world::{self, at, capture, commit, complete, queued};

fn live(blobs: &[Vec<u8>]) -> Vec<WorkItem> {
    let decode = |blob: &Vec<u8>| minicbor::decode(blob).unwrap();
    blobs.iter().map(decode).collect()
}

pub(crate) async fn a_new_store_is_empty(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    let boot = store.boot().await.unwrap();
    assert_eq!((boot.seq, boot.epoch, boot.next_counter), (0, 1, 1));
    assert!(boot.config.is_none() && boot.agents.is_empty() && boot.items.is_empty());
    assert!(store.item(ItemId::new(0, 1)).await.unwrap().is_none());
    assert!(store.find("leads", "1").await.unwrap().is_none());
    assert!(store.history(ItemId::new(0, 1)).await.unwrap().is_empty());
    assert!(store.segments(0, 10).await.unwrap().is_empty());
    assert!(store.counts().await.unwrap().is_empty());
    let page = Page { after: None, limit: 10, newest_first: true };
    assert!(store.list(&ItemFilter::default(), page).await.unwrap().is_empty());
}

pub(crate) async fn ten_thousand_items_read_back(bed: &dyn Bed) {
    const ITEMS: u64 = 10_000;
    // Sizes that end on and beside every size of a statement.
    let sizes = [1, 7, 8, 9, 31, 32, 33, 127, 128, 129, 255, 256, 257, 1_000, 2_000];
    let store = bed.open().await.unwrap();
    let (mut seq, mut first) = (0, 1);
    while first <= ITEMS {
        let count = sizes[seq as usize % sizes.len()].min(ITEMS + 1 - first);
        seq += 1;
        store.commit(&capture(seq, first, count, KeyOrder::Ordered)).await.unwrap();
        first += count;
    }
    drop(store);
    let store = bed.open().await.unwrap();
    let boot = store.boot().await.unwrap();
    assert_eq!((boot.seq, boot.epoch, boot.next_counter), (seq, 2, ITEMS + 1));
    assert_eq!(boot.at, at(seq as i64));
    let expected: Vec<_> = (1..=ITEMS).map(queued).collect();
    assert_eq!(live(&boot.items), expected);
    for counter in [1, 2, 8, 9, 4_711, ITEMS] {
        let item = ItemId::new(0, counter);
        let document = store.document(item, None).await.unwrap().unwrap();
        assert_eq!(document, world::document(item, 1));
        let view = store.item(item).await.unwrap().unwrap();
        assert_eq!(view.item, queued(counter));
        let external_id = view.head.external_id.unwrap();
        let found = store.find(world::POINT, &external_id).await.unwrap().unwrap();
        assert_eq!(found.item.id, item);
    }
}

pub(crate) async fn the_same_commit_again_changes_nothing(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    let first = capture(1, 1, 3, KeyOrder::Ordered);
    let second = complete(2, [queued(2)]);
    store.commit(&first).await.unwrap();
    store.commit(&second).await.unwrap();
    let history = store.history(ItemId::new(0, 2)).await.unwrap();
    for again in [&first, &second, &second] {
        store.commit(again).await.unwrap();
    }
    assert_eq!(store.boot().await.unwrap().seq, 2);
    assert_eq!(store.history(ItemId::new(0, 2)).await.unwrap(), history);
    assert_eq!(live(&store.boot().await.unwrap().items), [queued(1), queued(3)]);
}

pub(crate) async fn only_the_next_commit_is_taken(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    store.commit(&capture(1, 1, 1, KeyOrder::Ordered)).await.unwrap();
    let gap = store.commit(&capture(3, 2, 1, KeyOrder::Ordered)).await;
    assert!(matches!(gap, Err(Error::OutOfOrder { seq: 3, last: 1 })), "{gap:?}");
    let other = store.commit(&capture(1, 5, 1, KeyOrder::Ordered)).await.unwrap_err();
    assert!(matches!(other, Error::OutOfOrder { seq: 1, last: 1 }), "{other:?}");
    assert!(other.is_fatal());
    assert!(store.item(ItemId::new(0, 5)).await.unwrap().is_none());
    store.commit(&capture(2, 2, 1, KeyOrder::Ordered)).await.unwrap();
}

pub(crate) async fn a_newer_hub_fences_the_older_off(bed: &dyn Bed) {
    let older = bed.open().await.unwrap();
    older.commit(&capture(1, 1, 1, KeyOrder::Ordered)).await.unwrap();
    let newer = bed.take_over().await.unwrap();
    assert_eq!(newer.boot().await.unwrap().epoch, 2);
    let refused = older.commit(&capture(2, 2, 1, KeyOrder::Ordered)).await.unwrap_err();
    assert!(matches!(refused, Error::Fenced { seq: 2, ours: 1, current: 2 }), "{refused:?}");
    assert!(refused.is_fatal());
    assert!(newer.item(ItemId::new(0, 2)).await.unwrap().is_none());
    newer.commit(&capture(2, 3, 1, KeyOrder::Ordered)).await.unwrap();
    // Even what is stored is not confirmed to a hub that has lost the store.
    let refused = older.commit(&capture(2, 3, 1, KeyOrder::Ordered)).await.unwrap_err();
    assert!(matches!(refused, Error::Fenced { .. }), "{refused:?}");
}

pub(crate) async fn a_dropped_commit_can_be_made_again(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    let made = capture(1, 1, 500, KeyOrder::Ordered);
    // Dropped after a different number of steps each time, until one goes through.
    for steps in 0..1_000 {
        if poll_times(store.commit(&made), steps).await.is_some() {
            break;
        }
        // It may still land between two reads; the number and the rows land together.
        let before = store.boot().await.unwrap().seq;
        let last = store.item(ItemId::new(0, 500)).await.unwrap().is_some();
        let after = store.boot().await.unwrap().seq;
        assert!(last || before == 0, "half a commit after {steps} steps");
        assert!(!last || after == 1, "half a commit after {steps} steps");
    }
    store.commit(&made).await.unwrap();
    store.commit(&capture(2, 501, 1, KeyOrder::Ordered)).await.unwrap();
    assert_eq!(store.boot().await.unwrap().items.len(), 501);
}

/// Polls a future so many times, giving way in between, then drops it.
async fn poll_times<F: Future>(future: F, times: u32) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..times {
        let once =
            std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context)));
        if let std::task::Poll::Ready(output) = once.await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

pub(crate) async fn a_refused_commit_leaves_nothing(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    let mut made = capture(1, 1, 3, KeyOrder::Ordered);
    made.positions.push(PositionRow {
        capture_point: world::POINT.into(),
        source_partition: String::new(),
        position: vec![0; gantry_store::POSITION_BYTES_MAX + 1],
        at: at(1),
    });
    let refused = store.commit(&made).await.unwrap_err();
    assert!(matches!(refused, Error::PositionTooLong { .. }), "{refused:?}");
    made.positions[0].position.pop();
    made.items[2].item.id = ItemId::new(7, 3);
    let refused = store.commit(&made).await.unwrap_err();
    assert!(matches!(refused, Error::OtherPartition { .. }), "{refused:?}");
    assert_eq!(store.boot().await.unwrap().seq, 0);
    assert!(store.positions(None).await.unwrap().is_empty());
    made.items[2].item.id = ItemId::new(0, 3);
    store.commit(&made).await.unwrap();
}

pub(crate) async fn ended_items_are_kept_and_not_booted(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    store.commit(&capture(1, 1, 5, KeyOrder::Ordered)).await.unwrap();
    store.commit(&complete(2, [queued(2), queued(4)])).await.unwrap();
    let boot = store.boot().await.unwrap();
    assert_eq!(live(&boot.items), [queued(1), queued(3), queued(5)]);
    let ended = store.item(ItemId::new(0, 4)).await.unwrap().unwrap();
    assert!(ended.item.ended());
    assert_eq!(ended.head.name.as_deref(), Some("Lead 4"));
}

pub(crate) async fn agents_come_and_go(bed: &dyn Bed) {
    let agent = |id: &str, presence| Agent {
        profile: AgentProfile {
            name: id.to_uppercase(),
            skills: BTreeMap::from([("sales".into(), 70)]),
            ..AgentProfile::new(id)
        },
        presence,
        presence_since: at(1),
        idle_since: at(1),
        elsewhere: BTreeMap::new(),
        signed_on_at: at(1),
        ramp: Vec::new(),
    };
    let store = bed.open().await.unwrap();
    let mut made = commit(1, Vec::new());
    made.agents =
        ["bob", "anna", "carl"].map(|id| AgentChange::Put(agent(id, Presence::SignedOff))).into();
    store.commit(&made).await.unwrap();
    let mut made = commit(2, Vec::new());
    made.agents = vec![
        AgentChange::Remove("carl".into()),
        AgentChange::Put(agent("anna", Presence::Ready)),
        AgentChange::Remove("nobody".into()),
    ];
    store.commit(&made).await.unwrap();
    let boot = store.boot().await.unwrap();
    let agents: Vec<Agent> =
        boot.agents.iter().map(|blob| minicbor::decode(blob).unwrap()).collect();
    let expected = [agent("anna", Presence::Ready), agent("bob", Presence::SignedOff)];
    assert_eq!(agents, expected);
}

pub(crate) async fn read_only_stores_refuse_commits(bed: &dyn Bed) {
    assert!(bed.open_read_only().await.is_err(), "there is nothing to read");
    let store = bed.open().await.unwrap();
    store.commit(&capture(1, 1, 1, KeyOrder::Ordered)).await.unwrap();
    let reader = bed.open_read_only().await.unwrap();
    assert_eq!(reader.boot().await.unwrap().items.len(), 1);
    let refused = reader.commit(&capture(2, 2, 1, KeyOrder::Ordered)).await.unwrap_err();
    assert!(matches!(refused, Error::ReadOnly { seq: 2 }), "{refused:?}");
    // The hub goes on, and the reader sees it.
    store.commit(&capture(2, 2, 1, KeyOrder::Ordered)).await.unwrap();
    assert!(reader.item(ItemId::new(0, 2)).await.unwrap().is_some());
}
