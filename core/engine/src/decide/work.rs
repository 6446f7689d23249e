//! What agents and sources do with an item that was offered: accept, decline, done, complete.

use gantry_model::command::{Holder, Refusal, Reply};
use gantry_model::event::RevokeReason;
use gantry_model::name::{AgentId, Name};
use gantry_model::spec::CompletionMode;
use gantry_model::{Assignment, Event, Timestamp, WorkItem};

use super::{Context, done, done_with, stale, take_back, wrong_state};
use crate::state::State;

/// Checks that the action means this offer: the epoch first, since an old epoch says that
/// everything else has moved on.
fn check_offer(
    item: &WorkItem,
    epoch: u32,
    agent: &AgentId,
    action: &'static str,
) -> Result<(), Refusal> {
    check_epoch(item, epoch)?;
    match &item.assignment {
        Assignment::Offered { agent: asked, .. } if asked == agent => Ok(()),
        Assignment::Offered { .. } => Err(not_yours(item, agent)),
        _ => Err(wrong_state(item, action)),
    }
}

pub(super) fn check_epoch(item: &WorkItem, epoch: u32) -> Result<(), Refusal> {
    if epoch == item.epoch {
        return Ok(());
    }
    Err(stale(item, "epoch", item.epoch, epoch))
}

pub(super) fn not_yours(item: &WorkItem, agent: &AgentId) -> Refusal {
    Refusal::NotYours { item: item.id, agent: agent.clone() }
}

pub(super) fn accept(
    ctx: Context<'_>,
    item: &WorkItem,
    epoch: u32,
    agent: &AgentId,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    check_offer(item, epoch, agent, "accept")?;
    events.push(accepted(ctx.state, ctx.now, item, agent));
    Ok(done(item))
}

/// The acceptance of an item by an agent.
pub(crate) fn accepted(state: &State, now: Timestamp, item: &WorkItem, agent: &AgentId) -> Event {
    let confirm_by = confirm_by(Context { state, now }, item);
    Event::Accepted { item: item.id, agent: agent.clone(), confirm_by }
}

/// When the source must have confirmed an item that an agent takes now: in the process in which
/// it alone says that it is done.
pub(super) fn confirm_by(ctx: Context<'_>, item: &WorkItem) -> Option<Timestamp> {
    let routes = &ctx.state.index.routes;
    let waits_for_source = routes.completion_mode(item) == CompletionMode::Source;
    let process = routes.process(item).filter(|_| waits_for_source);
    process.map(|process| ctx.now.plus(process.completion.within))
}

pub(super) fn decline(
    ctx: Context<'_>,
    item: &WorkItem,
    epoch: u32,
    agent: &AgentId,
    reason: &str,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    check_offer(item, epoch, agent, "decline")?;
    events.push(Event::Declined {
        item: item.id,
        agent: agent.clone(),
        reason: reason.to_owned(),
        until: ctx.cool_down(item),
    });
    Ok(done(item))
}

pub(super) fn check_assigned(item: &WorkItem, epoch: u32, agent: &AgentId) -> Result<(), Refusal> {
    check_epoch(item, epoch)?;
    match &item.assignment {
        Assignment::Assigned { agent: has, .. } if has == agent => Ok(()),
        Assignment::Assigned { .. } => Err(not_yours(item, agent)),
        _ => Err(wrong_state(item, "mark done")),
    }
}

/// Changes of attributes count only on the revision that the agent saw.
pub(super) fn check_changes(item: &WorkItem, changed_from: Option<u32>) -> Result<(), Refusal> {
    match changed_from {
        Some(given) if given != item.revision => Err(stale(item, "revision", item.revision, given)),
        _ => Ok(()),
    }
}

/// Checks a disposition against those of the queue. `last`: the agent has no later chance to give
/// one.
fn check_disposition(
    ctx: Context<'_>,
    item: &WorkItem,
    disposition: Option<&Name>,
    last: bool,
) -> Result<(), Refusal> {
    let Some(queue) = ctx.state.index.routes.queue(item) else {
        return Ok(());
    };
    let known = queue.dispositions.join(", ");
    let problem = match disposition {
        None if queue.disposition_required && last => format!("one of {known} is required"),
        None => return Ok(()),
        Some(given) if queue.dispositions.contains(given) => return Ok(()),
        Some(given) if known.is_empty() => {
            let name = item.queue().map_or("", |name| name.as_str());
            format!("{given:?} was given, but process {name:?} offers none")
        }
        Some(given) => format!("{given:?} is not one of {known}"),
    };
    Err(Refusal::Disposition { item: item.id, problem })
}

