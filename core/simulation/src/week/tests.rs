//! Windows of the week.

use gantry_model::spec::scenario::WeekWindow;
use gantry_model::{Millis, Timestamp};

use super::Weekly;

const WEEKDAYS: [bool; 7] = [true, true, true, true, true, false, false];

fn window(days: [bool; 7], from_hour: i64, to_hour: i64) -> WeekWindow {
    WeekWindow { days, from: Millis(from_hour * 3_600_000), to: Millis(to_hour * 3_600_000) }
}

fn weekly(windows: &[WeekWindow], offset_hours: i64) -> Weekly<bool> {
    Weekly::new(Millis(offset_hours * 3_600_000), windows.iter().copied(), |instant| {
        windows.iter().any(|window| instant.within(window))
    })
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn office_hours() {
    let weekly = weekly(&[window(WEEKDAYS, 8, 17)], 1);
    // Monday.
    assert!(!weekly.at(at("2026-03-02T07:59:59+01:00")));
    assert!(weekly.at(at("2026-03-02T08:00:00+01:00")));
    assert!(weekly.at(at("2026-03-02T16:59:59.999+01:00")));
    assert!(!weekly.at(at("2026-03-02T17:00:00+01:00")));
    assert_eq!(weekly.next(at("2026-03-02T09:00:00+01:00")), Some(at("2026-03-02T17:00:00+01:00")));
    // The week ends in the middle of a weekend; the roster is looked at again there.
    assert_eq!(weekly.next(at("2026-03-06T17:00:00+01:00")), Some(at("2026-03-09T00:00:00+01:00")));
    assert_eq!(weekly.next(at("2026-03-09T00:00:00+01:00")), Some(at("2026-03-09T08:00:00+01:00")));
}

#[test]
fn nights_go_over_midnight_and_over_the_week() {
    let sunday = [false, false, false, false, false, false, true];
    let weekly = weekly(&[window(sunday, 22, 6)], 0);
    assert!(weekly.at(at("2026-03-01T23:00:00Z")));
    assert!(weekly.at(at("2026-03-02T05:59:00Z")));
    assert!(!weekly.at(at("2026-03-02T06:00:00Z")));
    assert!(!weekly.at(at("2026-03-02T22:00:00Z")));
}

#[test]
fn always_is_one_piece() {
    let weekly = weekly(&[WeekWindow::ALWAYS], 5);
    assert!(weekly.at(at("1969-12-31T23:59:59Z")));
    assert_eq!(weekly.next(at("2026-03-02T00:00:00Z")), None);
}
