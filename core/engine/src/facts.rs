//! Facts: what the hub knows, and how events change it. Nothing here is derived.
//!
//! [`Facts::apply`] is the only mutator, live and in replay. It evaluates nothing: all that a
//! decision found stands in the event.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::command::Classified;
use gantry_model::item::Exclusion;
use gantry_model::name::{AgentId, Name};
use gantry_model::spec::RoutingSpec;
use gantry_model::{
    Agent, Assignment, Event, Hold, ItemId, LifeCycle, Millis, PartitionId, Presence, Requirement,
    Target, Timestamp, WorkItem, Workbin,
};
use thiserror::Error;

use crate::agents::Agents;
use crate::items::Items;

/// The facts of one partition.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) partition: PartitionId,
    /// Counter of the next item's id.
    pub(crate) next_counter: u64,
    /// The active config version.
    pub(crate) config: Option<(u32, Arc<RoutingSpec>)>,
    pub(crate) agents: Agents,
    /// Items that have not ended.
    pub(crate) items: Items,
}

/// Why an event does not apply: the journal and the facts do not belong together.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApplyError {
    /// The event is about an item that does not exist or has ended.
    #[error("apply event {event:?} to work item {item}: it does not exist or has ended")]
    UnknownItem {
        /// The event's name.
        event: &'static str,
        /// The item.
        item: ItemId,
    },
    /// The event is about an agent that does not exist.
    #[error("apply event {event:?} to agent {agent:?}: it does not exist")]
    UnknownAgent {
        /// The event's name.
        event: &'static str,
        /// The agent.
        agent: AgentId,
    },
    /// An item is captured a second time.
    #[error("apply event \"captured\" to work item {item}: it exists already")]
    CapturedTwice {
        /// The item.
        item: ItemId,
    },
}

/// What an event touched beside the item or agent that it names.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// The item in its last form, if the event ended it: it is no longer among the facts.
    pub(crate) ended: Option<Box<WorkItem>>,
    /// The agent whose work ended, or who was offered something while their ramp-up counts.
    pub(crate) agent: Option<AgentId>,
}

impl Facts {
    /// `true` if the item's preferred agent exists.
    pub(crate) fn prefers_known(&self, item: &WorkItem) -> bool {
        let preferred = item.preferred_agent.as_ref();
        preferred.is_some_and(|agent| self.agents.contains_key(agent))
    }

    pub(crate) fn apply(&mut self, at: Timestamp, event: &Event) -> Result<Applied, ApplyError> {
        match event {
            Event::Captured { item, .. } => {
                let fresh = captured(at, event).expect("invariant: the event is a capture");
                if item.counter() < self.next_counter || !self.items.insert(fresh) {
                    return Err(ApplyError::CapturedTwice { item: *item });
                }
                self.next_counter = item.counter() + 1;
            }
            Event::AgentPut { profile } => {
                if let Some(known) = self.agents.get_mut(&profile.id) {
                    known.profile = profile.clone();
                } else {
                    self.agents.insert(Agent {
                        profile: profile.clone(),
                        presence: Presence::SignedOff,
                        presence_since: at,
                        idle_since: at,
                        elsewhere: BTreeMap::new(),
                        signed_on_at: at,
                        ramp: Vec::new(),
                    });
                }
            }
            Event::AgentRemoved { agent } => {
                self.agents.remove(agent).ok_or_else(|| unknown_agent(event, agent))?;
            }
            Event::PresenceChanged { agent, presence } => {
                let known = self.agents.get_mut(agent);
                let known = known.ok_or_else(|| unknown_agent(event, agent))?;
                if known.presence == Presence::SignedOff {
                    known.idle_since = at;
                    known.signed_on_at = at;
                    known.ramp.clear();
                }
                known.presence = presence.clone();
                known.presence_since = at;
            }
            Event::ConfigActivated { version, routing } => {
                self.config = Some((*version, Arc::clone(routing)));
            }
            Event::LoadReported { agent, media, count } => {
                let known = self.agents.get_mut(agent);
                let known = known.ok_or_else(|| unknown_agent(event, agent))?;
                match count {
                    0 => known.elsewhere.remove(media),
                    _ => known.elsewhere.insert(media.clone(), *count),
                };
            }
            Event::ClockStepped { .. }
            | Event::AlertRaised { .. }
            | Event::AlertCleared { .. }
            | Event::CaptureOperated { .. } => {}
            _ => return self.apply_to_item(at, event),
        }
        Ok(Applied::default())
    }

