//! Events: which days they close, over and over if they recur.

use std::collections::BTreeMap;
use std::ops::Range;

use gantry_model::Calendar;
use gantry_model::spec::{DayOfYear, DayRule, Minute, WallSpan, Weekday};
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::lines::Line;
use super::{Broken, DAYS_MAX, Day};

/// A `VEVENT`: its lines, without those of what is nested in it.
pub(super) struct Event {
    lines: Vec<Line>,
    /// Its first line.
    pub(super) span: Range<usize>,
}

/// Finds the events among the lines of a file.
pub(super) fn split(lines: Vec<Line>) -> Result<Vec<Event>, Broken> {
    let mut open: Vec<(String, Range<usize>)> = Vec::new();
    let mut events: Vec<Event> = Vec::new();
    if lines.is_empty() {
        return Err(Broken { span: 0..0, message: "this file is empty".to_owned() });
    }
    for line in lines {
        let broken = |message: String| Broken { span: line.span.clone(), message };
        let part = line.value.trim().to_ascii_uppercase();
        match line.name.as_str() {
            "BEGIN" => {
                if part == "VEVENT" {
                    events.push(Event { lines: Vec::new(), span: line.span.clone() });
                }
                open.push((part, line.span));
            }
            "END" => match open.pop() {
                Some((begun, _)) if begun == part => {}
                Some((begun, _)) => return Err(broken(format!("{begun} is not ended before"))),
                None => return Err(broken(format!("{part} was not begun"))),
            },
            _ => match (open.last(), events.last_mut()) {
                (Some((part, _)), Some(event)) if part == "VEVENT" => event.lines.push(line),
                (Some(_), _) => {}
                (None, _) => {
                    let message = "this is no iCalendar: it does not begin with BEGIN:VCALENDAR";
                    return Err(broken(message.to_owned()));
                }
            },
        }
    }
    match open.pop() {
        Some((part, span)) => Err(Broken { span, message: format!("{part} is not ended") }),
        None => Ok(events),
    }
}

/// The occurrences of recurring events that an event of their own replaces, by unique id.
pub(super) fn moved(events: &[Event]) -> BTreeMap<&str, Vec<&Line>> {
    let mut moved: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for event in events {
        if let Some((uid, line)) = event.get("UID").zip(event.get("RECURRENCE-ID")) {
            moved.entry(uid.value.as_str()).or_default().push(line);
        }
    }
    moved
}

/// A date, or a date and time of day on the calendar's wall clock.
#[derive(Clone, Copy)]
enum When {
    Day(Date),
    Time(DateTime),
}

impl When {
    fn start(self) -> DateTime {
        match self {
            Self::Day(date) => date.to_datetime(Time::midnight()),
            Self::Time(time) => time,
        }
    }
}

impl Event {
    fn get(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Line> {
        self.lines.iter().filter(move |line| line.name == name)
    }

    /// The days that the event closes.
    pub(super) fn days(
        &self,
        timezone: &str,
        moved: &BTreeMap<&str, Vec<&Line>>,
    ) -> Result<Vec<Day>, Broken> {
        if self.get("STATUS").is_some_and(|line| line.value.eq_ignore_ascii_case("CANCELLED")) {
            return Ok(Vec::new());
        }
        let Some(line) = self.get("DTSTART") else {
            let message = "this event has no DTSTART".to_owned();
            return Err(Broken { span: self.span.clone(), message });
        };
        let zone = zone(timezone).unwrap_or(TimeZone::UTC);
        let start = when(line, &line.value, &zone)?;
        let end = self.end(start, &zone)?;
        let found = Found { event: self, span: line.span.clone(), zone, start, end };
        if let Some(rules) = found.yearly() {
            return Ok(rules.iter().map(|rule| found.day(*rule, None)).collect());
        }
        found.dates(moved)
    }

    /// The end, which does not belong to the event.
    fn end(&self, start: When, zone: &TimeZone) -> Result<DateTime, Broken> {
        let begin = start.start();
        let (line, end) = if let Some(line) = self.get("DTEND") {
            (line, when(line, &line.value, zone)?.start())
        } else if let Some(line) = self.get("DURATION") {
            let span: Option<jiff::Span> = line.value.trim().parse().ok();
            let end = span.and_then(|span| begin.checked_add(span).ok());
            (line, end.ok_or_else(|| broken(line, "this is no duration"))?)
        } else {
            // Without an end, a date lasts its day, and a time of day no time.
            let days = i32::from(matches!(start, When::Day(_)));
            return Ok(begin.saturating_add(days.days()));
        };
        if end < begin || (end == begin && matches!(start, When::Day(_))) {
            return Err(broken(line, "this event ends before it begins"));
        }
        Ok(end)
    }
}

/// An event with its times.
struct Found<'e> {
    event: &'e Event,
    span: Range<usize>,
    zone: TimeZone,
    start: When,
    end: DateTime,
}

