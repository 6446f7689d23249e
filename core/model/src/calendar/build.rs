//! From the spec to the calculator.

use std::collections::HashMap;

use super::days::{Days, day_number};
use super::weeks::{WEEK, WEEKS, Weeks};
use super::zone::{DAY, Zone};
use super::{Calendar, CalendarError};
use crate::spec::{CalendarSpec, Hours, Weekday};

/// The first date that any time zone has in the range, in days since 1970-01-01, and the one
/// after the last.
const FIRST_DAY: i64 = -2;
const END_DAY: i64 = WEEKS as i64 * 7 + 2;
/// 1970-01-01 was a Thursday.
const WEEKDAY_OF_DAY_ZERO: i64 = 3;

pub(super) fn build(spec: &CalendarSpec) -> Result<Calendar, CalendarError> {
    let unknown = || CalendarError::UnknownTimeZone(spec.timezone.clone());
    let zone = Zone::new(&spec.timezone, Calendar::END.0).ok_or_else(unknown)?;
    let mut hours = DayHours::new(spec);
    for day in zone.skipped_days() {
        hours.close(day);
    }
    let weeks = weeks(&zone, &hours);
    if weeks.total() == 0 {
        return Err(CalendarError::NeverOpen);
    }
    let days = (FIRST_DAY..END_DAY).map(|day| !hours.of(day).is_empty());
    let days = Days::new(FIRST_DAY, days.collect::<Vec<_>>().into_iter());
    Ok(Calendar { timezone: spec.timezone.clone(), zone, days, weeks })
}

/// The hours of every date.
struct DayHours {
    /// The hours there are, in milliseconds since midnight: those of the seven weekdays first.
    kinds: Vec<Vec<(i64, i64)>>,
    /// Which of them each date has.
    kind: Vec<u32>,
}

/// The kind of a closed day.
const CLOSED: u32 = 7;

impl DayHours {
    fn new(spec: &CalendarSpec) -> Self {
        let week = Weekday::ALL.iter().map(|day| spec.hours.get(day).map_or(vec![], millis));
        let mut kinds: Vec<_> = week.chain([vec![]]).collect();
        let mut known: HashMap<&Hours, u32> = HashMap::new();
        let mut kind: Vec<u32> = (FIRST_DAY..END_DAY).map(weekday).collect();
        for year in Calendar::BEGIN_YEAR - 1..=Calendar::END_YEAR + 1 {
            for (date, (_, exception)) in spec.exceptions_in(year) {
                let at = day_number(date) - FIRST_DAY;
                let Some(kind) = usize::try_from(at).ok().and_then(|at| kind.get_mut(at)) else {
                    continue;
                };
                *kind = if exception.hours.is_empty() {
                    CLOSED
                } else {
                    *known.entry(&exception.hours).or_insert_with(|| {
                        kinds.push(millis(&exception.hours));
                        (kinds.len() - 1) as u32
                    })
                };
            }
        }
        Self { kinds, kind }
    }

    fn of(&self, day: i64) -> &[(i64, i64)] {
        &self.kinds[self.kind[(day - FIRST_DAY) as usize] as usize]
    }

    /// The kinds of a day and those after it.
    fn kinds_from(&self, day: i64) -> [u32; LOCAL_DAYS] {
        let first = (day - FIRST_DAY) as usize;
        std::array::from_fn(|at| self.kind[first + at])
    }

    fn close(&mut self, day: i64) {
        self.kind[(day - FIRST_DAY) as usize] = CLOSED;
    }
}

fn weekday(day: i64) -> u32 {
    (day + WEEKDAY_OF_DAY_ZERO).rem_euclid(7) as u32
}

fn millis(hours: &Hours) -> Vec<(i64, i64)> {
    let millis = |minute: crate::spec::Minute| i64::from(minute.get()) * 60_000;
    hours.spans().iter().map(|span| (millis(span.from()), millis(span.to()))).collect()
}

fn weeks(zone: &Zone, hours: &DayHours) -> Weeks {
    let mut patterns: Vec<Vec<(u32, u32)>> = Vec::new();
    let mut known: HashMap<Vec<(u32, u32)>, u16> = HashMap::new();
    // Most weeks are like others: where the clocks do not change, the hours of their days and the
    // offset say all.
    let mut alike: HashMap<(i64, [u32; LOCAL_DAYS]), u16> = HashMap::new();
    let mut of_week = Vec::with_capacity(WEEKS);
    for week in 0..WEEKS as i64 {
        let (begin, end) = (week * WEEK, (week + 1) * WEEK);
        let (_, until, offset) = zone.piece_at(begin);
        let key = (until >= end).then(|| (offset, hours.kinds_from(local_day(begin, offset))));
        if let Some(id) = key.and_then(|key| alike.get(&key)) {
            of_week.push(*id);
            continue;
        }
        let id = *known.entry(pattern(zone, hours, begin, end)).or_insert_with_key(|pattern| {
            patterns.push(pattern.clone());
            (patterns.len() - 1) as u16
        });
        alike.extend(key.map(|key| (key, id)));
        of_week.push(id);
    }
    Weeks::new(&patterns, of_week)
}

/// How many dates a week of UTC touches in another time zone.
const LOCAL_DAYS: usize = 8;

fn local_day(t: i64, offset: i64) -> i64 {
    (t + offset).div_euclid(DAY)
}

/// The open spans of a week. The calendar is open while the wall clock shows working time; where
/// the clocks do not change that is the hours less the offset, and a week has one or two such
/// pieces.
fn pattern(zone: &Zone, hours: &DayHours, begin: i64, end: i64) -> Vec<(u32, u32)> {
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for (since, until, offset) in zone.pieces(begin, end) {
        for day in local_day(since, offset)..=local_day(until - 1, offset) {
            let midnight = day * DAY - offset;
            for (from, to) in hours.of(day) {
                let from = (midnight + from).max(since) - begin;
                let to = (midnight + to).min(until) - begin;
                match spans.last_mut() {
                    _ if from >= to => {}
                    Some(last) if i64::from(last.1) == from => last.1 = to as u32,
                    _ => spans.push((from as u32, to as u32)),
                }
            }
        }
    }
    spans
}
