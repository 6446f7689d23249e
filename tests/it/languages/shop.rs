//! A REST API, as the example in JavaScript asks it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Source;

/// What the API wants to see.
pub(super) const TOKEN: &str = "an-open-secret";

/// The API. Dropping it closes it.
pub(super) struct Shop {
    pub(super) endpoint: String,
    books: Arc<Mutex<Books>>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Books {
    orders: Vec<Value>,
    /// The order of each event that was taken, by the event's key.
    told: BTreeMap<String, String>,
}

impl Shop {
    /// Opens it on a free port.
    pub(super) async fn open() -> Result<Self> {
        let books = Arc::default();
        let api = Router::new()
            .route("/api/orders", get(orders))
            .route("/api/customers/{id}", get(customer))
            .route("/api/orders/{id}/events", post(event))
            .with_state(Arc::clone(&books));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}/api", listener.local_addr()?);
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, api).await.expect("the shop closes with the test");
        });
        Ok(Self { endpoint, books, _server: server })
    }
}

impl Source for Shop {
    fn add(&self, ids: Range<usize>) -> Result<()> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let order =
            |id: usize| json!({"id": format!("T-{id}"), "customer": format!("C-{}", id % 2)});
        books.orders.extend(ids.map(order));
        Ok(())
    }

    fn told(&self) -> Result<BTreeMap<String, usize>> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = BTreeMap::new();
        for order in books.told.values() {
            *told.entry(order.clone()).or_default() += 1;
        }
        Ok(told)
    }
}

async fn orders(
    State(books): State<Arc<Mutex<Books>>>,
    Query(query): Query<HashMap<String, usize>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    if headers.get("authorization").is_none_or(|given| given != &format!("Bearer {TOKEN}")) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let books = books.lock().unwrap_or_else(PoisonError::into_inner);
    let begin = query.get("after").copied().unwrap_or(0).min(books.orders.len());
    let end = (begin + query["limit"]).min(books.orders.len());
    let (items, more) = (&books.orders[begin..end], end < books.orders.len());
    Ok(Json(json!({ "items": items, "next": end.to_string(), "more": more })))
}

async fn customer(Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    match id.as_str() {
        "C-0" => Ok(Json(json!({ "tier": "gold" }))),
        "C-1" => Ok(Json(json!({ "tier": "silver" }))),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

async fn event(
    State(books): State<Arc<Mutex<Books>>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(event): Json<Value>,
) -> StatusCode {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let Some(key) = key.filter(|_| event["externalId"] == id) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
    // As a real API would: it takes each key once, and says so when it comes again.
    if books.told.contains_key(key) {
        return StatusCode::CONFLICT;
    }
    books.told.insert(key.to_owned(), id);
    StatusCode::CREATED
}
