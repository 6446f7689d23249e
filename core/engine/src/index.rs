//! Indexes: what can be derived from the facts and the time. Never stored, never compared with
//! another node's; [`crate::State::from_facts`] makes them anew.
//!
//! Waiting items stand in one tournament per signature: see [`queues`]. Agents are numbered and
//! classed, and each signature keeps the set of agents who fit: see [`staff`].

mod queues;
mod staff;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use gantry_model::decision::Trigger;
use gantry_model::name::AgentId;
use gantry_model::{Agent, AgentProfile, Assignment, ItemId, Presence, Timestamp, WorkItem};

use crate::bits::BitSet;
use crate::capacity::{self, Carried, Limits};
use crate::curve::NEVER;
use crate::facts::Facts;
use crate::ladder::Ladder;
use crate::routes::Routes;
use crate::timers;

use queues::Key;
pub(crate) use queues::{Queues, Signature};
use staff::MediaNo;
pub(crate) use staff::{AgentNo, Desk, Staff};

/// Number of a signature in the indexes.
pub(crate) type SignatureNo = u32;

/// All indexes of one partition.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The instant that the indexes stand at.
    pub(crate) clock: Timestamp,
    pub(crate) routes: Routes,
    pub(crate) queues: Queues,
    pub(crate) staff: Staff,
    slots: HashMap<ItemId, Slot>,
    /// When each item is looked at next: a timer, a stage, an exclusion.
    wakes: BTreeSet<(Timestamp, ItemId)>,
    /// Waiting items by preferred agent: that agent's coming or going changes their ladder.
    preferring: BTreeSet<(AgentId, ItemId)>,
    /// Items that may newly have found an agent.
    fresh_items: BTreeMap<ItemId, Trigger>,
}

/// Where an item stands in the indexes.
#[derive(Debug, Default)]
struct Slot {
    wake: Option<Timestamp>,
    queue: Option<(SignatureNo, u32)>,
    prefers: Option<AgentId>,
    desk: Option<(AgentNo, MediaNo)>,
}

impl Index {
    /// Builds all indexes at an instant. Everybody free counts as newly free.
    /// `before`: what was ready of the config version before.
    pub(crate) fn build(facts: &Facts, clock: Timestamp, before: &Routes) -> Self {
        let routes = Routes::new(facts.config.as_ref(), before);
        let mut index = Self { clock, routes, ..Self::default() };
        for agent in facts.agents.values() {
            index.put_agent(facts, &agent.profile.id, Trigger::TimePassed);
        }
        index.slots.reserve(facts.items.len());
        for item in facts.items.values() {
            index.insert(facts, item, Trigger::TimePassed);
        }
        let nos: Vec<_> = index.staff.nos().map(|(_, no)| no).collect();
        for no in nos {
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
        let due: Vec<ItemId> = self.woken(now).collect();
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
        self.queues.sharpen(self.clock);
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
        let known = self.staff.no(agent).is_some();
        let exists = facts.agents.contains_key(agent);
        if exists {
            self.put_agent(facts, agent, Trigger::AgentFreed);
        } else if known {
            self.remove_agent(agent);
        }
        if known != exists {
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
        Some(self.queues.signature(no))
    }

    /// Signatures for which anything waits.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Signature> + '_ {
        let all = self.queues.iter().map(|(_, signature)| signature);
        all.filter(|signature| !signature.is_empty())
    }

    /// The signatures that an agent fits and has room for.
    pub(crate) fn reach(&self, no: AgentNo) -> impl Iterator<Item = &Signature> + '_ {
        let free = self.staff.free.iter().enumerate().filter(move |(_, free)| free.contains(no));
        let signatures = free.flat_map(move |(media, _)| self.fitting(no, media));
        signatures.map(|no| self.queues.signature(no))
    }

    pub(crate) fn desk(&self, no: AgentNo) -> &Desk {
        self.staff.desk(no)
    }

    pub(crate) fn agent_no(&self, agent: &str) -> Option<AgentNo> {
        self.staff.no(agent)
    }

    /// How many items of a media type an agent has.
    pub(crate) fn load(&self, agent: &str, media: &str) -> u16 {
        let no = self.agent_no(agent);
        no.zip(self.staff.known_media(media)).map_or(0, |(no, media)| self.desk(no).load_of(media))
    }

    pub(crate) const fn ready(&self) -> &BitSet {
        &self.staff.ready
    }

