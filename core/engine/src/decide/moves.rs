//! Moving an item by hand: transfer, park, return, retrieve, empty a workbin; and its boost.

use gantry_model::command::{Holder, MOVED_MAX, Refusal, Reply};
use gantry_model::event::ReturnReason;
use gantry_model::name::AgentId;
use gantry_model::priority::POINTS_MAX;
use gantry_model::{Assignment, Event, LifeCycle, Name, Target, Timestamp, WorkItem, Workbin};

use super::work::{check_epoch, not_yours};
use super::{Context, done, settle, staff, wrong_state};

pub(super) fn transfer(
    ctx: Context<'_>,
    item: &WorkItem,
    by: Option<&Holder>,
    to: &Target,
    note: Option<&String>,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    if let Target::Workbin(workbin) = to {
        return park(ctx, item, by, workbin, None, note, events);
    }
    movable(ctx, item, by, "transfer")?;
    check_target(ctx, to)?;
    events.push(Event::Transferred {
        item: item.id,
        agent: item.agent().cloned(),
        to: to.clone(),
        until: giver_cools_down(ctx, item, to),
        note: note.cloned(),
    });
    Ok(done(item))
}

/// Who gave an item away is not asked at once, unless it is sent to them.
fn giver_cools_down(ctx: Context<'_>, item: &WorkItem, to: &Target) -> Option<Timestamp> {
    let giver = item.agent()?;
    let back = matches!(to, Target::Agent(agent) if agent == giver);
    Some(ctx.cool_down(item)).filter(|_| !back)
}

pub(super) fn park(
    ctx: Context<'_>,
    item: &WorkItem,
    by: Option<&Holder>,
    workbin: &Workbin,
    until: Option<Timestamp>,
    note: Option<&String>,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    movable(ctx, item, by, "park")?;
    check_workbin(ctx, workbin)?;
    events.push(Event::Parked {
        item: item.id,
        agent: item.agent().cloned(),
        workbin: workbin.clone(),
        until,
        note: note.cloned(),
        prefilled: false,
    });
    Ok(done(item))
}

pub(super) fn give_back(
    ctx: Context<'_>,
    item: &WorkItem,
    by: Option<&Holder>,
    note: Option<&String>,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    movable(ctx, item, by, "return")?;
    if item.assignment == Assignment::None {
        return Err(wrong_state(item, "return"));
    }
    events.push(Event::Returned {
        item: item.id,
        agent: had(item).cloned(),
        workbin: item.workbin().cloned(),
        why: ReturnReason::ByHand,
        until: had(item).map(|_| ctx.cool_down(item)),
        note: note.cloned(),
    });
    Ok(done(item))
}

pub(super) fn retrieve(
    ctx: Context<'_>,
    item: &WorkItem,
    reason: &str,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    movable(ctx, item, None, "retrieve")?;
    if item.assignment == Assignment::None {
        return Err(wrong_state(item, "retrieve"));
    }
    events.push(Event::Retrieved {
        item: item.id,
        agent: had(item).cloned(),
        workbin: item.workbin().cloned(),
        reason: reason.to_owned(),
        until: had(item).map(|_| ctx.cool_down(item)),
    });
    Ok(done(item))
}

/// Who had an item, and is not given it again at once: in advance counts too.
fn had(item: &WorkItem) -> Option<&AgentId> {
    item.agent().or(item.prefilled())
}

pub(super) fn empty(ctx: Context<'_>, workbin: &Workbin, events: &mut Vec<Event>) -> Reply {
    // What lies there in advance is in distribution already.
    let parked = ctx.state.workbin(workbin).filter(|item| item.prefilled().is_none());
    events.extend(parked.take(MOVED_MAX).map(|item| Event::Returned {
        item: item.id,
        agent: None,
        workbin: Some(workbin.clone()),
        why: ReturnReason::Emptied,
        until: None,
        note: None,
    }));
    Reply::Moved { items: events.len() as u32 }
}