pub(super) fn mark_done(
    ctx: Context<'_>,
    item: &WorkItem,
    disposition: Option<&Name>,
    attributes_changed: bool,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    let routes = &ctx.state.index.routes;
    let mode = routes.completion_mode(item);
    if mode == CompletionMode::Source {
        return Err(Refusal::WrongState {
            item: item.id,
            action: "mark done",
            state: "of a process in which only the source completes".into(),
        });
    }
    let wrap_up = routes.queue(item).and_then(|queue| queue.wrap_up);
    check_disposition(ctx, item, disposition, wrap_up.is_none())?;
    let agent = item.agent().cloned().ok_or_else(|| wrong_state(item, "mark done"))?;
    let revision = item.revision + u32::from(attributes_changed);
    if attributes_changed {
        events.push(Event::Updated { item: item.id, revision });
    }
    let process = routes.process(item).filter(|_| mode != CompletionMode::DoneCloses);
    let confirm_by = process.map(|process| ctx.now.plus(process.completion.within));
    events.push(Event::MarkedDone {
        item: item.id,
        agent: agent.clone(),
        disposition: disposition.cloned(),
        confirm_by,
        wrap_up_until: wrap_up.map(|length| ctx.now.plus(length)),
    });
    if confirm_by.is_none() && wrap_up.is_none() {
        events.push(completed(item, Some(agent), None));
    }
    Ok(done_with(item, revision, None))
}

pub(super) fn end_wrap_up(
    ctx: Context<'_>,
    item: &WorkItem,
    by: &Holder,
    disposition: Option<&Name>,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    check_epoch(item, by.epoch)?;
    let Assignment::WrapUp { agent, disposition: said, .. } = &item.assignment else {
        return Err(wrong_state(item, "end the wrap-up of"));
    };
    if *agent != by.agent {
        return Err(not_yours(item, &by.agent));
    }
    let disposition = disposition.or(said.as_ref());
    check_disposition(ctx, item, disposition, true)?;
    wrapped_up(item, disposition, events);
    Ok(done(item))
}

/// The wrap-up is over: the item waits for the source, or is completed.
pub(crate) fn wrapped_up(item: &WorkItem, disposition: Option<&Name>, events: &mut Vec<Event>) {
    let Assignment::WrapUp { agent, confirm_by, .. } = &item.assignment else {
        return;
    };
    let (agent, disposition) = (agent.clone(), disposition.cloned());
    events.push(Event::WrapUpEnded { item: item.id, agent: agent.clone(), disposition });
    if confirm_by.is_none() {
        events.push(completed(item, Some(agent), None));
    }
}

pub(super) fn complete(
    item: &WorkItem,
    result_code: Option<&String>,
    events: &mut Vec<Event>,
) -> Reply {
    take_back(item, RevokeReason::Ended, events);
    let marked_by = match &item.assignment {
        Assignment::Confirming { agent, .. } | Assignment::WrapUp { agent, .. } => {
            Some(agent.clone())
        }
        _ => None,
    };
    events.push(completed(item, marked_by, result_code.cloned()));
    done(item)
}

pub(super) fn confirm(
    item: &WorkItem,
    epoch: u32,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    check_epoch(item, epoch)?;
    match &item.assignment {
        Assignment::Confirming { agent, .. } => {
            events.push(completed(item, Some(agent.clone()), None));
        }
        // The agent still has to say what came of it.
        Assignment::WrapUp { confirm_by: Some(_), .. } => {
            events.push(Event::Confirmed { item: item.id });
        }
        _ => return Err(wrong_state(item, "confirm")),
    }
    Ok(done(item))
}

fn completed(item: &WorkItem, agent: Option<AgentId>, result_code: Option<String>) -> Event {
    Event::Completed { item: item.id, agent, result_code }
}
