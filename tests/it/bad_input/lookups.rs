//! Look-ups that never answer: items go on without, with defaults, or wait and say why.

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_look_up_that_never_answers_holds_up_its_own_items_only() -> Result<()> {
    // The system accepts connections for a listener; nobody here ever reads or writes one.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let port = silent.local_addr()?.port().to_string();
    let place = Place::new(&[(
        "lookups",
        built::case("bad_input/lookups.toml")?.replace("@PORT@", &port),
    )])?;
    let options =
        SqliteConnectOptions::new().filename(place.path("crm.db")).create_if_missing(true);
    let crm = SqlitePool::connect_with(options).await?;
    let schema = "CREATE TABLE customers (id TEXT, segment TEXT); \
                  INSERT INTO customers VALUES ('H-1', 'Gold');";
    sqlx::raw_sql(schema).execute(&crm).await?;
    let mut holder = crm.acquire().await?;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut *holder).await?;

    let world = World::start(place, &[]).await?;
    for (point, id) in [("without", "A-1"), ("defaulted", "D-1"), ("held", "H-1")] {
        let answer = world.post(&format!("/capture/{point}"), &json!({ "id": id })).await?;
        ensure!(answer.status == 201, "{point}: {}", answer.text);
    }
    world.goes_on().await?;

    let without = world.queued("without", "A-1").await?;
    ensure!(without["attributes"]["credit"].is_null(), "{without}");
    let defaulted = world.queued("defaulted", "D-1").await?;
    ensure!(defaulted["attributes"]["rating"] == 3, "{defaulted}");
    ensure!(defaulted["origins"]["rating"] == json!({ "lookup": "rating" }), "{defaulted}");

    let held = world.event(|event| event["event"] == "error_held").await?;
    let says = "look-up \"segment\" failed: it did not answer within 200 ms";
    ensure!(held["data"]["reason"] == says, "{held}");
    let explained = world.place.gantry(&["explain", "held/H-1", "--json"]).await?.json()?;
    ensure!(explained["now"].to_string().contains("segment"), "not explained: {explained}");
    for (lookup, failed_min) in [("credit", 1), ("rating", 1), ("segment", 1)] {
        let status = world.hub.admin.get("/status").await?;
        let lookup = &status["lookups"][lookup];
        let failed = lookup["failed"].as_u64().context("no count")?;
        let reason = lookup["last_error"]["message"].as_str().unwrap_or_default();
        ensure!(failed >= failed_min && reason.contains("did not answer"), "{lookup}");
    }

    // The other program lets go: the held item finds its answer by itself.
    sqlx::query("ROLLBACK").execute(&mut *holder).await?;
    let answered = world.queued("held", "H-1").await?;
    ensure!(answered["attributes"]["customer_segment"] == "Gold", "{answered}");
    drop(silent);
    Ok(())
}
