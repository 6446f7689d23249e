//! What follows by itself: due timers, then matching.

use gantry_model::event::{ReturnReason, RevokeReason};
use gantry_model::priority::POINTS_MAX;
use gantry_model::spec::{AbsenceAction, Answer, EscalationStep};
use gantry_model::{
    Agent, Assignment, Event, Millis, Name, Presence, Timestamp, WorkItem, Workbin,
};

use crate::decide::{moves, room, staff, take_back, work};
use crate::matching;
use crate::prefill;
use crate::state::State;
use crate::timers::{self, Timer};

/// The next events that follow at `now` without anybody's command; empty when all is settled.
///
/// The state must have been moved to `now`. Apply the events, then ask again: timers fire one
/// item at a time in the order of their instants, then one offer at a time is made, and when
/// nobody can be offered anything, workbins are filled in advance.
pub fn follow_up(state: &State, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    if let Some(item) = state.woken(now)
        && let Some((at, timer)) = timers::next(&state.index.routes, &item)
        && at <= now
    {
        fire(state, now, &item, timer, &mut events);
        return events;
    }
    for agent in state.index.agent_wakes.due(now).filter_map(|agent| state.agent(agent)) {
        clear_desk(state, now, agent, &mut events);
        if !events.is_empty() {
            return events;
        }
    }
    if let Some(item) = state.index.prefill.stray().and_then(|item| state.item(item)) {
        unpark(&item, ReturnReason::NotTheirs, &mut events);
        return events;
    }
    if let Some(offer) = matching::next_offer(state, now) {
        let accepted = answered(state, now, &offer);
        let made_way = made_way(state, &offer);
        events.push(offer);
        events.extend(accepted);
        events.extend(made_way);
    } else {
        events.extend(prefill::next(state, now));
    }
    events
}

/// What is withdrawn from an agent because of what is offered.
fn made_way(state: &State, offer: &Event) -> Vec<Event> {
    let mut events = Vec::new();
    if let Event::Offered { item, agent, .. } = offer
        && let Some(item) = state.item(*item).filter(|_| state.excludes(agent))
    {
        room::make_way(state, agent, &item, &mut events);
    }
    events
}

/// The acceptance that follows an offer at once, where nobody has to give it.
fn answered(state: &State, now: Timestamp, offer: &Event) -> Option<Event> {
    let Event::Offered { item, agent, .. } = offer else {
        return None;
    };
    let item = &state.item(*item)?;
    let of_agent = state.agent(agent)?.profile.answer;
    let answer = of_agent.unwrap_or(state.index.routes.queue(item)?.answer);
    (answer == Answer::Automatic).then(|| work::accepted(state, now, item, agent))
}

/// Takes the work of an agent who has been away too long.
fn clear_desk(state: &State, now: Timestamp, agent: &Agent, events: &mut Vec<Event>) {
    let Some(absence) = state.routing().absence else {
        return;
    };
    if timers::absence(state.routing(), agent, true).is_none_or(|at| at > now) {
        return;
    }
    let id = &agent.profile.id;
    let desk = state.desk(id);
    for item in desk.filter(|item| matches!(item.assignment, Assignment::Assigned { .. })) {
        match absence.then {
            AbsenceAction::Return => take_back(&item, RevokeReason::AgentAbsent, events),
            AbsenceAction::Park => events.push(Event::Parked {
                item: item.id,
                agent: Some(id.clone()),
                workbin: Workbin::Agent(id.clone()),
                until: None,
                note: None,
                prefilled: false,
            }),
        }
    }
}

