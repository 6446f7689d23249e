//! Why here, why not yet: the explanation of one item as it stands, or as it would stand later.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use gantry_model::decision::{Candidate, FlowStanding, Reason, ReasonCount, Stage, StageCause};
use gantry_model::name::AgentId;
use gantry_model::priority::Priority;
use gantry_model::spec::{AgentOrder, ProcessSpec};
use gantry_model::{
    Agent, Hold, ItemId, LifeCycle, Name, Presence, Requirement, Timestamp, WorkItem,
};
use serde::Serialize;

use crate::capacity::Limits;
use crate::decide::standing;
use crate::index::media_type;
use crate::ladder::Rung;
use crate::matching::{barred, excluded};
use crate::standing::compare;
use crate::state::State;
use crate::unserved::Crew;

/// How many agents an explanation names; the rest are counts. [`State::why_not`] tells of any.
pub const AGENTS_MAX: usize = 50;
/// How far the items that stand before one are counted.
pub const AHEAD_MAX: usize = 10_000;

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
    /// The config version whose rules classified it.
    pub classified_by: Option<u32>,
    /// Ids of the rules that hit, in the order of their levels.
    pub rules: Vec<Name>,
    /// Its process.
    pub process: Option<Name>,
    /// The queue it is in: that of its process, unless it was transferred.
    pub queue: Option<Name>,
    /// Its priority.
    pub priority: Priority,
    /// What its curve gives of the priority: all of it but the boost.
    pub priority_of_curve: Priority,
    /// Whole points of the priority that were added by hand or by escalation.
    pub boost: i64,
    /// Where the priority comes from; `None` = a constant from the source, or not classified.
    pub schema: Option<Name>,
    /// Where the curve starts.
    pub anchor_at: Timestamp,
    /// Where the SLA ends.
    pub due_at: Option<Timestamp>,
    /// How its flow stands to the others; `None` if the config divides no shares.
    pub flow: Option<FlowStanding>,
    /// When the priority next changes its course; `None` also while it is held.
    pub priority_changes_at: Option<Timestamp>,
    /// The priority at that instant.
    pub priority_then: Option<Priority>,
    /// The stage reached; `None` unless it is in routing.
    pub stage: Option<Stage>,
    /// When the next stage begins.
    pub stage_ends_at: Option<Timestamp>,
    /// What it asks of an agent in this stage, as an expression.
    pub requirement: Option<String>,
    /// All stages with their windows; empty unless it is in routing.
    pub ladder: Vec<LadderStage>,
    /// The preferred agent, if there is no such agent.
    pub unknown_preferred: Option<AgentId>,
    /// The required agent, if there is no such agent.
    pub unknown_required: Option<AgentId>,
    /// Who stands first in its queue.
    pub order: AgentOrder,
    /// The nearest agents with the first test that failed, at most [`AGENTS_MAX`], nearest first;
    /// empty unless it waits.
    pub agents: Vec<Candidate>,
    /// How many agents failed each test first, of all there are.
    pub counts: Vec<ReasonCount>,
    /// How many waiting items the nearest fitting agent would be offered before it, shares of
    /// flows included, counted up to [`AHEAD_MAX`]; `None` if nobody fits.
    pub ahead: Option<u32>,
}

/// A stage of an item's ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LadderStage {
    /// The stage.
    pub stage: Stage,
    /// What it asks of an agent, the stages before included.
    pub requirement: String,
    /// When it begins.
    pub begins_at: Timestamp,
    /// When the next begins; `None` on the last.
    pub ends_at: Option<Timestamp>,
    /// Where the item is on it.
    pub state: StageState,
    /// Why it begins.
    pub cause: StageCause,
}

/// Where an item is on a stage of its ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// Its window is over.
    Over,
    /// Its window is empty.
    Skipped,
    /// It is the one that counts.
    Active,
    /// It is to come.
    Coming,
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
    NobodyFits {
        /// In words: "no agent has german > 4: the best has 3".
        reason: String,
    },
    /// Agents fit, but none of them is ready.
    NobodyReady,
    /// Agents fit and are ready, but none of them has room.
    NobodyHasRoom,
    /// All who could have it declined it, or let it ring.
    AllExcluded {
        /// When the first of them is asked again.
        until: Timestamp,
    },
    /// Somebody could have it, but its flow has had as many offers as it may for now.
    RateLimited {
        /// Until when.
        until: Timestamp,
    },
}

/// Where an item in routing stands.
struct Routed<'a> {
    queue: &'a ProcessSpec,
    rung: Rung,
    requirement: Requirement,
    ladder: Vec<LadderStage>,
    /// Until when its flow has had its offers.
    limited_until: Option<Timestamp>,
}

