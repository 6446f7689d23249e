//! Indexes: what can be derived from the facts and the time. Never stored, never compared with
//! another node's; [`crate::State::from_facts`] makes them anew.
//!
//! Waiting items stand in one tournament per signature: see [`queues`]. Agents are numbered and
//! classed, and each signature keeps the set of agents who fit: see [`staff`].

mod crew;
mod entrants;
mod minima;
mod places;
mod prefill;
mod queues;
mod render;
mod staff;
mod top;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::FixedState;
use gantry_model::decision::Trigger;
use gantry_model::name::{AgentId, Name};
use gantry_model::spec::RoutingSpec;
use gantry_model::{ItemId, Timestamp, WorkItem};

use crate::agents::AgentNo;
use crate::aside::{AgentWakes, Workbins};
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
use prefill::Prefill;
use queues::Key;
pub(crate) use queues::{Queues, Signature};
use staff::MediaNo;
pub(crate) use staff::{Desk, Staff};

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
    preferred: HashMap<Slot, AgentId, FixedState>,
    /// Items that take an agent's capacity.
    seats: HashMap<Slot, (AgentNo, MediaNo), FixedState>,
    /// What flows have had; kept when all else is built anew.
    pub(crate) flows: Flows,
    /// Items that may newly have found an agent.
    fresh_items: BTreeMap<ItemId, Trigger>,
    pub(crate) workbins: Workbins,
    pub(crate) prefill: Prefill,
    pub(crate) agent_wakes: AgentWakes,
}

impl Index {
    /// Builds all indexes at an instant. Everybody free counts as newly free.
    /// `before`: what was ready of the config version before.
    pub(crate) fn build(facts: &Facts, clock: Timestamp, before: &Routes) -> Self {
        let routes = Routes::new(facts.config.as_ref(), before);
        let flows = Flows::new(routes.spec.fairness.as_ref());
        let mut index = Self { clock, routes, flows, ..Self::default() };
        for no in facts.agents.in_order() {
            index.put_agent(facts, no, Trigger::TimePassed);
        }
        index.insert_all(facts);
        for no in facts.agents.in_order() {
            index.refresh_room(facts, no, Trigger::TimePassed);
        }
        index
    }

    /// Takes over a config version. Everybody free counts as newly free, unless only curves
    /// differ: then nobody is nearer to anything than before.
    pub(crate) fn activate(&mut self, facts: &Facts) {
        let spec = facts.config.as_ref().map(|(_, spec)| spec);
        if spec.is_some_and(|spec| differs_in_curves_only(&self.routes.spec, spec)) {
            self.routes = Routes::new(facts.config.as_ref(), &self.routes);
            self.classes.recurve(&self.routes);
            let Self { classes, routes, queues, .. } = self;
            queues.play_all(self.clock, Field { items: &facts.items, routes, classes });
            return;
        }
        let built = Self::build(facts, self.clock, &self.routes);
        let before = std::mem::replace(self, built);
        self.flows.inherit(before.flows);
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
            if let Some(no) = facts.agents.no(&agent) {
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

    /// Brings the indexes up to date with an agent who changed, came or was removed, and who is
    /// kept under a number, or was.
    pub(crate) fn refresh_agent(&mut self, facts: &Facts, agent: &AgentId, no: AgentNo) {
        let known = self.staff.knows(no);
        let exists = facts.agents.no(agent) == Some(no);
        if exists {
            self.put_agent(facts, no, Trigger::AgentFreed);
        } else if known {
            self.withdraw(no);
            self.agent_wakes.set(agent, None);
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

    /// What made an item fresh, if it may newly have found an agent.
    pub(crate) fn fresh_item(&self, item: ItemId) -> Option<Trigger> {
        self.fresh_items.get(&item).copied()
    }

    /// Says that everything fresh has been looked at and nothing more can be matched.
    pub(crate) fn settle(&mut self) {
        self.fresh_items.clear();
        self.prefill.settle();
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
            self.prefill.came(no);
        }
    }

    fn insert(&mut self, facts: &Facts, item: &WorkItem, slot: Slot, trigger: Trigger) {
        let Some(no) = self.settle_in(facts, item, slot) else { return };
        let field = Field { items: &facts.items, routes: &self.routes, classes: &self.classes };
        let place = self.queues.insert(no, self.clock, slot, field);
        self.places.set(slot, no, place);
        self.prefill.came(no);
        if self.queues.n_free(no) > 0 {
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
            self.seat(facts, agent, item, slot);
        }
        if let Some(workbin) = item.workbin() {
            self.workbins.put(item.id, workbin);
            self.lay(facts, item, waits_in);
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
            prefilled: item.prefilled().is_some(),
        };
        let signature = self.signature(facts, key);
        if let Some((no, _)) = class {
            self.classes.note_signature(no, rung.stage, signature);
        }
        Some((signature, until))
    }

    /// Notes an item with its agent.
    fn seat(&mut self, facts: &Facts, agent: &str, item: &WorkItem, slot: Slot) {
        if let Some(no) = facts.agents.no(agent) {
            let media = self.staff.media_no(media_type(item));
            self.staff.desk_mut(no).seat(item.id, media);
            self.seats.insert(slot, (no, media));
        }
    }

    /// Takes an item out of all indexes; returns the desk it stood at. Its instant to be looked
    /// at stays, until another one is set.
    fn remove(&mut self, facts: &Facts, id: ItemId, slot: Slot) -> Option<(AgentNo, MediaNo)> {
        self.workbins.remove(id);
        self.take_up(facts, id);
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
            let known = facts.agents.no(&agent).and_then(|no| Some((no, facts.agents.at(no)?)));
            if let Some((agent_no, agent)) = known {
                self.fit_by_name(no, agent_no, &agent.profile);
            }
        }
        let fits = &self.queues.signature(no).fits;
        let n_ready = fits.count_and(&self.staff.ready) as u32;
        let n_free = fits.count_and(&self.staff.free[media]) as u32;
        self.queues.set_counts(no, n_ready, n_free);
        no
    }

    fn refresh_preferring(&mut self, facts: &Facts, agent: &AgentId) {
        let same = self.preferring.range((agent.clone(), 0)..).take_while(|(id, _)| id == agent);
        let slots: Vec<Slot> = same.map(|(_, slot)| *slot).collect();
        for slot in slots {
            self.refresh_item(facts, facts.items.id(slot), slot);
        }
    }
}

/// `true` if only points differ in two config versions: whatever else an index depends on, the
/// clock of a curve among it, is the same.
fn differs_in_curves_only(before: &RoutingSpec, after: &RoutingSpec) -> bool {
    let (old, new) = (&before.priorities, &after.priorities);
    let same_clocks = old.len() == new.len()
        && old.iter().zip(new).all(|((a, old), (b, new))| a == b && old.calendar == new.calendar);
    if !same_clocks {
        return false;
    }
    let priorities = old.clone();
    RoutingSpec { priorities, ..after.clone() } == *before
}

/// The media type of an item; the default one before it is classified.
pub(crate) fn media_type(item: &WorkItem) -> &str {
    item.class
        .as_ref()
        .map_or(gantry_model::agent::DEFAULT_MEDIA_TYPE, |class| class.media_type.as_str())
}
