//! Which class a status is, and how long to wait.

use std::time::Duration;

use gantry_plugin_api::ErrorClass;

use super::server::{Server, reply};
use crate::{Request, StatusCode};

const DATE: (&str, &str) = ("date", "Tue, 15 Nov 1994 08:12:31 GMT");
const LATER: (&str, &str) = ("retry-after", "Tue, 15 Nov 1994 08:13:01 GMT");
const PAST: (&str, &str) = ("retry-after", "Tue, 15 Nov 1994 08:12:00 GMT");

async fn check(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    expected: (ErrorClass, Option<u64>, &str),
) {
    let server = Server::start(move |_, _| reply(status, headers, body)).await;
    let client = crate::Client::new(server.options()).unwrap();
    let error = match client.send(Request::get("task/5")).await {
        Ok(response) => response.ok().unwrap_err(),
        Err(error) => error,
    };
    let (class, after, text) = expected;
    assert_eq!(error.class(), class, "{status}: {error}");
    assert_eq!(error.retry_after(), after.map(Duration::from_secs), "{status}: {error}");
    assert_eq!(error.message(), text);
}

#[tokio::test]
async fn each_status_has_its_class() {
    use ErrorClass::{AuthDenied, Conflict, Gone, Permanent, Throttled, Transient};
    let text = "GET /api/task/5 was answered";
    let cases = [
        (400, Permanent),
        (403, Permanent),
        (404, Gone),
        (408, Transient),
        (409, Conflict),
        (410, Gone),
        (412, Conflict),
        (422, Permanent),
        (429, Throttled),
        (500, Transient),
        (501, Permanent),
        (502, Transient),
        (503, Transient),
        (504, Transient),
    ];
    for (status, class) in cases {
        let text = format!("{text} {}", StatusCode::from_u16(status).unwrap());
        check(status, &[], "", (class, None, &text)).await;
    }
    let denied = format!("{text} 401 Unauthorized; the source wants credentials");
    check(401, &[], "", (AuthDenied, None, &denied)).await;
}

#[tokio::test]
async fn a_pause_is_as_long_as_the_server_says() {
    use ErrorClass::Throttled;
    let text = "GET /api/task/5 was answered 429 Too Many Requests";
    check(429, &[("retry-after", "17")], "", (Throttled, Some(17), text)).await;
    let unavailable = "GET /api/task/5 was answered 503 Service Unavailable";
    check(503, &[("retry-after", "1")], "", (Throttled, Some(1), unavailable)).await;
    // By the server's own clock, which is years away from ours.
    check(429, &[DATE, LATER], "", (Throttled, Some(30), text)).await;
    check(429, &[DATE, PAST], "", (Throttled, Some(0), text)).await;
    check(429, &[("retry-after", "soon")], "", (Throttled, None, text)).await;
}

#[tokio::test]
async fn the_vendors_message_is_told() {
    use ErrorClass::Permanent;
    let text = "GET /api/task/5 was answered 400 Bad Request";
    let told = format!("{text}: no such field");
    for body in [
        r#"[{"message": "no such field", "errorCode": "INVALID_FIELD"}]"#,
        r#"{"type": "InvalidRequest", "message": "no such field"}"#,
        r#"{"error": {"message": "no such field"}}"#,
        r#"{"error": "invalid", "error_description": "no such field"}"#,
        r#"{"title": "no such field"}"#,
        "no such field\n",
    ] {
        check(400, &[], body, (Permanent, None, &told)).await;
    }
    check(400, &[], "<html>no such field</html>", (Permanent, None, text)).await;
}

#[tokio::test]
async fn what_was_answered_is_read() {
    let date = ("date", "Sat, 31 Jan 2026 12:00:01 GMT");
    let server = Server::start(move |_, _| reply(200, &[date, ("x-a", "b")], r#"{"n": 1}"#)).await;
    let client = crate::Client::new(server.options()).unwrap();
    let response = client.send(Request::get("x")).await.unwrap().ok().unwrap();
    assert_eq!(response.date_ms(), Some(super::server::NOW_MS + 1000));
    assert_eq!((response.header("x-a"), response.header("x-b")), (Some("b"), None));
    let body: serde_json::Value = response.json().unwrap();
    assert_eq!(body["n"], 1);
    let error = response.json::<Vec<u8>>().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert_eq!(error.message(), "cannot read the answer to GET /api/x");
}
