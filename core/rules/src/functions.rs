//! Operators and functions, on values.

use std::borrow::Cow;
use std::cmp::Ordering;

use gantry_model::{Decimal, Millis, Timestamp};

use crate::eval::Function;
use crate::value::Val;

/// Longest text that an expression may build, in bytes.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Applies a function to values; the error is the message.
pub(crate) fn apply<'a>(
    function: Function,
    a: Val<'a>,
    b: Val<'a>,
    c: Val<'a>,
) -> Result<Val<'a>, Cow<'static, str>> {
    use Function as F;
    match function {
        F::Equal => equal(&a, &b).map(Val::Boolean),
        F::NotEqual => equal(&a, &b).map(|same| Val::Boolean(!same)),
        F::Less => ordered(&a, &b, Ordering::is_lt),
        F::LessOrEqual => ordered(&a, &b, Ordering::is_le),
        F::Greater => ordered(&a, &b, Ordering::is_gt),
        F::GreaterOrEqual => ordered(&a, &b, Ordering::is_ge),
        F::In => is_in(&a, &b),
        // With an absent key: nothing has that name.
        F::InCustom => Ok(Val::Boolean(false)),
        F::Add | F::Subtract | F::Multiply | F::Divide | F::Remainder => arithmetic(function, a, b),
        _ if matches!(a, Val::Absent) => Ok(Val::Absent),
        F::Negate => match a {
            Val::Integer(number) => number
                .checked_neg()
                .map(Val::Integer)
                .ok_or_else(|| "the number is out of range".into()),
            Val::Decimal(_) => arithmetic(F::Subtract, Val::Integer(0), a),
            Val::Duration(span) => Ok(Val::Duration(Millis(span.0.saturating_neg()))),
            other => Err(format!("cannot negate {}", other.describe()).into()),
        },
        F::Index => index(&a, &b),
        F::Size => match a.size() {
            Some(size) => Ok(Val::Integer(size as i64)),
            None => Err(format!("{} has no size", a.describe()).into()),
        },
        F::ToBoolean | F::ToDecimal | F::ToDuration | F::ToInteger | F::ToText | F::ToTimestamp => {
            convert(function, a)
        }
        _ => on_text(function, a, b, c),
    }
}

/// Whether two values are equal; what is absent equals nothing.
pub(crate) fn equal(a: &Val<'_>, b: &Val<'_>) -> Result<bool, Cow<'static, str>> {
    a.equals(b).ok_or_else(|| mismatch(a, b))
}

fn ordered<'a>(
    a: &Val<'a>,
    b: &Val<'a>,
    fits: fn(Ordering) -> bool,
) -> Result<Val<'a>, Cow<'static, str>> {
    if matches!(a, Val::Absent) || matches!(b, Val::Absent) {
        return Ok(Val::Boolean(false));
    }
    let order = a.order(b).ok_or_else(|| mismatch(a, b))?;
    Ok(Val::Boolean(fits(order)))
}

fn mismatch(a: &Val<'_>, b: &Val<'_>) -> Cow<'static, str> {
    format!("cannot compare {} with {}", a.describe(), b.describe()).into()
}

fn is_in<'a>(element: &Val<'a>, list: &Val<'a>) -> Result<Val<'a>, Cow<'static, str>> {
    if let (Val::Text(key), "map") = (element, list.type_name()) {
        let present = !matches!(list.field(key), Some(Val::Absent) | None);
        return Ok(Val::Boolean(present));
    }
    let Some(elements) = list.elements() else {
        return Err(format!("cannot search in {}: it is no list", list.describe()).into());
    };
    for candidate in &elements {
        if equal(element, candidate)? {
            return Ok(Val::Boolean(true));
        }
    }
    Ok(Val::Boolean(false))
}

fn index<'a>(of: &Val<'a>, key: &Val<'a>) -> Result<Val<'a>, Cow<'static, str>> {
    let wrong = || format!("cannot read {} of {}", key.describe(), of.describe());
    match key {
        Val::Absent => Ok(Val::Absent),
        Val::Text(name) => of.field(name).ok_or_else(|| wrong().into()),
        Val::Integer(at) if of.type_name() == "list" => {
            let mut elements = of.elements().unwrap_or_default();
            let at = usize::try_from(*at).ok().filter(|at| *at < elements.len());
            Ok(at.map_or(Val::Absent, |at| elements.swap_remove(at)))
        }
        _ => Err(wrong().into()),
    }
}

