//! Items moved by hand: by agents what is theirs, by supervisors everything.

use gantry_model::Millis;
use serde_json::{Value as Json, json};

use super::world::{Answer, World, as_agent};
use crate::token::Role;

/// What `role` does to an item.
async fn act(world: &World, role: Role, item: &str, action: &str, body: Json) -> Answer {
    world.call(role, "POST", &format!("/items/{item}/{action}"), body).await
}

async fn status(world: &World, item: &str) -> Json {
    world.get(Role::Auditor, &format!("/items/{item}")).await.json()["status"].clone()
}

/// An item that anna has accepted, and its epoch.
async fn assigned(world: &World, external_id: &str) -> (String, Json) {
    let item = world.capture(external_id).await;
    let epoch = world.card("anna", "offers").await["epoch"].clone();
    let accept = format!("/offers/{item}/{epoch}/accept");
    let answer = world.call(as_agent("anna"), "POST", &accept, json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let epoch = world.card("anna", "assigned").await["epoch"].clone();
    (item, epoch)
}

#[tokio::test]
async fn a_boost_stands_above_the_curve() {
    let world = World::new().await;
    let item = world.capture("a").await;
    let boosted = act(&world, Role::Supervisor, &item, "boost", json!({ "points": 250 })).await;
    assert_eq!(boosted.json()["outcome"], "done", "{}", boosted.text);
    let queue = world.get(Role::Supervisor, "/queue").await.json();
    assert_eq!(queue["items"][0]["priority"], 750);
    let course = world.get(Role::Auditor, &format!("/items/{item}/curve")).await.json();
    assert_eq!((&course["boost"], &course["points"][0]["priority"]), (&json!(250), &json!(750)));
    let too_much = json!({ "points": 1_000_001 });
    act(&world, Role::Supervisor, &item, "boost", too_much).await.is_problem(422, "GANTRY-W009");
}

#[tokio::test]
async fn an_agent_transfers_what_is_on_the_own_desk_with_its_epoch() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let (item, epoch) = assigned(&world, "a").await;
    world.hire("ben", 1).await;
    let to_ben = json!({ "agent": "ben" });
    let without = json!({ "to": to_ben });
    let answer = act(&world, as_agent("anna"), &item, "transfer", without).await;
    answer.is_problem(422, "GANTRY-W009");
    assert_eq!(answer.json()["fields"][0]["field"], "epoch");
    let stale = json!({ "to": to_ben, "epoch": 77 });
    act(&world, as_agent("anna"), &item, "transfer", stale).await.is_problem(409, "GANTRY-W017");
    let not_mine = json!({ "to": to_ben, "epoch": epoch });
    act(&world, as_agent("ben"), &item, "transfer", not_mine).await.is_problem(403, "GANTRY-W004");
    let send = json!({ "to": to_ben, "epoch": epoch, "note": "speaks Danish" });
    let sent = act(&world, as_agent("anna"), &item, "transfer", send).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    assert_eq!(world.card("ben", "offers").await["item"], item.as_str());
    let history = world.get(Role::Auditor, &format!("/items/{item}/history")).await.json();
    let entries = history["entries"].as_array().unwrap();
    let transferred = entries.iter().find(|entry| entry["event"] == "transferred").unwrap();
    assert_eq!(transferred["data"]["note"], "speaks Danish");
    assert_eq!(transferred["data"]["agent"], "anna");
}

#[tokio::test]
async fn a_supervisor_transfers_to_groups_queues_and_expressions() {
    let world = World::new().await;
    let item = world.capture("a").await;
    let transfer = async |to: Json| {
        act(&world, Role::Supervisor, &item, "transfer", json!({ "to": to })).await
    };
    transfer(json!({ "queue": "sales/orders" })).await;
    let item_view = world.get(Role::Auditor, &format!("/items/{item}")).await.json();
    assert_eq!(item_view["state"]["queue"], "sales/orders");
    assert_eq!(transfer(json!({ "skills": "german > 4" })).await.status, 200);
    let explained = world.get(Role::Supervisor, &format!("/items/{item}/explain")).await.json();
    assert_eq!(explained["now"]["requirement"], "german > 4", "{explained}");
    for wrong in [
        json!({ "queue": "sales/nothing" }),
        json!({ "group": "berlin" }),
        json!({ "skills": "germn > 4" }),
        json!({ "desk": "anna" }),
    ] {
        transfer(wrong).await.is_problem(422, "GANTRY-W009");
    }
    transfer(json!({ "agent": "nobody" })).await.is_problem(404, "GANTRY-W015");
}

