//! `webhook` between a sender and a receiver that sign, as Standard Webhooks has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use gantry_demo::sender::{SECRET, sign};
use gantry_tests::built;
use gantry_tests::connector::{self, Case, Setup, SourceSystem};
use gantry_tests::proxy::{Fault, Proxy};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Records of one request.
const PART: usize = 10;
const NO_POLL: &str = "the sender sends by itself, nothing is polled";

/// A shop that sends its work, and receives what became of it.
struct Shop {
    books: Arc<Mutex<Books>>,
    /// From the hub to the receiver.
    to_receiver: Proxy,
    /// From the sender to the hub.
    to_hub: Proxy,
    web: reqwest::Client,
    n_records: usize,
    n_sent: usize,
    ahead: SignedDuration,
    mood: Option<Value>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Books {
    /// The messages about each record, by their ids.
    done: BTreeMap<String, BTreeSet<String>>,
    deleted: BTreeSet<String>,
}

#[tokio::test]
async fn a_shop_keeps_all_promises() -> Result<()> {
    let books = Arc::<Mutex<Books>>::default();
    let api = Router::new().route("/hooks", post(receive)).with_state(Arc::clone(&books));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let to_receiver = Proxy::start(listener.local_addr()?).await?;
    // It leads to each hub in turn; until there is one, to nobody.
    let to_hub = Proxy::start(to_receiver.addr()).await?;
    let mut server = JoinSet::new();
    server.spawn(async move {
        axum::serve(listener, api).await.expect("the shop closes with the test");
    });
    let mut shop = Shop {
        books,
        to_receiver,
        to_hub,
        web: reqwest::Client::new(),
        n_records: 0,
        n_sent: 0,
        ahead: SignedDuration::ZERO,
        mood: None,
        _server: server,
    };
    connector::prove(&mut shop).await
}

/// Takes what is signed, each message once.
async fn receive(
    State(books): State<Arc<Mutex<Books>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let given = [header("webhook-id"), header("webhook-timestamp"), header("webhook-signature")];
    let [Some(id), Some(timestamp), Some(signature)] = given else {
        return StatusCode::UNAUTHORIZED;
    };
    let right = timestamp.parse().ok().and_then(|at| sign(id, at, &body).ok());
    if right.is_none_or(|[_, _, (_, right)]| right != signature) {
        return StatusCode::UNAUTHORIZED;
    }
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let record = event["data"]["external_id"].as_str().unwrap_or_default().to_owned();
    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
    if books.deleted.contains(&record) {
        return StatusCode::GONE;
    }
    books.done.entry(record).or_default().insert(id.to_owned());
    StatusCode::NO_CONTENT
}

impl Shop {
    fn record(&self, id: &str, subject: &str, state: &str) -> Value {
        let mut record = json!({ "id": id, "subject": subject, "state": state });
        if let Some(mood) = &self.mood {
            record["mood"] = mood.clone();
        }
        record
    }

    /// Sends until it is answered, which for every other message the network spoils at first.
    async fn send(&mut self, records: &[Value]) -> Result<()> {
        self.n_sent += 1;
        if self.n_sent.is_multiple_of(2) {
            self.to_hub.once(Fault::AnswerLost { to: Vec::new() }).await?;
        }
        let url = format!("http://{}/api/v1/hooks/work", self.to_hub.addr());
        let (id, body) = (format!("msg_{}", self.n_sent), json!(records).to_string());
        loop {
            let now_s = (Timestamp::now() + self.ahead).as_second();
            let mut request =
                self.web.post(&url).header("content-type", "application/json").body(body.clone());
            for (name, value) in sign(&id, now_s, body.as_bytes())? {
                request = request.header(name, value);
            }
            // No answer: it may have come, or not.
            let Ok(answer) = request.send().await else { continue };
            let status = answer.status();
            ensure!(status.is_success() || status.as_u16() == 503, "{}", answer.text().await?);
            if status.is_success() {
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl SourceSystem for Shop {
    fn name(&self) -> String {
        "webhook".to_owned()
    }

    fn waived(&self) -> Vec<(Case, &'static str)> {
        vec![
            (Case::SameTimestamp, "a request has no pages"),
            (Case::LateCommit, "a request has no order beyond its own"),
            (Case::ResumeInMidPage, "a request is taken as a whole, or sent again"),
            (Case::Throttled, NO_POLL),
            (Case::TokenExpiry, "keys do not end; two are in force while they change"),
            (Case::WrongPassword, "who signs wrongly is the sender: it gets 401, others go on"),
            (Case::CursorExpired, "there is no position"),
        ]
    }

    fn config(&self, _: &Setup) -> String {
        let endpoint = format!("http://{}/hooks", self.to_receiver.addr());
        built::case("connectors/webhook.toml")
            .expect("invariant: the case lies beside the tests")
            .replace("@ENDPOINT@", &endpoint)
    }

    fn env(&self, _: &Setup) -> Vec<(String, String)> {
        vec![("WEBHOOK_SECRET".to_owned(), SECRET.to_owned())]
    }

    fn proxy(&self) -> Option<&Proxy> {
        Some(&self.to_receiver)
    }

    async fn hub_at(&mut self, base: &str) -> Result<()> {
        let addr = base.strip_prefix("http://").context("the hub has no plain address")?;
        self.to_hub.lead_to(addr.parse()?);
        self.to_hub.reset().await
    }

    async fn clear(&mut self) -> Result<()> {
        *self.books.lock().unwrap_or_else(PoisonError::into_inner) = Books::default();
        self.ahead = SignedDuration::ZERO;
        self.mood = None;
        Ok(())
    }

    async fn put(&mut self, texts: &[String]) -> Result<Vec<String>> {
        let first = self.n_records;
        self.n_records += texts.len();
        let ids: Vec<_> = (first..self.n_records).map(|n| format!("R-{n:06}")).collect();
        let records: Vec<_> =
            ids.iter().zip(texts).map(|(id, text)| self.record(id, text, "new")).collect();
        for part in records.chunks(PART) {
            self.send(part).await?;
        }
        Ok(ids)
    }

    async fn change(&mut self, id: &str, name: &str) -> Result<()> {
        let record = self.record(id, name, "new");
        self.send(&[record]).await
    }

    async fn completions(&mut self, id: &str) -> Result<usize> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(books.done.get(id).map_or(0, BTreeSet::len))
    }

    fn completion_holds(&self, id: &str) -> Vec<u8> {
        format!("\"external_id\":\"{id}\"").into_bytes()
    }

    async fn delete(&mut self, id: &str) -> Result<()> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.deleted.insert(id.to_owned());
        Ok(())
    }

    async fn withdraw(&mut self, id: &str) -> Result<()> {
        let record = self.record(id, "", "withdrawn");
        self.send(&[record]).await
    }

    async fn add_unknown_field(&mut self) -> Result<()> {
        self.mood = Some(json!({ "a": [1] }));
        Ok(())
    }

    async fn set_clock(&mut self, ahead: SignedDuration) -> Result<()> {
        self.ahead = ahead;
        Ok(())
    }

    fn can_be_killed(&self) -> bool {
        false
    }
}
