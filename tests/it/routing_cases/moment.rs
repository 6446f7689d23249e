//! Moments of a case: `08:30`, `Tue 08:30:15`, `+5m`, or RFC 3339.

use gantry_model::{Millis, Timestamp};

const DAY: i64 = 86_400_000;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Monday, 5 January 2026, 08:00 UTC.
pub(super) const START: Timestamp = Timestamp(1_767_600_000_000);

/// The moment that a text means, read at `now`. A weekday is the next one that is not past.
pub(super) fn read(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong =
        || format!("{text:?} is no moment: write 08:30, Tue 08:30, +5m or 2026-01-05T08:30:00Z");
    if let Some(span) = text.strip_prefix('+') {
        return Ok(now.plus(span.parse::<Millis>().map_err(|_| wrong())?));
    }
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let today = now.0.div_euclid(DAY);
    let (day, clock) = match text.split_once(' ') {
        None => (today, text),
        Some((name, clock)) => {
            let wanted = WEEKDAYS.iter().position(|day| *day == name).ok_or_else(wrong)?;
            // The first day of the epoch was a Thursday.
            let weekday = (today + 3).rem_euclid(7);
            (today + (wanted as i64 - weekday).rem_euclid(7), clock)
        }
    };
    let parts: Result<Vec<i64>, _> = clock.split(':').map(str::parse).collect();
    let (hour, minute, second) = match parts.map_err(|_| wrong())?[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return Err(wrong()),
    };
    let at = Timestamp(day * DAY + ((hour * 60 + minute) * 60 + second) * 1000);
    let week = if text.contains(' ') && at < now { 7 * DAY } else { 0 };
    Ok(Timestamp(at.0 + week))
}
