//! The state of one partition: facts, the indexes over them, and what changed since last asked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gantry_model::decision::{FlowStanding, Load, Reason, Stage};
use gantry_model::name::AgentId;
use gantry_model::priority::Priority;
use gantry_model::spec::{ProcessSpec, RoutingSpec};
use gantry_model::{
    Agent, AgentProfile, Event, ItemId, PartitionId, Requirement, Timestamp, WorkItem, Workbin,
};

use crate::agents::AgentNo;
use crate::capacity::{self, Carried, Limits};
use crate::facts::{ApplyError, Facts};
use crate::index::{Index, Signature};
use crate::items::{Items, Slot};
use crate::ladder::{Ladder, Rung};
use crate::matching::excluded;
use crate::routes::Routes;
use crate::tournament::Rank;

/// Everything the engine knows. One thread owns it; others send commands or ask.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) facts: Facts,
    pub(crate) index: Index,
    changed: Changed,
}

/// What changed since [`State::take_changes`] was last called.
#[derive(Debug, Default)]
struct Changed {
    /// `Some` holds the last form of an item that ended.
    items: BTreeMap<ItemId, Option<Box<WorkItem>>>,
    agents: BTreeSet<AgentId>,
}

/// What a decision touched: the indexes have to follow.
#[derive(Debug, Default)]
struct Touched {
    /// With the slots that they are kept in, or were.
    items: Vec<(ItemId, Slot)>,
    /// With their numbers, likewise.
    agents: Vec<(AgentId, AgentNo)>,
    config: bool,
}

/// The latest form of everything that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Items, also those that ended, in the order of their ids; each once.
    pub items: Vec<WorkItem>,
    /// Agents, in the order of their ids; each once.
    pub agents: Vec<AgentChange>,
    /// Counter of the next item's id.
    pub next_counter: u64,
    /// The active config version; 0 before the first.
    pub config_version: u32,
}

/// An agent who changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "an agent is seldom removed")]
pub enum AgentChange {
    /// New, or other than before.
    Put(Agent),
    /// Gone.
    Remove(AgentId),
}

impl State {
    /// The empty state of a partition. Item counters start at 1.
    pub fn new(partition: PartitionId) -> Self {
        Self::from_facts(partition, 1, None, [], [], Timestamp::default())
    }

    /// Boot: takes over stored facts and builds all indexes as of `now`. Items that have ended
    /// are skipped. Send [`gantry_model::Command::Boot`] next.
    pub fn from_facts(
        partition: PartitionId,
        next_counter: u64,
        config: Option<(u32, Arc<RoutingSpec>)>,
        agents: impl IntoIterator<Item = Agent>,
        items: impl IntoIterator<Item = WorkItem>,
        now: Timestamp,
    ) -> Self {
        let mut facts = Facts {
            partition,
            next_counter,
            config,
            agents: agents.into_iter().collect(),
            items: Items::new(partition),
        };
        for item in items.into_iter().filter(|item| !item.ended()) {
            let id = item.id;
            facts.items.insert(item);
            facts.items.slot(id).into_iter().for_each(|slot| facts.items.pack(slot));
        }
        Self::over(facts, now)
    }

    /// The state over facts, with indexes as of `now`.
    pub(crate) fn over(facts: Facts, now: Timestamp) -> Self {
        let index = Index::build(&facts, now, &Routes::default());
        Self { facts, index, changed: Changed::default() }
    }

    /// Applies an event that happened at `at`: the only way in which facts change.
    ///
    /// # Errors
    /// [`ApplyError`] if the event does not belong to these facts; nothing changed then. An event
    /// that [`crate::decide`] or [`crate::follow_up`] gave for this state always applies.
    pub fn apply(&mut self, at: Timestamp, event: &Event) -> Result<(), ApplyError> {
        self.apply_all(at, std::slice::from_ref(event))
    }

    /// Applies the events of one decision. The indexes follow once, at the end: most decisions
    /// touch the same item several times.
    pub(crate) fn apply_all(&mut self, at: Timestamp, events: &[Event]) -> Result<(), ApplyError> {
        self.advance(at);
        let mut touched = Touched::default();
        let applied = events.iter().try_for_each(|event| self.apply_one(at, event, &mut touched));
        for (_, slot) in &touched.items {
            self.facts.items.pack(*slot);
        }
        if touched.config {
            self.index.activate(&self.facts);
        }
        for (agent, no) in touched.agents {
            self.index.refresh_agent(&self.facts, &agent, no);
        }
        for (item, slot) in touched.items {
            self.index.refresh_item(&self.facts, item, slot);
        }
        applied
    }

