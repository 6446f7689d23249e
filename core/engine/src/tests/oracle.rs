//! The brute-force oracle: every waiting item scored, every agent tested, by definitions written
//! anew from the domain's words. It shares no code with the engine.

pub(crate) mod curve;

use std::cell::RefCell;
use std::sync::Arc;

use gantry_model::calendar::Calendar;
use gantry_model::priority::Priority;
use gantry_model::spec::{Anchor, CalendarSpec, RoutingSpec, Sla, Span};
use gantry_model::{
    Agent, Assignment, Hold, LifeCycle, Millis, Name, Presence, Requirement, Timestamp, WorkItem,
};

use crate::State;

/// The pair that must be offered next: item, agent, priority.
pub(crate) fn next_offer(state: &State, now: Timestamp) -> Option<(WorkItem, &Agent, Priority)> {
    let routing = state.routing();
    let mut waiting: Vec<WorkItem> = state.items().filter(waits).collect();
    waiting.sort_by_key(|item| {
        (std::cmp::Reverse(priority(routing, item, now)), item.routing_at, item.id)
    });
    for item in waiting {
        let mut fit: Vec<&Agent> =
            state.agents().filter(|agent| could_have(state, &item, agent, now)).collect();
        fit.sort_by_key(|agent| {
            let levels = level_sum(&asked(state, &item, now), agent);
            (std::cmp::Reverse(levels), agent.idle_since, agent.profile.id.clone())
        });
        if let Some(agent) = fit.first() {
            let priority = priority(routing, &item, now);
            return Some((item, agent, priority));
        }
    }
    None
}

fn waits(item: &WorkItem) -> bool {
    item.life_cycle == LifeCycle::Queued
        && item.hold == Hold::None
        && item.assignment == Assignment::None
}

fn could_have(state: &State, item: &WorkItem, agent: &Agent, now: Timestamp) -> bool {
    let media = |item: &WorkItem| item.class.as_ref().unwrap().media_type.clone();
    let taken = state.items().filter(|other| {
        let (Assignment::Offered { agent: with, .. } | Assignment::Assigned { agent: with, .. }) =
            &other.assignment
        else {
            return false;
        };
        *with == agent.profile.id && media(other) == media(item)
    });
    let room = agent.profile.capacity.get(&media(item)).copied().unwrap_or(0);
    let declined = item
        .exclusions
        .iter()
        .any(|exclusion| exclusion.agent == agent.profile.id && exclusion.until > now);
    agent.presence == Presence::Ready
        && taken.count() < usize::from(room)
        && !declined
        && asked(state, item, now).iter().all(|any| any.iter().any(|one| fits(one, agent)))
}

/// What the item asks: every list must be met by any of its members.
fn asked(state: &State, item: &WorkItem, now: Timestamp) -> Vec<Vec<Requirement>> {
    if let Some(target) = &item.target {
        return vec![vec![target.clone()]];
    }
    let class = item.class.as_ref().unwrap();
    let mut all = vec![targets(state, item, now)];
    all.extend(class.requirement.iter().map(|one| vec![one.clone()]));
    all.extend(item.required_agent.iter().map(|id| vec![Requirement::Agent(id.clone())]));
    all
}

fn queue(item: &WorkItem) -> &Name {
    item.queue.as_ref().unwrap_or(&item.class.as_ref().unwrap().process)
}

fn targets(state: &State, item: &WorkItem, now: Timestamp) -> Vec<Requirement> {
    let route = &state.routing().processes[queue(item)].route;
    let mut reached = Vec::new();
    let mut begins = item.routing_at.unwrap();
    let preferred = item.preferred_agent.as_ref().filter(|id| state.agent(id).is_some());
    if let (Some(span), Some(id), None) = (route.preferred, preferred, &item.required_agent) {
        reached.push(Requirement::Agent(id.clone()));
        begins = window(state.routing(), item, span, begins);
        if now < begins {
            return reached;
        }
    }
    if route.stages.is_empty() {
        return vec![Requirement::Anybody];
    }
    for stage in &route.stages {
        reached.push(stage.requirement.clone());
        match stage.lasts {
            Some(span) => begins = window(state.routing(), item, span, begins),
            None => break,
        }
        if now < begins {
            break;
        }
    }
    reached
}

