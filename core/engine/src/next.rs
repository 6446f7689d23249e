//! Who goes next: waiting calls of an outside router and the hub's own items on one scale.

use std::cmp::Reverse;

use gantry_model::decision::Reason;
use gantry_model::name::{AgentId, Name};
use gantry_model::priority::Priority;
use gantry_model::{Agent, Assignment, ItemId, Timestamp, WorkItem};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::capacity::{Carried, Limits};
use crate::course::{Figures, specimen};
use crate::index::media_type;
use crate::state::State;

/// How many calls an answer names, the best ones.
pub const CONTENDERS_MAX: usize = 20;

/// A call or chat that waits in another system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitingCall {
    /// The other system's own id; comes back in the answer.
    pub id: String,
    /// The priority schema that its priority follows.
    pub schema: Name,
    /// Since when it waits: where its curve starts.
    pub since: Timestamp,
    /// When it should be answered at the latest.
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// Its media type.
    pub media_type: Name,
}

/// Who goes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    /// The instant.
    pub at: Timestamp,
    /// The agent.
    pub agent: AgentId,
    /// The active config version.
    pub version: u32,
    /// Who goes next; `None` if nothing waits that the agent could take.
    pub winner: Option<Contender>,
    /// Those behind, best first, at most [`CONTENDERS_MAX`].
    pub behind: Vec<Contender>,
    /// Calls that the agent cannot take, and why.
    pub impossible: Vec<Impossible>,
}

/// A call or an item that the agent could take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contender {
    /// Which.
    #[serde(flatten)]
    pub what: Contending,
    /// Its media type.
    pub media_type: Name,
    /// The schema; none = a priority given by the source.
    pub schema: Option<Name>,
    /// Its priority.
    pub priority: Priority,
    /// Since when it waits: the longer, the sooner, where priorities are equal.
    pub since: Timestamp,
    /// When its priority next changes its course.
    pub next_change_at: Option<Timestamp>,
}

/// What contends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contending {
    /// A call of the outside router.
    Call(String),
    /// The best of the hub's items: waiting, or offered to this agent.
    Item(ItemId),
}

/// A call that the agent cannot take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Impossible {
    /// The call.
    pub call: String,
    /// Why.
    pub reason: Reason,
}

/// Why nobody can be named.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NextError {
    /// No such agent.
    #[error("ask who goes next for agent {agent:?}: it does not exist")]
    UnknownAgent {
        /// The agent.
        agent: AgentId,
    },
    /// No such schema.
    #[error("ask for the priority of call {call:?}: there is no priority schema {schema:?}")]
    UnknownSchema {
        /// The call.
        call: String,
        /// The schema.
        schema: Name,
    },
}

impl State {
    /// Who goes next for an agent whom another system is about to give a call: the best of its
    /// waiting calls, or the best item of the hub. Changes nothing. The agent's presence does not
    /// count, for whoever asks knows that the agent is free; nor do offers that the agent has not
    /// accepted, which are in the race themselves.
    ///
    /// # Errors
    /// [`NextError`] if the agent or a call's schema does not exist.
    pub fn who_goes_next(
        &self,
        now: Timestamp,
        agent: &str,
        calls: &[WaitingCall],
    ) -> Result<Next, NextError> {
        let unknown = || NextError::UnknownAgent { agent: agent.into() };
        let agent = self.agent(agent).ok_or_else(unknown)?;
        let (mut contenders, mut impossible) = (Vec::new(), Vec::new());
        for call in calls {
            match self.no_room_for_call(agent, &call.media_type) {
                Some(reason) => impossible.push(Impossible { call: call.id.clone(), reason }),
                None => contenders.push(self.contending_call(now, call)?),
            }
        }
        contenders.extend(self.contending_item(now, agent));
        contenders.sort_by_key(|contender| {
            // Of a call and an item in all things equal, somebody is on the line.
            (Reverse(contender.priority), contender.since, contender.what.clone().tie())
        });
        let mut contenders = contenders.into_iter();
        Ok(Next {
            at: now,
            agent: agent.profile.id.clone(),
            version: self.config_version(),
            winner: contenders.next(),
            behind: contenders.take(CONTENDERS_MAX).collect(),
            impossible,
        })
    }

    fn contending_call(&self, now: Timestamp, call: &WaitingCall) -> Result<Contender, NextError> {
        let schema = call.schema.clone();
        if !self.routing().priorities.contains_key(&schema) {
            return Err(NextError::UnknownSchema { call: call.id.clone(), schema });
        }
        let figures = Figures { anchor_at: call.since, due_at: call.due_at, ..Figures::default() };
        let (priority, next_change_at) = self.priority(now, &specimen(schema.clone(), &figures));
        Ok(Contender {
            what: Contending::Call(call.id.clone()),
            media_type: call.media_type.clone(),
            schema: Some(schema),
            priority,
            since: call.since,
            next_change_at,
        })
    }

    /// The best item that waits for the agent or is offered to them, shares of flows included.
    fn contending_item(&self, now: Timestamp, agent: &Agent) -> Option<Contender> {
        let field = self.index.field(&self.facts);
        let possible = self.within_reach(now, agent).filter(|(signature, _)| {
            self.no_room_for_call(agent, self.index.media(signature)).is_none()
        });
        let waiting = possible.filter_map(|(signature, handicap)| {
            let best = signature.best(now, field, |slot| self.asked(slot, agent, now));
            best.map(|(rank, _)| rank.less(handicap))
        });
        let offered = self.offered(agent).map(|item| {
            let handicap = self.index.flows.handicap_before(self.index.routes.flow_of(&item));
            self.rank(now, &item).less(handicap)
        });
        let item = self.item(waiting.chain(offered).max()?.item.0)?;
        let (priority, next_change_at) = self.priority(now, &item);
        let schema = item.class.as_ref().map(|class| class.schema.clone());
        Some(Contender {
            what: Contending::Item(item.id),
            media_type: media_type(&item).into(),
            schema: schema.filter(|_| item.priority.is_none()),
            priority,
            since: item.routing_at.unwrap_or(item.captured_at),
            next_change_at,
        })
    }

    fn offered(&self, agent: &Agent) -> impl Iterator<Item = WorkItem> {
        let desk = self.desk(&agent.profile.id);
        desk.filter(|item| matches!(item.assignment, Assignment::Offered { .. }))
    }

    /// What keeps the agent from one more, apart from offers that are not accepted.
    fn no_room_for_call(&self, agent: &Agent, media: &str) -> Option<Reason> {
        let carried = self.carried(agent);
        let mut at_desk = carried.at_desk.to_vec();
        for item in self.offered(agent) {
            let no = carried.media.iter().position(|name| *name == media_type(&item));
            if let Some(count) = no.and_then(|no| at_desk.get_mut(no)) {
                *count = count.saturating_sub(1);
            }
        }
        let carried = Carried { at_desk: &at_desk, ..carried };
        Limits::of(self.routing(), &agent.profile).obstacle(&carried, media)
    }
}

impl Contending {
    fn tie(self) -> (bool, String) {
        match self {
            Self::Call(id) => (false, id),
            Self::Item(id) => (true, id.to_string()),
        }
    }
}