impl Found<'_> {
    fn day(&self, rule: DayRule, closed: Option<WallSpan>) -> Day {
        let name = self.event.get("SUMMARY").map(Line::text).filter(|name| !name.is_empty());
        let closed = closed.map(|span| span.to_string());
        Day { span: self.span.clone(), rule: rule.to_string(), name, closed }
    }

    /// The rules that say the same as an event of whole days that recurs year by year.
    fn yearly(&self) -> Option<Vec<DayRule>> {
        let When::Day(start) = self.start else { return None };
        let line = self.event.get("RRULE")?;
        let single = ["EXDATE", "RDATE"].iter().all(|name| self.event.get(name).is_none());
        let rule = Rule::parse(&line.value, &self.zone)?;
        if !single || self.event.get("RECURRENCE-ID").is_some() {
            return None;
        }
        let n_days = self.end.date().duration_since(start).as_hours() / 24;
        let dates = (0..n_days).map(|day| start.checked_add(day.days()).ok());
        let dates: Vec<Date> = dates.collect::<Option<_>>()?;
        let last = *dates.last()?;
        let same_day = DayOfYear::Yearly { month: start.month(), day: start.day() };
        let day = rule.day(same_day)?;
        let years = rule.years(day, start)?;
        if start == last {
            return Some(vec![DayRule { day, from: Some(years.0), until: years.1 }]);
        }
        // Across the end of February a day has another date in leap years.
        let leaps = |date: Date| date.month() > 2;
        let within = start.year() == last.year() && leaps(start) == leaps(last);
        let over_new_year = start.year() + 1 == last.year() && leaps(start) && !leaps(last);
        if day != same_day || !(within || over_new_year) {
            return None;
        }
        let rules = dates.iter().map(|date| {
            let later = date.year() - start.year();
            let day = DayOfYear::Yearly { month: date.month(), day: date.day() };
            let (from, until) = (years.0 + later, years.1.map(|until| until + later));
            DayRule { day, from: Some(from), until }
        });
        Some(rules.collect())
    }

    /// Date by date.
    fn dates(&self, moved: &BTreeMap<&str, Vec<&Line>>) -> Result<Vec<Day>, Broken> {
        let length = self.start.start().duration_until(self.end);
        let mut days = Vec::new();
        for start in self.occurrences(moved)? {
            let end = start.saturating_add(length);
            let mut date = start.date();
            while date.to_datetime(Time::midnight()) < end && days.len() <= DAYS_MAX {
                let next = date.saturating_add(1.day());
                let from = if date == start.date() { minute(start.time(), 0) } else { Some(0) };
                let to = if date == end.date() { minute(end.time(), 59) } else { None };
                let to = to.map_or(Some(Minute::END), Minute::new);
                let span = from.and_then(Minute::new).zip(to);
                if let Some(span) = span.and_then(|(from, to)| WallSpan::new(from, to)) {
                    let part = (span != WallSpan::DAY).then_some(span);
                    days.push(self.day(DayRule::date(date), part));
                }
                if next == date {
                    break;
                }
                date = next;
            }
        }
        Ok(days)
    }

    /// When the event starts, each time.
    fn occurrences(&self, moved: &BTreeMap<&str, Vec<&Line>>) -> Result<Vec<DateTime>, Broken> {
        let start = self.start.start();
        let mut starts = vec![start];
        if self.event.get("RECURRENCE-ID").is_some() {
            return Ok(starts);
        }
        for line in self.event.all("RRULE") {
            starts.extend(recur(line, start, &self.zone)?);
        }
        for line in self.event.all("RDATE") {
            for part in line.value.split(',') {
                starts.push(when(line, part, &self.zone)?.start());
            }
        }
        let mut gone = Vec::new();
        let uid = self.event.get("UID").map(|line| line.value.as_str());
        let moved = uid.and_then(|uid| moved.get(uid)).into_iter().flatten().copied();
        for line in self.event.all("EXDATE").chain(moved) {
            for part in line.value.split(',') {
                gone.push(when(line, part, &self.zone)?);
            }
        }
        starts.retain(|start| {
            !gone.iter().any(|gone| match gone {
                When::Day(date) => start.date() == *date,
                When::Time(time) => start == time,
            })
        });
        starts.sort_unstable();
        starts.dedup();
        Ok(starts)
    }
}

