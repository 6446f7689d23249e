//! What an operator can get wrong, and where it is said.

use gantry_plugin_api::{Callback, Capture, ConfigFault, Context, Lookup, Plugin};
use serde_json::{Value, json};

use crate::Salesforce;

fn paths(faults: Vec<ConfigFault>) -> Vec<String> {
    faults.into_iter().map(|fault| fault.path).collect()
}

#[test]
fn each_way_of_signing_in_has_its_keys() {
    let check = |more: Value, expected: &[&str]| {
        let mut config = json!({"endpoint": "https://acme.example", "client_id": "a"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config = serde_json::from_value(config).unwrap();
        assert_eq!(paths(Salesforce::validate(&config)), expected);
        if expected.is_empty() {
            Salesforce::create(config, &Context::standalone("crm", 0)).unwrap();
        }
    };
    check(json!({ "client_secret": "s" }), &[]);
    check(json!({}), &["client_secret"]);
    check(json!({ "client_secret": "s", "user": "u" }), &["user"]);
    let jwt = json!({ "auth": "jwt_bearer", "user": "u", "private_key": "k" });
    check(jwt, &[]);
    check(json!({ "auth": "jwt_bearer" }), &["user", "private_key"]);
    let wrong = json!({ "client_secret": "s", "api_version": "v66", "request_timeout": "0s" });
    check(wrong, &["request_timeout", "api_version"]);
}

#[test]
fn names_are_names() {
    let capture = |settings: Value| {
        let settings = serde_json::from_value(settings).unwrap();
        paths(<Salesforce as Capture>::validate_settings(&settings))
    };
    let good = json!({ "object": "Claim__c", "fields": ["Owner.Name"], "from": "2026-01-31" });
    assert!(capture(good).is_empty());
    let bad = json!({ "object": "A.B", "fields": ["Id FROM User", "1st"] });
    assert_eq!(capture(bad), ["object", "fields.0", "fields.1"]);
    assert_eq!(capture(json!({ "object": "Case", "fields": [] })), ["fields"]);
    let lookup = json!({ "query": "SELECT A FROM B", "answer": { "a": "A.B", "b": "" } });
    let lookup = serde_json::from_value(lookup).unwrap();
    assert_eq!(paths(<Salesforce as Lookup>::validate_settings(&lookup)), ["answer.b"]);
}

#[test]
fn a_callback_writes_something_somewhere() {
    let check = |settings: Value, expected: &[&str]| {
        let settings = serde_json::from_value(settings).unwrap();
        let faults = paths(<Salesforce as Callback>::validate_settings(&settings));
        assert_eq!(faults, expected);
    };
    let task = json!({ "object": "Task", "key": "Key__c", "set": { "Subject": "x" } });
    check(json!({ "object": "Case", "set": { "Status": "Closed", "N__c": 1 } }), &[]);
    check(json!({ "object": "Case", "create": [task] }), &[]);
    check(json!({ "object": "Case" }), &["set"]);
    check(json!({ "object": "Lead", "apex": "/services/apexrest/convert" }), &[]);
    check(json!({ "object": "Lead", "apex": "https://elsewhere.example/" }), &["apex"]);
    let both = json!({ "object": "Lead", "apex": "/services/apexrest/x", "create": [task] });
    check(both, &["create"]);
    let wrong = json!({ "object": "Case/x", "set": { "A b": 1 } });
    check(wrong, &["object", "set.A b"]);
}
