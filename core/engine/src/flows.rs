//! Flows: which share of the offers the items of different capture points or customers have had,
//! and how many lately.
//!
//! Start-time fair queueing: each offer costs a flow a fixed number of points, the fewer the
//! larger its weight, and what a flow has paid more than another is its handicap against it. A
//! flow that has nothing waiting saves nothing up: it catches up with the one served last.
//! Source: Goyal, Vin, Cheng, "Start-time fair queueing", IEEE/ACM Transactions on Networking 5
//! (1997).
//!
//! This is known since the hub's start and never stored: it follows from the events since then.

use std::collections::VecDeque;

use gantry_model::priority::{POINTS_MAX, Priority};
use gantry_model::spec::{Fairness, Rate};
use gantry_model::{Name, Timestamp};

/// Number of a flow within a config version; 0 is the flow of all items that belong to no named
/// one, unless the config names `other` itself.
pub(crate) type FlowNo = u16;

/// No handicap is larger, either sign.
const HANDICAP_MAX: i128 = Priority::from_points(POINTS_MAX).0 as i128;

/// So many offers that a flow could not use, for nobody served what it had waiting, are kept for
/// it; beyond that it would later shut out the others.
const CREDIT_OFFERS_MAX: i128 = 100;

/// What flows have had. Without fairness there are none.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    flows: Vec<Flow>,
    /// What the flow served last had paid before that.
    level: i128,
}

#[derive(Debug)]
struct Flow {
    /// None for the flow of all other items.
    name: Option<Name>,
    /// What an offer costs, in units of priority.
    cost: i128,
    rate: Option<Rate>,
    /// What it has paid.
    paid: i128,
    /// Its latest offers, as many as its rate has to know.
    offers: VecDeque<Timestamp>,
}

impl Flows {
    /// The flows of a config, in the order of their numbers, none of which has had anything.
    pub(crate) fn new(fairness: Option<&Fairness>) -> Self {
        let Some(fairness) = fairness else {
            return Self::default();
        };
        let strength = i128::from(Priority::from_points(fairness.strength.max(0)).0);
        let flow = |name: Option<Name>, weight: u32, rate| Flow {
            name,
            cost: strength / i128::from(weight.max(1)),
            rate,
            paid: 0,
            offers: VecDeque::new(),
        };
        let named = fairness.flows.iter();
        let named = named.map(|(name, spec)| flow(Some(name.clone()), spec.weight, spec.rate));
        Self { flows: std::iter::once(flow(None, 1, None)).chain(named).collect(), level: 0 }
    }

    /// Takes over what the flows of the config version before have had, by their names.
    pub(crate) fn inherit(&mut self, before: Self) {
        self.level = before.level;
        for flow in &mut self.flows {
            let known = before.flows.iter().find(|known| known.name == flow.name);
            flow.paid = known.map_or(before.level, |known| known.paid);
            flow.offers = known.map_or_else(VecDeque::new, |known| known.offers.clone());
            flow.forget();
        }
    }

    /// By how much the items of a flow stand back behind what their priorities say, in units.
    pub(crate) fn handicap(&self, no: FlowNo) -> i64 {
        let paid = |flow: &Flow| flow.paid - self.level;
        let paid = self.flows.get(usize::from(no)).map_or(0, paid);
        paid.clamp(-HANDICAP_MAX, HANDICAP_MAX) as i64
    }

    /// The handicap without what the flow's latest offer cost it: as the match for that offer saw
    /// it beside the other flows.
    pub(crate) fn handicap_before(&self, no: FlowNo) -> i64 {
        let paid = |flow: &Flow| flow.paid - flow.cost - self.level;
        let paid = self.flows.get(usize::from(no)).map_or(0, paid);
        paid.clamp(-HANDICAP_MAX, HANDICAP_MAX) as i64
    }

    /// The name of a flow; none for that of all other items, or without fairness.
    pub(crate) fn name(&self, no: FlowNo) -> Option<&Name> {
        self.flows.get(usize::from(no))?.name.as_ref()
    }

    /// `true` if shares count at all.
    pub(crate) const fn any(&self) -> bool {
        !self.flows.is_empty()
    }

    /// Until when a flow has had as many offers as it may.
    pub(crate) fn limited_until(&self, no: FlowNo, now: Timestamp) -> Option<Timestamp> {
        self.flows.get(usize::from(no))?.limited_until(now)
    }

    /// The flows that were at their limit at `before` and are no more at `now`.
    pub(crate) fn released(&self, before: Timestamp, now: Timestamp) -> Vec<FlowNo> {
        let numbered = (0..).zip(&self.flows);
        let released = numbered.filter(|(_, flow): &(FlowNo, _)| {
            flow.limited_until(before).is_some_and(|until| until <= now)
        });
        released.map(|(no, _)| no).collect()
    }

    /// When the next flow that is at its limit and has something waiting may have an offer.
    pub(crate) fn next_release(
        &self,
        now: Timestamp,
        waits: impl Fn(FlowNo) -> bool,
    ) -> Option<Timestamp> {
        let numbered = (0..).zip(&self.flows).filter(|(no, _)| waits(*no));
        numbered.filter_map(|(_, flow)| flow.limited_until(now)).min()
    }

    /// Notes an offer of a flow's item. `waits`: whether a flow has anything waiting, this item
    /// included.
    pub(crate) fn offered(&mut self, no: FlowNo, now: Timestamp, waits: impl Fn(FlowNo) -> bool) {
        let Some(paid) = self.flows.get(usize::from(no)).map(|flow| flow.paid) else {
            return;
        };
        self.level = paid;
        for (other, flow) in (0..).zip(&mut self.flows) {
            if other == no {
                flow.paid += flow.cost;
                flow.offers.push_back(now);
                flow.forget();
            } else {
                let credit = if waits(other) { CREDIT_OFFERS_MAX * flow.cost } else { 0 };
                flow.paid = flow.paid.max(self.level - credit);
            }
        }
    }
}

impl Flow {
    fn limited_until(&self, now: Timestamp) -> Option<Timestamp> {
        let rate = self.rate.filter(|rate| self.offers.len() >= rate.count.max(1) as usize)?;
        let until = self.offers.front()?.plus(rate.per);
        (until > now).then_some(until)
    }

    fn forget(&mut self) {
        let count = self.rate.map_or(0, |rate| rate.count.max(1) as usize);
        while self.offers.len() > count {
            self.offers.pop_front();
        }
    }
}
