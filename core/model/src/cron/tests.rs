//! Times by cron expressions, above all where clocks change.

use super::{Cron, CronError};
use crate::spec::CronSpec;
use crate::time::Timestamp;

fn spec(expression: &str, timezone: &str) -> CronSpec {
    CronSpec { expression: expression.into(), timezone: timezone.into() }
}

/// The next times after an instant.
fn check(expression: &str, after: &str, expected: &[&str]) {
    let cron = Cron::new(&spec(expression, "Europe/Berlin")).unwrap();
    let mut at: Timestamp = after.parse().unwrap();
    for expected in expected {
        at = cron.next_after(at).unwrap();
        assert_eq!(at.to_string(), *expected, "{expression} after {after}");
    }
}

#[test]
fn times_of_day_are_those_of_the_time_zone() {
    // Berlin is one hour ahead in winter, two in summer.
    check("0 8 * * *", "2026-01-05T07:00:00Z", &["2026-01-06T07:00:00Z"]);
    check("0 8 * * *", "2026-07-05T05:59:59.999Z", &["2026-07-05T06:00:00Z"]);
    // The last one on a Friday, and the first on the Monday after it.
    let expected = ["2026-01-09T16:55:00Z", "2026-01-12T07:00:00Z", "2026-01-12T07:05:00Z"];
    check("*/5 8-17 * * MON-FRI", "2026-01-09T16:51:00Z", &expected);
}

#[test]
fn a_time_that_is_left_out_comes_at_the_next_instant() {
    // On 29 March 2026 it is 3:00 after 1:59.
    let expected = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    check("30 2 * * *", "2026-03-27T12:00:00Z", &expected);
    let expected = ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
    check("*/30 * * * *", "2026-03-29T00:00:00Z", &expected);
}

#[test]
fn a_time_that_comes_twice_counts_once_and_what_goes_on_evenly_goes_on() {
    // On 25 October 2026 it is 2:00 again after 2:59.
    let expected = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    check("30 2 * * *", "2026-10-24T12:00:00Z", &expected);
    let expected = [
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T02:00:00Z",
    ];
    check("*/30 * * * *", "2026-10-25T00:00:00Z", &expected);
}

#[test]
fn what_is_no_schedule_is_refused() {
    for expression in ["", "* * * *", "0 * * * * *", "61 * * * *", "* * * * MON-FRY", "hourly"] {
        let refused = Cron::new(&spec(expression, "UTC"));
        assert!(matches!(refused, Err(CronError::Expression { .. })), "{expression}: {refused:?}");
    }
    let never = Cron::new(&spec("0 0 30 2 *", "UTC")).unwrap_err();
    assert_eq!(never.to_string(), "\"0 0 30 2 *\" names a time that never comes");
    let zone = Cron::new(&spec("* * * * *", "Europe/Berln")).unwrap_err();
    assert_eq!(zone, CronError::TimeZone("Europe/Berln".into()));
}
