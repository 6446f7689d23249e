//! A year of a business calendar, to look at.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use clap::Args;
use gantry_model::spec::{CalendarSpec, DayRule, Exception, Hours, Weekday};
use gantry_model::{Calendar, Millis, Name};
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde_json::{Value as Json, json};

use super::named;
use crate::{Global, table};

#[derive(Args)]
pub(crate) struct Options {
    /// Name of the calendar, as in [calendar.NAME].
    name: String,
    /// The year; this year if left out.
    #[arg(long)]
    year: Option<i16>,
}

pub(super) fn show(
    global: &Global,
    specs: &BTreeMap<Name, CalendarSpec>,
    options: &Options,
) -> Result<()> {
    let spec = named(specs, &options.name)?;
    let calendar = Calendar::new(spec)?;
    let year = options.year.unwrap_or_else(|| jiff::Zoned::now().year());
    let years = Calendar::BEGIN_YEAR + 1..=Calendar::END_YEAR - 1;
    let (first, last) = (years.start(), years.end());
    ensure!(years.contains(&year), "calendars are shown for the years {first} to {last}");
    let days = spec.exceptions_in(year);
    let picture = Picture { name: &options.name, spec, calendar, year, days };
    if global.json {
        table::json(&picture.json()?);
    } else {
        say!("{}", picture.text()?.trim_end());
    }
    Ok(())
}

/// A year of a calendar.
pub(super) struct Picture<'c> {
    pub(super) name: &'c str,
    pub(super) spec: &'c CalendarSpec,
    pub(super) calendar: Calendar,
    pub(super) year: i16,
    /// The days that are not like their weekday.
    pub(super) days: BTreeMap<Date, (DayRule, &'c Exception)>,
}

/// Minutes that a mark on the line of a day stands for.
const MARK_MINUTES: u16 = 30;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Picture<'_> {
    /// The picture for people: the hours of a week, the year, and the days that differ.
    pub(super) fn text(&self) -> Result<String> {
        let mut text = format!("{} · {} · {}\n\n", self.name, self.spec.timezone, self.year);
        writeln!(text, "     0     3     6     9    12    15    18    21    24")?;
        for day in Weekday::ALL {
            let hours = self.usual(day);
            writeln!(text, "{}  {}  {}", day.as_str(), line(hours), spans(hours))?;
        }
        text.push('\n');
        self.months(&mut text)?;
        text.push_str("\n█ as every week   ▄ other hours   x day off   · closed\n");
        if !self.days.is_empty() {
            text.push('\n');
        }
        for (date, (rule, exception)) in &self.days {
            let weekday = Weekday::of(*date).as_str();
            let (hours, rule) = (spans(&exception.hours), rule.to_string());
            let name = exception.name.as_ref().map_or("", |name| name.as_str());
            let line = format!("{date} {weekday}  {hours:<23}  {rule:<16}  {name}");
            writeln!(text, "{}", line.trim_end())?;
        }
        Ok(text)
    }

    /// One row a month, the days under their weekdays, working time at the end.
    fn months(&self, text: &mut String) -> Result<()> {
        // The longest month that begins on a Sunday ends in the sixth week.
        let letters: String =
            (0..6 * 7 - 5).map(|at| ['M', 'T', 'W', 'T', 'F', 'S', 'S'][at % 7]).collect();
        writeln!(text, "     {letters}")?;
        let mut total = Millis(0);
        for (name, month) in MONTHS.iter().zip(1..) {
            let first = Date::new(self.year, month, 1)?;
            let indent = Weekday::of(first) as usize;
            let marks: String = (0..i32::from(first.days_in_month()))
                .map(|day| self.mark(first.saturating_add(day.days())))
                .collect();
            let days = format!("{}{marks}", " ".repeat(indent));
            let work = self.work(first)?;
            total = Millis(total.0 + work.0);
            writeln!(text, "{name}  {days:<37}  {:>7}", hours_and_minutes(work))?;
        }
        writeln!(text, "{:>51}", hours_and_minutes(total))?;
        Ok(())
    }

    fn usual(&self, day: Weekday) -> &Hours {
        const CLOSED: &Hours = &Hours::CLOSED;
        self.spec.hours.get(&day).unwrap_or(CLOSED)
    }

    fn mark(&self, date: Date) -> char {
        let usual = self.usual(Weekday::of(date));
        let hours = self.days.get(&date).map_or(usual, |(_, exception)| &exception.hours);
        match (hours.is_empty(), hours == usual) {
            (true, true) => '·',
            (true, false) => 'x',
            (false, true) => '█',
            (false, false) => '▄',
        }
    }

    /// Working time of the month that begins there, as the clocks of the time zone have it.
    fn work(&self, first: Date) -> Result<Millis> {
        let next = first.checked_add(1.month()).context("the month after")?;
        Ok(self.calendar.between(self.calendar.midnight(first), self.calendar.midnight(next)))
    }

    pub(super) fn json(&self) -> Result<Json> {
        let months = (1..=12).map(|month| -> Result<Json> {
            let first = Date::new(self.year, month, 1)?;
            Ok(json!({ "month": month, "work_ms": self.work(first)?.0 }))
        });
        let days = self.days.iter().map(|(date, (rule, exception))| {
            json!({
                "date": date.to_string(),
                "rule": rule,
                "hours": exception.hours,
                "name": exception.name,
            })
        });
        Ok(json!({
            "calendar": self.name,
            "timezone": self.spec.timezone,
            "year": self.year,
            "hours": self.spec.hours,
            "exceptions": days.collect::<Vec<_>>(),
            "months": months.collect::<Result<Vec<_>>>()?,
        }))
    }
}

/// A day as a line of half hours.
fn line(hours: &Hours) -> String {
    let open = |mark: u16| {
        let (from, to) = (mark * MARK_MINUTES, (mark + 1) * MARK_MINUTES);
        hours.spans().iter().any(|span| span.from().get() < to && from < span.to().get())
    };
    (0..24 * 60 / MARK_MINUTES).map(|mark| if open(mark) { '█' } else { '·' }).collect()
}

fn spans(hours: &Hours) -> String {
    if hours.is_empty() {
        return "closed".to_owned();
    }
    hours.spans().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// `176h`, `171h30m`: days are no help where a working day is none of 24 hours.
fn hours_and_minutes(time: Millis) -> String {
    let minutes = time.0 / 60_000;
    match minutes % 60 {
        0 => format!("{}h", minutes / 60),
        rest => format!("{}h{rest}m", minutes / 60),
    }
}
