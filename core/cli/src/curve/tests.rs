//! What is drawn is what the engine says.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::item::PriorityBounds;
use gantry_model::spec::{CurvePoint, Overdue, PrioritySchema, RoutingSpec, Sla, Span};
use gantry_model::{Millis, Name, Timestamp};
use gantry_web::course::{Course, Example, Window, course};

use super::{svg, terminal, ticks, time_ticks};

const HOUR: i64 = 3_600_000;
const WIDTH: usize = 80;
const ANCHOR: Timestamp = Timestamp(1_772_442_000_000);

/// From 500 to 2000 in 72 h, then 10 points more an hour, up to 3000.
fn gold(window: Window) -> Course {
    let points = vec![
        CurvePoint { at: Span::Time(Millis(0)), priority: 500.into() },
        CurvePoint { at: Span::SlaPermille(1000), priority: 2000.into() },
    ];
    let overdue = Overdue { priority: None, add: 10, every: Millis(HOUR), max: Some(3000) };
    let schema = PrioritySchema { overdue: Some(overdue), ..PrioritySchema::of_points(points) };
    let routing = Arc::new(RoutingSpec {
        priorities: BTreeMap::from([("gold".into(), schema)]),
        ..RoutingSpec::default()
    });
    let example = Example {
        schema: Name::new("gold"),
        anchor_at: ANCHOR,
        sla: Some(Sla::Wall(Millis(72 * HOUR))),
        bounds: PriorityBounds::default(),
    };
    let item = example.item(&routing).unwrap();
    course(&routing, &item, window, ANCHOR.plus(Millis(24 * HOUR))).unwrap()
}

/// The exact value by its definition, in 2⁻⁴⁰ points.
fn units(at: Timestamp) -> i128 {
    let gone = i128::from(at.since(ANCHOR).0);
    let due = i128::from(72 * HOUR);
    if gone < due {
        return (500 << 40) + ((1500i128 << 40) * gone).div_euclid(due);
    }
    let climbed = (2000 << 40) + ((10i128 << 40) * (gone - due)).div_euclid(i128::from(HOUR));
    climbed.min(3000 << 40)
}

/// A decimal number in 2⁻⁴⁰ points; it has to have no rest.
fn parsed(exact: &str) -> i128 {
    let (whole, fraction) = exact.split_once('.').unwrap_or((exact, ""));
    let fraction = format!("{fraction:0<40}");
    // 40 decimals do not fit an integer of 128 bits: digit by digit, from the last.
    let mut digits: Vec<u8> = fraction.bytes().map(|digit| digit - b'0').collect();
    let mut units = whole.parse::<i128>().unwrap() << 40;
    for bit in (0..40).rev() {
        let mut carry = 0;
        for digit in digits.iter_mut().rev() {
            let doubled = *digit * 2 + carry;
            (*digit, carry) = (doubled % 10, doubled / 10);
        }
        units += i128::from(carry) << bit;
    }
    assert!(digits.iter().all(|digit| *digit == 0), "{exact} is finer than a unit");
    units
}

#[test]
fn every_point_is_the_value_at_its_instant_to_the_unit() {
    let to = Some(ANCHOR.plus(Millis(200 * HOUR)));
    let gold = gold(Window { from: None, to, samples: 977 });
    assert!(gold.points.len() > 977, "{}", gold.points.len());
    for point in &gold.points {
        assert_eq!(parsed(&point.exact), units(point.at), "at {}", point.at);
        assert_eq!(i128::from(point.priority), units(point.at) >> 40);
    }
    let changes = gold.points.iter().filter(|point| point.kind != "sample");
    let told: Vec<_> =
        changes.map(|point| (point.at.since(ANCHOR).0 / HOUR, point.kind.as_str())).collect();
    assert_eq!(told, [(0, "begin"), (72, "due"), (172, "bend"), (200, "end")]);
}

