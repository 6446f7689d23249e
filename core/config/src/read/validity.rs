//! Reads dates of validity. A date without time zone is one of the calendar's zone, so they are
//! read when all calendars are known.

use gantry_model::spec::{RoutingSpec, Validity};
use gantry_model::{Name, Timestamp};
use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::finding::{Code, Findings, Found};
use crate::keys::{Key, Kind, key};
use crate::table::{Table, wrong_type};
use crate::tree::{Node, Value};

/// From when on, and until when, items are taken.
const KEYS: [&str; 2] = ["valid_from", "valid_to"];

pub(super) const VALID_FROM: Key =
    key(KEYS[0], Kind::Date, "The first instant, or day, that items are taken; else always.");
pub(super) const VALID_TO: Key =
    key(KEYS[1], Kind::Date, "Items are taken until this instant, or through this day.");

/// Tells a table that the keys are read later.
pub(super) fn ask(table: &mut Table<'_>) {
    for key in KEYS {
        table.get(key);
    }
}

/// Fills in the dates of all departments and processes.
pub(super) fn resolve(tree: &Node, routing: &mut RoutingSpec, findings: &mut Findings) {
    let RoutingSpec { calendars, departments, processes, .. } = routing;
    let database = TimeZoneDatabase::bundled();
    let zone = |calendar: Option<&Name>| {
        let calendar = calendar.and_then(|name| calendars.get(name));
        let zone = calendar.and_then(|spec| database.get(&spec.timezone).ok());
        zone.unwrap_or(TimeZone::UTC)
    };
    for (name, process) in processes {
        let Some(node) = tree.at(&["process", name]) else { continue };
        let department = name.split_once('/').and_then(|(name, _)| departments.get(name));
        let calendar = process.calendar.as_ref();
        let calendar = calendar.or_else(|| department.and_then(|known| known.calendar.as_ref()));
        let title = format!("[process.\"{name}\"]");
        process.valid = validity(&title, node, &zone(calendar), findings);
    }
    for (name, department) in departments {
        let Some(node) = tree.at(&["department", name]) else { continue };
        let zone = zone(department.calendar.as_ref());
        department.valid = validity(&format!("[department.{name}]"), node, &zone, findings);
    }
}

fn validity(title: &str, table: &Node, zone: &TimeZone, findings: &mut Findings) -> Validity {
    let [from, to] = KEYS.map(|key| {
        let node = table.at(&[key])?;
        let at = instant(key, node, zone);
        if at.is_none() {
            let title = format!("`{key}` in {title}");
            let found = wrong_type(&title, "a date, or a date and time, without quotes", node);
            findings.push(found.help(format!("write {key} = 2026-01-31")));
        }
        at
    });
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        let [first, last] = KEYS.map(|key| table.place_of(&[key]));
        let message = format!("the dates of {title} run backwards");
        let found = Found::error(Code::Validity, last, message).label("not after the first day");
        let found = found.related(first, "from here on");
        findings.push(found.help("items are taken from `valid_from` on until `valid_to`"));
    }
    Validity { from, to }
}

/// The instant that a date of TOML means; the last day belongs to the time of validity.
fn instant(key: &str, node: &Node, zone: &TimeZone) -> Option<Timestamp> {
    let Value::Datetime(text) = &node.value else {
        return None;
    };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let local: DateTime = if text.contains(['T', 't', ' ']) {
        text.parse().ok()?
    } else {
        let day: Date = text.parse().ok()?;
        let day = if key == KEYS[1] { day.tomorrow().ok()? } else { day };
        day.into()
    };
    let at = local.to_zoned(zone.clone()).ok()?;
    Some(Timestamp(at.timestamp().as_millisecond()))
}
