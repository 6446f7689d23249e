//! What an agent may choose from the queue, where the process lets agents choose.

use gantry_model::priority::Priority;
use gantry_model::{Timestamp, WorkItem};

use crate::state::State;

impl State {
    /// Waiting items that an agent fits, of queues that let agents choose, the most urgent at
    /// `now` first, at most `count`. What lies in a workbin is pulled from there. Costs a look at
    /// what the agent fits, and at `count` items of each of it.
    pub fn choices(&self, now: Timestamp, agent: &str, count: usize) -> Vec<(WorkItem, Priority)> {
        let Some(no) = self.facts.agents.no(agent) else {
            return Vec::new();
        };
        let (processes, field) = (&self.routing().processes, self.index.field(&self.facts));
        let chosen = |queue: &str| processes.get(queue).is_some_and(|process| process.choose);
        let fitting = self.index.waiting().filter(|signature| {
            chosen(signature.key.queue.as_str()) && signature.fits.contains(no)
        });
        let free = |id| self.item(id).is_some_and(|item| item.workbin().is_none());
        let mut ranks: Vec<_> = fitting
            .flat_map(|signature| {
                let ranks = signature.descending(now, &field).map(|(rank, _)| rank);
                ranks.filter(|rank| free(rank.item.0)).take(count)
            })
            .collect();
        ranks.sort_by(|one, other| other.cmp(one));
        ranks.truncate(count);
        let item = |id| self.item(id);
        ranks.into_iter().filter_map(|rank| Some((item(rank.item.0)?, rank.priority))).collect()
    }
}