pub(super) fn boost(
    item: &WorkItem,
    points: i64,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    if !(-POINTS_MAX..=POINTS_MAX).contains(&points) {
        return Err(Refusal::BoostTooLarge { points });
    }
    if points != item.boost {
        events.push(Event::Boosted { item: item.id, points });
    }
    Ok(done(item))
}

/// An item can be moved while it is in the queue, with an agent or in a workbin; by an agent only
/// if it is theirs.
fn movable(
    ctx: Context<'_>,
    item: &WorkItem,
    by: Option<&Holder>,
    action: &'static str,
) -> Result<(), Refusal> {
    if let Some(holder) = by {
        check_holder(ctx, item, holder, action)?;
    }
    let confirming = matches!(item.assignment, Assignment::Confirming { .. });
    if item.life_cycle != LifeCycle::Queued || confirming {
        return Err(wrong_state(item, action));
    }
    Ok(())
}

/// Checks that the item is with the agent, or in a workbin that the agent may use, and has not
/// moved on since they saw it.
pub(super) fn check_holder(
    ctx: Context<'_>,
    item: &WorkItem,
    holder: &Holder,
    action: &'static str,
) -> Result<(), Refusal> {
    check_epoch(item, holder.epoch)?;
    let theirs = match &item.assignment {
        Assignment::Parked { workbin, .. } => may_use(ctx, &holder.agent, workbin),
        _ => match item.occupies() {
            Some(agent) => *agent == holder.agent,
            None => return Err(wrong_state(item, action)),
        },
    };
    theirs.then_some(()).ok_or_else(|| not_yours(item, &holder.agent))
}

/// `true` if the workbin is the agent's own or of their group. That of supervisors is used by
/// whoever has that role, which the caller has checked.
pub(super) fn may_use(ctx: Context<'_>, agent: &AgentId, workbin: &Workbin) -> bool {
    match workbin {
        Workbin::Agent(owner) => owner == agent,
        Workbin::Group(group) => {
            let agent = ctx.state.agent(agent);
            agent.is_some_and(|agent| agent.profile.groups.contains(group))
        }
        Workbin::Supervisor(_) => true,
    }
}

fn check_target(ctx: Context<'_>, to: &Target) -> Result<(), Refusal> {
    match to {
        Target::Agent(agent) => staff::known(ctx, agent),
        Target::Group(group) => check_group(ctx, group),
        Target::Skills(_) => Ok(()),
        Target::Queue(queue) => check_queue(ctx, queue),
        Target::Workbin(workbin) => check_workbin(ctx, workbin),
    }
}

fn check_workbin(ctx: Context<'_>, workbin: &Workbin) -> Result<(), Refusal> {
    match workbin {
        Workbin::Agent(agent) => staff::known(ctx, agent),
        Workbin::Group(group) | Workbin::Supervisor(group) => check_group(ctx, group),
    }
}

fn check_group(ctx: Context<'_>, group: &Name) -> Result<(), Refusal> {
    let known = ctx.state.agents().any(|agent| agent.profile.groups.contains(group));
    known.then_some(()).ok_or_else(|| Refusal::UnknownGroup { group: group.clone() })
}

fn check_queue(ctx: Context<'_>, queue: &Name) -> Result<(), Refusal> {
    let processes = &ctx.state.routing().processes;
    if !processes.contains_key(queue) {
        let known: Vec<&str> = processes.keys().map(Name::as_str).collect();
        return Err(Refusal::UnknownQueue { queue: queue.clone(), known: known.join(", ") });
    }
    match settle::closed(ctx, queue) {
        Some(why) => Err(Refusal::QueueClosed { queue: queue.clone(), why }),
        None => Ok(()),
    }
}

/// `true` if the workbin's owner exists.
pub(crate) fn workbin_exists(state: &crate::State, now: Timestamp, workbin: &Workbin) -> bool {
    check_workbin(Context { state, now }, workbin).is_ok()
}
