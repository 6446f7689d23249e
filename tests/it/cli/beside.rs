//! Beside a running hub: lists, single items, explanations, dead letters, as text and as JSON.

use anyhow::{Context, Result, ensure};
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::json;

/// A hub with an agent who is asked for the first of two items, and one dead letter.
async fn start() -> Result<World> {
    let world = World::start(Place::new(&[])?, &[]).await?;
    let bad = json!({ "id": "A-3", "value": "many" });
    world.post("/capture/orders", &bad).await?.must_be_problem(422, "GANTRY-R010", "")?;
    let records = json!([{ "id": "A-1", "subject": "Wrong size" }, { "id": "A-2" }]);
    let captured = world.post("/capture/orders", &records).await?;
    ensure!(captured.status == 200, "{}", captured.text);
    world.queued("orders", "A-2").await?;
    let anna = json!({ "id": "anna", "name": "Anna", "skills": { "sales": 80 } });
    world.hub.admin.put("/agents/anna", &anna).await?;
    world.hub.admin.put("/agents/anna/presence", &json!({ "state": "ready" })).await?;
    world.event(|event| event["event"] == "offered").await?;
    Ok(world)
}

#[tokio::test]
async fn every_command_prints_text_for_people_and_json_for_programs() -> Result<()> {
    let world = start().await?;
    let commands: [(&[&str], &str); 16] = [
        (&["item", "list"], "A-2"),
        (&["item", "list", "--status", "offered", "--process", "sales/orders"], "Wrong size"),
        (&["item", "list", "--capture-point", "orders", "--text", "size"], "A-1"),
        (&["item", "list", "--agent", "anna", "--limit", "1"], "anna"),
        (&["item", "show", "orders/A-1"], "queued  by source orders"),
        (&["explain", "orders/A-1"], "offered to anna"),
        (&["capture", "pause", "orders", "--reason", "stocktaking"], "orders: paused"),
        (&["capture", "list"], "stocktaking"),
        (&["positions", "list"], "POSITION"),
        (&["dlq", "list", "--origin", "orders"], "GANTRY-R010"),
        (&["check"], "gantry.toml is fine"),
        (&["plugin", "list"], "webhook"),
        (&["plugin", "inspect", "plugins/libgantry_connector_files.so"], "json-lines"),
        (&["verify"], "0 differ from the store"),
        (&["top", "--once"], "CAPTURE POINT"),
        (&["doctor"], "store: sound"),
    ];
    for (command, shows) in commands {
        let text = world.place.gantry(command).await?;
        ensure!(text.code == 0 && text.stdout.contains(shows), "{command:?}: {text:?}");
        let mut as_json = command.to_vec();
        as_json.push("--json");
        let json = world.place.gantry(&as_json).await?;
        json.json().with_context(|| format!("{command:?}"))?;
    }
    let order = json!({ "id": "A-4" });
    world.post("/capture/orders", &order).await?.must_be_problem(503, "GANTRY-W035", "paused")?;
    let resumed = world.place.gantry(&["capture", "resume", "orders"]).await?;
    ensure!(resumed.code == 0, "{resumed:?}");
    ensure!(world.post("/capture/orders", &order).await?.status == 201);
    Ok(())
}

#[tokio::test]
async fn an_item_is_found_by_either_id_and_explained() -> Result<()> {
    let world = start().await?;
    let by_key = world.place.gantry(&["item", "show", "orders/A-1", "--json"]).await?.json()?;
    let id = by_key["item"].as_str().context("no id")?;
    let by_id = world.place.gantry(&["item", "show", id, "--json"]).await?.json()?;
    ensure!(by_id["external_id"] == "A-1" && by_id["status"] == "offered", "{by_id}");
    let history = by_id["history"]["entries"].as_array().context("no history")?;
    let names: Vec<_> = history.iter().filter_map(|entry| entry["event"].as_str()).collect();
    ensure!(names == ["captured", "classified", "queued", "offered"], "{names:?}");

    let explained = world.place.gantry(&["explain", id, "--json"]).await?.json()?;
    ensure!(explained["decisions"][0]["agent"] == "anna", "{explained}");
    ensure!(explained["now"].is_object(), "{explained}");

    let list = world.place.gantry(&["item", "list", "--limit", "1", "--json"]).await?.json()?;
    ensure!(list["items"].as_array().map(Vec::len) == Some(1), "{list}");
    ensure!(list["next"].is_string(), "the list says nothing of more: {list}");

    let wrong: [(&[&str], &str); 7] = [
        (&["capture", "pause", "others"], "GANTRY-W013"),
        (&["capture", "poll", "orders"], "GANTRY-W037"),
        (&["positions", "reset", "orders"], "fed by requests only"),
        (&["item", "show", "orders/nobody"], "GANTRY-W014"),
        (&["item", "show", "W0000012"], "check digit"),
        (&["item", "list", "--status", "queued"], "one of open, new, waiting"),
        (&["dlq", "retry", "r-none"], "1 dead letter is still open"),
    ];
    for (command, says) in wrong {
        let ran = world.place.gantry(command).await?;
        ensure!(ran.code == 2 && ran.stderr.contains(says), "{command:?}: {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tap_shows_records_as_they_come_until_it_has_seen_enough() -> Result<()> {
    let world = World::start(Place::new(&[])?, &[]).await?;
    let tap = world.place.gantry(&["tap", "orders", "--outcome", "refused", "-n", "1", "--json"]);
    // Nobody can see from outside when it has begun to watch, so there is always one more to see.
    let records = async {
        for n in 0_u64.. {
            world.post("/capture/orders", &json!({ "id": format!("T-{n}") })).await?;
            let bad = json!({ "id": format!("B-{n}"), "value": "many", "password": "hunter2" });
            world.post("/capture/orders", &bad).await?.must_be_problem(422, "GANTRY-R010", "")?;
        }
        anyhow::Ok(())
    };
    let ran = tokio::select! {
        ran = tap => ran?,
        ended = records => return ended,
    };
    ensure!(ran.code == 0, "{ran:?}");
    let seen = ran.json()?;
    ensure!(seen["outcome"] == "refused" && seen["code"] == "GANTRY-R010", "{seen}");
    ensure!(seen["payload"]["password"] == "***", "{seen}");
    let unknown = world.place.gantry(&["tap", "nowhere"]).await?;
    ensure!(unknown.code == 2 && unknown.stderr.contains("GANTRY-W013"), "{unknown:?}");
    Ok(())
}