    fn apply_to_item(&mut self, at: Timestamp, event: &Event) -> Result<Applied, ApplyError> {
        let id = event.item().expect("invariant: the event is about an item");
        let change = |item: &mut WorkItem| {
            // An agent's work ends when an item leaves them, whatever the reason.
            let before = works_on(item).cloned();
            apply_to(item, at, event);
            (before.filter(|_| works_on(item).is_none()), item.ended())
        };
        let changed = self.items.change(id, change);
        let unknown = || ApplyError::UnknownItem { event: event.name(), item: id };
        let (worked, ended) = changed.ok_or_else(unknown)?;
        if let Some(agent) = worked.as_ref().and_then(|agent| self.agents.get_mut(agent)) {
            agent.idle_since = at;
        }
        let ended = if ended { self.items.remove(id) } else { None };
        let offered = match event {
            Event::Offered { agent, .. } => self.count_offer(at, agent).then(|| agent.clone()),
            _ => None,
        };
        Ok(Applied { ended, agent: worked.or(offered) })
    }

    /// Notes an offer while the agent's ramp-up has to count it; `true` if so.
    fn count_offer(&mut self, at: Timestamp, agent: &AgentId) -> bool {
        let ramp_up = self.config.as_ref().and_then(|(_, routing)| routing.ramp_up);
        let Some((ramp_up, agent)) = ramp_up.zip(self.agents.get_mut(agent)) else {
            return false;
        };
        if at >= agent.signed_on_at.plus(ramp_up.lasts) {
            return false;
        }
        agent.ramp.retain(|offer| offer.plus(ramp_up.per) > at);
        agent.ramp.push(at);
        true
    }
}

/// The agent who works on the item: it was accepted, and the agent is not through with it.
const fn works_on(item: &WorkItem) -> Option<&AgentId> {
    match &item.assignment {
        Assignment::Assigned { agent, .. } | Assignment::WrapUp { agent, .. } => Some(agent),
        _ => None,
    }
}

fn unknown_agent(event: &Event, agent: &AgentId) -> ApplyError {
    ApplyError::UnknownAgent { event: event.name(), agent: agent.clone() }
}

/// The item as a capture makes it; `None` if the event is no capture.
pub(crate) fn captured(at: Timestamp, event: &Event) -> Option<WorkItem> {
    let Event::Captured { item, capture_point, previous, anchor_at, .. } = event else {
        return None;
    };
    let fresh = WorkItem::new(*item, capture_point.clone(), at);
    Some(WorkItem { previous: *previous, anchor_at: *anchor_at, ..fresh })
}

/// Applies an event about an item to that item.
pub(crate) fn apply_to(item: &mut WorkItem, at: Timestamp, event: &Event) {
    match event {
        Event::Updated { revision, .. } => item.revision = *revision,
        Event::RunStarted { run, .. } => begin_run(item, *run),
        Event::Enriched { revision, .. } => {
            item.revision = *revision;
            if item.life_cycle == LifeCycle::Captured {
                item.life_cycle = LifeCycle::Enriched;
            }
        }
        Event::Classified { classified, .. } => classify(item, classified),
        Event::ErrorHeld { reason, retry_at, .. } => {
            item.run_open = false;
            // A hold by a person outlasts an error.
            if !matches!(item.hold, Hold::Held { .. }) {
                item.hold = Hold::Error { since: at, reason: reason.clone(), retry_at: *retry_at };
            }
        }
        Event::ActivationAwaited { until, .. } => {
            release(item);
            item.life_cycle = LifeCycle::Classified;
            item.hold = Hold::Activation { until: *until };
            item.routing_at = None;
        }
        Event::Queued { .. } => {
            item.life_cycle = LifeCycle::Queued;
            item.hold = Hold::None;
            item.queued_at.get_or_insert(at);
            item.routing_at = Some(at);
        }
        Event::Held { reason, .. } => {
            item.hold = Hold::Held { since: at, reason: reason.clone() };
        }
        Event::Resumed { .. } => item.hold = Hold::None,
        Event::Restarted { .. } => {
            release(item);
            item.life_cycle = LifeCycle::Captured;
            item.hold = Hold::None;
            item.class = None;
            item.routing_at = None;
            item.queue = None;
            item.target = None;
        }
        Event::Rescheduled { .. } => {
            release(item);
            item.warned_at = None;
            item.breached_at = None;
        }
        Event::SlaWarned { .. } => item.warned_at = Some(at),
        Event::SlaBreached { .. } => item.breached_at = Some(at),
        Event::Boosted { points, .. } => item.boost = *points,
        Event::Postponed { by, .. } => postpone(item, *by),
        Event::Completed { .. } => end(item, LifeCycle::Completed),
        Event::Canceled { .. } => end(item, LifeCycle::Canceled),
        Event::Rejected { .. } => end(item, LifeCycle::Rejected),
        Event::Expired { .. } => end(item, LifeCycle::Expired),
        _ => apply_offer(item, at, event),
    }
}

