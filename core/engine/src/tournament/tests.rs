//! The tournament against a sorted list, under random inserts, removals and time.

use std::sync::Arc;

use gantry_model::Millis;
use gantry_model::spec::{CurvePoint, Overdue, PrioritySchema, Span};
use proptest::prelude::*;

use super::*;
use crate::curve::SchemaCurve;

#[derive(Clone, Debug)]
enum Op {
    Insert { schema: usize, anchor: i64, sla: i64, since: i64 },
    Remove(usize),
    Pass(i64),
    LookAhead(i64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4_usize, 0..200_i64, 1..400_i64, 0..3_i64).prop_map(
            |(schema, anchor, sla, since)| Op::Insert { schema, anchor, sla, since }
        ),
        2 => any::<usize>().prop_map(Op::Remove),
        3 => (0..120_i64).prop_map(Op::Pass),
        1 => (0..500_i64).prop_map(Op::LookAhead),
    ]
}

fn schemas() -> Vec<Arc<PrioritySchema>> {
    let schema = |points: &[(u32, i64)], overdue: Option<(i64, i64)>| {
        let point = |&(share, priority): &(u32, i64)| CurvePoint {
            at: Span::SlaPermille(share),
            priority: priority.into(),
        };
        Arc::new(PrioritySchema {
            overdue: overdue.map(|(add, max)| Overdue {
                priority: None,
                add,
                every: Millis(7),
                max: Some(max),
            }),
            ..PrioritySchema::of_points(points.iter().map(point).collect())
        })
    };
    vec![
        schema(&[(0, 10), (500, 20), (1000, 100)], Some((5, 300))),
        schema(&[(0, 100), (1000, 0)], None),
        schema(&[(0, 50)], None),
        schema(&[(0, 0), (900, 5), (1000, 400)], Some((-20, 0))),
    ]
}

/// The waiting items as a plain list.
type Plain = Vec<(u32, ItemId, Timestamp, Curve)>;

fn check(tree: &Tournament, plain: &Plain, now: Timestamp) -> Result<(), TestCaseError> {
    let mut wanted: Vec<Rank> = plain
        .iter()
        .map(|(_, item, since, curve)| Rank {
            priority: curve.piece(now).at(now),
            since: Reverse(*since),
            item: Reverse(*item),
        })
        .collect();
    wanted.sort_by_key(|rank| Reverse(*rank));
    prop_assert_eq!(tree.best(now, |_| true), wanted.first().copied());
    let odd = |id: ItemId| id.counter() % 2 == 1;
    let best_odd = wanted.iter().find(|rank| odd(rank.item.0)).copied();
    prop_assert_eq!(tree.best(now, odd), best_odd);
    prop_assert_eq!(tree.descending(now).collect::<Vec<_>>(), wanted);
    Ok(())
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_list(ops in prop::collection::vec(op(), 1..120)) {
        let (mut tree, mut plain) = (Tournament::default(), Plain::new());
        let (mut now, mut counter) = (Timestamp(0), 0);
        let schemas = schemas();
        for op in ops {
            match op {
                Op::Insert { schema, anchor, sla, since } => {
                    counter += 1;
                    let (item, since) = (ItemId::new(0, counter), Timestamp(since));
                    let anchor_at = Timestamp(now.0 + anchor - 100);
                    let due_at = Some(Timestamp(anchor_at.0 + sla));
                    let schema = Arc::clone(&schemas[schema]);
                    let (anchor, due, bounds, boost) = (anchor_at, due_at, None, Priority::default());
                    let curve = Curve::Schema(SchemaCurve { schema, anchor, due, bounds, boost });
                    let place = tree.insert(now, item, since, curve.clone());
                    plain.push((place, item, since, curve));
                }
                Op::Remove(at) if !plain.is_empty() => {
                    let (place, ..) = plain.swap_remove(at % plain.len());
                    tree.remove(now, place);
                }
                Op::Remove(_) => {}
                Op::Pass(span) => {
                    now = now.plus(Millis(span));
                    tree.advance(now);
                    prop_assert!(tree.until() > now);
                }
                Op::LookAhead(span) => check(&tree, &plain, now.plus(Millis(span)))?,
            }
            prop_assert_eq!(tree.len(), plain.len());
            check(&tree, &plain, now)?;
        }
    }
}
