//! Laws over arbitrary text: nothing panics, and every finding points into its file.

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
        at in 0..GOOD.len(),
        length in 0usize..20,
        instead in prop::sample::select(vec![
            "", "\"", "'", "=", "[", "]", "{", "}", "\n", "5", "\"x\"", "[[a]]", "a.b = 1\n", "ä",
            "\\", "-", "true",
        ]),
    ) {
        let end = (at + length).min(GOOD.len());
        let text = format!("{}{instead}{}", &GOOD[..at], &GOOD[end..]);
        let checked = checked(&text);
        points_into_the_text(&checked, &text)?;
        if checked.findings.is_empty() {
            prop_assert!(checked.spec.is_some());
        }
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
