//! Whatever happens to items, they come out as they went in.

use std::collections::BTreeMap;

use gantry_model::item::PriorityBounds;
use gantry_model::{Assignment, Hold, LifeCycle, Name};
use proptest::prelude::*;

use super::*;

/// An instant near the capture, far from it, or as far as instants go.
fn instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => 1_700_000_000_000..1_800_000_000_000_i64,
        1 => Just(i64::MIN),
        1 => Just(i64::MAX),
        1 => Just(-1),
        1 => 0..(1_i64 << 50),
    ]
    .prop_map(Timestamp)
}

fn class(no: u8) -> Arc<Classification> {
    Arc::new(Classification {
        version: no.into(),
        rules: Vec::new(),
        process: Name::new("sales/leads"),
        schema: Name::new("gold"),
        sla: None,
        requirement: None,
        media_type: Name::new("workitem"),
        flow: None,
    })
}

/// An item to which anything may have happened, though mostly nothing special has.
fn item() -> impl Strategy<Value = WorkItem> {
    let at = || prop::option::of(instant());
    let dates = (instant(), at(), at(), instant(), at(), at(), at(), at(), at());
    let counts = (
        prop_oneof![9 => 1..1_000_u32, 1 => 65_530..65_540_u32],
        prop_oneof![9 => 0..9_u32, 1 => 250..260_u32],
        prop_oneof![9 => 0..9_u32, 1 => 250..260_u32],
    );
    let rest = (0..4_usize, any::<bool>(), 0..20_u8, prop::option::of(0..4_u8), 0..3_u8);
    (dates, counts, rest).prop_map(|(dates, counts, rest)| {
        let (captured_at, queued_at, routing_at, anchor_at, activation_at, due_at, ..) = dates;
        let (.., expires_at, breached_at, warned_at) = dates;
        let (life_cycle, run_open, special, class_no, point) = rest;
        let point = Name::new(["crm", "shop", "mail"][usize::from(point)]);
        let mut item = WorkItem {
            queued_at,
            routing_at,
            anchor_at,
            activation_at,
            due_at,
            expires_at,
            breached_at,
            warned_at,
            revision: counts.0,
            run: counts.1,
            epoch: counts.2,
            run_open,
            life_cycle: [
                LifeCycle::Captured,
                LifeCycle::Enriched,
                LifeCycle::Classified,
                LifeCycle::Queued,
            ][life_cycle],
            class: class_no.map(class),
            ..WorkItem::new(ItemId::new(0, 0), point, captured_at)
        };
        make_special(&mut item, special);
        item
    })
}

fn make_special(item: &mut WorkItem, special: u8) {
    match special {
        0 => item.priority = Some(7),
        1 => item.preferred_agent = Some("anna".into()),
        2 => item.hold = Hold::Held { since: item.captured_at, reason: "wait".into() },
        3 => item.hold = Hold::Activation { until: Timestamp(5) },
        4 => item.boost = -3,
        5 => item.bounds = Some(Box::new(PriorityBounds { min: Some(1), ..Default::default() })),
        6 => {
            let (agent, at) = ("ben".into(), item.captured_at);
            item.assignment = Assignment::Assigned { agent, at, confirm_by: None };
        }
        7 => item.escalated = vec!["first".into()],
        8 => item.declines = 1,
        9 => item.previous = Some(ItemId::new(0, 1)),
        _ => {
            if let Some(until) = item.activation_at {
                item.hold = Hold::Activation { until };
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u64, Box<WorkItem>),
    Change(usize, Box<WorkItem>),
    Remove(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let counter = prop_oneof![0..40_u64, 5_000..5_040_u64, Just((1 << 48) - 1)];
    let which = || any::<usize>();
    prop_oneof![
        3 => (counter, item()).prop_map(|(counter, item)| Op::Insert(counter, Box::new(item))),
        2 => (which(), item()).prop_map(|(which, item)| Op::Change(which, Box::new(item))),
        2 => which().prop_map(Op::Remove),
    ]
}

proptest! {
    #[test]
    fn items_come_out_as_they_went_in(ops in prop::collection::vec(op(), 1..60)) {
        let (mut items, mut plain) = (Items::new(0), BTreeMap::<ItemId, WorkItem>::new());
        for op in ops {
            let pick = |which: usize| plain.keys().nth(which % plain.len().max(1)).copied();
            match op {
                Op::Insert(counter, item) => {
                    let item = WorkItem { id: ItemId::new(0, counter), ..*item };
                    let fresh = !plain.contains_key(&item.id);
                    prop_assert_eq!(items.insert(item.clone()), fresh);
                    items.pack(items.slot(item.id).unwrap());
                    plain.entry(item.id).or_insert(item);
                }
                Op::Change(which, new) => {
                    let Some(id) = pick(which) else { continue };
                    let new = WorkItem { id, ..*new };
                    let before = items.change(id, |item| std::mem::replace(item, new.clone()));
                    prop_assert_eq!(before, plain.insert(id, new));
                }
                Op::Remove(which) => {
                    let Some(id) = pick(which) else { continue };
                    prop_assert_eq!(items.remove(id).map(|item| *item), plain.remove(&id));
                    prop_assert_eq!(items.get(id), None);
                }
            }
            if let Some(slot) = plain.keys().nth(3).and_then(|id| items.slot(*id)) {
                items.pack(slot);
            }
            prop_assert_eq!(items.iter().len(), plain.len());
            prop_assert!(items.iter().eq(plain.values().cloned()));
            for (id, item) in &plain {
                let slot = items.slot(*id).unwrap();
                prop_assert_eq!(items.id(slot), *id);
                prop_assert_eq!(items.since(slot), item.routing_at.unwrap_or(item.captured_at));
            }
        }
        for id in plain.keys() {
            drop(items.remove(*id));
        }
        prop_assert_eq!(items.iter().count(), 0);
        prop_assert!(items.shared.nothing_is_shared());
    }
}

/// A million plain items must not take more than a cache line each.
#[test]
fn a_plain_item_fills_a_cache_line() {
    assert_eq!(size_of::<Kept>(), 64);
    let mut items = Items::new(0);
    let item = WorkItem::new(ItemId::new(0, 9), "crm".into(), Timestamp(1_700_000_000_000));
    let item =
        WorkItem { class: Some(class(1)), due_at: Some(Timestamp(1_800_000_000_000)), ..item };
    items.insert(item);
    let slot = items.slot(ItemId::new(0, 9)).unwrap();
    assert!(items.special(slot).is_some());
    items.pack(slot);
    assert!(items.special(slot).is_none());
}

#[test]
fn another_partitions_id_is_nobodys() {
    let mut items = Items::new(3);
    let item = WorkItem::new(ItemId::new(3, 1), "crm".into(), Timestamp(0));
    assert!(items.insert(item));
    assert!(items.get(ItemId::new(3, 1)).is_some());
    assert!(items.get(ItemId::new(0, 1)).is_none());
}
