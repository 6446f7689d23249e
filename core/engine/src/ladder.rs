//! The ladder of stages: whom an item is offered to, as a function of the item and the time.
//!
//! Preferred agent, then the route's targets one after the other, each adding agents to those
//! before. Windows count from when the item came into routing. No stage is ever stored.

use gantry_model::decision::Stage;
use gantry_model::spec::RouteSpec;
use gantry_model::{Requirement, Timestamp, WorkItem};

use crate::curve::span_length;

/// Where an item stands on its ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    pub(crate) stage: Stage,
    /// When the next stage begins; `None` on the last.
    pub(crate) ends_at: Option<Timestamp>,
}

/// `true` if the item's ladder begins with its preferred agent. `known` says whether that agent
/// exists; a required agent leaves nobody to prefer.
fn prefers(item: &WorkItem, route: &RouteSpec, known: bool) -> bool {
    route.preferred.is_some() && item.required_agent.is_none() && known
}

/// The stage that counts at `now`.
pub(crate) fn rung(item: &WorkItem, route: &RouteSpec, known: bool, now: Timestamp) -> Rung {
    let mut from = item.routing_at.unwrap_or(item.captured_at);
    // A share of an SLA that the item does not have is no time at all.
    let length = |span| span_length(span, item.anchor_at, item.due_at).unwrap_or_default();
    if let Some(span) = route.preferred.filter(|_| prefers(item, route, known)) {
        let ends_at = from.plus(length(span));
        if now < ends_at {
            return Rung { stage: Stage::Preferred, ends_at: Some(ends_at) };
        }
        from = ends_at;
    }
    let last = route.stages.len().saturating_sub(1);
    for (number, stage) in route.stages.iter().enumerate().take(last) {
        let ends_at = stage.lasts.map(|span| from.plus(length(span)));
        match ends_at {
            Some(ends_at) if now >= ends_at => from = ends_at,
            _ => {
                return Rung { stage: target(number), ends_at };
            }
        }
    }
    Rung { stage: target(last), ends_at: None }
}

fn target(number: usize) -> Stage {
    Stage::Target(u8::try_from(number).unwrap_or(u8::MAX))
}

/// What the item asks of an agent in a stage. `known`: see [`rung`].
pub(crate) fn requirement(
    item: &WorkItem,
    route: &RouteSpec,
    known: bool,
    stage: Stage,
) -> Requirement {
    let preferred = item
        .preferred_agent
        .as_ref()
        .filter(|_| prefers(item, route, known))
        .map(|agent| Requirement::Agent(agent.clone()));
    let target = match (stage, preferred) {
        (Stage::Preferred, preferred) => preferred.unwrap_or(Requirement::Anybody),
        (Stage::Target(number), preferred) => reached(route, number, preferred),
    };
    let asked = item.class.as_ref().and_then(|class| class.requirement.as_ref());
    let required = item.required_agent.clone().map(Requirement::Agent);
    [asked.cloned(), required].into_iter().flatten().fold(target, Requirement::and)
}

/// Any of the targets up to this one, or the preferred agent, whose turn came before.
fn reached(route: &RouteSpec, number: u8, preferred: Option<Requirement>) -> Requirement {
    let targets = route.stages.iter().take(usize::from(number) + 1);
    let targets: Vec<_> = targets.map(|stage| stage.requirement.clone()).collect();
    if targets.is_empty() {
        return Requirement::Anybody;
    }
    let mut any: Vec<_> = preferred.into_iter().chain(targets).collect();
    if any.len() == 1 {
        return any.remove(0);
    }
    Requirement::AnyOf(any)
}
