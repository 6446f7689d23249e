//! Values of a scenario: numbers, random durations, and parts of the week.

use gantry_model::Millis;
use gantry_model::spec::scenario::{Distribution, RateWindow, WeekWindow};

use super::{DAY, Reader};
use crate::finding::{Code, Found};
use crate::table::{Table, list, wrong_type};
use crate::tree::{Node, Value};

/// Keys of a random duration, one of which says what kind it is.
const KINDS: [&str; 4] = ["exponential", "lognormal", "from", "file"];
/// Further keys of a random duration.
const MORE: [&str; 2] = ["deviation", "to"];
const HOURS: usize = 24;
const HOUR: i64 = 3_600_000;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Reader<'_> {
    /// A number within a range.
    pub(super) fn number(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Option<f64> {
        let node = table.get(key)?;
        let title = format!("`{key}` in {}", table.title);
        self.number_of(&title, node, range)
    }

    fn number_of(
        &mut self,
        title: &str,
        node: &Node,
        range: std::ops::RangeInclusive<f64>,
    ) -> Option<f64> {
        let number = match &node.value {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(text) => text.replace('_', "").parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            self.findings.push(wrong_type(title, "a number", node));
            return None;
        };
        if range.contains(&number) {
            return Some(number);
        }
        let message = format!("{title} is out of range");
        let found = Found::error(Code::Value, node.place, message).label("out of range");
        let help = format!("write a number from {} to {}", range.start(), range.end());
        self.findings.push(found.help(help));
        None
    }

    /// A random duration: a plain one, or a table that says how it is spread.
    pub(super) fn distribution(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Option<Distribution> {
        let node = table.get(key)?;
        if !matches!(node.value, Value::Table(_)) {
            return table.duration_or_zero(key, &mut self.findings).map(Distribution::Constant);
        }
        let title = format!("`{key}` in {}", table.title);
        let mut inner = Table::open(title.clone(), node, &mut self.findings);
        let named = KINDS.map(|kind| inner.get(kind));
        // A mistyped key is told as such, and only as such.
        let known = |key: &String| KINDS.contains(&key.as_str()) || MORE.contains(&key.as_str());
        let mistyped = matches!(&node.value, Value::Table(keys) if !keys.keys().all(known));
        for more in MORE {
            inner.get(more);
        }
        let found = match named {
            [Some(_), None, None, None] => {
                let mean = inner.duration("exponential", &mut self.findings);
                mean.map(|mean| Distribution::Exponential { mean })
            }
            [None, Some(_), None, None] => {
                inner.need("deviation");
                let mean = inner.duration("lognormal", &mut self.findings);
                let deviation = inner.duration_or_zero("deviation", &mut self.findings);
                mean.zip(deviation)
                    .map(|(mean, deviation)| Distribution::LogNormal { mean, deviation })
            }
            [None, None, Some(_), None] => self.uniform(&mut inner),
            [None, None, None, Some(file)] => self.empirical(file),
            [None, None, None, None] if mistyped => None,
            _ => {
                let message = format!("{title} must have one of `{}`", KINDS.join("`, `"));
                let found = Found::error(Code::Value, node.place, message);
                let help = "write { exponential = \"6m\" }, { lognormal = \"6m\", deviation = \
                            \"4m\" }, { from = \"2m\", to = \"4m\" }, { file = \"times.csv\" }, or \
                            just \"6m\"";
                self.findings.push(found.label("how is it spread?").help(help));
                None
            }
        };
        inner.close(&mut self.findings);
        found
    }

    fn uniform(&mut self, table: &mut Table<'_>) -> Option<Distribution> {
        let place = table.need("to").map(|node| node.place);
        let from = table.duration_or_zero("from", &mut self.findings)?;
        let to = table.duration_or_zero("to", &mut self.findings)?;
        if let Some(place) = place.filter(|_| to < from) {
            let message = format!("`to` in {} comes before `from`", table.title);
            self.findings.push(Found::error(Code::Value, place, message).label("too short"));
        }
        Some(Distribution::Uniform { from, to })
    }

    /// Rates by the hour: one entry for all its days, or one for each hour.
    pub(super) fn rates(&mut self, title: &str, node: &Node) -> Vec<RateWindow> {
        let mut rates = Vec::new();
        for node in list(title, node, &mut self.findings) {
            let mut table = Table::open(format!("a rate of {title}"), node, &mut self.findings);
            let hours = table.get("by_hour");
            if let Some(hours) = hours {
                let days = self.days(&mut table);
                rates.extend(self.by_hour(&table.title.clone(), hours, days));
            } else {
                table.need("per_hour");
                let window = self.window(&mut table);
                let per_hour = self.number(&mut table, "per_hour", PER_HOUR);
                rates.extend(per_hour.map(|per_hour| RateWindow { window, per_hour }));
            }
            table.close(&mut self.findings);
        }
        rates
    }

    fn by_hour(&mut self, title: &str, node: &Node, days: [bool; 7]) -> Vec<RateWindow> {
        let title = format!("`by_hour` in {title}");
        let hours = list(&title, node, &mut self.findings);
        if hours.len() != HOURS && matches!(node.value, Value::List(_)) {
            let message = format!("{title} has {} numbers", hours.len());
            let found = Found::error(Code::Value, node.place, message);
            self.findings.push(found.label("not 24").help("write a number for each hour from 0"));
        }
        let mut rates = Vec::new();
        for (hour, node) in hours.iter().take(HOURS).enumerate() {
            let from = Millis(hour as i64 * HOUR);
            let window = WeekWindow { days, from, to: Millis(from.0 + HOUR) };
            let per_hour = self.number_of(&title, node, PER_HOUR);
            rates.extend(per_hour.map(|per_hour| RateWindow { window, per_hour }));
        }
        rates
    }

    /// Days and times of the day; what is not said is all of it.
    pub(super) fn window(&mut self, table: &mut Table<'_>) -> WeekWindow {
        let days = self.days(table);
        let from = self.time(table, "from").unwrap_or(WeekWindow::ALWAYS.from);
        let to = self.time(table, "to").unwrap_or(WeekWindow::ALWAYS.to);
        if let Some(node) = table.get("from").filter(|_| from == DAY) {
            let found = Found::error(Code::Value, node.place, "a day is over at 24:00");
            self.findings.push(found.label("too late").help("write \"00:00\" of the next day"));
        }
        WeekWindow { days, from, to }
    }

    fn days(&mut self, table: &mut Table<'_>) -> [bool; 7] {
        let every = [true; 7];
        let Some(node) = table.get("days") else { return every };
        let Some(text) = table.text("days", &mut self.findings) else { return every };
        days(text).unwrap_or_else(|| {
            let message = format!("`days` in {} cannot be read", table.title);
            let found = Found::error(Code::Value, node.place, message).label("no such days");
            self.findings.push(found.help("write \"mon-fri\", \"sat\" or \"mon, wed, fri\""));
            every
        })
    }

    fn time(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<Millis> {
        let node = table.get(key)?;
        let text = table.text(key, &mut self.findings)?;
        let time = time_of_day(text);
        if time.is_none() {
            let message = format!("`{key}` in {} is no time of the day", table.title);
            let found = Found::error(Code::Value, node.place, message).label("cannot be read");
            self.findings.push(found.help("write hours and minutes, as in \"08:30\""));
        }
        time
    }
}

/// Items an hour.
pub(super) const PER_HOUR: std::ops::RangeInclusive<f64> = 0.0..=1e9;

/// `mon-fri, sun`
fn days(text: &str) -> Option<[bool; 7]> {
    let number = |day: &str| {
        let day = day.trim().to_ascii_lowercase();
        DAYS.iter().position(|known| *known == day)
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        // "fri-mon" goes over the end of the week.
        let length = (last + DAYS.len() - first) % DAYS.len();
        for day in first..=first + length {
            days[day % DAYS.len()] = true;
        }
    }
    Some(days)
}

/// `08:30`, up to `24:00`.
pub(super) fn time_of_day(text: &str) -> Option<Millis> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || !digits(minutes) || minutes.len() != 2 || hours.len() > 2 {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let time = Millis((hours * 60 + minutes) * 60_000);
    (minutes < 60 && time <= DAY).then_some(time)
}
