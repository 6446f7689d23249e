//! Why an item is where it is: now, then, and for one agent.

use gantry_model::Timestamp;
use serde_json::json;

use super::world::{World, as_agent};
use crate::token::Role;

/// The hub's time; what comes after is later by a millisecond at least.
async fn instant(world: &World) -> Timestamp {
    let at = world.hub.now();
    while world.hub.now() <= at {
        tokio::task::yield_now().await;
    }
    at
}

#[tokio::test]
async fn the_past_is_explained_as_it_was() {
    let world = World::new().await;
    let before = instant(&world).await;
    let item = world.capture("a").await;
    world.hire("ben", 0).await;
    let waiting = instant(&world).await;
    world.hire("anna", 1).await;
    let offered = instant(&world).await;
    let cancel = format!("/items/{item}/cancel");
    world.call(Role::Supervisor, "POST", &cancel, json!({})).await;

    let at = |at: Timestamp| format!("/items/{item}/explain?at={at}&why_not=ben");
    let then = world.get(Role::Supervisor, &at(before)).await.json();
    assert!(then["now"].is_null(), "it was not there yet: {then}");
    assert_eq!(then["decisions"], json!([]));
    let then = world.get(Role::Supervisor, &at(waiting)).await.json();
    assert_eq!(then["now"]["standing"], "waiting", "{then}");
    assert_eq!(then["now"]["at"], waiting.to_string());
    assert_eq!(then["why_not"]["failed"], "media_not_taken", "{then}");
    assert_eq!(then["decisions"], json!([]));
    let then = world.get(Role::Supervisor, &at(offered)).await.json();
    assert!(then["now"]["standing"].as_str().unwrap().starts_with("offered"), "{then}");
    assert_eq!(then["decisions"][0]["agent"], "anna");
    assert!(then["commit"].as_u64().unwrap() >= then["decisions"][0]["seq"].as_u64().unwrap());
    let now = world.get(Role::Supervisor, &format!("/items/{item}/explain")).await.json();
    assert!(now["now"].is_null(), "it has ended: {now}");
}

#[tokio::test]
async fn an_instant_to_come_is_explained_as_things_are_now() {
    let world = World::new().await;
    let item = world.capture("a").await;
    let at = world.hub.now().plus(gantry_model::Millis::from_secs(7200));
    let path = format!("/items/{item}/explain?at={at}");
    let then = world.get(Role::Auditor, &path).await.json();
    assert_eq!(then["now"]["at"], at.to_string());
    assert!(then["commit"].is_null(), "nothing was folded: {then}");
    let wrong = format!("/items/{item}/explain?at=yesterday");
    world.get(Role::Auditor, &wrong).await.is_problem(400, "GANTRY-W012");
}

#[tokio::test]
async fn agents_do_not_ask_about_colleagues() {
    let world = World::new().await;
    world.hire("anna", 1).await;
    let item = world.capture("a").await;
    let path = format!("/items/{item}/explain?why_not=ben");
    world.get(as_agent("anna"), &path).await.is_problem(403, "GANTRY-W004");
    let own = world.get(as_agent("anna"), &format!("/items/{item}/explain?why_not=anna")).await;
    assert_eq!(own.status, 200, "{}", own.text);
}
