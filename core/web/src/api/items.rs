//! Work items: lists from the store, priorities and explanations from the hub.

use axum::Json;
use axum::extract::State;
use gantry_hub::LiveExplanation;
use gantry_model::decision::Candidate;
use gantry_model::{Event, ItemId, LifeCycle, Name, Timestamp, Workbin};
use gantry_store::{AssignmentKind, HoldKind, ItemFilter, ItemView, Page};
use serde::{Deserialize, Serialize};

use super::workbins::own_workbins;
use crate::access::{Caller, Permission};
use crate::app::{App, Shared};
use crate::extract::{FromPath, FromQuery};
use crate::live;
use crate::past;
use crate::problem::{self, Problem};
use crate::view::{Decision, Dossier, History, List, STATUSES, Summary};

/// Items that a page of a list holds, unless the query says otherwise, and at most.
const PAGE: u32 = 50;
const PAGE_MAX: u32 = 500;

/// The query of a list.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// One of [`STATUSES`]; empty = all.
    #[serde(default)]
    pub(crate) status: String,
    /// `department/process`.
    #[serde(default)]
    pub(crate) process: String,
    #[serde(default)]
    pub(crate) department: String,
    #[serde(default)]
    pub(crate) capture_point: String,
    /// Offered or assigned to this agent.
    #[serde(default)]
    pub(crate) agent: String,
    /// Part of the name or of the external id.
    #[serde(default)]
    pub(crate) text: String,
    /// The last item of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<ItemId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u32>,
}

/// What is asked about an item.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainQuery {
    /// How it stood then; an instant to come means: as things are now. None = now.
    at: Option<Timestamp>,
    /// Why this agent did not get it.
    why_not: Option<Name>,
}

/// Why an item is where it is.
#[derive(Debug, Serialize)]
pub(crate) struct Explain {
    pub(crate) item: ItemId,
    /// The last commit that is looked at, if the question was about the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<u64>,
    /// How the item stands now, or stood then; none = it has ended, or was not there yet.
    pub(crate) now: Option<LiveExplanation>,
    /// The agent who was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why_not: Option<Candidate>,
    /// The stored decisions, oldest first.
    pub(crate) decisions: Vec<Decision>,
}

/// `GET /items`.
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    FromQuery(query): FromQuery<ListQuery>,
) -> Result<Json<List>, Problem> {
    list_view(&app, &caller, &query).await.map(Json)
}

/// A page of the list. Agents see their own items only.
pub(crate) async fn list_view(
    app: &App,
    caller: &Caller,
    query: &ListQuery,
) -> Result<List, Problem> {
    caller.must(Permission::ListItems)?;
    let mut filter = ItemFilter {
        process: given(&query.process),
        department: given(&query.department),
        capture_point: given(&query.capture_point),
        agent: given(&query.agent),
        text: (!query.text.is_empty()).then(|| query.text.clone()),
        ..by_status(&query.status)?
    };
    if let Some(agent) = caller.agent() {
        filter.agent = Some(agent.clone());
    }
    let limit = within(query.limit, PAGE, PAGE_MAX)?;
    // One more than asked for tells whether there is a next page.
    let page = Page { after: query.after, limit: limit + 1, newest_first: true };
    let mut views = app.store.list(&filter, page).await?;
    let more = views.len() > limit as usize;
    views.truncate(limit as usize);
    let next = views.last().filter(|_| more).map(|view| view.item.id);
    let (items, now) = summaries(app, &views).await?;
    Ok(List { items, next, now })
}

/// Views with their live priorities, all of one instant; without them while the store refuses
/// commits, since the views themselves can still be read.
async fn summaries(app: &App, views: &[ItemView]) -> Result<(Vec<Summary>, Timestamp), Problem> {
    let ids = views.iter().map(|view| view.item.id).collect();
    let (priorities, now) = match live::priorities(&app.hub, ids).await {
        Err(gantry_hub::Error::Unavailable { .. }) => (vec![None; views.len()], app.hub.now()),
        priorities => priorities?,
    };
    let with = views.iter().zip(priorities);
    Ok((with.map(|(view, priority)| Summary::new(view, priority, now)).collect(), now))
}

