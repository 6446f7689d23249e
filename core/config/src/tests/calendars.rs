//! Business calendars as an operator writes them: cases with answers, mistakes, broken files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_model::calendar::{Calendar, WorkingTimeError};
use gantry_model::{Millis, Name, Timestamp};
use proptest::prelude::*;
use serde::Deserialize;

use super::GOOD;
use crate::{Checked, Code, Manifests, check_text, load};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/calendar")
}

/// A file of cases is a config with nothing but calendars, and cases.
#[derive(Deserialize)]
struct CaseFile {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    says: String,
    calendar: String,
    op: Op,
    start: Timestamp,
    duration: Option<Millis>,
    end: Option<Timestamp>,
    gives: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Add,
    Subtract,
    Between,
}

impl Case {
    fn right(&self, calendar: &Calendar) -> bool {
        let at = |found: Result<Timestamp, WorkingTimeError>| {
            found == Ok(self.gives.parse().expect("gives a time"))
        };
        let duration = || self.duration.expect("a duration");
        match self.op {
            Op::Add => at(calendar.add(self.start, duration())),
            Op::Subtract => at(calendar.subtract(self.start, duration())),
            Op::Between => {
                let between = calendar.between(self.start, self.end.expect("an end"));
                between == self.gives.parse().expect("gives a duration")
            }
        }
    }
}

#[test]
fn cases_give_their_answers() {
    let mut n_cases = 0;
    for name in ["office.toml", "ics.toml"] {
        let path = cases().join(name);
        let checked = load(&path, &Manifests::default());
        let calendars: BTreeMap<&str, Calendar> = checked
            .calendars
            .iter()
            .map(|(name, spec)| (name.as_str(), Calendar::new(spec).unwrap()))
            .collect();
        let file: CaseFile = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in &file.case {
            let calendar = calendars.get(case.calendar.as_str());
            let calendar = calendar.unwrap_or_else(|| panic!("{:#?}", checked.findings));
            assert!(case.right(calendar), "{name}: {}", case.says);
            n_cases += 1;
        }
    }
    assert_eq!(n_cases, 26);
}

