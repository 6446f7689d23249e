//! Questions to the live state, all in one place; and the document that goes with an item.
//!
//! The questions run on the hub's thread: each touches a bounded number of items or agents.

use std::cmp::Reverse;

use gantry_hub::{Error, Handle, LiveExplanation, Next, NextError, WaitingCall};
use gantry_model::decision::Candidate;
use gantry_model::priority::Priority;
use gantry_model::{Agent, Document, ItemId, Name, Timestamp, WorkItem, Workbin};

use crate::app::App;
use crate::problem::Problem;

/// Items that a desk shows to choose from.
const CHOICES_MAX: usize = 20;

/// An agent's desk as the engine sees it.
pub(crate) struct LiveDesk {
    pub(crate) agent: Agent,
    pub(crate) items: Vec<(WorkItem, Option<Priority>)>,
    /// What the agent may choose from the queue.
    pub(crate) choices: Vec<(WorkItem, Priority)>,
    pub(crate) now: Timestamp,
}

/// Live priorities of items that have one, in the order asked, and the instant they hold for.
pub(crate) async fn priorities(
    hub: &Handle,
    items: Vec<ItemId>,
) -> Result<(Vec<Option<Priority>>, Timestamp), Error> {
    hub.ask(move |state, now| {
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
    hub.ask(move |state, _| state.item(id)).await
}

/// The waiting items that are most urgent now.
pub(crate) async fn top(
    hub: &Handle,
    count: usize,
) -> Result<(Vec<(ItemId, Priority)>, Timestamp), Error> {
    hub.ask(move |state, now| {
        let top = state.top(now, count);
        (top.into_iter().map(|(item, priority)| (item.id, priority)).collect(), now)
    })
    .await
}

/// The active config version.
pub(crate) async fn config_version(hub: &Handle) -> Result<u32, Error> {
    hub.ask(|state, _| state.config_version()).await
}

/// All agents, in order of id.
pub(crate) async fn agents(hub: &Handle) -> Result<Vec<Agent>, Error> {
    hub.ask(|state, _| state.agents().cloned().collect()).await
}

/// An agent.
pub(crate) async fn agent(hub: &Handle, id: &Name) -> Result<Option<Agent>, Error> {
    let id = id.clone();
    hub.ask(move |state, _| state.agent(&id).cloned()).await
}

/// An agent's desk; none = no such agent.
pub(crate) async fn desk(hub: &Handle, id: &Name) -> Result<Option<LiveDesk>, Error> {
    let id = id.clone();
    hub.ask(move |state, now| {
        let agent = state.agent(&id)?.clone();
        let with_priority = |item: WorkItem| {
            let priority = item.routing_at.map(|_| state.priority(now, &item).0);
            (item, priority)
        };
        let items = state.desk(&id).map(with_priority).collect();
        let choices =
            if agent.presence.there() { state.choices(now, &id, CHOICES_MAX) } else { Vec::new() };
        Some(LiveDesk { agent, items, choices, now })
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
    hub.ask(move |state, now| {
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
    hub.ask(|state, _| state.workbins()).await
}

/// How an item stands and why, now or, as things stand now, at an instant to come; none = it has
/// ended.
pub(crate) async fn explanation(
    hub: &Handle,
    id: ItemId,
    at: Option<Timestamp>,
) -> Result<Option<LiveExplanation>, Error> {
    hub.ask(move |state, now| state.explain_at(at.unwrap_or(now).max(now), id)).await
}

/// How an agent stands to a waiting item; none = it does not wait, or there is no such agent.
pub(crate) async fn why_not(
    hub: &Handle,
    id: ItemId,
    agent: &Name,
    at: Option<Timestamp>,
) -> Result<Option<Candidate>, Error> {
    let agent = agent.clone();
    hub.ask(move |state, now| state.why_not(at.unwrap_or(now).max(now), id, &agent)).await
}

/// Who goes next for an agent.
pub(crate) async fn who_goes_next(
    hub: &Handle,
    agent: Name,
    calls: Vec<WaitingCall>,
) -> Result<Result<Next, NextError>, Error> {
    hub.ask(move |state, now| state.who_goes_next(now, &agent, &calls)).await
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