/// The events between an item and an agent.
fn apply_offer(item: &mut WorkItem, at: Timestamp, event: &Event) {
    match event {
        Event::Offered { agent, epoch, expires_at, explanation, .. } => {
            item.epoch = *epoch;
            item.assignment = Assignment::Offered {
                agent: agent.clone(),
                at,
                expires_at: *expires_at,
                stage: explanation.stage,
            };
        }
        Event::Accepted { agent, confirm_by, .. } => {
            item.assignment =
                Assignment::Assigned { agent: agent.clone(), at, confirm_by: *confirm_by };
        }
        Event::Declined { agent, until, .. } | Event::Rona { agent, until, .. } => {
            release(item);
            exclude(item, at, agent, *until);
            item.declines = item.declines.saturating_add(1);
        }
        Event::Revoked { .. } | Event::ConfirmationMissed { .. } => release(item),
        Event::MarkedDone { agent, disposition, confirm_by, wrap_up_until, .. } => {
            let (agent, disposition) = (agent.clone(), disposition.clone());
            item.assignment = match *wrap_up_until {
                Some(until) => {
                    Assignment::WrapUp { agent, at, until, disposition, confirm_by: *confirm_by }
                }
                None => done(agent, at, disposition, *confirm_by),
            };
        }
        Event::WrapUpEnded { disposition, .. } => {
            if let Assignment::WrapUp { agent, at, confirm_by, .. } = &item.assignment {
                item.assignment = done(agent.clone(), *at, disposition.clone(), *confirm_by);
            }
        }
        Event::Confirmed { .. } => {
            if let Assignment::WrapUp { confirm_by, .. } = &mut item.assignment {
                *confirm_by = None;
            }
        }
        _ => apply_move(item, at, event),
    }
}

/// The events that move an item by hand, by escalation or out of a workbin.
fn apply_move(item: &mut WorkItem, at: Timestamp, event: &Event) {
    match event {
        Event::Transferred { agent, to, until, .. } => {
            release(item);
            exclude_giver(item, at, agent.as_ref(), *until);
            item.target = match to {
                Target::Agent(agent) => Some(Requirement::Agent(agent.clone())),
                Target::Group(group) => Some(Requirement::Group(group.clone())),
                Target::Skills(requirement) => Some(requirement.clone()),
                Target::Queue(_) | Target::Workbin(_) => None,
            };
            match to {
                Target::Queue(queue) => move_to_queue(item, queue),
                // Who is asked for by name is asked, whatever they said before.
                Target::Agent(agent) => item.exclusions.retain(|old| old.agent != *agent),
                Target::Group(_) | Target::Skills(_) | Target::Workbin(_) => {}
            }
        }
        Event::Parked { agent, workbin, until, prefilled, .. } => {
            park(item, at, agent.as_ref(), workbin, *until);
            if let Assignment::Parked { prefilled: laid, .. } = &mut item.assignment {
                *laid = *prefilled;
            }
        }
        Event::Pulled { agent, epoch, confirm_by, .. } => {
            item.epoch = *epoch;
            item.assignment =
                Assignment::Assigned { agent: agent.clone(), at, confirm_by: *confirm_by };
        }
        Event::Returned { agent, until, .. } | Event::Retrieved { agent, until, .. } => {
            release(item);
            exclude_giver(item, at, agent.as_ref(), *until);
        }
        Event::Escalated { step, agent, boost, queue, workbin, .. } => {
            item.escalated.push(step.clone());
            item.boost = *boost;
            if let Some(queue) = queue {
                release(item);
                item.target = None;
                move_to_queue(item, queue);
            }
            if let Some(workbin) = workbin {
                park(item, at, agent.as_ref(), workbin, None);
            }
        }
        _ => {}
    }
}

