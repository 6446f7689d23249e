//! A hub on a source system, with an agent, and what the cases ask of both.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use gantry_demo::events::Events;
use gantry_demo::hub::Session;
use serde_json::{Value, json};

use super::{CALLBACK, CAPTURE, SKILL, Setup, SourceSystem};
use crate::place::Place;
use crate::proxy::Proxy;
use crate::world::{WITHIN, World};

/// The agent's id.
const AGENT: &str = "ann";
/// More than any case gives her at once.
const CAPACITY: u32 = 20;

/// A hub on a source system.
pub(super) struct Rig<'a> {
    pub(super) system: &'a mut dyn SourceSystem,
    pub(super) world: World,
    secrets: Vec<String>,
    /// Place in the hub's events up to which captures are counted.
    place: String,
    n_captured: usize,
}

impl<'a> Rig<'a> {
    /// Empties the system and starts a hub on it.
    pub(super) async fn start(system: &'a mut dyn SourceSystem, setup: Setup) -> Result<Self> {
        if let Some(proxy) = system.proxy() {
            proxy.heal().await?;
        }
        system.clear().await?;
        let place = Place::new(&[("source", system.config(&setup))])?;
        // Plug-ins run as another user than the hub.
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755))?;
        system.place_at(&place.path(""))?;
        let env = system.env(&setup);
        let vars: Vec<_> =
            env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let world = World::start(place, &vars).await?;
        system.hub_at(&world.hub.admin.base).await?;
        let secrets = env.into_iter().map(|(_, value)| value).collect();
        Ok(Self { system, world, secrets, place: "0".to_owned(), n_captured: 0 })
    }

    /// Kills the hub and starts another one in its place.
    pub(super) async fn kill_hub(mut self) -> Result<Self> {
        self.world = self.world.kill_and_start().await?;
        self.system.hub_at(&self.world.hub.admin.base).await?;
        Ok(self)
    }

    pub(super) fn proxy(&self) -> Result<&Proxy> {
        self.system.proxy().context("the system has no network: waive this case")
    }

    /// One record with this text; its external id.
    pub(super) async fn put(&mut self, text: &str) -> Result<String> {
        let ids = self.system.put(&[text.to_owned()]).await?;
        ids.into_iter().next().context("no external id for the record")
    }

    /// Waits until so many records have become items, all in all.
    pub(super) async fn captured(&mut self, n: usize) -> Result<()> {
        let Self { world, place, n_captured, .. } = self;
        let count = async {
            let mut events = Events::after(&world.hub.admin, place).await?;
            while *n_captured < n {
                let event = events.next().await?;
                *place = format!("{}-{}", event["seq"], event["index"]);
                if event["event"] == "captured" && is_ours(&event) {
                    *n_captured += 1;
                }
            }
            anyhow::Ok(())
        };
        let counted = tokio::time::timeout(WITHIN, count).await;
        let status = world.hub.admin.get("/status").await?;
        let found = *n_captured;
        counted.with_context(|| {
            let capture = &status["captures"][CAPTURE];
            format!("{found} of {n} records became items\n{capture:#}\n{}", world.hub.log_tail())
        })?
    }

    /// The item of a record, once it is as wanted.
    pub(super) async fn item(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let path = format!("/capture/{CAPTURE}/{}", escaped(id));
        let item = self.world.until_found(&path).await?;
        let item = item["item"].as_str().context("an item without id")?.to_owned();
        self.world.until(&format!("/items/{item}"), wanted).await
    }

    /// Every item of the capture point is one of these, and each of these has one.
    pub(super) async fn has_exactly(&self, ids: &[String]) -> Result<()> {
        let mut seen = BTreeSet::new();
        let mut after = String::new();
        loop {
            let path = format!("/items?limit=500{after}");
            let page = self.world.hub.admin.get(&path).await?;
            for item in page["items"].as_array().context("no items")? {
                if item["capture_point"] == CAPTURE {
                    let id = item["external_id"].as_str().context("an item without id")?;
                    ensure!(seen.insert(id.to_owned()), "{id} has two items");
                }
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let wanted: BTreeSet<_> = ids.iter().cloned().collect();
        let missing: Vec<_> = wanted.difference(&seen).take(5).collect();
        let surplus: Vec<_> = seen.difference(&wanted).take(5).collect();
        ensure!(seen == wanted, "missing {missing:?}, too many {surplus:?}");
        Ok(())
    }

    /// The agent comes, and is offered the item of a record and accepts it.
    pub(super) async fn assigned(&self, id: &str) -> Result<Assignment> {
        let ann = json!({
            "id": AGENT, "name": "Ann", "skills": { SKILL: 90 },
            "capacity": { "workitem": CAPACITY },
        });
        self.world.hub.admin.put(&format!("/agents/{AGENT}"), &ann).await?;
        let session = self.world.hub.sign_in(AGENT).await?;
        let ready = json!({ "state": "ready" });
        session.put(&format!("/agents/{AGENT}/presence"), &ready).await?;
        let item = self.item(id, |item| item["status"] == "offered").await?;
        let item = item["item"].as_str().context("an item without id")?.to_owned();
        let desk = self.desk().await?;
        let offers = desk["offers"].as_array().context("no offers")?;
        let offer = offers.iter().find(|offer| offer["item"] == item.as_str());
        let epoch = offer.context("it is not offered to her")?["epoch"].clone();
        session.post(&format!("/offers/{item}/{epoch}/accept"), &json!({})).await?;
        Ok(Assignment { item, epoch, session })
    }

    pub(super) async fn desk(&self) -> Result<Value> {
        self.world.hub.admin.get(&format!("/agents/{AGENT}/desk")).await
    }

    /// The hub stops in good order, its journal is sound, and no secret stands in what it wrote.
    pub(super) async fn end(self) -> Result<()> {
        let status = self.world.hub.admin.get("/status").await?.to_string();
        let log = fs::read_to_string(self.world.place.path("hub.log"))?;
        let places = [("status", status), ("log", log)];
        for (at, secret) in self.secrets.iter().enumerate() {
            let leak = places.iter().find(|(_, text)| text.contains(secret.as_str()));
            ensure!(leak.is_none(), "secret {at} stands in the {:?}", leak.map(|(place, _)| place));
        }
        self.world.stop_and_verify().await
    }
}

/// An item that the agent has.
pub(super) struct Assignment {
    pub(super) item: String,
    epoch: Value,
    session: Session,
}

impl Assignment {
    /// She marks it done.
    pub(super) async fn done(&self) -> Result<()> {
        let path = format!("/assignments/{}/{}/done", self.item, self.epoch);
        self.session.post(&path, &json!({ "disposition": "converted" })).await.map(drop)
    }
}

/// The suite's callback, as the status shows it.
pub(super) fn callback(status: &Value) -> &Value {
    &status["callbacks"][CALLBACK]
}

fn is_ours(event: &Value) -> bool {
    event["data"]["capture_point"].as_str().is_none_or(|name| name == CAPTURE)
}

/// An external id as a part of a path.
fn escaped(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    id.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