/// When a window that begins at `from` is over.
fn window(routing: &RoutingSpec, item: &WorkItem, span: Span, from: Timestamp) -> Timestamp {
    let class = item.class.as_ref().unwrap();
    let sla = class.sla.or(routing.processes[&class.process].sla);
    let in_business = matches!(sla, Some(Sla::Business(_) | Sla::Workdays(_)));
    let sla_calendar = calendar_of(routing, &class.process).filter(|_| in_business);
    let later = |calendar: Option<Arc<Calendar>>, time: Millis| match calendar {
        _ if time.0 == 0 => from,
        Some(calendar) => calendar.add(from, time).unwrap_or(Timestamp(i64::MAX)),
        None => from.plus(time),
    };
    match (span, item.due_at) {
        (Span::Time(time), _) => later(None, time),
        (Span::Business(time), _) => later(calendar_of(routing, queue(item)), time),
        (Span::SlaPermille(share), Some(due)) if due > item.anchor_at => {
            let whole = match &sla_calendar {
                Some(calendar) => calendar.between(item.anchor_at, due),
                None => due.since(item.anchor_at),
            };
            later(sla_calendar, Millis(whole.0 * i64::from(share) / 1000))
        }
        (Span::BeforeSla(time), Some(due)) => match sla_calendar {
            Some(calendar) => {
                // The first instant at which no more than so much working time is left.
                let left = calendar.subtract(due, time);
                left.map_or(from, |left| from.max(calendar.subtract(left, Millis(0)).unwrap()))
            }
            None => from.max(Timestamp(due.0 - time.0)),
        },
        (Span::SlaPermille(_) | Span::BeforeSla(_), _) => from,
    }
}

fn calendar_of(routing: &RoutingSpec, process: &str) -> Option<Arc<Calendar>> {
    let department = process.split('/').next().unwrap();
    let own = routing.processes[process].calendar.clone();
    let own = own.or_else(|| routing.departments.get(department)?.calendar.clone());
    own.map(|name| calendar(routing, &name))
}

/// A calendar ready to calculate; built once a thread.
fn calendar(routing: &RoutingSpec, name: &str) -> Arc<Calendar> {
    thread_local! {
        static BUILT: RefCell<Vec<(CalendarSpec, Arc<Calendar>)>> = const { RefCell::new(Vec::new()) };
    }
    let spec = &routing.calendars[name];
    BUILT.with_borrow_mut(|built| {
        if let Some((_, known)) = built.iter().find(|(known, _)| known == spec) {
            return Arc::clone(known);
        }
        built.push((spec.clone(), Arc::new(Calendar::new(spec).unwrap())));
        Arc::clone(&built.last().unwrap().1)
    })
}

fn fits(requirement: &Requirement, agent: &Agent) -> bool {
    requirement.fits(&agent.profile)
}

fn level_sum(asked: &[Vec<Requirement>], agent: &Agent) -> u32 {
    let mut skills: Vec<_> = asked.iter().flatten().flat_map(Requirement::skills).collect();
    skills.sort();
    skills.dedup();
    skills.into_iter().map(|skill| u32::from(agent.profile.level(skill))).sum()
}

/// The priority of an item that is not held.
pub(crate) fn priority(routing: &RoutingSpec, item: &WorkItem, now: Timestamp) -> Priority {
    if let Some(points) = item.priority {
        return Priority(Priority::from_points(points).0 + Priority::from_points(item.boost).0);
    }
    let schema = &routing.priorities[&item.class.as_ref().unwrap().schema];
    let anchor = if schema.anchor == Anchor::Capture { item.captured_at } else { item.anchor_at };
    let clock = schema.calendar.as_ref().map(|name| calendar(routing, name));
    let shows = |at: Timestamp| clock.as_ref().map_or(at.0, |calendar| calendar.clock(at).0);
    let figures = curve::Figures {
        anchor: shows(anchor),
        due: item.due_at.map(shows),
        bounds: item.bounds.as_deref().copied().unwrap_or_default(),
        boost: item.boost,
    };
    Priority(curve::value(schema, figures, shows(now)))
}
