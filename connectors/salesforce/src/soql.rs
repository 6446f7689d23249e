//! Queries: how they are put together, so that no value ever becomes part of the language.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::config::{CaptureSettings, OnDeleted};

/// What a capture reads besides the operator's fields.
pub(crate) const STAMP: &str = "SystemModstamp";
pub(crate) const DELETED: &str = "IsDeleted";

/// Whether a text is the name of an object or field, with `.` between steps if it may have some.
pub(crate) fn is_name(text: &str, may_step: bool) -> bool {
    let is_plain = |step: &str| {
        let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
        step.starts_with(|c: char| c.is_ascii_alphabetic()) && step.chars().all(rest)
    };
    text.split('.').all(is_plain) && (may_step || !text.contains('.'))
}

/// The query of a capture: the records changed since a moment, in the order of change and id.
///
/// The vendor compares times by whole seconds, so the moment is cut to one.
pub(crate) fn changed(settings: &CaptureSettings, since: Option<Timestamp>) -> String {
    let mut fields = vec!["Id", STAMP];
    if settings.on_deleted == OnDeleted::Cancel {
        fields.push(DELETED);
    }
    for field in &settings.fields {
        if !fields.iter().any(|known| known.eq_ignore_ascii_case(field)) {
            fields.push(field);
        }
    }
    let since = since.map(|since| format!("{STAMP} >= {}", since.strftime("%Y-%m-%dT%H:%M:%SZ")));
    let filter = settings.filter.as_ref().map(|filter| format!("({filter})"));
    let conditions: Vec<_> = filter.into_iter().chain(since).collect();
    let (fields, object) = (fields.join(", "), &settings.object);
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    format!("SELECT {fields} FROM {object}{conditions} ORDER BY {STAMP}, Id")
}

/// Puts values in place of `:name`, except in quotes; a name without a value becomes `null`.
pub(crate) fn bound(query: &str, values: &Map<String, Value>) -> String {
    let mut out = String::with_capacity(query.len());
    let mut rest = query;
    let mut quoted = false;
    while let Some(c) = rest.chars().next() {
        let (here, after) = rest.split_at(c.len_utf8());
        match c {
            '\\' if quoted => {
                let n = after.chars().next().map_or(0, char::len_utf8);
                out.push_str(here);
                out.push_str(&after[..n]);
                rest = &after[n..];
                continue;
            }
            '\'' => quoted = !quoted,
            ':' if !quoted && after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = after.find(|c| !is_part(c)).unwrap_or(after.len());
                out.push_str(&literal(values.get(&after[..end])));
                rest = &after[end..];
                continue;
            }
            _ => {}
        }
        out.push_str(here);
        rest = after;
    }
    out
}

/// A value as the language writes it; a list as what follows `IN`.
fn literal(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(value)) => value.to_string(),
        Some(Value::String(text)) => quoted(text),
        Some(Value::Array(values)) if values.is_empty() => "(null)".to_owned(),
        Some(Value::Array(values)) => {
            let literals: Vec<_> = values.iter().map(|value| literal(Some(value))).collect();
            format!("({})", literals.join(", "))
        }
        Some(value @ Value::Object(_)) => quoted(&value.to_string()),
    }
}

/// Text in quotes, with what would end them escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            _ => out.push(c),
        }
    }
    out.push('\'');
    out
}
