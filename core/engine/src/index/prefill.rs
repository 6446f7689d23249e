//! Workbins filled in advance: who has space in theirs, what may newly be laid there, and what has
//! to leave.

use std::collections::{BTreeMap, BTreeSet};

use gantry_model::{ItemId, WorkItem};

use super::{Index, SignatureNo};
use crate::agents::AgentNo;
use crate::bits::BitSet;
use crate::capacity::Limits;
use crate::facts::Facts;

/// What lies in workbins in advance, and could.
#[derive(Debug, Default)]
pub(crate) struct Prefill {
    /// Agents who are ready and have fewer items in advance than they may.
    space: BitSet,
    /// Signatures in which an item and such an agent may newly have found each other.
    fresh: BTreeSet<SignatureNo>,
    /// What lies in advance, by the agent whose workbin it is.
    laid: BTreeSet<(AgentNo, ItemId)>,
    /// The same by item.
    owners: BTreeMap<ItemId, AgentNo>,
    /// What lies with an agent who can have it no more.
    stray: BTreeSet<ItemId>,
}

impl Prefill {
    pub(crate) const fn space(&self) -> &BitSet {
        &self.space
    }

    /// Signatures that have to be looked at, in the order of their numbers.
    pub(crate) fn fresh(&self) -> impl Iterator<Item = SignatureNo> + '_ {
        self.fresh.iter().copied()
    }

    /// The first item that has to leave its workbin.
    pub(crate) fn stray(&self) -> Option<ItemId> {
        self.stray.first().copied()
    }

    /// Notes that an item came in.
    pub(super) fn came(&mut self, signature: SignatureNo) {
        if !self.space.is_empty() {
            self.fresh.insert(signature);
        }
    }

    pub(super) fn settle(&mut self) {
        self.fresh.clear();
    }

    pub(super) fn no_space(&mut self, agent: AgentNo) {
        self.space.put(agent, false);
    }

    fn of(&self, agent: AgentNo) -> Vec<ItemId> {
        let range = (agent, ItemId::from_u64(0))..=(agent, ItemId::from_u64(u64::MAX));
        self.laid.range(range).map(|(_, item)| *item).collect()
    }
}

impl Index {
    /// Notes an item that lies in a workbin, if it does so in advance.
    pub(super) fn lay(&mut self, facts: &Facts, item: &WorkItem, waits_in: Option<SignatureNo>) {
        let Some(agent) = item.prefilled() else { return };
        let Some(no) = facts.agents.no(agent) else { return };
        self.prefill.laid.insert((no, item.id));
        self.prefill.owners.insert(item.id, no);
        if waits_in.is_some_and(|signature| !self.may_have(facts, no, signature)) {
            self.prefill.stray.insert(item.id);
        }
        self.refresh_space(facts, no);
    }

    /// Forgets an item that may have lain in a workbin in advance.
    pub(super) fn take_up(&mut self, facts: &Facts, item: ItemId) {
        if let Some(no) = self.prefill.owners.remove(&item) {
            self.prefill.laid.remove(&(no, item));
            self.prefill.stray.remove(&item);
            self.refresh_space(facts, no);
        }
    }

    /// Computes anew whether an agent's workbin takes more in advance, or has to give back.
    pub(super) fn refresh_space(&mut self, facts: &Facts, no: AgentNo) {
        let agent = facts.agents.at(no);
        let limits = agent.map(|agent| Limits::of(&self.routes.spec, &agent.profile));
        let may = limits.map_or(0, |limits| limits.prefill());
        let laid = self.prefill.of(no);
        let ready = self.staff.ready.contains(no);
        let space = ready && laid.len() < may;
        if !ready || laid.len() > may {
            self.prefill.stray.extend(laid);
        }
        if self.prefill.space.put(no, space) && space {
            self.seek(no);
        }
    }

    /// An agent's profile changed: other items may lie in the workbin, and some may not.
    pub(super) fn review_laid(&mut self, facts: &Facts, no: AgentNo) {
        for item in self.prefill.of(no) {
            let slot = facts.items.slot(item);
            let signature = slot.and_then(|slot| self.signature_of(slot));
            let signature = signature.map(|signature| signature.no);
            if signature.is_some_and(|signature| !self.may_have(facts, no, signature)) {
                self.prefill.stray.insert(item);
            }
        }
        if self.prefill.space.contains(no) {
            self.seek(no);
        }
    }

    /// Notes that an agent's workbin may take what waits.
    fn seek(&mut self, no: AgentNo) {
        for media in 0..self.staff.media().len() {
            self.prefill.fresh.extend(self.staff.fitting(no, media));
        }
    }

    /// `true` if an agent fits a signature and takes its media type at all.
    pub(crate) fn may_have(&self, facts: &Facts, no: AgentNo, signature: SignatureNo) -> bool {
        let signature = self.queues.signature(signature);
        let takes = |agent: &gantry_model::Agent| {
            Limits::of(&self.routes.spec, &agent.profile).takes(self.media(signature))
        };
        signature.fits.contains(no) && facts.agents.at(no).is_some_and(takes)
    }
}
