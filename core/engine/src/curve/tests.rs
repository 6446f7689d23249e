//! Laws of curves: pieces agree with a walk along the points, to the unit, at every instant.

use std::sync::Arc;

use gantry_model::spec::CurvePoint;
use proptest::prelude::*;

use super::*;
use crate::tests::oracle;

fn schema() -> impl Strategy<Value = PrioritySchema> {
    let span = prop_oneof![
        (0..2_000_u32).prop_map(Span::SlaPermille),
        (0..20_000_i64).prop_map(|time| Span::Time(Millis(time))),
    ];
    let points = (span, -1_000..1_000_i64)
        .prop_map(|(at, priority)| CurvePoint { at, priority: priority.into() });
    let overdue = (-50..50_i64, 1..5_000_i64, prop::option::of(-2_000..2_000_i64));
    let overdue = overdue.prop_map(|(add, every, max)| Overdue {
        priority: None,
        add,
        every: Millis(every),
        max,
    });
    (prop::collection::vec(points, 1..6), prop::option::of(overdue)).prop_map(
        |(points, overdue)| PrioritySchema { overdue, ..PrioritySchema::of_points(points) },
    )
}

proptest! {
    #[test]
    fn pieces_agree_with_a_walk_along_the_points(
        schema in schema(),
        anchor in 0..10_000_i64,
        due in prop::option::of(-1_000..30_000_i64),
        now in -1_000..60_000_i64,
    ) {
        let wanted = oracle::value(&schema, anchor, due, now);
        let (anchor_at, due_at) = (Timestamp(anchor), due.map(Timestamp));
        let curve = Curve::Schema { schema: Arc::new(schema), anchor_at, due_at };
        let piece = curve.piece(Timestamp(now));
        prop_assert_eq!(piece.at(Timestamp(now)).0, wanted);
        prop_assert!(piece.until > Timestamp(now), "a piece must reach beyond its instant");
    }

    #[test]
    fn a_piece_holds_until_its_end(
        schema in schema(),
        due in prop::option::of(-1_000..30_000_i64),
        now in 0..40_000_i64,
        later in 0..40_000_i64,
    ) {
        let wanted = oracle::value(&schema, 0, due, now + later);
        let (anchor_at, due_at) = (Timestamp(0), due.map(Timestamp));
        let curve = Curve::Schema { schema: Arc::new(schema), anchor_at, due_at };
        let piece = curve.piece(Timestamp(now));
        prop_assume!(Timestamp(now + later) < piece.until);
        prop_assert_eq!(piece.at(Timestamp(now + later)).0, wanted);
    }
}

#[test]
fn a_thirty_day_curve_is_exact_at_each_minute() {
    const MONTH: i64 = 30 * 86_400_000;
    let point = |at, priority: i64| CurvePoint { at, priority: priority.into() };
    let points = vec![point(Span::SlaPermille(0), 0), point(Span::SlaPermille(1000), 43_200)];
    let schema = Arc::new(PrioritySchema::of_points(points));
    let (anchor_at, due_at) = (Timestamp(5), Some(Timestamp(5 + MONTH)));
    let curve = Curve::Schema { schema, anchor_at, due_at };
    for minute in 0..43_200 {
        let at = Timestamp(5 + minute * 60_000);
        let piece = curve.piece(at);
        assert_eq!(piece.at(at), Priority::from_points(minute));
        assert_eq!(piece.at(Timestamp(at.0 + 59_999)).points(), minute);
    }
}

#[test]
fn the_ends_of_the_range_do_not_overflow() {
    let overdue = Some(Overdue { priority: None, add: POINTS_MAX, every: Millis(1), max: None });
    let points = vec![CurvePoint { at: Span::SlaPermille(0), priority: (-POINTS_MAX).into() }];
    let schema = Arc::new(PrioritySchema { overdue, ..PrioritySchema::of_points(points) });
    let due_at = Some(Timestamp(0));
    let curve = Curve::Schema { schema, anchor_at: Timestamp(0), due_at };
    for now in [i64::MIN, -1, 0, 1, 2, 3, i64::MAX - 1] {
        let priority = curve.piece(Timestamp(now)).at(Timestamp(now));
        assert!(priority <= Priority::from_points(POINTS_MAX));
        assert!(priority >= Priority::from_points(-POINTS_MAX));
    }
}
