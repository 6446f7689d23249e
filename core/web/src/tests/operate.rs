//! Capture points by hand, as requests and answers.

use gantry_hub::{Side, Submission};
use gantry_model::{Actor, Timestamp};
use gantry_store::PositionRow;
use serde_json::json;

use super::world::World;
use crate::intake::Move;
use crate::token::Role;

const POINTS: &str = "/capture-points";

#[tokio::test]
async fn what_a_capture_point_does_not_allow_is_a_problem_of_its_own() {
    let world = World::new().await;
    let pause = json!({ "reason": "the CRM is being moved" });
    for (verb, status) in [("pause", 204), ("resume", 204), ("poll", 202)] {
        let path = format!("{POINTS}/leads/{verb}");
        let answer = world.call(Role::Supervisor, "POST", &path, pause.clone()).await;
        assert_eq!(answer.status, status, "{verb}: {}", answer.text);
    }
    for (point, status, code) in [
        ("paused", 503, "GANTRY-W035"),
        ("web", 409, "GANTRY-W037"),
        ("busy", 503, "GANTRY-W038"),
        ("laeds", 404, "GANTRY-W013"),
    ] {
        let path = format!("{POINTS}/{point}/poll");
        let answer = world.call(Role::Administrator, "POST", &path, json!({})).await;
        answer.is_problem(status, code);
    }
    let path = format!("{POINTS}/leads/pause");
    let answer = world.call(Role::Administrator, "POST", &path, json!({ "reason": "" })).await;
    answer.is_problem(422, "GANTRY-W009");
}

#[tokio::test]
async fn a_position_is_text_where_it_is_text_and_base64_where_not() {
    let world = World::new().await;
    let row = |source_partition: &str, position: &[u8]| PositionRow {
        capture_point: "leads".into(),
        source_partition: source_partition.into(),
        position: position.into(),
        at: Timestamp(0),
    };
    let positions = vec![row("", "Länge:7".as_bytes()), row("eu", &[0xff, 0])];
    let side = Side { positions, ..Side::default() };
    let stored = Submission { actor: Actor::Hub, work: Vec::new(), side };
    world.hub.submit(stored).await.unwrap();
    let listed = world.get(Role::Auditor, "/positions?capture_point=leads").await.json();
    let at = "1970-01-01T00:00:00Z";
    let expected = json!([
        { "capture_point": "leads", "partition": "", "position": "Länge:7", "at": at },
        { "capture_point": "leads", "partition": "eu", "position_base64": "/wA=", "at": at },
    ]);
    assert_eq!(listed["positions"], expected);

    let set = |body| world.call(Role::Administrator, "POST", "/positions/leads/set", body);
    let answer = set(json!({ "position_base64": "/wA=", "partition": "eu" })).await;
    assert_eq!(answer.json()["positions"], expected, "the answer tells the positions");
    set(json!({ "position": "p9" })).await;
    set(json!({ "position_base64": "?" })).await.is_problem(422, "GANTRY-W009");
    set(json!({})).await.is_problem(422, "GANTRY-W009");
    let rewind = json!({ "to": "yesterday" });
    let answer = world.call(Role::Administrator, "POST", "/positions/leads/rewind", rewind).await;
    answer.is_problem(422, "GANTRY-W009");
    let moved = world.intake.moved.lock().unwrap();
    let set = |partition: &str, position: &[u8]| Move::Set {
        partition: partition.into(),
        position: position.into(),
    };
    assert_eq!(*moved, [set("eu", &[0xff, 0]), set("", b"p9")]);
}

#[tokio::test]
async fn a_tap_shows_what_is_asked_for_and_always_what_was_lost() {
    let world = World::new().await;
    let path = format!("{POINTS}/leads/tap");
    let all = world.call(Role::Auditor, "GET", &path, json!({})).await;
    assert_eq!(all.status, 200);
    assert_eq!(all.header("content-type"), "text/event-stream");
    let seen: Vec<_> = all.text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(seen.len(), 3, "{}", all.text);

    let path = format!("{POINTS}/leads/tap?outcome=refused");
    let refused = world.call(Role::Supervisor, "GET", &path, json!({})).await;
    let seen = refused.text.lines().filter_map(|line| line.strip_prefix("data: "));
    let seen: Vec<serde_json::Value> =
        seen.map(|data| serde_json::from_str(data).unwrap()).collect();
    let expected = [json!({ "lost": 3 }), json!({ "outcome": "refused", "external_id": "L-2" })];
    assert_eq!(seen, expected);

    let path = format!("{POINTS}/leads/tap?outcome=wrong");
    world.call(Role::Supervisor, "GET", &path, json!({})).await.is_problem(400, "GANTRY-W012");
    let path = format!("{POINTS}/laeds/tap");
    world.call(Role::Supervisor, "GET", &path, json!({})).await.is_problem(404, "GANTRY-W013");
}
