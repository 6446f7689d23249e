//! Business calendars as plain data: a time zone, the hours of a week, and the days that differ.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::name::Name;

/// `[calendar.NAME]`: when work is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarSpec {
    /// IANA name of the time zone that all times of day and dates are in.
    pub timezone: Name,
    /// Working hours of a week; a day that is not there is closed.
    pub hours: BTreeMap<Weekday, Hours>,
    /// Days that are not like their weekday.
    pub exceptions: BTreeMap<DayRule, Exception>,
}

/// What is different on the days of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Working hours of the day; none on a holiday.
    pub hours: Hours,
    /// What people call the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A time of day on the wall clock, in minutes since midnight: 0 to 1440, which is 24:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(u16);

/// Working time within a day, `from` included and `to` not. Its text form is `08:00-12:30`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallSpan {
    from: Minute,
    to: Minute,
}

/// The working hours of a day: spans in order that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Hours(Vec<WallSpan>);

/// Which days an exception is for. Its text form is the day, then the years if not all:
/// `2026-12-24`, `12-25`, `easter-2`, `last mon of may`, `10-31 from 2018 until 2030`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DayRule {
    /// The day.
    pub day: DayOfYear,
    /// First year; always none for a date.
    pub from: Option<i16>,
    /// Last year; always none for a date.
    pub until: Option<i16>,
}

/// A day of one year or of every year.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DayOfYear {
    /// One date.
    Date(Date),
    /// A month and day; 29 February counts in leap years only.
    Yearly {
        /// 1 to 12.
        month: i8,
        /// 1 to 31.
        day: i8,
    },
    /// Days after Easter Sunday (Gregorian), negative before, within [`EASTER_OFFSETS`].
    Easter(i16),
    /// A weekday of a month, by number.
    Nth {
        /// 1 to 5; -1 for the last. A fifth that a month does not have is not in that year.
        nth: i8,
        /// The weekday.
        weekday: Weekday,
        /// 1 to 12.
        month: i8,
    },
}

/// Offsets from Easter Sunday that stay within its year.
pub const EASTER_OFFSETS: std::ops::RangeInclusive<i16> = -80..=250;

/// Why a text is no part of a calendar.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseCalendarError {
    /// Not a time of day.
    #[error("{0:?} is no time of day: write hours and minutes, 00:00 to 24:00")]
    Minute(String),
    /// Not a span.
    #[error("{0:?} is no span: write two times of day, as in 08:00-12:30")]
    Span(String),
    /// A span that ends before it begins, or at once.
    #[error("the span {0:?} does not end after it begins")]
    Backwards(String),
    /// Not a weekday.
    #[error("{0:?} is no weekday: write mon, tue, wed, thu, fri, sat or sun")]
    Weekday(String),
    /// Not a day rule.
    #[error("{0:?} is no day: write 2026-12-24, 12-24, easter-2 or last mon of may")]
    Day(String),
    /// A date that no calendar has.
    #[error("there is no {0}")]
    NoSuchDay(String),
    /// Years that run backwards.
    #[error("the years of {0:?} run backwards")]
    Years(String),
}

impl Weekday {
    /// The week, from Monday.
    pub const ALL: [Self; 7] =
        [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// The short name, as in `mon`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    /// The weekday of a date.
    pub fn of(date: Date) -> Self {
        Self::ALL[date.weekday().to_monday_zero_offset() as usize]
    }
}

impl FromStr for Weekday {
    type Err = ParseCalendarError;

    /// Reads the short or the full English name, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FULL: [&str; 7] =
            ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let word = text.trim().to_ascii_lowercase();
        let at = FULL.iter().position(|full| *full == word || full[..3] == word);
        at.map(|at| Self::ALL[at]).ok_or_else(|| ParseCalendarError::Weekday(text.to_owned()))
    }
}

impl Minute {
    /// 24:00.
    pub const END: Self = Self(24 * 60);

    /// Minutes since midnight; none above 1440.
    pub const fn new(minutes: u16) -> Option<Self> {
        if minutes <= Self::END.0 { Some(Self(minutes)) } else { None }
    }

