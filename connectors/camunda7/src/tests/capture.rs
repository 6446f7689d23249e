//! What is lost on its way comes again, and tasks of one moment are told apart.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use gantry_plugin_api::{
    Batch, Capture as _, Extended, Lease, MessageKind, Outcome, RecordOutcome,
};
use serde_json::{Value, json};

use super::stub::Stub;
use super::{camunda, cx, read};
use crate::config::CaptureSettings;

fn field(record: &gantry_plugin_api::Record, key: &str) -> Value {
    serde_json::from_slice::<Value>(&record.payload).unwrap()[key].clone()
}

#[tokio::test]
async fn a_fetch_whose_answer_was_lost_is_handed_back_and_done_again() {
    let n_fetched = AtomicUsize::new(0);
    let stub = Stub::start(move |asked, body| {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        if asked.starts_with("POST external-task?") {
            assert_eq!(body["workerId"], "gantry-work-1");
            let n = n_fetched.load(Ordering::Relaxed);
            let tasks = if n == 1 { json!([{ "id": "lost" }]) } else { json!([]) };
            return (200, "", tasks.to_string());
        }
        if asked == "POST external-task/fetchAndLock" {
            return match n_fetched.fetch_add(1, Ordering::Relaxed) {
                0 => (200, "", "[{\"id\": \"lo".to_owned()),
                _ => (200, "", json!([{ "id": "lost", "mood": ["new"] }]).to_string()),
            };
        }
        assert_eq!(asked, "POST external-task/lost/unlock");
        (204, "", String::new())
    });
    let stub = stub.await;
    let settings = json!({ "external_tasks": { "topics": ["t"], "long_poll": "0s" } });
    let (camunda, settings) = (camunda(&stub.endpoint), read(settings));
    camunda.poll(&settings, &cx(), None, 5).await.unwrap_err();
    let batch = camunda.poll(&settings, &cx(), None, 5).await.unwrap();
    assert_eq!(field(&batch.records[0], "id"), "lost");
    assert_eq!(field(&batch.records[0], "lending"), "lost@new");
    assert_eq!(field(&batch.records[0], "mood"), json!(["new"]));
    assert_eq!(batch.records[0].lease.as_ref().unwrap().for_ms, 600_000);
    assert_eq!(batch.position_after.unwrap().as_bytes(), b"{\"fetch\":1}");
    let unlocked = stub.asked().iter().filter(|(asked, _)| asked.ends_with("/unlock")).count();
    assert_eq!(unlocked, 1);
}

#[tokio::test]
async fn leases_are_kept_taken_anew_or_lost() {
    let stub = Stub::start(|asked, _| {
        let refused = |message: &str| {
            (400, "", json!({ "type": "RestException", "message": message }).to_string())
        };
        let holder = |id: &str, worker: &str| json!({ "id": id, "workerId": worker });
        match asked {
            "POST external-task?firstResult=0&maxResults=5" => {
                let held = [("kept", "gantry-work-3"), ("late", "gantry-work-3")];
                let held = held.into_iter().chain([("raced", "gantry-work-3"), ("taken", "robot")]);
                let list: Vec<_> = held.map(|(id, worker)| holder(id, worker)).collect();
                (200, "", json!(list).to_string())
            }
            "POST external-task/late/extendLock" | "POST external-task/raced/extendLock" => {
                refused("Cannot extend a lock that expired")
            }
            "POST external-task/raced/lock" => refused("It is locked by worker 'gantry-work-4'."),
            "POST external-task/taken/lock" => refused("It is locked by worker 'robot'."),
            "GET external-task/raced" => (200, "", holder("raced", "gantry-work-4").to_string()),
            "GET external-task/taken" => (200, "", holder("taken", "robot").to_string()),
            "POST external-task/kept/extendLock" | "POST external-task/late/lock" => {
                (204, "", String::new())
            }
            other => panic!("asked for {other}"),
        }
    });
    let stub = stub.await;
    let settings = read(json!({ "external_tasks": { "topics": ["t"], "lock": "5m" } }));
    let leases = ["kept", "late", "raced", "taken", "gone"].map(|id| Lease::new(id, 300_000));
    let extended = camunda(&stub.endpoint).extend(&settings, &cx(), &leases).await.unwrap();
    let kept = Extended::Kept { for_ms: 300_000 };
    assert_eq!(extended[..3], [kept.clone(), kept.clone(), kept]);
    let lost = |reason: &str| Extended::Lost { reason: reason.to_owned() };
    assert_eq!(extended[3], lost("worker `robot` has it"));
    assert_eq!(extended[4], lost("it has ended in the engine"));
}

