//! Settlement: what the rules say of an item becomes its process, its dates and its place.

use gantry_model::calendar::WorkingTimeError;
use gantry_model::command::{Classified, Verdict};
use gantry_model::event::RevokeReason;
use gantry_model::spec::{Sla, Validity};
use gantry_model::{Assignment, Event, Hold, LifeCycle, Millis, Name, Timestamp, WorkItem};
use thiserror::Error;

use super::room::{has_room, withdraw_unfit};
use super::{Context, take_back};
use crate::facts;
use crate::index::media_type;

/// No SLA is longer than a hundred years: it would be a mistake of units.
const SLA_MAX: Millis = Millis::from_secs(100 * 366 * 86_400);

/// Lets a verdict count. `item` is the item with all that came before in the same decision.
pub(super) fn settle(
    ctx: Context<'_>,
    item: &WorkItem,
    verdict: &Verdict,
    events: &mut Vec<Event>,
) {
    match verdict {
        Verdict::Classified(found) => match finished(ctx, item, found) {
            Ok(found) => match outside(ctx, item, &found) {
                Some(reason) => rejected(item, reason, events),
                None => classified(ctx, item, found, events),
            },
            Err(reason) => failed(item, reason.to_string(), None, events),
        },
        Verdict::Rejected { reason } => rejected(item, reason.clone(), events),
        Verdict::Failed { reason, retry_at } => failed(item, reason.clone(), *retry_at, events),
    }
}

fn rejected(item: &WorkItem, reason: String, events: &mut Vec<Event>) {
    take_back(item, RevokeReason::Ended, events);
    events.push(Event::Rejected { item: item.id, reason });
}

fn failed(item: &WorkItem, reason: String, retry_at: Option<Timestamp>, events: &mut Vec<Event>) {
    // Work that an agent has accepted goes on; the error counts when it comes back.
    if matches!(item.assignment, Assignment::Offered { .. }) {
        take_back(item, RevokeReason::Held, events);
    }
    events.push(Event::ErrorHeld { item: item.id, reason, retry_at });
}

/// Why the item's process takes no new items, if so. An item that is in the process already goes
/// on.
fn outside(ctx: Context<'_>, item: &WorkItem, found: &Classified) -> Option<String> {
    let process = &found.class.as_ref()?.process;
    closed(ctx, process).filter(|_| item.process() != Some(process))
}

/// Why a process takes no items at this time, with the date; `None` if it takes them.
pub(super) fn closed(ctx: Context<'_>, process: &Name) -> Option<String> {
    let routing = ctx.state.routing();
    let department = process.split_once('/').map_or(process.as_str(), |(name, _)| name);
    let of_department = routing.departments.get(department).map(|spec| spec.valid);
    let of_process = routing.processes.get(process).map(|spec| spec.valid);
    let dates = [
        ("department", department, of_department.unwrap_or_default()),
        ("process", process.as_str(), of_process.unwrap_or_default()),
    ];
    dates.into_iter().find_map(|(kind, name, valid)| {
        let Validity { from, to } = valid;
        if let Some(from) = from.filter(|from| ctx.now < *from) {
            return Some(format!("{kind} {name:?} takes items from {from} on"));
        }
        let to = to.filter(|to| *to <= ctx.now)?;
        Some(format!("{kind} {name:?} took items until {to}"))
    })
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
    #[error("an SLA of {sla} is longer than 100 years")]
    TooLong { sla: Sla },
    #[error("an SLA of {sla} needs a calendar: name one in process {process:?} or its department")]
    NoCalendar { sla: Sla, process: Name },
    #[error("an SLA of {sla} never ends in the calendar of process {process:?}: {source}")]
    NoDueDate { sla: Sla, process: Name, source: WorkingTimeError },
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
    let mut found = found.clone();
    if found.due_at.is_none() {
        let anchor_at = found.activation_at.unwrap_or(item.captured_at);
        let sla = class.sla.or(process.sla);
        found.due_at = sla.map(|sla| due(ctx, &class.process, sla, anchor_at)).transpose()?;
    }
    Ok(found)
}

/// When an SLA ends that counts from `anchor_at`, in the time that it names.
fn due(
    ctx: Context<'_>,
    process: &Name,
    sla: Sla,
    anchor_at: Timestamp,
) -> Result<Timestamp, Unusable> {
    let calendar = || {
        let calendar = ctx.state.index.routes.calendar(process);
        calendar.ok_or_else(|| Unusable::NoCalendar { sla, process: process.clone() })
    };
    let at = match sla {
        Sla::Wall(length) => Ok(anchor_at.plus(length)),
        Sla::Business(length) => calendar()?.add(anchor_at, length),
        Sla::Workdays(days) => calendar()?.add_days(anchor_at, days),
    };
    let at = at.map_err(|source| Unusable::NoDueDate { sla, process: process.clone(), source })?;
    if at.since(anchor_at) > SLA_MAX {
        return Err(Unusable::TooLong { sla });
    }
    Ok(at)
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
        // Among what lies at the desk it counts as another kind from now on.
        Assignment::Assigned { agent, .. } | Assignment::WrapUp { agent, .. }
            if media_type(item) != media_type(&after) =>
        {
            let others = ctx.state.desk(agent).filter(|other| other.id != after.id);
            let desk: Vec<WorkItem> = others.chain([after.clone()]).collect();
            if let Some(agent) = ctx.state.agent(agent) {
                withdraw_unfit(ctx.state.routing(), agent, &desk, events);
            }
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
    let room = media == media_type(before) || has_room(state, agent, media);
    room && requirement.fits(&agent.profile)
}