    /// Agents who are ready and have room for what a signature asks.
    pub(crate) fn free_for(&self, signature: &Signature) -> &BitSet {
        &self.staff.free[signature.key.media]
    }

    /// An agent's level in the skills that a signature asks for, added up.
    pub(crate) fn level_sum(&self, signature: &Signature, no: AgentNo) -> u32 {
        if signature.skills.is_empty() {
            return 0;
        }
        let class = self.desk(no).class;
        match signature.sums.binary_search_by_key(&class, |(class, _)| *class) {
            Ok(at) => signature.sums[at].1,
            // The class does not fit, but the agent does, by name.
            Err(_) => self.staff.level_sum(class, &signature.skills),
        }
    }

    pub(crate) fn anybody_free(&self) -> bool {
        self.staff.anybody_free()
    }

    /// What made an item fresh, if it may newly have found an agent.
    pub(crate) fn fresh_item(&self, item: ItemId) -> Option<Trigger> {
        self.fresh_items.get(&item).copied()
    }

    /// Says that everything fresh has been looked at and nothing more can be matched.
    pub(crate) fn settle(&mut self) {
        self.fresh_items.clear();
        self.queues.settle();
    }

    /// The indexes as text that does not depend on how they came about.
    pub(crate) fn render(&self, facts: &Facts) -> String {
        let mut text = String::new();
        let media = self.staff.media();
        for id in facts.items.keys() {
            let wake = self.slots.get(id).and_then(|slot| slot.wake);
            let key = self.signature_of(*id).map(|signature| &signature.key);
            let key = key.map(|key| (&key.requirement, &media[key.media], &key.queue));
            let _ = writeln!(text, "{id} wakes {wake:?} in {key:?}");
        }
        for (id, no) in self.staff.nos() {
            let desk = self.desk(no);
            let room = media.iter().enumerate();
            let room =
                room.map(|(at, name)| (name, desk.load_of(at), self.staff.free[at].contains(no)));
            let room: BTreeSet<_> = room.filter(|(_, load, free)| *load > 0 || *free).collect();
            let reach = self.reach(no).filter(|signature| !signature.is_empty());
            let reach: BTreeSet<_> = reach.map(|signature| &signature.key.requirement).collect();
            let (items, since) = (&desk.items, desk.idle_since);
            let _ = writeln!(text, "{id} {room:?} {items:?} idle since {since} reaches {reach:?}");
        }
        let mut queues: Vec<_> = self.waiting().collect();
        queues.sort_by_key(|queue| {
            let key = &queue.key;
            (&key.requirement, &media[key.media], &key.queue, key.clock)
        });
        for queue in queues {
            let fits: BTreeMap<_, _> = queue
                .fits
                .iter()
                .map(|no| (&self.desk(no).agent, self.level_sum(queue, no)))
                .collect();
            let ranks: Vec<_> = queue.descending(self.clock).collect();
            let Key { requirement, queue: name, .. } = &queue.key;
            let (ready, free) = (queue.n_ready, queue.n_free);
            let _ = writeln!(
                text,
                "{requirement:?} in {name} fits {fits:?}, {ready} ready, {free} free: {ranks:?}"
            );
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
        let Some(process) = self.routes.queue(item) else {
            return NEVER;
        };
        let ladder = Ladder::new(&self.routes, item, process, facts.prefers_known(item));
        let rung = ladder.at(self.clock);
        let requirement = ladder.requirement(rung.stage);
        let curve = self.routes.curve(item);
        let since = item.routing_at.unwrap_or(item.captured_at);
        let key = Key {
            requirement,
            media: self.staff.media_no(media_type(item)),
            queue: self.routes.queue_name(item).cloned().unwrap_or_default(),
            clock: self.routes.clock_of(item),
        };
        let no = self.signature(facts, key);
        slot.queue = Some((no, self.queues.insert(no, self.clock, item.id, since, curve)));
        if let Some(agent) = &item.preferred_agent {
            self.preferring.insert((agent.clone(), item.id));
            slot.prefers = Some(agent.clone());
        }
        if self.queues.signature(no).n_free > 0 {
            self.fresh_items.insert(item.id, trigger);
            self.queues.freshen(no, None);
        }
        let ended = item.exclusions.iter().map(|excluded| excluded.until);
        let ended = ended.filter(|until| *until > self.clock).min();
        rung.ends_at.unwrap_or(NEVER).min(ended.unwrap_or(NEVER))
    }

    /// Notes an item with its agent.
    fn seat(&mut self, agent: &str, item: &WorkItem) -> Option<(AgentNo, MediaNo)> {
        let no = self.agent_no(agent)?;
        let media = self.staff.media_no(media_type(item));
        self.staff.desk_mut(no).seat(item.id, media);
        Some((no, media))
    }

    /// Takes an item out of all indexes; returns the desk it stood at.
    fn remove(&mut self, item: ItemId) -> Option<(AgentNo, MediaNo)> {
        let slot = self.slots.remove(&item)?;
        if let Some(wake) = slot.wake {
            self.wakes.remove(&(wake, item));
        }
        if let Some((no, place)) = slot.queue {
            self.queues.remove(no, self.clock, place);
            self.fresh_items.remove(&item);
        }
        if let Some(agent) = slot.prefers {
            self.preferring.remove(&(agent, item));
        }
        if let Some((no, media)) = slot.desk {
            self.staff.desk_mut(no).unseat(item, media);
        }
        slot.desk
    }

    /// The number of a signature; a new one is told who fits it.
    fn signature(&mut self, facts: &Facts, key: Key) -> SignatureNo {
        if let Some(no) = self.queues.no(&key) {
            return no;
        }
        let clock = self.routes.clock(key.clock).clone();
        let mut signature = Signature::new(key, clock);
        let (requirement, queue) = (&signature.key.requirement, &signature.key.queue);
        let classes = self.staff.classes_for(requirement, queue);
        for &class in &classes {
            for agent in &self.staff.class(class).members {
                signature.fits.put(*agent, true);
            }
            signature.sums.push((class, self.staff.level_sum(class, &signature.skills)));
        }
        let named: Vec<AgentId> = queues::named(requirement).into_iter().cloned().collect();
        let media = signature.key.media;
        let no = self.queues.add(signature);
        for class in classes {
            self.staff.class_mut(class).add_reach(media, no);
        }
        for agent in named {
            if let Some(agent) = facts.agents.get(&agent) {
                self.fit_by_name(no, &agent.profile);
            }
        }
        let signature = self.queues.signature_mut(no);
        signature.n_ready = signature.fits.count_and(&self.staff.ready) as u32;
        signature.n_free = signature.fits.count_and(&self.staff.free[media]) as u32;
        no
    }

    /// Notes whether an agent fits a signature that names them.
    fn fit_by_name(&mut self, no: SignatureNo, profile: &AgentProfile) {
        let Some(agent) = self.staff.no(&profile.id) else {
            return;
        };
        let Key { requirement, queue, .. } = &self.queues.signature(no).key;
        let fits = requirement.fits(profile) && !profile.inactive_queues.contains(queue);
        let desk = self.staff.desk(agent);
        let by_class = self.staff.class_fits(desk.class, requirement, queue);
        self.queues.signature_mut(no).fits.put(agent, fits);
        if fits && !by_class {
            self.staff.desk_mut(agent).named.push(no);
        }
    }

    /// The signatures of a media type that an agent fits.
    fn fitting(&self, no: AgentNo, media: MediaNo) -> impl Iterator<Item = SignatureNo> + '_ {
        let desk = self.staff.desk(no);
        let named = desk.named.iter().copied();
        let named = named.filter(move |no| self.queues.signature(*no).key.media == media);
        let class = self.staff.class(desk.class).reach_of(media).iter().copied();
        // Of the class's signatures one may rule out just this agent.
        let fits =
            move |signature: &SignatureNo| self.queues.signature(*signature).fits.contains(no);
        class.filter(fits).chain(named)
    }

