//! What administration and the hub itself ask for: agents, presence, config versions, boot.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::agent::{ID_LENGTH_MAX, REASON_DISCONNECTED, REASON_RONA};
use gantry_model::command::{Refusal, Reply, RunId};
use gantry_model::event::RevokeReason;
use gantry_model::name::{AgentId, Name};
use gantry_model::spec::RoutingSpec;
use gantry_model::{AgentProfile, Assignment, Event, Presence, Timestamp, WorkItem};

use super::{Context, nothing, take_back};
use crate::index::{capacity, media_type};
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
    let media = known.into_iter().flat_map(|agent| agent.profile.capacity.keys());
    for media in media {
        withdraw_excess(ctx, Some(&profile.id), media, capacity(profile, media), events);
    }
    Ok(nothing())
}

/// Withdraws an agent's offers of a media type as far as there is no room for them any more,
/// the latest first. What is assigned stays.
pub(super) fn withdraw_excess(
    ctx: Context<'_>,
    agent: Option<&AgentId>,
    media: &str,
    room: u16,
    events: &mut Vec<Event>,
) {
    let Some(agent) = agent else { return };
    let load = ctx.state.index.load(agent, media);
    let mut offers: Vec<(Timestamp, WorkItem)> = ctx
        .state
        .desk(agent)
        .filter(|item| media_type(item) == media)
        .filter_map(|item| match item.assignment {
            Assignment::Offered { at, .. } => Some((at, item)),
            _ => None,
        })
        .collect();
    offers.sort_by_key(|(at, item)| Reverse((*at, item.id)));
    let excess = usize::from(load.saturating_sub(room));
    for (_, item) in offers.into_iter().take(excess) {
        take_back(&item, RevokeReason::AgentChanged, events);
    }
}

pub(super) fn remove(
    ctx: Context<'_>,
    agent: &AgentId,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    known(ctx, agent)?;
    let items = ctx.state.desk(agent).count() as u32;
    let agent = agent.clone();
    if items > 0 {
        return Err(Refusal::AgentBusy { agent, items });
    }
    events.push(Event::AgentRemoved { agent });
    Ok(nothing())
}

fn known(ctx: Context<'_>, agent: &AgentId) -> Result<(), Refusal> {
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
    let names = dropped(ctx.state, routing);
    if !names.is_empty() {
        return Err(Refusal::NamesInUse { version, names });
    }
    events.push(Event::ConfigActivated { version, routing: Arc::clone(routing) });
    Ok(nothing())
}

/// Processes and schemas that live items use and the new version does not have.
fn dropped(state: &State, routing: &RoutingSpec) -> String {
    let mut uses: BTreeMap<(&str, Name), u32> = BTreeMap::new();
    for class in state.items().filter_map(|item| item.class) {
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

/// Offers were open while nobody could see them: they are withdrawn, and nobody is blamed.
pub(super) fn boot(ctx: Context<'_>, events: &mut Vec<Event>) -> Reply {
    let mut runs = Vec::new();
    for item in ctx.state.items() {
        if matches!(item.assignment, Assignment::Offered { .. }) {
            take_back(&item, RevokeReason::HubRestarted, events);
        }
        if item.run_open {
            runs.push(RunId { item: item.id, revision: item.revision, run: item.run });
        }
    }
    Reply::Booted { runs }
}
