//! The tournament against a sorted list, under random inserts, removals and time.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::Millis;
use gantry_model::spec::{
    CurvePoint, Increment, Increments, Overdue, PointValue, PrioritySchema, Shape, Span,
};
use proptest::prelude::*;

use super::*;
use crate::curve::{Curve, SchemaCurve};

#[derive(Clone, Debug)]
enum Op {
    Insert {
        schema: usize,
        anchor: i64,
        sla: i64,
        since: i64,
        boost: i64,
    },
    Remove(usize),
    /// Time passes, and the tree may lie behind.
    Pass {
        span: i64,
        advance: bool,
    },
    LookAhead(i64),
    /// All items at once in a new tree.
    Build,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..7_usize, 0..200_i64, 1..400_i64, 0..3_i64, -1..2_i64).prop_map(
            |(schema, anchor, sla, since, boost)| {
                Op::Insert { schema, anchor, sla, since, boost: boost * 30 }
            }
        ),
        5 => any::<usize>().prop_map(Op::Remove),
        8 => (0..120_i64, any::<bool>())
            .prop_map(|(span, advance)| Op::Pass { span, advance }),
        2 => (0..500_i64).prop_map(Op::LookAhead),
        1 => Just(Op::Build),
    ]
}

fn points(points: &[(u32, i64)], overdue: Option<(i64, i64)>) -> Arc<PrioritySchema> {
    let point = |&(share, priority): &(u32, i64)| CurvePoint {
        at: Span::SlaPermille(share),
        priority: priority.into(),
    };
    let overdue =
        overdue.map(|(add, max)| Overdue { priority: None, add, every: Millis(7), max: Some(max) });
    let schema = PrioritySchema::of_points(points.iter().map(point).collect());
    Arc::new(PrioritySchema { overdue, ..schema })
}

/// Climbs, falls, plateaus and jumps.
fn schemas() -> Vec<Arc<PrioritySchema>> {
    let steps = Increments {
        initial: PointValue::Points(20),
        steps: vec![
            Increment { add: 15, every: Millis(30), lasts: Some(Span::Time(Millis(150))) },
            Increment { add: -4, every: Millis(20), lasts: None },
        ],
        stepped: true,
        at_sla: Some(PointValue::Points(90)),
    };
    vec![
        points(&[(0, 10), (500, 20), (1000, 100)], Some((5, 300))),
        points(&[(0, 100), (1000, 0)], None),
        points(&[(0, 50)], None),
        points(&[(0, 0), (900, 5), (1000, 400)], Some((-20, 0))),
        points(&[(0, 30), (400, 30), (400, 80), (600, 80), (600, 10), (1000, 60)], None),
        points(&[(0, 10), (0, 60), (1000, 60)], Some((1, 65))),
        Arc::new(PrioritySchema {
            shape: Shape::Increments(steps),
            ..(*points(&[], None)).clone()
        }),
    ]
}

/// An item by itself.
#[derive(Clone)]
struct Plain<'a> {
    item: ItemId,
    since: Timestamp,
    curve: Curve<'a>,
}

/// The waiting items as a plain list; an item's slot is its position, also after it has gone.
#[derive(Default)]
struct Field<'a> {
    items: Vec<Plain<'a>>,
    places: BTreeMap<Slot, u32>,
}

impl Entrants for Field<'_> {
    fn piece(&self, slot: Slot, now: Timestamp) -> Piece {
        self.items[slot as usize].curve.piece(now)
    }

    fn since(&self, slot: Slot) -> Timestamp {
        self.items[slot as usize].since
    }

    fn id(&self, slot: Slot) -> ItemId {
        self.items[slot as usize].item
    }
}

impl<'a> Field<'a> {
    fn ranks(&self, now: Timestamp) -> Vec<(Rank, Slot)> {
        let rank = |slot: &Slot| {
            let Plain { item, since, curve } = &self.items[*slot as usize];
            let priority = curve.at(now);
            (Rank { priority, since: Reverse(*since), item: Reverse(*item) }, *slot)
        };
        let mut ranks: Vec<_> = self.places.keys().map(rank).collect();
        ranks.sort_by_key(|rank| Reverse(*rank));
        ranks
    }

