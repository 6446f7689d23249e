//! What administration and the hub itself ask for: agents, presence, config versions, boot.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::agent::{ID_LENGTH_MAX, REASON_DISCONNECTED, REASON_RONA};
use gantry_model::calendar::Calendar;
use gantry_model::command::{Refusal, Reply, RunId};
use gantry_model::event::{ReturnReason, RevokeReason};
use gantry_model::name::{AgentId, Name};
use gantry_model::spec::RoutingSpec;
use gantry_model::{
    Agent, AgentProfile, Assignment, Event, Hold, Millis, Presence, WorkItem, Workbin,
};

use super::room::withdraw_unfit;
use super::{Context, nothing, take_back};
use crate::follow_up::unpark;
use crate::state::State;

pub(super) fn put(
    ctx: Context<'_>,
    profile: &AgentProfile,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    let length = profile.id.chars().count();
    if length == 0 || length > ID_LENGTH_MAX {
        return Err(Refusal::AgentIdLength { length });
    }
    let known = ctx.state.agent(&profile.id);
    if known.is_some_and(|agent| agent.profile == *profile) {
        return Ok(nothing());
    }
    events.push(Event::AgentPut { profile: profile.clone() });
    if let Some(known) = known {
        let changed = Agent { profile: profile.clone(), ..known.clone() };
        review_offers(ctx.state, ctx.state.routing(), &changed, events);
    }
    Ok(nothing())
}

pub(super) fn report_load(
    ctx: Context<'_>,
    agent: &AgentId,
    media: &Name,
    count: u16,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    let known = ctx.state.agent(agent);
    let known = known.ok_or_else(|| Refusal::UnknownAgent { agent: agent.clone() })?;
    if known.elsewhere.get(media).copied().unwrap_or(0) == count {
        return Ok(nothing());
    }
    events.push(Event::LoadReported { agent: agent.clone(), media: media.clone(), count });
    let mut changed = known.clone();
    changed.elsewhere.insert(media.clone(), count);
    review_offers(ctx.state, ctx.state.routing(), &changed, events);
    Ok(nothing())
}

/// Withdraws what an agent who changed has no room for any more.
fn review_offers(state: &State, spec: &RoutingSpec, agent: &Agent, events: &mut Vec<Event>) {
    let desk: Vec<WorkItem> = state.desk(&agent.profile.id).collect();
    withdraw_unfit(spec, agent, &desk, events);
}

pub(super) fn remove(
    ctx: Context<'_>,
    agent: &AgentId,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    known(ctx, agent)?;
    let own = Workbin::Agent(agent.clone());
    let (laid, parked): (Vec<_>, Vec<_>) =
        ctx.state.workbin(&own).partition(|item| item.prefilled().is_some());
    let items = (ctx.state.desk(agent).count() + parked.len()) as u32;
    let agent = agent.clone();
    if items > 0 {
        return Err(Refusal::AgentBusy { agent, items });
    }
    for item in laid {
        unpark(&item, ReturnReason::NotTheirs, events);
    }
    events.push(Event::AgentRemoved { agent });
    Ok(nothing())
}

pub(super) fn known(ctx: Context<'_>, agent: &AgentId) -> Result<(), Refusal> {
    let known = ctx.state.agent(agent).is_some();
    known.then_some(()).ok_or_else(|| Refusal::UnknownAgent { agent: agent.clone() })
}

pub(super) fn set_presence(
    ctx: Context<'_>,
    agent: &AgentId,
    presence: &Presence,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    known(ctx, agent)?;
    if let Presence::NotReady { reason } = presence {
        check_reason(ctx.state.routing(), reason)?;
    }
    let now_is = ctx.state.agent(agent).map(|agent| &agent.presence);
    if now_is != Some(presence) {
        change_presence(ctx.state, agent, presence.clone(), events);
    }
    Ok(nothing())
}

fn check_reason(routing: &RoutingSpec, reason: &Name) -> Result<(), Refusal> {
    let own = [REASON_RONA, REASON_DISCONNECTED].contains(&reason.as_str());
    if own || routing.reasons.contains(reason) {
        return Ok(());
    }
    let known: Vec<&str> = routing.reasons.iter().map(Name::as_str).collect();
    Err(Refusal::UnknownReason { reason: reason.clone(), known: known.join(", ") })
}

