//! Indexes: what can be derived from the facts and the time. Never stored, never compared with
//! another node's; [`crate::State::from_facts`] makes them anew.
//!
//! Waiting items stand in one tournament per signature (requirement and media type); agents are
//! numbered, and each signature keeps the set of agents who fit.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use gantry_model::decision::Trigger;
use gantry_model::name::{AgentId, Name};
use gantry_model::{
    Agent, AgentProfile, Assignment, ItemId, Presence, Requirement, Timestamp, WorkItem,
};

use crate::bits::BitSet;
use crate::curve::NEVER;
use crate::facts::Facts;
use crate::ladder;
use crate::routes::Routes;
use crate::timers;
use crate::tournament::{Rank, Tournament};

/// Number of an agent in the indexes.
pub(crate) type AgentNo = u32;
/// Number of a media type in the indexes.
type MediaNo = usize;
/// Number of a signature in the indexes.
type SignatureNo = u32;

/// All indexes of one partition.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The instant that the indexes stand at.
    pub(crate) clock: Timestamp,
    pub(crate) routes: Routes,
    slots: HashMap<ItemId, Slot>,
    /// When each item is looked at next: a timer, a stage, an exclusion.
    wakes: BTreeSet<(Timestamp, ItemId)>,
    signatures: Vec<Signature>,
    signature_nos: HashMap<(Requirement, MediaNo), SignatureNo>,
    /// When the certainties of each signature's tournament run out.
    certainties: BTreeSet<(Timestamp, SignatureNo)>,
    /// Waiting items by preferred agent: that agent's coming or going changes their ladder.
    preferring: BTreeSet<(AgentId, ItemId)>,
    media: Vec<Name>,
    desks: Vec<Desk>,
    free_nos: Vec<AgentNo>,
    agent_nos: BTreeMap<AgentId, AgentNo>,
    ready: BitSet,
    /// By media type: agents who are ready and have room.
    free: Vec<BitSet>,
    /// Items that may newly have found an agent.
    fresh_items: BTreeMap<ItemId, Trigger>,
    /// Agents who may newly have found an item.
    fresh_agents: BTreeMap<AgentNo, Trigger>,
}

/// Where an item stands in the indexes.
#[derive(Debug, Default)]
struct Slot {
    wake: Option<Timestamp>,
    queue: Option<(SignatureNo, u32)>,
    prefers: Option<AgentId>,
    desk: Option<(AgentNo, MediaNo)>,
}

/// All that waits for the same kind of agent.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) requirement: Requirement,
    pub(crate) media: MediaNo,
    /// The skills that count towards "highest level".
    skills: Vec<Name>,
    pub(crate) fits: BitSet,
    pub(crate) waiting: Tournament,
}

/// An agent in the indexes.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) agent: AgentId,
    /// Items offered or assigned.
    pub(crate) items: BTreeSet<ItemId>,
    /// How many of them, by media type.
    load: Vec<u16>,
}

impl Index {
    /// Builds all indexes at an instant. Everybody free counts as newly free.
    pub(crate) fn build(facts: &Facts, clock: Timestamp) -> Self {
        let mut index =
            Self { clock, routes: Routes::new(facts.config.as_ref()), ..Self::default() };
        for agent in facts.agents.values() {
            index.put_agent(facts, &agent.profile.id, Trigger::TimePassed);
        }
        index.slots.reserve(facts.items.len());
        for item in facts.items.values() {
            index.insert(facts, item, Trigger::TimePassed);
        }
        for no in index.agent_nos.clone().into_values() {
            index.refresh_room(facts, no, Trigger::TimePassed);
        }
        index
    }

    /// Moves everything to `now` that moves with time alone: stages and exclusions.
    pub(crate) fn advance(&mut self, facts: &Facts, now: Timestamp) {
        if now <= self.clock {
            return;
        }
        self.clock = now;
        let due = self.wakes.range(..=(now, ItemId::from_u64(u64::MAX)));
        let due: Vec<ItemId> = due.map(|(_, item)| *item).collect();
        for item in due {
            if let Some(item) = facts.items.get(&item) {
                self.remove(item.id);
                self.insert(facts, item, Trigger::TimePassed);
            }
        }
    }

    /// Brings the tournaments to the index's own instant. While nobody asks for the best item they
    /// may lie behind: a read then looks deeper, and an arriving item costs next to nothing.
    pub(crate) fn sharpen(&mut self) {
        let now = self.clock;
        while let Some((until, no)) = self.certainties.first().copied() {
            if until > now {
                break;
            }
            self.certainties.remove(&(until, no));
            let waiting = &mut self.signatures[no as usize].waiting;
            waiting.advance(now);
            let until = waiting.until();
            self.note_certainty(no, until);
        }
    }

