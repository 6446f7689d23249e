//! Why here, why not yet: the explanation of one item as it stands, with every agent.

use gantry_model::decision::{Candidate, Reason, Stage};
use gantry_model::name::AgentId;
use gantry_model::priority::Priority;
use gantry_model::spec::AgentOrder;
use gantry_model::{Agent, Hold, ItemId, LifeCycle, Name, Presence, Timestamp, WorkItem};
use serde::Serialize;

use crate::capacity::Limits;
use crate::decide::standing;
use crate::index::media_type;
use crate::matching::{barred, excluded};
use crate::standing::compare;
use crate::state::State;

/// How one item stands at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LiveExplanation {
    /// The item.
    pub item: ItemId,
    /// The instant.
    pub at: Timestamp,
    /// The active config version.
    pub version: u32,
    /// How it stands, in words.
    pub standing: String,
    /// Why it is not with an agent; `None` if it is.
    pub why_not: Option<WhyNot>,
    /// Its priority.
    pub priority: Priority,
    /// Where the priority comes from; `None` = a constant from the source, or not classified.
    pub schema: Option<Name>,
    /// Where the curve starts.
    pub anchor_at: Timestamp,
    /// Where the SLA ends.
    pub due_at: Option<Timestamp>,
    /// When the priority next changes its course.
    pub priority_changes_at: Option<Timestamp>,
    /// The stage reached; `None` unless it is in routing.
    pub stage: Option<Stage>,
    /// When the next stage begins.
    pub stage_ends_at: Option<Timestamp>,
    /// What it asks of an agent in this stage, as an expression.
    pub requirement: Option<String>,
    /// The preferred agent, if there is no such agent.
    pub unknown_preferred: Option<AgentId>,
    /// Every agent with the first test that failed, nearest first; empty unless it waits.
    pub agents: Vec<Candidate>,
}

/// Why an item is not with an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why_not", rename_all = "snake_case")]
pub enum WhyNot {
    /// Look-ups and rules have not said yet where it belongs.
    NotClassified,
    /// Held.
    Held {
        /// In the words of whoever held it.
        reason: String,
    },
    /// Held by an error.
    Error {
        /// What failed.
        reason: String,
        /// When the hub tries again.
        retry_at: Option<Timestamp>,
    },
    /// Waits for its activation date.
    Activation {
        /// The date.
        until: Timestamp,
    },
    /// No agent meets what this stage asks for.
    NobodyFits,
    /// Agents fit, but none of them is ready.
    NobodyReady,
    /// Agents fit and are ready, but none of them has room.
    NobodyHasRoom,
    /// All who could have it declined it, or let it ring.
    AllExcluded {
        /// When the first of them is asked again.
        until: Timestamp,
    },
}

impl State {
    /// Explains how an item stands at `now`, with the first failed test of every agent. Costs a
    /// look at each agent. `None` if there is no such item or it has ended.
    pub fn explain_now(&self, now: Timestamp, id: ItemId) -> Option<LiveExplanation> {
        let item = &self.item(id)?;
        let process = self.index.routes.queue(item);
        let in_routing = process.filter(|_| item.life_cycle == LifeCycle::Queued);
        let rung = in_routing.map(|process| self.rung(item, process, now));
        let requirement =
            in_routing.zip(rung).map(|(process, rung)| self.requirement(item, process, rung.stage));
        let (priority, priority_changes_at) = self.priority(now, item);
        let mut agents = Vec::new();
        if let (true, Some(rung), Some(requirement)) = (item.waiting(), rung, &requirement) {
            let judge = |agent| Candidate {
                agent: Agent::clone(agent).profile.id,
                level_sum: requirement.level_sum(&agent.profile),
                idle_since: agent.idle_since,
                load: self.load(agent),
                failed: self.first_failed(item, agent, requirement, rung.stage, now),
            };
            agents = self.agents().map(judge).collect();
            let order = in_routing.map_or_else(AgentOrder::default, |queue| queue.order);
            let key = |candidate: &Candidate| std::cmp::Reverse(candidate.failed.clone());
            agents.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| compare(order, a, b)));
        }
        let schema = item.class.as_ref().map(|class| class.schema.clone());
        let preferred = item.preferred_agent.clone();
        Some(LiveExplanation {
            item: id,
            at: now,
            version: self.config_version(),
            standing: standing(item),
            why_not: why_not(item, &agents, now),
            priority,
            schema: schema.filter(|_| item.priority.is_none()),
            anchor_at: item.anchor_at,
            due_at: item.due_at,
            priority_changes_at,
            stage: rung.map(|rung| rung.stage),
            stage_ends_at: rung.and_then(|rung| rung.ends_at),
            requirement: requirement.map(|requirement| requirement.to_string()),
            unknown_preferred: preferred.filter(|_| !self.prefers_known(item)),
            agents,
        })
    }

    /// The first test that an agent fails for a waiting item; `None` if they could have it.
    fn first_failed(
        &self,
        item: &WorkItem,
        agent: &Agent,
        requirement: &gantry_model::Requirement,
        stage: Stage,
        now: Timestamp,
    ) -> Option<Reason> {
        let (profile, media) = (&agent.profile, media_type(item));
        let queue = self.index.routes.queue_name(item);
        let takes = Limits::of(self.routing(), profile).takes(media);
        let tests = [
            (requirement.fits(profile), barred(item, stage)),
            (
                !queue.is_some_and(|queue| profile.inactive_queues.contains(queue)),
                Reason::QueueInactive,
            ),
            (takes, Reason::MediaNotTaken),
            (agent.presence == Presence::Ready, Reason::NotReady),
        ];
        let failed = tests.into_iter().find(|(passed, _)| !passed).map(|(_, reason)| reason);
        let declined = excluded(item, &profile.id, now);
        failed
            .or_else(|| self.no_room(agent, media, now))
            .or_else(|| declined.then_some(Reason::Excluded))
    }
}

fn why_not(item: &WorkItem, agents: &[Candidate], now: Timestamp) -> Option<WhyNot> {
    match &item.hold {
        Hold::Held { reason, .. } => {
            let reason = reason.clone();
            return Some(WhyNot::Held { reason });
        }
        Hold::Error { reason, retry_at, .. } => {
            return Some(WhyNot::Error { reason: reason.clone(), retry_at: *retry_at });
        }
        Hold::Activation { until } => return Some(WhyNot::Activation { until: *until }),
        Hold::None => {}
    }
    if item.life_cycle != LifeCycle::Queued {
        return Some(WhyNot::NotClassified);
    }
    if !item.waiting() {
        return None;
    }
    let any = |reason: &Reason| {
        let mut failed = agents.iter().map(|agent| agent.failed.as_ref());
        failed.any(|failed| failed == Some(reason))
    };
    let ends = item.exclusions.iter().map(|excluded| excluded.until);
    let first_end = ends.filter(|until| *until > now).min();
    match first_end.filter(|_| any(&Reason::Excluded)) {
        Some(until) => Some(WhyNot::AllExcluded { until }),
        None if any(&Reason::NoCapacity) => Some(WhyNot::NobodyHasRoom),
        None if any(&Reason::NotReady) => Some(WhyNot::NobodyReady),
        None => Some(WhyNot::NobodyFits),
    }
}