/// An engine with 5 open tasks, 4 of them of one millisecond, and one that has ended.
async fn list_of_tasks() -> Stub {
    const AT: &str = "2026-01-31T11:00:00.005+0000";
    Stub::start(|asked, body| {
        if asked.ends_with("/variables?deserializeValues=false") {
            return (200, "", json!({ "n": { "type": "Integer", "value": 1 } }).to_string());
        }
        let body: Value = serde_json::from_str(body).unwrap();
        let (list, tasks) = if asked.starts_with("POST history/task?") {
            let ended = json!({ "id": "e", "endTime": AT, "deleteReason": "deleted" });
            ("POST history/task?", vec![ended])
        } else {
            let task = |id: &str| json!({ "id": id, "created": AT, "lastUpdated": null });
            let first = json!({ "id": "a", "created": "2026-01-31T10:00:00.000+0000" });
            ("POST task?", vec![first, task("b"), task("c"), task("d"), task("f")])
        };
        let after = body["createdAfter"].as_str().unwrap_or_default().to_owned();
        let tasks =
            tasks.into_iter().filter(|task| task["created"].as_str().unwrap_or("z") > &*after);
        let number = |key: &str| {
            let query = asked.strip_prefix(list).unwrap();
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == key).unwrap().1.parse::<usize>().unwrap()
        };
        let page: Vec<_> = tasks.skip(number("firstResult")).take(number("maxResults")).collect();
        (200, "", json!(page).to_string())
    })
    .await
}

#[tokio::test]
async fn tasks_of_one_millisecond_are_told_apart_over_restarts() {
    let stub = list_of_tasks().await;
    let settings: CaptureSettings = read(json!({ "user_tasks": {} }));
    let mut position = None;
    let mut seen = Vec::new();
    loop {
        // A new instance each time: all that is needed stands in the position.
        let camunda = camunda(&stub.endpoint);
        let batch: Batch = camunda.poll(&settings, &cx(), position.as_ref(), 1).await.unwrap();
        for record in &batch.records {
            seen.push((field(record, "id").as_str().unwrap().to_owned(), record.message));
        }
        position = batch.position_after.or(position);
        if !batch.more {
            break;
        }
    }
    let ids: Vec<_> = seen.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d", "f", "e"]);
    assert_eq!(seen[5].1, Some(MessageKind::Cancel));
    let position = position.unwrap();
    assert_eq!(position.as_bytes(), b"{\"at\":\"2026-01-31T12:00:00Z\"}");
}

#[tokio::test]
async fn what_is_settled_is_not_given_again() {
    let stub = list_of_tasks().await;
    let settings: CaptureSettings = read(json!({ "user_tasks": { "overlap": "1d" } }));
    let camunda = camunda(&stub.endpoint);
    let first = camunda.poll(&settings, &cx(), None, 50).await.unwrap();
    assert_eq!(first.records.len(), 6);
    let outcomes = first.records.iter().map(|record| {
        let again = field(record, "id") == "c";
        let outcome = if again { Outcome::Retry } else { Outcome::Accepted };
        RecordOutcome::of(record, outcome, None)
    });
    let outcomes: Vec<_> = outcomes.collect();
    camunda.acknowledge(&settings, &cx(), &outcomes).await.unwrap();
    let from = first.position_after.as_ref();
    let second = camunda.poll(&settings, &cx(), from, 50).await.unwrap();
    let ids: BTreeSet<_> =
        second.records.iter().map(|record| field(record, "id").to_string()).collect();
    assert_eq!(ids, BTreeSet::from(["\"c\"".to_owned()]));
}
