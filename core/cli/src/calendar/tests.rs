//! Questions on lines, and the picture of a year.

use std::collections::BTreeMap;

use gantry_config::{Manifests, check_text};
use gantry_model::spec::CalendarSpec;
use gantry_model::{Millis, Name};
use serde_json::{Value as Json, json};

use super::show::Picture;
use super::{Distance, build, distance, eval};

/// Calendars only: what else a hub needs is missing.
const CONFIG: &str = r#"
[calendar.office]
timezone = "Europe/Berlin"
hours = { mon-fri = ["08:00-12:00", "13:00-17:00"], sat = "09:00-12:30" }
holidays = [
    "12-25", "12-26", "01-01", { day = "easter-2", name = "Good Friday" },
    { day = "easter+1", name = "Easter Monday" },
]
special = { "12-24" = "08:00-12:00" }
"#;

fn specs() -> BTreeMap<Name, CalendarSpec> {
    check_text("gantry.toml", CONFIG, &Manifests::default()).calendars
}

fn ask(lines: &str) -> (bool, Vec<Json>) {
    let mut answers = Vec::new();
    let all = eval(&build(&specs()).unwrap(), lines.as_bytes(), &mut answers).unwrap();
    let answers = String::from_utf8(answers).unwrap();
    (all, answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn questions_are_answered_in_order() {
    let question = |op: &str, start: &str, key: &str, value: &str| {
        let start = format!("2026-12-{start}");
        json!({ "op": op, "calendar": "office", "start": start, key: value, "id": 7 }).to_string()
    };
    let questions = [
        question("add", "24T11:00:00+01:00", "duration", "PT3H30M"),
        String::new(),
        question("subtract", "28T08:00:00Z", "duration", "2h"),
        question("between", "24T07:00:00Z", "end", "2026-12-28T09:00:00Z"),
        question("between", "24T07:00:00.001Z", "end", "2026-12-24T07:00:00Z"),
        question("add", "23T15:00:00Z", "duration", "2 workdays"),
    ];
    let (all, answers) = ask(&questions.join("\n"));
    assert!(all);
    let results: Vec<&str> =
        answers.iter().map(|answer| answer["result"].as_str().unwrap()).collect();
    let expected = [
        "2026-12-28T09:30:00Z",
        "2026-12-24T10:00:00Z",
        "PT6H",
        "PT0.001S",
        "2026-12-28T15:00:00Z",
    ];
    assert_eq!(results, expected);
}

#[test]
fn a_bad_line_gets_its_error_and_the_next_its_answer() {
    let good =
        r#"{"op": "add", "calendar": "office", "start": "2026-06-01T08:00:00Z", "duration": "1h"}"#;
    let bad = [
        ("no json", "reading the question"),
        (r#"{"op": "multiply", "calendar": "office"}"#, "unknown variant `multiply`"),
        (r#"{"op": "add", "calendar": "office", "start": "2026-06-01T08:00:00Z"}"#, "`duration`"),
        (&good.replace("office", "home"), "there are: office"),
        (&good.replace("1h", "-PT1H"), "cannot be negative"),
        (&good.replace("1h", "P1M"), "has no fixed length"),
        (&good.replace("1h", "PT0.0001S"), "finer than a millisecond"),
        (&good.replace("1h", "soon"), "is no duration"),
        (&good.replace("1h", "-1 workdays"), "is no duration"),
        (&good.replace("1h", "P400000D"), "outside the years 1970 to 2269"),
        (&good.replace("2026-", "1969-"), "outside the years 1970 to 2269"),
        (&good.replace("08:00:00Z", "08:00:00"), "is no timestamp"),
    ];
    for (line, part) in bad {
        let (all, answers) = ask(&format!("{line}\n{good}\n"));
        assert!(!all);
        let [error, answer] = answers.as_slice() else { panic!("{answers:?}") };
        let error = error["error"].as_str().unwrap();
        assert!(error.contains(part), "{line}: {error}");
        assert_eq!(answer["result"], "2026-06-01T09:00:00Z");
    }
}

#[test]
fn durations_are_read_in_three_forms() {
    let time = |millis| Distance::Time(Millis(millis));
    let cases = [
        ("PT3H30M", time(12_600_000)),
        ("P1DT1S", time(86_401_000)),
        ("P2W", time(1_209_600_000)),
        ("PT0.001S", time(1)),
        ("3h30m", time(12_600_000)),
        ("2h business", time(7_200_000)),
        ("0", time(0)),
        ("1 workday", Distance::Workdays(1)),
        ("12 workdays", Distance::Workdays(12)),
    ];
    for (text, expected) in cases {
        assert_eq!(distance(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_year_is_a_picture() {
    let specs = specs();
    let spec = &specs["office"];
    let calendar = gantry_model::Calendar::new(spec).unwrap();
    let year =
        Picture { name: "office", spec, calendar, year: 2026, days: spec.exceptions_in(2026) };
    insta::assert_snapshot!(year.text().unwrap());
    let json = year.json().unwrap();
    assert_eq!(json["exceptions"][1]["date"], "2026-04-03");
    assert_eq!(json["exceptions"][1]["name"], "Good Friday");
    assert_eq!(json["exceptions"][3]["hours"][0], "08:00-12:00");
    assert_eq!(json["months"][11]["month"], 12);
    // 21 whole weekdays, half a Christmas Eve, three Saturdays of 3½ hours.
    let minutes = 21 * 480 + 240 + 3 * 210;
    assert_eq!(json["months"][11]["work_ms"], minutes * 60_000);
}
