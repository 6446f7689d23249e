//! The brute-force oracle: every waiting item scored, every agent tested, by definitions written
//! anew from the domain's words. It shares no code with the engine.

pub(crate) mod curve;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::calendar::Calendar;
use gantry_model::priority::Priority;
use gantry_model::spec::{AgentOrder, Anchor, CalendarSpec, CapacityRule, RoutingSpec, Sla, Span};
use gantry_model::{
    Agent, Assignment, Hold, ItemId, LifeCycle, Millis, Name, Presence, Requirement, Timestamp,
    WorkItem, Workbin,
};

use crate::State;

/// The pair that must be offered next: item, agent, priority.
pub(crate) fn next_offer<'a>(
    state: &'a State,
    shares: &Shares,
    now: Timestamp,
) -> Option<(WorkItem, &'a Agent, Priority)> {
    let routing = state.routing();
    let items: Vec<WorkItem> = state.items().collect();
    let waiting = items.iter().filter(|item| waits(item));
    let free = waiting.filter(|item| !shares.at_limit(routing, flow(routing, item), now));
    // What somebody could have, and the first of them.
    let possible = free.filter_map(|item| {
        let could_have = |agent: &&Agent| could_have(state, &items, item, agent, now);
        Some((item, first_agent(state, &items, item, now, could_have)?))
    });
    let (item, agent) = possible.min_by_key(|(item, _)| shares.order(routing, item, now))?;
    Some((item.clone(), agent, priority(routing, item, now)))
}

/// The pair that must come together next in a workbin, in advance, when there is nothing to offer.
pub(crate) fn next_laid<'a>(
    state: &'a State,
    shares: &Shares,
    now: Timestamp,
) -> Option<(WorkItem, &'a Agent)> {
    let routing = state.routing();
    let items: Vec<WorkItem> = state.items().collect();
    let waiting = items.iter().filter(|item| waits(item) && laid_with(item).is_none());
    let possible = waiting.filter_map(|item| {
        let has_space = |agent: &&Agent| {
            let laid = items.iter().filter(|item| laid_with(item) == Some(&agent.profile.id));
            let rule = rule_of(state, agent);
            let media = &item.class.as_ref().unwrap().media_type;
            agent.presence == Presence::Ready
                && !agent.profile.inactive_queues.contains(queue(item))
                && !declined(item, agent, now)
                && rule.is_some_and(|rule| {
                    rule.media.get(media).is_some_and(|count| *count > 0)
                        && laid.count() < rule.prefill.into()
                })
        };
        Some((item, first_agent(state, &items, item, now, has_space)?))
    });
    let (item, agent) = possible.min_by_key(|(item, _)| shares.order(routing, item, now))?;
    Some((item.clone(), agent))
}

/// The agent in whose workbin an item lies in advance.
fn laid_with(item: &WorkItem) -> Option<&Name> {
    match &item.assignment {
        Assignment::Parked { workbin: Workbin::Agent(agent), prefilled: true, .. } => Some(agent),
        _ => None,
    }
}

/// Of the agents who could have an item the one who stands first.
fn first_agent<'a>(
    state: &'a State,
    items: &[WorkItem],
    item: &WorkItem,
    now: Timestamp,
    could_have: impl Fn(&&Agent) -> bool,
) -> Option<&'a Agent> {
    let mut fit: Vec<&Agent> = state.agents().filter(could_have).collect();
    if fit.is_empty() {
        return None;
    }
    let asked = asked(state, item, now);
    fit.retain(|agent| asked.iter().all(|any| any.iter().any(|one| fits(one, agent))));
    let order = state.routing().processes[queue(item)].order;
    fit.into_iter().min_by(|a, b| {
        let first = match order {
            AgentOrder::HighestLevel => level_sum(&asked, b).cmp(&level_sum(&asked, a)),
            AgentOrder::LongestIdle => Ordering::Equal,
            AgentOrder::LeastLoaded => {
                let ((a_has, a_may), (b_has, b_may)) =
                    (share(state, items, a), share(state, items, b));
                (a_has * b_may).cmp(&(b_has * a_may))
            }
        };
        let idle = a.idle_since.cmp(&b.idle_since);
        first.then(idle).then(a.profile.id.cmp(&b.profile.id))
    })
}

/// What flows have paid for offers, and when they had them, by definition.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    paid: BTreeMap<Option<Name>, i128>,
    offers: Vec<(Option<Name>, Timestamp)>,
}

fn flow(routing: &RoutingSpec, item: &WorkItem) -> Option<Name> {
    let flows = &routing.fairness.as_ref()?.flows;
    let named = item.class.as_ref().unwrap().flow.clone();
    let mut may_be = [named, Some("other".into())].into_iter().flatten();
    may_be.find(|flow| flows.contains_key(flow))
}

impl Shares {
    fn paid(&self, flow: Option<Name>) -> i128 {
        self.paid.get(&flow).copied().unwrap_or(0)
    }

    /// How an item stands to the others; the least comes first.
    fn order(
        &self,
        routing: &RoutingSpec,
        item: &WorkItem,
        now: Timestamp,
    ) -> (std::cmp::Reverse<i128>, Option<Timestamp>, ItemId) {
        let paid = self.paid(flow(routing, item));
        let urgency = i128::from(priority(routing, item, now).0) - paid;
        (std::cmp::Reverse(urgency), item.routing_at, item.id)
    }

