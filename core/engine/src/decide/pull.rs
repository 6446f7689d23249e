//! Pull: an agent takes an item from a workbin, or chooses it from the queue where they may.

use gantry_model::command::{Refusal, Reply};
use gantry_model::name::AgentId;
use gantry_model::{Agent, Assignment, Event, Hold, WorkItem};

use super::moves::may_use;
use super::room::{has_room, make_way};
use super::work::confirm_by;
use super::{Context, done, staff, wrong_state};
use crate::index::media_type;

pub(super) fn pull(
    ctx: Context<'_>,
    item: &WorkItem,
    id: &AgentId,
    over_capacity: Option<&String>,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    staff::known(ctx, id)?;
    let agent = ctx.state.agent(id).expect("invariant: the agent was just found");
    let refused = |why: String| Refusal::MayNotPull { item: item.id, agent: id.clone(), why };
    match &item.assignment {
        Assignment::Parked { workbin, .. } if item.hold == Hold::None => {
            if !may_use(ctx, id, workbin) {
                return Err(refused(format!("it lies in the {workbin}")));
            }
        }
        Assignment::None if item.waiting() => {
            check_choice(ctx, item, agent).map_err(refused)?;
        }
        _ => return Err(wrong_state(item, "pull")),
    }
    if !agent.presence.there() {
        return Err(refused("they are not signed on".into()));
    }
    let media = media_type(item);
    let room = has_room(ctx.state, agent, media);
    if !room && over_capacity.is_none() {
        return Err(Refusal::NoRoom { agent: id.clone(), media: media.into() });
    }
    // What was only offered makes way for what the agent insists on.
    make_way(ctx.state, id, item, events);
    events.push(Event::Pulled {
        item: item.id,
        agent: id.clone(),
        epoch: item.epoch + 1,
        confirm_by: confirm_by(ctx, item),
        workbin: item.workbin().cloned(),
        passed_over: ctx.state.ahead(ctx.now, id, item),
        over_capacity: over_capacity.filter(|_| !room).cloned(),
    });
    Ok(done(item))
}

/// Choosing from the queue: where the process allows it, and only what the agent could be offered.
fn check_choice(ctx: Context<'_>, item: &WorkItem, agent: &Agent) -> Result<(), String> {
    let queue = ctx.state.index.routes.queue(item).filter(|queue| queue.choose);
    let Some(queue) = queue else {
        let name = item.queue().map_or("", |name| name.as_str());
        return Err(format!(
            "agents do not choose from queue {name:?}, they are offered its items"
        ));
    };
    let stage = ctx.state.rung(item, queue, ctx.now).stage;
    let requirement = ctx.state.requirement(item, queue, stage);
    if !requirement.fits(&agent.profile) {
        return Err(format!("it asks for {requirement}"));
    }
    Ok(())
}
