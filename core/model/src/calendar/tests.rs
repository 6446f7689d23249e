//! The calculator: days on which the clocks change, odd zones, the edges of the range; laws; and
//! vectors from outside.

mod days;
mod kadai;
mod laws;
mod measure;

use super::{Calendar, CalendarError, Change, WorkingTimeError};
use crate::spec::{CalendarSpec, DayRule, Exception, Hours, Weekday};
use crate::time::{Millis, Timestamp};

/// A spec from text: hours as `mon 08:00-12:00 13:00-17:00`, exceptions as `12-24 08:00-12:00`.
fn spec(timezone: &str, hours: &[&str], exceptions: &[(&str, &str)]) -> CalendarSpec {
    let spans = |text: &str| -> Hours {
        Hours::new(text.split_whitespace().map(|span| span.parse().unwrap()).collect())
    };
    let hours = hours.iter().map(|day| {
        let (day, text) = day.split_once(' ').unwrap();
        (day.parse::<Weekday>().unwrap(), spans(text))
    });
    let exceptions = exceptions.iter().map(|(rule, text)| {
        (rule.parse::<DayRule>().unwrap(), Exception { hours: spans(text), name: None })
    });
    CalendarSpec {
        timezone: timezone.into(),
        hours: hours.collect(),
        exceptions: exceptions.collect(),
    }
}

fn calendar(timezone: &str, hours: &[&str], exceptions: &[(&str, &str)]) -> Calendar {
    Calendar::new(&spec(timezone, hours, exceptions)).unwrap()
}

fn office() -> Calendar {
    let day = |name| format!("{name} 08:00-12:00 13:00-17:00");
    let week = ["mon", "tue", "wed", "thu", "fri"].map(day);
    let week: Vec<&str> = week.iter().map(String::as_str).collect();
    calendar("Europe/Berlin", &week, &[("12-25", ""), ("easter-2", ""), ("easter+1", "")])
}

fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn d(text: &str) -> Millis {
    text.parse().unwrap()
}

#[test]
fn a_gap_in_the_wall_clock_has_no_working_time() {
    // In Berlin 2026-03-29 has no time from 02:00 to 03:00; 01:00Z is the change.
    let night = calendar("Europe/Berlin", &["sun 01:00-04:00"], &[]);
    assert_eq!(night.between(t("2026-03-28T12:00:00Z"), t("2026-03-29T12:00:00Z")), d("2h"));
    let within = calendar("Europe/Berlin", &["sun 02:15-02:45"], &[]);
    assert_eq!(within.between(t("2026-03-28T12:00:00Z"), t("2026-03-29T12:00:00Z")), d("0"));
    let begins_in_it = calendar("Europe/Berlin", &["sun 02:30-04:00"], &[]);
    let opens = begins_in_it.next_change(t("2026-03-28T12:00:00Z"));
    assert_eq!(opens, Some(Change::Opens(t("2026-03-29T01:00:00Z"))));
}

#[test]
fn an_hour_that_comes_twice_counts_twice() {
    // In Berlin 02:00 to 03:00 comes twice on 2026-10-25; 01:00Z is the change.
    let within = calendar("Europe/Berlin", &["sun 02:15-02:45"], &[]);
    let start = t("2026-10-24T12:00:00Z");
    assert_eq!(within.between(start, t("2026-10-25T12:00:00Z")), d("1h"));
    assert_eq!(within.add(start, d("30m")), Ok(t("2026-10-25T00:45:00Z")));
    assert_eq!(within.add(start, d("31m")), Ok(t("2026-10-25T01:16:00Z")));
    let day = calendar("Europe/Berlin", &["sun 00:00-24:00"], &[]);
    assert_eq!(day.between(start, t("2026-10-26T12:00:00Z")), d("25h"));
}

#[test]
fn a_date_that_a_zone_left_out_is_no_workday() {
    // Samoa went from 2011-12-29, a Thursday, to Saturday, the 31st.
    let apia = calendar("Pacific/Apia", &["thu 08:00-12:00", "fri 08:00-12:00"], &[]);
    let thursday = t("2011-12-29T18:30:00Z");
    assert!(apia.is_open(thursday));
    assert_eq!(apia.add_days(thursday, 1), Ok(t("2012-01-04T18:30:00Z")));
    assert_eq!(apia.between(thursday, t("2012-01-04T00:00:00Z")), d("3h30m"));
}

