//! Day rules: text forms, dates of a year, which of two rules counts; and workdays.

use super::{calendar, d, spec, t};
use crate::spec::{CalendarSpec, DayRule, Hours, ParseCalendarError, WallSpan};

#[test]
fn texts_are_read_and_written_back() {
    let same = [
        "2026-12-24",
        "12-24",
        "02-29",
        "easter",
        "easter+1",
        "easter-80",
        "last mon of may",
        "4th thu of nov",
        "10-31 from 2018",
        "10-31 until 2030",
        "1st mon of jan from 2018 until 2018",
    ];
    for text in same {
        assert_eq!(text.parse::<DayRule>().unwrap().to_string(), text);
    }
    let also =
        [("1-6", "01-06"), ("Easter+0", "easter"), ("LAST Monday of May", "last mon of may")];
    for (text, canonical) in also {
        assert_eq!(text.parse::<DayRule>().unwrap().to_string(), canonical);
    }
}

#[test]
fn texts_that_mean_no_day_are_refused() {
    let no_such = ["02-30", "2026-02-29", "13-01", "00-10", "2026-13-01", "04-31"];
    for text in no_such {
        let error = ParseCalendarError::NoSuchDay(text.to_owned());
        assert_eq!(text.parse::<DayRule>(), Err(error));
    }
    let no_day = [
        "",
        "12",
        "-12-24",
        "12-24-2026-1",
        "24.12.",
        "easter1",
        "easter+251",
        "easter-81",
        "easter+-1",
        "6th mon of may",
        "last mon of mey",
        "last mon may",
        "2026-12-24 from 2026",
        "12-24 from",
        "12-24 from x",
        "12-24 until 2020 from 2018",
        "12-24 2026",
    ];
    for text in no_day {
        let error = ParseCalendarError::Day(text.to_owned());
        assert_eq!(text.parse::<DayRule>(), Err(error), "{text}");
    }
    let error = ParseCalendarError::Years("12-24 from 2020 until 2019".into());
    assert_eq!("12-24 from 2020 until 2019".parse::<DayRule>(), Err(error));
    for text in ["24:01", "8", "08:60", "8:5", "+8:00", "008:00", "25:00"] {
        assert!(text.parse::<crate::spec::Minute>().is_err(), "{text}");
    }
    for text in ["12:00-08:00", "08:00-08:00"] {
        let error = ParseCalendarError::Backwards(text.to_owned());
        assert_eq!(text.parse::<WallSpan>(), Err(error));
    }
}

