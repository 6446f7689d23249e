//! Each class of error is provoked, and says what to do.

use std::time::Duration;

use gantry_plugin_api::{Capture as _, Error, ErrorClass, Plugin as _, Position};
use serde_json::json;

use super::stub::Stub;
use super::{camunda, cx, read};

/// The error of a poll that is answered like this.
async fn refused(status: u16, headers: &'static str, body: &'static str) -> Error {
    let stub = Stub::start(move |_, _| (status, headers, body.to_owned())).await;
    let settings = read(json!({ "external_tasks": { "topics": ["t"], "long_poll": "0s" } }));
    camunda(&stub.endpoint).poll(&settings, &cx(), None, 5).await.unwrap_err()
}

#[tokio::test]
async fn refusals_have_their_classes() {
    let error = |kind: &str, message: &str| format!(r#"{{"type":"{kind}","message":"{message}"}}"#);
    let locking = error("OptimisticLockingException", "updated by another transaction").leak();
    let locked = error("RestException", "It is locked by worker 'robot'.").leak();
    let wrong = error("InvalidRequestException", "Cannot convert value 'x'").leak();
    let nowhere = error("NotFoundException", "HTTP 404 Not Found").leak();
    let gone = error("RestException", "External task with id 1 does not exist").leak();
    for (status, headers, body, class) in [
        (401, "", "", ErrorClass::AuthDenied),
        (404, "", &*nowhere, ErrorClass::Config),
        (404, "", "<html>not here</html>", ErrorClass::Config),
        (404, "", gone, ErrorClass::Gone),
        (400, "", locked, ErrorClass::Conflict),
        (400, "", wrong, ErrorClass::Permanent),
        (429, "retry-after: 7\r\n", "", ErrorClass::Throttled),
        (503, "retry-after: 7\r\n", "", ErrorClass::Throttled),
        (500, "", locking, ErrorClass::Transient),
        (502, "", "", ErrorClass::Transient),
        (200, "", "[{", ErrorClass::Transient),
    ] {
        let error = refused(status, headers, body).await;
        assert_eq!(error.class(), class, "{status} {body}: {error:?}");
        let wait = (class == ErrorClass::Throttled).then_some(Duration::from_secs(7));
        assert_eq!(error.retry_after(), wait);
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let body = r#"{"type":"AuthorizationException","message":"The user is not authorized",
        "permissionName":"UPDATE","resourceName":"ProcessInstance","resourceId":"*"}"#;
    let error = refused(403, "", body).await;
    assert_eq!(error.class(), ErrorClass::AuthDenied);
    assert!(error.message().contains("grant the user `UPDATE` on `ProcessInstance`"), "{error}");
}

#[tokio::test]
async fn check_tells_a_wrong_address_and_a_wrong_name() {
    let stub = Stub::start(|_, _| (200, "", r#"[{"name":"default"}]"#.to_owned())).await;
    let config = json!({ "endpoint": stub.endpoint, "engine": "invoices" });
    let camunda = crate::Camunda::create(read(config), &cx()).unwrap();
    let error = camunda.check(&cx()).await.unwrap_err();
    assert_eq!(error.field(), Some("engine"), "{error}");
    let page = Stub::start(|_, _| (200, "", "<html>welcome</html>".to_owned())).await;
    let error = super::camunda(&page.endpoint).check(&cx()).await.unwrap_err();
    assert_eq!(error.field(), Some("endpoint"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_transient() {
    let settings = read(json!({ "user_tasks": {} }));
    let error = camunda("http://127.0.0.1:9/engine-rest").poll(&settings, &cx(), None, 5).await;
    assert_eq!(error.unwrap_err().class(), ErrorClass::Transient);
}

#[tokio::test]
async fn foreign_positions_have_expired() {
    let camunda = camunda("http://127.0.0.1:9/engine-rest");
    for settings in [json!({ "external_tasks": { "topics": ["t"] } }), json!({ "user_tasks": {} })]
    {
        let settings = read(settings);
        for bytes in ["-1", "[[]]", "{\"uid\": 3}", "\u{0}"] {
            let from = Position::new(bytes).unwrap();
            let error = camunda.poll(&settings, &cx(), Some(&from), 5).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::CursorExpired, "{bytes}: {error}");
        }
    }
}

#[tokio::test]
async fn a_date_of_another_format_names_the_key() {
    let task = r#"[{"id":"1","created":"2026-01-31 12:00:00"}]"#;
    let stub = Stub::start(move |_, _| (200, "", task.to_owned())).await;
    let settings = read(json!({ "user_tasks": {} }));
    let error = camunda(&stub.endpoint).poll(&settings, &cx(), None, 5).await.unwrap_err();
    assert_eq!(error.field(), Some("date_format"), "{error}");
}
