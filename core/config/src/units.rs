//! Values with units: durations, SLAs and times towards the SLA.

use gantry_model::Millis;
use gantry_model::spec::{ParseSlaError, PointValue, Rate, Sla, Span};

/// Why a value with a unit cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UnitError {
    /// It is no time; the text says what is expected.
    Time(&'static str),
    /// It has another form; the text says what is expected.
    Form(&'static str),
    /// It is longer than [`LENGTH_MAX`] or [`SHARE_MAX`]; the text says what is possible.
    Long(&'static str),
}

/// Longest duration: 100 years.
pub(crate) const LENGTH_MAX: Millis = Millis(DAYS_MAX * 86_400_000);
/// Days of 100 years.
const DAYS_MAX: i64 = 36_525;
/// Most memory that a limit can name.
const BYTES_MAX: u64 = 1 << 40;
/// Largest share of an SLA, in thousandths: a hundred times the SLA.
const SHARE_MAX: u32 = 100_000;

const DURATION: &str = "write numbers with units d, h, m, s or ms, as in \"1h30m\"";
const SPAN: &str = "write a share of the SLA (\"10% sla\", \"sla\"), a time before it \
                    (\"sla - 2h\") or a duration (\"1h30m\", \"2h business\")";
const SLA: &str = "write \"72h\", \"72h business\" or \"3 workdays\"";
const SHARE: &str = "write a share from \"0%\" to \"100%\", as in \"50%\"";
const RATE: &str = "write a number and a period, as in \"10/1m\"";
const YEARS: &str = "write at most 100 years (\"36525d\")";
const BYTES: &str = "write a whole number with the unit KiB, MiB or GiB, as in \"512MiB\"";
const BYTES_LONG: &str = "write at most 1024 GiB";
const SHARES: &str = "write at most \"10000% sla\"";

/// Reads `"1h30m"`.
pub(crate) fn duration(text: &str) -> Result<Millis, UnitError> {
    length(text, DURATION)
}

fn length(text: &str, form: &'static str) -> Result<Millis, UnitError> {
    let length = text.parse().map_err(|_| UnitError::Time(form))?;
    if length > LENGTH_MAX { Err(UnitError::Long(YEARS)) } else { Ok(length) }
}

/// Reads `"72h"`, `"72h business"` or `"3 workdays"`.
pub(crate) fn sla(text: &str) -> Result<Sla, UnitError> {
    let sla = text.parse().map_err(|_: ParseSlaError| UnitError::Time(SLA))?;
    match sla {
        Sla::Wall(length) | Sla::Business(length) if length > LENGTH_MAX => {
            Err(UnitError::Long(YEARS))
        }
        Sla::Workdays(days) if i64::from(days) > DAYS_MAX => Err(UnitError::Long(YEARS)),
        sla => Ok(sla),
    }
}

/// Reads `"10% sla"`, `"sla"`, `"sla - 2h"`, `"1h30m"` or `"2h business"`; one decimal of a
/// percent counts.
pub(crate) fn span(text: &str) -> Result<Span, UnitError> {
    let text = text.trim();
    if let Some(share) = text.strip_suffix("sla") {
        if share.trim().is_empty() {
            return Ok(Span::SlaPermille(1000));
        }
        let share = share.trim().strip_suffix('%').and_then(|number| permille(number.trim()));
        return match share {
            Some(share) if share > SHARE_MAX => Err(UnitError::Long(SHARES)),
            share => share.map(Span::SlaPermille).ok_or(UnitError::Time(SPAN)),
        };
    }
    if let Some(before) = text.strip_prefix("sla") {
        let before = before.trim_start().strip_prefix('-').ok_or(UnitError::Time(SPAN))?;
        return length(before, SPAN).map(Span::BeforeSla);
    }
    match text.strip_suffix("business") {
        Some(time) => length(time, SPAN).map(Span::Business),
        None => length(text, SPAN).map(Span::Time),
    }
}

/// Reads `"50%"`, a share of the way from a minimum to a maximum.
pub(crate) fn share(text: &str) -> Result<PointValue, UnitError> {
    let share = text.trim().strip_suffix('%').and_then(|number| permille(number.trim()));
    match share.map(u16::try_from) {
        Some(Ok(permille)) if permille <= 1000 => Ok(PointValue::Range { permille }),
        Some(_) => Err(UnitError::Long(SHARE)),
        None => Err(UnitError::Form(SHARE)),
    }
}

/// Reads `"10/1m"`: so many in a period.
pub(crate) fn rate(text: &str) -> Result<Rate, UnitError> {
    let (count, per) = text.split_once('/').ok_or(UnitError::Form(RATE))?;
    let count = count.trim().parse().map_err(|_| UnitError::Form(RATE))?;
    let per = length(per, RATE)?;
    if count == 0 || per.0 == 0 {
        return Err(UnitError::Form(RATE));
    }
    Ok(Rate { count, per })
}

/// Reads `"512MiB"`: bytes, a whole number with a unit.
pub(crate) fn bytes(text: &str) -> Result<u64, UnitError> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit: u64 = match unit.trim() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(UnitError::Form(BYTES)),
    };
    let number: u64 = number.parse().map_err(|_| UnitError::Form(BYTES))?;
    let bytes = number.checked_mul(unit).filter(|bytes| *bytes <= BYTES_MAX);
    match bytes {
        Some(0) => Err(UnitError::Form(BYTES)),
        Some(bytes) => Ok(bytes),
        None => Err(UnitError::Long(BYTES_LONG)),
    }
}

fn permille(number: &str) -> Option<u32> {
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if tenth.len() != 1 || !digits(tenth) || whole.is_empty() || !digits(whole) {
        return None;
    }
    whole.parse::<u32>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?)
}
