//! Indexes: what can be derived from the facts and the time. Never stored, never compared with
//! another node's; [`crate::State::from_facts`] makes them anew.
//!
//! Waiting items stand in one tournament per signature: see [`queues`]. Agents are numbered and
//! classed, and each signature keeps the set of agents who fit: see [`staff`].

mod entrants;
mod minima;
mod places;
mod queues;
mod render;
mod staff;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use gantry_model::decision::Trigger;
use gantry_model::name::{AgentId, Name};
use gantry_model::{Agent, AgentProfile, Assignment, ItemId, Presence, Timestamp, WorkItem};

use crate::aside::{AgentWakes, Workbins};
use crate::bits::BitSet;
use crate::capacity::{self, Carried, Limits};
use crate::curve::NEVER;
use crate::facts::Facts;
use crate::flows::Flows;
use crate::items::{Glance, Slot};
use crate::ladder::Ladder;
use crate::routes::Routes;
use crate::timers;

use entrants::{Classes, Field};
use minima::Minima;
use places::Places;
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
    classes: Classes,
    /// Where each waiting item stands.
    places: Places,
    /// When each item is looked at next: a timer, a stage, an exclusion.
    wakes: Minima,
    /// Waiting items by preferred agent: that agent's coming or going changes their ladder.
    preferring: BTreeSet<(AgentId, Slot)>,
    /// What stands in `preferring`, by item.
    preferred: HashMap<Slot, AgentId>,
    /// Items that take an agent's capacity.
    seats: HashMap<Slot, (AgentNo, MediaNo)>,
    /// What flows have had; kept when all else is built anew.
    pub(crate) flows: Flows,
    /// Items that may newly have found an agent.
    fresh_items: BTreeMap<ItemId, Trigger>,
    pub(crate) workbins: Workbins,
    pub(crate) agent_wakes: AgentWakes,
}

impl Index {
    /// Builds all indexes at an instant. Everybody free counts as newly free.
    /// `before`: what was ready of the config version before.
    pub(crate) fn build(facts: &Facts, clock: Timestamp, before: &Routes) -> Self {
        let routes = Routes::new(facts.config.as_ref(), before);
        let flows = Flows::new(routes.spec.fairness.as_ref());
        let mut index = Self { clock, routes, flows, ..Self::default() };
        for agent in facts.agents.values() {
            index.put_agent(facts, &agent.profile.id, Trigger::TimePassed);
        }
        index.insert_all(facts);
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
        let released = self.flows.released(self.clock, now);
        self.clock = now;
        for flow in released {
            self.queues.freshen_flow(flow);
        }
        for slot in self.wakes.until(now) {
            if let Some(item) = facts.items.at(slot) {
                self.remove(facts, item.id, slot);
                self.insert(facts, &item, slot, Trigger::TimePassed);
            }
        }
        let due: Vec<AgentId> = self.agent_wakes.due(now).cloned().collect();
        for agent in due {
            if let Some(no) = self.agent_no(&agent) {
                self.refresh_room(facts, no, Trigger::TimePassed);
            }
        }
    }

    /// Brings the tournaments to the index's own instant. While nobody asks for the best item they
    /// may lie behind: a read then looks deeper, and an arriving item costs next to nothing.
    pub(crate) fn sharpen(&mut self, facts: &Facts) {
        let field = Field { items: &facts.items, routes: &self.routes, classes: &self.classes };
        self.queues.sharpen(self.clock, field);
    }

    /// Brings the indexes up to date with an item that changed, came or ended, and that is kept
    /// in a slot, or was.
    pub(crate) fn refresh_item(&mut self, facts: &Facts, id: ItemId, slot: Slot) {
        let left = self.remove(facts, id, slot);
        match facts.items.get(id) {
            Some(item) => self.insert(facts, &item, slot, Trigger::ItemArrived),
            None => self.set_wake(facts, slot, NEVER),
        }
        let came = self.seats.get(&slot).copied();
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
        let item = self.wakes.first().map(|(at, _)| at);
        item.into_iter().chain(self.agent_wakes.first()).min()
    }