/// Minutes since midnight; seconds round down, or with 59 up.
fn minute(time: Time, round: i16) -> Option<u16> {
    let up = (i16::from(time.second()) + round) / 60;
    u16::try_from(i16::from(time.hour()) * 60 + i16::from(time.minute()) + up).ok()
}

/// A rule of recurrence that goes year by year and says no more than [`DayRule`] can.
#[derive(Default)]
struct Rule {
    month: Option<i8>,
    day: Option<i8>,
    /// A weekday of the month, by number.
    nth: Option<(i8, Weekday)>,
    until: Option<Date>,
}

impl Rule {
    fn parse(text: &str, zone: &TimeZone) -> Option<Self> {
        let mut rule = Self::default();
        for part in text.trim().split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=')?;
            match key.to_ascii_uppercase().as_str() {
                "FREQ" if value.eq_ignore_ascii_case("YEARLY") => {}
                "INTERVAL" if value == "1" => {}
                "WKST" => {}
                "BYMONTH" => rule.month = Some(value.parse().ok()?),
                "BYMONTHDAY" => rule.day = Some(value.parse().ok()?),
                "BYDAY" => {
                    let (nth, short) = value.split_at_checked(value.len().checked_sub(2)?)?;
                    let short = short.to_ascii_lowercase();
                    let mut known = Weekday::ALL.into_iter();
                    let weekday = known.find(|day| day.as_str().starts_with(&short))?;
                    rule.nth = Some((nth.parse().ok()?, weekday));
                }
                "UNTIL" => rule.until = Some(parse_when(value, None, zone)?.start().date()),
                _ => return None,
            }
        }
        Some(rule)
    }

    /// The day of every year that it names, for an event that is first on some day of it.
    fn day(&self, first: DayOfYear) -> Option<DayOfYear> {
        let DayOfYear::Yearly { month, day } = first else { return None };
        let Some((nth, weekday)) = self.nth else {
            let same = self.month.unwrap_or(month) == month && self.day.unwrap_or(day) == day;
            return same.then_some(first);
        };
        let fits = self.day.is_none() && (nth == -1 || (1..=5).contains(&nth));
        self.month.filter(|_| fits).map(|month| DayOfYear::Nth { nth, weekday, month })
    }

    /// The first and the last year of such a day.
    fn years(&self, day: DayOfYear, start: Date) -> Option<(i16, Option<i16>)> {
        let rule = DayRule::yearly(day);
        // What starts on a day that the rule does not name has one occurrence more.
        if rule.in_year(start.year()) != Some(start) {
            return None;
        }
        let Some(until) = self.until else { return Some((start.year(), None)) };
        let reached = rule.in_year(until.year()).is_some_and(|date| date <= until);
        let last = until.year() - i16::from(!reached);
        (start.year() <= last).then_some((start.year(), Some(last)))
    }
}

