//! Processes on a real engine, driven to their end by Gantry while the hub, the network and the
//! engine are killed: each task took effect once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result, ensure};
use gantry_tests::built;
use gantry_tests::peers::engine::{Engine, Product, endpoint};
use gantry_tests::place::Place;
use gantry_tests::proxy::{Fault, Proxy};
use gantry_tests::world::World;
use serde_json::{Value, json};

use super::clerk::{CLERK, Clerk};

/// Processes in an ordinary run, in tens; `GANTRY_PROCESSES=1000` drives more. Of the names, which
/// end in 0 to 9, 3 is unfit and 4 fails at first.
const N_PROCESSES: usize = 10;

#[tokio::test]
async fn processes_of_camunda_are_driven_to_their_end() -> Result<()> {
    drive(Product::Camunda7).await
}

#[tokio::test]
async fn processes_of_operaton_are_driven_to_their_end() -> Result<()> {
    drive(Product::Operaton).await
}

async fn drive(product: Product) -> Result<()> {
    let Some(mut engine) = Engine::start(product).await? else { return Ok(()) };
    let n = std::env::var("GANTRY_PROCESSES").map_or(Ok(N_PROCESSES), |n| n.parse())?;
    let proxy = Proxy::start(([127, 0, 0, 1], engine.port).into()).await?;
    engine.deploy("claim", &built::case("connectors/claim.bpmn")?).await?;
    let mut instances = Vec::new();
    for number in 0..n {
        instances.push(begin(&engine, number).await?);
    }
    let claims = built::case("camunda7/claims.toml")?;
    let claims = claims.replace("@ENDPOINT@", &endpoint(proxy.port()));
    let place = Place::new(&[("claims", claims)])?;
    // Plug-ins run as another user than the hub.
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755))?;
    let mut world = World::start(place, &[]).await?;
    let mut clerk = Clerk::new();
    // A tenth is unfit and never signed, a tenth is assessed twice.
    let n_items = n + n / 10 + (n - n / 10);

    clerk.work_until(&world, n_items / 4).await?;
    world = world.kill_and_start().await?;
    clerk.work_until(&world, n_items / 2).await?;
    // Both at once: a hub that found the engine gone would wait longer and longer.
    world = world.kill_and_start_after(engine.restart()).await?;
    let lost = Fault::AnswerLost { to: b"/complete".to_vec() };
    let n_struck = proxy.n_struck();
    proxy.once(lost).await?;
    clerk.work_until(&world, n_items * 3 / 4).await?;
    proxy.struck(n_struck + 1).await?;
    proxy.reset().await?;
    clerk.work_until(&world, n_items).await?;

    for (number, instance) in instances.iter().enumerate() {
        ended(&engine, number, instance).await.with_context(|| format!("claim {number}"))?;
    }
    let items = world.hub.admin.get("/items?limit=500&status=open").await?;
    ensure!(items["items"].as_array().is_some_and(Vec::is_empty), "{items}");
    others_end_it(&engine, &world, n).await?;
    world.stop_and_verify().await
}

async fn begin(engine: &Engine, number: usize) -> Result<String> {
    let variables = json!({
        "subject": { "value": format!("claim {number}") },
        "amount": { "value": number * 100, "type": "Long" },
    });
    engine.begin("claim", &format!("C-{number}"), &variables).await
}

