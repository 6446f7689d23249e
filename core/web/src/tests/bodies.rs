//! Bad input: whatever comes, there is an answer that says what is wrong.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::world::{Answer, World, as_agent};
use crate::token::Role;

async fn post(world: &World, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
    let token = world.token(Role::Administrator);
    let request = Request::post(format!("/api/v1{path}"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", content_type)
        .body(body.into());
    world.send(request.unwrap()).await
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let world = World::new().await;
    let nested = "[".repeat(100_000);
    let cases: [(&[u8], &str); 5] = [
        (b"{\"external_id\": \"\xff\"}", "invalid UTF-8"),
        (b"{\"external_id\": ", "broken off"),
        (nested.as_bytes(), "nested too deeply"),
        (b"", "nothing"),
        (b"\0", "binary"),
    ];
    for (body, why) in cases {
        let answer = post(&world, "/capture/leads", "application/json", body.to_vec()).await;
        assert_eq!(answer.status, 400, "{why}: {}", answer.text);
        answer.is_problem(400, "GANTRY-W008");
    }
    let nested = "{\"x\":".repeat(100_000);
    let token = world.token(Role::Administrator);
    for body in [&b"{\"state\": \"\xff\"}"[..], nested.as_bytes(), b"{"] {
        let request = Request::put("/api/v1/agents/anna/presence")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json; charset=utf-8")
            .body(Body::from(body.to_vec()));
        world.send(request.unwrap()).await.is_problem(400, "GANTRY-W008");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let world = World::new().await;
    for path in ["/capture/leads", "/hooks/leads"] {
        let body = vec![b' '; 10 << 20];
        let answer = post(&world, path, "application/json", body).await;
        answer.is_problem(413, "GANTRY-W010");
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let world = World::new().await;
    for content_type in ["text/plain", "application/jsonish", "text/x+json", ""] {
        let answer = post(&world, "/capture/leads", content_type, "{}").await;
        answer.is_problem(415, "GANTRY-W011");
    }
    for content_type in
        ["application/json", "Application/JSON; charset=utf-8", "application/x+json"]
    {
        let answer = post(&world, "/capture/leads", content_type, r#"{"external_id":"a"}"#).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    }
}

#[tokio::test]
async fn fields_that_are_wrong_are_named() {
    let world = World::new().await;
    let cases = [
        ("PUT", "/agents/anna", json!({ "id": "ben" }), "ben"),
        ("PUT", "/agents/anna", json!({ "id": "anna", "skils": {} }), "skils"),
        ("PUT", "/agents/anna", json!({ "id": "anna", "skills": { "x": 101 } }), "101"),
        ("PUT", "/agents/anna", json!({ "id": "anna", "skills": { "x": 300 } }), "300"),
        ("PUT", "/agents/anna/presence", json!({ "state": "asleep" }), "asleep"),
        ("PUT", "/agents/anna/presence", json!({ "state": "not_ready" }), "reason"),
    ];
    for (method, path, body, named) in cases {
        let answer = world.call(Role::Administrator, method, path, body).await;
        answer.is_problem(422, "GANTRY-W009");
        assert!(answer.text.contains(named), "{}", answer.text);
    }
    let long = "x".repeat(65);
    let body = json!({ "id": long });
    let answer = world.call(Role::Administrator, "PUT", &format!("/agents/{long}"), body).await;
    answer.is_problem(422, "GANTRY-W009");
    let decline = world.call(as_agent("anna"), "POST", "/offers/W0000011/1/decline", json!({}));
    decline.await.is_problem(422, "GANTRY-W009");
}

#[tokio::test]
async fn wrong_addresses_and_methods_are_problems() {
    let world = World::new().await;
    let admin = || Role::Administrator;
    world.get(admin(), "/nowhere").await.is_problem(404, "GANTRY-W006");
    let answer = world.call(admin(), "DELETE", "/items", json!(null)).await;
    answer.is_problem(405, "GANTRY-W007");
    assert_eq!(answer.header("allow"), "GET,HEAD");
    world.get(admin(), "/items/12").await.is_problem(400, "GANTRY-W012");
    let answer = world.call(as_agent("a"), "POST", "/offers/W0000011/-1/accept", json!({})).await;
    answer.is_problem(400, "GANTRY-W012");
    world.get(admin(), "/capture/leads/%FF").await.is_problem(400, "GANTRY-W012");
}
