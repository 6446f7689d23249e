//! A work item's whole way through the API.

use serde_json::json;

use super::world::{Instead, World, as_agent};
use crate::intake::RecordOutcome;
use crate::token::Role;

#[tokio::test]
async fn a_lead_travels_from_capture_to_completion() {
    let world = World::new().await;
    let item = world.capture("a/1").await;
    let by_key = world.get(Role::Auditor, "/capture/leads/a%2F1").await.json();
    assert_eq!(by_key["item"], item.as_str());
    assert_eq!(by_key["status"], "waiting");
    assert_eq!(by_key["attributes"]["name"], "Lead a/1");
    let queue = world.get(Role::Supervisor, "/queue").await.json();
    assert_eq!(queue["items"][0]["priority"], 500);
    let explain = world.get(Role::Supervisor, &format!("/items/{item}/explain")).await.json();
    assert_eq!(explain["now"]["why_not"]["why_not"], "nobody_fits", "{explain}");

    world.hire("anna", 1).await;
    let offer = world.card("anna", "offers").await;
    assert_eq!(offer["item"], item.as_str());
    assert!(offer["until"].is_string(), "{offer}");
    let shown: Vec<_> = offer["attributes"].as_array().unwrap().iter().collect();
    assert_eq!(shown.len(), 1, "only what the process shows: {shown:?}");
    let accept = format!("/offers/{item}/{}/accept", offer["epoch"]);
    let anna = || as_agent("anna");
    let accepted = world.call(anna(), "POST", &accept, json!({})).await;
    assert_eq!(accepted.json()["outcome"], "done", "{}", accepted.text);

    let card = world.card("anna", "assigned").await;
    assert_eq!(card["dispositions"], json!(["converted", "not converted"]));
    let done = format!("/assignments/{item}/{}/done", card["epoch"]);
    let body = json!({ "disposition": "converted", "attributes": { "budget": 7, "name": null } });
    let answer = world.call(anna(), "POST", &done, body).await;
    assert_eq!(answer.json()["revision"], 2, "{}", answer.text);
    assert_eq!(world.card("anna", "confirming").await["item"], item.as_str());

    let read = world.get(Role::Auditor, &format!("/items/{item}")).await.json();
    assert_eq!(read["attributes"], json!({ "budget": 7, "external_id": "a/1" }));
    assert_eq!(read["origins"], json!({ "budget": { "agent": "anna" } }));
    let complete = format!("/items/{item}/complete");
    let source = Role::Integrator { capture_point: Some("leads".into()) };
    let answer = world.call(source, "POST", &complete, json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let read = world.get(Role::Auditor, &format!("/items/{item}")).await.json();
    assert_eq!(read["status"], "completed");

    let history = world.get(Role::Auditor, &format!("/items/{item}/history")).await.json();
    let last = history["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["event"], "completed", "{last}");
    assert_eq!(last["actor"], json!({ "kind": "source", "id": "leads" }));
    let explain = world.get(Role::Auditor, &format!("/items/{item}/explain")).await.json();
    assert_eq!(explain["decisions"][0]["agent"], "anna");
    assert!(explain["now"].is_null(), "it has ended: {explain}");
}

#[tokio::test]
async fn single_records_and_arrays_are_answered_record_by_record() {
    let world = World::new().await;
    let item = world.capture("a").await;
    let record = json!({ "external_id": "a", "name": "Lead a" });
    let admin = || Role::Administrator;
    let again = world.call(admin(), "POST", "/capture/leads", record.clone()).await;
    assert_eq!((again.status, &again.json()["outcome"]), (200, &json!("repeat")));
    assert_eq!(again.json()["item"], item.as_str());

    let good = json!([record, { "external_id": "b" }]);
    let answer = world.call(admin(), "POST", "/capture/leads", good).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let outcomes = answer.json()["results"].clone();
    assert_eq!(outcomes[0]["outcome"], "repeat");
    assert_eq!(outcomes[1]["outcome"], "created");
    assert_eq!(outcomes[1]["external_id"], "b");

    let mixed = json!([{ "external_id": "c" }, { "name": "nobody" }]);
    let answer = world.call(admin(), "POST", "/capture/leads", mixed).await;
    assert_eq!(answer.status, 207, "{}", answer.text);
    let outcomes = answer.json()["results"].clone();
    assert_eq!(outcomes[0]["outcome"], "created");
    assert_eq!(outcomes[1]["outcome"], "refused");
    assert_eq!(outcomes[1]["code"], "GANTRY-P001");

    let alone = world.call(admin(), "POST", "/capture/leads", json!({ "name": "nobody" })).await;
    alone.is_problem(422, "GANTRY-P001");
    let detail = || "not now".to_owned();
    world.intake.next_time(Instead::Result(RecordOutcome::Retry { detail: detail() }));
    let again = world.call(admin(), "POST", "/capture/leads", json!({})).await;
    again.is_problem(503, "GANTRY-W023");
    world.intake.next_time(Instead::Result(RecordOutcome::Filtered { detail: detail() }));
    let filtered = world.call(admin(), "POST", "/capture/leads", json!({})).await;
    assert_eq!((filtered.status, &filtered.json()["outcome"]), (200, &json!("filtered")));
    let one = world.call(admin(), "POST", "/capture/leads", json!([{ "external_id": "d" }])).await;
    assert_eq!(one.json()["results"][0]["outcome"], "created", "an array gets an array");
}

#[tokio::test]
async fn the_list_filters_and_pages() {
    let world = World::new().await;
    let mut items = Vec::new();
    for number in 0..5 {
        items.push(world.capture(&format!("lead-{number}")).await);
    }
    let supervisor = || Role::Supervisor;
    let hold = format!("/items/{}/hold", items[1]);
    assert_eq!(world.call(supervisor(), "POST", &hold, json!({})).await.status, 200);
    let ids = |list: &serde_json::Value| -> Vec<String> {
        let rows = list["items"].as_array().unwrap();
        rows.iter().map(|row| row["item"].as_str().unwrap().to_owned()).collect()
    };
    let first = world.get(supervisor(), "/items?limit=3").await.json();
    assert_eq!(ids(&first), [&items[4][..], &items[3], &items[2]], "the latest first");
    let after = first["next"].as_str().unwrap();
    let rest = world.get(supervisor(), &format!("/items?limit=3&after={after}")).await.json();
    assert_eq!(ids(&rest), [&items[1][..], &items[0]]);
    assert!(rest["next"].is_null());
    let held = world.get(supervisor(), "/items?status=held").await.json();
    assert_eq!(ids(&held), [&items[1][..]]);
    let waiting = world.get(supervisor(), "/items?status=waiting&process=sales/leads").await;
    assert_eq!(ids(&waiting.json()).len(), 4);
    let found = world.get(supervisor(), "/items?text=LEAD-3").await.json();
    assert_eq!(ids(&found), [&items[3][..]]);
    for wrong in ["status=lost", "limit=0", "limit=501", "after=W0000012", "colour=red"] {
        let answer = world.get(supervisor(), &format!("/items?{wrong}")).await;
        answer.is_problem(400, "GANTRY-W012");
    }
}

#[tokio::test]
async fn status_names_the_parts_and_hooks_reach_the_plugin() {
    let world = World::new().await;
    let status = world.get(Role::Auditor, "/status").await.json();
    assert_eq!(status["health"], "ready");
    assert_eq!(status["captures"]["leads"]["state"], "backing_off");
    assert!(status["hub"]["commits"].as_u64().unwrap() >= 1, "{status}");
    assert!(status["version"].is_string());
    let request = axum::http::Request::put("/api/v1/hooks/carts?x=1").body("hello".into());
    let answer = world.send(request.unwrap()).await;
    assert_eq!((answer.status, answer.header("x-plugin")), (202, "yes"));
    assert_eq!(answer.text, "carts PUT /?x=1 5");
}
