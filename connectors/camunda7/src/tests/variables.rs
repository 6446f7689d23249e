//! Variables both ways.

use serde_json::{Value, json};

use super::{camunda, read};
use crate::variables::{plain, typed};

#[test]
fn the_engines_become_plain() {
    let camunda = camunda("http://127.0.0.1:9/engine-rest");
    let json_object = json!({ "serializationDataFormat": "application/json" });
    let java_object = json!({ "serializationDataFormat": "application/x-java-serialized-object" });
    let variables = json!({
        "text": { "type": "String", "value": "a" },
        "long": { "type": "Long", "value": 9_007_199_254_740_993_i64 },
        "nothing": { "type": "Null", "value": null },
        "at": { "type": "Date", "value": "2026-01-02T03:04:05.678+0100" },
        "json": { "type": "Json", "value": "{\"a\": [1]}" },
        "object": { "type": "Object", "value": "{\"b\": 2}", "valueInfo": json_object },
        "java": { "type": "Object", "value": "rO0AB", "valueInfo": java_object },
        "file": { "type": "File", "value": null },
        "odd": { "type": "Later", "value": "x", "new": true },
    });
    let variables = variables.as_object().unwrap();
    let expected = json!({
        "text": "a",
        "long": 9_007_199_254_740_993_i64,
        "nothing": null,
        "at": "2026-01-02T02:04:05.678Z",
        "json": { "a": [1] },
        "object": { "b": 2 },
        "odd": "x",
    });
    assert_eq!(plain(&camunda.engine, variables).unwrap(), expected);
}

#[test]
fn attributes_become_typed() {
    let camunda = camunda("http://127.0.0.1:9/engine-rest");
    let check = |value: Value, kind: Option<&str>, expected: Option<(&str, Value)>| {
        let written = read(match kind {
            Some(kind) => json!({ "from": "amount", "type": kind }),
            None => json!({ "from": "amount" }),
        });
        let typed = typed(&camunda.engine, "sum", &value, &written);
        if let Some((kind, value)) = expected {
            let typed = typed.unwrap();
            assert_eq!((&typed["type"], &typed["value"]), (&json!(kind), &value));
        } else {
            let message = typed.unwrap_err().message().to_owned();
            assert!(message.contains("variable `sum`") && message.contains("`amount`"));
        }
    };
    check(json!("a"), None, Some(("String", json!("a"))));
    check(json!(7), None, Some(("Integer", json!(7))));
    check(json!(5_000_000_000_i64), None, Some(("Long", json!(5_000_000_000_i64))));
    check(json!(1.5), None, Some(("Double", json!(1.5))));
    check(json!(true), None, Some(("Boolean", json!(true))));
    check(json!(["a"]), None, Some(("Json", json!("[\"a\"]"))));
    check(json!(null), Some("Long"), Some(("Long", json!(null))));
    check(json!("12"), Some("Long"), Some(("Long", json!(12))));
    check(json!("12.5"), Some("Double"), Some(("Double", json!(12.5))));
    check(json!(12), Some("String"), Some(("String", json!("12"))));
    let at = "2026-01-02T03:04:05.678+0000";
    check(json!("2026-01-02T03:04:05.678Z"), Some("Date"), Some(("Date", json!(at))));
    check(json!("soon"), Some("Date"), None);
    check(json!("many"), Some("Integer"), None);
    check(json!(5_000_000_000_i64), Some("Integer"), None);
    check(json!(70_000), Some("Short"), None);
}