#[test]
fn yearly_events_are_rules_not_dates() {
    let checked = load(&cases().join("ics.toml"), &Manifests::default());
    let exceptions = &checked.calendars["filed"].exceptions;
    let rules: Vec<String> = exceptions
        .iter()
        .map(|(rule, exception)| {
            let name = exception.name.as_ref().map_or("", |name| name.as_str());
            format!("{rule} {:?} {name}", exception.hours.spans())
        })
        .collect();
    insta::assert_snapshot!(rules.join("\n"));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MistakeFile {
    mistake: Vec<Mistake>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mistake {
    calendar: String,
    code: String,
    part: String,
    help: String,
}

#[test]
fn mistakes_in_calendars_are_told_with_code_place_and_remedy() {
    let text = std::fs::read_to_string(cases().join("mistakes.toml")).unwrap();
    let file: MistakeFile = toml::from_str(&text).unwrap();
    assert!(!file.mistake.is_empty());
    for mistake in &file.mistake {
        let text = format!("{GOOD}\n[calendar.office]\n{}", mistake.calendar);
        super::expect_one(&text, &mistake.code, &mistake.part, &mistake.help);
        // Other calendars can be asked all the same.
        let sound = "[calendar.sound]\ntimezone = \"UTC\"\nhours = { mon = \"08:00-09:00\" }";
        let text = format!("{text}\n{sound}");
        let calendars = check_text("gantry.toml", &text, &Manifests::default()).calendars;
        assert_eq!(calendars.keys().map(Name::as_str).collect::<Vec<_>>(), ["sound"]);
    }
}

/// Checks a config whose calendar has its holidays from a file with this text.
fn with_ics(text: &str) -> Checked {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("days.ics"), text).unwrap();
    let calendar = "[calendar.office]\ntimezone = \"Europe/Berlin\"\n\
                    hours = { mon = \"08:00-12:00\" }\nholidays = [{ ics = \"days.ics\" }]\n";
    let main = folder.path().join("gantry.toml");
    std::fs::write(&main, format!("{GOOD}\n{calendar}")).unwrap();
    load(&main, &Manifests::default())
}

fn event(lines: &str) -> String {
    format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n")
}

#[test]
fn broken_files_are_told_with_their_line() {
    let cases = [
        (String::new(), "", "this file is empty"),
        (
            "<html>404: not found</html>".to_owned(),
            "<html>404: not found</html>",
            "this is no iCalendar: it does not begin with BEGIN:VCALENDAR",
        ),
        (
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\n".to_owned(),
            "BEGIN:VEVENT",
            "VEVENT is not ended",
        ),
        ("BEGIN:VCALENDAR\nEND:VEVENT\n".to_owned(), "END:VEVENT", "VCALENDAR is not ended before"),
        (event("SUMMARY"), "SUMMARY", "this line has no value"),
        (event("SUMMARY:No date"), "BEGIN:VEVENT", "this event has no DTSTART"),
        (event("DTSTART:20260230"), "DTSTART:20260230", "\"20260230\" is no date"),
        (
            event("DTSTART:20260101T2500Z"),
            "DTSTART:20260101T2500Z",
            "\"20260101T2500Z\" is no date",
        ),
        (
            event("DTSTART;TZID=\"Our Time\":20260101T080000"),
            "DTSTART;TZID=\"Our Time\":20260101T080000",
            "there is no time zone \"Our Time\"",
        ),
        (
            event("DTSTART:20260102\nDTEND:20260101"),
            "DTEND:20260101",
            "this event ends before it begins",
        ),
        (event("DTSTART:20260102\nDURATION:long"), "DURATION:long", "this is no duration"),
        (
            event("DTSTART:20260102\nRRULE:FREQ=DAILY"),
            "RRULE:FREQ=DAILY",
            "this gives more than 20000 days",
        ),
        (
            event("DTSTART:20000101\nDTEND:20990101"),
            "BEGIN:VEVENT",
            "up to here the events give more than 20000 days",
        ),
    ];
    for (text, part, message) in cases {
        let checked = with_ics(&text);
        let [finding] = checked.findings.as_slice() else {
            panic!("{text}: {:#?}", checked.findings);
        };
        assert_eq!((finding.code, finding.message.as_str()), (Code::Ics, message));
        assert_eq!((finding.file.as_str(), &text[finding.span.clone()]), ("days.ics", part));
        assert!(checked.spec.is_none() && checked.calendars.is_empty());
    }
    let checked = with_ics(&event("DTSTART:20260102\nRRULE:FREQ=SOMETIMES"));
    assert_eq!(checked.findings.len(), 1, "{:#?}", checked.findings);
    assert!(checked.findings[0].message.starts_with("this is no rule of recurrence: "));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_change_to_a_file_makes_the_check_panic(
        at in any::<prop::sample::Index>(),
        length in 0_usize..12,
        by in prop_oneof![
            "[A-Z0-9;:=,+-]{0,8}",
            Just("\r\n ".to_owned()),
            Just("RRULE:FREQ=YEARLY;UNTIL=99991231\n".to_owned()),
            Just("FREQ=SECONDLY".to_owned()),
            Just("99991231".to_owned()),
            Just("00010101".to_owned()),
            Just("-".to_owned()),
            any::<char>().prop_map(String::from),
        ],
    ) {
        let mut text = std::fs::read_to_string(cases().join("holidays/office.ics")).unwrap();
        let start = at.index(text.len());
        text.replace_range(start..(start + length).min(text.len()), &by);
        let checked = with_ics(&text);
        prop_assert_eq!(checked.spec.is_some(), checked.findings.is_empty());
    }
}
