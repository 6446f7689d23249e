//! What waits and is served by nobody, and why, in words built from what it asks for.

use std::collections::BTreeMap;

use gantry_model::decision::Reason;
use gantry_model::name::Name;
use gantry_model::priority::Priority;
use gantry_model::{Agent, ItemId, Presence, Requirement, Timestamp};
use serde::Serialize;

use crate::capacity::Limits;
use crate::index::Signature;
use crate::state::State;

/// Items that wait for the same people and are not served at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unserved {
    /// The queue.
    pub queue: Name,
    /// The media type.
    pub media_type: Name,
    /// What is asked of an agent, as an expression.
    pub requirement: String,
    /// Whether anybody will serve them.
    pub service: Service,
    /// Why nobody does, in words.
    pub reason: String,
    /// How many items wait.
    pub items: u32,
    /// The one that is longest in routing.
    pub oldest: ItemId,
    /// Since when it is in routing.
    pub oldest_since: Timestamp,
    /// The highest priority among them.
    pub top: Priority,
    /// When the next stage begins for the item with the highest priority.
    pub next_stage_at: Option<Timestamp>,
}

/// Whether anybody will serve what waits; the worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// No agent fits now or in any later stage, whatever their presence.
    Never,
    /// No agent fits in this stage, but in a later one somebody does.
    LaterStage,
    /// Agents fit, but none of them is ready.
    NobodyReady,
    /// Agents fit and are ready, but none can take it now.
    AllBusy,
}

impl State {
    /// What waits and is served by nobody at `now`, by what it asks for: the worst first, then
    /// the oldest. Costs a look at every waiting item and at every agent who fits.
    pub fn unserved(&self, now: Timestamp) -> Vec<Unserved> {
        // Items that ask for the same may stand in several tournaments, one a clock.
        let mut alike: BTreeMap<(&Requirement, &Name, &Name), Vec<&Signature>> = BTreeMap::new();
        for signature in self.index.waiting() {
            let media = self.index.media(signature);
            let key = (&signature.key.requirement, media, &signature.key.queue);
            alike.entry(key).or_default().push(signature);
        }
        let mut found: Vec<_> = alike
            .into_iter()
            .filter_map(|((requirement, media, queue), signatures)| {
                self.unserved_alike(now, requirement, media, queue, &signatures)
            })
            .collect();
        found.sort_by_key(|unserved| (unserved.service, unserved.oldest_since, unserved.oldest));
        found
    }

    fn unserved_alike(
        &self,
        now: Timestamp,
        requirement: &Requirement,
        media: &Name,
        queue: &Name,
        signatures: &[&Signature],
    ) -> Option<Unserved> {
        let field = self.index.field(&self.facts);
        let heads = signatures.iter().filter_map(|signature| signature.best(now, field, |_| true));
        let (head, _) = heads.max()?;
        let oldest = signatures.iter().filter_map(|signature| signature.oldest(field)).min()?;
        let item = self.item(head.item.0)?;
        let process = self.index.routes.queue(&item)?;
        let ladder = self.ladder(&item, process);
        let rung = ladder.at(now);
        let crew = Crew { state: self, media, queue, now };
        let fitting: Vec<&Agent> = crew.fitting(requirement).collect();
        let (service, reason) = if fitting.is_empty() {
            let last = ladder.rungs().last().map(|rung| ladder.requirement(rung.stage));
            let last = last.unwrap_or_else(|| requirement.clone());
            if crew.fitting(&last).next().is_some() {
                (Service::LaterStage, crew.nobody(requirement))
            } else {
                (Service::Never, crew.nobody(&last))
            }
        } else if fitting.iter().all(|agent| agent.presence != Presence::Ready) {
            (Service::NobodyReady, crew.whereabouts(&fitting))
        } else {
            (Service::AllBusy, crew.whereabouts(&fitting))
        };
        Some(Unserved {
            queue: queue.clone(),
            media_type: media.clone(),
            requirement: requirement.to_string(),
            service,
            reason,
            items: signatures.iter().map(|signature| signature.len() as u32).sum(),
            oldest: oldest.1,
            oldest_since: oldest.0,
            top: head.priority,
            next_stage_at: rung.ends_at,
        })
    }
}

