//! Every refusal has its status, its code and its page.

use std::collections::BTreeSet;
use std::time::Duration;

use gantry_hub::Error as HubError;
use gantry_model::{ItemId, Name, Refusal};
use serde_json::json;

use super::world::{Instead, World, as_agent};
use crate::Options;
use crate::intake::IntakeError;
use crate::pages::assets::section;
use crate::problem::{KINDS, Problem};
use crate::token::Role;

const ITEM: ItemId = ItemId::from_u64(1);

#[test]
fn refusals_map_onto_statuses_and_codes() {
    let agent = Name::new("anna");
    let cases = [
        (Refusal::UnknownItem { item: ITEM }, 404, "GANTRY-W014"),
        (Refusal::UnknownAgent { agent: agent.clone() }, 404, "GANTRY-W015"),
        (Refusal::Stale { item: ITEM, what: "epoch", current: 2, given: 1 }, 409, "GANTRY-W017"),
        (
            Refusal::WrongState { item: ITEM, action: "accept", state: "held".to_owned() },
            409,
            "GANTRY-W018",
        ),
        (Refusal::NotYours { item: ITEM, agent: agent.clone() }, 403, "GANTRY-W004"),
        (Refusal::Conflict { item: ITEM }, 409, "GANTRY-W019"),
        (Refusal::Reopened { item: ITEM }, 409, "GANTRY-W019"),
        (Refusal::Disposition { item: ITEM, problem: "missing".to_owned() }, 422, "GANTRY-W020"),
        (
            Refusal::UnknownReason { reason: Name::new("x"), known: "Lunch".to_owned() },
            422,
            "GANTRY-W021",
        ),
        (Refusal::AgentIdLength { length: 65 }, 422, "GANTRY-W009"),
        (Refusal::AgentBusy { agent, items: 2 }, 409, "GANTRY-W022"),
        (
            Refusal::CalendarUnusable {
                version: 2,
                calendar: Name::new("office"),
                why: "the calendar is never open".to_owned(),
            },
            422,
            "GANTRY-W009",
        ),
        (Refusal::NamesInUse { version: 2, names: "gold".to_owned() }, 409, "GANTRY-W030"),
    ];
    for (refusal, status, code) in cases {
        let problem = Problem::from(&refusal);
        assert_eq!((problem.status().as_u16(), problem.code()), (status, code), "{refusal}");
        assert_eq!(problem.detail, refusal.to_string());
    }
}

#[test]
fn codes_are_unique_and_each_has_its_section() {
    let codes: BTreeSet<_> = KINDS.iter().map(|kind| kind.code).collect();
    assert_eq!(codes.len(), KINDS.len());
    for kind in KINDS {
        let section = section(kind.code).unwrap_or_else(|| panic!("{} has none", kind.code));
        assert!(section.starts_with(&format!("### {} {}", kind.code, kind.title)), "{section}");
    }
    assert!(section("GANTRY-W0").is_none());
}

#[tokio::test]
async fn what_the_engine_refuses_reaches_the_client() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let item = world.capture("a").await;
    let anna = || as_agent("anna");
    let epoch = world.card("anna", "offers").await["epoch"].as_u64().unwrap();

    let post = async |path: String| world.call(anna(), "POST", &path, json!({})).await;
    let stale = post(format!("/offers/{item}/{}/accept", epoch + 1)).await;
    stale.is_problem(409, "GANTRY-W017");
    let early = post(format!("/assignments/{item}/{epoch}/done")).await;
    early.is_problem(409, "GANTRY-W018");
    assert_eq!(post(format!("/offers/{item}/{epoch}/accept")).await.status, 200);
    let missing = post(format!("/assignments/{item}/{epoch}/done")).await;
    missing.is_problem(422, "GANTRY-W020");
    let busy = world.call(Role::Administrator, "DELETE", "/agents/anna", json!(null)).await;
    busy.is_problem(409, "GANTRY-W022");
    let lost = json!({ "state": "not_ready", "reason": "Nowhere" });
    let reason = world.call(anna(), "PUT", "/agents/anna/presence", lost).await;
    reason.is_problem(422, "GANTRY-W021");
    let nobody = world.get(Role::Auditor, "/agents/nobody/desk").await;
    nobody.is_problem(404, "GANTRY-W015");
    let none = world.get(Role::Auditor, "/items/W0000021").await;
    none.is_problem(400, "GANTRY-W012");
    let none = world.get(Role::Auditor, &format!("/items/{}", ItemId::from_u64(99))).await;
    none.is_problem(404, "GANTRY-W014");
    let create = format!("/items/{item}/create");
    let create = world.call(Role::Administrator, "POST", &create, json!({})).await;
    create.is_problem(400, "GANTRY-W012");
}

