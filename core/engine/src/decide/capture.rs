//! What sources and rules say of an item: capture, update, and the end of a run.

use gantry_model::command::{Capture, Holder, Refusal, Reply, Verdict};
use gantry_model::spec::{OnChange, OnReopen};
use gantry_model::{Event, Hold, ItemId, WorkItem};

use super::settle::settle;
use super::{Context, begin_run, done_with, moves, stale};
use crate::facts;

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

/// A change of an item's attributes: the fields of [`gantry_model::Command::Update`].
pub(super) struct Update<'a> {
    pub(super) base_revision: u32,
    pub(super) rerun: bool,
    pub(super) verdict: Option<&'a Verdict>,
    pub(super) reschedule: bool,
    pub(super) by: Option<&'a Holder>,
}

pub(super) fn update(
    ctx: Context<'_>,
    item: &WorkItem,
    update: &Update<'_>,
    events: &mut Vec<Event>,
) -> Result<Reply, Refusal> {
    let Update { base_revision, rerun, verdict, reschedule, by } = *update;
    if base_revision != item.revision {
        return Err(stale(item, "revision", item.revision, base_revision));
    }
    if let Some(holder) = by {
        moves::check_holder(ctx, item, holder, "update")?;
    }
    let mut updated = item.clone();
    updated.revision += 1;
    events.push(Event::Updated { item: item.id, revision: updated.revision });
    let rescheduled = reschedule && updated.class.is_some();
    if rescheduled {
        let event = Event::Rescheduled { item: item.id, agent: item.agent().cloned() };
        facts::apply_to(&mut updated, ctx.now, &event);
        events.push(event);
    }
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
    // The new date is not known before the run ends: until then the item waits for it.
    if run.is_some() && rescheduled && !matches!(updated.hold, Hold::Held { .. }) {
        let begun = events.pop();
        events.push(Event::Restarted { item: item.id });
        events.extend(begun);
    }
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
