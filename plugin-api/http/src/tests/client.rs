//! What is sent, what is followed, and what happens where no answer comes.

use std::time::Duration;

use gantry_plugin_api::ErrorClass;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::server::{Server, cx, reply};
use crate::{Auth, Client, Method, Options, Request, escape};

#[tokio::test]
async fn a_request_says_who_asks_and_in_which_trace() {
    let server = Server::start(|_, _| reply(200, &[], "{}")).await;
    let client = Client::new(server.options()).unwrap();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = Request::new(Method::PATCH, format!("task/{}", escape("a/../b c?")))
        .query("q", "A & B+C")
        .traceparent(Some(trace))
        .json(&json!({"n": 1}))
        .unwrap();
    client.send(request).await.unwrap();
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "PATCH /api/task/a%2F..%2Fb%20c%3F?q=A+%26+B%2BC");
    assert_eq!(asked.body, r#"{"n":1}"#);
    for (name, value) in [
        ("user-agent", concat!("gantry/", env!("CARGO_PKG_VERSION"))),
        ("accept", "application/json"),
        ("traceparent", trace),
        ("content-type", "application/json"),
    ] {
        let sent = asked.headers.iter().find(|(sent, _)| sent == name);
        assert_eq!(sent.map(|(_, value)| &**value), Some(value), "{name}");
    }
}

#[tokio::test]
async fn paths_count_from_the_endpoint_or_the_root_and_lead_nowhere_else() {
    let server = Server::start(|_, _| reply(200, &[], "{}")).await;
    let client = Client::new(server.options()).unwrap();
    for path in ["task", "/services/next", &format!("{}/whole", server.url)] {
        client.send(Request::get(path)).await.unwrap();
    }
    let lines = ["GET /api/task", "GET /services/next", "GET /whole"];
    assert_eq!(server.lines(), lines);
    for path in ["//elsewhere.example/x", "https://elsewhere.example/x"] {
        let error = client.send(Request::get(path)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Permanent);
        let text = "cannot follow a link from `127.0.0.1` to `elsewhere.example`";
        assert_eq!(error.message(), text);
    }
}

#[tokio::test]
async fn redirects_stay_at_home() {
    let server = Server::start(|_, asked| match &*asked.line {
        "GET /api/a" | "POST /api/a" => reply(302, &[("location", "/b")], ""),
        "POST /api/c" => reply(308, &[("location", "/d")], ""),
        "POST /api/e" => reply(303, &[("location", "/b")], ""),
        "GET /api/round" => reply(307, &[("location", "/api/round")], ""),
        "GET /api/away" => reply(307, &[("location", "http://elsewhere.example/")], ""),
        _ => reply(200, &[], &asked.body),
    })
    .await;
    let secret = gantry_plugin_api::Secret::new("hush".to_owned());
    let client = Client::new(server.options().auth(Auth::Bearer(secret))).unwrap();
    let a = client.send(Request::get("a")).await.unwrap();
    assert_eq!(a.status(), 200);
    let post = |path: &str| Request::post(path).body("text/plain", "hello");
    let refused = client.send(post("a")).await.unwrap().ok().unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Permanent);
    let kept = client.send(post("c")).await.unwrap();
    assert_eq!(&kept.bytes()[..], b"hello");
    let e = client.send(post("e")).await.unwrap();
    assert_eq!(e.status(), 200);
    let n_before = server.lines().len();
    assert_eq!(server.lines()[n_before - 1], "GET /b");
    for path in ["round", "away"] {
        let error = client.send(Request::get(path)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Permanent, "{error}");
    }
    assert_eq!(server.lines().len(), n_before + 6 + 1);
}

#[tokio::test]
async fn what_gives_no_whole_answer_is_tried_again_by_the_hub() {
    // Nobody listens there any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::new(Options::new(&*url, &cx())).unwrap();
    let cut = tokio::join!(client.send(Request::get("x")), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let n = stream.read(&mut [0; 1024]).await.unwrap();
        assert!(n > 0);
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        stream.write_all(head).await.unwrap();
    });
    let error = cut.0.unwrap_err();
    assert_eq!(error.message(), "the answer to GET /x was cut off");
    assert_eq!(error.class(), ErrorClass::Transient);
    drop(listener);
    let error = client.send(Request::get("x")).await.unwrap_err();
    assert_eq!(error.message(), format!("cannot connect to {url}"));
    assert_eq!(error.class(), ErrorClass::Transient);
}

#[tokio::test]
async fn nobody_waits_longer_than_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let options = Options::new(&*url, &cx()).timeout(Duration::from_millis(1));
    let client = Client::new(options).unwrap();
    let error = client.send(Request::get("x")).await.unwrap_err();
    assert_eq!(error.message(), "GET /x was not answered within 1ms");
    let patient = Request::get("x").timeout(Duration::from_millis(2));
    let error = client.send(patient).await.unwrap_err();
    assert_eq!(error.message(), "GET /x was not answered within 2ms");
    assert_eq!(error.class(), ErrorClass::Transient);
}

#[tokio::test]
async fn an_answer_has_a_longest_length() {
    let server = Server::start(|_, _| reply(200, &[], "0123456789")).await;
    let client = Client::new(server.options().n_bytes_max(9)).unwrap();
    let error = client.send(Request::get("x")).await.unwrap_err();
    assert_eq!(error.message(), "the answer to GET /api/x is over 9 bytes long");
    assert_eq!(error.class(), ErrorClass::Permanent);
}

#[tokio::test]
async fn an_operator_learns_where_the_mistake_is() {
    for endpoint in ["crm.example", "ftp://crm.example", "https://me:hush@crm.example", "https://"]
    {
        let error = Client::new(Options::new(endpoint, &cx())).unwrap_err();
        assert_eq!((error.class(), error.field()), (ErrorClass::Config, Some("endpoint")));
        assert!(!format!("{error:?}").contains("hush"));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    for (content, text) in [(None, "cannot read"), (Some("nothing"), "no certificate in")] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let options = Options::new("https://127.0.0.1:1", &cx()).tls_ca(Some(&path));
        let error = Client::new(options).unwrap().send(Request::get("x")).await.unwrap_err();
        assert_eq!((error.class(), error.field()), (ErrorClass::Config, Some("tls_ca")));
        assert!(error.message().starts_with(text), "{error}");
    }
}