fn arithmetic<'a>(
    function: Function,
    a: Val<'a>,
    b: Val<'a>,
) -> Result<Val<'a>, Cow<'static, str>> {
    use Function as F;
    let result = match (function, &a, &b) {
        (_, Val::Absent, _) | (_, _, Val::Absent) => Some(Val::Absent),
        (F::Add, Val::Integer(x), Val::Integer(y)) => x.checked_add(*y).map(Val::Integer),
        (F::Subtract, Val::Integer(x), Val::Integer(y)) => x.checked_sub(*y).map(Val::Integer),
        (F::Multiply, Val::Integer(x), Val::Integer(y)) => x.checked_mul(*y).map(Val::Integer),
        (F::Divide | F::Remainder, _, Val::Integer(0)) => return Err("division by zero".into()),
        (F::Divide, Val::Integer(x), Val::Integer(y)) => x.checked_div(*y).map(Val::Integer),
        (F::Remainder, Val::Integer(x), Val::Integer(y)) => x.checked_rem(*y).map(Val::Integer),
        (F::Add, Val::Timestamp(at), Val::Duration(span))
        | (F::Add, Val::Duration(span), Val::Timestamp(at)) => Some(Val::Timestamp(at.plus(*span))),
        (F::Subtract, Val::Timestamp(at), Val::Duration(span)) => {
            Some(Val::Timestamp(Timestamp(at.0.saturating_sub(span.0))))
        }
        (F::Subtract, Val::Timestamp(x), Val::Timestamp(y)) => Some(Val::Duration(x.since(*y))),
        (F::Add, Val::Duration(x), Val::Duration(y)) => {
            x.0.checked_add(y.0).map(|sum| Val::Duration(Millis(sum)))
        }
        (F::Subtract, Val::Duration(x), Val::Duration(y)) => {
            x.0.checked_sub(y.0).map(|rest| Val::Duration(Millis(rest)))
        }
        (F::Add, Val::Text(x), Val::Text(y)) => {
            return bounded(format!("{x}{y}"));
        }
        (F::Add, ..) if a.type_name() == "list" && b.type_name() == "list" => {
            let mut list = a.elements().unwrap_or_default();
            list.extend(b.elements().unwrap_or_default());
            return Ok(Val::List(list));
        }
        _ => {
            let (Some(x), Some(y)) = (as_decimal(&a), as_decimal(&b)) else {
                let (a, b) = (a.describe(), b.describe());
                return Err(format!("cannot {} {a} and {b}", verb(function)).into());
            };
            let zero = y == Decimal::new(0, 0);
            match function {
                F::Add => x.checked_add(y),
                F::Subtract => x.checked_sub(y),
                F::Multiply => x.checked_mul(y),
                F::Divide if zero => return Err("division by zero".into()),
                F::Divide => x.checked_div(y),
                _ => return Err("the remainder is for integers only".into()),
            }
            .map(Val::Decimal)
        }
    };
    result.ok_or_else(|| "the result is out of range".into())
}

fn as_decimal(value: &Val<'_>) -> Option<Decimal> {
    match value {
        Val::Integer(number) => Some(Decimal::new(*number, 0)),
        Val::Decimal(number) => Some(*number),
        _ => None,
    }
}

fn verb(function: Function) -> &'static str {
    match function {
        Function::Add => "add",
        Function::Subtract => "subtract",
        Function::Multiply => "multiply",
        _ => "divide",
    }
}

