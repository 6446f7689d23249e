//! Live events: nothing is missing, nothing comes twice, nobody sees what is not theirs.

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt as _;
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;

use super::world::{World, as_agent};
use crate::Options;
use crate::token::Role;

/// An open stream, read one message at a time.
pub(super) struct Stream {
    body: futures_util::stream::BoxStream<'static, Result<bytes::Bytes, axum::Error>>,
    unread: String,
}

/// A message: its id and its data, if it has any.
type Message = (Option<String>, Option<Json>);

impl Stream {
    pub(super) async fn open(world: &World, role: Role, query: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(format!("/api/v1/events{query}"))
            .header("authorization", format!("Bearer {}", world.token(role)));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream().boxed(), unread: String::new() }
    }

    async fn message(&mut self) -> Message {
        loop {
            if let Some((message, rest)) = self.unread.split_once("\n\n") {
                let field = |name: &str| {
                    let line = message.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim().to_owned())
                };
                let data = field("data:").map(|data| serde_json::from_str(&data).unwrap());
                let message = (field("id:"), data);
                self.unread = rest.to_owned();
                return message;
            }
            let chunk = self.body.next().await.expect("the stream ended").unwrap();
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event; heartbeats are skipped.
    async fn event(&mut self) -> (String, Json) {
        loop {
            if let (Some(id), Some(data)) = self.message().await {
                return (id, data);
            }
        }
    }

    /// Reads on to the next event of that name.
    pub(super) async fn until(&mut self, name: &str) -> Json {
        loop {
            let (_, event) = self.event().await;
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Reads up to and including the capture of that item.
    async fn until_queued(&mut self, item: &str) -> Vec<(String, Json)> {
        let mut read = Vec::new();
        loop {
            let event = self.event().await;
            let last = event.1["event"] == "queued" && event.1["item"] == item;
            read.push(event);
            if last {
                return read;
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_comes_back_again_and_again_sees_every_event_once() {
    let world = World::new().await;
    for number in 0..5 {
        world.capture(&format!("before-{number}")).await;
    }
    let mut seen = Vec::new();
    let mut last: Option<String> = None;
    // Each connection reads a different number of events, also none, and is cut off.
    for (number, take) in [1, 0, 2, 3, 5, 1, 4].into_iter().enumerate() {
        let mut stream = Stream::open(&world, Role::Auditor, "?after=0", last.as_deref()).await;
        world.capture(&format!("during-{number}")).await;
        for _ in 0..take {
            let (id, event) = stream.event().await;
            last = Some(id.clone());
            seen.push((id, event));
        }
    }
    let end = world.capture("end").await;
    let mut rest = Stream::open(&world, Role::Auditor, "?after=0", last.as_deref()).await;
    seen.extend(rest.until_queued(&end).await);
    let mut whole = Stream::open(&world, Role::Auditor, "?after=0", None).await;
    assert_eq!(seen, whole.until_queued(&end).await);
    let captured = seen.iter().filter(|(_, event)| event["event"] == "captured").count();
    assert_eq!(captured, 5 + 7 + 1);
}

#[tokio::test]
async fn an_open_stream_goes_on_from_the_store_to_what_is_committed_next() {
    let world = World::new().await;
    world.capture("stored").await;
    let mut stream = Stream::open(&world, Role::Supervisor, "?after=0", None).await;
    let mut open = Stream::open(&world, Role::Supervisor, "", None).await;
    let live = world.capture("live").await;
    let both = stream.until_queued(&live).await;
    let ids: Vec<_> = both.iter().map(|(id, _)| id.clone()).collect();
    let mut sorted = ids.clone();
    sorted.sort_by_key(|id| {
        let (seq, index) = id.split_once('-').unwrap();
        (seq.parse::<u64>().unwrap(), index.parse::<u64>().unwrap())
    });
    sorted.dedup();
    assert_eq!(ids, sorted);
    let only = open.until_queued(&live).await;
    assert!(only.iter().all(|(_, event)| event["item"] == live.as_str()), "{only:?}");
    let (_, event) = &only[0];
    assert_eq!(event["event"], "captured");
    assert_eq!(event["actor"], json!({ "kind": "source", "id": "leads" }));
    assert_eq!(event["data"]["capture_point"], "leads");
    let history = world.get(Role::Auditor, &format!("/items/{live}/history")).await.json();
    let told: Vec<_> = only.iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(history["entries"], json!(told), "history and stream tell the same");
}

#[tokio::test]
async fn an_agent_sees_the_own_offers_only_and_no_colleague() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    world.hire("ben", 1).await;
    world.capture("first").await;
    world.capture("second").await;
    let mut ben = Stream::open(&world, as_agent("ben"), "?after=0", None).await;
    loop {
        let (_, event) = ben.event().await;
        assert!(!event.to_string().contains("anna"), "{event}");
        if event["event"] == "offered" {
            assert_eq!(event["data"]["agent"], "ben");
            break;
        }
    }
}

#[tokio::test]
async fn a_stream_can_be_about_one_item_and_is_not_for_integrators() {
    let world = World::new().await;
    let items = [world.capture("a").await, world.capture("b").await];
    let query = format!("?after=0&item={}", items[1]);
    let mut stream = Stream::open(&world, Role::Auditor, &query, None).await;
    let events = stream.until_queued(&items[1]).await;
    assert!(events.len() > 1);
    assert!(events.iter().all(|(_, event)| event["item"] == items[1].as_str()), "{events:?}");
    let integrator = Role::Integrator { capture_point: None };
    world.get(integrator, "/events").await.is_problem(403, "GANTRY-W003");
}

#[tokio::test]
async fn a_heartbeat_moves_the_client_over_what_it_may_not_see() {
    let heartbeat = std::time::Duration::from_millis(10);
    let world = World::with(Options { heartbeat, ..Options::default() }).await;
    world.capture("not for anna").await;
    let mut anna = Stream::open(&world, as_agent("anna"), "?after=0", None).await;
    let (id, data) = anna.message().await;
    assert!(data.is_none());
    let seq: u64 = id.unwrap().parse().unwrap();
    let stored = world.store.segments(0, 1000).await.unwrap().last().unwrap().seq;
    assert_eq!(seq, stored);
}

#[tokio::test]
async fn places_that_are_none_and_streams_too_many_are_refused() {
    let world = World::with(Options { streams_max: 1, ..Options::default() }).await;
    for wrong in ["x", "1-x", "-1", "1-2-3", "18446744073709551615"] {
        let answer = world.get(Role::Auditor, &format!("/events?after={wrong}")).await;
        answer.is_problem(400, "GANTRY-W012");
    }
    let open = Stream::open(&world, Role::Auditor, "", None).await;
    world.get(Role::Auditor, "/events").await.is_problem(503, "GANTRY-W029");
    drop(open);
    let _: Stream = Stream::open(&world, Role::Auditor, "", None).await;
}
