//! What sources and rules say of an item: capture, update, and the end of a run.

use gantry_model::command::{Capture, Classified, Refusal, Reply, Verdict};
use gantry_model::event::RevokeReason;
use gantry_model::spec::{OnChange, OnReopen, Sla};
use gantry_model::{Assignment, Event, Hold, ItemId, LifeCycle, Millis, Name, Timestamp, WorkItem};
use thiserror::Error;

use super::{Context, begin_run, done_with, staff, stale, take_back};
use crate::facts;
use crate::index::{capacity, media_type};

pub(super) fn capture(
    ctx: Context<'_>,
    capture: &Capture,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    let Some(known) = capture.known else {
        return Ok(create(ctx, capture, None, events));
    };
    let item = known.item;
    if known.seen || known.hash == capture.hash {
        return Ok(Reply::Repeat { item });
    }
    match (ctx.state.item(item), capture.on_change, capture.on_reopen) {
        (Some(live), OnChange::Update, _) => Ok(Reply::Changed { item, revision: live.revision }),
        (Some(_), OnChange::Ignore, _) | (None, _, OnReopen::Ignore) => Ok(Reply::Ignored { item }),
        (Some(_), OnChange::Conflict, _) => Err(Refusal::Conflict { item }),
        (None, _, OnReopen::New) => Ok(create(ctx, capture, Some(item), events)),
        (None, _, OnReopen::DeadLetter) => Err(Refusal::Reopened { item }),
    }
}

fn create(
    ctx: Context<'_>,
    capture: &Capture,
    previous: Option<ItemId>,
    events: &mut Vec<Event>,
) -> Reply {
    let id = ItemId::new(ctx.state.partition(), ctx.state.next_counter());
    let captured = Event::Captured {
        item: id,
        capture_point: capture.capture_point.clone(),
        hash: capture.hash,
        previous,
        anchor_at: capture.activation_at.unwrap_or(ctx.now),
    };
    let item = facts::captured(ctx.now, &captured).expect("invariant: the event is a capture");
    events.push(captured);
    let run = match capture.verdict.as_deref() {
        Some(verdict) if current(ctx, verdict) => {
            settle(ctx, &item, verdict, events);
            None
        }
        _ => Some(begin_run(&item, events)),
    };
    Reply::Created { item: id, run }
}

/// `true` unless the rules that gave the verdict belong to another config version.
fn current(ctx: Context<'_>, verdict: &Verdict) -> bool {
    version(verdict).is_none_or(|version| version == ctx.state.config_version())
}

fn version(verdict: &Verdict) -> Option<u32> {
    match verdict {
        Verdict::Classified(found) => found.class.as_ref().map(|class| class.version),
        Verdict::Rejected { .. } | Verdict::Failed { .. } => None,
    }
}

pub(super) fn update(
    ctx: Context<'_>,
    item: &WorkItem,
    base_revision: u32,
    rerun: bool,
    verdict: Option<&Verdict>,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    if base_revision != item.revision {
        return Err(stale(item, "revision", item.revision, base_revision));
    }
    let mut updated = item.clone();
    updated.revision += 1;
    events.push(Event::Updated { item: item.id, revision: updated.revision });
    // A run under way has read the old attributes: only a new one can judge the new ones. An
    // item without a process has nothing to keep while it waits for a verdict that nobody gives.
    let verdict = verdict.filter(|verdict| current(ctx, verdict));
    let unsettled = item.class.is_none() || matches!(item.hold, Hold::Error { .. });
    let run = match verdict {
        _ if rerun || item.run_open => Some(begin_run(&updated, events)),
        Some(verdict) => {
            settle(ctx, &updated, verdict, events);
            None
        }
        None if unsettled => Some(begin_run(&updated, events)),
        None => None,
    };
    Ok(done_with(item, updated.revision, run))
}

pub(super) fn check_run(
    ctx: Context<'_>,
    item: &WorkItem,
    revision: u32,
    run: u32,
    verdict: &Verdict,
) -> Result<(), Refusal> {
    if run != item.run || !item.run_open {
        return Err(stale(item, "run", item.run, run));
    }
    if revision != item.revision {
        return Err(stale(item, "revision", item.revision, revision));
    }
    match version(verdict) {
        Some(given) if given != ctx.state.config_version() => {
            let current = ctx.state.config_version();
            Err(stale(item, "config version", current, given))
        }
        _ => Ok(()),
    }
}

pub(super) fn end_run(
    ctx: Context<'_>,
    item: &WorkItem,
    enriched: bool,
    verdict: &Verdict,
    events: &mut Vec<Event>,
) -> Reply {
    let mut found = item.clone();
    if enriched {
        found.revision += 1;
        let event = Event::Enriched { item: item.id, run: item.run, revision: found.revision };
        facts::apply_to(&mut found, ctx.now, &event);
        events.push(event);
    }
    settle(ctx, &found, verdict, events);
    done_with(item, found.revision, None)
}