#[tokio::test]
async fn what_the_pipeline_refuses_reaches_the_client() {
    let cases = [
        (IntakeError::UnknownCapturePoint("x".to_owned()), 404, "GANTRY-W013"),
        (IntakeError::NoHook("x".to_owned()), 404, "GANTRY-W013"),
        (IntakeError::Body("no object".to_owned()), 400, "GANTRY-W008"),
        (IntakeError::TooLarge("1001 records".to_owned()), 413, "GANTRY-W010"),
        (IntakeError::UnknownItem("x".to_owned()), 404, "GANTRY-W014"),
        (IntakeError::UnknownDeadLetter("x".to_owned()), 404, "GANTRY-W016"),
        (
            IntakeError::Refused { code: "GANTRY-P007".into(), detail: "no".to_owned() },
            422,
            "GANTRY-P007",
        ),
        (
            IntakeError::Plugin { capture_point: "x".to_owned(), detail: "gone".to_owned() },
            502,
            "GANTRY-W028",
        ),
        (IntakeError::Hub(HubError::Overloaded { waiting: 9 }), 429, "GANTRY-W024"),
        (
            IntakeError::Hub(HubError::Unavailable { reason: "disk full".to_owned() }),
            503,
            "GANTRY-W023",
        ),
        (IntakeError::Hub(HubError::Stopped), 503, "GANTRY-W025"),
        (IntakeError::Hub(HubError::Fatal { reason: "lost".to_owned() }), 503, "GANTRY-W025"),
    ];
    let world = World::new().await;
    for (error, status, code) in cases {
        world.intake.next_time(Instead::Fail(error));
        let answer = world.call(Role::Administrator, "POST", "/capture/leads", json!({})).await;
        answer.is_problem(status, code);
        let may_help = matches!(status, 429 | 502 | 503);
        assert_eq!(!answer.header("retry-after").is_empty(), may_help, "{code}");
    }
}

#[tokio::test]
async fn a_defect_is_answered_too() {
    let world = World::new().await;
    world.intake.next_time(Instead::Panic);
    let answer = world.call(Role::Administrator, "POST", "/capture/leads", json!({})).await;
    answer.is_problem(500, "GANTRY-W027");
    world.capture("afterwards").await;
}

#[tokio::test]
async fn a_hang_is_answered_too() {
    let request_timeout = Duration::from_millis(50);
    let world = World::with(Options { request_timeout, ..Options::default() }).await;
    world.intake.next_time(Instead::Hang);
    let answer = world.call(Role::Administrator, "POST", "/capture/leads", json!({})).await;
    answer.is_problem(504, "GANTRY-W026");
}

#[tokio::test]
async fn a_stopped_hub_is_told_from_a_ready_one() {
    let mut world = World::new().await;
    world.kill_hub().await;
    let answer = world.get(Role::Supervisor, "/queue").await;
    answer.is_problem(503, "GANTRY-W025");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn a_trace_id_of_the_caller_comes_back() {
    let world = World::new().await;
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = axum::http::Request::get("/api/v1/nothing")
        .header("traceparent", format!("00-{id}-00f067aa0ba902b7-01"));
    let answer = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
    answer.is_problem(404, "GANTRY-W006");
    assert_eq!(answer.json()["trace_id"], id);
}
