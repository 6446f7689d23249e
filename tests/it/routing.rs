//! Moving items by hand, drawing and explaining, through the built binary.

use std::fs;

use anyhow::{Context, Result, ensure};
use gantry_demo::hub::Session;
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::{Value, json};

/// A hub with two orders that nobody serves yet.
async fn start() -> Result<World> {
    let place = Place::new(&[])?;
    fs::write(place.path("gantry.toml"), built::case("moves/gantry.toml")?)?;
    let world = World::start(place, &[]).await?;
    for id in ["A-1", "A-2"] {
        let order = json!({ "id": id, "subject": format!("Order {id}") });
        let answer = world.post("/capture/orders", &order).await?;
        ensure!(answer.status == 201, "{}", answer.text);
        world.queued("orders", id).await?;
    }
    Ok(world)
}

/// What a command prints, which has to end well.
async fn shown(world: &World, command: &[&str]) -> Result<String> {
    let ran = world.place.gantry(command).await?;
    ensure!(ran.code == 0, "gantry {command:?}: {ran:?}");
    Ok(ran.stdout)
}

/// What a command says with `--json`.
async fn told(world: &World, command: &[&str]) -> Result<Value> {
    let command = [command, &["--json"]].concat();
    world.place.gantry(&command).await?.json().with_context(|| format!("gantry {command:?}"))
}

async fn item(world: &World, id: &str) -> Result<Value> {
    told(world, &["item", "show", &format!("orders/{id}")]).await
}

/// Makes an agent who is ready, and signs them in.
async fn hire(world: &World, agent: &str) -> Result<Session> {
    let profile = json!({ "id": agent, "skills": { "sales": 50 }, "groups": ["berlin"] });
    world.hub.admin.put(&format!("/agents/{agent}"), &profile).await?;
    let token = told(world, &["token", "--role", "agent", "--agent", agent]).await?;
    let token = token["token"].as_str().context("no token")?.to_owned();
    let mut session = world.hub.admin.clone();
    session.token = token;
    let ready = json!({ "state": "ready" });
    session.put(&format!("/agents/{agent}/presence"), &ready).await?;
    Ok(session)
}

/// What the agent has before them in that part of the desk, once something is there.
async fn card(world: &World, agent: &str, part: &str) -> Result<Value> {
    let path = format!("/agents/{agent}/desk");
    let desk = world.until(&path, |desk| desk[part][0].is_object()).await?;
    Ok(desk[part][0].clone())
}

#[tokio::test]
async fn what_nobody_serves_is_told_and_the_past_is_explained_later() -> Result<()> {
    let world = start().await?;
    let unserved = shown(&world, &["queue", "--unserved"]).await?;
    ensure!(unserved.contains("sales > 0") && unserved.contains("never"), "{unserved}");
    let queues = shown(&world, &["queue"]).await?;
    ensure!(queues.contains("sales/returns"), "{queues}");

    let boosted = shown(&world, &["item", "boost", "orders/A-2", "500"]).await?;
    ensure!(boosted.contains("+500 points"), "{boosted}");
    let top = told(&world, &["queue", "--top", "1"]).await?;
    ensure!(top["items"][0]["external_id"] == "A-2", "{top}");
    ensure!(top["items"][0]["priority"].as_i64() >= Some(600), "{top}");
    let then = top["now"].as_str().context("no time")?.to_owned();

    let anna = hire(&world, "anna").await?;
    let offer = card(&world, "anna", "offers").await?;
    ensure!(offer["external_id"] == "A-2", "{offer}");
    let accept = format!("/offers/{}/{}/accept", cell(&offer["item"]), offer["epoch"]);
    anna.post(&accept, &json!({})).await?;

    let past = shown(&world, &["explain", "orders/A-2", "--at", &then]).await?;
    ensure!(past.contains("it is waiting: there is no agent"), "{past}");
    ensure!(past.contains("+500  boost") && !past.contains("offered to anna"), "{past}");
    let now = shown(&world, &["explain", "orders/A-2"]).await?;
    ensure!(now.contains("offered to anna") && now.contains("got it"), "{now}");
    let why = shown(&world, &["explain", "orders/A-1", "--why-not", "anna"]).await?;
    ensure!(why.contains("anna has no capacity left"), "{why}");
    Ok(())
}