#[test]
fn the_picture_has_a_dot_at_every_value() {
    let samples = terminal::instants(WIDTH);
    let gold = gold(Window { samples, ..Window::default() });
    let lines = terminal::draw(&gold, false, WIDTH, false);
    let marks = ticks(500.0, 2180.0, 4);
    let (low, high) = (marks[0], marks[marks.len() - 1]);
    let rows: Vec<Vec<char>> =
        lines[1..17].iter().map(|line| line.chars().skip(10).collect()).collect();
    let whole = gold.to.since(gold.from).0;
    for number in 0..samples {
        let at = gold.from.plus(Millis(
            (i128::from(whole) * i128::from(number) / i128::from(samples - 1)) as i64,
        ));
        let value = units(at) as f64 / 2f64.powi(40);
        let row = ((high - value) / (high - low) * 63.0).round() as usize;
        let sign = rows[row / 4].get(number as usize / 2).copied().unwrap_or(' ');
        let bits = u32::from(sign).saturating_sub(0x2800);
        let dot =
            [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]][row % 4][number as usize % 2];
        assert_ne!(bits & dot, 0, "no dot at {at}: {lines:#?}");
    }
    assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
    assert!(lines[18].contains("due 3d"), "{lines:#?}");
}

#[test]
fn of_an_item_the_future_is_dashed_and_now_is_marked() {
    let gold = gold(Window { samples: terminal::instants(WIDTH), ..Window::default() });
    let solid = terminal::draw(&gold, false, WIDTH, false).concat();
    let dashed = terminal::draw(&gold, true, WIDTH, false).concat();
    let dots = |text: &str| {
        text.chars().filter(|sign| (0x2801..=0x28ff).contains(&u32::from(*sign))).count()
    };
    assert!(dots(&dashed) < dots(&solid), "{dashed}");
    assert!(dashed.contains('│') && !solid.contains('│'), "{dashed}");
    let coloured = terminal::draw(&gold, true, WIDTH, true).concat();
    assert!(coloured.contains("\x1b[") && !dashed.contains('\x1b'));
}

#[test]
fn the_svg_runs_through_the_values() {
    let gold = gold(Window { samples: 50, ..Window::default() });
    let svg = svg::draw(&gold, true);
    let list = |class: &str| -> Vec<(f64, f64)> {
        let begin = format!(r#"<polyline class="{class}" points=""#);
        let list = svg.split_once(&begin).unwrap().1.split_once('"').unwrap().0;
        let pair = |pair: &str| {
            let (x, y) = pair.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        };
        list.split(' ').map(pair).collect()
    };
    let (past, future) = (list("past"), list("future"));
    assert_eq!(past.last(), future.first(), "no gap at now");
    let drawn = [past, future[1..].to_vec()].concat();
    assert_eq!(drawn.len(), gold.points.len());
    let marks = ticks(500.0, 2180.0, 6);
    let (low, high) = (marks[0], marks[marks.len() - 1]);
    for ((_, y), point) in drawn.iter().zip(&gold.points) {
        let value = units(point.at) as f64 / 2f64.powi(40);
        let expected = 44.0 + (high - value) / (high - low) * (420.0 - 44.0 - 48.0);
        assert!((y - expected).abs() < 0.01, "{y} is not {expected} at {}", point.at);
    }
    assert!(svg.contains(r#"class="now""#) && svg.contains(r#"class="due""#));
}

#[test]
fn axes_have_round_marks() {
    assert_eq!(ticks(512.0, 1990.0, 4), [500.0, 1000.0, 1500.0, 2000.0]);
    assert_eq!(ticks(-1.0, 0.0, 4), [-1.0, 0.0]);
    let day = Millis(24 * HOUR);
    let found = time_ticks(ANCHOR, ANCHOR.plus(day), ANCHOR, 4);
    let hours: Vec<_> = found.iter().map(|at| at.since(ANCHOR).0 / HOUR).collect();
    assert_eq!(hours, [0, 6, 12, 18, 24]);
}
