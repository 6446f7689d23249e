//! Laws of curves: pieces agree with a slow walk along the schema, to the unit, at every instant.

use gantry_model::spec::CurvePoint;
use proptest::prelude::*;

use super::*;
use crate::tests::oracle::curve::{Figures, value};

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        2 => (0..2_000_u32).prop_map(Span::SlaPermille),
        1 => Just(Span::SlaPermille(1_000)),
        2 => (0..20_000_i64).prop_map(|time| Span::Time(Millis(time))),
        1 => (0..10_000_i64).prop_map(|time| Span::BeforeSla(Millis(time))),
    ]
}

fn worth() -> impl Strategy<Value = PointValue> {
    prop_oneof![
        4 => (-1_000..1_000_i64).prop_map(PointValue::Points),
        1 => (0..=1_000_u16).prop_map(|permille| PointValue::Range { permille }),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    let point = (span(), worth()).prop_map(|(at, priority)| CurvePoint { at, priority });
    let step = (-50..50_i64, 1..3_000_i64, prop::option::weighted(0.7, span()));
    let step = step.prop_map(|(add, every, lasts)| Increment { add, every: Millis(every), lasts });
    let steps = prop::collection::vec(step, 0..4);
    let increments = (worth(), steps, any::<bool>(), prop::option::of(worth()));
    prop_oneof![
        prop::collection::vec(point, 1..6).prop_map(Shape::Points),
        increments.prop_map(|(initial, steps, stepped, at_sla)| {
            Shape::Increments(Increments { initial, steps, stepped, at_sla })
        }),
    ]
}

fn schema() -> impl Strategy<Value = PrioritySchema> {
    let overdue =
        (prop::option::of(worth()), -50..50_i64, 1..5_000_i64, prop::option::of(-2_000..2_000_i64));
    let overdue = overdue.prop_map(|(priority, add, every, max)| Overdue {
        priority,
        add,
        every: Millis(every),
        max,
    });
    let bound = || {
        let points = (-1_200..1_200_i64).prop_map(Bound::Points);
        prop::option::weighted(0.4, prop_oneof![points, Just(Bound::Expression("1".into()))])
    };
    let bounds = (bound(), bound(), bound()).prop_map(|(start, min, max)| match (&min, &max) {
        // A config with a minimum above the maximum is refused.
        (Some(Bound::Points(low)), Some(Bound::Points(high))) if low > high => (start, max, min),
        _ => (start, min, max),
    });
    (shape(), prop::option::of(overdue), bounds).prop_map(|(shape, overdue, bounds)| {
        let (start, min, max) = bounds;
        let of_points = PrioritySchema::of_points(Vec::new());
        PrioritySchema { shape, overdue, start, min, max, ..of_points }
    })
}

fn figures() -> impl Strategy<Value = Figures> {
    let own = || prop::option::weighted(0.2, -1_200..1_200_i64);
    let due = prop::option::weighted(0.8, -1_000..30_000_i64);
    let boost = prop_oneof![3 => Just(0), 1 => -5_000..5_000_i64];
    (0..10_000_i64, due, own(), own(), own(), boost).prop_map(
        |(anchor, due, start, min, max, boost)| Figures {
            anchor,
            due,
            bounds: PriorityBounds { start, min, max },
            boost,
        },
    )
}

fn curve<'a>(schema: &'a PrioritySchema, item: &'a Figures) -> Curve<'a> {
    Curve::Schema(SchemaCurve {
        schema,
        anchor: Timestamp(item.anchor),
        due: item.due.map(Timestamp),
        bounds: Some(&item.bounds),
        boost: Priority::from_points(item.boost),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn pieces_agree_with_a_slow_walk(
        schema in schema(),
        item in figures(),
        now in -1_000..60_000_i64,
    ) {
        let piece = curve(&schema, &item).piece(Timestamp(now));
        prop_assert_eq!(piece.at(Timestamp(now)).0, value(&schema, item, now));
        prop_assert!(piece.until > Timestamp(now), "a piece must reach beyond its instant");
    }

    #[test]
    fn a_piece_holds_until_its_end(
        schema in schema(),
        item in figures(),
        now in 0..40_000_i64,
        later in 0..40_000_i64,
    ) {
        let piece = curve(&schema, &item).piece(Timestamp(now));
        let last = piece.until.0 - 1;
        for at in [now + later, last].into_iter().filter(|at| *at <= last && *at < 100_000) {
            prop_assert_eq!(piece.at(Timestamp(at)).0, value(&schema, item, at));
        }
    }

    /// The chain of pieces from the begin on has no gap, and not many more pieces than bends.
    #[test]
    fn pieces_follow_one_another(schema in schema(), item in figures()) {
        let curve = curve(&schema, &item);
        let mut now = Timestamp(-5_000);
        for _ in 0..200 {
            let piece = curve.piece(now);
            prop_assert_eq!(piece.at(now).0, value(&schema, item, now.0));
            if piece.until >= Timestamp(200_000) {
                break;
            }
            now = piece.until;
        }
    }

    /// Where nothing on a curve falls, the curve does not.
    #[test]
    fn a_curve_without_a_fall_never_falls(
        schema in schema(),
        item in figures(),
        from in 0..60_000_i64,
        span in 0..60_000_i64,
    ) {
        let rising = PrioritySchema { shape: ascending(schema.shape), overdue: None, ..schema };
        let unbound = |bounds: PriorityBounds| PriorityBounds { start: None, ..bounds };
        let item = Figures { bounds: unbound(item.bounds), ..item };
        let rising = PrioritySchema { start: None, ..rising };
        let curve = curve(&rising, &item);
        let (earlier, later) = (Timestamp(from), Timestamp(from + span));
        prop_assert!(curve.at(earlier) <= curve.at(later));
    }
}

/// The same shape with its values in ascending order.
fn ascending(shape: Shape) -> Shape {
    match shape {
        Shape::Points(mut points) => {
            let mut last = -1_000;
            for point in &mut points {
                if let PointValue::Points(value) = point.priority {
                    last = last.max(value);
                }
                point.priority = last.into();
            }
            Shape::Points(points)
        }
        Shape::Increments(mut increments) => {
            increments.steps.iter_mut().for_each(|step| step.add = step.add.abs());
            Shape::Increments(Increments { at_sla: None, ..increments })
        }
    }
}

fn of_points(points: &[(Span, i64)]) -> PrioritySchema {
    let point = |(at, value): &(Span, i64)| CurvePoint { at: *at, priority: (*value).into() };
    PrioritySchema::of_points(points.iter().map(point).collect())
}

fn plain(anchor: i64, due: Option<i64>) -> Figures {
    Figures { anchor, due, bounds: PriorityBounds::default(), boost: 0 }
}

#[test]
fn a_thirty_day_curve_is_exact_at_each_minute() {
    const MONTH: i64 = 30 * 86_400_000;
    let schema = of_points(&[(Span::SlaPermille(0), 0), (Span::SlaPermille(1000), 43_200)]);
    let item = plain(5, Some(5 + MONTH));
    let curve = curve(&schema, &item);
    for minute in 0..43_200 {
        let at = Timestamp(5 + minute * 60_000);
        let piece = curve.piece(at);
        assert_eq!(piece.at(at), Priority::from_points(minute));
        assert_eq!(piece.at(Timestamp(at.0 + 59_999)).points(), minute);
    }
}

#[test]
fn ten_years_of_hourly_jumps_are_one_sum() {
    const HOUR: i64 = 3_600_000;
    let step = Increment { add: 1, every: Millis(HOUR), lasts: None };
    let (initial, steps) = (PointValue::Points(100), vec![step]);
    let shape = Shape::Increments(Increments { initial, steps, stepped: true, at_sla: None });
    let schema = PrioritySchema { shape, ..PrioritySchema::of_points(Vec::new()) };
    let item = plain(0, None);
    let curve = curve(&schema, &item);
    let hours = 10 * 365 * 24;
    let piece = curve.piece(Timestamp(hours * HOUR + 7));
    assert_eq!(piece.at(Timestamp(hours * HOUR + 7)), Priority::from_points(100 + hours));
    assert_eq!(piece.until, Timestamp((hours + 1) * HOUR));
}

#[test]
fn the_ends_of_the_range_do_not_overflow() {
    let overdue = Some(Overdue { priority: None, add: POINTS_MAX, every: Millis(1), max: None });
    let points = of_points(&[(Span::SlaPermille(0), -POINTS_MAX)]);
    let steps = vec![
        Increment { add: POINTS_MAX, every: Millis(1), lasts: Some(Span::Time(Millis(1 << 60))) },
        Increment { add: -POINTS_MAX, every: Millis(1), lasts: None },
    ];
    let initial = PointValue::Points(POINTS_MAX);
    let even = Increments { initial, steps, stepped: false, at_sla: None };
    let stepped = Increments { stepped: true, ..even.clone() };
    for shape in [points.shape, Shape::Increments(even), Shape::Increments(stepped)] {
        let schema = PrioritySchema { shape, overdue, ..PrioritySchema::of_points(Vec::new()) };
        for due in [None, Some(i64::MIN), Some(0), Some(i64::MAX)] {
            for boost in [-POINTS_MAX, 0, POINTS_MAX] {
                let item = Figures { boost, ..plain(0, due) };
                let curve = curve(&schema, &item);
                for now in [i64::MIN, -1, 0, 1, 2, 3, 1 << 61, i64::MAX - 1] {
                    let priority = curve.at(Timestamp(now));
                    assert!(priority <= Priority::from_points(POINTS_MAX).raised(boost));
                    assert!(priority >= Priority::from_points(-POINTS_MAX).raised(boost));
                }
            }
        }
    }
}

trait Raised {
    fn raised(self, points: i64) -> Self;
}

impl Raised for Priority {
    fn raised(self, points: i64) -> Self {
        Self(self.0 + Self::from_points(points).0)
    }
}
