//! Lists of items: filters, pages, counts.

use gantry_model::{Assignment, Hold, ItemId, LifeCycle, WorkItem};
use gantry_store::baseline::KeyOrder;
use gantry_store::{
    AssignmentKind, HoldKind, ItemFilter, ItemHead, ItemRow, Page, StatusCount, Store,
};

use crate::Bed;
use crate::world::{at, capture, class, commit, complete, queued};

const FIRST: Page = Page { after: None, limit: 100, newest_first: false };

/// Five items that differ in what lists filter by.
fn mixed() -> Vec<ItemRow> {
    let mut offered = queued(1);
    offered.assignment = Assignment::Offered {
        agent: "anna".into(),
        at: at(1),
        expires_at: at(2),
        stage: gantry_model::decision::Stage::Target(0),
    };
    let mut held = queued(2);
    let reason = "waits for a letter".into();
    held.hold = Hold::Held { since: at(2), reason };
    let mut unclassified = queued(3);
    unclassified.class = None;
    unclassified.life_cycle = LifeCycle::Captured;
    unclassified.queued_at = None;
    let mut other = queued(4);
    other.class = Some(class("salesforce/cases"));
    other.capture_point = "cases".into();
    let mut ended = queued(5);
    ended.class = Some(class("sales"));
    ended.life_cycle = LifeCycle::Canceled;
    let names = ["Smith", "smithers", "O'Neill %", "Jones", "SMITH & Sons"];
    let row = |(item, name): (WorkItem, &str)| ItemRow {
        head: Some(ItemHead {
            external_id: Some(format!("C-{}", item.id.counter())),
            name: Some(name.into()),
            source_url: None,
        }),
        item,
    };
    let items = [offered, held, unclassified, other, ended];
    items.into_iter().zip(names).map(row).collect()
}

async fn counters(store: &dyn Store, filter: &ItemFilter, page: Page) -> Vec<u64> {
    let views = store.list(filter, page).await.unwrap();
    views.iter().map(|view| view.item.id.counter()).collect()
}

pub(crate) async fn filters_select_and_pages_join(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    let mut made = commit(1, Vec::new());
    made.items = mixed();
    store.commit(&made).await.unwrap();
    let all = ItemFilter::default;
    let text = |text: &str| ItemFilter { text: Some(text.into()), ..all() };
    let states = |states: &[LifeCycle]| ItemFilter { life_cycles: states.into(), ..all() };
    let cases: [(ItemFilter, &[u64]); 16] = [
        (all(), &[1, 2, 3, 4, 5]),
        (states(&[LifeCycle::Queued]), &[1, 2, 4]),
        (states(&[LifeCycle::Captured, LifeCycle::Canceled]), &[3, 5]),
        (states(&[LifeCycle::Expired]), &[]),
        (ItemFilter { holds: vec![HoldKind::Held], ..all() }, &[2]),
        (ItemFilter { assignments: vec![AssignmentKind::Offered], ..all() }, &[1]),
        (ItemFilter { agent: Some("anna".into()), ..all() }, &[1]),
        (ItemFilter { agent: Some("bob".into()), ..all() }, &[]),
        (ItemFilter { process: Some("sales/leads".into()), ..all() }, &[1, 2]),
        (ItemFilter { department: Some("sales".into()), ..all() }, &[1, 2, 5]),
        (ItemFilter { capture_point: Some("cases".into()), ..all() }, &[4]),
        (text("smith"), &[1, 2, 5]),
        (text("c-4"), &[4]),
        (text("%"), &[3]),
        (text("' OR 1=1 --"), &[]),
        (ItemFilter { holds: vec![HoldKind::None, HoldKind::Held], ..text("smith") }, &[1, 2, 5]),
    ];
    for (filter, expected) in cases {
        assert_eq!(counters(&*store, &filter, FIRST).await, expected, "{filter:?}");
        for newest_first in [false, true] {
            let mut paged = Vec::new();
            let mut after = None;
            loop {
                let page = Page { after, limit: 1, newest_first };
                let found = counters(&*store, &filter, page).await;
                let Some(last) = found.last() else { break };
                after = Some(ItemId::new(0, *last));
                paged.extend(found);
            }
            if newest_first {
                paged.reverse();
            }
            assert_eq!(paged, expected, "{filter:?} in pages of one");
        }
    }
    let views = store.list(&all(), FIRST).await.unwrap();
    let made: Vec<_> = mixed().into_iter().map(|row| (row.item, row.head.unwrap())).collect();
    let found: Vec<_> = views.into_iter().map(|view| (view.item, view.head)).collect();
    assert_eq!(found, made);
}