    fn put_agent(&mut self, facts: &Facts, id: &AgentId, trigger: Trigger) {
        let profile = &facts.agents[id].profile;
        for media in Limits::of(&self.routes.spec, profile).media() {
            self.staff.media_no(media);
        }
        let (no, class) = self.staff.enter(profile);
        if let Some((class, fresh)) = class {
            self.withdraw(no);
            if fresh {
                self.introduce(class);
            }
            self.join(no, class, profile);
        }
        self.refresh_room(facts, no, trigger);
        for media in 0..self.staff.free.len() {
            if self.staff.free[media].contains(no) {
                self.freshen(no, media, trigger);
            }
        }
    }

    fn remove_agent(&mut self, id: &AgentId) {
        if let Some(no) = self.staff.no(id) {
            self.withdraw(no);
            self.staff.leave(id);
        }
    }

    /// Works out which signatures a new class fits.
    fn introduce(&mut self, class: staff::ClassNo) {
        let mut found = Vec::new();
        for (no, signature) in self.queues.iter() {
            let Key { requirement, media, queue, .. } = &signature.key;
            if self.staff.class_fits(class, requirement, queue) {
                found.push((no, *media, self.staff.level_sum(class, &signature.skills)));
            }
        }
        for (no, media, sum) in found {
            self.staff.class_mut(class).add_reach(media, no);
            let sums = &mut self.queues.signature_mut(no).sums;
            let at = sums.partition_point(|(other, _)| *other < class);
            sums.insert(at, (class, sum));
        }
    }

