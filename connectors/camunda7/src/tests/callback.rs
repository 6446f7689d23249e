//! Deliveries: once in effect, and what does not go is told by its class.

use gantry_plugin_api::{Callback as _, Delivery, DeliveryOutcome, ErrorClass, Json};
use serde_json::{Value, json};

use super::stub::{Reply, Stub};
use super::{camunda, cx, read};

const NOTHING: Reply = (204, "", String::new());

fn delivery(event: &str, details: &Value) -> Delivery {
    let mut delivery = Delivery::new("ended/7/3", event, 7, "T-1");
    delivery.capture_point = "work".to_owned();
    delivery.details = Json::of(details).unwrap();
    delivery
}

/// What becomes of a delivery, and what the engine was asked.
async fn told(
    settings: Value,
    delivery: Delivery,
    answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static,
) -> (DeliveryOutcome, Vec<String>) {
    let stub = Stub::start(answer).await;
    let camunda = camunda(&stub.endpoint);
    let mut outcomes = camunda.deliver(&read(settings), &cx(), vec![delivery]).await;
    let asked = stub.asked().into_iter().map(|(asked, _)| asked).collect();
    (outcomes.remove(0), asked)
}

fn class(outcome: &DeliveryOutcome) -> (bool, ErrorClass) {
    match outcome {
        DeliveryOutcome::Refused(error) => (true, error.class()),
        DeliveryOutcome::Retry(error) => (false, error.class()),
        other => panic!("{other:?}"),
    }
}

fn gone() -> Reply {
    refusal(404, "External task with id T-1 does not exist")
}

fn held_by(worker: &str) -> Reply {
    (200, "", json!({ "id": "T-1", "workerId": worker, "retries": null }).to_string())
}

fn refusal(status: u16, message: &str) -> Reply {
    (status, "", json!({ "type": "RestException", "message": message }).to_string())
}

#[tokio::test]
async fn an_external_task_that_has_ended_is_a_repeat_only_if_it_was_ours() {
    for (worker, ours) in [("gantry-work-3", true), ("gantry-other-3", false), ("robot", false)] {
        let settings = json!({ "tasks": "external" });
        let answer = move |asked: &str, _: &str| match asked {
            "GET external-task/T-1" => gone(),
            _ => (200, "", json!([{ "workerId": worker }]).to_string()),
        };
        let (outcome, _) = told(settings, delivery("done", &json!({})), answer).await;
        if ours {
            assert_eq!(outcome, DeliveryOutcome::AlreadyDone);
        } else {
            assert_eq!(class(&outcome), (true, ErrorClass::Gone), "{worker}");
        }
    }
}

#[tokio::test]
async fn another_workers_task_is_a_conflict() {
    let answer = |asked: &str, _: &str| {
        let is_question = asked.starts_with("GET");
        if is_question { held_by("robot") } else { refusal(400, "It is locked by worker 'robot'.") }
    };
    let done = delivery("done", &json!({}));
    let (outcome, asked) = told(json!({ "tasks": "external" }), done, answer).await;
    assert_eq!(class(&outcome), (true, ErrorClass::Conflict));
    assert_eq!(asked, ["GET external-task/T-1", "POST external-task/T-1/lock"]);
}

#[tokio::test]
async fn a_failure_counts_down_and_is_told_once() {
    let settings = || json!({ "tasks": "external", "failures": { "later": { "retries": 2 } } });
    let later = || delivery("done", &json!({ "disposition": "later" }));
    let (outcome, _) = told(settings(), later(), |asked, body| {
        if asked == "GET external-task/T-1" {
            return held_by("gantry-work-3");
        }
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(asked, "POST external-task/T-1/failure");
        assert_eq!(body["retries"], 2);
        assert_eq!(body["errorMessage"], "done: later (ended/7/3)");
        NOTHING
    })
    .await;
    assert_eq!(outcome, DeliveryOutcome::Done);
    // Lent again and failed again meanwhile: the first failure was taken.
    let mut first = later();
    first.external_id = "T-1@new".to_owned();
    let (outcome, asked) = told(settings(), first, |_, _| {
        let task = json!({ "workerId": "gantry-work-4", "retries": 1, "errorMessage": "another" });
        (200, "", task.to_string())
    })
    .await;
    assert_eq!((outcome, asked.len()), (DeliveryOutcome::AlreadyDone, 1));
    let (outcome, _) = told(settings(), later(), |_, _| {
        let said = "done: later (ended/7/3)";
        let task = json!({ "workerId": "gantry-work-3", "retries": 2, "errorMessage": said });
        (200, "", task.to_string())
    })
    .await;
    assert_eq!(outcome, DeliveryOutcome::AlreadyDone);
}

