//! Reads business calendars: the hours of a week, holidays, and days with hours of their own.

use std::collections::BTreeMap;

use gantry_model::Name;
use gantry_model::calendar::{Calendar, CalendarError, timezone, timezones};
use gantry_model::spec::{
    CalendarSpec, DayOfYear, DayRule, Exception, Hours, ParseCalendarError, WallSpan, Weekday,
};
use jiff::civil::Date;

use crate::finding::{Code, Findings, Found, Place};
use crate::ics;
use crate::keys::{Kind, Section, key};
use crate::table::{Table, text, wrong_type};
use crate::tree::{Node, Value};

pub(super) static CALENDAR: Section = Section::new(
    "A business calendar: time zone, hours of a week, holidays.",
    &[
        key("timezone", Kind::Text, "An IANA name, as in \"Europe/Berlin\".").required(),
        key(
            "hours",
            Kind::Map(&HOURS),
            "Weekdays (`mon-fri`, `sat`, `\"mon,wed\"`) = spans of time that are open, as in \
             [\"08:00-12:00\", \"13:00-17:00\"].",
        )
        .required(),
        key("holidays", Kind::List(&HOLIDAYS), "Days that are closed."),
        key(
            "special",
            Kind::Map(&HOURS),
            "Days with hours of their own, as in { \"12-24\" = [\"08:00-12:00\"] }.",
        ),
    ],
);
const HOURS: Kind = Kind::Either(&[Kind::Text, Kind::List(&Kind::Text)]);
const HOLIDAYS: Kind =
    Kind::Either(&[Kind::Text, Kind::Date, Kind::Table(&HOLIDAY), Kind::Table(&HOLIDAY_FILE)]);
static HOLIDAY: Section = Section::new(
    "A day that is closed, and its name.",
    &[
        key(
            "day",
            Kind::Either(&[Kind::Text, Kind::Date]),
            "\"2026-12-24\", \"12-24\" for every year, \"easter-2\", \"last mon of may\".",
        )
        .required(),
        key("name", Kind::Text, "What people call it."),
    ],
);
static HOLIDAY_FILE: Section = Section::new(
    "A file of holidays.",
    &[
        key("ics", Kind::Text, "The file, in the iCalendar format.").required(),
        key(ics::DAYS, Kind::Internal, "What stood in the file."),
    ],
);

/// What a calendar is read into.
struct Reader<'n> {
    title: String,
    week: BTreeMap<Weekday, (Hours, Place)>,
    days: BTreeMap<DayRule, (Exception, Place)>,
    /// Days of files, which what stands in the config itself goes before.
    filed: Vec<&'n Node>,
}

pub(super) fn calendar(table: &mut Table<'_>, findings: &mut Findings) -> CalendarSpec {
    let mut found = Findings::default();
    let spec = read(table, &mut found);
    // What else is wrong may be why it is never open.
    if let Some(hours) = table.get("hours").filter(|_| found.is_empty())
        && matches!(Calendar::new(&spec), Err(CalendarError::NeverOpen))
    {
        let message = format!("{} is never open", table.title);
        let never = Found::error(Code::Calendar, hours.key, message).label("no working time");
        found.push(never.help("write hours, as in hours = { mon-fri = [\"08:00-17:00\"] }"));
    }
    findings.extend(found);
    spec
}

/// The calendars in which nothing is wrong, whatever else is wrong with the config.
pub(super) fn sound(tree: &Node) -> BTreeMap<Name, CalendarSpec> {
    let Some(Node { value: Value::Table(calendars), .. }) = tree.at(&["calendar"]) else {
        return BTreeMap::new();
    };
    let sound = calendars.iter().filter_map(|(name, node)| {
        let mut findings = Findings::default();
        let title = format!("[calendar.{name}]");
        let mut table = Table::of(&CALENDAR, title, node, &mut findings);
        let spec = calendar(&mut table, &mut findings);
        table.close(&mut findings);
        let whole = findings.is_empty() && ics::is_whole(node);
        whole.then(|| (Name::new(name), spec))
    });
    sound.collect()
}

fn read(table: &mut Table<'_>, findings: &mut Findings) -> CalendarSpec {
    let zone = table.text("timezone", findings).and_then(|name| {
        let place = table.get("timezone").map_or(table.node.key, |node| node.place);
        timezone(name).or_else(|| {
            findings.push(unknown_zone(name, place));
            None
        })
    });
    let mut reader = Reader {
        title: table.title.clone(),
        week: BTreeMap::new(),
        days: BTreeMap::new(),
        filed: Vec::new(),
    };
    for (key, node) in table.entries_of("hours", findings) {
        reader.week_hours(key, node, findings);
    }
    if let Some(node) = table.get("holidays") {
        reader.holidays(node, findings);
    }
    for (key, node) in table.entries_of("special", findings) {
        reader.special(key, node, findings);
    }
    reader.finish(zone.unwrap_or_else(|| Name::new("UTC")))
}