    fn apply_one(
        &mut self,
        at: Timestamp,
        event: &Event,
        touched: &mut Touched,
    ) -> Result<(), ApplyError> {
        // An item that ends leaves its slot, an agent who is removed the number.
        let slot = |facts: &Facts| event.item().and_then(|id| facts.items.slot(id));
        let agent = match event {
            Event::AgentPut { profile: AgentProfile { id: agent, .. } }
            | Event::AgentRemoved { agent }
            | Event::PresenceChanged { agent, .. }
            | Event::LoadReported { agent, .. } => Some(agent),
            _ => None,
        };
        let no = |facts: &Facts| agent.and_then(|agent| facts.agents.no(agent));
        let before = (slot(&self.facts), no(&self.facts));
        if let (Event::Offered { .. }, Some(slot)) = (event, before.0) {
            self.index.note_offer(slot);
        }
        let applied = self.facts.apply(at, event)?;
        self.changed.agents.extend(applied.agent);
        if let Some(item) = event.item() {
            self.changed.items.insert(item, applied.ended);
            let place = before.0.or_else(|| slot(&self.facts)).map(|slot| (item, slot));
            touched.items.extend(place.filter(|place| touched.items.last() != Some(place)));
        }
        if let Some(agent) = agent {
            self.changed.agents.insert(agent.clone());
            let no = before.1.or_else(|| no(&self.facts));
            touched.agents.extend(no.map(|no| (agent.clone(), no)));
        }
        if matches!(event, Event::ConfigActivated { .. }) {
            touched.config = true;
        }
        Ok(())
    }

    /// Moves the indexes to `now`. Time never runs back: an earlier instant changes nothing.
    pub fn advance(&mut self, now: Timestamp) {
        self.index.advance(&self.facts, now);
    }

    /// Moves the indexes to `now`, and makes the best items of the queue quick to read: call it
    /// before [`State::top`] when nobody was free for a while.
    pub fn sharpen(&mut self, now: Timestamp) {
        self.advance(now);
        self.index.sharpen(&self.facts);
    }

    /// The instant up to which the state has been moved.
    pub const fn clock(&self) -> Timestamp {
        self.index.clock
    }

