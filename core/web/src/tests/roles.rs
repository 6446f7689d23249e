//! Who may do what: the whole matrix, address by address.

use axum::body::Body;
use axum::http::Request;
use gantry_model::Name;
use serde_json::json;

use super::world::{World, as_agent};
use crate::token::Role;

/// Method, address, and the roles that may: agent, supervisor, administrator, integrator, auditor.
const MATRIX: &[(&str, &str, &str)] = &[
    ("POST", "/capture/leads", "--ai-"),
    ("GET", "/capture/leads/none", "gsaiu"),
    ("POST", "/capture/leads/none/hold", "-sai-"),
    ("GET", "/items", "gsa-u"),
    ("GET", "/items/W0000011", "gsaiu"),
    ("GET", "/items/W0000011/history", "gsaiu"),
    ("GET", "/items/W0000011/explain", "gsaiu"),
    ("POST", "/items/W0000011/hold", "-sai-"),
    ("POST", "/items/W0000011/boost", "-sa--"),
    ("POST", "/items/W0000011/transfer", "gsa--"),
    ("POST", "/items/W0000011/park", "gsa--"),
    ("POST", "/items/W0000011/pull", "gsa--"),
    ("POST", "/items/W0000011/return", "gsa--"),
    ("POST", "/items/W0000011/retrieve", "-sa--"),
    ("POST", "/items/W0000011/reschedule", "gsai-"),
    ("GET", "/workbins", "gsa-u"),
    ("GET", "/workbins/agent/anna", "gsa-u"),
    ("POST", "/workbins/agent/anna/empty", "gsa--"),
    ("PUT", "/agents/anna/load/call", "--ai-"),
    ("POST", "/assignments/W0000011/1/wrap-up", "g----"),
    ("GET", "/queues", "-sa-u"),
    ("GET", "/queue/unserved", "-sa-u"),
    ("POST", "/agents/anna/next", "--ai-"),
    ("GET", "/queue", "-sa-u"),
    ("GET", "/agents", "-sa-u"),
    ("GET", "/agents/anna", "gsa-u"),
    ("GET", "/agents/anna/desk", "gsa-u"),
    ("PUT", "/agents/anna/presence", "gsa--"),
    ("PUT", "/agents/anna", "--a--"),
    ("POST", "/offers/W0000011/1/accept", "g----"),
    ("POST", "/offers/W0000011/1/decline", "g----"),
    ("POST", "/assignments/W0000011/1/done", "g----"),
    ("GET", "/dead-letters", "-sa-u"),
    ("GET", "/dead-letters/none", "-sa-u"),
    ("POST", "/dead-letters/none/retry", "-sa--"),
    ("POST", "/dead-letters/none/skip", "-sa--"),
    ("GET", "/status", "-sa-u"),
    ("POST", "/capture-points/leads/pause", "-sa--"),
    ("POST", "/capture-points/leads/resume", "-sa--"),
    ("POST", "/capture-points/leads/poll", "-sa--"),
    ("GET", "/capture-points/leads/tap", "-sa-u"),
    ("GET", "/positions", "-sa-u"),
    ("POST", "/positions/leads/set", "--a--"),
    ("POST", "/positions/leads/reset", "--a--"),
    ("POST", "/positions/leads/rewind", "--a--"),
    ("GET", "/items/W0000011/curve", "gsaiu"),
    ("GET", "/calendars", "-sa-u"),
    ("GET", "/curves/rising", "-sa-u"),
    ("GET", "/config/routing", "-sa-u"),
    ("DELETE", "/agents/anna", "--a--"),
];

/// A body that is right for the address, so that only the role can be wrong.
fn body(path: &str) -> serde_json::Value {
    match path.rsplit('/').next().unwrap() {
        "presence" => json!({ "state": "finish_soon" }),
        "anna" => json!({ "id": "anna" }),
        "decline" => json!({ "reason": "busy" }),
        "boost" => json!({ "points": 1 }),
        "call" => json!({ "count": 1 }),
        "transfer" => json!({ "to": { "agent": "anna" }, "epoch": 1 }),
        "park" | "return" | "reschedule" => json!({ "epoch": 1 }),
        "retrieve" => json!({ "reason": "test" }),
        "leads" => json!({ "external_id": "a" }),
        "set" => json!({ "position": "p1" }),
        "rewind" => json!({ "to": "2026-01-05T08:00:00Z" }),
        _ => json!({}),
    }
}