impl State {
    /// Explains how an item stands at `at`: now, or as things are now at a later instant. Costs a
    /// look at each agent. `None` if there is no such item or it has ended.
    pub fn explain_at(&self, at: Timestamp, id: ItemId) -> Option<LiveExplanation> {
        let item = &self.item(id)?;
        let routed = self.routed(item, at);
        let (priority, priority_changes_at) = self.priority(at, item);
        let boost = Priority::from_points(item.boost);
        let order = routed.as_ref().map_or_else(AgentOrder::default, |routed| routed.queue.order);
        let (agents, counts) = match &routed {
            Some(routed) if item.waiting() => self.judge(item, routed, at),
            _ => (Vec::new(), Vec::new()),
        };
        let nearest = agents.iter().find(|agent| agent.failed.as_ref().is_none_or(fits));
        let class = item.class.as_ref();
        let unknown =
            |agent: &Option<AgentId>| agent.clone().filter(|agent| self.agent(agent).is_none());
        Some(LiveExplanation {
            item: id,
            at,
            version: self.config_version(),
            standing: standing(item),
            why_not: self.why_nobody(item, routed.as_ref(), &agents, at),
            classified_by: class.map(|class| class.version),
            rules: class.map_or_else(Vec::new, |class| class.rules.clone()),
            process: item.process().cloned(),
            queue: self.index.routes.queue_name(item).cloned(),
            priority,
            priority_of_curve: Priority(priority.0 - boost.0),
            boost: item.boost,
            flow: self.flow(item),
            schema: class.map(|class| class.schema.clone()).filter(|_| item.priority.is_none()),
            anchor_at: item.anchor_at,
            due_at: item.due_at,
            priority_changes_at,
            priority_then: priority_changes_at.map(|then| self.priority(then, item).0),
            stage: routed.as_ref().map(|routed| routed.rung.stage),
            stage_ends_at: routed.as_ref().and_then(|routed| routed.rung.ends_at),
            requirement: routed.as_ref().map(|routed| routed.requirement.to_string()),
            unknown_preferred: unknown(&item.preferred_agent),
            unknown_required: unknown(&item.required_agent),
            order,
            ahead: nearest.map(|agent| self.ahead(at, &agent.agent, item)),
            ladder: routed.map_or_else(Vec::new, |routed| routed.ladder),
            agents,
            counts,
        })
    }

    /// How an agent stands to a waiting item at `at`: the first test that fails, or none. `None`
    /// if there is no such agent or item, or the item does not wait.
    pub fn why_not(&self, at: Timestamp, id: ItemId, agent: &str) -> Option<Candidate> {
        let (item, agent) = (self.item(id).filter(WorkItem::waiting)?, self.agent(agent)?);
        let routed = self.routed(&item, at)?;
        Some(self.candidate(&item, agent, &routed, at))
    }

    /// How many waiting items an agent with room would be offered at `at` before this one,
    /// counted up to [`AHEAD_MAX`], as flows stand now.
    pub fn ahead(&self, at: Timestamp, agent: &str, item: &WorkItem) -> u32 {
        let Some(agent) = self.agent(agent) else {
            return 0;
        };
        let field = self.index.field(&self.facts);
        let own = self.index.flows.handicap(self.index.routes.flow_of(item));
        let own = self.rank(at, item).less(own);
        let before = self.within_reach(at, agent).flat_map(|(signature, handicap)| {
            let ranked = signature.descending(at, &field);
            ranked.take_while(move |(rank, _)| rank.less(handicap) > own)
        });
        let asked = before.filter(|(_, slot)| self.asked(*slot, agent, at));
        asked.take(AHEAD_MAX).count() as u32
    }

