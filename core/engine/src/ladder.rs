//! The ladder of stages: whom an item is offered to, as a function of the item and the time.
//!
//! Preferred agent, then the route's targets one after the other, each adding agents to those
//! before. Windows count from when the item came into routing. No stage is ever stored.
//!
//! An item that was sent to somebody by hand has one stage that asks for them and nothing else:
//! whoever sent it there knows better than route and rules.

use gantry_model::decision::{Stage, StageCause};
use gantry_model::spec::{ProcessSpec, RouteSpec, Span};
use gantry_model::{Requirement, Timestamp, WorkItem};

use crate::routes::Routes;
use crate::window::Windows;

/// Where an item stands on its ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    pub(crate) stage: Stage,
    /// Why the stage began.
    pub(crate) cause: StageCause,
    /// When it began.
    pub(crate) since: Timestamp,
    /// When the next stage begins; `None` on the last.
    pub(crate) ends_at: Option<Timestamp>,
}

/// The ladder of one item.
pub(crate) struct Ladder<'a> {
    item: &'a WorkItem,
    route: &'a RouteSpec,
    windows: Windows<'a>,
    /// Whether the item's preferred agent exists.
    known: bool,
}

impl<'a> Ladder<'a> {
    /// The ladder on the route of the process whose queue the item is in.
    pub(crate) fn new(
        routes: &Routes,
        item: &'a WorkItem,
        process: &'a ProcessSpec,
        known: bool,
    ) -> Self {
        let windows = Windows::new(routes, item);
        Self { item, route: &process.route, windows, known }
    }

    /// The stage that counts at `now`.
    pub(crate) fn at(&self, now: Timestamp) -> Rung {
        let mut rung = self.first();
        while rung.ends_at.is_some_and(|end| now >= end) {
            rung = self.next(&rung);
        }
        rung
    }

    /// All stages in order, those whose window is empty too.
    pub(crate) fn rungs(&self) -> impl Iterator<Item = Rung> {
        let after = |rung: &Rung| rung.ends_at.map(|_| self.next(rung));
        std::iter::successors(Some(self.first()), after)
    }

    fn first(&self) -> Rung {
        let since = self.item.routing_at.unwrap_or(self.item.captured_at);
        let cause = match (&self.item.target, &self.item.preferred_agent, self.route.preferred) {
            (Some(_), ..) => StageCause::SentByHand,
            (None, Some(_), Some(_)) if !self.known => StageCause::PreferredUnknown,
            _ => StageCause::Begin,
        };
        match self.route.preferred.filter(|_| self.prefers()) {
            Some(span) => {
                Rung { stage: Stage::Preferred, cause, since, ends_at: Some(self.end(span, since)) }
            }
            None => self.target(0, cause, since),
        }
    }

    fn next(&self, rung: &Rung) -> Rung {
        let number = match rung.stage {
            Stage::Preferred => 0,
            Stage::Target(number) => usize::from(number) + 1,
        };
        self.target(number, StageCause::WindowOver, rung.ends_at.unwrap_or(rung.since))
    }

    fn target(&self, number: usize, cause: StageCause, since: Timestamp) -> Rung {
        let more = number + 1 < self.route.stages.len().min(u8::MAX.into());
        let stage = self.route.stages.get(number).filter(|_| more && self.item.target.is_none());
        let ends_at = stage.and_then(|stage| stage.lasts).map(|span| self.end(span, since));
        Rung { stage: Stage::Target(number as u8), cause, since, ends_at }
    }

    fn end(&self, span: Span, from: Timestamp) -> Timestamp {
        // A share of an SLA that the item does not have is no time at all: nobody waits for it.
        self.windows.end(span, from).unwrap_or(from)
    }

    /// `true` if the ladder begins with the preferred agent: one who exists, unless the item is
    /// for one agent only or was sent to somebody by hand.
    fn prefers(&self) -> bool {
        let free = self.item.required_agent.is_none() && self.item.target.is_none();
        self.route.preferred.is_some() && free && self.known
    }

    /// What the item asks of an agent in a stage.
    pub(crate) fn requirement(&self, stage: Stage) -> Requirement {
        if let Some(target) = &self.item.target {
            return target.clone();
        }
        let preferred = self.item.preferred_agent.as_ref().filter(|_| self.prefers());
        let preferred = preferred.map(|agent| Requirement::Agent(agent.clone()));
        let target = match stage {
            Stage::Preferred => preferred.unwrap_or(Requirement::Anybody),
            Stage::Target(number) => self.reached(number, preferred),
        };
        let asked = self.item.class.as_ref().and_then(|class| class.requirement.as_ref());
        let required = self.item.required_agent.clone().map(Requirement::Agent);
        [asked.cloned(), required].into_iter().flatten().fold(target, Requirement::and)
    }

    /// Any of the targets up to this one, or the preferred agent, whose turn came before.
    fn reached(&self, number: u8, preferred: Option<Requirement>) -> Requirement {
        let targets = self.route.stages.iter().take(usize::from(number) + 1);
        let targets: Vec<_> = targets.map(|stage| stage.requirement.clone()).collect();
        if targets.is_empty() {
            return Requirement::Anybody;
        }
        let mut any: Vec<_> = preferred.into_iter().chain(targets).collect();
        if any.len() == 1 {
            return any.remove(0);
        }
        Requirement::AnyOf(any)
    }
}
