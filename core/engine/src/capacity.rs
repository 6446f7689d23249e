//! Capacity: the one place that says whether an agent has room for one more.
//!
//! What an agent carries is what the hub gave (offered, assigned, in wrap-up) and what other
//! systems report. It is held against the agent's own figures or the capacity rule they name;
//! for a while after sign-on the ramp-up lets offers through one by one.

use std::collections::BTreeMap;

use gantry_model::decision::{Load, Reason};
use gantry_model::name::Name;
use gantry_model::spec::{CapacityRule, RoutingSpec};
use gantry_model::{Agent, AgentProfile, Timestamp};

/// What an agent carries, by media type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried<'a> {
    /// Names of the media types that `at_desk` counts.
    pub(crate) media: &'a [Name],
    /// Given by the hub; what is beyond the end is nothing.
    pub(crate) at_desk: &'a [u16],
    /// Reported by other systems.
    pub(crate) elsewhere: &'a BTreeMap<Name, u16>,
}

impl Carried<'_> {
    /// How many of a media type.
    pub(crate) fn of(&self, media: &str) -> u32 {
        let at_desk = self.media.iter().zip(self.at_desk);
        let here = at_desk.filter(|(name, _)| **name == media).map(|(_, count)| u32::from(*count));
        here.sum::<u32>() + self.elsewhere.get(media).copied().map_or(0, u32::from)
    }

    fn total(&self) -> u32 {
        self.at_desk.iter().chain(self.elsewhere.values()).map(|count| u32::from(*count)).sum()
    }
}

/// What an agent may carry: by the rule they name, else by their own figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits<'a> {
    rule: Option<&'a CapacityRule>,
    own: &'a BTreeMap<Name, u16>,
}

impl<'a> Limits<'a> {
    pub(crate) fn of(spec: &'a RoutingSpec, profile: &'a AgentProfile) -> Self {
        let rule = profile.capacity_rule.as_ref();
        let rule = rule.and_then(|rule| spec.capacity_rules.get(rule));
        Self { rule, own: &profile.capacity }
    }

    /// The media types that the agent takes.
    pub(crate) fn media(&self) -> impl Iterator<Item = &'a Name> {
        let by_media = self.by_media().iter().filter(|(_, limit)| **limit > 0);
        by_media.map(|(media, _)| media)
    }

    pub(crate) fn takes(&self, media: &str) -> bool {
        self.by_media().get(media).is_some_and(|limit| *limit > 0)
    }

    /// `true` if something that the agent carries may keep other media types away.
    pub(crate) fn excludes(&self) -> bool {
        self.rule.is_some_and(|rule| !rule.excludes.is_empty())
    }

    /// How many items lie in the agent's workbin in advance.
    pub(crate) fn prefill(&self) -> usize {
        self.rule.map_or(0, |rule| rule.prefill.into())
    }

    /// What keeps the agent from carrying one more of a media type; `None` if there is room.
    pub(crate) fn obstacle(&self, carried: &Carried<'_>, media: &str) -> Option<Reason> {
        let limit = self.by_media().get(media).copied().unwrap_or(0);
        if limit == 0 {
            return Some(Reason::MediaNotTaken);
        }
        let excludes = self.rule.into_iter().flat_map(|rule| &rule.excludes);
        let mut barring =
            excludes.filter(|(by, barred)| barred.contains(media) && carried.of(by) > 0);
        if let Some((by, _)) = barring.next() {
            return Some(Reason::Blocked { by: by.clone() });
        }
        let total = self.rule.and_then(|rule| rule.total);
        let full = carried.of(media) >= limit.into()
            || total.is_some_and(|total| carried.total() >= total.into());
        full.then_some(Reason::NoCapacity)
    }

    /// How much of all that the agent may carry is in use.
    pub(crate) fn load(&self, carried: &Carried<'_>) -> Load {
        let sum: u32 = self.by_media().values().map(|limit| u32::from(*limit)).sum();
        let total =
            self.rule.and_then(|rule| rule.total).map_or(sum, |total| sum.min(total.into()));
        let number = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        Load { used: number(carried.total()), of: number(total) }
    }

    fn by_media(&self) -> &'a BTreeMap<Name, u16> {
        self.rule.map_or(self.own, |rule| &rule.media)
    }
}

/// Until when the ramp-up after sign-on lets no offer through to the agent, if it holds one up.
pub(crate) fn ramping_until(
    spec: &RoutingSpec,
    agent: &Agent,
    now: Timestamp,
) -> Option<Timestamp> {
    let ramp_up = spec.ramp_up?;
    let over = agent.signed_on_at.plus(ramp_up.lasts);
    let counting = agent.ramp.iter().map(|offer| offer.plus(ramp_up.per));
    let counting = counting.filter(|forgotten| *forgotten > now);
    let offers = usize::from(ramp_up.offers.max(1));
    // The latest so many offers fill the period; the first of them to leave it makes room.
    let mut counting: Vec<_> = counting.collect();
    counting.sort_unstable();
    let place = counting.len().checked_sub(offers)?;
    let until = counting[place].min(over);
    (until > now).then_some(until)
}
