//! Prefilled workbins: what an agent would be offered next lies in their own workbin in advance,
//! where they see it and may pull it.
//!
//! It reserves nothing. What lies there still waits at its priority, so whoever who fits has room
//! first is offered it, the owner or another, and no item waits for an agent who is busy while
//! another is free. Hence no offer is ever found worse for what lies in workbins.

use gantry_model::{Event, Timestamp, Workbin};

use crate::agents::AgentNo;
use crate::index::Signature;
use crate::items::Slot;
use crate::standing::Standing;
use crate::state::State;

/// The next item that is laid in a workbin: of all that nobody can be offered and that does not
/// lie in a workbin yet the one that ranks highest, with the agent who stands first among those
/// who are ready, fit it and have space. The state has no offer to make.
pub(crate) fn next(state: &State, now: Timestamp) -> Option<Event> {
    let (index, field) = (&state.index, state.index.field(&state.facts));
    let signatures = index.prefill.fresh().map(|no| index.queues.signature(no));
    let open = signatures.filter(|signature| {
        !signature.key.prefilled
            && !signature.is_empty()
            && takers(state, signature).next().is_some()
    });
    let best = open.filter_map(|signature| {
        let best = signature.best(now, field, |slot| {
            takers(state, signature).any(|no| asked(state, slot, no, now))
        });
        best.map(|(rank, slot)| {
            (rank.less(index.flows.handicap(signature.key.flow)), slot, signature)
        })
    });
    let (rank, slot, signature) = best.max_by_key(|(rank, ..)| *rank)?;
    let item = state.item(rank.item.0)?;
    let order = index.routes.queue(&item)?.order;
    let takers = takers(state, signature).filter(|no| asked(state, slot, *no, now));
    let standing = takers.filter_map(|no| {
        let agent = state.facts.agents.at(no)?;
        Some(Standing::new(order, agent, index.level_sum(signature, no), || state.load(agent)))
    });
    let agent = standing.min()?.agent().clone();
    Some(Event::Parked {
        item: item.id,
        agent: None,
        workbin: Workbin::Agent(agent),
        until: None,
        note: None,
        prefilled: true,
    })
}

/// Agents in whose workbins an item of a signature may be laid.
fn takers<'a>(state: &'a State, signature: &'a Signature) -> impl Iterator<Item = AgentNo> + 'a {
    let fit = signature.fits.iter_and(state.index.prefill.space());
    fit.filter(|no| state.index.may_have(&state.facts, *no, signature.no))
}

fn asked(state: &State, slot: Slot, no: AgentNo, now: Timestamp) -> bool {
    state.facts.agents.at(no).is_some_and(|agent| state.asked(slot, agent, now))
}
