//! Laws over arbitrary text: nothing panics, and every finding points into its file.

use gantry_model::Millis;
use gantry_model::spec::Span;
use proptest::prelude::*;

use super::{GOOD, checked};
use crate::expressions::raw_offset;
use crate::{Checked, render_human, units};

fn points_into_the_text(checked: &Checked, text: &str) -> Result<(), TestCaseError> {
    for finding in &checked.findings {
        prop_assert!(text.get(finding.span.clone()).is_some(), "{finding:?}");
        prop_assert!(finding.line >= 1 && finding.column >= 1);
    }
    render_human(&checked.findings, &checked.sources);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_makes_the_check_panic(text in "(?s).{0,200}") {
        points_into_the_text(&checked(&text), &text)?;
    }

    #[test]
    fn no_change_to_a_good_config_makes_the_check_panic(
        config in prop::sample::select(vec![GOOD.to_owned(), super::routing::config()]),
        at in any::<prop::sample::Index>(),
        length in 0usize..20,
        instead in prop::sample::select(vec![
            "", "\"", "'", "=", "[", "]", "{", "}", "\n", "5", "\"x\"", "[[a]]", "a.b = 1\n", "ä",
            "\\", "-", "true",
        ]),
    ) {
        let at = at.index(config.len());
        let end = (at + length).min(config.len());
        let text = format!("{}{instead}{}", &config[..at], &config[end..]);
        let checked = checked(&text);
        points_into_the_text(&checked, &text)?;
        if checked.findings.is_empty() {
            prop_assert!(checked.spec.is_some());
        }
    }

    /// Values of other types and sizes, where the form of the file stays as it is.
    #[test]
    fn no_value_in_a_good_config_makes_the_check_panic(
        which in any::<prop::sample::Index>(),
        instead in prop::sample::select(vec![
            "0", "-1", "9223372036854775807", "99999999999999999999", "1.5", "nan", "true",
            "2026-02-28", "9999-12-31", "0001-01-01T00:00:00Z", "07:30:00", "[]", "{}", "[[]]",
            "[{}]", "\"\"", "\"sla\"", "\"sla - 1h\"", "\"100% sla\"", "\"50%\"", "\"36525d\"",
            "\"0 workdays\"", "\"4294967295 workdays\"", "\"1h business\"", "\"sales/late\"",
            "\"agent:\"", "\":\"", "\"1/0s\"", "\"item.budget * 2\"", "\"ä\"",
        ]),
    ) {
        let config = super::routing::config();
        let starts: Vec<usize> = config.match_indices("= ").map(|(at, _)| at + 2).collect();
        let start = starts[which.index(starts.len())];
        let rest = &config[start..];
        let end = rest.find([',', '}', '\n']).unwrap_or(rest.len());
        let text = format!("{}{instead}{}", &config[..start], &rest[end..]);
        points_into_the_text(&checked(&text), &text)?;
    }

    #[test]
    fn spans_are_read_as_they_are_written(millis in 0i64..=units::LENGTH_MAX.0) {
        let time = Millis(millis);
        prop_assert_eq!(units::span(&time.to_string()), Ok(Span::Time(time)));
        prop_assert_eq!(units::span(&format!("sla - {time}")), Ok(Span::BeforeSla(time)));
        prop_assert_eq!(units::span(&format!("{time} business")), Ok(Span::Business(time)));
    }

    #[test]
    fn no_text_with_a_unit_makes_its_reader_panic(
        text in "(sla|[-%/.]|business|workdays?|[0-9]{1,20}|[dhms]|ms| |ä){0,8}",
    ) {
        let _ = (units::span(&text), units::sla(&text), units::rate(&text), units::share(&text));
    }

    #[test]
    fn every_character_of_a_text_is_found_in_its_toml_form(value in "[ -~äß😀\t\n]{0,20}") {
        let raw = toml::Value::String(value.clone()).to_string();
        for (at, c) in value.char_indices() {
            let found = raw[raw_offset(&raw, at)..].chars().next();
            prop_assert!(found == Some(c) || found == Some('\\'), "{raw} {at} {found:?}");
        }
    }

    #[test]
    fn shares_of_the_sla_are_read_exactly(permille in 0u32..100_000) {
        let text = format!("{}.{}% sla", permille / 10, permille % 10);
        prop_assert_eq!(units::span(&text), Ok(Span::SlaPermille(permille)));
    }
}
