//! An agent who accepts every offer and marks it done, with a disposition by the item's name.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gantry_demo::events::Events;
use gantry_demo::hub::Session;
use gantry_tests::world::World;
use serde_json::{Value, json};

/// Her id, also that of the engine's user.
pub(super) const CLERK: &str = "maya";
/// What she is asked to do has to be done within this time, also while callbacks wait to be tried
/// again.
const WITHIN: Duration = Duration::from_mins(3);

/// An agent and what she has seen.
pub(super) struct Clerk {
    /// The last event that was answered, as `COMMIT-INDEX`.
    place: String,
    /// Items that ended.
    pub(super) n_completed: usize,
}

impl Clerk {
    pub(super) const fn new() -> Self {
        Self { place: String::new(), n_completed: 0 }
    }

    /// Signs on; the hub keeps her, so again is no change.
    pub(super) async fn sign_on(world: &World) -> Result<Session> {
        let profile = json!({
            "id": CLERK, "name": "Maya", "skills": { "sales": 90 }, "capacity": { "workitem": 5 },
        });
        world.hub.admin.put(&format!("/agents/{CLERK}"), &profile).await?;
        let session = world.hub.sign_in(CLERK).await?;
        let ready = json!({ "state": "ready" });
        session.put(&format!("/agents/{CLERK}/presence"), &ready).await?;
        Ok(session)
    }

    /// Works until so many items have been completed, all in all.
    pub(super) async fn work_until(&mut self, world: &World, n: usize) -> Result<()> {
        let worked = tokio::time::timeout(WITHIN, self.work(world, n)).await;
        let Ok(worked) = worked else {
            let status = world.hub.admin.get("/status").await?;
            let (done, log) = (self.n_completed, world.hub.log_tail());
            bail!("{done} of {n} items are completed; {status:#}\n{log}");
        };
        worked
    }

    async fn work(&mut self, world: &World, n: usize) -> Result<()> {
        let session = Self::sign_on(world).await?;
        let after = if self.place.is_empty() { "0" } else { &self.place };
        let mut events = Events::after(&world.hub.admin, after).await?;
        // What lay on her desk when the hub was killed.
        let desk = world.hub.admin.get(&format!("/agents/{CLERK}/desk")).await?;
        for item in desk["assigned"].as_array().context("no desk")? {
            self.finish(world, &session, &item["item"], &item["epoch"]).await?;
        }
        while self.n_completed < n {
            let event = events.next().await?;
            match event["event"].as_str().unwrap_or_default() {
                "offered" => {
                    let (item, epoch) = (&event["item"], &event["data"]["epoch"]);
                    let path = format!("/offers/{}/{epoch}/accept", text(item));
                    if act(&session, &path, json!({})).await? {
                        self.finish(world, &session, item, epoch).await?;
                    }
                }
                "completed" => self.n_completed += 1,
                _ => {}
            }
            self.place = format!("{}-{}", event["seq"], event["index"]);
        }
        Ok(())
    }

    async fn finish(
        &self,
        world: &World,
        session: &Session,
        item: &Value,
        epoch: &Value,
    ) -> Result<()> {
        let id = text(item);
        let known = world.hub.admin.get(&format!("/items/{id}")).await?;
        let attributes = &known["attributes"];
        let name = attributes["name"].as_str().unwrap_or_default();
        let is_assessment = known["capture_point"] == "assessments";
        let disposition = match name.chars().last() {
            Some('3') if is_assessment => "unfit",
            Some('4') if is_assessment && attributes["tries_left"].is_null() => "missing",
            _ => "accepted",
        };
        if !is_assessment {
            ensure!(attributes["verdict"] == "accepted", "not looked up: {known}");
            ensure!(attributes["process_state"] == "ACTIVE", "not looked up: {known}");
        }
        let path = format!("/assignments/{id}/{epoch}/done");
        act(session, &path, json!({ "disposition": disposition })).await.map(drop)
    }
}

/// Acts on an offer or assignment; `false` if it has moved on meanwhile.
async fn act(session: &Session, path: &str, body: Value) -> Result<bool> {
    let headers = [("content-type", "application/json".to_owned())];
    let (status, answer) = session.raw(path, &headers, body.to_string()).await?;
    let moved_on = matches!(status, 403 | 404 | 409);
    ensure!(status < 300 || moved_on, "{path}: {status}: {answer}");
    Ok(status < 300)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
