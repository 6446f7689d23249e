//! Values with units: durations and shares of the SLA.

use gantry_model::Millis;
use gantry_model::spec::Span;

/// Why a value with a unit cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UnitError {
    /// It is a duration in business time, which needs a calendar.
    Business,
    /// It is something else; the text says what is expected.
    Form(&'static str),
}

const DURATION: &str = "write numbers with units d, h, m, s or ms, as in \"1h30m\"";
const SPAN: &str = "write a share of the SLA (\"10% sla\", \"sla\") or a duration (\"1h30m\")";

/// Reads `"1h30m"`.
pub(crate) fn duration(text: &str) -> Result<Millis, UnitError> {
    if text.split_whitespace().any(|word| word.eq_ignore_ascii_case("business")) {
        return Err(UnitError::Business);
    }
    text.parse().map_err(|_| UnitError::Form(DURATION))
}

/// Reads `"10% sla"`, `"sla"` or `"1h30m"`; one decimal of a percent counts.
pub(crate) fn span(text: &str) -> Result<Span, UnitError> {
    let Some(share) = text.trim().strip_suffix("sla") else {
        return match duration(text) {
            Ok(time) => Ok(Span::Time(time)),
            Err(UnitError::Business) => Err(UnitError::Business),
            Err(UnitError::Form(_)) => Err(UnitError::Form(SPAN)),
        };
    };
    if share.trim().is_empty() {
        return Ok(Span::SlaPermille(1000));
    }
    let permille = share.trim().strip_suffix('%').and_then(|number| permille(number.trim()));
    permille.map(Span::SlaPermille).ok_or(UnitError::Form(SPAN))
}

fn permille(number: &str) -> Option<u32> {
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if tenth.len() != 1 || !digits(tenth) || whole.is_empty() || !digits(whole) {
        return None;
    }
    whole.parse::<u32>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?)
}