pub(super) fn unknown_zone(name: &str, place: Place) -> Found {
    let found = Found::error(Code::UnknownName, place, format!("there is no time zone `{name}`"));
    let found = found.label("not in the time zone database");
    let zones: Vec<Name> = timezones().collect();
    let city = |zone: &&Name| {
        zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name.trim()))
    };
    let near = gantry_rules::suggest(name, zones.iter().map(Name::as_str));
    match near.map(Name::new).as_ref().or_else(|| zones.iter().find(city)) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None => found.help("write an IANA name, as in \"Europe/Berlin\""),
    }
}

impl<'n> Reader<'n> {
    /// `mon-fri = ["08:00-12:00", "13:00-17:00"]`
    fn week_hours(&mut self, key: &str, node: &'n Node, findings: &mut Findings) {
        let hours = self.hours(key, node, findings);
        let days = match weekdays(key) {
            Ok(days) => days,
            Err(word) => {
                let message = format!("`{word}` in `hours` of {} is no weekday", self.title);
                let found = Found::error(Code::Value, node.key, message).label("not a weekday");
                let known = Weekday::ALL.map(Weekday::as_str);
                findings.push(found.suggest(&word, known.into_iter()));
                return;
            }
        };
        for day in days {
            if let Some((_, first)) = self.week.get(&day) {
                findings.push(twice(&self.title, day.as_str(), node.key, *first));
                continue;
            }
            self.week.insert(day, (hours.clone(), node.key));
        }
    }

