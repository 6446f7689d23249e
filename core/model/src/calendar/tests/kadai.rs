//! Vectors of another product, which lie beside the project: `shared/vectors`. Its conventions
//! (a due date that is included, so 1 ms earlier; its day mode) live here, not in the calculator.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use serde_json::Value as Json;

use super::{Calendar, t};
use crate::spec::{CalendarSpec, DayOfYear, DayRule, Exception, Hours, WallSpan, easter};
use crate::time::{Millis, Timestamp};

const MS: Millis = Millis(1);

/// The vectors; none, said aloud, if they are not there.
fn vectors() -> Option<Json> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?.parent()?;
    let file = root.join("shared/vectors/kadai_worktime_cases.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        // Past the capture of the test harness, which hides what a passing test prints.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {}", file.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// A calendar with its mode.
struct Subject {
    calendar: Calendar,
    by_days: bool,
}

fn subject(json: &Json) -> Subject {
    let holidays = &json["holidays"];
    let list = |key: &str| holidays[key].as_array().unwrap().clone();
    let mut exceptions = BTreeMap::new();
    for day in list("fixed_mm_dd").iter().chain(&list("custom_mm_dd")) {
        exceptions.insert(day.as_str().unwrap().parse().unwrap(), Exception::default());
    }
    let corpus_christi = holidays["corpus_christi_offset_60"].as_bool().unwrap();
    let offsets = list("easter_offsets_days").into_iter().chain(corpus_christi.then(|| 60.into()));
    for offset in offsets {
        let day = DayOfYear::Easter(offset.as_i64().unwrap() as i16);
        exceptions.insert(DayRule::yearly(day), Exception::default());
    }
    let hours = json["slots"].as_object().unwrap().iter().map(|(day, slots)| {
        let spans = slots.as_array().unwrap().iter().map(|slot| {
            let text = |at: usize| slot[at].as_str().unwrap().parse().unwrap();
            WallSpan::new(text(0), text(1)).unwrap()
        });
        (day.parse().unwrap(), Hours::new(spans.collect()))
    });
    let spec = CalendarSpec {
        timezone: json["zone"].as_str().unwrap().into(),
        hours: hours.collect(),
        exceptions,
    };
    let by_days = json["mode"] == "day";
    Subject { calendar: Calendar::new(&spec).unwrap(), by_days }
}

impl Subject {
    fn add(&self, start: Timestamp, level: Millis) -> Timestamp {
        if self.by_days {
            return self.calendar.add_days(start, days(level)).unwrap();
        }
        self.calendar.add(start, level).unwrap()
    }

    fn subtract(&self, start: Timestamp, level: Millis) -> Timestamp {
        if self.by_days {
            return self.calendar.subtract_days(start, days(level)).unwrap();
        }
        self.calendar.subtract(start, level).unwrap()
    }

    /// What a due date is earlier than the end of its service level.
    fn inclusive(&self) -> Millis {
        if self.by_days { Millis(0) } else { MS }
    }

    fn forward(&self, planned: Timestamp, level: Millis) -> (Timestamp, Timestamp) {
        let planned = self.add(planned, Millis(0));
        let end = self.add(planned, level);
        let due = if end == planned { end } else { minus(end, self.inclusive()) };
        (planned, due)
    }

    fn backward(&self, due: Timestamp, level: Millis) -> (Timestamp, Timestamp) {
        let ms = self.inclusive();
        let due = minus(self.subtract(due.plus(ms), Millis(0)), ms);
        let planned = if level.0 == 0 { due } else { self.subtract(due.plus(ms), level) };
        (planned, due)
    }

    /// More than a moment of working time apart; of days, only those in between count.
    fn apart(&self, a: Timestamp, b: Timestamp) -> bool {
        if !self.by_days {
            return self.calendar.between(a, b) > MS;
        }
        let (a, b) = (a.min(b), a.max(b));
        self.calendar.workdays_between(a, b) > i64::from(self.calendar.is_workday(b))
    }

    /// The outcome of a case, in the form its `expected` has.
    fn outcome(&self, case: &Json) -> Json {
        let at = |key: &str| t(case[key].as_str().unwrap());
        let both = |(planned, due): (Timestamp, Timestamp)| serde_json::json!({ "planned": planned, "due": due });
        match case["op"].as_str().unwrap() {
            "add" => self.moved(case, Calendar::add),
            "subtract" => self.moved(case, Calendar::subtract),
            "between" => Json::from(self.calendar.between(at("from"), at("to")).0),
            "is_working_day" => Json::from(self.calendar.is_workday(at("at"))),
            "sla_forward" => both(self.forward(at("planned"), shortest(case))),
            "sla_bulk_forward" => {
                let (_, due) = self.forward(at("planned"), shortest(case));
                both((at("planned"), due))
            }
            "sla_backward" => both(self.backward(at("due"), shortest(case))),
            "sla_check" => {
                let (planned, due) = self.backward(at("due"), shortest(case));
                let violation = self.apart(at("planned"), planned);
                let mut outcome = both((planned, due));
                outcome["violation"] = violation.into();
                outcome
            }
            "days_to_working_days" => {
                Json::from(self.working_days(at("reference"), case["days"].as_i64().unwrap()))
            }
            "working_days_to_days" => {
                let wanted = case["working_days"].as_i64().unwrap();
                let days = (-DAYS_MAX..=DAYS_MAX + 1)
                    .filter(|days| self.counted(at("reference"), *days) == wanted);
                let days: Vec<i64> = days.collect();
                let limit = if wanted.abs() <= WORKING_DAYS_MAX { days } else { vec![wanted] };
                Json::from(limit)
            }
            op => panic!("no adapter for {op}"),
        }
    }

    fn moved(
        &self,
        case: &Json,
        op: fn(&Calendar, Timestamp, Millis) -> Result<Timestamp, super::WorkingTimeError>,
    ) -> Json {
        let start = t(case["start"].as_str().unwrap());
        match op(&self.calendar, start, duration(&case["duration"])) {
            Ok(at) => serde_json::json!(at),
            Err(super::WorkingTimeError::Negative(_)) => {
                serde_json::json!({ "error": "negative duration rejected" })
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The report's table ends at 15 days.
    fn working_days(&self, reference: Timestamp, days: i64) -> i64 {
        if days.abs() > DAYS_MAX { days } else { self.counted(reference, days) }
    }

    fn counted(&self, reference: Timestamp, days: i64) -> i64 {
        let other = reference.plus(Millis(days * 86_400_000));
        self.calendar.workdays_between(reference, other)
    }
}

const DAYS_MAX: i64 = 15;
const WORKING_DAYS_MAX: i64 = 11;

fn minus(t: Timestamp, d: Millis) -> Timestamp {
    t.plus(Millis(-d.0))
}

fn days(level: Millis) -> u32 {
    u32::try_from(level.0 / 86_400_000).unwrap()
}

/// ISO 8601, with a day of 24 hours.
fn duration(json: &Json) -> Millis {
    let span: jiff::Span = json.as_str().unwrap().parse().unwrap();
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).unwrap();
    Millis(i64::try_from(duration.as_millis()).unwrap())
}

fn shortest(case: &Json) -> Millis {
    case["service_levels"].as_array().unwrap().iter().map(duration).min().unwrap()
}

/// Expected values name only what the case is about.
fn fits(expected: &Json, outcome: &Json) -> bool {
    match (expected, outcome) {
        (Json::Object(expected), Json::Object(outcome)) => {
            expected.iter().all(|(key, value)| outcome.get(key) == Some(value))
        }
        (Json::String(duration_text), Json::Number(millis)) => {
            millis.as_i64() == Some(duration(&duration_text.as_str().into()).0)
        }
        _ => expected == outcome,
    }
}

#[test]
fn all_cases_pass() {
    let Some(vectors) = vectors() else { return };
    let calendars = vectors["calendars"].as_object().unwrap();
    let subjects: BTreeMap<&str, Subject> =
        calendars.iter().map(|(name, json)| (name.as_str(), subject(json))).collect();
    let mut ran: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in vectors["cases"].as_array().unwrap() {
        let outcome = subjects[case["calendar"].as_str().unwrap()].outcome(case);
        if !fits(&case["expected"], &outcome) {
            wrong.push(format!("{case}\n  gives {outcome}"));
        }
        let kind = match case["op"].as_str().unwrap() {
            op if op.starts_with("sla_") => "service_level",
            op if op.ends_with("days") => "report_day_conversion",
            _ => "calculator",
        };
        *ran.entry(kind).or_default() += 1;
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let expected = [("calculator", 44), ("report_day_conversion", 150), ("service_level", 73)];
    assert_eq!(ran, BTreeMap::from(expected));
}

#[test]
fn easter_is_when_they_say() {
    let Some(vectors) = vectors() else { return };
    let sundays = vectors["easter_sundays"].as_array().unwrap();
    assert_eq!(sundays.len(), 21);
    for sunday in sundays {
        let date = easter(sunday["year"].as_i64().unwrap() as i16).unwrap();
        assert_eq!(sunday["easter_sunday"], date.to_string());
    }
    let days = vectors["corpus_christi"].as_array().unwrap();
    assert_eq!(days.len(), 4);
    let mut json = vectors["calendars"]["full_weekdays_utc"].clone();
    for day in days {
        json["holidays"]["corpus_christi_offset_60"] = day["corpus_christi_enabled"].clone();
        let noon = t(&format!("{}T12:00:00Z", day["date"].as_str().unwrap()));
        let holiday = !subject(&json).calendar.is_workday(noon);
        assert_eq!(day["is_german_holiday"], holiday, "{day}");
    }
}