    /// Brings the indexes up to date with an item that changed, came or ended.
    pub(crate) fn refresh_item(&mut self, facts: &Facts, item: ItemId) {
        let left = self.remove(item);
        if let Some(item) = facts.items.get(&item) {
            self.insert(facts, item, Trigger::ItemArrived);
        }
        let came = self.slots.get(&item).and_then(|slot| slot.desk);
        for (no, _) in left.into_iter().chain(came) {
            self.refresh_room(facts, no, Trigger::AgentFreed);
        }
    }

    /// Brings the indexes up to date with an agent who changed, came or was removed.
    pub(crate) fn refresh_agent(&mut self, facts: &Facts, agent: &AgentId) {
        let known = self.agent_nos.contains_key(agent);
        match (known, facts.agents.contains_key(agent)) {
            (_, true) => self.put_agent(facts, agent, Trigger::AgentFreed),
            (true, false) => self.remove_agent(agent),
            (false, false) => {}
        }
        if known != facts.agents.contains_key(agent) {
            self.refresh_preferring(facts, agent);
        }
    }

    /// The next instant at which something can happen by itself.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Items to be looked at by `now`, in the order of their instants.
    pub(crate) fn woken(&self, now: Timestamp) -> impl Iterator<Item = ItemId> + '_ {
        let due = self.wakes.range(..=(now, ItemId::from_u64(u64::MAX)));
        due.map(|(_, item)| *item)
    }

    pub(crate) fn signature_of(&self, item: ItemId) -> Option<&Signature> {
        let (no, _) = self.slots.get(&item)?.queue?;
        self.signatures.get(no as usize)
    }

    /// Signatures for which anything waits.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Signature> + '_ {
        let all = self.signatures.iter();
        all.filter(|signature| !signature.waiting.is_empty())
    }

    pub(crate) fn desk(&self, no: AgentNo) -> &Desk {
        &self.desks[no as usize]
    }

    pub(crate) fn agent_no(&self, agent: &str) -> Option<AgentNo> {
        self.agent_nos.get(agent).copied()
    }

    /// How many items of a media type an agent has.
    pub(crate) fn load(&self, agent: &str, media: &str) -> u16 {
        let no = self.agent_no(agent);
        let media = self.media.iter().position(|name| *name == media);
        no.zip(media).map_or(0, |(no, media)| self.desk(no).load_of(media))
    }

    pub(crate) const fn ready(&self) -> &BitSet {
        &self.ready
    }

    /// Agents who are ready and have room for what a signature asks.
    pub(crate) fn free_for(&self, signature: &Signature) -> &BitSet {
        &self.free[signature.media]
    }

    pub(crate) fn anybody_free(&self) -> bool {
        self.free.iter().any(|free| !free.is_empty())
    }

    pub(crate) const fn fresh_items(&self) -> &BTreeMap<ItemId, Trigger> {
        &self.fresh_items
    }

    pub(crate) const fn fresh_agents(&self) -> &BTreeMap<AgentNo, Trigger> {
        &self.fresh_agents
    }

    /// Says that everything fresh has been looked at and nothing more can be matched.
    pub(crate) fn settle(&mut self) {
        self.fresh_items.clear();
        self.fresh_agents.clear();
    }

    /// How a waiting item ranks at `now`.
    pub(crate) fn rank(&self, item: &WorkItem, now: Timestamp) -> Rank {
        Rank {
            priority: self.routes.curve(item).piece(now).at(now),
            since: Reverse(item.routing_at.unwrap_or(item.captured_at)),
            item: Reverse(item.id),
        }
    }

    /// The indexes as text that does not depend on how they came about.
    pub(crate) fn render(&self, facts: &Facts) -> String {
        let mut text = String::new();
        for id in facts.items.keys() {
            let slot = self.slots.get(id);
            let wake = slot.and_then(|slot| slot.wake);
            let queue =
                self.signature_of(*id).map(|queue| (&queue.requirement, &self.media[queue.media]));
            let _ = writeln!(text, "{id} wakes {wake:?} in {queue:?}");
        }
        for (id, no) in &self.agent_nos {
            let desk = self.desk(*no);
            let media = self.media.iter().enumerate();
            let room =
                media.map(|(at, name)| (name, desk.load_of(at), self.free[at].contains(*no)));
            let room: BTreeSet<_> = room.filter(|(_, load, free)| *load > 0 || *free).collect();
            let _ = writeln!(text, "{id} {room:?} {:?}", desk.items);
        }
        let mut queues: Vec<_> = self.waiting().collect();
        queues.sort_by_key(|queue| (&queue.requirement, &self.media[queue.media]));
        for queue in queues {
            let fits: BTreeSet<_> = queue.fits.iter().map(|no| &self.desk(no).agent).collect();
            let ranks: Vec<_> = queue.waiting.descending(self.clock).collect();
            let _ = writeln!(text, "{:?} fits {fits:?}: {ranks:?}", queue.requirement);
        }
        text
    }

    fn insert(&mut self, facts: &Facts, item: &WorkItem, trigger: Trigger) {
        let mut slot = Slot::default();
        let mut wake = timers::next(item).map_or(NEVER, |(at, _)| at);
        if item.waiting() {
            wake = wake.min(self.enqueue(facts, item, &mut slot, trigger));
        }
        if let Assignment::Offered { agent, .. } | Assignment::Assigned { agent, .. } =
            &item.assignment
        {
            slot.desk = self.seat(agent, item);
        }
        if wake != NEVER {
            self.wakes.insert((wake, item.id));
            slot.wake = Some(wake);
        }
        self.slots.insert(item.id, slot);
    }

    /// Puts a waiting item into its queue; returns when its place there may change.
    fn enqueue(
        &mut self,
        facts: &Facts,
        item: &WorkItem,
        slot: &mut Slot,
        trigger: Trigger,
    ) -> Timestamp {
        let Some(process) = self.routes.process(item) else {
            return NEVER;
        };
        let known = facts.prefers_known(item);
        let rung = ladder::rung(item, &process.route, known, self.clock);
        let requirement = ladder::requirement(item, &process.route, known, rung.stage);
        let curve = self.routes.curve(item);
        let since = item.routing_at.unwrap_or(item.captured_at);
        let no = self.signature(facts, requirement, media_type(item));
        let waiting = &mut self.signatures[no as usize].waiting;
        let before = waiting.until();
        slot.queue = Some((no, waiting.insert(self.clock, item.id, since, curve)));
        let until = waiting.until();
        self.move_certainty(no, before, until);
        if let Some(agent) = &item.preferred_agent {
            self.preferring.insert((agent.clone(), item.id));
            slot.prefers = Some(agent.clone());
        }
        if self.anybody_free() {
            self.fresh_items.insert(item.id, trigger);
        }
        let ended = item.exclusions.iter().map(|excluded| excluded.until);
        let ended = ended.filter(|until| *until > self.clock).min();
        rung.ends_at.unwrap_or(NEVER).min(ended.unwrap_or(NEVER))
    }

    /// Notes an item with its agent.
    fn seat(&mut self, agent: &str, item: &WorkItem) -> Option<(AgentNo, MediaNo)> {
        let no = self.agent_no(agent)?;
        let media = self.media_no(media_type(item));
        let desk = &mut self.desks[no as usize];
        desk.items.insert(item.id);
        desk.load.resize(desk.load.len().max(media + 1), 0);
        desk.load[media] += 1;
        Some((no, media))
    }

    /// Takes an item out of all indexes; returns the desk it stood at.
    fn remove(&mut self, item: ItemId) -> Option<(AgentNo, MediaNo)> {
        let slot = self.slots.remove(&item)?;
        if let Some(wake) = slot.wake {
            self.wakes.remove(&(wake, item));
        }
        if let Some((no, place)) = slot.queue {
            let waiting = &mut self.signatures[no as usize].waiting;
            let before = waiting.until();
            waiting.remove(self.clock, place);
            let until = waiting.until();
            self.move_certainty(no, before, until);
            self.fresh_items.remove(&item);
        }
        if let Some(agent) = slot.prefers {
            self.preferring.remove(&(agent, item));
        }
        if let Some((no, media)) = slot.desk {
            let desk = &mut self.desks[no as usize];
            desk.items.remove(&item);
            desk.load[media] -= 1;
        }
        slot.desk
    }

    fn move_certainty(&mut self, no: SignatureNo, before: Timestamp, until: Timestamp) {
        if before != until {
            self.certainties.remove(&(before, no));
            self.note_certainty(no, until);
        }
    }

    fn note_certainty(&mut self, no: SignatureNo, until: Timestamp) {
        if until != NEVER {
            self.certainties.insert((until, no));
        }
    }

    fn signature(&mut self, facts: &Facts, requirement: Requirement, media: &str) -> SignatureNo {
        let key = (requirement, self.media_no(media));
        if let Some(no) = self.signature_nos.get(&key) {
            return *no;
        }
        let (requirement, media) = key.clone();
        let mut fits = BitSet::default();
        for (agent, no) in &self.agent_nos {
            let agent = facts.agents.get(agent);
            fits.put(*no, agent.is_some_and(|agent| requirement.fits(&agent.profile)));
        }
        let no = self.signatures.len() as SignatureNo;
        self.signatures.push(Signature {
            skills: requirement.skills().into_iter().cloned().collect(),
            requirement,
            media,
            fits,
            waiting: Tournament::default(),
        });
        self.signature_nos.insert(key, no);
        no
    }

    fn media_no(&mut self, media: &str) -> MediaNo {
        if let Some(no) = self.media.iter().position(|name| *name == media) {
            return no;
        }
        self.media.push(Name::new(media));
        self.free.push(BitSet::default());
        self.media.len() - 1
    }

    fn put_agent(&mut self, facts: &Facts, id: &AgentId, trigger: Trigger) {
        let agent = &facts.agents[id];
        for media in agent.profile.capacity.keys() {
            self.media_no(media);
        }
        let no = self.agent_no(id).unwrap_or_else(|| self.new_desk(id));
        for signature in &mut self.signatures {
            let fits = signature.requirement.fits(&agent.profile);
            signature.fits.put(no, fits);
        }
        self.refresh_room(facts, no, trigger);
        if self.free.iter().any(|free| free.contains(no)) {
            self.fresh_agents.insert(no, trigger);
        }
    }

    fn new_desk(&mut self, id: &AgentId) -> AgentNo {
        let desk = Desk { agent: id.clone(), ..Desk::default() };
        let no = if let Some(no) = self.free_nos.pop() {
            self.desks[no as usize] = desk;
            no
        } else {
            self.desks.push(desk);
            self.desks.len() as AgentNo - 1
        };
        self.agent_nos.insert(id.clone(), no);
        no
    }

    fn remove_agent(&mut self, id: &AgentId) {
        let Some(no) = self.agent_nos.remove(id) else {
            return;
        };
        for signature in &mut self.signatures {
            signature.fits.put(no, false);
        }
        for free in &mut self.free {
            free.put(no, false);
        }
        self.ready.put(no, false);
        self.fresh_agents.remove(&no);
        self.free_nos.push(no);
    }

    /// Computes anew whether an agent is ready and for which media there is room.
    fn refresh_room(&mut self, facts: &Facts, no: AgentNo, trigger: Trigger) {
        let desk = &self.desks[no as usize];
        let Some(agent) = facts.agents.get(&desk.agent) else {
            return;
        };
        let ready = agent.presence == Presence::Ready;
        self.ready.put(no, ready);
        for (media, name) in self.media.iter().enumerate() {
            let room = ready && desk.load_of(media) < capacity(&agent.profile, name);
            if self.free[media].put(no, room) && room {
                self.fresh_agents.insert(no, trigger);
            }
        }
    }

    fn refresh_preferring(&mut self, facts: &Facts, agent: &AgentId) {
        let first = (agent.clone(), ItemId::from_u64(0));
        let same = self.preferring.range(first..).take_while(|(id, _)| id == agent);
        let items: Vec<ItemId> = same.map(|(_, item)| *item).collect();
        for item in items {
            self.refresh_item(facts, item);
        }
    }
}

impl Signature {
    /// The agent's level in the skills asked for, added up.
    pub(crate) fn level_sum(&self, agent: &Agent) -> u32 {
        let levels = self.skills.iter().map(|skill| agent.profile.level(skill));
        levels.map(u32::from).sum()
    }
}

impl Desk {
    fn load_of(&self, media: MediaNo) -> u16 {
        self.load.get(media).copied().unwrap_or(0)
    }
}

/// How many items of a media type an agent takes at once.
pub(crate) fn capacity(profile: &AgentProfile, media: &str) -> u16 {
    profile.capacity.get(media).copied().unwrap_or(0)
}

/// The media type of an item; the default one before it is classified.
pub(crate) fn media_type(item: &WorkItem) -> &str {
    item.class
        .as_ref()
        .map_or(gantry_model::agent::DEFAULT_MEDIA_TYPE, |class| class.media_type.as_str())
}
