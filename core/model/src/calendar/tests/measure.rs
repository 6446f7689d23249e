//! What a calendar costs: printed (`--nocapture`, with `--release` for figures that mean
//! something), and checked for what does not depend on the machine.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::{Calendar, d, spec, t};
use crate::spec::CalendarSpec;
use crate::time::{Millis, Timestamp};

/// Two spans a day, half a Saturday, and German holidays.
fn office() -> CalendarSpec {
    let day = |name| format!("{name} 08:00-12:00 13:00-17:00");
    let mut week = ["mon", "tue", "wed", "thu", "fri"].map(day).to_vec();
    week.push("sat 09:00-12:00".into());
    let week: Vec<&str> = week.iter().map(String::as_str).collect();
    let closed = [
        "01-01",
        "05-01",
        "10-03",
        "12-25",
        "12-26",
        "easter-2",
        "easter+1",
        "easter+39",
        "easter+50",
        "easter+60",
        "03-08",
        "11-01",
    ];
    let mut exceptions: Vec<_> = closed.map(|day| (day, "")).to_vec();
    exceptions.extend(["12-24", "12-31"].map(|day| (day, "08:00-12:00")));
    spec("Europe/Berlin", &week, &exceptions)
}

fn each(n: u32, mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..n {
        work();
    }
    start.elapsed() / n
}

#[test]
fn a_calendar_is_small_and_a_century_is_one_question() {
    let spec = office();
    let calendar = Calendar::new(&spec).unwrap();
    let bytes = calendar.weeks.bytes() + calendar.days.bytes() + calendar.zone.bytes();
    let built = each(20, || drop(black_box(Calendar::new(black_box(&spec)))));
    let (from, to) = (t("2026-01-05T08:00:00Z"), t("2126-01-05T08:00:00Z"));
    let century = each(1000, || {
        let _ = black_box(calendar.between(black_box(from), to));
    });
    let work = calendar.between(from, to);
    let added = each(1000, || {
        let _ = black_box(calendar.add(black_box(from), work));
    });
    let mut start = from;
    let mixed = each(100_000, || {
        start = Timestamp(from.0 + (start.0 * 7 + 12_345_678_901).rem_euclid(to.0 - from.0));
        let _ = black_box(calendar.add(start, Millis(72 * 3_600_000)));
    });
    println!("one calendar: {bytes} bytes, built in {built:?}");
    println!("between over a century: {century:?}; add of its {work}: {added:?}");
    println!("add of 72 h to random instants: {mixed:?}");
    assert!(bytes <= 256 * 1024, "{bytes} bytes");
    // The same century, year by year.
    let years: Vec<Timestamp> =
        (2026..=2126).map(|year| t(&format!("{year}-01-05T08:00:00Z"))).collect();
    let sum: i64 = years.windows(2).map(|pair| calendar.between(pair[0], pair[1]).0).sum();
    assert_eq!(work, Millis(sum));
    assert!(work > d("8000d") && work < d("9000d"), "{work}");
}
