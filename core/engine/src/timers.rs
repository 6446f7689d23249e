//! Timers: instants at which something happens to an item or an agent by itself.

use gantry_model::spec::{EscalationStep, EscalationTrigger, RoutingSpec, Span};
use gantry_model::{Agent, Assignment, Hold, LifeCycle, Name, Timestamp, WorkItem};

use crate::curve::NEVER;
use crate::routes::Routes;
use crate::window::Windows;

/// What a timer of an item does. Of several at one instant the first in this order fires first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The SLA comes into danger.
    Warn,
    /// The SLA ends.
    Breach,
    /// The activation date comes.
    Activation,
    /// An offer was not answered.
    Offer,
    /// The wrap-up is over.
    WrapUp,
    /// The source did not confirm.
    Confirmation,
    /// A failed run is tried again.
    Retry,
    /// The item has been parked until now.
    ParkedUntil,
    /// The item has been parked for as long as its queue allows.
    ParkLimit,
    /// A step of the queue's escalation, by its number.
    Escalation(usize),
    /// The expiration date comes.
    Expiry,
}

/// The next timer of an item and when it fires.
pub(crate) fn next(routes: &Routes, item: &WorkItem) -> Option<(Timestamp, Timer)> {
    let hold = match &item.hold {
        Hold::Activation { until } => Some((*until, Timer::Activation)),
        Hold::Error { retry_at, .. } => retry_at.map(|at| (at, Timer::Retry)),
        Hold::None | Hold::Held { .. } => None,
    };
    let place = match &item.assignment {
        Assignment::Offered { expires_at, .. } => Some((*expires_at, Timer::Offer)),
        Assignment::Assigned { confirm_by, .. } => confirm_by.map(|at| (at, Timer::Confirmation)),
        Assignment::WrapUp { until, .. } => Some((*until, Timer::WrapUp)),
        Assignment::Confirming { confirm_by, .. } => Some((*confirm_by, Timer::Confirmation)),
        Assignment::Parked { prefilled: false, .. } => parked(routes, item),
        Assignment::None | Assignment::Parked { prefilled: true, .. } => None,
    };
    [hold, place, dates(routes, item), escalation(routes, item)].into_iter().flatten().min()
}

/// The SLA and the expiration date. An agent has finished: only the source's word or the
/// disposition is missing, and neither date runs while it is waited for.
fn dates(routes: &Routes, item: &WorkItem) -> Option<(Timestamp, Timer)> {
    if matches!(item.assignment, Assignment::Confirming { .. } | Assignment::WrapUp { .. }) {
        return None;
    }
    let open = item.breached_at.is_none();
    let breach = item.due_at.filter(|_| open).map(|at| (at, Timer::Breach));
    let warn = routes.process(item).and_then(|process| process.warn);
    let warn = warn.filter(|_| open && item.warned_at.is_none());
    let warn = warn.and_then(|span| after(routes, item, span, item.anchor_at));
    let expiry = item.expires_at.map(|at| (at, Timer::Expiry));
    [warn.map(|at| (at, Timer::Warn)), breach, expiry].into_iter().flatten().min()
}

fn parked(routes: &Routes, item: &WorkItem) -> Option<(Timestamp, Timer)> {
    let Assignment::Parked { at, until, .. } = &item.assignment else {
        return None;
    };
    let limit = routes.queue(item).and_then(|queue| queue.park_limit);
    let limit = limit.map(|limit| (at.plus(limit), Timer::ParkLimit));
    [until.map(|at| (at, Timer::ParkedUntil)), limit].into_iter().flatten().min()
}

/// The next step of the escalation of the queue that the item is in. A held item waits for
/// nobody here, so nobody is told that it takes long; work that an agent has goes on.
fn escalation(routes: &Routes, item: &WorkItem) -> Option<(Timestamp, Timer)> {
    let queue = routes.queue(item)?;
    let assigned = matches!(item.assignment, Assignment::Assigned { .. });
    if item.life_cycle != LifeCycle::Queued || !(item.hold == Hold::None || assigned) {
        return None;
    }
    let name = item.queue()?;
    let steps = queue.escalation.iter().enumerate();
    let open = steps.filter(|(_, step)| !been_through(item, name, step));
    let due = open
        .filter_map(|(no, step)| Some((step_at(routes, item, step.when)?, Timer::Escalation(no))));
    due.min()
}

fn been_through(item: &WorkItem, queue: &Name, step: &EscalationStep) -> bool {
    item.escalated.iter().any(|done| {
        let rest = done.strip_prefix(queue.as_str()).and_then(|rest| rest.strip_prefix(':'));
        rest == Some(step.id.as_str())
    })
}

fn step_at(routes: &Routes, item: &WorkItem, when: EscalationTrigger) -> Option<Timestamp> {
    use Assignment::{Assigned, None as Nobody, Offered, Parked};
    match (when, &item.assignment) {
        (
            EscalationTrigger::Waiting(span),
            Nobody | Offered { .. } | Parked { prefilled: true, .. },
        ) => after(routes, item, span, item.routing_at?),
        (EscalationTrigger::Handling(span), Assigned { at, .. })
        | (EscalationTrigger::Parked(span), Parked { at, prefilled: false, .. }) => {
            after(routes, item, span, *at)
        }
        (
            EscalationTrigger::Total(span),
            Nobody | Offered { .. } | Assigned { .. } | Parked { .. },
        ) => after(routes, item, span, item.anchor_at),
        (
            EscalationTrigger::Declined(count),
            Nobody | Offered { .. } | Parked { prefilled: true, .. },
        ) => item.routing_at.filter(|_| item.declines >= count),
        _ => None,
    }
}

/// The instant a span after another; none for a share of an SLA that the item does not have.
fn after(routes: &Routes, item: &WorkItem, span: Span, from: Timestamp) -> Option<Timestamp> {
    Windows::new(routes, item).end(span, from).filter(|at| *at != NEVER)
}

/// When the work of an agent who is not there is taken back; `None` if there is none.
/// `working` says whether any item is assigned to the agent.
pub(crate) fn absence(spec: &RoutingSpec, agent: &Agent, working: bool) -> Option<Timestamp> {
    let absence = spec.absence.filter(|_| working && !agent.presence.there())?;
    Some(agent.presence_since.plus(absence.after))
}