fn move_to_queue(item: &mut WorkItem, queue: &Name) {
    item.queue = Some(queue.clone()).filter(|queue| item.process() != Some(queue));
}

fn park(
    item: &mut WorkItem,
    at: Timestamp,
    by: Option<&AgentId>,
    workbin: &Workbin,
    until: Option<Timestamp>,
) {
    release(item);
    let (workbin, by) = (workbin.clone(), by.cloned());
    item.assignment = Assignment::Parked { workbin, by, at, until, prefilled: false };
}

/// Deadlines that count running time come later.
fn postpone(item: &mut WorkItem, by: Millis) {
    match &mut item.assignment {
        Assignment::Assigned { confirm_by: Some(confirm_by), .. }
        | Assignment::Confirming { confirm_by, .. } => *confirm_by = confirm_by.plus(by),
        Assignment::WrapUp { until, confirm_by, .. } => {
            *until = until.plus(by);
            *confirm_by = confirm_by.map(|at| at.plus(by));
        }
        _ => {}
    }
    if let Hold::Error { retry_at: Some(retry_at), .. } = &mut item.hold {
        *retry_at = retry_at.plus(by);
    }
}

fn begin_run(item: &mut WorkItem, run: u32) {
    item.run = run;
    item.run_open = true;
    // The item stays held until the run ends; only its timer has fired.
    if let Hold::Error { retry_at, .. } = &mut item.hold {
        *retry_at = None;
    }
}

/// Gives the item what the rules found.
pub(crate) fn classify(item: &mut WorkItem, classified: &Classified) {
    let found = classified.clone();
    item.run_open = false;
    // Where it was sent by hand counts for the work that it was then.
    if item.process() != found.class.as_ref().map(|class| &class.process) {
        item.queue = None;
        item.target = None;
    }
    if matches!(item.life_cycle, LifeCycle::Captured | LifeCycle::Enriched) {
        item.life_cycle = LifeCycle::Classified;
    }
    if matches!(item.hold, Hold::Error { .. }) {
        item.hold = Hold::None;
    }
    item.anchor_at = found.activation_at.unwrap_or(item.captured_at);
    item.activation_at = found.activation_at;
    item.due_at = found.due_at;
    item.expires_at = found.expires_at;
    item.class = found.class;
    item.priority = found.priority;
    item.preferred_agent = found.preferred_agent;
    item.required_agent = found.required_agent;
    item.bounds = found.bounds;
}

/// Takes the item from its agent; whatever names the old epoch from now on is stale.
fn release(item: &mut WorkItem) {
    if item.assignment != Assignment::None {
        item.assignment = Assignment::None;
        item.epoch += 1;
    }
}

fn exclude(item: &mut WorkItem, at: Timestamp, agent: &AgentId, until: Timestamp) {
    item.exclusions.retain(|old| old.until > at && old.agent != *agent);
    item.exclusions.push(Exclusion { agent: agent.clone(), until });
}

fn exclude_giver(
    item: &mut WorkItem,
    at: Timestamp,
    agent: Option<&AgentId>,
    until: Option<Timestamp>,
) {
    if let Some((agent, until)) = agent.zip(until) {
        exclude(item, at, agent, until);
    }
}

/// What is left of the assignment when the agent is through.
fn done(
    agent: AgentId,
    at: Timestamp,
    disposition: Option<Name>,
    confirm_by: Option<Timestamp>,
) -> Assignment {
    match confirm_by {
        Some(confirm_by) => Assignment::Confirming { agent, at, confirm_by, disposition },
        None => Assignment::None,
    }
}

fn end(item: &mut WorkItem, life_cycle: LifeCycle) {
    item.life_cycle = life_cycle;
    item.hold = Hold::None;
    item.assignment = Assignment::None;
    item.run_open = false;
}
