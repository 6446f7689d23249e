//! Queries, and that no value escapes from its quotes.

use serde_json::{Value, json};

use crate::config::CaptureSettings;
use crate::soql::{bound, changed};

fn check(query: &str, values: Value, expected: &str) {
    let values = values.as_object().unwrap();
    assert_eq!(bound(query, values), expected);
}

#[test]
fn values_stand_for_names_as_their_types_ask() {
    let values = json!({"t": "x", "n": 1.5, "b": true, "l": ["a", 2], "e": []});
    check("A = :t AND B = :n", values.clone(), "A = 'x' AND B = 1.5");
    check("A = :b AND B = :gone", values.clone(), "A = true AND B = null");
    check("A IN :l OR A IN :e", values, "A IN ('a', 2) OR A IN (null)");
}

#[test]
fn a_value_never_ends_its_quotes() {
    let value = "O'Neil\\' OR Name != '\n\t\u{8}\u{c}\"\r";
    let escaped = "N = 'O\\'Neil\\\\\\' OR Name != \\'\\n\\t\\b\\f\\\"\\r'";
    check("N = :n", json!({ "n": value }), escaped);
    check("N = :n", json!({ "n": "\\" }), "N = '\\\\'");
    // A value that looks like a name is none.
    check("N = :n", json!({ "n": ":t", "t": "x" }), "N = ':t'");
}

#[test]
fn a_colon_in_quotes_or_in_a_time_is_text() {
    let values = json!({ "t": "x" });
    check("N = ':t' AND M = :t", values.clone(), "N = ':t' AND M = 'x'");
    check(r"N = '\':t' AND M = :t", values.clone(), r"N = '\':t' AND M = 'x'");
    check("D > 2026-01-31T12:00:00Z", values.clone(), "D > 2026-01-31T12:00:00Z");
    check("N = 'ü:t", values, "N = 'ü:t");
}

fn settings(more: Value) -> CaptureSettings {
    let mut settings = json!({"object": "Lead", "fields": ["LastName", "systemmodstamp"]});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(settings).unwrap()
}

#[test]
fn a_capture_asks_for_a_window_in_order() {
    let since = "2026-01-31T12:00:00.999Z".parse().ok();
    let soql = changed(&settings(json!({ "where": "A = 1 OR B = 2" })), since);
    let expected = "SELECT Id, SystemModstamp, IsDeleted, LastName FROM Lead \
                    WHERE (A = 1 OR B = 2) AND SystemModstamp >= 2026-01-31T12:00:00Z \
                    ORDER BY SystemModstamp, Id";
    assert_eq!(soql, expected);
    let soql = changed(&settings(json!({ "on_deleted": "ignore" })), None);
    let expected = "SELECT Id, SystemModstamp, LastName FROM Lead ORDER BY SystemModstamp, Id";
    assert_eq!(soql, expected);
}