/// The agents, seen from one queue and media type.
pub(crate) struct Crew<'a> {
    pub(crate) state: &'a State,
    pub(crate) media: &'a str,
    pub(crate) queue: &'a str,
    pub(crate) now: Timestamp,
}

impl<'a> Crew<'a> {
    /// Those who could have something that asks this, if they were ready and had room.
    fn fitting(&self, requirement: &Requirement) -> impl Iterator<Item = &'a Agent> {
        let spec = self.state.routing();
        self.state.agents().filter(move |agent| {
            let profile = &agent.profile;
            requirement.fits(profile)
                && !profile.inactive_queues.contains(self.queue)
                && Limits::of(spec, profile).takes(self.media)
        })
    }

    /// Why nobody could ever have something that asks this.
    pub(crate) fn nobody(&self, requirement: &Requirement) -> String {
        let meeting: Vec<&Agent> =
            self.state.agents().filter(|agent| requirement.fits(&agent.profile)).collect();
        if meeting.is_empty() {
            return self.lacking(requirement);
        }
        let spec = self.state.routing();
        let takes = |agent: &&&Agent| Limits::of(spec, &agent.profile).takes(self.media);
        let who = match meeting.len() {
            1 => format!("agent {}", meeting[0].profile.id),
            _ if *requirement == Requirement::Anybody => "no agent".to_owned(),
            count => format!("none of the {count} agents with {requirement}"),
        };
        let not = if meeting.len() == 1 { " does not take" } else { " takes" };
        if meeting.iter().filter(takes).count() == 0 {
            return format!("{who}{not} media type {}", self.media);
        }
        let not = if meeting.len() == 1 { " does not work" } else { " works" };
        format!("{who}{not} in queue {} and takes media type {}", self.queue, self.media)
    }

    /// Why no agent meets a requirement.
    fn lacking(&self, requirement: &Requirement) -> String {
        let met = |part: &Requirement| self.state.agents().any(|agent| part.fits(&agent.profile));
        match requirement {
            Requirement::Anybody => "there is no agent".to_owned(),
            Requirement::Skill { skill, .. } => {
                let levels = self.state.agents().map(|agent| agent.profile.level(skill));
                match levels.max() {
                    None => "there is no agent".to_owned(),
                    Some(0) => format!("no agent has {requirement}: none has {skill} at all"),
                    Some(best) => format!("no agent has {requirement}: the best has {best}"),
                }
            }
            Requirement::Group(group) => format!("no agent is in group {group}"),
            Requirement::Agent(agent) => format!("agent {agent} does not exist"),
            Requirement::All(parts) => match parts.iter().find(|part| !met(part)) {
                Some(part) => self.lacking(part),
                None => format!("no agent has all of {requirement}"),
            },
            Requirement::AnyOf(parts) => {
                let mut reasons: Vec<String> = Vec::new();
                for part in parts {
                    let reason = self.lacking(part);
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
                reasons.join(", and ")
            }
            Requirement::Not(part) => format!("every agent is one with {part}"),
        }
    }

    /// Where the agents who fit are: "2 agents fit: 1 on Lunch, 1 busy".
    fn whereabouts(&self, fitting: &[&Agent]) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for agent in fitting {
            let place = match &agent.presence {
                Presence::SignedOff => "signed off".to_owned(),
                Presence::FinishSoon => "finishing soon".to_owned(),
                Presence::NotReady { reason } => format!("on {reason}"),
                Presence::Ready => match self.state.no_room(agent, self.media, self.now) {
                    Some(Reason::RampUp { .. }) => "ramping up".to_owned(),
                    Some(Reason::Blocked { by }) => format!("at a {by}"),
                    Some(_) => "busy".to_owned(),
                    None => "had it before".to_owned(),
                },
            };
            *counts.entry(place).or_default() += 1;
        }
        let places = counts.iter().map(|(place, count)| format!("{count} {place}"));
        let places: Vec<_> = places.collect();
        let fit = if fitting.len() == 1 { "agent fits" } else { "agents fit" };
        format!("{} {fit}: {}", fitting.len(), places.join(", "))
    }
}
