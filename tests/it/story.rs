//! One story on real servers: a mail, a task of a process and a lead of one customer, from the
//! systems they come from to the people who do them and back. It prints its timeline.

use std::fs;

use anyhow::{Context, Result, ensure};
use gantry_demo::hub::Session;
use gantry_tests::built;
use gantry_tests::peers::engine::{Engine, Product};
use gantry_tests::peers::mail::{BOB, Dovecot, Postfix, SUPPORT, SUPPORT_PASSWORD};
use gantry_tests::peers::salesforce::{Org, SECRET};
use gantry_tests::place::Place;
use gantry_tests::postgres::Postgres;
use gantry_tests::world::World;
use serde_json::{Value, json};
use sqlx::PgPool;

/// The systems around the hub.
struct Systems {
    postfix: Postfix,
    dovecot: Dovecot,
    engine: Engine,
    org: Org,
    postgres: Postgres,
    customers: PgPool,
}

impl Systems {
    /// `None`, after a loud word, where one of them cannot be had.
    async fn start() -> Result<Option<Self>> {
        let Some(dovecot) = Dovecot::start().await? else { return Ok(None) };
        let Some(postfix) = Postfix::start(&dovecot).await? else { return Ok(None) };
        let Some(engine) = Engine::start(Product::Camunda7).await? else { return Ok(None) };
        let (Some(org), Some((postgres, customers))) =
            (Org::start().await?, Postgres::start().await?)
        else {
            eprintln!("SKIPPED: Python or PostgreSQL is not installed");
            return Ok(None);
        };
        Ok(Some(Self { postfix, dovecot, engine, org, postgres, customers }))
    }

    async fn hub(&self) -> Result<World> {
        let config = built::case("story/gantry.toml")?
            .replace("@IMAPS@", &self.dovecot.imaps.to_string())
            .replace("@SMTP@", &self.postfix.submission.to_string())
            .replace("@CA@", &self.dovecot.certificate().display().to_string())
            .replace("@ENGINE@", &self.engine.endpoint())
            .replace("@ORG@", self.org.endpoint())
            .replace("@POSTGRES@", &self.postgres.port.to_string());
        let place = Place::new(&[])?;
        fs::write(place.path("gantry.toml"), config)?;
        let secrets = [("MAIL_PASSWORD", SUPPORT_PASSWORD), ("SALESFORCE_SECRET", SECRET)];
        World::start(place, &secrets).await
    }

    /// What the customer sets off in each of them; gives the ids of process and lead.
    async fn set_off(&self) -> Result<(String, String)> {
        let known = "CREATE TABLE customers (email text PRIMARY KEY, tier text);
            INSERT INTO customers VALUES ('bob@hub.test', 'gold');";
        sqlx::raw_sql(known).execute(&self.customers).await?;
        self.engine.deploy("refund", &built::case("story/decision.bpmn")?).await?;
        let asked = json!({ "customer": { "value": BOB }, "amount": { "value": 900 } });
        let process = self.engine.begin("refund", "R-1", &asked).await?;
        let lead = json!({
            "LastName": "Builder", "Company": "Bob & Co", "Status": "Open", "Customer_Id__c": BOB,
        });
        let lead = self.org.insert("Lead", &[lead]).await?.remove(0);
        let mail = format!(
            "From: Bob <{BOB}>\nTo: {SUPPORT}\nMessage-ID: <m-1@bob>\nSubject: Where is my money?\n\
             Date: Mon, 02 Nov 2026 10:00:00 +0100\n\nYou owe me 900.\n"
        );
        self.dovecot.deliver(SUPPORT, &[mail]).await?;
        Ok((process, lead))
    }
}

/// Somebody with one skill signs on.
async fn comes(world: &World, agent: &str, skill: &str) -> Result<Session> {
    let profile = json!({
        "id": agent, "name": agent, "skills": { skill: 90 }, "capacity": { "workitem": 1 },
    });
    world.hub.admin.put(&format!("/agents/{agent}"), &profile).await?;
    let session = world.hub.sign_in(agent).await?;
    session.put(&format!("/agents/{agent}/presence"), &json!({ "state": "ready" })).await?;
    Ok(session)
}

async fn event(world: &World, item: &Value, name: &str, agent: &str) -> Result<Value> {
    let is_it = |event: &Value| {
        let whose = agent.is_empty() || event["data"]["agent"] == agent;
        event["event"] == name && event["item"] == item["item"] && whose
    };
    world.event(is_it).await.with_context(|| format!("waiting for {name} of {item}"))
}

