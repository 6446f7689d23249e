//! What random worlds have shown: how many decisions the oracle agreed with, and how often each
//! feature that decides offers had a part in one.

use std::collections::BTreeMap;

use gantry_model::decision::{Reason, Stage, StageCause, TieBreak, Trigger};
use gantry_model::spec::{AgentOrder, Anchor, Answer, PointValue, Shape, Span};
use gantry_model::{Agent, Explanation, Presence, Requirement, WorkItem};

use crate::State;

/// Everything that must have a part in offers of random worlds.
pub(super) const FEATURES: [&str; 48] = [
    "agent ramping up passed over",
    "agent who declined passed over",
    "agent with other media passed over",
    "agent without room passed over",
    "automatic answer",
    "boost",
    "bounds of the item",
    "capacity rule",
    "capacity rule of a version that dropped it",
    "constant priority of the source",
    "escalated",
    "flow at its rate passed over",
    "flow beside others",
    "flow with a share",
    "inactive queue passed over",
    "item asks for a group",
    "laid in a workbin in advance",
    "media type chat",
    "order highest level",
    "order least loaded",
    "order longest idle",
    "overdue",
    "preferred agent",
    "preferred agent unknown",
    "queue by transfer",
    "required agent",
    "schema anchored at capture",
    "schema falls",
    "schema in business time",
    "schema of increments",
    "schema of points",
    "stage 1",
    "stage 2",
    "stage 3",
    "stage after a window",
    "target agent",
    "target group",
    "target skills",
    "tie by highest level",
    "tie by least loaded",
    "tie by longest idle",
    "tie by smaller id",
    "trigger agent freed",
    "trigger item arrived",
    "trigger time passed",
    "window in business time",
    "window of the SLA",
    "window of time",
];

/// What the oracle agreed with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Offers: the same item, agent and priority.
    pub(crate) offers: u64,
    /// Times when both found nobody to offer anything to.
    pub(crate) rests: u64,
    pub(crate) features: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Adds what another world has shown.
    pub(super) fn add(&mut self, other: &Self) {
        self.offers += other.offers;
        self.rests += other.rests;
        for (feature, count) in &other.features {
            *self.features.entry(feature).or_default() += count;
        }
    }

    /// Features that had no part in any offer, and those that nobody has listed.
    pub(super) fn unseen(&self) -> Vec<&'static str> {
        let missing = FEATURES.into_iter().filter(|name| !self.features.contains_key(name));
        let unlisted = self.features.keys().copied().filter(|name| !FEATURES.contains(name));
        missing.chain(unlisted).collect()
    }

    /// Counts an offer that the oracle agreed with; the state is that before it.
    pub(super) fn count(
        &mut self,
        state: &State,
        item: &WorkItem,
        agent: &Agent,
        why: &Explanation,
    ) {
        self.offers += 1;
        let of_agent = by_agent(state, agent);
        let all = [
            by_reasons(state, item, agent, why),
            by_item(state, item),
            by_schema(state, item),
            by_flow(state, item),
        ];
        let more = [by_stage(state, item, why), of_agent].into_iter().chain(all);
        for feature in more.flatten() {
            self.saw(feature);
        }
    }

    /// Counts a feature that had a part in an offer.
    pub(super) fn saw(&mut self, feature: &'static str) {
        *self.features.entry(feature).or_default() += 1;
    }
}

fn chosen(pairs: &[(bool, &'static str)]) -> Vec<&'static str> {
    pairs.iter().filter(|(holds, _)| *holds).map(|(_, name)| *name).collect()
}

fn by_agent(state: &State, agent: &Agent) -> Vec<&'static str> {
    let rule = agent.profile.capacity_rule.as_ref();
    let known = rule.map(|rule| state.routing().capacity_rules.contains_key(rule));
    chosen(&[
        (known == Some(true), "capacity rule"),
        (known == Some(false), "capacity rule of a version that dropped it"),
    ])
}

fn by_reasons(
    state: &State,
    item: &WorkItem,
    winner: &Agent,
    why: &Explanation,
) -> Vec<&'static str> {
    let counted = |wanted: fn(&Reason) -> bool| why.counts.iter().any(|it| wanted(&it.reason));
    let queue = item.queue.as_ref().or(item.process());
    let inactive = |agent: &Agent| {
        agent.presence == Presence::Ready
            && agent.profile.id != winner.profile.id
            && queue.is_some_and(|queue| agent.profile.inactive_queues.contains(queue))
    };
    chosen(&[
        (counted(|it| matches!(it, Reason::RampUp { .. })), "agent ramping up passed over"),
        (counted(|it| *it == Reason::Excluded), "agent who declined passed over"),
        (counted(|it| matches!(it, Reason::Blocked { .. })), "agent with other media passed over"),
        (counted(|it| *it == Reason::NoCapacity), "agent without room passed over"),
        (state.agents().any(inactive), "inactive queue passed over"),
        (why.order == AgentOrder::HighestLevel, "order highest level"),
        (why.order == AgentOrder::LeastLoaded, "order least loaded"),
        (why.order == AgentOrder::LongestIdle, "order longest idle"),
        (why.tie_break == TieBreak::HighestLevel, "tie by highest level"),
        (why.tie_break == TieBreak::LeastLoaded, "tie by least loaded"),
        (why.tie_break == TieBreak::LongestIdle, "tie by longest idle"),
        (why.tie_break == TieBreak::SmallerId, "tie by smaller id"),
        (why.trigger == Trigger::AgentFreed, "trigger agent freed"),
        (why.trigger == Trigger::ItemArrived, "trigger item arrived"),
        (why.trigger == Trigger::TimePassed, "trigger time passed"),
    ])
}

/// Shares and rates of flows among all that waits.
fn by_flow(state: &State, item: &WorkItem) -> Vec<&'static str> {
    let Some(fairness) = &state.routing().fairness else {
        return Vec::new();
    };
    let named = |item: &WorkItem| {
        let flow = item.class.as_ref()?.flow.clone();
        flow.filter(|flow| fairness.flows.contains_key(flow))
    };
    let own = named(item);
    let others = state.items().filter(|other| other.waiting() && named(other) != own);
    chosen(&[(own.is_some(), "flow with a share"), (others.count() > 0, "flow beside others")])
}