fn fire(state: &State, now: Timestamp, item: &WorkItem, timer: Timer, events: &mut Vec<Event>) {
    let id = item.id;
    match timer {
        Timer::Warn => events.push(Event::SlaWarned { item: id }),
        Timer::Breach => events.push(Event::SlaBreached { item: id }),
        Timer::Activation => events.push(Event::Queued { item: id }),
        Timer::Offer => ring_out(state, now, item, events),
        Timer::Confirmation => {
            if let Some(agent) = item.agent().cloned() {
                events.push(Event::ConfirmationMissed { item: id, agent });
            }
        }
        Timer::WrapUp => {
            if let Assignment::WrapUp { disposition, .. } = &item.assignment {
                work::wrapped_up(item, disposition.as_ref(), events);
            }
        }
        Timer::ParkedUntil => unpark(item, ReturnReason::ParkedUntil, events),
        Timer::ParkLimit => unpark(item, ReturnReason::ParkLimit, events),
        Timer::Escalation(step) => {
            let steps = state.index.routes.queue(item).map(|queue| &queue.escalation);
            if let (Some(step), Some(queue)) = (steps.and_then(|s| s.get(step)), item.queue()) {
                events.push(escalate(state, now, item, queue, step));
            }
        }
        Timer::Retry => events.push(Event::RunStarted { item: id, run: item.run + 1 }),
        Timer::Expiry => {
            take_back(item, RevokeReason::Ended, events);
            events.push(Event::Expired { item: id });
        }
    }
}

/// Puts what lies in a workbin back into distribution.
pub(crate) fn unpark(item: &WorkItem, why: ReturnReason, events: &mut Vec<Event>) {
    events.push(Event::Returned {
        item: item.id,
        agent: None,
        workbin: item.workbin().cloned(),
        why,
        until: None,
        note: None,
    });
}

/// What a step of the escalation does. Places that exist no more are left out: the item stays
/// where it is, and the alert says so.
fn escalate(
    state: &State,
    now: Timestamp,
    item: &WorkItem,
    name: &Name,
    step: &EscalationStep,
) -> Event {
    let known = |queue: &&Name| state.routing().processes.contains_key(*queue);
    let exists = |workbin: &&Workbin| moves::workbin_exists(state, now, workbin);
    let (queue, workbin) = (step.queue.as_ref(), step.workbin.as_ref());
    let gone = match (queue.filter(|it| !known(it)), workbin.filter(|it| !exists(it))) {
        (Some(queue), _) => Some(format!("queue {queue:?} does not exist")),
        (None, Some(workbin)) => Some(format!("nobody has the {workbin}")),
        (None, None) => None,
    };
    let alert = [step.alert.clone(), gone].into_iter().flatten().collect::<Vec<_>>();
    let queue = queue.filter(known).filter(|queue| item.queue() != Some(*queue));
    let workbin = workbin.filter(exists).filter(|workbin| item.workbin() != Some(*workbin));
    let moves = queue.is_some() || workbin.is_some();
    Event::Escalated {
        item: item.id,
        step: Name::from(format!("{name}:{}", step.id)),
        agent: item.agent().filter(|_| moves).cloned(),
        boost: item.boost.saturating_add(step.raise).clamp(-POINTS_MAX, POINTS_MAX),
        queue: queue.cloned(),
        workbin: workbin.cloned(),
        alert: (!alert.is_empty()).then(|| alert.join("; ")),
    }
}

/// RONA: the item goes to somebody else, and the agent is not ready until they say otherwise.
fn ring_out(state: &State, now: Timestamp, item: &WorkItem, events: &mut Vec<Event>) {
    let Assignment::Offered { agent, .. } = &item.assignment else {
        return;
    };
    let process = state.index.routes.queue(item);
    let cool_down = process.map_or(Millis(0), |process| process.decline_cool_down);
    let mut after = Vec::new();
    let reason = gantry_model::agent::REASON_RONA.into();
    staff::change_presence(state, agent, Presence::NotReady { reason }, &mut after);
    events.push(Event::Rona { item: item.id, agent: agent.clone(), until: now.plus(cool_down) });
    // This very item is no longer offered; the agent's other offers are withdrawn.
    let other = |event: &Event| event.item() != Some(item.id);
    events.extend(after.into_iter().filter(other));
}
