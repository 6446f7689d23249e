//! What the active config says, and what it makes of profiles and forms.

use serde_json::{Value as Json, json};

use super::world::{World, as_agent};
use crate::token::Role;

#[tokio::test]
async fn the_active_config_and_its_calendars_can_be_read() {
    let world = World::new().await;
    let config = world.get(Role::Auditor, "/config/routing").await.json();
    assert_eq!(config["version"], 1);
    assert_eq!(config["skills"], json!(["german", "sales"]));
    assert_eq!(config["reasons"], json!(["Lunch"]));
    let dispositions = &config["dispositions"]["sales/leads"];
    assert_eq!(dispositions["of"], json!(["converted", "not converted"]));
    assert_eq!(dispositions["required"], true);
    assert_eq!(config["routing"]["processes"]["sales/leads"]["offer_timeout"], "10m");

    let answer = world.get(Role::Supervisor, "/calendars").await.json();
    let office = &answer["calendars"][0];
    assert_eq!((&office["name"], &office["timezone"]), (&json!("office"), &json!("Europe/Berlin")));
    let (now, changes_at) = (answer["now"].as_str(), office["changes_at"].as_str());
    assert!(office["open"].is_boolean() && changes_at > now, "{answer}");
}

#[tokio::test]
async fn a_profile_names_only_what_the_config_has() {
    let world = World::new().await;
    let cases = [
        (json!({ "skills": { "germn": 5 } }), "skills/germn", r#"did you mean "german"?"#),
        (json!({ "skills": { "juggling": 5 } }), "skills/juggling", "there are german, sales"),
        (json!({ "skills": { "sales": 101 } }), "skills/sales", "levels are 0 to 100"),
        (json!({ "groups": ["berlinn"] }), "groups", r#"did you mean "berlin"?"#),
        (json!({ "inactive_queues": ["sales/lead"] }), "inactive_queues", "sales/leads"),
        (json!({ "capacity_rule": "blend" }), "capacity_rule", "blended"),
    ];
    for (mut profile, field, says) in cases {
        profile["id"] = "anna".into();
        let answer = world.call(Role::Administrator, "PUT", "/agents/anna", profile).await;
        answer.is_problem(422, "GANTRY-W009");
        let faults = answer.json()["fields"].clone();
        assert_eq!(faults.as_array().unwrap().len(), 1, "{faults}");
        assert_eq!(faults[0]["field"], field);
        assert!(faults[0]["detail"].as_str().unwrap().contains(says), "{faults}");
    }
    let both = json!({ "id": "anna", "skills": { "x": 200 }, "groups": ["y"] });
    let answer = world.call(Role::Administrator, "PUT", "/agents/anna", both).await;
    assert_eq!(answer.json()["fields"].as_array().unwrap().len(), 3, "{}", answer.text);
    let good = json!({
        "id": "anna", "skills": { "german": 5 }, "groups": ["berlin"], "answer": "automatic",
        "capacity_rule": "blended", "inactive_queues": ["sales/orders"],
        "attributes": { "location": "Spandau" },
    });
    let answer = world.call(Role::Administrator, "PUT", "/agents/anna", good.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let profile = world.get(Role::Auditor, "/agents/anna").await.json()["profile"].clone();
    for (key, value) in good.as_object().unwrap() {
        assert_eq!(profile[key], *value, "{key}");
    }
}

#[tokio::test]
async fn mark_done_asks_for_what_the_form_of_the_process_says() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let record = json!({ "external_id": "o", "name": "Order", "process": "sales/orders" });
    let captured = world.call(Role::Administrator, "POST", "/capture/leads", record).await;
    let item = captured.json()["item"].as_str().unwrap().to_owned();
    let anna = || as_agent("anna");
    let epoch = world.card("anna", "offers").await["epoch"].clone();
    world.call(anna(), "POST", &format!("/offers/{item}/{epoch}/accept"), json!({})).await;
    let card = world.card("anna", "assigned").await;
    assert_eq!(card["form"]["required"], json!(["total", "name"]), "{card}");
    let done = format!("/assignments/{item}/{}/done", card["epoch"]);
    let with = |attributes: Json| json!({ "disposition": "converted", "attributes": attributes });
    let cases = [
        (json!({}), "", "total"),
        (json!({ "total": -1 }), "total", "minimum"),
        (json!({ "total": 1, "name": null }), "", "name"),
    ];
    for (attributes, field, says) in cases {
        let answer = world.call(anna(), "POST", &done, with(attributes)).await;
        answer.is_problem(422, "GANTRY-W033");
        let faults = answer.json()["fields"].clone();
        assert_eq!(faults[0]["field"], field, "{faults}");
        assert!(faults[0]["detail"].as_str().unwrap().contains(says), "{faults}");
    }
    let stale = format!("/assignments/{item}/77/done");
    world.call(anna(), "POST", &stale, with(json!({}))).await.is_problem(409, "GANTRY-W017");
    let answer = world.call(anna(), "POST", &done, with(json!({ "total": 12.5 }))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn courses_of_items_and_schemas_are_exact() {
    let world = World::new().await;
    let item = world.capture("a").await;
    let course = world.get(Role::Auditor, &format!("/items/{item}/curve?samples=5")).await.json();
    assert_eq!(course["item"], item.as_str());
    assert_eq!((&course["schema"], &course["boost"]), (&json!("flat"), &json!(0)));
    let points = course["points"].as_array().unwrap();
    let kinds: Vec<_> = points.iter().map(|point| point["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["begin", "sample", "sample", "sample", "end"], "{course}");
    assert!(points.iter().all(|point| point["priority"] == 500), "{course}");
    assert_eq!(points[0]["at"], course["anchor_at"]);
    assert!(course["due_at"].as_str() < points[4]["at"].as_str(), "{course}");

    let anchor = "anchor=2026-03-02T09:00:00Z";
    let path = format!("/curves/rising?sla=2h&{anchor}&samples=3&start=100");
    let course = world.get(Role::Supervisor, &path).await.json();
    let told: Vec<_> = course["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| (point["at"].as_str().unwrap(), point["exact"].as_str().unwrap()))
        .collect();
    assert_eq!(told[0], ("2026-03-02T09:00:00Z", "100"));
    assert!(told.contains(&("2026-03-02T11:00:00Z", "900")), "{told:?}");
    assert!(told.contains(&("2026-03-02T10:15:00Z", "600")), "{told:?}");
    world.get(Role::Supervisor, "/curves/risng").await.is_problem(404, "GANTRY-W034");
    for wrong in ["sla=soon", "samples=10001", "to=1970-01-01T00:00:00Z", "sla=3 workdays"] {
        let path = format!("/curves/rising?{}", wrong.replace(' ', "%20"));
        world.get(Role::Supervisor, &path).await.is_problem(400, "GANTRY-W012");
    }
}