    fn check(&self, tree: &Tournament, now: Timestamp) -> Result<(), TestCaseError> {
        let wanted = self.ranks(now);
        prop_assert_eq!(tree.best(now, self, |_| true), wanted.first().copied());
        let odd = |slot: Slot| slot % 2 == 1;
        let best_odd = wanted.iter().find(|(_, slot)| odd(*slot)).copied();
        prop_assert_eq!(tree.best(now, self, odd), best_odd);
        prop_assert_eq!(tree.descending(now, self).collect::<Vec<_>>(), wanted);
        Ok(())
    }

    fn insert(&mut self, tree: &mut Tournament, now: Timestamp, fresh: Plain<'a>) {
        let slot = self.items.len() as Slot;
        self.items.push(fresh);
        let place = tree.insert(now, slot, self);
        self.places.insert(slot, place);
    }

    fn remove(&mut self, tree: &mut Tournament, now: Timestamp, which: usize) {
        let Some(slot) = self.places.keys().nth(which % self.places.len().max(1)).copied() else {
            return;
        };
        let place = self.places[&slot];
        // What is said of an item that has gone does not matter.
        self.items[slot as usize].curve = Curve::Constant(Priority(-1));
        let moved = tree.remove(now, place, self);
        self.places.remove(&slot);
        self.places.extend(moved.map(|moved| (moved, place)));
    }
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_list(ops in prop::collection::vec(op(), 1..200)) {
        let schemas = schemas();
        let (mut tree, mut field) = (Tournament::default(), Field::default());
        let mut now = Timestamp(0);
        for op in ops {
            match op {
                Op::Insert { schema, anchor, sla, since, boost } => {
                    let anchor = Timestamp(now.0 + anchor - 100);
                    let curve = Curve::Schema(SchemaCurve {
                        schema: &schemas[schema],
                        anchor,
                        due: (schema != 5).then(|| Timestamp(anchor.0 + sla)),
                        bounds: None,
                        boost: Priority::from_points(boost),
                    });
                    let item = ItemId::new(0, 1_000 - field.items.len() as u64);
                    let since = Timestamp(since);
                    field.insert(&mut tree, now, Plain { item, since, curve });
                }
                Op::Remove(which) => field.remove(&mut tree, now, which),
                Op::Pass { span, advance } => {
                    now = now.plus(Millis(span));
                    if advance {
                        tree.advance(now, &field);
                        prop_assert!(tree.until() > now);
                    }
                }
                Op::LookAhead(span) => field.check(&tree, now.plus(Millis(span)))?,
                Op::Build => {
                    let slots: Vec<Slot> = field.places.keys().copied().collect();
                    field.places = slots.iter().copied().zip(0..).collect();
                    tree = Tournament::build(slots, now, &field);
                    prop_assert!(tree.until() > now);
                }
            }
            prop_assert_eq!(tree.len(), field.places.len());
            for (slot, place) in &field.places {
                prop_assert_eq!(tree.slots[*place as usize], *slot);
            }
            field.check(&tree, now)?;
        }
    }

    /// Many items come, all go again: the tree grows and shrinks.
    #[test]
    fn grows_and_shrinks(seed in any::<u64>(), count in 1..120_usize) {
        let schemas = schemas();
        let (mut tree, mut field) = (Tournament::default(), Field::default());
        for n in 0..count {
            let schema = (seed as usize).wrapping_add(n * 7) % schemas.len();
            let (anchor, due) = (Timestamp(n as i64 % 13), Some(Timestamp(200 + n as i64 % 7)));
            let schema = &*schemas[schema];
            let (bounds, boost) = (None, Priority::default());
            let curve = Curve::Schema(SchemaCurve { schema, anchor, due, bounds, boost });
            let (item, since) = (ItemId::new(0, n as u64), Timestamp(n as i64 % 3));
            field.insert(&mut tree, Timestamp(n as i64), Plain { item, since, curve });
        }
        for n in 0..count {
            let now = Timestamp((count + 3 * n) as i64);
            tree.advance(now, &field);
            field.check(&tree, now)?;
            field.remove(&mut tree, now, (seed as usize).wrapping_mul(n + 1));
        }
        prop_assert!(tree.is_empty() && tree.nodes.is_empty() && tree.buckets.is_empty());
    }
}
