//! Invariants of a settled state, by name. Tests and the simulator check them after every step.

use std::collections::BTreeMap;

use gantry_model::{Agent, Assignment, LifeCycle, Name, Presence, Timestamp, WorkItem};
use thiserror::Error;

use crate::capacity::{Carried, Limits};
use crate::index::{Index, media_type};
use crate::lifecycle::stand;
use crate::matching::excluded;
use crate::state::State;
use crate::timers;

/// An invariant that does not hold.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{invariant} is violated: {what}")]
pub struct Violation {
    /// The invariant's number and sentence.
    pub invariant: &'static str,
    /// What was found.
    pub what: String,
}

type Check = fn(&State, Timestamp) -> Option<String>;

/// All invariants. Each returns what it found wrong, if anything.
const INVARIANTS: &[(&str, Check)] = &[
    ("INV-01 an item is in exactly one place", one_place),
    ("INV-02 place and hold of an item go together", place_and_hold),
    ("INV-03 an open offer is with a ready agent who has room for it", offers_have_room),
    ("INV-04 an item that has ended is gone", ended_is_gone),
    ("INV-05 no item waits while a fit and free agent waits", nothing_idle),
    ("INV-06 no timer is overdue", no_timer_overdue),
    ("INV-07 a classified item has a process, a queued one a time in routing", classified),
    ("INV-08 the indexes are those that the facts give", indexes_follow),
    ("INV-09 who is in wrap-up with an item counts as busy with it", wrap_up_occupies),
    ("INV-10 what lies in a workbin in advance lies with a ready agent who fits it", laid_well),
];

/// Checks every invariant of a settled state: right after a step at `now`.
///
/// # Errors
/// The first [`Violation`]: a defect of the engine, never of the caller's input.
pub fn check_all(state: &State, now: Timestamp) -> Result<(), Violation> {
    for (invariant, check) in INVARIANTS {
        if let Some(what) = check(state, now) {
            return Err(Violation { invariant, what });
        }
    }
    Ok(())
}

fn first(state: &State, wrong: impl Fn(&WorkItem) -> bool) -> Option<String> {
    let item = state.items().find(|item| wrong(item))?;
    Some(format!("{item:?}"))
}

/// Waiting in one queue, or at one desk, or at neither.
fn one_place(state: &State, _: Timestamp) -> Option<String> {
    first(state, |item| {
        let queued = state.signature_of(item.id).is_some();
        let desks = state
            .agents()
            .filter(|agent| state.desk(&agent.profile.id).any(|other| other.id == item.id));
        let desks: Vec<_> = desks.map(|agent| &agent.profile.id).collect();
        let workbin = state.index.workbins.place_of(item.id);
        queued != item.waiting()
            || desks != Vec::from_iter(item.occupies())
            || workbin != item.workbin()
    })
}

fn place_and_hold(state: &State, _: Timestamp) -> Option<String> {
    first(state, |item| !stand(item).exists())
}

fn offers_have_room(state: &State, _: Timestamp) -> Option<String> {
    first(state, |item| {
        let Assignment::Offered { agent, .. } = &item.assignment else {
            return false;
        };
        let Some(agent) = state.agent(agent) else {
            return true;
        };
        let others: Vec<WorkItem> = state.items().filter(|other| other.id != item.id).collect();
        agent.presence != Presence::Ready || !fits_beside(state, agent, &others, media_type(item))
    })
}

/// `true` if the agent has room for one more beside these items, as the facts give it.
fn fits_beside(state: &State, agent: &Agent, others: &[WorkItem], media: &str) -> bool {
    let with = |item: &&WorkItem| item.occupies() == Some(&agent.profile.id);
    let mut counts: BTreeMap<Name, u16> = BTreeMap::new();
    for item in others.iter().filter(with) {
        *counts.entry(media_type(item).into()).or_default() += 1;
    }
    let (names, counts): (Vec<Name>, Vec<u16>) = counts.into_iter().unzip();
    let carried = Carried { media: &names, at_desk: &counts, elsewhere: &agent.elsewhere };
    Limits::of(state.routing(), &agent.profile).obstacle(&carried, media).is_none()
}