fn given(text: &str) -> Option<Name> {
    (!text.is_empty()).then(|| Name::new(text))
}

/// `given`, or the default, if it is between 1 and `max`.
pub(super) fn within(given: Option<u32>, default: u32, max: u32) -> Result<u32, Problem> {
    match given.unwrap_or(default) {
        limit if (1..=max).contains(&limit) => Ok(limit),
        limit => {
            let detail = format!("limit is {limit}; it has to be from 1 to {max}");
            Err(Problem::new(&problem::PARAMETER, detail))
        }
    }
}

/// The conditions behind one of [`STATUSES`].
fn by_status(status: &str) -> Result<ItemFilter, Problem> {
    use LifeCycle as L;
    const NEW: &[L] = &[L::Captured, L::Enriched, L::Classified];
    const OPEN: &[L] = &[L::Captured, L::Enriched, L::Classified, L::Queued];
    const ENDED: &[L] = &[L::Completed, L::Canceled, L::Rejected, L::Expired];
    let (life_cycles, holds, assignments) = match status {
        "" => (&[][..], None, None),
        "open" => (OPEN, None, None),
        "new" => (NEW, Some(HoldKind::None), Some(AssignmentKind::None)),
        "waiting" => (&[L::Queued][..], Some(HoldKind::None), Some(AssignmentKind::None)),
        "offered" => (OPEN, None, Some(AssignmentKind::Offered)),
        "assigned" => (OPEN, None, Some(AssignmentKind::Assigned)),
        "confirming" => (OPEN, None, Some(AssignmentKind::Confirming)),
        "parked" => (OPEN, None, Some(AssignmentKind::Parked)),
        "wrap_up" => (OPEN, None, Some(AssignmentKind::WrapUp)),
        "held" => (OPEN, Some(HoldKind::Held), None),
        "error" => (OPEN, Some(HoldKind::Error), None),
        "activation" => (OPEN, Some(HoldKind::Activation), None),
        "ended" => (ENDED, None, None),
        "completed" => (&[L::Completed][..], None, None),
        "canceled" => (&[L::Canceled][..], None, None),
        "rejected" => (&[L::Rejected][..], None, None),
        "expired" => (&[L::Expired][..], None, None),
        unknown => {
            let known: Vec<_> = STATUSES.iter().map(|(name, _)| *name).collect();
            let detail = format!("{unknown:?} is no status; one of {}", known.join(", "));
            return Err(Problem::new(&problem::PARAMETER, detail));
        }
    };
    Ok(ItemFilter {
        life_cycles: life_cycles.to_vec(),
        holds: holds.into_iter().collect(),
        assignments: assignments.into_iter().collect(),
        ..ItemFilter::default()
    })
}

/// Reads an item, also one that has ended.
pub(super) async fn read(app: &App, item: ItemId) -> Result<ItemView, Problem> {
    let unknown = || Problem::new(&problem::NO_ITEM, format!("work item {item} does not exist"));
    app.store.item(item).await?.ok_or_else(unknown)
}

/// Reads an item that the caller may see.
pub(super) async fn read_own(
    app: &App,
    caller: &Caller,
    item: ItemId,
) -> Result<ItemView, Problem> {
    caller.must(Permission::ReadItem)?;
    let view = read(app, item).await?;
    if let Some(bin @ Workbin::Group(_)) = view.item.workbin()
        && own_workbins(app, caller).await?.is_some_and(|own| own.contains(bin))
    {
        return Ok(view);
    }
    caller.must_own(&view.item)?;
    Ok(view)
}

/// `GET /items/{item}`.
pub(super) async fn one(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
) -> Result<Json<Dossier>, Problem> {
    dossier(&app, &caller, item).await.map(Json)
}

/// Everything about an item but its history.
pub(crate) async fn dossier(app: &App, caller: &Caller, item: ItemId) -> Result<Dossier, Problem> {
    let view = read_own(app, caller, item).await?;
    dossier_of(app, caller, view).await
}

