//! What an agent's profile may say, beside the config that is active: a skill that nobody asks
//! for, because it is misspelt, would keep work away from the agent without a word.

use std::collections::BTreeSet;

use gantry_model::spec::Spec;
use gantry_model::{AgentProfile, Name};

use crate::problem::{self, Fault, Problem};

/// Longest text of a name or attribute, in characters.
const TEXT_MAX: usize = 256;
/// Most attributes of an agent.
const ATTRIBUTES_MAX: usize = 64;
/// How alike a known name must be to be suggested: 0 = not at all, 1 = equal.
const ALIKE: f64 = 0.75;

/// Refuses a profile that does not belong to this address, or names what the config does not
/// have. Everything that is wrong is told at once.
pub(crate) fn check(address: &Name, profile: &AgentProfile, spec: &Spec) -> Result<(), Problem> {
    let mut faults = Vec::new();
    let mut fault = |field: &str, detail: String| faults.push(Fault::new(field, detail));
    if profile.id != *address {
        fault("id", format!("the address names agent {address:?}, the body {:?}", profile.id));
    }
    if address.chars().any(char::is_control) {
        fault("id", format!("agent id {address:?} has characters that cannot be shown"));
    }
    if profile.name.chars().count() > TEXT_MAX {
        fault("name", format!("the name has more than {TEXT_MAX} characters"));
    }
    for (skill, level) in &profile.skills {
        let field = format!("skills/{skill}");
        if !spec.skills.contains(skill) {
            fault(&field, unknown("skill", skill, &spec.skills));
        }
        if *level > 100 {
            let detail = format!("skill {skill:?} has level {level}; levels are 0 to 100");
            fault(&field, detail);
        }
    }
    for group in profile.groups.difference(&spec.groups) {
        fault("groups", unknown("group", group, &spec.groups));
    }
    let routing = &spec.routing;
    for queue in &profile.inactive_queues {
        if !routing.processes.contains_key(queue) {
            fault("inactive_queues", unknown("queue", queue, routing.processes.keys()));
        }
    }
    if let Some(rule) = &profile.capacity_rule
        && !routing.capacity_rules.contains_key(rule)
    {
        fault("capacity_rule", unknown("capacity rule", rule, routing.capacity_rules.keys()));
    }
    if profile.attributes.len() > ATTRIBUTES_MAX {
        fault("attributes", format!("an agent has at most {ATTRIBUTES_MAX} attributes"));
    }
    for (name, text) in &profile.attributes {
        if text.chars().count() > TEXT_MAX {
            let detail = format!("attribute {name:?} has more than {TEXT_MAX} characters");
            fault(&format!("attributes/{name}"), detail);
        }
    }
    Problem::of_faults(&problem::FIELDS, faults)
}

/// Says that a name is not in the config, and which one may have been meant.
pub(crate) fn unknown<'a>(
    kind: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a Name>,
) -> String {
    let known: BTreeSet<&Name> = known.into_iter().collect();
    let alike = |other: &&Name| strsim::jaro_winkler(name, other);
    let nearest = known.iter().copied().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest.filter(|nearest| alike(nearest) >= ALIKE) {
        Some(nearest) => format!("{kind} {name:?} is not configured; did you mean {nearest:?}?"),
        None if known.is_empty() => {
            format!("{kind} {name:?} is not configured; the config has none")
        }
        None => {
            let known: Vec<_> = known.iter().map(|name| name.as_str()).collect();
            format!("{kind} {name:?} is not configured; there are {}", known.join(", "))
        }
    }
}
