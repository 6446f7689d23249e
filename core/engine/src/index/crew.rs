//! Agents in the indexes: what they fit, whether they are ready and have room, and who is told.

use gantry_model::decision::{Reason, Trigger};
use gantry_model::{Agent, AgentProfile, Assignment, Presence};

use super::queues::Key;
use super::staff::{ClassNo, MediaNo, NO_CLASS};
use super::{Desk, Index, Signature, SignatureNo};
use crate::agents::AgentNo;
use crate::bits::BitSet;
use crate::capacity::{self, Carried, Limits};
use crate::facts::Facts;
use crate::timers;

impl Index {
    /// The signatures that an agent fits and has room for.
    pub(crate) fn reach(&self, no: AgentNo) -> impl Iterator<Item = SignatureNo> + '_ {
        let free = self.staff.free.iter().enumerate().filter(move |(_, free)| free.contains(no));
        free.flat_map(move |(media, _)| self.staff.fitting(no, media))
    }

    pub(crate) fn desk(&self, no: AgentNo) -> &Desk {
        self.staff.desk(no)
    }

    pub(crate) const fn ready(&self) -> &BitSet {
        &self.staff.ready
    }

    /// Agents who are ready and have room for what a signature asks.
    pub(crate) fn free_for(&self, signature: &Signature) -> &BitSet {
        &self.staff.free[signature.key.media]
    }

    pub(crate) fn anybody_free(&self) -> bool {
        self.staff.anybody_free()
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

    /// What an agent carries.
    pub(crate) fn carried<'a>(&'a self, no: AgentNo, agent: &'a Agent) -> Carried<'a> {
        let (media, at_desk) = (self.staff.media(), self.desk(no).loads());
        Carried { media, at_desk, elsewhere: &agent.elsewhere }
    }

    pub(super) fn put_agent(&mut self, facts: &Facts, no: AgentNo, trigger: Trigger) {
        let Some(agent) = facts.agents.at(no) else { return };
        let profile = &agent.profile;
        for media in Limits::of(&self.routes.spec, profile).media() {
            self.staff.media_no(media);
        }
        if let Some((class, fresh)) = self.staff.classify(no, profile) {
            self.withdraw(no);
            if fresh {
                self.introduce(class);
            }
            self.join(no, class, profile);
        }
        self.refresh_room(facts, no, trigger);
        self.review_laid(facts, no);
        // Whoever was free before may be free for something else now.
        for media in 0..self.staff.free.len() {
            if self.staff.free[media].contains(no) {
                for signature in self.staff.fitting(no, media) {
                    self.queues.freshen(signature, Some(trigger));
                }
            }
        }
    }

    /// Works out which signatures a new class fits.
    fn introduce(&mut self, class: ClassNo) {
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
    fn join(&mut self, no: AgentNo, class: ClassNo, profile: &AgentProfile) {
        self.staff.desk_mut(no).class = class;
        let class = self.staff.class_mut(class);
        class.members.push(no);
        for signature in class.reach.iter().flatten() {
            self.queues.signature_mut(*signature).fits.put(no, true);
        }
        for signature in self.queues.naming(&profile.id) {
            self.fit_by_name(signature, no, profile);
        }
    }

    /// Notes whether an agent fits a signature that names them.
    pub(super) fn fit_by_name(
        &mut self,
        signature: SignatureNo,
        no: AgentNo,
        profile: &AgentProfile,
    ) {
        let Key { requirement, media, queue, .. } = &self.queues.signature(signature).key;
        let fits = requirement.fits(profile) && !profile.inactive_queues.contains(queue);
        let by_class = self.staff.class_fits(self.desk(no).class, requirement, queue);
        let (media, desk) = (*media, self.staff.desk_mut(no));
        match (fits, by_class) {
            (true, false) => desk.named.push((media, signature)),
            (false, true) => desk.barred.push(signature),
            (true, true) | (false, false) => {}
        }
        self.queues.signature_mut(signature).fits.put(no, fits);
    }

    /// Takes an agent out of everything that depends on the class.
    pub(super) fn withdraw(&mut self, no: AgentNo) {
        let class = self.desk(no).class;
        if class == NO_CLASS {
            return;
        }
        self.set_ready(no, false);
        self.prefill.no_space(no);
        for media in 0..self.staff.free.len() {
            self.set_free(no, media, None);
        }
        let left = self.staff.leave_class(no);
        for signature in left.signatures {
            self.queues.signature_mut(signature).fits.put(no, false);
        }
        for signature in left.forgotten {
            self.queues.signature_mut(signature).sums.retain(|(other, _)| *other != class);
        }
    }

    /// Computes anew whether an agent is ready and for which media there is room. Whoever got
    /// room is looked at because of `trigger`.
    pub(super) fn refresh_room(&mut self, facts: &Facts, no: AgentNo, trigger: Trigger) {
        let Some(agent) = facts.agents.at(no) else { return };
        let ready = agent.presence == Presence::Ready;
        self.set_ready(no, ready);
        let ramping = capacity::ramping_until(&self.routes.spec, agent, self.clock);
        for media in 0..self.staff.free.len() {
            let limits = Limits::of(&self.routes.spec, &agent.profile);
            let obstacle = limits.obstacle(&self.carried(no, agent), &self.staff.media()[media]);
            let obstacle = obstacle.or(ramping.map(|until| Reason::RampUp { until }));
            let room = ready && obstacle.is_none();
            self.staff.desk_mut(no).note_obstacle(media, obstacle);
            self.set_free(no, media, room.then_some(trigger));
        }
        let mut desk = self.desk(no).items.iter().filter_map(|item| facts.items.get(*item));
        let working = !agent.presence.there()
            && desk.any(|item| matches!(item.assignment, Assignment::Assigned { .. }));
        let absence = timers::absence(&self.routes.spec, agent, working);
        let wake = absence.into_iter().chain(ramping).min();
        self.agent_wakes.set(&agent.profile.id, wake);
        self.refresh_space(facts, no);
    }

    fn set_ready(&mut self, no: AgentNo, ready: bool) {
        if self.staff.ready.put(no, ready) {
            for media in 0..self.staff.free.len() {
                for signature in self.staff.fitting(no, media) {
                    self.queues.count_ready(signature, ready);
                }
            }
        }
    }

    /// Notes whether an agent is free for a media type, and what freed them.
    fn set_free(&mut self, no: AgentNo, media: MediaNo, freed_by: Option<Trigger>) {
        if self.staff.free[media].put(no, freed_by.is_some()) {
            for signature in self.staff.fitting(no, media) {
                self.queues.count_free(signature, freed_by);
            }
        }
    }
}