/// The process has come to the end that it should, and each of its tasks was completed once.
async fn ended(engine: &Engine, number: usize, instance: &str) -> Result<()> {
    let process = engine.get(&format!("history/process-instance/{instance}")).await?;
    ensure!(process["state"] == "COMPLETED", "{process}");
    let count = async |path: String| {
        let count = engine.get(&path).await?;
        anyhow::Ok(count["count"].as_u64().context("no count")?)
    };
    let logs = format!("history/external-task-log/count?processInstanceId={instance}");
    let (n_completed, n_failed) = match number % 10 {
        3 => (0, 0),
        4 => (1, 1),
        _ => (1, 0),
    };
    let (completed, failed) = (
        count(format!("{logs}&successLog=true")).await?,
        count(format!("{logs}&failureLog=true")).await?,
    );
    ensure!((completed, failed) == (n_completed, n_failed), "{completed} times, {failed} failures");
    let tasks = engine.get(&format!("history/task?processInstanceId={instance}")).await?;
    let tasks = tasks.as_array().context("no list of tasks")?;
    if number % 10 == 3 {
        ensure!(tasks.is_empty(), "{tasks:?}");
        return Ok(());
    }
    let [task] = tasks.as_slice() else { anyhow::bail!("{tasks:?}") };
    ensure!(task["deleteReason"] == "completed" && task["assignee"] == CLERK, "{task}");
    let list = format!("history/variable-instance?processInstanceIdIn={instance}");
    let variables = engine.get(&list).await?;
    let variables = variables.as_array().context("no list of variables")?;
    let value = |name: &str| {
        let variable = variables.iter().find(|variable| variable["name"] == name);
        variable.map(|variable| (variable["type"].clone(), variable["value"].clone()))
    };
    ensure!(value("verdict") == Some(("String".into(), "accepted".into())), "{variables:?}");
    ensure!(value("signed_by") == Some(("String".into(), CLERK.into())), "{variables:?}");
    let at = value("assessed_at").context("no date")?;
    ensure!(at.0 == "Date" && at.1.is_string(), "{at:?}");
    Ok(())
}

/// What somebody else completes in the engine leaves her desk.
async fn others_end_it(engine: &Engine, world: &World, number: usize) -> Result<()> {
    let session = Clerk::sign_on(world).await?;
    let instance = begin(engine, number).await?;
    let tasks = engine.get(&format!("external-task?processInstanceId={instance}")).await?;
    let id = tasks[0]["id"].as_str().context("no external task")?.to_owned();
    let item = assigned(world, &session, "assessments", &format!("{id}@new")).await?;

    let task = engine.get(&format!("external-task/{id}")).await?;
    let by_hand = json!({ "workerId": task["workerId"] });
    engine.post(&format!("external-task/{id}/complete"), &by_hand).await?;
    let canceled = |item: &Value| item["status"] == "canceled";
    world.until(&format!("/items/{item}"), canceled).await?;

    let tasks = engine.get(&format!("task?processInstanceId={instance}")).await?;
    let id = tasks[0]["id"].as_str().context("no user task")?.to_owned();
    let item = assigned(world, &session, "signatures", &id).await?;
    let claimed = |task: &Value| task["assignee"] == CLERK;
    engine.until(&format!("task/{id}"), claimed).await?;
    engine.post(&format!("task/{id}/complete"), &json!({})).await?;
    let completed = |item: &Value| item["status"] == "completed";
    world.until(&format!("/items/{item}"), completed).await?;
    let desk = world.hub.admin.get(&format!("/agents/{CLERK}/desk")).await?;
    ensure!(desk["assigned"].as_array().is_some_and(Vec::is_empty), "{desk}");
    Ok(())
}

/// Waits until she is offered a task, and accepts; gives the item.
async fn assigned(
    world: &World,
    session: &gantry_demo::hub::Session,
    capture_point: &str,
    id: &str,
) -> Result<String> {
    let item = world.until_found(&format!("/capture/{capture_point}/{id}")).await?;
    let item = item["item"].as_str().context("an item without id")?.to_owned();
    let offered = |item: &Value| item["status"] == "offered";
    world.until(&format!("/items/{item}"), offered).await?;
    let desk = world.hub.admin.get(&format!("/agents/{CLERK}/desk")).await?;
    let offers = desk["offers"].as_array().context("no offers")?;
    let offer = offers.iter().find(|offer| offer["item"] == item.as_str());
    let epoch = &offer.context("it is not offered to her")?["epoch"];
    session.post(&format!("/offers/{item}/{epoch}/accept"), &json!({})).await?;
    Ok(item)
}
