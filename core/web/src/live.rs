//! Questions to the live state, all in one place; and the document that goes with an item.
//!
//! The questions run on the hub's thread: each touches a bounded number of items or agents.

use gantry_hub::{Error, Handle, Health, LiveExplanation, State};
use gantry_model::priority::Priority;
use gantry_model::{Agent, Document, ItemId, Name, Timestamp, WorkItem};

use crate::app::App;
use crate::problem::Problem;

/// An agent's desk as the engine sees it.
pub(crate) struct LiveDesk {
    pub(crate) agent: Agent,
    pub(crate) items: Vec<(WorkItem, Option<Priority>)>,
    pub(crate) now: Timestamp,
}

/// Asks the live state. While the store refuses commits, the hub shows nothing new, and would
/// answer only once it takes them again; nobody here waits for that.
async fn ask<R, F>(hub: &Handle, question: F) -> Result<R, Error>
where
    R: Send + 'static,
    F: FnOnce(&State, Timestamp) -> R + Send + 'static,
{
    tokio::select! {
        answer = hub.query(question) => answer,
        reason = degraded(hub) => Err(Error::Unavailable { reason }),
    }
}

/// Waits until the store refuses commits, and gives the reason.
async fn degraded(hub: &Handle) -> String {
    let mut health = hub.health();
    loop {
        if let Health::Degraded { reason } = &*health.borrow_and_update() {
            return reason.clone();
        }
        if health.changed().await.is_err() {
            // The hub is gone, which the question itself finds out.
            return std::future::pending().await;
        }
    }
}

/// Live priorities of items that have one, in the order asked, and the instant they hold for.
pub(crate) async fn priorities(
    hub: &Handle,
    items: Vec<ItemId>,
) -> Result<(Vec<Option<Priority>>, Timestamp), Error> {
    ask(hub, move |state, now| {
        let priority = |id: &ItemId| {
            let item = state.item(*id).filter(|item| item.routing_at.is_some())?;
            Some(state.priority(now, &item).0)
        };
        (items.iter().map(priority).collect(), now)
    })
    .await
}

/// An item that has not ended.
pub(crate) async fn item(hub: &Handle, id: ItemId) -> Result<Option<WorkItem>, Error> {
    ask(hub, move |state, _| state.item(id)).await
}

/// The waiting items that are most urgent now.
pub(crate) async fn top(
    hub: &Handle,
    count: usize,
) -> Result<(Vec<(ItemId, Priority)>, Timestamp), Error> {
    ask(hub, move |state, now| {
        let top = state.top(now, count);
        (top.into_iter().map(|(item, priority)| (item.id, priority)).collect(), now)
    })
    .await
}

/// The active config version.
pub(crate) async fn config_version(hub: &Handle) -> Result<u32, Error> {
    ask(hub, |state, _| state.config_version()).await
}

/// All agents, in order of id.
pub(crate) async fn agents(hub: &Handle) -> Result<Vec<Agent>, Error> {
    ask(hub, |state, _| state.agents().cloned().collect()).await
}

/// An agent.
pub(crate) async fn agent(hub: &Handle, id: &Name) -> Result<Option<Agent>, Error> {
    let id = id.clone();
    ask(hub, move |state, _| state.agent(&id).cloned()).await
}

/// An agent's desk; none = no such agent.
pub(crate) async fn desk(hub: &Handle, id: &Name) -> Result<Option<LiveDesk>, Error> {
    let id = id.clone();
    ask(hub, move |state, now| {
        let agent = state.agent(&id)?.clone();
        let with_priority = |item: WorkItem| {
            let priority = item.routing_at.map(|_| state.priority(now, &item).0);
            (item, priority)
        };
        let items = state.desk(&id).map(with_priority).collect();
        Some(LiveDesk { agent, items, now })
    })
    .await
}

/// How an item stands and why, now or, as things stand now, at an instant to come; none = it has
/// ended.
pub(crate) async fn explanation(
    hub: &Handle,
    id: ItemId,
    at: Option<Timestamp>,
) -> Result<Option<LiveExplanation>, Error> {
    ask(hub, move |state, now| state.explain_at(at.unwrap_or(now).max(now), id)).await
}

/// The current document of an item.
pub(crate) async fn document(app: &App, item: ItemId) -> Result<Document, Problem> {
    let Some(row) = app.store.document(item, None).await? else {
        return Ok(Document::default());
    };
    let spec = app.intake.spec();
    Document::from_slice(&row.attributes, |name| spec.attribute_type(name))
        .map_err(|error| Problem::internal(&error))
}