/// Takes what is offered, and ends it.
async fn works_off(
    world: &World,
    (session, agent): (&Session, &str),
    item: &Value,
    disposition: &str,
) -> Result<()> {
    let offered = event(world, item, "offered", agent).await?;
    let (id, epoch) = (item["item"].as_str().context("no id")?, &offered["data"]["epoch"]);
    session.post(&format!("/offers/{id}/{epoch}/accept"), &json!({})).await?;
    let done = json!({ "disposition": disposition });
    session.post(&format!("/assignments/{id}/{epoch}/done"), &done).await?;
    event(world, item, "completed", "").await.map(drop)
}

#[tokio::test]
async fn a_mail_a_decision_and_a_lead_of_one_customer_are_done() -> Result<()> {
    let Some(systems) = Systems::start().await? else { return Ok(()) };
    let (process, lead) = systems.set_off().await?;
    let world = systems.hub().await?;
    let tasks = systems.engine.get(&format!("external-task?processInstanceId={process}")).await?;
    let task = tasks[0]["id"].as_str().context("the process asks for nothing")?;
    let refund = world.queued("refunds", task).await?;
    let mail = world.queued("inbox", "m-1@bob").await?;
    let lead_item = world.queued("leads", &lead).await?;
    for item in [&mail, &refund, &lead_item] {
        ensure!(item["attributes"]["tier"] == "gold", "{item}");
    }

    // Rex is there and does not look: the decision goes on to Carla.
    let _rex = comes(&world, "rex", "decisions").await?;
    event(&world, &refund, "offered", "rex").await?;
    let carla = comes(&world, "carla", "decisions").await?;
    works_off(&world, (&carla, "carla"), &refund, "paid").await?;
    let ann = comes(&world, "ann", "mail").await?;
    let reply = json!({ "reply": "It is on its way." });
    world.post("/capture/inbox/m-1@bob/update", &reply).await?;
    works_off(&world, (&ann, "ann"), &mail, "answered").await?;
    let sam = comes(&world, "sam", "sales").await?;
    works_off(&world, (&sam, "sam"), &lead_item, "converted").await?;

    let answer = "mailbox INBOX header references m-1@bob body way.";
    systems.dovecot.until(BOB, answer, 1).await?;
    let ended = systems.engine.get(&format!("history/process-instance/{process}")).await?;
    ensure!(ended["state"] == "COMPLETED", "{ended}");
    let verdicts = format!("history/variable-instance?processInstanceId={process}");
    let verdicts = systems.engine.get(&verdicts).await?;
    let verdict = verdicts.as_array().into_iter().flatten().find(|it| it["name"] == "verdict");
    ensure!(verdict.is_some_and(|verdict| verdict["value"] == "paid"), "{verdicts}");
    systems.org.until("Lead", &lead, |lead| lead["IsConverted"] == true).await?;
    let n_rona = tell(&world, &[&mail, &refund, &lead_item]).await?;
    ensure!(n_rona == 1, "RONA {n_rona} times");
    world.stop_and_verify().await
}

/// What the timeline tells.
const TOLD: [&str; 8] =
    ["captured", "enriched", "queued", "offered", "rona", "assigned", "done", "completed"];

/// Prints what happened to the items, in its order; gives how often nobody answered.
async fn tell(world: &World, items: &[&Value]) -> Result<usize> {
    let mut lines = Vec::new();
    let mut n_rona = 0;
    for item in items {
        let id = item["item"].as_str().context("no id")?;
        let history = world.hub.admin.get(&format!("/items/{id}/history?limit=200")).await?;
        for entry in history["entries"].as_array().context("no history")? {
            let (name, data) = (entry["event"].as_str().unwrap_or_default(), &entry["data"]);
            n_rona += usize::from(name == "rona");
            if !TOLD.contains(&name) {
                continue;
            }
            let agent = data["agent"].as_str().unwrap_or_default();
            let order = (entry["seq"].as_u64(), entry["index"].as_u64());
            let at: jiff::Timestamp = entry["at"].as_str().unwrap_or_default().parse()?;
            let at = at.strftime("%T%.3f");
            let what = item["attributes"]["name"].as_str().unwrap_or_default();
            lines.push((order, format!("{at}  {what:24}  {name:10} {agent}")));
        }
    }
    lines.sort();
    for (_, line) in lines {
        eprintln!("{}", line.trim_end());
    }
    Ok(n_rona)
}
