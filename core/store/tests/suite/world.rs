//! Commits to store: a small world of items that are captured, offered and completed.

use std::sync::Arc;

use bytes::Bytes;
use gantry_model::command::ContentHash;
use gantry_model::journal::{Entry, Segment};
use gantry_model::spec::Sla;
use gantry_model::{
    Actor, Classification, Event, ItemId, LifeCycle, Millis, Name, Timestamp, WorkItem,
};
use gantry_store::baseline::{KeyOrder, key};
use gantry_store::{Commit, DocumentRow, ItemHead, ItemRow, KeyRow};

pub(crate) const POINT: &str = "leads";
/// Bytes of the attributes of a document.
const ATTRIBUTES_BYTES: usize = 400;

/// An instant of the world.
pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp(1_780_000_000_000 + minute * 60_000)
}

pub(crate) fn hash(seed: u64) -> ContentHash {
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&seed.to_be_bytes());
    hash
}

pub(crate) fn class(process: &str) -> Arc<Classification> {
    Arc::new(Classification {
        version: 1,
        rules: vec!["gold".into()],
        process: process.into(),
        schema: "gold".into(),
        sla: Some(Sla::Wall(Millis::from_secs(72 * 3600))),
        requirement: None,
        media_type: "workitem".into(),
        flow: None,
    })
}

/// An item that waits in the queue.
pub(crate) fn queued(counter: u64) -> WorkItem {
    let minute = counter as i64;
    WorkItem {
        run: 1,
        life_cycle: LifeCycle::Queued,
        queued_at: Some(at(minute)),
        routing_at: Some(at(minute)),
        due_at: Some(at(minute + 72 * 60)),
        class: Some(class("sales/leads")),
        ..WorkItem::new(ItemId::new(0, counter), POINT.into(), at(minute))
    }
}

pub(crate) fn document(item: ItemId, revision: u32) -> DocumentRow {
    let mut attributes = format!("{{\"attributes\":{{\"note\":\"{item} {revision} ").into_bytes();
    attributes.resize(ATTRIBUTES_BYTES - 3, b'n');
    attributes.extend_from_slice(b"\"}}");
    DocumentRow { item, revision, attributes, payload: None, content_type: None }
}

pub(crate) fn entry(minute: i64, event: Event) -> Entry {
    Entry { at: at(minute), version: 1, actor: Actor::Source(POINT.into()), event }
}

pub(crate) fn segment(seq: u64, entries: Vec<Entry>) -> Vec<u8> {
    let binary = "0.1.0".into();
    Segment { seq, binary, entries }.to_vec()
}

/// A commit that changes nothing but the journal.
pub(crate) fn commit(seq: u64, entries: Vec<Entry>) -> Commit {
    Commit {
        seq,
        at: at(seq as i64),
        segment: segment(seq, entries),
        next_counter: 1,
        ..Commit::default()
    }
}

/// A commit that captures `count` items: item, document, key, and two events each.
pub(crate) fn capture(seq: u64, first: u64, count: u64, order: KeyOrder) -> Commit {
    let point = Name::new(POINT);
    let mut made = commit(seq, Vec::new());
    let mut entries = Vec::with_capacity(2 * count as usize);
    for counter in first..first + count {
        let item = queued(counter);
        let (id, minute, hash) = (item.id, counter as i64, hash(counter));
        let external_id = key(order, counter);
        let captured = Event::Captured {
            item: id,
            capture_point: point.clone(),
            hash,
            previous: None,
            anchor_at: item.anchor_at,
        };
        entries.push(entry(minute, captured));
        entries.push(entry(minute, Event::Queued { item: id }));
        made.documents.push(document(id, 1));
        made.keys.push(KeyRow {
            capture_point: point.clone(),
            external_id: external_id.clone(),
            item: id,
            hash,
        });
        let head = Some(ItemHead {
            external_id: Some(external_id),
            name: Some(format!("Lead {counter}")),
            source_url: None,
        });
        made.items.push(ItemRow { item, head });
    }
    made.segment = segment(seq, entries);
    made.next_counter = first + count;
    made
}

/// A commit that completes items.
#[allow(dead_code, reason = "the benchmark, which shares this file, completes nothing")]
pub(crate) fn complete(seq: u64, items: impl IntoIterator<Item = WorkItem>) -> Commit {
    let mut made = commit(seq, Vec::new());
    let mut entries = Vec::new();
    for mut item in items {
        item.life_cycle = LifeCycle::Completed;
        item.epoch += 1;
        entries.push(entry(
            seq as i64,
            Event::Completed { item: item.id, agent: Some("anna".into()), result_code: None },
        ));
        made.items.push(ItemRow { item, head: None });
    }
    made.segment = segment(seq, entries);
    made
}

/// A commit whose only weight is a payload.
#[allow(dead_code, reason = "the benchmark, which shares this file, needs no such weight")]
pub(crate) fn heavy(seq: u64, bytes: usize) -> Commit {
    let mut made = commit(seq, Vec::new());
    let mut row = document(ItemId::new(0, seq), 1);
    row.payload = Some(Bytes::from(vec![seq as u8; bytes]));
    made.documents.push(row);
    made
}
