//! The journal and the documents: what happened, and what the item said at the time.

use bytes::Bytes;
use gantry_model::journal::Segment;
use gantry_model::{Event, ItemId};
use gantry_store::baseline::KeyOrder;
use gantry_store::{DocumentRow, ItemRow};

use crate::Bed;
use crate::world::{capture, commit, complete, document, entry, queued, segment};

pub(crate) async fn history_holds_one_item_only(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    store.commit(&capture(1, 1, 50, KeyOrder::Ordered)).await.unwrap();
    // More commits than are read at once, and only every second one touches the item.
    let item = ItemId::new(0, 7);
    for seq in 2..=300 {
        let touched = if seq % 2 == 0 { item } else { ItemId::new(0, 8) };
        let entries = vec![
            entry(seq as i64, Event::SlaBreached { item: ItemId::new(0, 9) }),
            entry(seq as i64, Event::Queued { item: touched }),
        ];
        let mut made = commit(seq, entries);
        made.items = vec![ItemRow { item: queued(touched.counter()), head: None }];
        store.commit(&made).await.unwrap();
    }
    store.commit(&complete(301, [queued(7)])).await.unwrap();
    let history = store.history(item).await.unwrap();
    let told: Vec<_> =
        history.iter().map(|told| (told.seq, told.index, told.entry.event.name())).collect();
    let mut expected = vec![(1, 12, "captured"), (1, 13, "queued")];
    expected.extend((2..=300).step_by(2).map(|seq| (seq, 1, "queued")));
    expected.push((301, 0, "completed"));
    assert_eq!(told, expected);
}

pub(crate) async fn segments_follow_each_other(bed: &dyn Bed) {
    const LARGE: u64 = 5;
    let store = bed.open().await.unwrap();
    for seq in 1..=20 {
        let mut made = capture(seq, seq * 10, 2, KeyOrder::Ordered);
        if seq == LARGE {
            let reason = "x".repeat(20 << 20);
            let item = ItemId::new(0, 50);
            made.segment = segment(seq, vec![entry(5, Event::Canceled { item, reason })]);
        }
        store.commit(&made).await.unwrap();
    }
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let rows = store.segments(after, 7).await.unwrap();
        assert!(rows.len() <= 7);
        let Some(last) = rows.last() else { break };
        after = last.seq;
        for row in &rows {
            let segment = Segment::from_slice(&row.segment).unwrap();
            assert_eq!(segment.seq, row.seq);
            assert_eq!(row.at, crate::world::at(row.seq as i64));
        }
        seen.extend(rows.iter().map(|row| row.seq));
    }
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    assert_eq!(store.segments(LARGE - 1, 7).await.unwrap().len(), 1, "a large one comes alone");
}

pub(crate) async fn documents_are_kept_by_revision(bed: &dyn Bed) {
    let store = bed.open().await.unwrap();
    let item = ItemId::new(0, 1);
    let first = DocumentRow {
        payload: Some(Bytes::from_static(b"{\"Id\":1}\0\xff")),
        content_type: Some("application/json".into()),
        ..document(item, 1)
    };
    let mut made = commit(1, Vec::new());
    made.documents = vec![first.clone(), document(ItemId::new(0, 2), 1)];
    store.commit(&made).await.unwrap();
    let mut made = commit(2, Vec::new());
    made.documents = vec![document(item, 2), document(item, 3)];
    store.commit(&made).await.unwrap();
    assert_eq!(store.document(item, Some(1)).await.unwrap(), Some(first));
    assert_eq!(store.document(item, Some(2)).await.unwrap(), Some(document(item, 2)));
    assert_eq!(store.document(item, None).await.unwrap(), Some(document(item, 3)));
    assert_eq!(store.document(item, Some(4)).await.unwrap(), None);
    assert_eq!(store.document(ItemId::new(0, 3), None).await.unwrap(), None);
}