/// `GET /capture/{capture_point}/{external_id}`: the latest item with that key.
pub(super) async fn by_key(
    State(app): State<Shared>,
    caller: Caller,
    FromPath((capture_point, external_id)): FromPath<(String, String)>,
) -> Result<Json<Dossier>, Problem> {
    caller.must(Permission::ReadItem)?;
    caller.must_own_capture_point(&capture_point)?;
    let Some(view) = app.store.find(&capture_point, &external_id).await? else {
        let detail = format!("capture point {capture_point:?} has no work item {external_id:?}");
        return Err(Problem::new(&problem::NO_ITEM, detail));
    };
    caller.must_own(&view.item)?;
    dossier_of(&app, &caller, view).await.map(Json)
}

async fn dossier_of(app: &App, caller: &Caller, mut view: ItemView) -> Result<Dossier, Problem> {
    let document = live::document(app, view.item.id).await?;
    let (mut summaries, _) = summaries(app, std::slice::from_ref(&view)).await?;
    let summary = summaries.pop().expect("invariant: one summary for one view");
    if caller.agent().is_some() {
        // Who declined is not for colleagues to see.
        view.item.exclusions.clear();
    }
    Ok(Dossier {
        summary,
        state: view.item,
        attributes: document.attributes,
        origins: document.origins,
    })
}

/// `GET /items/{item}/history`.
pub(super) async fn history(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
) -> Result<Json<History>, Problem> {
    history_view(&app, &caller, item).await.map(Json)
}

/// What happened to an item. Agents do not see what colleagues lack.
pub(crate) async fn history_view(
    app: &App,
    caller: &Caller,
    item: ItemId,
) -> Result<History, Problem> {
    read_own(app, caller, item).await?;
    let mut entries = app.store.history(item).await?;
    for entry in &mut entries {
        trim(caller, &mut entry.entry.event);
    }
    Ok(History { item, entries })
}

/// Takes out of an explanation what is not for colleagues to see.
pub(super) fn trim(caller: &Caller, event: &mut Event) {
    if let (Some(_), Event::Offered { explanation, .. }) = (caller.agent(), event) {
        explanation.nearest.clear();
        explanation.counts.clear();
    }
}

/// `GET /items/{item}/explain`.
pub(super) async fn explain(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
    FromQuery(query): FromQuery<ExplainQuery>,
) -> Result<Json<Explain>, Problem> {
    let history = history_view(&app, &caller, item).await?;
    explain_view(&app, &caller, &history, &query).await.map(Json)
}

/// Why an item is where it is: the decisions in its history, and how it stands or stood.
pub(crate) async fn explain_view(
    app: &App,
    caller: &Caller,
    history: &History,
    query: &ExplainQuery,
) -> Result<Explain, Problem> {
    if let Some(agent) = &query.why_not {
        caller.must_be(agent)?;
    }
    let id = history.item;
    let then = query.at.filter(|at| *at < app.hub.now());
    let asked = query.why_not.as_ref();
    let (mut now, why_not, commit) = if let Some(at) = then {
        let past = past::state_at(app, at).await?;
        let why_not = asked.and_then(|agent| past.state.why_not(at, id, agent));
        (past.state.explain_at(at, id), why_not, Some(past.seq))
    } else {
        let why_not = match asked {
            Some(agent) => live::why_not(&app.hub, id, agent, query.at).await?,
            None => None,
        };
        (live::explanation(&app.hub, id, query.at).await?, why_not, None)
    };
    if let (Some(_), Some(now)) = (caller.agent(), &mut now) {
        now.agents.clear();
        now.counts.clear();
        now.ahead = None;
    }
    let entries = history.entries.iter();
    let entries = entries.filter(|entry| then.is_none_or(|at| entry.entry.at <= at));
    let decisions = entries.filter_map(|entry| match &entry.entry.event {
        Event::Offered { agent, explanation, .. } => Some(Decision {
            seq: entry.seq,
            at: entry.entry.at,
            agent: agent.clone(),
            explanation: explanation.as_ref().clone(),
        }),
        _ => None,
    });
    Ok(Explain { item: id, commit, now, why_not, decisions: decisions.collect() })
}