#[tokio::test]
async fn each_address_takes_exactly_the_roles_that_may() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let roles = [
        ('g', as_agent("anna")),
        ('s', Role::Supervisor),
        ('a', Role::Administrator),
        ('i', Role::Integrator { capture_point: None }),
        ('u', Role::Auditor),
    ];
    for (method, path, may) in MATRIX {
        for (letter, role) in &roles {
            let answer = world.call(role.clone(), method, path, body(path)).await;
            let refused = answer.status == 403 && answer.json()["code"] == "GANTRY-W003";
            let expected = !may.contains(*letter);
            assert_eq!(refused, expected, "{method} {path} as {role:?}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn nothing_but_webhooks_and_health_answers_without_a_token() {
    let world = World::new().await;
    let addresses = MATRIX.iter().map(|(method, path, _)| (*method, *path));
    for (method, path) in addresses.chain([("GET", "/events")]) {
        let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        answer.is_problem(401, "GANTRY-W001");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    for path in ["/healthz", "/readyz"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(world.send(request).await.status, 200);
    }
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    world.send(request).await.is_problem(401, "GANTRY-W001");
}

#[tokio::test]
async fn figures_are_for_those_who_may_see_the_status() {
    let world = World::new().await;
    let ask = |role: Role| {
        let token = format!("Bearer {}", world.token(role));
        let request = Request::get("/metrics").header("authorization", token);
        world.send(request.body(Body::empty()).unwrap())
    };
    let answer = ask(Role::Auditor).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text;"));
    assert!(answer.text.ends_with("# EOF\n"), "{}", answer.text);
    ask(Role::Agent { agent: "anna".into() }).await.is_problem(403, "GANTRY-W003");
}

#[tokio::test]
async fn an_ended_token_says_so() {
    let world = World::new().await;
    let claims = crate::Claims {
        name: Name::new("late"),
        role: Role::Administrator,
        expires_at: Some(world.hub.now()),
    };
    let request = Request::get("/api/v1/items")
        .header("authorization", format!("Bearer {}", world.key.issue(&claims)));
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    answer.is_problem(401, "GANTRY-W002");
}

#[tokio::test]
async fn an_integrator_is_bound_to_its_capture_point() {
    let world = World::new().await;
    let item = world.capture("a").await;
    let bound = |point: &str| Role::Integrator { capture_point: Some(Name::new(point)) };
    let path = format!("/items/{item}");
    assert_eq!(world.get(bound("leads"), &path).await.status, 200);
    world.get(bound("carts"), &path).await.is_problem(403, "GANTRY-W004");
    let held = world.call(bound("carts"), "POST", &format!("{path}/hold"), json!({})).await;
    held.is_problem(403, "GANTRY-W004");
    let record = json!({ "external_id": "b" });
    let answer = world.call(bound("carts"), "POST", "/capture/leads", record).await;
    answer.is_problem(403, "GANTRY-W004");
    world.get(bound("carts"), "/capture/leads/a").await.is_problem(403, "GANTRY-W004");
}

#[tokio::test]
async fn an_agent_sees_and_does_only_what_is_on_the_own_desk() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    world.hire("ben", 0).await;
    let item = world.capture("a").await;
    let ben = || as_agent("ben");
    let offer = world.card("anna", "offers").await;
    let path = format!("/offers/{item}/{}/accept", offer["epoch"]);
    world.call(ben(), "POST", &path, json!({})).await.is_problem(403, "GANTRY-W004");
    world.get(ben(), "/agents/anna/desk").await.is_problem(403, "GANTRY-W004");
    let ready = json!({ "state": "ready" });
    let answer = world.call(ben(), "PUT", "/agents/anna/presence", ready).await;
    answer.is_problem(403, "GANTRY-W004");
    world.get(ben(), &format!("/items/{item}")).await.is_problem(403, "GANTRY-W004");
    assert_eq!(world.get(ben(), "/items").await.json()["items"], json!([]));
    let own = world.get(as_agent("anna"), "/items?agent=ben").await.json();
    assert_eq!(own["items"][0]["item"], item.as_str(), "the filter cannot widen what one sees");
    let history = world.get(as_agent("anna"), &format!("/items/{item}/history")).await.text;
    assert!(history.contains("explanation") && !history.contains("ben"), "{history}");
}