pub(crate) async fn sparse_live_items_are_found_among_ended_ones(bed: &dyn Bed) {
    const ITEMS: u64 = 60_000;
    const LIVE: [u64; 4] = [3, 29_999, 30_000, ITEMS];
    const SEAMS: [u64; 4] = [10_000, 10_001, 50_000, 50_001];
    let store = bed.open().await.unwrap();
    let mut made = complete(1, (1..=ITEMS).filter(|n| !LIVE.contains(n)).map(queued));
    made.items.extend(LIVE.map(|n| ItemRow { item: queued(n), head: None }));
    made.items.sort_by_key(|row| row.item.id);
    // Where one statement of a scan ends and the next begins, upwards and downwards.
    for seam in SEAMS {
        let head = ItemHead { name: Some("Seam".into()), ..ItemHead::default() };
        made.items[seam as usize - 1].head = Some(head);
    }
    store.commit(&made).await.unwrap();
    let live = ItemFilter { life_cycles: vec![LifeCycle::Queued], ..ItemFilter::default() };
    assert_eq!(counters(&*store, &live, FIRST).await, LIVE);
    let page = Page { after: Some(ItemId::new(0, 30_000)), limit: 2, newest_first: true };
    assert_eq!(counters(&*store, &live, page).await, [29_999, 3]);
    // More ended ones than one statement looks at.
    let ended = ItemFilter {
        life_cycles: vec![LifeCycle::Completed, LifeCycle::Queued],
        ..ItemFilter::default()
    };
    let page = Page { after: Some(ItemId::new(0, 49_999)), limit: 3, newest_first: false };
    assert_eq!(counters(&*store, &ended, page).await, [50_000, 50_001, 50_002]);
    let seams = ItemFilter { text: Some("seam".into()), ..ItemFilter::default() };
    assert_eq!(counters(&*store, &seams, FIRST).await, SEAMS);
    let mut downwards = counters(&*store, &seams, Page { newest_first: true, ..FIRST }).await;
    downwards.reverse();
    assert_eq!(downwards, SEAMS);
    let last = ItemFilter { text: Some("nothing has it".into()), ..ItemFilter::default() };
    assert!(counters(&*store, &last, FIRST).await.is_empty());
}

pub(crate) async fn counts_add_up(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    let mut made = capture(1, 6, 100, KeyOrder::Ordered);
    made.items.extend(mixed());
    store.commit(&made).await.unwrap();
    let count =
        |life_cycle, hold, assignment, count| StatusCount { life_cycle, hold, assignment, count };
    let (none, nobody) = (HoldKind::None, AssignmentKind::None);
    let expected = [
        count(LifeCycle::Captured, none, nobody, 1),
        count(LifeCycle::Queued, none, nobody, 101),
        count(LifeCycle::Queued, none, AssignmentKind::Offered, 1),
        count(LifeCycle::Queued, HoldKind::Held, nobody, 1),
        count(LifeCycle::Canceled, none, nobody, 1),
    ];
    assert_eq!(store.counts().await.unwrap(), expected);
}

pub(crate) async fn what_lists_show_is_kept_until_it_changes(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    store.commit(&capture(1, 1, 1, KeyOrder::Ordered)).await.unwrap();
    let before = store.item(ItemId::new(0, 1)).await.unwrap().unwrap().head;
    let mut made = commit(2, Vec::new());
    made.items = vec![ItemRow { item: queued(1), head: None }];
    store.commit(&made).await.unwrap();
    assert_eq!(store.item(ItemId::new(0, 1)).await.unwrap().unwrap().head, before);
    let mut made = commit(3, Vec::new());
    let head = ItemHead {
        external_id: None,
        name: Some("New name".into()),
        source_url: Some("https://crm.example/1".into()),
    };
    made.items = vec![ItemRow { item: queued(1), head: Some(head) }];
    store.commit(&made).await.unwrap();
    let after = store.item(ItemId::new(0, 1)).await.unwrap().unwrap().head;
    assert_eq!(after.external_id, before.external_id);
    assert_eq!(after.name.as_deref(), Some("New name"));
    assert_eq!(after.source_url.as_deref(), Some("https://crm.example/1"));
}