#[tokio::test]
async fn what_is_parked_lies_in_its_workbin_until_it_is_pulled() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let (item, epoch) = assigned(&world, "a").await;
    let parked = act(&world, as_agent("anna"), &item, "park", json!({ "epoch": epoch })).await;
    assert_eq!(parked.status, 200, "{}", parked.text);
    assert_eq!(status(&world, &item).await, "parked");
    let bins = world.get(Role::Supervisor, "/workbins").await.json();
    assert_eq!(bins["workbins"][0]["workbin"], json!({ "agent": "anna" }));
    let desk = world.get(as_agent("anna"), "/agents/anna/desk").await.json();
    assert_eq!(desk["workbins"][0]["items"][0]["item"], item.as_str(), "{desk}");
    assert_eq!(world.get(as_agent("anna"), &format!("/items/{item}")).await.status, 200);

    world.hire("ben", 1).await;
    let bin = "/workbins/agent/anna";
    world.get(as_agent("ben"), bin).await.is_problem(403, "GANTRY-W004");
    let empty = format!("{bin}/empty");
    world.call(as_agent("ben"), "POST", &empty, json!({})).await.is_problem(403, "GANTRY-W004");
    act(&world, as_agent("ben"), &item, "pull", json!({})).await.is_problem(403, "GANTRY-W004");
    let for_anna = json!({ "agent": "anna" });
    act(&world, as_agent("ben"), &item, "pull", for_anna).await.is_problem(403, "GANTRY-W004");
    let pulled = act(&world, as_agent("anna"), &item, "pull", json!({})).await;
    assert_eq!(pulled.status, 200, "{}", pulled.text);
    let epoch = world.card("anna", "assigned").await["epoch"].clone();

    let to_supervisors = json!({ "epoch": epoch, "workbin": { "supervisor": "berlin" } });
    let answer = act(&world, as_agent("anna"), &item, "park", to_supervisors).await;
    answer.is_problem(422, "GANTRY-W009");
    let past = json!({ "epoch": epoch, "until": "2020-01-01T00:00:00Z" });
    let answer = act(&world, as_agent("anna"), &item, "park", past).await;
    answer.is_problem(422, "GANTRY-W009");
    act(&world, as_agent("anna"), &item, "park", json!({ "epoch": epoch })).await;
    let emptied = world.call(Role::Supervisor, "POST", &empty, json!({})).await;
    assert_eq!(emptied.json(), json!({ "outcome": "moved", "items": 1 }));
    assert_eq!(world.get(Role::Supervisor, bin).await.json()["count"], 0);
    world.get(Role::Supervisor, "/workbins/box/anna").await.is_problem(400, "GANTRY-W012");
}

#[tokio::test]
async fn a_supervisor_takes_work_back_and_hands_it_out() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let (item, _) = assigned(&world, "a").await;
    let why = json!({ "reason": "stuck" });
    let agent = act(&world, as_agent("anna"), &item, "retrieve", why.clone()).await;
    agent.is_problem(403, "GANTRY-W003");
    let taken = act(&world, Role::Supervisor, &item, "retrieve", why).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    let aside = json!({ "workbin": { "agent": "anna" } });
    act(&world, Role::Supervisor, &item, "park", aside).await;
    let nobody = act(&world, Role::Supervisor, &item, "pull", json!({})).await;
    nobody.is_problem(422, "GANTRY-W009");
    let given = act(&world, Role::Supervisor, &item, "pull", json!({ "agent": "anna" })).await;
    assert_eq!(given.status, 200, "{}", given.text);
    let back = act(&world, Role::Supervisor, &item, "return", json!({ "note": "no" })).await;
    assert_eq!(back.status, 200, "{}", back.text);
    let empty = act(&world, Role::Supervisor, &item, "return", json!({ "note": "" })).await;
    empty.is_problem(422, "GANTRY-W009");
}

#[tokio::test]
async fn a_wrap_up_holds_the_agent_until_it_ends() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let record = json!({ "external_id": "w", "process": "sales/calls" });
    world.call(Role::Administrator, "POST", "/capture/leads", record).await;
    let offer = world.card("anna", "offers").await;
    let item = offer["item"].as_str().unwrap().to_owned();
    let accept = format!("/offers/{item}/{}/accept", offer["epoch"]);
    world.call(as_agent("anna"), "POST", &accept, json!({})).await;
    let epoch = world.card("anna", "assigned").await["epoch"].clone();
    let done = format!("/assignments/{item}/{epoch}/done");
    let answer = world.call(as_agent("anna"), "POST", &done, json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(status(&world, &item).await, "wrap_up");
    let card = world.card("anna", "wrap_up").await;
    assert!(card["until"].is_string() && card["dispositions"][0] == "converted", "{card}");
    let end = format!("/assignments/{item}/{}/wrap-up", card["epoch"]);
    let none = world.call(as_agent("anna"), "POST", &end, json!({})).await;
    none.is_problem(422, "GANTRY-W020");
    let body = json!({ "disposition": "converted" });
    let ended = world.call(as_agent("anna"), "POST", &end, body.clone()).await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    assert_eq!(status(&world, &item).await, "confirming");
    world.call(as_agent("anna"), "POST", &end, body).await.is_problem(409, "GANTRY-W018");
}

