//! Plays the employees: accepts every offer and finishes every case, driven by the hub's events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gantry_demo::events::Events;
use gantry_demo::hub::{Hub, Session};
use serde_json::{Value, json};

use super::agents::Staff;

/// The whole run of one life of the hub must end within this time.
const LIFE_MAX: Duration = Duration::from_mins(2);

/// What was seen over all lives of the hub.
pub(super) struct Player {
    n_cases: usize,
    /// The last event that was answered, as `COMMIT-INDEX`.
    place: String,
    completed: BTreeSet<String>,
    sessions: BTreeMap<String, Session>,
}

impl Player {
    pub(super) fn new(n_cases: usize) -> Self {
        Self { n_cases, place: "0".into(), completed: BTreeSet::new(), sessions: BTreeMap::new() }
    }

    /// Works until everything is completed, the hub has journaled `at_commit`, or the hub is gone.
    pub(super) async fn work_until(
        &mut self,
        hub: &Hub,
        staff: &Staff,
        at_commit: Option<u64>,
    ) -> Result<()> {
        let played = tokio::time::timeout(LIFE_MAX, self.play(hub, staff, at_commit)).await;
        let Ok(result) = played else {
            let (completed, n_cases) = (self.completed.len(), self.n_cases);
            let status = hub.admin.get("/status").await?;
            let open = hub.admin.get("/items?status=open&limit=1").await?;
            let log = hub.log_tail();
            bail!("{completed} of {n_cases} done in time; status {status}; open {open}\n{log}");
        };
        match result {
            Ok(()) => Ok(()),
            // The connection broke because the hub is gone: that is what the run is about.
            Err(error) if is_broken_connection(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn play(&mut self, hub: &Hub, staff: &Staff, at_commit: Option<u64>) -> Result<()> {
        let mut events = Events::after(&hub.admin, &self.place).await?;
        self.sign_on(hub, staff).await?;
        self.resume(hub).await?;
        while self.completed.len() < self.n_cases {
            let event = events.next().await?;
            let seq = event["seq"].as_u64().context("an event without a commit")?;
            if at_commit.is_some_and(|limit| seq >= limit) {
                return Ok(());
            }
            self.answer(hub, &event).await?;
            self.place = format!("{seq}-{}", event["index"]);
        }
        Ok(())
    }

    /// Everybody signs on. The hub keeps people and presence, so again is no change.
    async fn sign_on(&mut self, hub: &Hub, staff: &Staff) -> Result<()> {
        for (id, profile) in &staff.0 {
            hub.admin.put(&format!("/agents/{id}"), profile).await?;
            let mut session = match self.sessions.remove(id) {
                Some(session) => session,
                None => hub.sign_in(id).await?,
            };
            session.base.clone_from(&hub.admin.base);
            session.put(&format!("/agents/{id}/presence"), &json!({ "state": "ready" })).await?;
            self.sessions.insert(id.clone(), session);
        }
        Ok(())
    }

    /// Goes on with what the employees had on their desks when the hub was killed.
    async fn resume(&self, hub: &Hub) -> Result<()> {
        for (id, session) in &self.sessions {
            let desk = hub.admin.get(&format!("/agents/{id}/desk")).await?;
            for offer in list(&desk, "offers") {
                work(session, text(offer, "item"), &offer["epoch"]).await?;
            }
            for item in list(&desk, "assigned") {
                finish(session, text(item, "item"), &item["epoch"]).await?;
            }
        }
        Ok(())
    }

    async fn answer(&mut self, hub: &Hub, event: &Value) -> Result<()> {
        let item = text(event, "item");
        match text(event, "event") {
            "offered" => {
                let agent = text(&event["data"], "agent");
                let session = self.sessions.get(agent).context("an unknown agent")?;
                work(session, item, &event["data"]["epoch"]).await?;
            }
            "rona" => {
                // A slow machine let it ring; the employee is back.
                let agent = text(&event["data"], "agent");
                let path = format!("/agents/{agent}/presence");
                hub.admin.put(&path, &json!({ "state": "ready" })).await?;
            }
            "completed" => {
                ensure!(self.completed.insert(item.to_owned()), "{item} was completed twice");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Accepts an offer and finishes the case, unless the offer is no longer there.
async fn work(session: &Session, item: &str, epoch: &Value) -> Result<()> {
    if act(session, &format!("/offers/{item}/{epoch}/accept")).await? {
        finish(session, item, epoch).await?;
    }
    Ok(())
}

async fn finish(session: &Session, item: &str, epoch: &Value) -> Result<()> {
    let path = format!("/assignments/{item}/{epoch}/done");
    let body = json!({ "disposition": "Processed" }).to_string();
    let headers = [("content-type", "application/json".to_owned())];
    let (status, text) = session.raw(&path, &headers, body).await?;
    ensure!(allowed(status), "{path}: {status}: {text}");
    Ok(())
}

/// Acts on an offer; `false` if it is no longer there.
async fn act(session: &Session, path: &str) -> Result<bool> {
    let headers = [("content-type", "application/json".to_owned())];
    let (status, text) = session.raw(path, &headers, "{}").await?;
    ensure!(allowed(status), "{path}: {status}: {text}");
    Ok(status < 300)
}

/// Done, or refused because the item has moved on meanwhile.
fn allowed(status: u16) -> bool {
    status < 300 || matches!(status, 403 | 404 | 409)
}

fn is_broken_connection(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some()
            || cause.to_string().contains("stream of events")
            || cause.to_string().contains("error sending request")
    })
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
