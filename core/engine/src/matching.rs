//! Matching: which item is offered to whom, and why.
//!
//! The rule: of all waiting items that a free agent fits, the one that ranks highest, less the
//! handicap of its flow, is offered to the agent who stands first. When the state was settled
//! before, a new pair has at least one side that is fresh, so only signatures with a fresh item or
//! a fresh agent can hold it.

use std::collections::BTreeMap;

use gantry_model::decision::{
    Candidate, Explanation, Load, NEAREST_MAX, Reason, ReasonCount, Stage, TieBreak, Trigger,
};
use gantry_model::name::AgentId;
use gantry_model::spec::ProcessSpec;
use gantry_model::{Event, ItemId, Timestamp, WorkItem};

use crate::agents::AgentNo;
use crate::index::{Signature, media_type};
use crate::ladder::Rung;
use crate::standing::Standing;
use crate::state::State;
use crate::tournament::Rank;

/// Agents who fit but are busy or away are named in an explanation only if so few fit.
const NEAREST_SCAN_MAX: usize = 64;
/// An explanation names losing agents only as far as their ids stay within this, together: with
/// the winner's id and all figures it stays within 1 KiB.
const NAMES_BYTES_MAX: usize = 512;

/// The next offer at `now`, if any item and agent fit.
pub(crate) fn next_offer(state: &State, now: Timestamp) -> Option<Event> {
    if !state.index.anybody_free() {
        return None;
    }
    let mut best: Option<Rank> = None;
    let flows = &state.index.flows;
    let read = |clock| state.index.routes.clock(clock).read(now);
    for (no, bound) in state.index.queues.contenders(now, flows, read) {
        if best.is_some_and(|rank| bound.is_below(&rank)) {
            continue;
        }
        let signature = state.index.queues.signature(no);
        let rank = best_in(state, now, signature);
        best = best.max(rank.map(|rank| rank.less(flows.handicap(signature.key.flow))));
    }
    offer(state, now, best?.item.0)
}

/// The best item of a signature that somebody free may have.
fn best_in(state: &State, now: Timestamp, signature: &Signature) -> Option<Rank> {
    let field = state.index.field(&state.facts);
    let best = signature.best(now, field, |slot| {
        state.facts.items.special(slot).is_none_or(|item| {
            item.exclusions.is_empty() || {
                let mut free = signature.fits.iter_and(state.index.free_for(signature));
                free.any(|no| !excluded_no(state, item, no, now))
            }
        })
    });
    best.map(|(rank, _)| rank)
}

/// `true` while an agent who declined the item or let it ring is not asked again.
pub(crate) fn excluded(item: &WorkItem, agent: &str, now: Timestamp) -> bool {
    let mut exclusions = item.exclusions.iter();
    exclusions.any(|excluded| excluded.agent == *agent && excluded.until > now)
}

fn excluded_no(state: &State, item: &WorkItem, no: AgentNo, now: Timestamp) -> bool {
    let agent = state.facts.agents.at(no);
    agent.is_some_and(|agent| excluded(item, &agent.profile.id, now))
}

fn offer(state: &State, now: Timestamp, id: ItemId) -> Option<Event> {
    let item = &state.item(id)?;
    let queue = state.index.routes.queue(item)?;
    let signature = state.signature_of(id)?;
    // Several triggers may lead to one item; the same one is named however they came about.
    let triggers = [state.index.fresh_item(id), state.index.queues.freed_by(signature.no)];
    let trigger = triggers.into_iter().flatten().max_by_key(|trigger| *trigger as u8)?;
    let field = Field::new(state, now, item, queue, signature);
    let (no, winner) = field.standing.first()?;
    let rung = state.rung(item, queue, now);
    Some(Event::Offered {
        item: id,
        agent: winner.agent().clone(),
        epoch: item.epoch + 1,
        expires_at: now.plus(queue.offer_timeout),
        explanation: Box::new(field.explain(*no, rung, trigger)),
    })
}