    /// One span, or a list of them.
    fn hours(&self, key: &str, node: &Node, findings: &mut Findings) -> Hours {
        let title = format!("the hours of `{key}` in {}", self.title);
        let nodes = match &node.value {
            Value::List(nodes) => nodes.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut spans: Vec<(WallSpan, Place)> = Vec::new();
        for node in nodes {
            let Some(text) = text(&title, node, findings) else { continue };
            let span: WallSpan = match text.parse() {
                Ok(span) => span,
                Err(error) => {
                    findings.push(no_span(&error, node.place));
                    continue;
                }
            };
            match spans.iter().find(|(other, _)| other.overlaps(span)) {
                Some((other, first)) => {
                    let message = format!("{title} overlap: {other} and {span}");
                    let found = Found::error(Code::Calendar, node.place, message);
                    let found = found.label("overlaps").related(*first, "with this one");
                    findings.push(found.help("join them into one, or leave one out"));
                }
                None => spans.push((span, node.place)),
            }
        }
        Hours::new(spans.into_iter().map(|(span, _)| span).collect())
    }

    fn holidays(&mut self, node: &'n Node, findings: &mut Findings) {
        let title = format!("`holidays` of {}", self.title);
        let Value::List(nodes) = &node.value else {
            findings.push(wrong_type(&title, "a list", node));
            return;
        };
        for node in nodes {
            let Value::Table(_) = &node.value else {
                let rule = self.rule(node, findings);
                self.insert(rule, Exception::default(), node.place, findings);
                continue;
            };
            let filed = node.at(&["ics"]).is_some();
            let section = if filed { &HOLIDAY_FILE } else { &HOLIDAY };
            let title = format!("a holiday of {}", self.title);
            let mut table = Table::of(section, title, node, findings);
            if filed && table.text("ics", findings).is_some() {
                if let Some(Node { value: Value::List(days), .. }) = table.get(ics::DAYS) {
                    self.filed.extend(days);
                }
            } else if !filed {
                let name = table.name("name", findings);
                let day = table.get("day").map(|day| (self.rule(day, findings), day.place));
                if let Some((rule, place)) = day {
                    let exception = Exception { hours: Hours::default(), name };
                    self.insert(rule, exception, place, findings);
                }
            }
            table.close(findings);
        }
    }

    /// `"12-24" = ["08:00-12:00"]`
    fn special(&mut self, key: &str, node: &'n Node, findings: &mut Findings) {
        let hours = self.hours(key, node, findings);
        let rule = parse_rule(key, node.key, findings);
        self.insert(rule, Exception { hours, name: None }, node.key, findings);
    }

    fn rule(&self, node: &Node, findings: &mut Findings) -> Option<DayRule> {
        if let Value::Datetime(text) = &node.value {
            return parse_rule(text, node.place, findings);
        }
        let text = text(&format!("a holiday of {}", self.title), node, findings)?;
        parse_rule(text, node.place, findings)
    }

    fn insert(
        &mut self,
        rule: Option<DayRule>,
        exception: Exception,
        place: Place,
        findings: &mut Findings,
    ) {
        let Some(rule) = rule else { return };
        if let Some((_, first)) = self.days.get(&rule) {
            findings.push(twice(&self.title, &rule.to_string(), place, *first));
            return;
        }
        self.days.insert(rule, (exception, place));
    }

    fn finish(self, timezone: Name) -> CalendarSpec {
        let week = self.week.into_iter().map(|(day, (hours, _))| (day, hours));
        let mut spec = CalendarSpec {
            timezone,
            hours: week.filter(|(_, hours)| !hours.is_empty()).collect(),
            exceptions: BTreeMap::new(),
        };
        let filed = self.filed.into_iter().filter_map(Filed::of);
        let (days, parts): (Vec<_>, Vec<_>) = filed.partition(|filed| filed.closed.is_none());
        let days = days.into_iter().map(|filed| (filed.rule, filed.exception));
        // The last of a rule counts: what stands in the config itself.
        let own = self.days.into_iter().map(|(rule, (exception, _))| (rule, exception));
        spec.exceptions.extend(days.chain(own));
        let mut cut: BTreeMap<DayRule, Exception> = BTreeMap::new();
        for Filed { rule, exception, closed } in parts {
            let DayOfYear::Date(date) = rule.day else { continue };
            let day = cut
                .entry(rule)
                .or_insert_with(|| Exception { hours: hours_of(&spec, date), ..exception });
            day.hours = day.hours.without(closed.unwrap_or(WallSpan::DAY));
        }
        spec.exceptions.extend(cut);
        spec
    }
}

/// A day of a file.
struct Filed {
    rule: DayRule,
    exception: Exception,
    /// The part that is closed; none for all of it.
    closed: Option<WallSpan>,
}

impl Filed {
    fn of(node: &Node) -> Option<Self> {
        let entry = |key: &str| match node.at(&[key]) {
            Some(Node { value: Value::Text(text), .. }) => Some(text.as_str()),
            _ => None,
        };
        let exception = Exception { hours: Hours::default(), name: entry("name").map(Name::new) };
        let closed = entry("closed").and_then(|span| span.parse().ok());
        Some(Self { rule: entry("day")?.parse().ok()?, exception, closed })
    }
}

/// The hours that a date has so far.
fn hours_of(spec: &CalendarSpec, date: Date) -> Hours {
    let exceptions = spec.exceptions_in(date.year());
    let exception = exceptions.get(&date).map(|(_, exception)| &exception.hours);
    exception.or_else(|| spec.hours.get(&Weekday::of(date))).cloned().unwrap_or_default()
}

/// The days of `mon-fri`, `sat` or `mon,wed`; else the word that is no weekday.
fn weekdays(key: &str) -> Result<Vec<Weekday>, String> {
    let day = |word: &str| word.parse::<Weekday>().map_err(|_| word.trim().to_owned());
    let mut days = Vec::new();
    for part in key.split(',') {
        let Some((first, last)) = part.split_once('-') else {
            days.push(day(part)?);
            continue;
        };
        let (first, last) = (day(first)? as usize, day(last)? as usize);
        let n_days = (last + 7 - first) % 7 + 1;
        days.extend((0..n_days).map(|at| Weekday::ALL[(first + at) % 7]));
    }
    Ok(days)
}

fn no_span(error: &ParseCalendarError, place: Place) -> Found {
    let found = Found::error(Code::Calendar, place, error.to_string());
    match error {
        ParseCalendarError::Backwards(_) => found.label("ends before it begins").help(
            "over midnight, write \"22:00-24:00\" on one day and \"00:00-06:00\" on the next",
        ),
        _ => found.label("not a span").help("write it as in \"08:00-12:30\""),
    }
}

fn parse_rule(text: &str, place: Place, findings: &mut Findings) -> Option<DayRule> {
    text.parse()
        .map_err(|error: ParseCalendarError| {
            let found = Found::error(Code::Calendar, place, error.to_string());
            let found = match error {
                ParseCalendarError::NoSuchDay(_) => found.label("no such day"),
                ParseCalendarError::Years(_) => found.label("ends before it begins"),
                _ => found.label("not a day"),
            };
            let help = "write \"2026-12-24\", \"12-24\" for every year, \"easter-2\" or \
                        \"last mon of may\"";
            findings.push(found.help(help));
        })
        .ok()
}

fn twice(title: &str, day: &str, again: Place, first: Place) -> Found {
    Found::error(Code::Twice, again, format!("`{day}` is there twice in {title}"))
        .label("again here")
        .related(first, "first here")
        .help("leave one of them out")
}