    /// Minutes since midnight.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl FromStr for Minute {
    type Err = ParseCalendarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| -> Option<u16> {
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            (digits && (1..=2).contains(&part.len())).then(|| part.parse().ok()).flatten()
        };
        let parts = text.trim().split_once(':').filter(|(_, minutes)| minutes.len() == 2);
        parts
            .and_then(|(hours, minutes)| Some((number(hours)?, number(minutes)?)))
            .filter(|(_, minutes)| *minutes < 60)
            .and_then(|(hours, minutes)| Self::new(hours * 60 + minutes))
            .ok_or_else(|| ParseCalendarError::Minute(text.trim().to_owned()))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl WallSpan {
    /// A span; none unless it ends after it begins.
    pub fn new(from: Minute, to: Minute) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    /// The whole day.
    pub const DAY: Self = Self { from: Minute(0), to: Minute::END };

    /// Its begin.
    pub const fn from(self) -> Minute {
        self.from
    }

    /// Its end, which does not belong to it.
    pub const fn to(self) -> Minute {
        self.to
    }

    /// `true` if both contain the same minute.
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

impl FromStr for WallSpan {
    type Err = ParseCalendarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseCalendarError::Span(text.to_owned());
        let (from, to) = text.split_once(['-', '–']).ok_or_else(error)?;
        let (from, to) = (from.parse()?, to.parse()?);
        Self::new(from, to).ok_or_else(|| ParseCalendarError::Backwards(text.to_owned()))
    }
}

impl fmt::Display for WallSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
    }
}

impl Hours {
    /// No hours at all.
    pub const CLOSED: Self = Self(Vec::new());

    /// The hours of these spans; what overlaps or touches becomes one.
    pub fn new(mut spans: Vec<WallSpan>) -> Self {
        spans.sort_unstable();
        let mut merged: Vec<WallSpan> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
                _ => merged.push(span),
            }
        }
        Self(merged)
    }

    /// The spans in order.
    pub fn spans(&self) -> &[WallSpan] {
        &self.0
    }

    /// `true` if the day is closed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Working minutes of a day on which the clock does not change.
    pub fn minutes(&self) -> u16 {
        self.0.iter().map(|span| span.to.0 - span.from.0).sum()
    }

    /// What is left without a span.
    #[must_use]
    pub fn without(&self, gone: WallSpan) -> Self {
        let rest = self.0.iter().flat_map(|span| {
            let before = WallSpan::new(span.from, span.to.min(gone.from));
            let after = WallSpan::new(span.from.max(gone.to), span.to);
            [before, after].into_iter().flatten()
        });
        Self(rest.collect())
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}

impl DayRule {
    /// A rule for one date.
    pub const fn date(date: Date) -> Self {
        Self { day: DayOfYear::Date(date), from: None, until: None }
    }

    /// A rule for every year.
    pub const fn yearly(day: DayOfYear) -> Self {
        Self { day, from: None, until: None }
    }

    /// The day of a year; none if the rule has none in it.
    pub fn in_year(self, year: i16) -> Option<Date> {
        if self.from.is_some_and(|from| year < from) || self.until.is_some_and(|to| to < year) {
            return None;
        }
        match self.day {
            DayOfYear::Date(date) => (date.year() == year).then_some(date),
            DayOfYear::Yearly { month, day } => Date::new(year, month, day).ok(),
            DayOfYear::Easter(offset) => {
                easter(year)?.checked_add(jiff::Span::new().days(offset)).ok()
            }
            DayOfYear::Nth { nth, weekday, month } => {
                let first = Date::new(year, month, 1).ok()?;
                let weekday = jiff::civil::Weekday::from_monday_zero_offset(weekday as i8).ok()?;
                first.nth_weekday_of_month(nth, weekday).ok()
            }
        }
    }
}

/// Easter Sunday of the Gregorian calendar; none outside the years 1583 to 9999.
/// Source: Anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, chapter 8).
pub fn easter(year: i16) -> Option<Date> {
    if !(1583..=9999).contains(&year) {
        return None;
    }
    let y = i32::from(year);
    let (moon, century, rest) = (y % 19, y / 100, y % 100);
    let shift = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * moon + century - century / 4 - shift + 15) % 30;
    let sunday = (32 + 2 * (century % 4) + 2 * (rest / 4) - epact - rest % 4) % 7;
    let late = (moon + 11 * epact + 22 * sunday) / 451;
    let days = epact + sunday - 7 * late + 114;
    Date::new(year, (days / 31) as i8, (days % 31 + 1) as i8).ok()
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const FULL_MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const ORDINALS: [(&str, i8); 6] =
    [("1st", 1), ("2nd", 2), ("3rd", 3), ("4th", 4), ("5th", 5), ("last", -1)];