#[tokio::test]
async fn a_process_that_cannot_go_on_is_tried_three_times() {
    for (attempt, refused) in [(1, false), (2, false), (3, true)] {
        let mut done = delivery("done", &json!({}));
        done.attempt = attempt;
        let answer = |asked: &str, _: &str| {
            let is_question = asked.starts_with("GET");
            if is_question { held_by("gantry-work-3") } else { refusal(500, "no sequence flow") }
        };
        let (outcome, _) = told(json!({ "tasks": "external" }), done, answer).await;
        let expected = if refused { ErrorClass::Permanent } else { ErrorClass::Transient };
        assert_eq!(class(&outcome), (refused, expected));
    }
}

#[tokio::test]
async fn a_user_task_that_has_ended_is_a_repeat_only_if_it_was_ours() {
    for (assignee, reason, ours) in
        [("ann", "completed", true), ("ben", "completed", false), ("ann", "deleted", false)]
    {
        let answer = move |asked: &str, _: &str| match asked {
            "POST task/T-1/complete" => refusal(500, "Cannot find task with id T-1"),
            "GET task/T-1" => gone(),
            _ => {
                let task = json!({ "assignee": assignee, "deleteReason": reason });
                (200, "", json!([task]).to_string())
            }
        };
        let done = delivery("done", &json!({ "agent": "ann" }));
        let (outcome, _) = told(json!({ "tasks": "user" }), done, answer).await;
        if ours {
            assert_eq!(outcome, DeliveryOutcome::AlreadyDone);
        } else {
            assert_eq!(class(&outcome), (true, ErrorClass::Gone), "{assignee} {reason}");
        }
    }
}

#[tokio::test]
async fn a_task_that_somebody_else_has_claimed_is_a_conflict() {
    let assigned = delivery("assigned", &json!({ "agent": "ann" }));
    let answer = |asked: &str, _: &str| {
        if asked.starts_with("GET") {
            return (200, "", json!({ "assignee": "ben" }).to_string());
        }
        refusal(500, "Task 'T-1' is already claimed by someone else.")
    };
    let (outcome, _) = told(json!({ "tasks": "user" }), assigned, answer).await;
    assert_eq!(class(&outcome), (true, ErrorClass::Conflict));
}

#[tokio::test]
async fn only_what_is_ours_is_handed_back() {
    for (assignee, n_asked) in [("ann", 2), ("ben", 1)] {
        let revoked = delivery("revoked", &json!({ "agent": "ann" }));
        let answer = move |asked: &str, _: &str| match asked {
            "GET task/T-1" => (200, "", json!({ "assignee": assignee }).to_string()),
            _ => NOTHING,
        };
        let (_, asked) = told(json!({ "tasks": "user" }), revoked, answer).await;
        assert_eq!(asked.len(), n_asked, "{asked:?}");
    }
    for (worker, n_asked) in [("gantry-work-3", 2), ("robot", 1)] {
        let canceled = delivery("canceled", &json!({ "reason": "withdrawn" }));
        let answer = move |asked: &str, _: &str| match asked {
            "GET external-task/T-1" => held_by(worker),
            _ => NOTHING,
        };
        let (_, asked) = told(json!({ "tasks": "external" }), canceled, answer).await;
        assert_eq!(asked.len(), n_asked, "{asked:?}");
    }
}
