//! What agents and sources do with an item that was offered: accept, decline, done, complete.

use gantry_model::command::{Refusal, Reply};
use gantry_model::event::RevokeReason;
use gantry_model::name::{AgentId, Name};
use gantry_model::spec::CompletionMode;
use gantry_model::{Assignment, Event, Millis, WorkItem};

use super::{Context, done, done_with, stale, take_back, wrong_state};

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

fn check_epoch(item: &WorkItem, epoch: u32) -> Result<(), Refusal> {
    if epoch == item.epoch {
        return Ok(());
    }
    Err(stale(item, "epoch", item.epoch, epoch))
}

fn not_yours(item: &WorkItem, agent: &AgentId) -> Refusal {
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
    let routes = &ctx.state.index.routes;
    let waits_for_source = routes.completion_mode(item) == CompletionMode::Source;
    let process = routes.process(item).filter(|_| waits_for_source);
    events.push(Event::Accepted {
        item: item.id,
        agent: agent.clone(),
        confirm_by: process.map(|process| ctx.now.plus(process.completion.within)),
    });
    Ok(done(item))
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
    let process = ctx.state.index.routes.process(item);
    let cool_down = process.map_or(Millis(0), |process| process.decline_cool_down);
    events.push(Event::Declined {
        item: item.id,
        agent: agent.clone(),
        reason: reason.to_owned(),
        until: ctx.now.plus(cool_down),
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

pub(super) fn check_disposition(
    ctx: Context<'_>,
    item: &WorkItem,
    disposition: Option<&Name>,
) -> Result<(), Refusal> {
    let routes = &ctx.state.index.routes;
    if routes.completion_mode(item) == CompletionMode::Source {
        return Err(Refusal::WrongState {
            item: item.id,
            action: "mark done",
            state: "of a process in which only the source completes".into(),
        });
    }
    let Some(process) = routes.process(item) else {
        return Ok(());
    };
    let known = process.dispositions.join(", ");
    let problem = match disposition {
        None if process.disposition_required => format!("one of {known} is required"),
        None => return Ok(()),
        Some(given) if process.dispositions.contains(given) => return Ok(()),
        Some(given) if known.is_empty() => {
            format!("{given:?} was given, but process {:?} offers none", item_process(item))
        }
        Some(given) => format!("{given:?} is not one of {known}"),
    };
    Err(Refusal::Disposition { item: item.id, problem })
}

fn item_process(item: &WorkItem) -> &str {
    item.process().map_or("", |process| process.as_str())
}

pub(super) fn mark_done(
    ctx: Context<'_>,
    item: &WorkItem,
    disposition: Option<&Name>,
    attributes_changed: bool,
    events: &mut Vec<Event>,
) -> Reply {
    let Some(agent) = item.agent().cloned() else {
        return done(item);
    };
    let revision = item.revision + u32::from(attributes_changed);
    if attributes_changed {
        events.push(Event::Updated { item: item.id, revision });
    }
    let routes = &ctx.state.index.routes;
    let closes = routes.completion_mode(item) == CompletionMode::DoneCloses;
    let process = routes.process(item).filter(|_| !closes);
    let confirm_by = process.map(|process| ctx.now.plus(process.completion.within));
    events.push(Event::MarkedDone {
        item: item.id,
        agent: agent.clone(),
        disposition: disposition.cloned(),
        confirm_by,
    });
    if confirm_by.is_none() {
        events.push(completed(item, Some(agent), None));
    }
    done_with(item, revision, None)
}

pub(super) fn complete(
    item: &WorkItem,
    result_code: Option<&String>,
    events: &mut Vec<Event>,
) -> Reply {
    take_back(item, RevokeReason::Ended, events);
    let marked_by = match &item.assignment {
        Assignment::Confirming { agent, .. } => Some(agent.clone()),
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
    let Assignment::Confirming { agent, .. } = &item.assignment else {
        return Err(wrong_state(item, "confirm"));
    };
    events.push(completed(item, Some(agent.clone()), None));
    Ok(done(item))
}

fn completed(item: &WorkItem, agent: Option<AgentId>, result_code: Option<String>) -> Event {
    Event::Completed { item: item.id, agent, result_code }
}