#[test]
fn ends_stay_and_nothing_moves_on() {
    let office = office();
    let (noon, one) = (t("2026-06-01T10:00:00Z"), t("2026-06-01T11:00:00Z"));
    assert_eq!(office.add(t("2026-06-01T06:00:00Z"), d("4h")), Ok(noon));
    assert_eq!(office.add(noon, d("0")), Ok(one));
    assert_eq!(office.subtract(t("2026-06-01T15:00:00Z"), d("4h")), Ok(one));
    assert_eq!(office.subtract(one, d("0")), Ok(noon));
    assert_eq!(office.add(noon, d("1ms")), Ok(Timestamp(one.0 + 1)));
    assert_eq!(office.subtract(one, d("1ms")), Ok(Timestamp(noon.0 - 1)));
}

#[test]
fn it_opens_and_closes() {
    let office = office();
    let changes = ["2026-12-24T11:30:00Z", "2026-12-24T12:30:00Z", "2026-12-24T16:00:00Z"];
    let [lunch, afternoon, evening] = changes.map(t);
    assert_eq!(office.next_change(lunch), Some(Change::Opens(t("2026-12-24T12:00:00Z"))));
    assert_eq!(office.next_change(afternoon), Some(Change::Closes(evening)));
    // Christmas is a Friday, so it opens on Monday.
    assert_eq!(office.next_change(evening), Some(Change::Opens(t("2026-12-28T07:00:00Z"))));
    // Spans that touch over midnight and over the begin of a week of UTC are one.
    let nights = calendar("UTC", &["wed 20:00-24:00", "thu 00:00-06:00"], &[]);
    let closes = nights.next_change(t("2026-05-13T21:00:00Z"));
    assert_eq!(closes, Some(Change::Closes(t("2026-05-14T06:00:00Z"))));
    let midnight = calendar("UTC", &["wed 20:00-24:00"], &[]);
    let closes = midnight.next_change(t("2026-05-13T21:00:00Z"));
    assert_eq!(closes, Some(Change::Closes(t("2026-05-14T00:00:00Z"))));
}

#[test]
fn what_is_always_open_never_closes() {
    let always = Weekday::ALL.map(|day| format!("{} 00:00-24:00", day.as_str()));
    let always: Vec<&str> = always.iter().map(String::as_str).collect();
    let always = calendar("America/New_York", &always, &[]);
    let now = t("2026-01-01T00:00:00Z");
    assert_eq!(always.next_change(now), None);
    assert_eq!(always.add(now, d("36500d")), Ok(now.plus(d("36500d"))));
    assert_eq!(always.total(), Calendar::END.since(Calendar::BEGIN));
}

#[test]
fn outside_the_range_it_is_closed_and_answers_are_errors() {
    assert_eq!(Calendar::END, t("2270-01-06T00:00:00Z"));
    assert_eq!((Calendar::BEGIN_YEAR, Calendar::END_YEAR), (1970, 2269));
    let office = office();
    let (before, after) = (t("1969-06-02T09:00:00Z"), t("2280-06-03T09:00:00Z"));
    assert!(!office.is_open(before) && !office.is_open(after));
    assert!(!Calendar::covers(before) && Calendar::covers(t("2026-01-01T00:00:00Z")));
    assert_eq!(office.clock(before), Millis(0));
    assert_eq!(office.between(before, after), office.total());
    assert_eq!(office.add(before, d("1h")), Ok(t("1970-01-01T08:00:00Z")));
    for (start, span) in [(after, "0"), (after, "1ms"), (before, "300000d")] {
        assert_eq!(office.add(start, d(span)), Err(WorkingTimeError::OutOfRange));
    }
    assert_eq!(office.subtract(before, d("0")), Err(WorkingTimeError::OutOfRange));
    assert_eq!(office.next_change(after), None);
    assert_eq!(office.add_days(after, 0), Err(WorkingTimeError::OutOfRange));
    assert_eq!(office.subtract_days(before, 0), Err(WorkingTimeError::OutOfRange));
    assert_eq!(office.add_days(before, u32::MAX), Err(WorkingTimeError::OutOfRange));
    let negative = Err(WorkingTimeError::Negative(Millis(-1)));
    assert_eq!(office.add(before, Millis(-1)), negative);
    assert_eq!(office.subtract(before, Millis(-1)), negative);
    for extreme in [i64::MIN, i64::MAX] {
        assert!(!office.is_workday(Timestamp(extreme)));
        assert_eq!(office.add(Timestamp(extreme), d("0")).is_ok(), extreme < 0);
    }
    assert_eq!(office.add(before, Millis(i64::MAX)), Err(WorkingTimeError::OutOfRange));
}

#[test]
fn what_is_no_calendar_is_refused() {
    let unknown = Calendar::new(&spec("Europe/Berlyn", &["mon 08:00-12:00"], &[]));
    assert_eq!(unknown.unwrap_err(), CalendarError::UnknownTimeZone("Europe/Berlyn".into()));
    let never = Calendar::new(&spec("UTC", &[], &[("12-25", "")]));
    assert_eq!(never.unwrap_err(), CalendarError::NeverOpen);
}