impl FromStr for DayRule {
    type Err = ParseCalendarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseCalendarError::Day(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let mut words: Vec<&str> = lower.split_whitespace().collect();
        let mut year_after = |word: &str| -> Result<Option<i16>, Self::Err> {
            let Some(at) = words.iter().rposition(|known| *known == word) else {
                return Ok(None);
            };
            if at + 2 != words.len() {
                return Err(error());
            }
            let year = words[at + 1].parse().map_err(|_| error())?;
            words.truncate(at);
            Ok(Some(year))
        };
        let until = year_after("until")?;
        let from = year_after("from")?;
        let day = match words.as_slice() {
            [day] => day_of_year(day, text)?,
            [nth, weekday, "of", month] => nth_weekday(nth, weekday, month).ok_or_else(error)?,
            _ => return Err(error()),
        };
        if matches!(day, DayOfYear::Date(_)) && (from.is_some() || until.is_some()) {
            return Err(error());
        }
        if from.zip(until).is_some_and(|(from, until)| until < from) {
            return Err(ParseCalendarError::Years(text.to_owned()));
        }
        Ok(Self { day, from, until })
    }
}

/// Reads `2026-12-24`, `12-24`, `easter` and `easter+1`.
fn day_of_year(word: &str, text: &str) -> Result<DayOfYear, ParseCalendarError> {
    let error = || ParseCalendarError::Day(text.to_owned());
    let no_such_day = || ParseCalendarError::NoSuchDay(text.to_owned());
    if let Some(offset) = word.strip_prefix("easter") {
        if offset.is_empty() {
            return Ok(DayOfYear::Easter(0));
        }
        let offset = offset.starts_with(['+', '-']).then(|| offset.parse().ok()).flatten();
        return offset
            .filter(|offset| EASTER_OFFSETS.contains(offset))
            .map(DayOfYear::Easter)
            .ok_or_else(error);
    }
    let mut numbers = Vec::with_capacity(3);
    for part in word.split('-') {
        let digits = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        numbers.push(if digits { part.parse::<i16>().map_err(|_| error())? } else { -1 });
    }
    let small = |number: i16| i8::try_from(number).unwrap_or(i8::MAX);
    match numbers.as_slice() {
        [month, day] if *month >= 0 && *day >= 0 => {
            let (month, day) = (small(*month), small(*day));
            // A leap year, so that 29 February exists.
            Date::new(2000, month, day).map_err(|_| no_such_day())?;
            Ok(DayOfYear::Yearly { month, day })
        }
        [year, month, day] if *year >= 1000 && *month >= 0 && *day >= 0 => {
            let date = Date::new(*year, small(*month), small(*day));
            date.map(DayOfYear::Date).map_err(|_| no_such_day())
        }
        _ => Err(error()),
    }
}

fn nth_weekday(nth: &str, weekday: &str, month: &str) -> Option<DayOfYear> {
    let (_, nth) = ORDINALS.iter().find(|(word, _)| *word == nth)?;
    let month = MONTHS
        .iter()
        .position(|known| *known == month)
        .or_else(|| FULL_MONTHS.iter().position(|known| *known == month))?;
    Some(DayOfYear::Nth { nth: *nth, weekday: weekday.parse().ok()?, month: month as i8 + 1 })
}

impl fmt::Display for DayRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.day {
            DayOfYear::Date(date) => write!(f, "{date}")?,
            DayOfYear::Yearly { month, day } => write!(f, "{month:02}-{day:02}")?,
            DayOfYear::Easter(0) => f.write_str("easter")?,
            DayOfYear::Easter(offset) => write!(f, "easter{offset:+}")?,
            DayOfYear::Nth { nth, weekday, month } => {
                let word = ORDINALS.iter().find(|(_, known)| *known == nth);
                let (word, _) = word.unwrap_or(&ORDINALS[5]);
                let month = MONTHS[(month as usize).saturating_sub(1).min(11)];
                write!(f, "{word} {} of {month}", weekday.as_str())?;
            }
        }
        if let Some(from) = self.from {
            write!(f, " from {from}")?;
        }
        if let Some(until) = self.until {
            write!(f, " until {until}")?;
        }
        Ok(())
    }
}

macro_rules! as_text {
    ($($type:ty),+) => { $(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+ };
}

as_text!(WallSpan, DayRule);

impl fmt::Debug for DayOfYear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&DayRule::yearly(*self), f)
    }
}