    /// Makes an agent a member of a class, with all that follows.
    fn join(&mut self, no: AgentNo, class: staff::ClassNo, profile: &AgentProfile) {
        self.staff.desk_mut(no).class = class;
        let class = self.staff.class_mut(class);
        class.members.push(no);
        for signature in class.reach.iter().flatten() {
            self.queues.signature_mut(*signature).fits.put(no, true);
        }
        for signature in self.queues.naming(&profile.id) {
            self.fit_by_name(signature, profile);
        }
    }

    /// Takes an agent out of everything that depends on the class.
    fn withdraw(&mut self, no: AgentNo) {
        let desk = self.staff.desk(no);
        let class = desk.class;
        if class == staff::ClassNo::MAX {
            return;
        }
        self.set_ready(no, false);
        for media in 0..self.staff.free.len() {
            self.set_free(no, media, false);
        }
        let left = self.staff.leave_class(no);
        for signature in left.signatures {
            self.queues.signature_mut(signature).fits.put(no, false);
        }
        for signature in left.forgotten {
            self.queues.signature_mut(signature).sums.retain(|(other, _)| *other != class);
        }
    }

    /// Computes anew whether an agent is ready and for which media there is room.
    fn refresh_room(&mut self, facts: &Facts, no: AgentNo, trigger: Trigger) {
        let Some(agent) = facts.agents.get(&self.staff.desk(no).agent) else {
            return;
        };
        self.staff.desk_mut(no).idle_since = agent.idle_since;
        let ready = agent.presence == Presence::Ready;
        self.set_ready(no, ready);
        let spec = Arc::clone(&self.routes.spec);
        let limits = Limits::of(&spec, &agent.profile);
        let ramping = capacity::ramping_until(&spec, agent, self.clock).is_some();
        for media in 0..self.staff.free.len() {
            let carried = self.carried(agent);
            let room = ready
                && !ramping
                && limits.obstacle(&carried, &self.staff.media()[media]).is_none();
            if self.set_free(no, media, room) && room {
                self.freshen(no, media, trigger);
            }
        }
    }

    /// What an agent carries.
    pub(crate) fn carried<'a>(&'a self, agent: &'a Agent) -> Carried<'a> {
        let at_desk = self.agent_no(&agent.profile.id).map_or(&[][..], |no| self.desk(no).loads());
        Carried { media: self.staff.media(), at_desk, elsewhere: &agent.elsewhere }
    }

    fn set_ready(&mut self, no: AgentNo, ready: bool) {
        if !self.staff.ready.put(no, ready) {
            return;
        }
        for media in 0..self.staff.free.len() {
            for signature in self.fitting(no, media).collect::<Vec<_>>() {
                let count = &mut self.queues.signature_mut(signature).n_ready;
                *count = if ready { *count + 1 } else { *count - 1 };
            }
        }
    }

    /// Notes whether an agent is free for a media type; `true` if that is new.
    fn set_free(&mut self, no: AgentNo, media: MediaNo, free: bool) -> bool {
        if !self.staff.free[media].put(no, free) {
            return false;
        }
        for signature in self.fitting(no, media).collect::<Vec<_>>() {
            let count = &mut self.queues.signature_mut(signature).n_free;
            *count = if free { *count + 1 } else { *count - 1 };
        }
        true
    }

    fn freshen(&mut self, no: AgentNo, media: MediaNo, trigger: Trigger) {
        for signature in self.fitting(no, media).collect::<Vec<_>>() {
            self.queues.freshen(signature, Some(trigger));
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
