//! The brute-force oracle: every waiting item scored, every agent tested, by definitions written
//! anew from the domain's words. It shares no code with the engine.

use gantry_model::priority::{FRACTION_BITS, POINTS_MAX, Priority};
use gantry_model::spec::{PointValue, PrioritySchema, RouteSpec, RoutingSpec, Shape, Span};
use gantry_model::{
    Agent, Assignment, Hold, LifeCycle, Presence, Requirement, Timestamp, WorkItem,
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
    let class = item.class.as_ref().unwrap();
    let route = &state.routing().processes[&class.process].route;
    let mut all = vec![targets(state, route, item, now)];
    all.extend(class.requirement.iter().map(|one| vec![one.clone()]));
    all.extend(item.required_agent.iter().map(|id| vec![Requirement::Agent(id.clone())]));
    all
}

fn targets(state: &State, route: &RouteSpec, item: &WorkItem, now: Timestamp) -> Vec<Requirement> {
    let sla = item.due_at.map_or(0, |due| (due.0 - item.anchor_at.0).max(0));
    let window = |span: Span| match span {
        Span::Time(time) | Span::Business(time) => time.0,
        Span::BeforeSla(time) => (sla - time.0).max(0),
        Span::SlaPermille(share) => sla * i64::from(share) / 1000,
    };
    let mut reached = Vec::new();
    let mut begins = item.routing_at.unwrap().0;
    let preferred = item.preferred_agent.as_ref().filter(|id| state.agent(id).is_some());
    if let (Some(span), Some(id), None) = (route.preferred, preferred, &item.required_agent) {
        reached.push(Requirement::Agent(id.clone()));
        begins += window(span);
        if now.0 < begins {
            return reached;
        }
    }
    if route.stages.is_empty() {
        return vec![Requirement::Anybody];
    }
    for stage in &route.stages {
        reached.push(stage.requirement.clone());
        match stage.lasts {
            Some(span) => begins += window(span),
            None => break,
        }
        if now.0 < begins {
            break;
        }
    }
    reached
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
        return Priority::from_points(points);
    }
    let schema = &routing.priorities[&item.class.as_ref().unwrap().schema];
    let due = item.due_at.map(|due| due.0);
    Priority(value(schema, item.anchor_at.0, due, now.0))
}

/// The value of a schema in units, floored: a walk along its points with exact fractions.
pub(crate) fn value(schema: &PrioritySchema, anchor: i64, due: Option<i64>, now: i64) -> i64 {
    if let (Some(overdue), Some(due)) = (schema.overdue, due) {
        let start = due.max(anchor);
        if now > start {
            let begin = on_points(schema, anchor, Some(due), start);
            let limit = overdue.max.unwrap_or(overdue.add.signum() * POINTS_MAX);
            let limit = Priority::from_points(limit).0;
            let climbed = i128::from(begin)
                + ((i128::from(overdue.add) * i128::from(now - start)) << FRACTION_BITS)
                    .div_euclid(i128::from(overdue.every.0));
            return match overdue.add.signum() {
                1 if begin < limit => climbed.min(limit.into()) as i64,
                -1 if begin > limit => climbed.max(limit.into()) as i64,
                _ => begin,
            };
        }
    }
    on_points(schema, anchor, due, now)
}

fn on_points(schema: &PrioritySchema, anchor: i64, due: Option<i64>, now: i64) -> i64 {
    let mut points: Vec<(i64, i64)> = Vec::new();
    let Shape::Points(course) = &schema.shape else { return 0 };
    for point in course {
        let at = match (point.at, due) {
            (Span::Time(time) | Span::Business(time), _) => anchor + time.0,
            (Span::BeforeSla(time), Some(due)) => (due - time.0).max(anchor),
            (Span::BeforeSla(_), None) => break,
            (Span::SlaPermille(0), _) => anchor,
            (Span::SlaPermille(share), Some(due)) => {
                anchor + (due - anchor).max(0) * i64::from(share) / 1000
            }
            (Span::SlaPermille(_), None) => break,
        };
        let at = points.last().map_or(at, |last| last.0.max(at));
        let PointValue::Points(priority) = point.priority else { return 0 };
        points.push((at, priority));
    }
    let before = points.iter().rev().find(|(at, _)| *at <= now);
    let after = points.iter().find(|(at, _)| *at > now);
    match (before, after) {
        (None, None) => 0,
        (None, Some((_, value))) | (Some((_, value)), None) => value << FRACTION_BITS,
        (Some((from, start)), Some((to, end))) => {
            let risen = ((i128::from(end - start) * i128::from(now - from)) << FRACTION_BITS)
                .div_euclid(i128::from(to - from));
            (start << FRACTION_BITS) + risen as i64
        }
    }
}
