//! The people: each signs in, takes what is offered, works a moment, and says what came of it.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::hub::{Hub, Session};

/// A demo agent.
#[derive(Debug)]
pub struct Person {
    /// The customer's own id.
    pub id: &'static str,
    name: &'static str,
    skills: &'static [(&'static str, u8)],
    group: &'static str,
    capacity: u16,
    /// Lets the first offer ring.
    day_dreams: bool,
}

/// The agents of the company.
pub const PEOPLE: [Person; 5] = [
    Person {
        id: "anna",
        name: "Anna Albers",
        skills: &[("sales", 90), ("legacy", 40)],
        group: "berlin",
        capacity: 2,
        day_dreams: false,
    },
    Person {
        id: "ben",
        name: "Ben Bastos",
        skills: &[("sales", 60), ("orders", 30)],
        group: "lisbon",
        capacity: 2,
        day_dreams: false,
    },
    Person {
        id: "chloe",
        name: "Chloé Conrad",
        skills: &[("orders", 80), ("service", 50)],
        group: "berlin",
        capacity: 2,
        day_dreams: false,
    },
    Person {
        id: "dmitri",
        name: "Dmitri Dahl",
        skills: &[("sales", 75), ("legacy", 20)],
        group: "berlin",
        capacity: 1,
        day_dreams: true,
    },
    Person {
        id: "eva",
        name: "Eva Esteves",
        skills: &[("orders", 60), ("sales", 20)],
        group: "lisbon",
        capacity: 2,
        day_dreams: false,
    },
];

/// How often an agent looks at the desk.
const LOOK: Duration = Duration::from_millis(40);

/// Creates the agents.
pub async fn hire(hub: &Hub) -> Result<()> {
    for person in &PEOPLE {
        let skills: serde_json::Map<_, _> =
            person.skills.iter().map(|(skill, level)| ((*skill).into(), (*level).into())).collect();
        let profile = json!({
            "id": person.id,
            "name": person.name,
            "skills": skills,
            "groups": [person.group],
            "capacity": { "workitem": person.capacity },
        });
        hub.admin.put(&format!("/agents/{}", person.id), &profile).await?;
    }
    Ok(())
}

/// Signs an agent on.
pub async fn sign_on(hub: &Session, agent: &str) -> Result<()> {
    hub.put(&format!("/agents/{agent}/presence"), &json!({ "state": "ready" })).await?;
    Ok(())
}

/// Works until the future is dropped.
pub async fn work(hub: &Hub, person: &Person, pause: Duration) -> Result<()> {
    let mut day_dreams = person.day_dreams;
    let hub = &hub.sign_in(person.id).await?;
    sign_on(hub, person.id).await?;
    loop {
        let desk = hub.get(&format!("/agents/{}/desk", person.id)).await?;
        if desk["presence"]["state"] == "not_ready" {
            // The hub made the agent not ready, because an offer rang unheard.
            day_dreams = false;
            sign_on(hub, person.id).await?;
        }
        if !day_dreams {
            for offer in list(&desk, "offers") {
                let path = format!("/offers/{}/{}/accept", text(offer, "item"), offer["epoch"]);
                // The offer may be gone by now; then there is nothing to accept.
                let _ = hub.post(&path, &json!({})).await;
            }
        }
        for item in list(&desk, "assigned") {
            tokio::time::sleep(pause).await;
            finish(hub, item).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn finish(hub: &Session, item: &Value) {
    let choices = list(item, "dispositions");
    let pick = text(item, "item").bytes().map(usize::from).sum::<usize>();
    let disposition = choices.get(pick % choices.len().max(1)).cloned().unwrap_or(Value::Null);
    let path = format!("/assignments/{}/{}/done", text(item, "item"), item["epoch"]);
    // A supervisor or the source may have taken it back; then it is not ours to finish.
    let _ = hub.post(&path, &json!({ "disposition": disposition })).await;
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