#[test]
fn rules_give_dates() {
    let date = |rule: &str, year| {
        rule.parse::<DayRule>().unwrap().in_year(year).map(|date| date.to_string())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(date("easter", 2026), some("2026-04-05"));
    assert_eq!(date("easter-80", 2285), some("2285-01-01"));
    assert_eq!(date("easter+250", 2038), some("2038-12-31"));
    assert_eq!(date("02-29", 2026), None);
    assert_eq!(date("02-29", 2028), some("2028-02-29"));
    assert_eq!(date("last mon of may", 2026), some("2026-05-25"));
    assert_eq!(date("4th thu of nov", 2026), some("2026-11-26"));
    assert_eq!(date("5th mon of feb", 2026), None);
    assert_eq!(date("10-31 from 2018 until 2020", 2017), None);
    assert_eq!(date("10-31 from 2018 until 2020", 2018), some("2018-10-31"));
    assert_eq!(date("10-31 from 2018 until 2020", 2021), None);
    assert_eq!(date("2026-12-24", 2025), None);
}

#[test]
fn a_date_counts_before_rules_and_less_work_before_more() {
    let day = |exceptions: &[(&str, &str)], date: &str| {
        let spec = spec("UTC", &[], exceptions);
        let date: jiff::civil::Date = date.parse().unwrap();
        let found = spec.exceptions_in(date.year());
        found.get(&date).map(|(rule, exception)| (rule.to_string(), exception.hours.minutes()))
    };
    let half = ("12-24", "08:00-12:00");
    let open = ("2026-12-24", "08:00-20:00");
    assert_eq!(day(&[half, open], "2026-12-24"), Some(("2026-12-24".into(), 720)));
    assert_eq!(day(&[half, open], "2027-12-24"), Some(("12-24".into(), 240)));
    // In 2008 Ascension Day was on 1 May.
    let (may, ascension) = (("05-01", "08:00-09:00"), ("easter+39", ""));
    assert_eq!(day(&[may, ascension], "2008-05-01"), Some(("easter+39".into(), 0)));
    assert_eq!(day(&[may, ascension], "2009-05-01"), Some(("05-01".into(), 60)));
    assert_eq!(day(&[may, ascension], "2009-05-02"), None);
}

#[test]
fn hours_are_put_in_order() {
    let hours = |text: &str| -> Hours {
        serde_json::from_value(text.split(' ').collect::<Vec<_>>().into()).unwrap()
    };
    let json = |text: &str| serde_json::to_string(&hours(text)).unwrap();
    assert_eq!(json("13:00-17:00 8:00-12:00 12:00-13:00"), r#"["08:00-17:00"]"#);
    assert_eq!(json("13:00-17:00 08:00-12:00"), r#"["08:00-12:00","13:00-17:00"]"#);
    let lunch: WallSpan = "11:30-13:30".parse().unwrap();
    let without = hours("08:00-12:00 13:00-17:00").without(lunch);
    assert_eq!(without, hours("08:00-11:30 13:30-17:00"));
    assert_eq!(hours("08:00-17:00").without(lunch), hours("08:00-11:30 13:30-17:00"));
    assert!(hours("11:30-13:00").without(lunch).is_empty());
}

#[test]
fn a_spec_has_one_text() {
    let spec = spec("Europe/Berlin", &["mon 08:00-12:00"], &[("12-24", ""), ("2026-01-02", "")]);
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(
        json,
        "{\"timezone\":\"Europe/Berlin\",\"hours\":{\"mon\":[\"08:00-12:00\"]},\
         \"exceptions\":{\"2026-01-02\":{\"hours\":[]},\"12-24\":{\"hours\":[]}}}"
    );
    assert_eq!(serde_json::from_str::<CalendarSpec>(&json).unwrap(), spec);
}

#[test]
fn workdays_keep_the_time_of_day() {
    let office = super::office();
    // Friday before the clocks go forward; Easter Monday is a holiday.
    let friday = t("2026-03-27T15:30:00Z");
    assert_eq!(office.add_days(friday, 1), Ok(t("2026-03-30T14:30:00Z")));
    assert_eq!(office.subtract_days(t("2026-03-30T14:30:00Z"), 1), Ok(friday));
    assert_eq!(office.add_days(t("2026-04-04T10:00:00Z"), 0), Ok(t("2026-04-07T10:00:00Z")));
    assert_eq!(office.add_days(t("2026-04-04T10:00:00Z"), 1), Ok(t("2026-04-08T10:00:00Z")));
    assert_eq!(office.subtract_days(t("2026-04-06T10:00:00Z"), 0), Ok(t("2026-04-02T10:00:00Z")));
    assert!(!office.is_workday(t("2026-04-06T10:00:00Z")));
    assert_eq!(office.workdays_between(friday, t("2026-03-30T00:00:00Z")), 1);
    assert_eq!(office.workdays_between(t("2026-03-30T00:00:00Z"), friday), -1);
}

#[test]
fn dates_begin_at_midnight_or_when_the_clocks_have_skipped_it() {
    let berlin = super::office();
    assert_eq!(berlin.midnight("2026-07-01".parse().unwrap()), t("2026-06-30T22:00:00Z"));
    // In São Paulo 2018-11-04 began at 01:00.
    let sao_paulo = calendar("America/Sao_Paulo", &["sun 00:00-24:00"], &[]);
    assert_eq!(sao_paulo.midnight("2018-11-04".parse().unwrap()), t("2018-11-04T03:00:00Z"));
    let day = |text: &str| sao_paulo.midnight(text.parse().unwrap());
    assert_eq!(sao_paulo.between(day("2018-11-04"), day("2018-11-05")), d("23h"));
}

#[test]
fn a_time_of_day_that_is_not_there_is_the_change() {
    let sundays = calendar("Europe/Berlin", &["sun 00:00-24:00", "sat 00:00-24:00"], &[]);
    let saturday = t("2026-03-28T01:30:00Z");
    assert_eq!(sundays.add_days(saturday, 1), Ok(t("2026-03-29T01:00:00Z")));
    // 02:30 comes twice on 2026-10-25: the first counts.
    let saturday = t("2026-10-24T00:30:00Z");
    assert_eq!(sundays.add_days(saturday, 1), Ok(t("2026-10-25T00:30:00Z")));
    assert_eq!(sundays.between(saturday, t("2026-10-26T00:00:00Z")), d("46h30m"));
}