/// The agents around one item.
struct Field<'a> {
    state: &'a State,
    now: Timestamp,
    item: &'a WorkItem,
    queue: &'a ProcessSpec,
    signature: &'a Signature,
    /// Those who could have it now; the first [`NEAREST_MAX`] and the winner, best first.
    standing: Vec<(AgentNo, Standing<'a>)>,
    /// How many could have it now.
    n_standing: usize,
    /// Those who fit and are free, but declined it a short time ago.
    excluded: Vec<AgentNo>,
}

impl<'a> Field<'a> {
    fn new(
        state: &'a State,
        now: Timestamp,
        item: &'a WorkItem,
        queue: &'a ProcessSpec,
        signature: &'a Signature,
    ) -> Self {
        let mut field = Self {
            state,
            now,
            item,
            queue,
            signature,
            standing: Vec::with_capacity(NEAREST_MAX + 2),
            n_standing: 0,
            excluded: Vec::new(),
        };
        for no in signature.fits.iter_and(state.index.free_for(signature)) {
            let Some(agent) = state.facts.agents.at(no) else { continue };
            if excluded(item, &agent.profile.id, now) {
                field.excluded.push(no);
            } else {
                field.n_standing += 1;
                if let Some(standing) = field.standing_of(no) {
                    field.rank(no, standing);
                }
            }
        }
        field
    }

    fn rank(&mut self, no: AgentNo, standing: Standing<'a>) {
        let at = self.standing.partition_point(|(_, other)| *other < standing);
        if at <= NEAREST_MAX {
            self.standing.insert(at, (no, standing));
            self.standing.truncate(NEAREST_MAX + 1);
        }
    }

    fn tie_break(&self) -> TieBreak {
        match self.standing.as_slice() {
            [(_, first), (_, second), ..] => first.tie_break(second),
            _ => TieBreak::None,
        }
    }

    fn explain(&self, winner: AgentNo, rung: Rung, trigger: Trigger) -> Explanation {
        let (priority, next_change_at) = self.state.priority(self.now, self.item);
        let index = &self.state.index;
        let could_have = index.reach(winner).map(|no| index.queues.len(no));
        let class = self.item.class.as_ref().filter(|_| self.item.priority.is_none());
        Explanation {
            version: self.state.config_version(),
            revision: self.item.revision,
            trigger,
            priority,
            next_change_at: [next_change_at, rung.ends_at].into_iter().flatten().min(),
            stage: rung.stage,
            items_considered: could_have.sum(),
            winner: self.named(winner, None),
            nearest: within_bounds(self.nearest()),
            counts: self.counts(rung.stage),
            tie_break: self.tie_break(),
            order: self.queue.order,
            queue: self.item.queue.clone(),
            schema: class.map(|class| class.schema.clone()),
            boost: self.item.boost,
            stage_cause: rung.cause,
            stage_since: rung.since,
            flow: self.state.flow(self.item),
        }
    }

    fn named(&self, no: AgentNo, failed: Option<Reason>) -> Candidate {
        let agent = self.state.facts.agents.at(no);
        Candidate {
            agent: agent.map_or_else(AgentId::default, |agent| agent.profile.id.clone()),
            level_sum: self.state.index.level_sum(self.signature, no),
            idle_since: agent.map_or(Timestamp::default(), |agent| agent.idle_since),
            load: agent.map_or(Load::default(), |agent| self.state.load(agent)),
            failed,
        }
    }

    /// The agents who came nearest: who stood behind, then who declined, then who was busy or
    /// away.
    fn nearest(&self) -> Vec<Candidate> {
        let behind = self.standing.iter().skip(1).map(|(no, _)| *no);
        let mut found: Vec<_> = behind.map(|no| self.named(no, None)).collect();
        self.add_failed(&mut found, self.excluded.iter().copied(), |_| Reason::Excluded);
        if self.few() {
            self.add_failed(&mut found, self.busy(), |no| self.obstacle(no));
            let ready = self.state.index.ready();
            let away = self.signature.fits.iter().filter(|no| !ready.contains(*no));
            self.add_failed(&mut found, away, |_| Reason::NotReady);
        }
        found
    }

