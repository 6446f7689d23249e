//! The next time of a schedule, and how much later it may come.

use gantry_model::spec::{CaptureSpec, CronSpec};
use gantry_model::{Millis, Timestamp};

use super::Schedule;

const NOW: Timestamp = Timestamp(1_000);
const MINUTE: Timestamp = Timestamp(60_000);

/// The spans by which a hundred times come after `from`: the least and the most.
fn later(spec: &CaptureSpec, from: Timestamp) -> (Millis, Millis) {
    let schedule = Schedule::new(spec).unwrap();
    let spans = (0..100).map(|_| schedule.next_after(NOW).unwrap().since(from));
    let spans: Vec<_> = spans.collect();
    (*spans.iter().min().unwrap(), *spans.iter().max().unwrap())
}

#[test]
fn times_come_later_by_the_jitter_at_most() {
    let every = CaptureSpec { every: Some(Millis(10_000)), ..CaptureSpec::default() };
    let (least, most) = later(&every, NOW);
    assert!(least >= Millis(10_000) && most <= Millis(11_000), "a tenth: {least} {most}");
    assert!(least < most);
    let exact = CaptureSpec { jitter: Some(Millis(0)), ..every };
    assert_eq!(later(&exact, NOW), (Millis(10_000), Millis(10_000)));

    let cron = CronSpec { expression: "* * * * *".into(), timezone: "UTC".into() };
    let cron = CaptureSpec { cron: Some(cron), ..CaptureSpec::default() };
    assert_eq!(later(&cron, MINUTE), (Millis(0), Millis(0)), "on the minute");
    let spread = CaptureSpec { jitter: Some(Millis(5_000)), ..cron };
    let (least, most) = later(&spread, MINUTE);
    assert!(least >= Millis(0) && most <= Millis(5_000) && least < most, "{least} {most}");
    assert!(Schedule::new(&CaptureSpec::default()).is_none());
}