/// Changes an agent's presence. Only who is ready keeps open offers; assigned work stays.
pub(crate) fn change_presence(
    state: &State,
    agent: &AgentId,
    presence: Presence,
    events: &mut Vec<Event>,
) {
    let ready = presence == Presence::Ready;
    events.push(Event::PresenceChanged { agent: agent.clone(), presence });
    for item in state.desk(agent).filter(|_| !ready) {
        if matches!(item.assignment, Assignment::Offered { .. }) {
            take_back(&item, RevokeReason::AgentNotReady, events);
        }
    }
}

pub(super) fn activate(
    ctx: Context<'_>,
    version: u32,
    routing: &Arc<RoutingSpec>,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    let current = ctx.state.config_version();
    // A hub that boots names the version it already has.
    if version == current && **routing == *ctx.state.routing() {
        return Ok(nothing());
    }
    if version <= current {
        return Err(Refusal::VersionNotRising { version, current });
    }
    check_calendars(ctx.state, version, routing)?;
    let names = dropped(ctx.state, routing);
    if !names.is_empty() {
        return Err(Refusal::NamesInUse { version, names });
    }
    events.push(Event::ConfigActivated { version, routing: Arc::clone(routing) });
    for agent in ctx.state.agents() {
        review_offers(ctx.state, routing, agent, events);
    }
    Ok(nothing())
}

/// Every calendar can be built. Those that are as in the active version are: it has been activated.
fn check_calendars(state: &State, version: u32, routing: &RoutingSpec) -> Result<(), Refusal> {
    let active = &state.routing().calendars;
    for (name, spec) in &routing.calendars {
        if active.get(name) == Some(spec) {
            continue;
        }
        if let Err(error) = Calendar::new(spec) {
            let (calendar, why) = (name.clone(), error.to_string());
            return Err(Refusal::CalendarUnusable { version, calendar, why });
        }
    }
    Ok(())
}

/// Processes and schemas that live items use and the new version does not have.
fn dropped(state: &State, routing: &RoutingSpec) -> String {
    let mut uses: BTreeMap<(&str, Name), u32> = BTreeMap::new();
    let live = state.items().filter_map(|item| Some((item.class?, item.queue)));
    for (class, queue) in live {
        if let Some(queue) = queue.filter(|queue| !routing.processes.contains_key(queue)) {
            *uses.entry(("queue", queue)).or_default() += 1;
        }
        if !routing.processes.contains_key(&class.process) {
            *uses.entry(("process", class.process.clone())).or_default() += 1;
        }
        if !routing.priorities.contains_key(&class.schema) {
            *uses.entry(("priority", class.schema.clone())).or_default() += 1;
        }
    }
    let named = uses.iter().map(|((kind, name), count)| {
        let items = if *count == 1 { "item" } else { "items" };
        format!("{kind} {name:?} ({count} {items})")
    });
    named.collect::<Vec<_>>().join(", ")
}

/// Offers were open while nobody could see them: they are withdrawn, and nobody is blamed. Other
/// deadlines come later by as long as the hub was down.
pub(super) fn boot(ctx: Context<'_>, down: Millis, events: &mut Vec<Event>) -> Reply {
    let mut runs = Vec::new();
    for item in ctx.state.items() {
        if matches!(item.assignment, Assignment::Offered { .. }) {
            take_back(&item, RevokeReason::HubRestarted, events);
        }
        if down > Millis(0) && counts_running_time(&item) {
            events.push(Event::Postponed { item: item.id, by: down });
        }
        if item.run_open {
            runs.push(RunId { item: item.id, revision: item.revision, run: item.run });
        }
    }
    Reply::Booted { runs }
}

/// `true` if the item has a deadline that does not run while the hub is down.
const fn counts_running_time(item: &WorkItem) -> bool {
    matches!(
        item.assignment,
        Assignment::Assigned { confirm_by: Some(_), .. }
            | Assignment::WrapUp { .. }
            | Assignment::Confirming { .. }
    ) || matches!(item.hold, Hold::Error { retry_at: Some(_), .. })
}
