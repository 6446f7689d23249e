//! Reads alerts: the statistic, its limit with the unit that it has, and who hears of it.

use gantry_model::Millis;
use gantry_model::spec::{AlertSpec, Statistic};

use crate::finding::{Code, Findings, Found};
use crate::keys::{Key, Kind, Section, key, shown, words};
use crate::table::Table;

/// Largest limit of a statistic that is a number.
const COUNT_MAX: i64 = 1_000_000_000;

pub(super) static ALERT: Section = Section::new(
    "A live statistic that somebody wants to hear of when it is over its limit.",
    &[
        key("when", Kind::Words(|| words(&Statistic::ALL)), "The statistic.").required(),
        key(
            "over",
            Kind::Either(&[Kind::Integer(0, COUNT_MAX), Kind::Duration]),
            "The limit; the statistic has to be greater. `oldest_wait` needs one, a duration.",
        )
        .or(|| 0.into()),
        key("for", Kind::Duration, "How long it has to be over the limit.").or(|| shown(Millis(0))),
        key("queue", Kind::Text, "Items of this queue only; else of all."),
        key("capture", Kind::Text, "With `capture_down`: this capture point only; else all."),
        CALLBACK,
    ],
);
const CALLBACK: Key = key(
    "callback",
    Kind::Text,
    "The callback that hears of it; its `on` has `alert_raised`, `alert_cleared`, or both.",
);

pub(super) fn alert(table: &mut Table<'_>, findings: &mut Findings) -> AlertSpec {
    let when = table.choice("when", &Statistic::ALL, findings);
    let (queue, capture) = (table.name("queue", findings), table.name("capture", findings));
    let over = match when {
        // What is over a limit that cannot be told is reported with the statistic.
        None => table.get("over").map(|_| 0),
        Some(when) if when.is_time() => {
            table.need("over");
            table.duration_or_zero("over", findings).map(|over| over.0)
        }
        Some(_) => table.integer("over", findings),
    };
    let spec = AlertSpec {
        when: when.unwrap_or(Statistic::Backlog),
        queue,
        capture,
        over: over.unwrap_or(0),
        lasts: table.duration_or_zero("for", findings).unwrap_or(Millis(0)),
        callback: table.name("callback", findings),
    };
    if let Some(when) = when {
        scope(table, when, findings);
    }
    spec
}

/// A queue has no capture points, and a capture point has no queue.
fn scope(table: &mut Table<'_>, when: Statistic, findings: &mut Findings) {
    let of_capture = when == Statistic::CaptureDown;
    let (key, help) = if of_capture {
        ("queue", "write `capture`, or leave it out for all capture points")
    } else {
        ("capture", "write `queue`, or leave it out for all queues")
    };
    if let Some(node) = table.get(key) {
        let word = Statistic::ALL.iter().find(|(_, known)| *known == when).map_or("", |(w, _)| w);
        let message = format!("`{word}` has no `{key}`");
        let found = Found::error(Code::Value, node.key, message).label("not of this statistic");
        findings.push(found.help(help));
    }
}
