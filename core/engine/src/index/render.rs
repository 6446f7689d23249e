//! The indexes as text, to compare them with indexes built anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{Facts, Index, Key};

impl Index {
    /// The indexes as text that does not depend on how they came about.
    pub(crate) fn render(&self, facts: &Facts) -> String {
        let mut text = String::new();
        let media = self.staff.media();
        for slot in facts.items.in_order() {
            let (id, wake) = (facts.items.id(slot), self.wakes.get(slot));
            let key = self.signature_of(slot).map(|signature| &signature.key);
            let key = key.map(|key| (&key.requirement, &media[key.media], &key.queue));
            let workbin = self.workbins.place_of(id);
            let _ = writeln!(text, "{id} wakes {wake} in {key:?} or {workbin:?}");
        }
        for (no, agent) in facts.agents.in_order().zip(facts.agents.values()) {
            let (id, desk) = (&agent.profile.id, self.desk(no));
            let room = media.iter().enumerate();
            let room =
                room.map(|(at, name)| (name, desk.load_of(at), self.staff.free[at].contains(no)));
            let room: BTreeSet<_> = room.filter(|(_, load, free)| *load > 0 || *free).collect();
            let reach = self.reach(no).map(|no| self.queues.signature(no));
            let reach = reach.filter(|signature| !signature.is_empty());
            let reach: BTreeSet<_> = reach.map(|signature| &signature.key.requirement).collect();
            let (items, wake) = (&desk.items, self.agent_wakes.of(id));
            let _ = writeln!(text, "{id} wakes {wake:?} {room:?} {items:?} reaches {reach:?}");
        }
        let mut queues: Vec<_> = self.waiting().collect();
        queues.sort_by_key(|queue| {
            let key = &queue.key;
            (&key.requirement, &media[key.media], &key.queue, key.clock, key.flow, key.prefilled)
        });
        for queue in queues {
            let id = |no| facts.agents.at(no).map(|agent| &agent.profile.id);
            let fits = queue.fits.iter().map(|no| (id(no), self.level_sum(queue, no)));
            let fits: BTreeMap<_, _> = fits.collect();
            let field = self.field(facts);
            let ranks = queue.descending(self.clock, &field).map(|(rank, _)| rank);
            let ranks: Vec<_> = ranks.collect();
            let Key { requirement, queue: name, .. } = &queue.key;
            let (ready, free) = (self.queues.n_ready(queue.no), self.queues.n_free(queue.no));
            let _ = writeln!(
                text,
                "{requirement:?} in {name} fits {fits:?}, {ready} ready, {free} free: {ranks:?}"
            );
        }
        text
    }
}
