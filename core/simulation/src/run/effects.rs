//! What the engine's events mean for the people and the source systems, and for the figures.

use gantry_model::{AgentId, ItemId};

use super::{Left, Observer, Simulation};
use crate::agenda::Happening;
use crate::book::Live;
use crate::staff::{Answer, Tally};

impl<O: Observer> Simulation<'_, O> {
    pub(super) fn offered(&mut self, item: ItemId, agent: &AgentId, epoch: u32) {
        let Some(agent) = self.staff.number(agent) else { return };
        self.count(agent, |tally| tally.offers += 1);
        if let Some(live) = self.items.get(item) {
            live.epoch = epoch;
        }
        let spec = &self.world.spec.staff[self.staff.kind_no(agent)];
        if let Some(Answer { after, accepts }) = self.staff.kind_of(agent).answer(spec) {
            let answer = Happening::Answer { item, epoch, agent, accepts };
            self.agenda.push(self.now.plus(after), answer);
        }
    }

    pub(super) fn accepted(&mut self, id: ItemId, agent: &AgentId) {
        let Some(agent) = self.staff.number(agent) else { return };
        self.count(agent, |tally| tally.accepted += 1);
        self.staff.work(agent, self.now, true);
        self.leave_queue(id, false);
        let Some(live) = self.items.get(id) else { return };
        live.agent = Some(agent);
        let speed = self.world.spec.staff[self.staff.kind_no(agent)].speed;
        let takes = gantry_model::Millis(libm::round(live.handle_time.0 as f64 / speed) as i64);
        let epoch = live.epoch;
        self.agenda.push(self.now.plus(takes), Happening::WorkEnds { item: id, epoch, agent });
    }

    /// The agent was no longer ready: comes back after a while.
    pub(super) fn rona(&mut self, agent: &AgentId) {
        self.tally(agent, |tally| tally.rona += 1);
        let Some(agent) = self.staff.number(agent) else { return };
        let spec = &self.world.spec.staff[self.staff.kind_no(agent)];
        let away = self.staff.kind_of(agent).away(spec);
        self.agenda.push(self.now.plus(away), Happening::AgentTurns { agent });
    }

    /// The item was taken from its agent, or came back from the source.
    pub(super) fn released(&mut self, id: ItemId) {
        self.put_down(id);
        let now = self.now;
        if let Some(live) = self.items.get(id).filter(|live| !live.waiting) {
            live.waiting = true;
            live.done_at = None;
            self.book.queue.change(now, true);
        }
    }

    pub(super) fn marked_done(&mut self, item: ItemId, to_be_confirmed: bool) {
        self.put_down(item);
        let now = self.now;
        let Some(live) = self.items.get(item) else { return };
        live.done_at = Some(now);
        if to_be_confirmed {
            let source = &mut self.sources[live.stream as usize];
            let after = source.confirmations.draw(&self.world.spec.confirm_after);
            self.agenda.push(now.plus(after), Happening::Confirmed { item });
        }
    }

    pub(super) fn completed(&mut self, id: ItemId) {
        let Some(live) = self.end(id) else { return };
        let counts = &mut self.book.counts[live.stream as usize];
        counts.finished += u64::from(live.counts);
        if let Some(due_at) = live.due_at.filter(|_| live.counts) {
            let in_time = live.done_at.unwrap_or(self.now) <= due_at;
            counts.finished_with_due += 1;
            counts.finished_in_time += u64::from(in_time);
        }
    }

    /// The item ended otherwise.
    pub(super) fn dropped(&mut self, id: ItemId, abandoned: bool) {
        self.leave_queue(id, true);
        let Some(live) = self.end(id).filter(|live| live.counts) else { return };
        let counts = &mut self.book.counts[live.stream as usize];
        *if abandoned { &mut counts.abandoned } else { &mut counts.dropped } += 1;
    }

    fn end(&mut self, id: ItemId) -> Option<Live> {
        self.put_down(id);
        let live = self.items.remove(id)?;
        if live.waiting {
            self.book.queue.change(self.now, false);
        }
        Some(live)
    }

    fn leave_queue(&mut self, id: ItemId, abandoned: bool) {
        let now = self.now;
        let Some(live) = self.items.get(id).filter(|live| live.waiting) else { return };
        live.waiting = false;
        self.book.queue.change(now, false);
        if !std::mem::replace(&mut live.waited, true) && live.counts {
            let (stream, arrived_at) = (live.stream as usize, live.arrived_at);
            let waited = now.since(arrived_at);
            self.book.counts[stream].waits.add(waited);
            self.observer.left_queue(&Left { stream, arrived_at, waited, abandoned });
        }
    }

    /// Nobody works on the item any more.
    fn put_down(&mut self, id: ItemId) {
        let agent = self.items.get(id).and_then(|live| live.agent.take());
        let Some(agent) = agent else { return };
        self.staff.work(agent, self.now, false);
        if self.staff.may_leave(agent, self.now) {
            self.agenda.push(self.now, Happening::AgentTurns { agent });
        }
    }

    pub(super) fn tally(&mut self, agent: &AgentId, count: impl FnOnce(&mut Tally)) {
        if let Some(agent) = self.staff.number(agent) {
            self.count(agent, count);
        }
    }

    fn count(&mut self, agent: u32, count: impl FnOnce(&mut Tally)) {
        if self.now >= self.world.count_from() {
            count(&mut self.staff.kind_of(agent).tally);
        }
    }
}
