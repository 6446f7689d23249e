//! Holidays in files of their own: iCalendar (RFC 5545) as public offices and groupware export it,
//! laid into the tree as if the days stood in the TOML file, so that every mistake is told at its
//! line.
//!
//! An event closes the calendar while it lasts: whole days, or, if it has times of day, just then.
//! Whether it shows as busy does not matter, since most public calendars say it does not.

mod event;
mod lines;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use crate::finding::{Code, Findings, Found, Place, Source, Sources};
use crate::load::read_text;
use crate::tree::{Node, Value};

/// Most days that the events of one file may give; yearly ones count once.
pub(crate) const DAYS_MAX: usize = 20_000;
/// The key under which the days of a file are laid beside its name.
pub(crate) const DAYS: &str = "days";

/// What is wrong with a file, and where.
#[derive(Debug, PartialEq, Eq)]
struct Broken {
    span: Range<usize>,
    message: String,
}

/// Reads the files that calendars name, and lays their days into the tree.
pub(crate) fn attach(
    tree: &mut Node,
    folder: &Path,
    sources: &mut Sources,
    findings: &mut Findings,
) {
    let Value::Table(root) = &mut tree.value else { return };
    let Some(Node { value: Value::Table(calendars), .. }) = root.get_mut("calendar") else {
        return;
    };
    for calendar in calendars.values_mut() {
        let timezone = match calendar.at(&["timezone"]) {
            Some(Node { value: Value::Text(name), .. }) => name.clone(),
            // That it is missing is told when the calendar is read.
            _ => "UTC".to_owned(),
        };
        let Value::Table(calendar) = &mut calendar.value else { continue };
        let Some(Node { value: Value::List(holidays), .. }) = calendar.get_mut("holidays") else {
            continue;
        };
        for holiday in holidays {
            file(holiday, &timezone, folder, sources, findings);
        }
    }
}

/// `true` unless a file that the calendar names could not be used.
pub(crate) fn is_whole(calendar: &Node) -> bool {
    let Some(Node { value: Value::List(holidays), .. }) = calendar.at(&["holidays"]) else {
        return true;
    };
    holidays.iter().all(|holiday| holiday.at(&["ics"]).is_none() || holiday.at(&[DAYS]).is_some())
}

/// Reads one file, if the holiday is one.
fn file(
    holiday: &mut Node,
    timezone: &str,
    folder: &Path,
    sources: &mut Sources,
    findings: &mut Findings,
) {
    let Value::Table(entries) = &mut holiday.value else { return };
    let Some(node) = entries.get("ics") else { return };
    // What is no text is told when the calendar is read.
    let Value::Text(name) = &node.value else { return };
    let (name, place) = (name.clone(), node.place);
    if let Some(days) = entries.get(DAYS) {
        let message = format!("the days of {name} stand in that file");
        let found = Found::error(Code::UnknownKey, days.key, message).label("unknown key");
        findings.push(found.help("leave them out, or write them without `ics`"));
    }
    let text = match read_text(&folder.join(&name)) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read {name}: {error}");
            let found = Found::error(Code::File, place, message).label("this file");
            findings.push(found.help("the path starts at the folder of the main file"));
            return;
        }
    };
    let file = sources.0.len();
    let at = |span: Range<usize>| Place { file, start: span.start, end: span.end };
    let (days, broken) = days(&text, timezone);
    if broken.is_empty() {
        let days = days.into_iter().map(|day| node_of(day, &at)).collect();
        entries.insert(DAYS.to_owned(), Node { key: place, place, value: Value::List(days) });
    }
    for Broken { span, message } in broken {
        let found = Found::error(Code::Ics, at(span), message).label("cannot be used");
        findings.push(found.help("export the file again, or leave this event out of it"));
    }
    sources.0.push(Source { name, text, csv: false });
}

/// A day that an event gives, in the words of the TOML file.
struct Day {
    span: Range<usize>,
    rule: String,
    name: Option<String>,
    /// The time of day that is closed; none for all of it.
    closed: Option<String>,
}

/// The days of a file, and what is wrong with it.
fn days(text: &str, timezone: &str) -> (Vec<Day>, Vec<Broken>) {
    let events = match lines::parse(text).and_then(event::split) {
        Ok(events) => events,
        Err(broken) => return (Vec::new(), vec![broken]),
    };
    let mut days = Vec::new();
    let mut broken = Vec::new();
    let moved = event::moved(&events);
    for event in &events {
        match event.days(timezone, &moved) {
            Ok(more) => days.extend(more),
            Err(error) => broken.push(error),
        }
        if days.len() > DAYS_MAX {
            let message = format!("up to here the events give more than {DAYS_MAX} days");
            broken.push(Broken { span: event.span.clone(), message });
            days.truncate(DAYS_MAX);
            break;
        }
    }
    (days, broken)
}

fn node_of(day: Day, at: &impl Fn(Range<usize>) -> Place) -> Node {
    let place = at(day.span);
    let node = |value| Node { key: place, place, value };
    let mut entries = BTreeMap::from([("day".to_owned(), node(Value::Text(day.rule)))]);
    entries.extend(day.name.map(|name| ("name".to_owned(), node(Value::Text(name)))));
    entries.extend(day.closed.map(|span| ("closed".to_owned(), node(Value::Text(span)))));
    node(Value::Table(entries))
}
