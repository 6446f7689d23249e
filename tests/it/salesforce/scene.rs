//! An org and a hub on the shipped example, with an agent who can do all its work.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gantry_demo::hub::Session;
use gantry_tests::peers::salesforce::{Org, SECRET};
use gantry_tests::place::Place;
use gantry_tests::world::World;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// An org and a hub that captures from it.
pub(super) struct Scene {
    pub(super) org: Org,
    pub(super) world: World,
}

/// The example as it ships, at this address, asking often and for what is just there.
pub(super) fn config(endpoint: &str, changes: &[(&str, &str)]) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let text = fs::read_to_string(root.join("examples/salesforce/gantry.toml"))?;
    let ours = [
        ("https://acme.my.salesforce.com", endpoint),
        ("127.0.0.1:8080", "127.0.0.1:0"),
        ("every = \"30s\"", "every = \"100ms\""),
        ("lag = \"15s\"", "lag = \"0s\""),
    ];
    ours.iter().chain(changes).try_fold(text, |text, (old, new)| {
        ensure!(text.contains(old), "the example does not hold {old}");
        Ok(text.replace(old, new))
    })
}

/// A folder with the example and the plug-ins.
pub(super) fn place(endpoint: &str, changes: &[(&str, &str)]) -> Result<Place> {
    let place = Place::new(&[])?;
    fs::write(place.path("gantry.toml"), config(endpoint, changes)?)?;
    Ok(place)
}

pub(super) const ENV: [(&str, &str); 1] = [("SALESFORCE_SECRET", SECRET)];

/// An org, or a loud word on why there is none.
pub(super) async fn org(options: &[String]) -> Result<Option<Org>> {
    let org = Org::start_with(options).await?;
    if org.is_none() {
        eprintln!("SKIPPED: Python is not installed");
    }
    Ok(org)
}

impl Scene {
    /// Starts both; `None` where Python is not installed.
    pub(super) async fn start(changes: &[(&str, &str)]) -> Result<Option<Self>> {
        let Some(org) = org(&[]).await? else { return Ok(None) };
        Self::with(org, changes).await.map(Some)
    }

    /// Starts a hub on an org.
    pub(super) async fn with(org: Org, changes: &[(&str, &str)]) -> Result<Self> {
        let world = World::start(place(org.endpoint(), changes)?, &ENV).await?;
        Ok(Self { org, world })
    }

    /// Somebody who does everything signs on.
    pub(super) async fn anna(&self) -> Result<Session> {
        let hub = &self.world.hub;
        let skills = json!({ "sales": 90, "service": 90 });
        let profile = json!({ "id": "anna", "name": "Anna", "skills": skills, "capacity": { "workitem": 9 } });
        hub.admin.put("/agents/anna", &profile).await?;
        let anna = hub.sign_in("anna").await?;
        anna.put("/agents/anna/presence", &json!({ "state": "ready" })).await?;
        Ok(anna)
    }

    /// Waits until so many leads have become items, and that none is double or missing.
    pub(super) async fn captured(&self, ids: &[String]) -> Result<()> {
        let n = ids.len();
        let path = "/items?limit=500";
        let count = |page: &Value| page["items"].as_array().map_or(0, Vec::len);
        let page = self.world.until(path, |page| count(page) >= n).await?;
        let items = page["items"].as_array().context("no items")?;
        let mut found: Vec<_> = items.iter().map(|item| text(item, "external_id")).collect();
        found.sort_unstable();
        let mut wanted: Vec<_> = ids.iter().map(String::as_str).collect();
        wanted.sort_unstable();
        ensure!(found == wanted, "captured {found:?}, not {wanted:?}");
        Ok(())
    }

    /// Waits for an event of an item.
    pub(super) async fn event(&self, item: &Value, name: &str) -> Result<Value> {
        let found =
            self.world.event(|event| event["event"] == name && event["item"] == item["item"]);
        found.await.with_context(|| format!("waiting for {name} of {item}"))
    }

    /// Takes the item that is offered.
    pub(super) async fn accept(&self, anna: &Session, item: &Value) -> Result<Value> {
        let offered = self.event(item, "offered").await?;
        let epoch = &offered["data"]["epoch"];
        let path = format!("/offers/{}/{epoch}/accept", text(item, "item"));
        anna.post(&path, &json!({})).await?;
        Ok(epoch.clone())
    }

    /// Takes the item that is offered and ends it.
    pub(super) async fn work(&self, anna: &Session, item: &Value, result: &str) -> Result<()> {
        let epoch = self.accept(anna, item).await?;
        let path = format!("/assignments/{}/{epoch}/done", text(item, "item"));
        anna.post(&path, &json!({ "disposition": result })).await?;
        Ok(())
    }
}

pub(super) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// So many leads that changed a minute ago, all at once: one walk meets all of them.
pub(super) fn old_leads(n: usize) -> Vec<Value> {
    let stamp = Timestamp::now() - SignedDuration::from_mins(1);
    let stamp = stamp.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string();
    let old = |n| {
        let mut lead = lead(&format!("Lead {n}"));
        lead["SystemModstamp"] = stamp.as_str().into();
        lead
    };
    (0..n).map(old).collect()
}

/// A lead with what the org requires of one.
pub(super) fn lead(name: &str) -> Value {
    json!({ "LastName": name, "Company": "Acme", "Status": "Open" })
}