    /// The next instant at which something can happen by itself: a timer, a stage, the end of an
    /// exclusion. Never before `now`. The caller sends `Tick` then.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        let queues = &self.index.queues;
        let flows = &self.index.flows;
        let released = flows.next_release(self.index.clock, |flow| queues.flow_waits(flow));
        self.index.next_wake().into_iter().chain(released).min().map(|at| at.max(now))
    }

    /// Hands over what changed since the last call, each in its latest form.
    pub fn take_changes(&mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        let latest = |(id, ended): (ItemId, Option<Box<WorkItem>>)| match ended {
            Some(ended) => Some(*ended),
            None => self.item(id),
        };
        let agent = |id: AgentId| match self.agent(&id) {
            Some(agent) => AgentChange::Put(agent.clone()),
            None => AgentChange::Remove(id),
        };
        Changes {
            items: changed.items.into_iter().filter_map(latest).collect(),
            agents: changed.agents.into_iter().map(agent).collect(),
            next_counter: self.facts.next_counter,
            config_version: self.config_version(),
        }
    }

    /// An item that has not ended.
    pub fn item(&self, id: ItemId) -> Option<WorkItem> {
        self.facts.items.get(id)
    }

    /// All items that have not ended, in the order of their ids.
    pub fn items(&self) -> impl ExactSizeIterator<Item = WorkItem> {
        self.facts.items.iter()
    }

    /// All agents, in the order of their ids.
    pub fn agents(&self) -> impl ExactSizeIterator<Item = &Agent> {
        self.facts.agents.values()
    }

    /// An agent.
    pub fn agent(&self, id: &str) -> Option<&Agent> {
        self.facts.agents.get(id)
    }

    /// Items that are offered or assigned to an agent or in wrap-up, in the order of their ids.
    pub fn desk(&self, agent: &str) -> impl Iterator<Item = WorkItem> {
        let no = self.facts.agents.no(agent);
        let items = no.map(|no| self.index.desk(no).items.iter());
        items.into_iter().flatten().filter_map(|id| self.item(*id))
    }

    /// Items in a workbin, in the order of their ids.
    pub fn workbin(&self, workbin: &Workbin) -> impl Iterator<Item = WorkItem> {
        self.index.workbins.of(workbin).filter_map(|id| self.item(id))
    }

    /// Workbins in which anything lies, in their order, and how many items.
    pub fn workbins(&self) -> Vec<(Workbin, usize)> {
        let counts = self.index.workbins.counts().into_iter();
        counts.map(|(workbin, count)| (workbin.clone(), count)).collect()
    }

    /// The `count` waiting items with the highest priority at `now`, highest first.
    pub fn top(&self, now: Timestamp, count: usize) -> Vec<(WorkItem, Priority)> {
        let top = self.index.top(&self.facts, now, count).into_iter();
        top.filter_map(|(rank, slot)| Some((self.facts.items.at(slot)?, rank.priority))).collect()
    }

    /// An item's priority at `now`, and when it next changes its course.
    pub fn priority(&self, now: Timestamp, item: &WorkItem) -> (Priority, Option<Timestamp>) {
        self.index.routes.priority(item, now)
    }

    /// The partition.
    pub const fn partition(&self) -> PartitionId {
        self.facts.partition
    }

    /// Counter of the next item's id.
    pub const fn next_counter(&self) -> u64 {
        self.facts.next_counter
    }

    /// The active config version; 0 before the first.
    pub fn config_version(&self) -> u32 {
        self.facts.config.as_ref().map_or(0, |(version, _)| *version)
    }

    /// What the engine needs of the active config version; empty before the first.
    pub fn routing(&self) -> &RoutingSpec {
        &self.index.routes.spec
    }

    /// The ladder of an item in the queue of a process.
    pub(crate) fn ladder<'a>(&self, item: &'a WorkItem, process: &'a ProcessSpec) -> Ladder<'a> {
        Ladder::new(&self.index.routes, item, process, self.prefers_known(item))
    }

    /// Where an item stands on its ladder.
    pub(crate) fn rung(&self, item: &WorkItem, process: &ProcessSpec, now: Timestamp) -> Rung {
        self.ladder(item, process).at(now)
    }

    /// What an item of a process asks of an agent in a stage.
    pub(crate) fn requirement(
        &self,
        item: &WorkItem,
        process: &ProcessSpec,
        stage: Stage,
    ) -> Requirement {
        self.ladder(item, process).requirement(stage)
    }

    /// How much of an agent's capacity is in use.
    pub(crate) fn load(&self, agent: &Agent) -> Load {
        Limits::of(self.routing(), &agent.profile).load(&self.carried(agent))
    }

    /// What an agent carries.
    pub(crate) fn carried<'a>(&'a self, agent: &'a Agent) -> Carried<'a> {
        match self.facts.agents.no(&agent.profile.id) {
            Some(no) => self.index.carried(no, agent),
            None => Carried { media: &[], at_desk: &[], elsewhere: &agent.elsewhere },
        }
    }

    /// `true` if something that an agent carries may keep other media types away.
    pub(crate) fn excludes(&self, agent: &str) -> bool {
        let agent = self.agent(agent);
        agent.is_some_and(|agent| Limits::of(self.routing(), &agent.profile).excludes())
    }

    /// What keeps an agent from taking one more of a media type at `now`.
    pub(crate) fn no_room(&self, agent: &Agent, media: &str, now: Timestamp) -> Option<Reason> {
        let limits = Limits::of(self.routing(), &agent.profile);
        let obstacle = limits.obstacle(&self.carried(agent), media);
        let ramping = || capacity::ramping_until(self.routing(), agent, now);
        obstacle.or_else(|| ramping().map(|until| Reason::RampUp { until }))
    }

    /// The signature that an item waits in.
    pub(crate) fn signature_of(&self, id: ItemId) -> Option<&Signature> {
        self.index.signature_of(self.facts.items.slot(id)?)
    }

    /// The item to be looked at first, if by `now`.
    pub(crate) fn woken(&self, now: Timestamp) -> Option<WorkItem> {
        self.facts.items.at(self.index.woken(now)?)
    }

    /// How the flow of an item stands to the others; none if the config divides no shares.
    pub(crate) fn flow(&self, item: &WorkItem) -> Option<FlowStanding> {
        let flows = &self.index.flows;
        let no = self.index.routes.flow_of(item);
        flows.any().then(|| FlowStanding {
            flow: flows.name(no).cloned(),
            handicap: Priority(flows.handicap(no)),
            limited_until: flows.limited_until(no, self.index.clock),
        })
    }

    /// How an item ranks among those that wait at `now`, whether it waits itself or not.
    pub(crate) fn rank(&self, now: Timestamp, item: &WorkItem) -> Rank {
        Rank {
            priority: self.priority(now, item).0,
            since: Reverse(item.routing_at.unwrap_or(item.captured_at)),
            item: Reverse(item.id),
        }
    }

    /// What waits that an agent could be offered if they had room for it, by signature, each with
    /// the handicap of its flow. A flow that has had its offers for now is left out.
    pub(crate) fn within_reach<'a>(
        &'a self,
        now: Timestamp,
        agent: &'a Agent,
    ) -> impl Iterator<Item = (&'a Signature, i64)> {
        let (index, flows) = (&self.index, &self.index.flows);
        let limits = Limits::of(self.routing(), &agent.profile);
        let no = self.facts.agents.no(&agent.profile.id);
        let reach = index.waiting().filter(move |signature| {
            no.is_some_and(|no| signature.fits.contains(no))
                && limits.takes(index.media(signature))
                && flows.limited_until(signature.key.flow, now).is_none()
        });
        reach.map(|signature| (signature, flows.handicap(signature.key.flow)))
    }

    /// `true` unless the agent declined the item in a slot, or let it ring, a short time ago.
    pub(crate) fn asked(&self, slot: Slot, agent: &Agent, now: Timestamp) -> bool {
        let special = self.facts.items.special(slot);
        special.is_none_or(|item| !excluded(item, &agent.profile.id, now))
    }

    /// `true` if the item's preferred agent exists.
    pub(crate) fn prefers_known(&self, item: &WorkItem) -> bool {
        self.facts.prefers_known(item)
    }
}
