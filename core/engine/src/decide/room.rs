//! Room at an agent's desk: offers that no longer fit are withdrawn.

use std::cmp::Reverse;

use gantry_model::event::RevokeReason;
use gantry_model::spec::RoutingSpec;
use gantry_model::{Agent, Assignment, Event, Name, WorkItem};

use super::take_back;
use crate::capacity::{Carried, Limits};
use crate::index::media_type;
use crate::state::State;

/// `true` if the agent can take one more item of a media type.
pub(super) fn has_room(state: &State, agent: &Agent, media: &str) -> bool {
    let limits = Limits::of(state.routing(), &agent.profile);
    limits.obstacle(&state.carried(agent), media).is_none()
}

/// Withdraws what an agent may not be offered beside an item that comes to them now: no work item
/// rings while a call does.
pub(crate) fn make_way(state: &State, agent: &str, item: &WorkItem, events: &mut Vec<Event>) {
    let Some(agent) = state.agent(agent) else {
        return;
    };
    let mut desk: Vec<WorkItem> = state.desk(&agent.profile.id).collect();
    desk.push(item.clone());
    withdraw_unfit(state.routing(), agent, &desk, events);
}

/// Withdraws the offers of an agent for which there is no room any more, the latest first. What
/// was accepted stays. Config, agent and desk are as they will be.
pub(super) fn withdraw_unfit(
    spec: &RoutingSpec,
    agent: &Agent,
    desk: &[WorkItem],
    events: &mut Vec<Event>,
) {
    let mut load = Load::of(desk);
    let limits = Limits::of(spec, &agent.profile);
    let offered = desk.iter().filter_map(|item| match item.assignment {
        Assignment::Offered { at, .. } => Some((at, item)),
        _ => None,
    });
    let mut offers: Vec<_> = offered.collect();
    offers.sort_by_key(|(at, item)| Reverse((*at, item.id)));
    for (_, item) in offers {
        let media = media_type(item);
        load.change(media, |count| count - 1);
        if limits.obstacle(&load.carried(agent), media).is_some() {
            take_back(item, RevokeReason::AgentChanged, events);
        } else {
            load.change(media, |count| count + 1);
        }
    }
}

/// How many items of each media type lie at a desk.
struct Load {
    media: Vec<Name>,
    counts: Vec<u16>,
}

impl Load {
    fn of(desk: &[WorkItem]) -> Self {
        let mut load = Self { media: Vec::new(), counts: Vec::new() };
        for item in desk {
            load.change(media_type(item), |count| count + 1);
        }
        load
    }

    fn change(&mut self, media: &str, change: impl Fn(u16) -> u16) {
        let known = self.media.iter().position(|name| *name == media);
        let at = known.unwrap_or_else(|| {
            self.media.push(media.into());
            self.counts.push(0);
            self.media.len() - 1
        });
        self.counts[at] = change(self.counts[at]);
    }

    fn carried<'a>(&'a self, agent: &'a Agent) -> Carried<'a> {
        Carried { media: &self.media, at_desk: &self.counts, elsewhere: &agent.elsewhere }
    }
}