fn ended_is_gone(state: &State, _: Timestamp) -> Option<String> {
    first(state, |item| item.ended() || item.id.counter() >= state.next_counter())
}

fn nothing_idle(state: &State, now: Timestamp) -> Option<String> {
    let free = |agent: &&Agent| agent.presence == Presence::Ready;
    for agent in state.agents().filter(free) {
        let id = &agent.profile.id;
        let fits = |item: &WorkItem| {
            let media = media_type(item);
            let Some(process) = state.index.routes.queue(item) else {
                return false;
            };
            let stage = state.rung(item, process, now).stage;
            let queue = state.index.routes.queue_name(item);
            item.waiting()
                && !excluded(item, id, now)
                && !queue.is_some_and(|queue| agent.profile.inactive_queues.contains(queue))
                && state.no_room(agent, media, now).is_none()
                && state.flow(item).is_none_or(|flow| flow.limited_until.is_none())
                && state.requirement(item, process, stage).fits(&agent.profile)
        };
        if let Some(item) = state.items().find(fits) {
            return Some(format!("agent {id:?} is free for {item:?}"));
        }
    }
    None
}

/// Nor are there more than the agent's capacity rule lays out.
fn laid_well(state: &State, now: Timestamp) -> Option<String> {
    first(state, |item| {
        let Some(id) = item.prefilled() else {
            return false;
        };
        let (Some(agent), Some(queue)) = (state.agent(id), state.index.routes.queue(item)) else {
            return true;
        };
        let own = state.items().filter(|other| other.prefilled() == Some(id)).count();
        let stage = state.rung(item, queue, now).stage;
        let fits = state.requirement(item, queue, stage).fits(&agent.profile)
            && !item.queue().is_some_and(|queue| agent.profile.inactive_queues.contains(queue));
        let limits = Limits::of(state.routing(), &agent.profile);
        let well = agent.presence == Presence::Ready
            && own <= limits.prefill()
            && (!item.waiting() || (fits && limits.takes(media_type(item))));
        !well
    })
}

fn no_timer_overdue(state: &State, now: Timestamp) -> Option<String> {
    let overdue =
        |item: &WorkItem| timers::next(&state.index.routes, item).is_some_and(|(at, _)| at <= now);
    first(state, overdue).or_else(|| {
        let away = |agent: &&Agent| {
            let assigned = |item: WorkItem| matches!(item.assignment, Assignment::Assigned { .. });
            let working = state.desk(&agent.profile.id).any(assigned);
            timers::absence(state.routing(), agent, working).is_some_and(|at| at <= now)
        };
        let agent = state.agents().find(away)?;
        Some(format!("agent {:?} has been away too long", agent.profile.id))
    })
}

fn wrap_up_occupies(state: &State, _: Timestamp) -> Option<String> {
    first(state, |item| match &item.assignment {
        Assignment::WrapUp { agent, .. } => {
            let agent = state.agent(agent);
            let carried = agent.map(|agent| state.carried(agent));
            carried.is_none_or(|carried| carried.of(media_type(item)) == 0)
        }
        _ => false,
    })
}

fn classified(state: &State, _: Timestamp) -> Option<String> {
    first(state, |item| match item.life_cycle {
        LifeCycle::Captured | LifeCycle::Enriched => item.class.is_some(),
        LifeCycle::Classified => item.class.is_none(),
        _ => item.class.is_none() || item.routing_at.is_none() || item.queued_at.is_none(),
    })
}

fn indexes_follow(state: &State, _: Timestamp) -> Option<String> {
    let anew = Index::build(&state.facts, state.index.clock, &state.index.routes);
    let (have, want) = (state.index.render(&state.facts), anew.render(&state.facts));
    (have != want).then(|| format!("have\n{have}\nwant\n{want}"))
}