    fn at_limit(&self, routing: &RoutingSpec, flow: Option<Name>, now: Timestamp) -> bool {
        let spec = routing.fairness.as_ref().zip(flow.as_ref());
        let rate = spec.and_then(|(fairness, flow)| fairness.flows[flow].rate);
        rate.is_some_and(|rate| {
            let lately =
                |(by, at): &&(Option<Name>, Timestamp)| *by == flow && now < at.plus(rate.per);
            self.offers.iter().filter(lately).count() >= rate.count as usize
        })
    }

    /// `true` if anything waits only because its flow has had as many offers as it may.
    pub(crate) fn holds_back(&self, state: &State, now: Timestamp) -> bool {
        let routing = state.routing();
        let mut waiting = state.items().filter(waits);
        waiting.any(|item| self.at_limit(routing, flow(routing, &item), now))
    }

    /// An item is about to be offered: its flow pays, and who has nothing waiting or much to its
    /// credit catches up.
    pub(crate) fn offer(&mut self, state: &State, item: &WorkItem, now: Timestamp) {
        let routing = state.routing();
        let Some(fairness) = &routing.fairness else { return };
        let own = flow(routing, item);
        let cost = |name: &Option<Name>| {
            let weight = name.as_ref().map_or(1, |name| fairness.flows[name].weight);
            i128::from(Priority::from_points(fairness.strength).0) / i128::from(weight)
        };
        let level = self.paid(own.clone());
        let names = fairness.flows.keys().cloned().map(Some).chain([None]);
        for name in names.filter(|name| *name != own) {
            let busy = state.items().any(|item| waits(&item) && flow(routing, &item) == name);
            let least = if busy { level - 100 * cost(&name) } else { level };
            let paid = self.paid(name.clone()).max(least);
            self.paid.insert(name, paid);
        }
        self.paid.insert(own.clone(), level + cost(&own));
        self.offers.push((own, now));
    }
}

fn waits(item: &WorkItem) -> bool {
    item.life_cycle == LifeCycle::Queued
        && item.hold == Hold::None
        && (item.assignment == Assignment::None || laid_with(item).is_some())
}

/// Whether the agent could have the item if they fit what it asks.
fn could_have(
    state: &State,
    items: &[WorkItem],
    item: &WorkItem,
    agent: &Agent,
    now: Timestamp,
) -> bool {
    agent.presence == Presence::Ready
        && !agent.profile.inactive_queues.contains(queue(item))
        && has_room(state, items, agent, &item.class.as_ref().unwrap().media_type)
        && !ramping(state, agent, now)
        && !declined(item, agent, now)
}

/// Given back by the agent a short time ago.
fn declined(item: &WorkItem, agent: &Agent, now: Timestamp) -> bool {
    let mut exclusions = item.exclusions.iter();
    exclusions.any(|exclusion| exclusion.agent == agent.profile.id && exclusion.until > now)
}

/// How many interactions an agent carries, of one media type or of all.
fn carries(items: &[WorkItem], agent: &Agent, media: Option<&Name>) -> u64 {
    let counts = |name: &Name| media.is_none_or(|media| media == name);
    let at_desk = items.iter().filter(|item| {
        let (Assignment::Offered { agent: with, .. }
        | Assignment::Assigned { agent: with, .. }
        | Assignment::WrapUp { agent: with, .. }) = &item.assignment
        else {
            return false;
        };
        *with == agent.profile.id && counts(&item.class.as_ref().unwrap().media_type)
    });
    let elsewhere = agent.elsewhere.iter().filter(|(name, _)| counts(name));
    at_desk.count() as u64 + elsewhere.map(|(_, count)| u64::from(*count)).sum::<u64>()
}

fn rule_of<'a>(state: &'a State, agent: &Agent) -> Option<&'a CapacityRule> {
    state.routing().capacity_rules.get(agent.profile.capacity_rule.as_ref()?)
}

pub(crate) fn has_room(state: &State, items: &[WorkItem], agent: &Agent, media: &Name) -> bool {
    let Some(rule) = rule_of(state, agent) else {
        let may = agent.profile.capacity.get(media).copied().unwrap_or(0);
        return carries(items, agent, Some(media)) < may.into();
    };
    let beside = |by: &Name| carries(items, agent, Some(by)) > 0;
    let barred = rule.excludes.iter().any(|(by, others)| beside(by) && others.contains(media));
    let may = rule.media.get(media).copied().unwrap_or(0);
    let in_all = rule.total.is_none_or(|total| carries(items, agent, None) < total.into());
    !barred && in_all && carries(items, agent, Some(media)) < may.into()
}

/// What an agent carries, and how much that could be.
fn share(state: &State, items: &[WorkItem], agent: &Agent) -> (u64, u64) {
    let rule = rule_of(state, agent);
    let media = rule.map_or(&agent.profile.capacity, |rule| &rule.media);
    let sum: u64 = media.values().map(|count| u64::from(*count)).sum();
    let total = rule.and_then(|rule| rule.total).map_or(sum, |total| sum.min(total.into()));
    (carries(items, agent, None), total)
}

/// Offered as much as the time after sign-on allows.
fn ramping(state: &State, agent: &Agent, now: Timestamp) -> bool {
    state.routing().ramp_up.is_some_and(|ramp_up| {
        let lately = agent.ramp.iter().filter(|offer| now < offer.plus(ramp_up.per));
        now < agent.signed_on_at.plus(ramp_up.lasts) && lately.count() >= ramp_up.offers.into()
    })
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

/// Calendars that have been built, by what they were built from.
type Built = Vec<(CalendarSpec, Arc<Calendar>)>;

/// A calendar ready to calculate; built once a thread.
fn calendar(routing: &RoutingSpec, name: &str) -> Arc<Calendar> {
    thread_local! {
        static BUILT: RefCell<Built> = const { RefCell::new(Vec::new()) };
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
