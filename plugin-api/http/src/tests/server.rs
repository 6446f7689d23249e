//! A server that notes what it is asked and answers by a function of the test's own.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gantry_plugin_api::Context;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderName};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Options;

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) authorization: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

pub(super) type Reply = Response<Full<Bytes>>;

/// Runs until it is dropped.
pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

pub(super) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut reply = Response::builder().status(status);
    for (name, value) in headers {
        reply = reply.header(*name, *value);
    }
    reply.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

impl Server {
    /// Answers by `answer`, which is given how many requests came before.
    pub(super) async fn start(
        answer: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, notes) = (Arc::new(answer), Arc::clone(&asked));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, notes) = (Arc::clone(&answer), Arc::clone(&notes));
                let service = service_fn(move |request| {
                    let (answer, notes) = (Arc::clone(&answer), Arc::clone(&notes));
                    async move {
                        let asked = read(request).await;
                        let before = {
                            let mut notes = notes.lock().unwrap();
                            notes.push(asked.clone());
                            notes.len() - 1
                        };
                        Ok::<_, Infallible>(answer(before, &asked))
                    }
                });
                connections.spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    // A client that went away is no trouble of the server's.
                    http.serve_connection(TokioIo::new(stream), service).await.unwrap_or_default();
                });
            }
        });
        Self { url, asked, _tasks: tasks }
    }

    /// What it was asked, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The first line of each request.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    /// A client of it.
    pub(super) fn options(&self) -> Options {
        Options::new(format!("{}/api", self.url), &cx())
    }
}

/// 2026-01-31T12:00:00Z.
pub(super) const NOW_MS: i64 = 1_769_860_800_000;

pub(super) fn cx() -> Context {
    Context::standalone("crm", NOW_MS)
}

async fn read(request: Request<Incoming>) -> Asked {
    let (head, body) = request.into_parts();
    let text = |name: HeaderName| {
        let value = head.headers.get(name);
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let authorization = text(AUTHORIZATION);
    let headers = head.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let headers = headers.collect();
    let body = body.collect().await.unwrap().to_bytes();
    Asked {
        line: format!("{} {}", head.method, head.uri),
        authorization,
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}
