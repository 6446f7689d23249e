//! Questions to the live state, all in one place; and the document that goes with an item.
//!
//! The questions run on the hub's thread: each touches a bounded number of items or agents.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use gantry_hub::{Error, Handle, Health, LiveExplanation, Next, NextError, State, WaitingCall};
use gantry_model::decision::Candidate;
use gantry_model::priority::Priority;
use gantry_model::{Agent, Document, ItemId, Name, Timestamp, WorkItem, Workbin};
use serde::Serialize;

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
pub(crate) async fn ask<R, F>(hub: &Handle, question: F) -> Result<R, Error>
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

/// What lies in a workbin.
pub(crate) struct LiveBin {
    /// The most urgent of it, most urgent first.
    pub(crate) items: Vec<(WorkItem, Priority)>,
    pub(crate) count: usize,
    pub(crate) now: Timestamp,
}

/// A workbin and the first of what lies in it.
pub(crate) async fn workbin(
    hub: &Handle,
    workbin: &Workbin,
    limit: usize,
) -> Result<LiveBin, Error> {
    let workbin = workbin.clone();
    ask(hub, move |state, now| {
        let with_priority = |item: WorkItem| {
            let priority = state.priority(now, &item).0;
            (item, priority)
        };
        let mut items: Vec<_> = state.workbin(&workbin).map(with_priority).collect();
        let count = items.len();
        items.sort_by_key(|(item, priority)| (Reverse(*priority), item.id));
        items.truncate(limit);
        LiveBin { items, count, now }
    })
    .await
}

/// Workbins in which anything lies, and how much.
pub(crate) async fn workbins(hub: &Handle) -> Result<Vec<(Workbin, usize)>, Error> {
    ask(hub, |state, _| state.workbins()).await
}

/// A queue in figures.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct QueueFigures {
    pub(crate) queue: Name,
    /// Items that wait for an agent.
    pub(crate) waiting: u32,
    /// Since when the one of them is in routing that is so the longest.
    pub(crate) oldest_since: Option<Timestamp>,
    /// The highest priority among them, in whole points.
    pub(crate) top: Option<Priority>,
    /// Items that are offered, assigned or in wrap-up.
    pub(crate) with_agents: u32,
    /// Items in workbins.
    pub(crate) parked: u32,
    /// Open items, wherever they are, whose due date has passed.
    pub(crate) overdue: u32,
}

/// Every queue in figures, by name. Looks at every open item: see [`crate::scan`].
pub(crate) fn queues(state: &State, now: Timestamp) -> Vec<QueueFigures> {
    let known = state.routing().processes.keys();
    let mut queues: BTreeMap<Name, QueueFigures> = known
        .map(|name| (name.clone(), QueueFigures { queue: name.clone(), ..Default::default() }))
        .collect();
    for item in state.items() {
        let Some(name) = item.queue() else { continue };
        let figures = queues.entry(name.clone()).or_default();
        figures.queue = name.clone();
        figures.overdue += u32::from(item.due_at.is_some_and(|due| due <= now));
        figures.with_agents += u32::from(item.occupies().is_some());
        figures.parked += u32::from(item.workbin().is_some() && !item.waiting());
        if item.waiting() {
            figures.waiting += 1;
            figures.top = figures.top.max(Some(state.priority(now, &item).0));
            let since = [figures.oldest_since, item.routing_at];
            figures.oldest_since = since.into_iter().flatten().min();
        }
    }
    queues.into_values().collect()
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

/// How an agent stands to a waiting item; none = it does not wait, or there is no such agent.
pub(crate) async fn why_not(
    hub: &Handle,
    id: ItemId,
    agent: &Name,
    at: Option<Timestamp>,
) -> Result<Option<Candidate>, Error> {
    let agent = agent.clone();
    ask(hub, move |state, now| state.why_not(at.unwrap_or(now).max(now), id, &agent)).await
}

/// Who goes next for an agent.
pub(crate) async fn who_goes_next(
    hub: &Handle,
    agent: Name,
    calls: Vec<WaitingCall>,
) -> Result<Result<Next, NextError>, Error> {
    ask(hub, move |state, now| state.who_goes_next(now, &agent, &calls)).await
}

/// The current document of an item.
pub(crate) async fn document(app: &App, item: ItemId) -> Result<Document, Problem> {
    revision(app, item).await.map(|(_, document)| document)
}

/// The current document of an item, and which revision it is; 0 and empty if there is none.
pub(crate) async fn revision(app: &App, item: ItemId) -> Result<(u32, Document), Problem> {
    let Some(row) = app.store.document(item, None).await? else {
        return Ok((0, Document::default()));
    };
    let spec = app.intake.spec();
    let document = Document::from_slice(&row.attributes, |name| spec.attribute_type(name));
    Ok((row.revision, document.map_err(|error| Problem::internal(&error))?))
}