/// Lets a verdict count. `item` is the item with all that came before in the same decision.
fn settle(ctx: Context<'_>, item: &WorkItem, verdict: &Verdict, events: &mut Vec<Event>) {
    match verdict {
        Verdict::Classified(found) => match finished(ctx, item, found) {
            Ok(found) => classified(ctx, item, found, events),
            Err(reason) => failed(item, reason.to_string(), None, events),
        },
        Verdict::Rejected { reason } => {
            take_back(item, RevokeReason::Ended, events);
            events.push(Event::Rejected { item: item.id, reason: reason.clone() });
        }
        Verdict::Failed { reason, retry_at } => failed(item, reason.clone(), *retry_at, events),
    }
}

fn failed(item: &WorkItem, reason: String, retry_at: Option<Timestamp>, events: &mut Vec<Event>) {
    // Work that an agent has accepted goes on; the error counts when it comes back.
    if matches!(item.assignment, Assignment::Offered { .. }) {
        take_back(item, RevokeReason::Held, events);
    }
    events.push(Event::ErrorHeld { item: item.id, reason, retry_at });
}

/// Why a classification cannot be used: the reason for which the item is held.
#[derive(Debug, Error)]
enum Unusable {
    #[error("the rules gave no process")]
    NoProcess,
    #[error("process {process:?} does not exist in config version {version}")]
    UnknownProcess { process: Name, version: u32 },
    #[error("priority schema {schema:?} does not exist in config version {version}")]
    UnknownSchema { schema: Name, version: u32 },
}

/// Checks the names, and makes the due date final: from the verdict, else from the SLA of the
/// rule, else of the process, counted from where the item's curve starts.
fn finished(ctx: Context<'_>, item: &WorkItem, found: &Classified) -> Result<Classified, Unusable> {
    let (routing, version) = (ctx.state.routing(), ctx.state.config_version());
    let class = found.class.as_ref().ok_or(Unusable::NoProcess)?;
    let Some(process) = routing.processes.get(&class.process) else {
        let process = class.process.clone();
        return Err(Unusable::UnknownProcess { process, version });
    };
    if !routing.priorities.contains_key(&class.schema) {
        let schema = class.schema.clone();
        return Err(Unusable::UnknownSchema { schema, version });
    }
    let anchor_at = found.activation_at.unwrap_or(item.captured_at);
    let sla = class.sla.or(process.sla).map(|sla| match sla {
        Sla::Wall(length) | Sla::Business(length) => length,
        Sla::Workdays(days) => Millis::from_secs(i64::from(days) * 86_400),
    });
    let mut found = found.clone();
    found.due_at = found.due_at.or(sla.map(|sla| anchor_at.plus(sla)));
    Ok(found)
}

fn classified(ctx: Context<'_>, item: &WorkItem, found: Classified, events: &mut Vec<Event>) {
    let mut after = item.clone();
    facts::classify(&mut after, &found);
    if after == *item {
        return;
    }
    let until = after.activation_at.filter(|until| *until > ctx.now);
    events.push(Event::Classified { item: item.id, classified: found });
    if matches!(after.hold, Hold::Held { .. }) {
        return;
    }
    if let Some(until) = until {
        if after.hold != (Hold::Activation { until }) {
            take_back(item, RevokeReason::Reclassified, events);
            events.push(Event::ActivationAwaited { item: item.id, until });
        }
        return;
    }
    let (queued, free) = (Event::Queued { item: item.id }, Hold::None);
    match &after.assignment {
        Assignment::None if after.life_cycle != LifeCycle::Queued || after.hold != free => {
            events.push(queued);
        }
        Assignment::Offered { .. } if !still_fits(ctx, item, &after) => {
            take_back(item, RevokeReason::Reclassified, events);
        }
        Assignment::Assigned { agent, .. } if media_type(item) != media_type(&after) => {
            let media = media_type(&after);
            let agent = ctx.state.agent(agent);
            let room = agent.map_or(0, |agent| capacity(&agent.profile, media));
            staff::withdraw_excess(ctx, item.agent(), media, room.saturating_sub(1), events);
        }
        _ => {}
    }
}

/// `true` if the agent whom the item is offered to could also be offered it as it is now.
fn still_fits(ctx: Context<'_>, before: &WorkItem, after: &WorkItem) -> bool {
    let state = ctx.state;
    let agent = after.agent().and_then(|agent| state.agent(agent));
    let process = state.index.routes.queue(after);
    let (Some(agent), Some(process)) = (agent, process) else {
        return false;
    };
    let stage = state.rung(after, process, ctx.now).stage;
    let requirement = state.requirement(after, process, stage);
    let media = media_type(after);
    let room = media == media_type(before)
        || state.index.load(&agent.profile.id, media) < capacity(&agent.profile, media);
    room && requirement.fits(&agent.profile)
}