    /// The item that is to be looked at first, if by `now`: the earliest instant, then the
    /// smallest id.
    pub(crate) fn woken(&self, now: Timestamp) -> Option<Slot> {
        self.wakes.first().filter(|(at, _)| *at <= now).map(|(_, slot)| slot)
    }

    /// The signature that the item in a slot waits in.
    pub(crate) fn signature_of(&self, slot: Slot) -> Option<&Signature> {
        let (no, _) = self.places.get(slot)?;
        Some(self.queues.signature(no))
    }

    /// All waiting items, as questions about them need it.
    pub(crate) const fn field<'a>(&'a self, facts: &'a Facts) -> Field<'a> {
        Field { items: &facts.items, routes: &self.routes, classes: &self.classes }
    }

    /// Signatures for which anything waits.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Signature> + '_ {
        let all = self.queues.iter().map(|(_, signature)| signature);
        all.filter(|signature| !signature.is_empty())
    }

    /// Notes that an item is offered: its flow pays for it.
    pub(crate) fn note_offer(&mut self, slot: Slot) {
        if self.flows.any()
            && let Some(signature) = self.signature_of(slot)
        {
            let flow = signature.key.flow;
            let queues = &self.queues;
            self.flows.offered(flow, self.clock, |flow| queues.flow_waits(flow));
        }
    }

    /// The media type of a signature.
    pub(crate) fn media(&self, signature: &Signature) -> &Name {
        &self.staff.media()[signature.key.media]
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

    /// Puts all items in their places at once: much quicker than one after the other.
    fn insert_all(&mut self, facts: &Facts) {
        let mut queues: Vec<Vec<Slot>> = Vec::new();
        for slot in facts.items.in_order() {
            let Some(item) = facts.items.at(slot) else { continue };
            if let Some(no) = self.settle_in(facts, &item, slot) {
                queues.resize_with(queues.len().max(no as usize + 1), Vec::new);
                self.places.set(slot, no, queues[no as usize].len() as u32);
                queues[no as usize].push(slot);
            }
        }
        let field = Field { items: &facts.items, routes: &self.routes, classes: &self.classes };
        for (no, slots) in (0..).zip(queues) {
            self.queues.fill(no, self.clock, slots, field);
            self.queues.freshen(no, Some(Trigger::TimePassed));
        }
    }

    fn insert(&mut self, facts: &Facts, item: &WorkItem, slot: Slot, trigger: Trigger) {
        let Some(no) = self.settle_in(facts, item, slot) else { return };
        let field = Field { items: &facts.items, routes: &self.routes, classes: &self.classes };
        let place = self.queues.insert(no, self.clock, slot, field);
        self.places.set(slot, no, place);
        if self.queues.signature(no).n_free > 0 {
            self.fresh_items.insert(item.id, trigger);
            self.queues.freshen(no, None);
        }
    }

    /// Notes everything about an item but its place among those that wait with it. Returns the
    /// signature that it waits in.
    fn settle_in(&mut self, facts: &Facts, item: &WorkItem, slot: Slot) -> Option<SignatureNo> {
        let mut wake = timers::next(&self.routes, item).map_or(NEVER, |(at, _)| at);
        let mut waits_in = None;
        if item.waiting()
            && let Some((no, until)) = self.choose(facts, item, slot)
        {
            waits_in = Some(no);
            wake = wake.min(until);
            if let Some(agent) = &item.preferred_agent {
                self.preferring.insert((agent.clone(), slot));
                self.preferred.insert(slot, agent.clone());
            }
        }
        if let Some(agent) = item.occupies() {
            self.seat(agent, item, slot);
        }
        if let Some(workbin) = item.workbin() {
            self.workbins.put(item.id, workbin);
        }
        self.set_wake(facts, slot, wake);
        waits_in
    }

    /// The signature that a waiting item belongs in, and when that may change.
    fn choose(
        &mut self,
        facts: &Facts,
        item: &WorkItem,
        slot: Slot,
    ) -> Option<(SignatureNo, Timestamp)> {
        let process = self.routes.queue(item)?;
        let ladder = Ladder::new(&self.routes, item, process, facts.prefers_known(item));
        let rung = ladder.at(self.clock);
        let ended = item.exclusions.iter().map(|excluded| excluded.until);
        let ended = ended.filter(|until| *until > self.clock).min();
        let until = rung.ends_at.unwrap_or(NEVER).min(ended.unwrap_or(NEVER));
        let class = match facts.items.glance(slot) {
            Glance::Plain { class, .. } => class,
            Glance::Rich(_) => None,
        };
        if let Some((no, class)) = class {
            self.classes.know(no, class, &self.routes);
            if let Some(signature) = self.classes.signature(no, rung.stage) {
                return Some((signature, until));
            }
        }
        let key = Key {
            requirement: ladder.requirement(rung.stage),
            media: self.staff.media_no(media_type(item)),
            queue: self.routes.queue_name(item).cloned().unwrap_or_default(),
            clock: self.routes.clock_of(item),
            flow: self.routes.flow_of(item),
        };
        let signature = self.signature(facts, key);
        if let Some((no, _)) = class {
            self.classes.note_signature(no, rung.stage, signature);
        }
        Some((signature, until))
    }

    /// Notes an item with its agent.
    fn seat(&mut self, agent: &str, item: &WorkItem, slot: Slot) {
        if let Some(no) = self.agent_no(agent) {
            let media = self.staff.media_no(media_type(item));
            self.staff.desk_mut(no).seat(item.id, media);
            self.seats.insert(slot, (no, media));
        }
    }

    /// Takes an item out of all indexes; returns the desk it stood at. Its instant to be looked
    /// at stays, until another one is set.
    fn remove(&mut self, facts: &Facts, id: ItemId, slot: Slot) -> Option<(AgentNo, MediaNo)> {
        self.workbins.remove(id);
        if let Some((no, place)) = self.places.take(slot) {
            let field = Field { items: &facts.items, routes: &self.routes, classes: &self.classes };
            if let Some(moved) = self.queues.remove(no, self.clock, place, field) {
                self.places.set(moved, no, place);
            }
            self.fresh_items.remove(&id);
        }
        if let Some(agent) = self.preferred.remove(&slot) {
            self.preferring.remove(&(agent, slot));
        }
        let seat = self.seats.remove(&slot);
        if let Some((no, media)) = seat {
            self.staff.desk_mut(no).unseat(id, media);
        }
        seat
    }

    fn set_wake(&mut self, facts: &Facts, slot: Slot, at: Timestamp) {
        self.wakes.set(slot, at, |slot| facts.items.id(slot));
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
        let Some(agent) = facts.agents.get(id) else { return };
        let profile = &agent.profile;
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
            self.agent_wakes.set(id, None);
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
        self.refresh_agent_wake(facts, agent, no);
    }

    fn refresh_agent_wake(&mut self, facts: &Facts, agent: &Agent, no: AgentNo) {
        let spec = &self.routes.spec;
        let mut desk = self.desk(no).items.iter().filter_map(|item| facts.items.get(*item));
        let working = !agent.presence.there()
            && desk.any(|item| matches!(item.assignment, Assignment::Assigned { .. }));
        let absence = timers::absence(spec, agent, working);
        let ramp = capacity::ramping_until(spec, agent, self.clock);
        self.agent_wakes.set(&agent.profile.id, absence.into_iter().chain(ramp).min());
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
        let same = self.preferring.range((agent.clone(), 0)..).take_while(|(id, _)| id == agent);
        let slots: Vec<Slot> = same.map(|(_, slot)| *slot).collect();
        for slot in slots {
            self.refresh_item(facts, facts.items.id(slot), slot);
        }
    }
}

/// The media type of an item; the default one before it is classified.
pub(crate) fn media_type(item: &WorkItem) -> &str {
    item.class
        .as_ref()
        .map_or(gantry_model::agent::DEFAULT_MEDIA_TYPE, |class| class.media_type.as_str())
}
