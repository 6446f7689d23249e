//! Tests of what the suite is made of; what it asks is tested in `tests/it`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use crate::cases::secrets::collect;
use crate::script::Script;

#[test]
fn each_case_has_one_id_and_stands_in_its_group() {
    let mut known = BTreeSet::new();
    let mut groups = Vec::new();
    for case in crate::cases() {
        assert!(known.insert(case.id), "{} comes twice", case.id);
        assert!(case.id.contains('/') && !case.about.ends_with('.'), "{}", case.id);
        if groups.last() != Some(&case.group()) {
            assert!(!groups.contains(&case.group()), "{} is torn apart", case.group());
            groups.push(case.group());
        }
    }
    assert!(known.len() >= 60, "{}", known.len());
}

#[test]
fn a_waiver_names_a_case_and_a_reason() {
    let parse = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Script::read(file.path()).map(drop)
    };
    parse("[waivers]\n\"capture/limit\" = \"the source has pages of 100\"").unwrap();
    let unknown = parse("[waivers]\n\"capture/limits\" = \"why not\"").unwrap_err();
    assert!(unknown.to_string().contains("`capture/limits`, which is no case"), "{unknown}");
    let idle = parse("[waivers]\n\"capture/limit\" = \" \"").unwrap_err();
    assert!(idle.to_string().contains("say why `capture/limit` is waived"), "{idle}");
    let mistyped = parse("[captures]").unwrap_err();
    let source = std::error::Error::source(&mistyped).unwrap().to_string();
    assert!(source.contains("unknown field `captures`"), "{source}");
    Script::read(Path::new("/no/such/file")).unwrap_err();
}

#[test]
fn secrets_are_found_wherever_a_schema_has_them() {
    let secret = json!({"type": "string", "x-gantry-secret": true});
    let headers = json!({"type": "object", "additionalProperties": secret});
    let schema = json!({"properties": {
        "password": secret,
        "keys": {"type": "array", "items": secret},
        "headers": headers,
        "query": {"anyOf": [headers, {"type": "null"}]},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    }});
    let table = json!({
        "password": "one",
        "keys": ["two"],
        "headers": {"x-api-key": "three"},
        "query": {"token": "four"},
        "labels": {"region": "eu"},
    });
    let mut given = Vec::new();
    collect(&schema, &table, &mut given);
    given.sort();
    assert_eq!(given, ["four", "one", "three", "two"]);
}
