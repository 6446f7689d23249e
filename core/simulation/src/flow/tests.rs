//! Arrivals follow their rates.

use std::sync::Arc;

use gantry_model::spec::scenario::{Flow, RateWindow, RecordedArrival, WeekWindow};
use gantry_model::{Millis, Timestamp};

use super::Arrivals;
use crate::random::Stream;

const START: Timestamp = Timestamp(1_772_409_600_000);
const HOUR: i64 = 3_600_000;

fn all(flow: &Flow, hours: i64) -> Vec<Timestamp> {
    let random = Stream::new(3, "arrivals", "test");
    let mut arrivals = Arrivals::new(flow, Millis(0), random);
    let end = START.plus(Millis(hours * HOUR));
    let mut last = START;
    std::iter::from_fn(|| {
        last = arrivals.next(last, end)?.at;
        Some(last)
    })
    .collect()
}

fn rate(from_hour: i64, to_hour: i64, per_hour: f64) -> RateWindow {
    let (from, to) = (Millis(from_hour * HOUR), Millis(to_hour * HOUR));
    RateWindow { window: WeekWindow { from, to, ..WeekWindow::ALWAYS }, per_hour }
}

#[test]
fn rates_by_the_hour() {
    let flow = Flow::Poisson(vec![rate(8, 10, 6_000.0), rate(10, 12, 1_500.0)]);
    let days = 20;
    let arrivals = all(&flow, days * 24);
    let mut by_hour = [0_u32; 24];
    for at in &arrivals {
        by_hour[(at.since(START).0 / HOUR % 24) as usize] += 1;
    }
    for (hour, count) in by_hour.into_iter().enumerate() {
        let expected = match hour {
            8 | 9 => 6_000.0 * days as f64,
            10 | 11 => 1_500.0 * days as f64,
            _ => 0.0,
        };
        let off = (f64::from(count) - expected).abs();
        assert!(off <= 4.0 * expected.sqrt(), "{count} instead of {expected} at {hour}");
    }
    assert!(arrivals.is_sorted());
}

#[test]
fn no_rate_no_arrivals() {
    assert_eq!(all(&Flow::Poisson(vec![]), 24), []);
    assert_eq!(all(&Flow::Poisson(vec![rate(0, 24, 0.0)]), 24), []);
}

#[test]
fn every_so_often() {
    let arrivals = all(&Flow::Every(Millis(HOUR / 2)), 2);
    let expected = [1, 2, 3, 4].map(|half| START.plus(Millis(half * HOUR / 2)));
    assert_eq!(arrivals, expected);
}

#[test]
fn recorded_ones_within_the_scenario() {
    let recorded = [-1, 0, 0, 5, 24, 25].map(|hour| RecordedArrival {
        at: START.plus(Millis(hour * HOUR)),
        handle_time: None,
        due_at: None,
    });
    let hours = [0, 0, 5, 24].map(|hour| START.plus(Millis(hour * HOUR)));
    assert_eq!(all(&Flow::Recorded(Arc::from(recorded)), 24), hours);
}