fn by_item(state: &State, item: &WorkItem) -> Vec<&'static str> {
    let class = item.class.as_ref().expect("what is offered is classified");
    let queue = item.queue.as_ref().unwrap_or(&class.process);
    let answer = state.routing().processes[queue].answer;
    let target = item.target.as_ref();
    chosen(&[
        (answer == Answer::Automatic, "automatic answer"),
        (item.boost != 0, "boost"),
        (item.bounds.is_some(), "bounds of the item"),
        (item.priority.is_some(), "constant priority of the source"),
        (!item.escalated.is_empty(), "escalated"),
        (class.requirement.is_some(), "item asks for a group"),
        (class.media_type == "chat", "media type chat"),
        (item.prefilled().is_some(), "laid in a workbin in advance"),
        (item.breached_at.is_some(), "overdue"),
        (item.queue.is_some(), "queue by transfer"),
        (item.required_agent.is_some(), "required agent"),
        (matches!(target, Some(Requirement::Agent(_))), "target agent"),
        (matches!(target, Some(Requirement::Group(_))), "target group"),
        (matches!(target, Some(Requirement::Skill { .. })), "target skills"),
    ])
}

fn by_schema(state: &State, item: &WorkItem) -> Vec<&'static str> {
    let class = item.class.as_ref().filter(|_| item.priority.is_none());
    let Some(schema) = class.and_then(|class| state.routing().priorities.get(&class.schema)) else {
        return Vec::new();
    };
    let falls = match &schema.shape {
        Shape::Points(course) => {
            course.windows(2).any(|two| match [two[0], two[1]].map(|p| p.priority) {
                [PointValue::Points(before), PointValue::Points(after)] => after < before,
                _ => false,
            })
        }
        Shape::Increments(course) => course.steps.iter().any(|step| step.add < 0),
    };
    chosen(&[
        (schema.anchor == Anchor::Capture, "schema anchored at capture"),
        (schema.calendar.is_some(), "schema in business time"),
        (falls, "schema falls"),
        (matches!(schema.shape, Shape::Increments(_)), "schema of increments"),
        (matches!(schema.shape, Shape::Points(_)), "schema of points"),
    ])
}

fn by_stage(state: &State, item: &WorkItem, why: &Explanation) -> Vec<&'static str> {
    let stage = match why.stage {
        Stage::Preferred => "preferred agent",
        Stage::Target(0) => "stage 1",
        Stage::Target(1) => "stage 2",
        Stage::Target(_) => "stage 3",
    };
    let mut seen = vec![stage];
    if why.stage_cause == StageCause::PreferredUnknown {
        seen.push("preferred agent unknown");
    }
    if why.stage_cause != StageCause::WindowOver {
        return seen;
    }
    seen.push("stage after a window");
    let queue = item.queue.as_ref().or(item.process());
    let route = queue.and_then(|queue| state.routing().processes.get(queue)).map(|it| &it.route);
    let span = route.and_then(|route| match why.stage {
        Stage::Target(0) => route.preferred,
        Stage::Target(number) => route.stages[usize::from(number) - 1].lasts,
        Stage::Preferred => None,
    });
    seen.extend(match span {
        Some(Span::Business(_)) => Some("window in business time"),
        Some(Span::SlaPermille(_) | Span::BeforeSla(_)) => Some("window of the SLA"),
        Some(Span::Time(_)) => Some("window of time"),
        None => None,
    });
    seen
}