#[tokio::test]
async fn calls_of_another_system_take_an_agents_room() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let load = "/agents/anna/load/workitem";
    let integrator = || Role::Integrator { capture_point: None };
    let answer = world.call(integrator(), "PUT", load, json!({ "count": 1 })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let item = world.capture("a").await;
    assert_eq!(status(&world, &item).await, "waiting");
    world.call(integrator(), "PUT", load, json!({ "count": 0 })).await;
    assert_eq!(world.card("anna", "offers").await["item"], item.as_str());
    let nobody = world.call(integrator(), "PUT", "/agents/x/load/call", json!({ "count": 1 }));
    nobody.await.is_problem(404, "GANTRY-W015");
}

#[tokio::test]
async fn new_dates_take_an_item_out_of_distribution() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let (item, epoch) = assigned(&world, "a").await;
    let tomorrow = world.hub.now().plus(Millis::from_secs(24 * 3600));
    let dates = json!({ "activation_at": tomorrow, "epoch": epoch });
    let answer = act(&world, as_agent("anna"), &item, "reschedule", dates).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let message = world.intake.told.lock().unwrap().pop().unwrap();
    assert_eq!(message.by.as_ref().unwrap().agent, "anna");
    let body: Json = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(body, json!({ "activation_at": tomorrow }));
    let nothing = act(&world, Role::Supervisor, &item, "reschedule", json!({})).await;
    nothing.is_problem(422, "GANTRY-W009");
    let due = json!({ "due_at": tomorrow });
    let source = Role::Integrator { capture_point: Some("carts".into()) };
    let other = act(&world, source, &item, "reschedule", due).await;
    other.is_problem(403, "GANTRY-W004");
}

#[tokio::test]
async fn queues_are_told_in_figures() {
    let world = World::new().await;
    let first = world.capture("a").await;
    world.capture("b").await;
    act(&world, Role::Supervisor, &first, "boost", json!({ "points": 5 })).await;
    let queues = world.get(Role::Auditor, "/queues").await.json();
    let names: Vec<_> = queues["queues"].as_array().unwrap().iter().map(|q| &q["queue"]).collect();
    assert_eq!(names, ["sales/calls", "sales/leads", "sales/orders"]);
    let leads = &queues["queues"][1];
    assert_eq!((&leads["waiting"], &leads["top"]), (&json!(2), &json!(505)), "{queues}");
    let item = world.get(Role::Auditor, &format!("/items/{first}")).await.json();
    assert_eq!(leads["oldest_since"], item["state"]["routing_at"]);
    assert_eq!(queues["queues"][2]["oldest_since"], Json::Null);
}

#[tokio::test]
async fn what_nobody_serves_is_told_with_the_reason() {
    let world = World::new().await;
    let item = world.capture("a").await;
    let to = json!({ "to": { "skills": "german > 4" } });
    act(&world, Role::Supervisor, &item, "transfer", to).await;
    world.hire("anna", 1).await;
    let list = world.get(Role::Auditor, "/queue/unserved").await.json();
    let group = &list["unserved"][0];
    assert_eq!((&group["service"], &group["items"]), (&json!("never"), &json!(1)), "{list}");
    assert!(group["reason"].as_str().unwrap().contains("german > 4"), "{list}");
    assert_eq!(group["oldest"], item.as_str());
}

#[tokio::test]
async fn an_outside_router_asks_who_goes_next() {
    let world = World::new().await;
    let profile = json!({ "id": "anna", "capacity": { "workitem": 1, "voice": 1 } });
    world.call(Role::Administrator, "PUT", "/agents/anna", profile).await;
    let item = world.capture("a").await;
    let since = world.hub.now();
    let due_at = since.plus(Millis::from_secs(60));
    let call = |start: Json| {
        json!({ "id": "c-1", "schema": start, "since": since, "due_at": due_at,
            "media_type": "voice" })
    };
    let integrator = || Role::Integrator { capture_point: None };
    let ask = async |calls: Json| {
        let body = json!({ "calls": calls });
        world.call(integrator(), "POST", "/agents/anna/next", body).await
    };
    let next = ask(json!([call(json!("rising"))])).await.json();
    assert_eq!(next["winner"]["item"], item.as_str(), "{next}");
    assert_eq!(next["behind"][0]["call"], "c-1", "{next}");
    let later = json!({ "id": "c-2", "schema": "flat", "since": "2020-01-01T00:00:00Z",
        "media_type": "voice" });
    let next = ask(json!([call(json!("rising")), later])).await.json();
    assert_eq!(next["winner"]["call"], "c-2", "of equals the longer wait: {next}");
    ask(json!([call(json!("risng"))])).await.is_problem(404, "GANTRY-W034");
    let nobody = world.call(integrator(), "POST", "/agents/x/next", json!({})).await;
    nobody.is_problem(404, "GANTRY-W015");
}
