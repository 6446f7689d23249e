//! Error codes and their classes; calls used up.

use std::time::Duration;

use gantry_plugin_api::ErrorClass;
use serde_json::json;

use crate::client::usage;
use crate::failure::Fault;

#[test]
fn codes_have_their_classes() {
    use ErrorClass::{CursorExpired, Gone, Throttled, Transient};
    for (code, class) in [
        ("REQUEST_LIMIT_EXCEEDED", Some(Throttled)),
        ("UNABLE_TO_LOCK_ROW", Some(Transient)),
        ("QUERY_TIMEOUT", Some(Transient)),
        ("SERVER_UNAVAILABLE", Some(Transient)),
        ("ENTITY_IS_DELETED", Some(Gone)),
        ("NOT_FOUND", Some(Gone)),
        ("INVALID_QUERY_LOCATOR", Some(CursorExpired)),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", None),
    ] {
        let array = json!([{ "errorCode": code, "message": "m", "more": 1 }]);
        assert_eq!(Fault::read(&array).class(), class, "{code}");
        // A few answers are the entry alone.
        assert_eq!(Fault::read(&array[0]).class(), class, "{code}");
    }
    assert_eq!(Fault::read(&json!("nothing of the kind")), Fault::default());
}

#[test]
fn an_error_tells_code_and_fields() {
    let body = json!([{
        "errorCode": "REQUIRED_FIELD_MISSING", "message": "are missing", "fields": ["A", "B"],
    }]);
    let error = Fault::read(&body).error(ErrorClass::Permanent, "x was answered 400: are missing");
    let text = "x was answered 400: are missing, REQUIRED_FIELD_MISSING, A, B";
    assert_eq!(error.message(), text);
}

#[test]
fn the_calls_of_a_day_come_back_slower_than_those_at_once() {
    let after = |message: &str| {
        let fault = json!({ "errorCode": "REQUEST_LIMIT_EXCEEDED", "message": message });
        Fault::read(&fault).error(ErrorClass::Throttled, "x").retry_after()
    };
    assert_eq!(after("TotalRequests Limit exceeded."), Some(Duration::from_mins(15)));
    assert_eq!(after("ConcurrentRequests (Concurrent API Requests) Limit exceeded."), None);
}

#[test]
fn usage_is_read_whatever_stands_beside_it() {
    assert_eq!(usage("api-usage=10018/100000"), Some((10_018, 100_000)));
    assert_eq!(usage("api-bursts=1/750; api-usage=5/10"), Some((5, 10)));
    assert_eq!(usage("api-bursts=1/750"), None);
    assert_eq!(usage("api-usage=much"), None);
}