    fn routed<'a>(&'a self, item: &WorkItem, at: Timestamp) -> Option<Routed<'a>> {
        let queue = self.index.routes.queue(item);
        let queue = queue.filter(|_| item.life_cycle == LifeCycle::Queued)?;
        let ladder = self.ladder(item, queue);
        let rung = ladder.at(at);
        let stage = |one: Rung| LadderStage {
            stage: one.stage,
            requirement: ladder.requirement(one.stage).to_string(),
            begins_at: one.since,
            ends_at: one.ends_at,
            state: match one.ends_at {
                _ if one.stage == rung.stage => StageState::Active,
                Some(ends_at) if ends_at <= one.since => StageState::Skipped,
                Some(ends_at) if ends_at <= at => StageState::Over,
                _ => StageState::Coming,
            },
            cause: one.cause,
        };
        let requirement = ladder.requirement(rung.stage);
        let ladder = ladder.rungs().map(stage).collect();
        let flow = self.index.routes.flow_of(item);
        let limited_until = self.index.flows.limited_until(flow, at);
        Some(Routed { queue, rung, requirement, ladder, limited_until })
    }

    /// The nearest agents, and how many failed each test.
    fn judge(
        &self,
        item: &WorkItem,
        routed: &Routed<'_>,
        at: Timestamp,
    ) -> (Vec<Candidate>, Vec<ReasonCount>) {
        let mut counts: BTreeMap<Reason, u32> = BTreeMap::new();
        let mut agents: Vec<_> =
            self.agents().map(|agent| self.candidate(item, agent, routed, at)).collect();
        for failed in agents.iter().filter_map(|agent| agent.failed.clone()) {
            *counts.entry(failed.kind()).or_default() += 1;
        }
        let order = routed.queue.order;
        let nearness = |a: &Candidate, b: &Candidate| match (&a.failed, &b.failed) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            // Whoever fails a later test came nearer.
            (Some(a), Some(b)) => b.clone().kind().cmp(&a.clone().kind()),
        };
        agents.sort_by(|a, b| nearness(a, b).then_with(|| compare(order, a, b)));
        agents.truncate(AGENTS_MAX);
        let counts = counts.into_iter().map(|(reason, count)| ReasonCount { reason, count });
        (agents, counts.collect())
    }

    fn candidate(
        &self,
        item: &WorkItem,
        agent: &Agent,
        routed: &Routed<'_>,
        at: Timestamp,
    ) -> Candidate {
        Candidate {
            agent: agent.profile.id.clone(),
            level_sum: routed.requirement.level_sum(&agent.profile),
            idle_since: agent.idle_since,
            load: self.load(agent),
            failed: self.first_failed(item, agent, routed, at),
        }
    }

    /// The first test that an agent fails for a waiting item; `None` if they could have it.
    fn first_failed(
        &self,
        item: &WorkItem,
        agent: &Agent,
        routed: &Routed<'_>,
        at: Timestamp,
    ) -> Option<Reason> {
        let (profile, media) = (&agent.profile, media_type(item));
        let inactive = |queue: &Name| profile.inactive_queues.contains(queue);
        let inactive = self.index.routes.queue_name(item).is_some_and(inactive);
        let tests = [
            (routed.requirement.fits(profile), barred(item, routed.rung.stage)),
            (!inactive, Reason::QueueInactive),
            (Limits::of(self.routing(), profile).takes(media), Reason::MediaNotTaken),
            (agent.presence == Presence::Ready, Reason::NotReady),
        ];
        let failed = tests.into_iter().find(|(passed, _)| !passed).map(|(_, reason)| reason);
        let declined = excluded(item, &profile.id, at);
        failed
            .or_else(|| self.no_room(agent, media, at))
            .or_else(|| declined.then_some(Reason::Excluded))
            .or_else(|| routed.limited_until.map(|until| Reason::RateLimited { until }))
    }

    fn why_nobody(
        &self,
        item: &WorkItem,
        routed: Option<&Routed<'_>>,
        agents: &[Candidate],
        at: Timestamp,
    ) -> Option<WhyNot> {
        match &item.hold {
            Hold::Held { reason, .. } => return Some(WhyNot::Held { reason: reason.clone() }),
            Hold::Error { reason, retry_at, .. } => {
                return Some(WhyNot::Error { reason: reason.clone(), retry_at: *retry_at });
            }
            Hold::Activation { until } => return Some(WhyNot::Activation { until: *until }),
            Hold::None => {}
        }
        let Some(routed) = routed else {
            return Some(WhyNot::NotClassified);
        };
        if !item.waiting() {
            return None;
        }
        // The nearest agent says it: whoever fails the last test of all.
        match agents.first().and_then(|nearest| nearest.failed.as_ref()) {
            Some(Reason::Excluded) => {
                let ends = item.exclusions.iter().map(|excluded| excluded.until);
                let until = ends.filter(|until| *until > at).min();
                until.map(|until| WhyNot::AllExcluded { until })
            }
            Some(Reason::RateLimited { until }) => Some(WhyNot::RateLimited { until: *until }),
            Some(Reason::NotReady) => Some(WhyNot::NobodyReady),
            Some(reason) if fits(reason) => Some(WhyNot::NobodyHasRoom),
            None if !agents.is_empty() => None,
            _ => {
                let queue = self.index.routes.queue_name(item).map_or("", Name::as_str);
                let crew = Crew { state: self, media: media_type(item), queue, now: at };
                Some(WhyNot::NobodyFits { reason: crew.nobody(&routed.requirement) })
            }
        }
    }
}

/// `true` if whoever fails this test could have the item at another moment.
const fn fits(failed: &Reason) -> bool {
    match failed {
        Reason::RequirementNotMet
        | Reason::NotPreferred
        | Reason::NotRequired
        | Reason::QueueInactive
        | Reason::MediaNotTaken => false,
        Reason::NotReady
        | Reason::Blocked { .. }
        | Reason::NoCapacity
        | Reason::RampUp { .. }
        | Reason::Excluded
        | Reason::RateLimited { .. }
        | Reason::StoodBehind => true,
    }
}