/// Recurrences by any rule, up to the last year that calendars cover. The wall clock passes for
/// UTC, so that an event stays at its time of day.
fn recur(line: &Line, start: DateTime, zone: &TimeZone) -> Result<Vec<DateTime>, Broken> {
    let mut parts = Vec::new();
    let mut ends = false;
    for part in line.value.trim().split(';').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((key, value)) if key.eq_ignore_ascii_case("UNTIL") => {
                let last = match parse_when(value, None, zone) {
                    Some(When::Day(date)) => date.to_datetime(Time::constant(23, 59, 59, 0)),
                    Some(When::Time(time)) => time,
                    None => return Err(broken(line, "UNTIL is no date")),
                };
                parts.push(format!("UNTIL={}", stamp(last)));
                ends = true;
            }
            _ => {
                ends |= part.to_ascii_uppercase().starts_with("COUNT=");
                parts.push(part.to_owned());
            }
        }
    }
    if !ends {
        parts.push(format!("UNTIL={}1231T235959Z", Calendar::END_YEAR));
    }
    let text = format!("DTSTART:{}\nRRULE:{}", stamp(start), parts.join(";"));
    let rules: rrule::RRuleSet = text
        .parse()
        .map_err(|error| broken(line, &format!("this is no rule of recurrence: {error}")))?;
    let found = rules.all(DAYS_MAX as u16);
    if found.limited {
        return Err(broken(line, &format!("this gives more than {DAYS_MAX} days")));
    }
    let date = |at: i64| {
        let at = jiff::Timestamp::from_second(at).ok()?;
        Some(at.to_zoned(TimeZone::UTC).datetime())
    };
    Ok(found.dates.iter().filter_map(|at| date(at.timestamp())).collect())
}

fn stamp(time: DateTime) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// Reads a date or time; times in other zones become those of the calendar.
fn when(line: &Line, value: &str, zone: &TimeZone) -> Result<When, Broken> {
    let own = match line.parameter("TZID") {
        // Zones that only the file defines cannot be trusted to be what their names say.
        Some(name) => match self::zone(name) {
            Some(zone) => Some(zone),
            None => return Err(broken(line, &format!("there is no time zone {name:?}"))),
        },
        None => None,
    };
    parse_when(value, own.as_ref(), zone)
        .ok_or_else(|| broken(line, &format!("{:?} is no date", value.trim())))
}

fn parse_when(value: &str, own: Option<&TimeZone>, zone: &TimeZone) -> Option<When> {
    let value = value.trim();
    let number = |range: Range<usize>| -> Option<i16> {
        let digits = value.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let small = |range: Range<usize>| i8::try_from(number(range)?).ok();
    let date = Date::new(number(0..4)?, small(4..6)?, small(6..8)?).ok()?;
    if value.len() == 8 {
        return Some(When::Day(date));
    }
    let utc = value.len() == 16 && value.ends_with(['Z', 'z']);
    if !(utc || value.len() == 15) || !value[8..].starts_with(['T', 't']) {
        return None;
    }
    // A leap second is the one before it.
    let second = small(13..15)?.min(59);
    let time = date.to_datetime(Time::new(small(9..11)?, small(11..13)?, second, 0).ok()?);
    let own = if utc { Some(&TimeZone::UTC) } else { own };
    Some(When::Time(match own {
        Some(own) => {
            own.to_ambiguous_zoned(time).compatible().ok()?.with_time_zone(zone.clone()).datetime()
        }
        None => time,
    }))
}

fn broken(line: &Line, message: &str) -> Broken {
    Broken { span: line.span.clone(), message: message.to_owned() }
}