#[tokio::test]
async fn items_are_transferred_parked_pulled_and_wrapped_up() -> Result<()> {
    let world = start().await?;
    let anna = hire(&world, "anna").await?;
    let first = card(&world, "anna", "offers").await?;
    let id = cell(&first["item"]);
    anna.post(&format!("/offers/{id}/{}/accept", first["epoch"]), &json!({})).await?;

    let nobody = ["item", "transfer", &id, "--agent", "ben"];
    let refused = world.place.gantry(&nobody).await?;
    ensure!(refused.code == 2 && refused.stderr.contains("GANTRY-W015"), "{refused:?}");
    shown(&world, &["item", "park", &id, "agent/anna", "--note", "later"]).await?;
    let bins = shown(&world, &["workbin", "list"]).await?;
    ensure!(bins.contains("agent/anna  1"), "{bins}");
    let bin = shown(&world, &["workbin", "show", "agent/anna"]).await?;
    ensure!(bin.contains("parked"), "{bin}");
    // The agent, now free, is offered the other one; pulled is what they want instead.
    let other = card(&world, "anna", "offers").await?;
    let decline = format!("/offers/{}/{}/decline", cell(&other["item"]), other["epoch"]);
    anna.post(&decline, &json!({ "reason": "not now" })).await?;
    anna.post(&format!("/items/{id}/pull"), &json!({})).await?;
    let pulled = card(&world, "anna", "assigned").await?;
    ensure!(pulled["item"] == first["item"], "{pulled}");

    let done = format!("/assignments/{id}/{}/done", pulled["epoch"]);
    anna.post(&done, &json!({ "disposition": "converted" })).await?;
    let wrap_up = card(&world, "anna", "wrap_up").await?;
    let end = format!("/assignments/{id}/{}/wrap-up", wrap_up["epoch"]);
    anna.post(&end, &json!({ "disposition": "not converted" })).await?;
    let ended = told(&world, &["item", "show", &id]).await?;
    ensure!(ended["status"] == "completed", "{ended}");

    let other = cell(&other["item"]);
    shown(&world, &["item", "transfer", &other, "--queue", "sales/returns"]).await?;
    hire(&world, "ben").await?;
    let offer = card(&world, "ben", "offers").await?;
    ensure!(offer["item"] == other, "{offer}");
    shown(&world, &["item", "park", &other, "group/berlin"]).await?;
    let emptied = shown(&world, &["workbin", "empty", "group/berlin"]).await?;
    ensure!(emptied.contains("1 item back"), "{emptied}");
    let wrong = world.place.gantry(&["workbin", "show", "box/anna"]).await?;
    ensure!(wrong.code == 2 && wrong.stderr.contains("group/berlin"), "{wrong:?}");
    let verified = shown(&world, &["verify"]).await?;
    ensure!(verified.contains("0 differ"), "{verified}");
    Ok(())
}

#[tokio::test]
async fn curves_are_drawn_from_the_config_and_from_the_hub() -> Result<()> {
    let world = start().await?;
    let anchor = ["--sla", "8h", "--anchor", "2027-03-02T09:00:00Z"];
    let csv = shown(&world, &[&["curve", "normal", "--csv"], &anchor[..]].concat()).await?;
    let rows: Vec<_> = csv.lines().collect();
    ensure!(rows[0] == "at,exact,priority,kind", "{csv}");
    ensure!(rows[1] == "2027-03-02T09:00:00Z,100,100,begin", "{csv}");
    ensure!(rows.contains(&"2027-03-02T17:00:00Z,1000,1000,due"), "{csv}");

    let picture = shown(&world, &["curve", "orders/A-1", "--width", "60"]).await?;
    ensure!(picture.lines().all(|line| line.chars().count() <= 60), "{picture}");
    ensure!(picture.contains("│ now") && picture.contains("┊ due"), "{picture}");
    let asked = told(&world, &["curve", "orders/A-1", "--samples", "3"]).await?;
    let due = item(&world, "A-1").await?["due_at"].clone();
    ensure!(asked["due_at"] == due && asked["schema"] == "normal", "{asked}");

    shown(&world, &["curve", "orders/A-1", "--svg", "curve.svg"]).await?;
    let svg = fs::read_to_string(world.place.path("curve.svg"))?;
    ensure!(svg.starts_with("<svg") && svg.contains(r#"class="future""#), "{svg}");
    let unknown = world.place.gantry(&["curve", "norml"]).await?;
    ensure!(unknown.stderr.contains(r#"did you mean "normal""#), "{unknown:?}");
    Ok(())
}

fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