fn convert(function: Function, value: Val<'_>) -> Result<Val<'_>, Cow<'static, str>> {
    use Function as F;
    let (converted, to) = match (function, &value) {
        (F::ToBoolean, Val::Boolean(_))
        | (F::ToDecimal, Val::Decimal(_))
        | (F::ToDuration, Val::Duration(_))
        | (F::ToInteger, Val::Integer(_))
        | (F::ToText, Val::Text(_))
        | (F::ToTimestamp, Val::Timestamp(_)) => return Ok(value),
        (F::ToBoolean, Val::Text(text)) => (text.parse().ok().map(Val::Boolean), "true or false"),
        (F::ToDecimal, Val::Integer(number)) => (Some(Val::Decimal(Decimal::new(*number, 0))), ""),
        (F::ToDecimal, Val::Text(text)) => (text.parse().ok().map(Val::Decimal), "a decimal"),
        (F::ToDuration, Val::Text(text)) => {
            (text.parse().ok().map(Val::Duration), "a duration, as in 1h30m")
        }
        (F::ToInteger, Val::Decimal(number)) => (Some(Val::Integer(number.trunc())), ""),
        (F::ToInteger, Val::Text(text)) => (text.parse().ok().map(Val::Integer), "an integer"),
        (F::ToInteger, Val::Timestamp(at)) => (Some(Val::Integer(at.0.div_euclid(1000))), ""),
        (F::ToTimestamp, Val::Text(text)) => {
            (text.parse().ok().map(Val::Timestamp), "a timestamp, as in 2026-01-31T08:00:00Z")
        }
        (F::ToTimestamp, Val::Integer(seconds)) => {
            (seconds.checked_mul(1000).map(|ms| Val::Timestamp(Timestamp(ms))), "a timestamp")
        }
        (F::ToText, Val::Boolean(truth)) => (Some(Val::Text(truth.to_string().into())), ""),
        (F::ToText, Val::Integer(number)) => (Some(Val::Text(number.to_string().into())), ""),
        (F::ToText, Val::Decimal(number)) => (Some(Val::Text(number.to_string().into())), ""),
        (F::ToText, Val::Timestamp(at)) => (Some(Val::Text(at.to_string().into())), ""),
        (F::ToText, Val::Duration(span)) => (Some(Val::Text(span.to_string().into())), ""),
        (F::ToBoolean, _) => (None, "true or false"),
        (F::ToDecimal, _) => (None, "a decimal"),
        (F::ToDuration, _) => (None, "a duration"),
        (F::ToInteger, _) => (None, "an integer"),
        (F::ToText, _) => (None, "text"),
        _ => (None, "a timestamp"),
    };
    converted.ok_or_else(|| format!("cannot read {} as {to}", value.describe()).into())
}

fn on_text<'a>(
    function: Function,
    a: Val<'a>,
    b: Val<'a>,
    c: Val<'a>,
) -> Result<Val<'a>, Cow<'static, str>> {
    use Function as F;
    let Val::Text(text) = &a else {
        return Err(format!("expected text, got {}", a.describe()).into());
    };
    Ok(match (function, &b, &c) {
        (F::Lower, ..) => Val::Text(text.to_lowercase().into()),
        (F::Upper, ..) => Val::Text(text.to_uppercase().into()),
        (F::Trim, ..) => Val::Text(text.trim().to_owned().into()),
        (_, Val::Absent, _) => Val::Absent,
        (F::Contains, Val::Text(part), _) => Val::Boolean(text.contains(&**part)),
        (F::StartsWith, Val::Text(part), _) => Val::Boolean(text.starts_with(&**part)),
        (F::EndsWith, Val::Text(part), _) => Val::Boolean(text.ends_with(&**part)),
        (F::Replace, Val::Text(part), Val::Text(by)) => {
            return replaced(text, part, by);
        }
        (F::Split, Val::Text(part), _) => {
            Val::List(text.split(&**part).map(|part| Val::Text(part.to_owned().into())).collect())
        }
        (F::Substring, Val::Integer(from), to) => {
            let to = match to {
                Val::Integer(to) => *to,
                _ => i64::MAX,
            };
            let from = usize::try_from(*from).unwrap_or(0);
            let length = usize::try_from(to).unwrap_or(0).saturating_sub(from);
            Val::Text(text.chars().skip(from).take(length).collect())
        }
        (_, b, Val::Absent) => return Err(format!("{} does not fit here", b.describe()).into()),
        (_, b, c) => {
            let (b, c) = (b.describe(), c.describe());
            return Err(format!("{b} and {c} do not fit here").into());
        }
    })
}

/// Counts before it builds, so that no chain of replacements can fill the memory.
fn replaced<'a>(text: &str, part: &str, by: &str) -> Result<Val<'a>, Cow<'static, str>> {
    let grown = text.matches(part).count().saturating_mul(by.len());
    if text.len().saturating_add(grown) > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    bounded(text.replace(part, by))
}

fn bounded<'a>(text: String) -> Result<Val<'a>, Cow<'static, str>> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    Ok(Val::Text(text.into()))
}

fn too_long() -> Cow<'static, str> {
    format!("the text would be longer than {TEXT_BYTES_MAX} bytes").into()
}
