//! Taking an item out of distribution and putting it back: hold, resume, restart.

use gantry_model::command::{Refusal, Reply};
use gantry_model::event::RevokeReason;
use gantry_model::{Assignment, Event, Hold, LifeCycle, WorkItem};

use super::{Context, begin_run, done, done_with, take_back, wrong_state};

pub(super) fn hold(
    item: &WorkItem,
    reason: &str,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    match item.assignment {
        Assignment::Assigned { .. } | Assignment::WrapUp { .. } | Assignment::Confirming { .. } => {
            return Err(wrong_state(item, "hold"));
        }
        Assignment::None | Assignment::Offered { .. } | Assignment::Parked { .. } => {}
    }
    // A source may repeat itself; the first hold and its reason stand.
    if !matches!(item.hold, Hold::Held { .. }) {
        take_back(item, RevokeReason::Held, events);
        events.push(Event::Held { item: item.id, reason: reason.to_owned() });
    }
    Ok(done(item))
}

pub(super) fn resume(
    ctx: Context<'_>,
    item: &WorkItem,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    let mut run = None;
    match &item.hold {
        Hold::Held { .. } => {
            events.push(Event::Resumed { item: item.id });
            run = put_back(ctx, item, events);
        }
        // The item stays held until the new run ends.
        Hold::Error { .. } if !item.run_open => run = Some(begin_run(item, events)),
        Hold::Error { .. } | Hold::None => {}
        Hold::Activation { .. } => return Err(wrong_state(item, "resume")),
    }
    Ok(done_with(item, item.revision, run))
}

/// Sends an item that was held to where it would be now.
fn put_back(
    ctx: Context<'_>,
    item: &WorkItem,
    events: &mut Vec<Event>,
) -> Option<gantry_model::command::RunId> {
    match item.life_cycle {
        LifeCycle::Captured | LifeCycle::Enriched => {
            return (!item.run_open).then(|| begin_run(item, events));
        }
        LifeCycle::Classified => events.push(enter(ctx, item)),
        _ => {
            if let Some(until) = item.activation_at.filter(|until| *until > ctx.now) {
                events.push(Event::ActivationAwaited { item: item.id, until });
            }
        }
    }
    None
}

/// Into the queue, or to wait for the activation date.
fn enter(ctx: Context<'_>, item: &WorkItem) -> Event {
    let awaited = item.activation_at.filter(|until| *until > ctx.now);
    match awaited {
        Some(until) => Event::ActivationAwaited { item: item.id, until },
        None => Event::Queued { item: item.id },
    }
}

pub(super) fn restart(
    item: &WorkItem,
    force: bool,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    if !force && matches!(item.assignment, Assignment::Assigned { .. }) {
        return Err(wrong_state(item, "restart"));
    }
    take_back(item, RevokeReason::Restarted, events);
    events.push(Event::Restarted { item: item.id });
    let run = begin_run(item, events);
    Ok(done_with(item, item.revision, Some(run)))
}
