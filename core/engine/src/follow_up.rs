//! What follows by itself: due timers, then matching.

use gantry_model::event::RevokeReason;
use gantry_model::{Assignment, Event, Millis, Presence, Timestamp, WorkItem};

use crate::decide::{staff, take_back};
use crate::matching;
use crate::state::State;
use crate::timers::{self, Timer};

/// The next events that follow at `now` without anybody's command; empty when all is settled.
///
/// The state must have been moved to `now`. Apply the events, then ask again: timers fire one
/// item at a time in the order of their instants, then one offer at a time is made.
pub fn follow_up(state: &State, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    if let Some(item) = state.woken(now)
        && let Some((_, timer)) = timers::next(&item).filter(|(at, _)| *at <= now)
    {
        fire(state, now, &item, timer, &mut events);
        return events;
    }
    events.extend(matching::next_offer(state, now));
    events
}

fn fire(state: &State, now: Timestamp, item: &WorkItem, timer: Timer, events: &mut Vec<Event>) {
    let id = item.id;
    match timer {
        Timer::Breach => events.push(Event::SlaBreached { item: id }),
        Timer::Activation => events.push(Event::Queued { item: id }),
        Timer::Offer => ring_out(state, now, item, events),
        Timer::Confirmation => {
            if let Some(agent) = item.agent().cloned() {
                events.push(Event::ConfirmationMissed { item: id, agent });
            }
        }
        Timer::Retry => events.push(Event::RunStarted { item: id, run: item.run + 1 }),
        Timer::Expiry => {
            take_back(item, RevokeReason::Ended, events);
            events.push(Event::Expired { item: id });
        }
    }
}

/// RONA: the item goes to somebody else, and the agent is not ready until they say otherwise.
fn ring_out(state: &State, now: Timestamp, item: &WorkItem, events: &mut Vec<Event>) {
    let Assignment::Offered { agent, .. } = &item.assignment else {
        return;
    };
    let process = state.index.routes.process(item);
    let cool_down = process.map_or(Millis(0), |process| process.decline_cool_down);
    let mut after = Vec::new();
    let reason = gantry_model::agent::REASON_RONA.into();
    staff::change_presence(state, agent, Presence::NotReady { reason }, &mut after);
    events.push(Event::Rona { item: item.id, agent: agent.clone(), until: now.plus(cool_down) });
    // This very item is no longer offered; the agent's other offers are withdrawn.
    let other = |event: &Event| event.item() != Some(item.id);
    events.extend(after.into_iter().filter(other));
}