    /// `true` if so few agents fit that each of them can be looked at.
    fn few(&self) -> bool {
        self.signature.fits.len() <= NEAREST_SCAN_MAX
    }

    /// Those who fit and are ready, but cannot take it.
    fn busy(&self) -> impl Iterator<Item = AgentNo> {
        let index = &self.state.index;
        let free = index.free_for(self.signature);
        self.signature.fits.iter_and(index.ready()).filter(|no| !free.contains(*no))
    }

    /// Why an agent who fits and is ready cannot take it.
    fn obstacle(&self, no: AgentNo) -> Reason {
        let noted = self.state.index.desk(no).obstacle(self.signature.key.media);
        // None is noted of a media type that the agent saw nothing of yet.
        let work_out = || {
            let agent = self.state.facts.agents.at(no)?;
            self.state.no_room(agent, media_type(self.item), self.now)
        };
        noted.cloned().or_else(work_out).unwrap_or(Reason::NoCapacity)
    }

    /// Adds the best of those who failed a test, as far as there is room.
    fn add_failed(
        &self,
        found: &mut Vec<Candidate>,
        agents: impl Iterator<Item = AgentNo>,
        reason: impl Fn(AgentNo) -> Reason,
    ) {
        let room = NEAREST_MAX - found.len();
        if room == 0 {
            return;
        }
        let standing = |no| Some((self.standing_of(no)?, no));
        let mut failed: Vec<_> = agents.filter_map(standing).collect();
        failed.sort_unstable();
        let nearest = failed.into_iter().take(room);
        found.extend(nearest.map(|(_, no)| self.named(no, Some(reason(no)))));
    }

    fn standing_of(&self, no: AgentNo) -> Option<Standing<'a>> {
        let agent = self.state.facts.agents.at(no)?;
        let level_sum = self.state.index.level_sum(self.signature, no);
        Some(Standing::new(self.queue.order, agent, level_sum, || self.state.load(agent)))
    }

    /// How many agents failed each test first, in the order of the tests.
    fn counts(&self, stage: Stage) -> Vec<ReasonCount> {
        let (all, fits) = (self.state.agents().len(), self.signature.fits.len());
        let queues = &self.state.index.queues;
        let fit_ready = queues.n_ready(self.signature.no) as usize;
        let fit_free = queues.n_free(self.signature.no) as usize;
        let mut counts = BTreeMap::from([
            (barred(self.item, stage), all - fits),
            (Reason::NotReady, fits - fit_ready),
            (Reason::Excluded, self.excluded.len()),
            (Reason::StoodBehind, self.n_standing.saturating_sub(1)),
        ]);
        if self.few() {
            for reason in self.busy().map(|no| self.obstacle(no)) {
                // The instant at which a ramp-up lets go differs from agent to agent.
                *counts.entry(reason.kind()).or_default() += 1;
            }
        } else {
            counts.insert(Reason::NoCapacity, fit_ready - fit_free);
        }
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        counts.map(|(reason, count)| ReasonCount { reason, count: count as u32 }).collect()
    }
}

/// What it means not to fit: the first test says most.
pub(crate) const fn barred(item: &WorkItem, stage: Stage) -> Reason {
    match (&item.target, &item.required_agent, stage) {
        (Some(_), ..) | (None, Some(_), _) => Reason::NotRequired,
        (None, None, Stage::Preferred) => Reason::NotPreferred,
        (None, None, Stage::Target(_)) => Reason::RequirementNotMet,
    }
}

/// An explanation is stored with every offer, so it must not grow with the names of agents.
fn within_bounds(mut nearest: Vec<Candidate>) -> Vec<Candidate> {
    let mut bytes = 0;
    nearest.retain(|candidate| {
        bytes += candidate.agent.len();
        bytes <= NAMES_BYTES_MAX
    });
    nearest
}
