//! Agents: profiles, presence, desks.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantry_hub::{Next, NextError, WaitingCall};
use gantry_model::priority::Priority;
use gantry_model::spec::{CompletionMode, Spec};
use gantry_model::{
    Agent, AgentProfile, Assignment, Command, Name, Presence, Refusal, Reply, Timestamp, Workbin,
};
use gantry_store::{AssignmentKind, ItemFilter, ItemView, Page};
use serde::{Deserialize, Serialize};

use super::{answered, workbins};
use crate::access::{Caller, Permission};
use crate::app::{App, Shared};
use crate::extract::{FromPath, Json as Body};
use crate::form;
use crate::live;
use crate::problem::{self, Problem};
use crate::profile;
use crate::view::{Card, Desk, Shown, Summary};

/// Items waiting for their source that a desk shows, the latest first.
const CONFIRMING_MAX: u32 = 50;
/// Calls that one question may name.
const CALLS_MAX: usize = 500;

/// All agents.
#[derive(Debug, Serialize)]
pub(super) struct Agents {
    agents: Vec<Agent>,
}

/// `GET /agents`.
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Agents>, Problem> {
    caller.must(Permission::ReadAgents)?;
    Ok(Json(Agents { agents: live::agents(&app.hub).await? }))
}

/// `GET /agents/{agent}`.
pub(super) async fn one(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(agent): FromPath<Name>,
) -> Result<Json<Agent>, Problem> {
    caller.must(Permission::ReadDesk)?;
    caller.must_be(&agent)?;
    live::agent(&app.hub, &agent).await?.ok_or_else(|| unknown(&agent)).map(Json)
}

fn unknown(agent: &Name) -> Problem {
    (&Refusal::UnknownAgent { agent: agent.clone() }).into()
}

/// `PUT /agents/{agent}`: creates the agent, or changes the profile.
pub(super) async fn put(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(agent): FromPath<Name>,
    Body(profile): Body<AgentProfile>,
) -> Result<Json<Reply>, Problem> {
    caller.must(Permission::WriteAgents)?;
    profile::check(&agent, &profile, &app.intake.spec())?;
    answered(app.hub.command(caller.actor(), Command::PutAgent(profile)).await?)
}

/// `DELETE /agents/{agent}`.
pub(super) async fn remove(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(agent): FromPath<Name>,
) -> Result<StatusCode, Problem> {
    caller.must(Permission::WriteAgents)?;
    let reply = app.hub.command(caller.actor(), Command::RemoveAgent(agent)).await?;
    answered(reply).map(|_| StatusCode::NO_CONTENT)
}

/// `PUT /agents/{agent}/presence`.
pub(super) async fn set_presence(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(agent): FromPath<Name>,
    Body(presence): Body<Presence>,
) -> Result<Json<Reply>, Problem> {
    caller.must(Permission::SetPresence)?;
    caller.must_be(&agent)?;
    answered(app.hub.command(caller.actor(), Command::SetPresence { agent, presence }).await?)
}

/// What another system carries for an agent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Load {
    count: u16,
}

/// `PUT /agents/{agent}/load/{media}`: so many calls or chats another system carries for them.
pub(super) async fn report_load(
    State(app): State<Shared>,
    caller: Caller,
    FromPath((agent, media)): FromPath<(Name, Name)>,
    Body(Load { count }): Body<Load>,
) -> Result<Json<Reply>, Problem> {
    caller.must(Permission::ReportLoad)?;
    let command = Command::ReportLoad { agent, media, count };
    answered(app.hub.command(caller.actor(), command).await?)
}

/// What waits in another system for the agent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Calls {
    calls: Vec<WaitingCall>,
}

/// `POST /agents/{agent}/next`: who goes next, one of these calls or an item. Changes nothing.
pub(super) async fn who_goes_next(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(agent): FromPath<Name>,
    Body(Calls { calls }): Body<Calls>,
) -> Result<Json<Next>, Problem> {
    caller.must(Permission::ReportLoad)?;
    if calls.len() > CALLS_MAX {
        let detail = format!("{} calls are too many: send the {CALLS_MAX} best", calls.len());
        return Err(Problem::new(&problem::FIELDS, detail));
    }
    let next = live::who_goes_next(&app.hub, agent, calls).await?;
    next.map(Json).map_err(|error| {
        let kind = match &error {
            NextError::UnknownAgent { .. } => &problem::NO_AGENT,
            _ => &problem::NO_SCHEMA,
        };
        Problem::new(kind, error.to_string())
    })
}

/// `GET /agents/{agent}/desk`.
pub(super) async fn desk(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(agent): FromPath<Name>,
) -> Result<Json<Desk>, Problem> {
    caller.must(Permission::ReadDesk)?;
    caller.must_be(&agent)?;
    desk_view(&app, &agent).await.map(Json)
}

