//! Alerts, from the config to a pager: raised once, through a crash of the hub, and cleared once.

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::place::Place;
use gantry_tests::world::World;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

async fn crm(place: &Place) -> Result<SqlitePool> {
    let options =
        SqliteConnectOptions::new().filename(place.path("crm.db")).create_if_missing(true);
    let crm = SqlitePool::connect_with(options).await?;
    let schema = "CREATE TABLE pages (alert TEXT, event TEXT, value INTEGER, text TEXT)";
    sqlx::raw_sql(schema).execute(&crm).await?;
    Ok(crm)
}

/// Waits until the callback has nothing on its way, and gives what the pager heard of an alert.
async fn heard(world: &World, crm: &SqlitePool, alert: &str, n: u64) -> Result<Vec<(String, i64)>> {
    let delivered = |status: &Value| status["callbacks"]["pager"]["delivered"].as_u64() >= Some(n);
    world.until("/status", delivered).await?;
    let pages = sqlx::query_as("SELECT event, value FROM pages WHERE alert = ? ORDER BY rowid");
    Ok(pages.bind(alert).fetch_all(crm).await?)
}

async fn order(world: &World, id: &str) -> Result<()> {
    let answer = world.post("/capture/orders", &json!({ "id": id })).await?;
    ensure!(answer.status == 201, "{}", answer.text);
    Ok(())
}

#[tokio::test]
async fn a_pager_hears_once_of_a_backlog_and_of_a_source_that_is_down() -> Result<()> {
    let place = Place::new(&[("alerts", built::case("alerts/alerts.toml")?)])?;
    let crm = crm(&place).await?;
    let world = World::start(place, &[]).await?;
    let down = world.event(|event| event["data"]["alert"] == "visits-down").await?;
    ensure!(down["event"] == "alert_raised" && down["data"]["value"] == 1, "{down}");
    order(&world, "A-1").await?;
    order(&world, "A-2").await?;
    let waiting = |answer: &Value| answer["alerts"].as_array().is_some_and(|all| all.len() == 2);
    let alerts = world.until("/alerts", waiting).await?;
    let text = "waiting items in sales/orders: 2, limit 1";
    ensure!(alerts["alerts"][1]["text"] == text, "{alerts}");
    let shown = world.place.gantry(&["queue", "--alerts"]).await?;
    ensure!(shown.stdout.contains(text) && shown.stdout.contains("visits-down"), "{shown:?}");
    let page = world.request(Method::GET, "//items").header("accept", "text/html");
    let page = world.send(page).await?.text;
    ensure!(page.contains(text) && page.contains("<b>visits-down</b>"), "{page}");
    ensure!(heard(&world, &crm, "waiting", 2).await? == [("alert_raised".into(), 2)]);

    let place = world.place;
    world.hub.kill().await?;
    let world = World::start(place, &[]).await?;
    let alerts = world.until("/alerts", waiting).await?;
    let item = world.hub.admin.get("/capture/orders/A-1").await?["item"].clone();
    let item = item.as_str().context("no item")?;
    world.post(&format!("/items/{item}/cancel"), &json!({ "reason": "gone" })).await?;
    let cleared = world.event(|event| event["event"] == "alert_cleared").await?;
    ensure!(cleared["data"] == json!({ "alert": "waiting", "value": 1 }), "{cleared}");
    let left = |answer: &Value| answer["alerts"].as_array().is_some_and(|all| all.len() == 1);
    let down = world.until("/alerts", left).await?;
    ensure!(down["alerts"][0] == alerts["alerts"][0], "raised anew: {down}");
    let pages = heard(&world, &crm, "waiting", 1).await?;
    ensure!(pages == [("alert_raised".into(), 2), ("alert_cleared".into(), 1)], "{pages:?}");
    ensure!(heard(&world, &crm, "visits-down", 1).await? == [("alert_raised".into(), 1)]);
    Ok(())
}