/// What an agent has before them.
pub(crate) async fn desk_view(app: &App, agent: &Name) -> Result<Desk, Problem> {
    let desk = live::desk(&app.hub, agent).await?.ok_or_else(|| unknown(agent))?;
    let spec = app.intake.spec();
    let (mut offers, mut assigned, mut wrap_up) = (Vec::new(), Vec::new(), Vec::new());
    for (item, priority) in desk.items {
        let Some(mut view) = app.store.item(item.id).await? else { continue };
        // The store may be a commit ahead of the hub's answer, which counts.
        view.item = item;
        let card = card(app, &spec, &view, priority, desk.now).await?;
        match view.item.assignment {
            Assignment::Offered { .. } => offers.push(card),
            Assignment::WrapUp { .. } => wrap_up.push(card),
            _ => assigned.push(card),
        }
    }
    let mut confirming = Vec::new();
    for view in confirming_views(app, agent).await? {
        confirming.push(card(app, &spec, &view, None, desk.now).await?);
    }
    let mut choices = Vec::with_capacity(desk.choices.len());
    for (item, priority) in desk.choices {
        let Some(mut view) = app.store.item(item.id).await? else { continue };
        view.item = item;
        choices.push(Summary::new(&view, Some(priority), desk.now));
    }
    let mut workbins = Vec::new();
    let groups = desk.agent.profile.groups.iter().cloned().map(Workbin::Group);
    for workbin in [Workbin::Agent(agent.clone())].into_iter().chain(groups) {
        let bin = workbins::view(app, workbin).await?;
        // The own one is always there, to see that it is empty.
        if bin.count > 0 || workbins.is_empty() {
            workbins.push(bin);
        }
    }
    let Agent { profile, presence, presence_since, .. } = desk.agent;
    Ok(Desk {
        agent: profile.id,
        name: profile.name,
        presence,
        presence_since,
        now: desk.now,
        reasons: spec.routing.reasons.iter().cloned().collect(),
        offers,
        assigned,
        wrap_up,
        confirming,
        workbins,
        choosing: spec.routing.processes.values().any(|process| process.choose),
        choices,
        queues: spec.routing.processes.keys().cloned().collect(),
    })
}

/// What the agent marked done and the source has yet to confirm: off the agent's hands, so the
/// engine no longer counts it to the desk.
async fn confirming_views(app: &App, agent: &Name) -> Result<Vec<ItemView>, Problem> {
    let filter = ItemFilter {
        assignments: vec![AssignmentKind::Confirming],
        agent: Some(agent.clone()),
        ..ItemFilter::default()
    };
    let page = Page { after: None, limit: CONFIRMING_MAX, newest_first: true };
    Ok(app.store.list(&filter, page).await?)
}

async fn card(
    app: &App,
    spec: &Spec,
    view: &ItemView,
    priority: Option<Priority>,
    now: Timestamp,
) -> Result<Card, Problem> {
    let item = &view.item;
    let summary = Summary::new(view, priority, now);
    let process = item.process().and_then(|name| spec.routing.processes.get(name));
    let shows = |name: &Name| process.is_none_or(|p| p.show.is_empty() || p.show.contains(name));
    let document = live::document(app, item.id).await?;
    let form = process.and_then(|p| p.form.as_ref());
    let fields = form.map_or_else(Vec::new, |form| form::fields(form, &document));
    let origins = document.origins;
    let shown = document.attributes.into_iter().filter(|(name, _)| shows(name));
    let attributes = shown
        .map(|(name, value)| Shown { origin: origins.get(&name).cloned(), name, value })
        .collect();
    let (since, until) = times(&item.assignment);
    Ok(Card {
        summary,
        epoch: item.epoch,
        since,
        until,
        attributes,
        dispositions: process.map(|p| p.dispositions.clone()).unwrap_or_default(),
        disposition_required: process.is_some_and(|p| p.disposition_required),
        form: form.cloned(),
        fields,
        may_mark_done: process.is_none_or(|p| p.completion.mode != CompletionMode::Source),
    })
}

const fn times(assignment: &Assignment) -> (Option<Timestamp>, Option<Timestamp>) {
    match assignment {
        Assignment::None => (None, None),
        Assignment::Offered { at, expires_at, .. } => (Some(*at), Some(*expires_at)),
        Assignment::Assigned { at, confirm_by, .. } => (Some(*at), *confirm_by),
        Assignment::Confirming { at, confirm_by, .. } => (Some(*at), Some(*confirm_by)),
        Assignment::Parked { at, until, .. } => (Some(*at), *until),
        Assignment::WrapUp { at, until, .. } => (Some(*at), Some(*until)),
    }
}
