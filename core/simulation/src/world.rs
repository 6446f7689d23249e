//! The world of a simulation: a scenario and the routing it meets, ready to be run.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::agent::{AgentProfile, DEFAULT_MEDIA_TYPE, REASON_RONA};
use gantry_model::command::{Capture, Classified, Verdict};
use gantry_model::requirement::Compare;
use gantry_model::spec::scenario::{ArrivalSpec, ScenarioSpec};
use gantry_model::spec::{OnChange, OnReopen, ProcessSpec, RoutingSpec, Sla};
use gantry_model::{Classification, Name, Requirement, Timestamp};
use thiserror::Error;

/// The config version that is active in a simulation.
pub(crate) const VERSION: u32 = 1;

/// A scenario and the routing it meets; immutable, so that many runs can share it.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) spec: ScenarioSpec,
    pub(crate) routing: Arc<RoutingSpec>,
    /// By stream of arrivals.
    pub(crate) streams: Vec<StreamWorld>,
}

/// What all items of a stream have in common.
#[derive(Clone, Debug)]
pub(crate) struct StreamWorld {
    /// What every item is classified as.
    found: Classified,
    /// What agents choose at the end, where they have to.
    pub(crate) disposition: Option<Name>,
}

/// Why a scenario and a routing do not go together.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorldError {
    /// No such process.
    #[error("arrivals {stream:?} name process {process:?}, which the config does not have")]
    UnknownProcess {
        /// The stream.
        stream: Name,
        /// The process.
        process: Name,
    },
    /// No such priority schema.
    #[error("arrivals {stream:?} name priority {schema:?}, which the config does not have")]
    UnknownSchema {
        /// The stream.
        stream: Name,
        /// The schema.
        schema: Name,
    },
    /// No such not-ready reason.
    #[error("agents {kind:?} have breaks for {reason:?}, which is no reason of the config")]
    UnknownReason {
        /// The kind of agents.
        kind: Name,
        /// The reason.
        reason: Name,
    },
}

impl World {
    /// Joins a scenario and the routing of a config.
    ///
    /// # Errors
    /// [`WorldError`] if the scenario names what the routing does not have.
    pub fn new(spec: ScenarioSpec, routing: Arc<RoutingSpec>) -> Result<Self, WorldError> {
        let streams = spec.arrivals.iter().map(|arrivals| StreamWorld::new(arrivals, &routing));
        let streams = streams.collect::<Result<_, _>>()?;
        for kind in &spec.staff {
            let reasons = kind.breaks.iter().map(|pause| &pause.reason);
            let known = |reason: &Name| routing.reasons.contains(reason) || *reason == REASON_RONA;
            if let Some(reason) = reasons.into_iter().find(|reason| !known(reason)) {
                let (kind, reason) = (kind.name.clone(), reason.clone());
                return Err(WorldError::UnknownReason { kind, reason });
            }
        }
        Ok(Self { spec, routing, streams })
    }

    /// The seed that the scenario names.
    pub const fn seed(&self) -> u64 {
        self.spec.seed
    }

    /// The last simulated instant.
    pub(crate) const fn end(&self) -> Timestamp {
        self.spec.start.plus(self.spec.horizon)
    }

    /// From when on things are counted.
    pub(crate) const fn count_from(&self) -> Timestamp {
        self.spec.start.plus(self.spec.warm_up)
    }

    /// The agents of all kinds, each with the number of the kind.
    pub(crate) fn agents(&self) -> impl Iterator<Item = (usize, AgentProfile)> {
        let kinds = self.spec.staff.iter().enumerate();
        kinds.flat_map(|(at, kind)| {
            (1..=kind.count).map(move |number| {
                let profile = AgentProfile {
                    skills: kind.skills.clone(),
                    groups: kind.groups.clone(),
                    capacity: kind.capacity.clone(),
                    ..AgentProfile::new(format!("{}-{number}", kind.name))
                };
                (at, profile)
            })
        })
    }

    /// The capture of an item of a stream.
    pub(crate) fn capture(&self, stream: usize, due_at: Option<Timestamp>) -> Capture {
        let mut found = self.streams[stream].found.clone();
        found.due_at = due_at.or(found.due_at);
        Capture {
            capture_point: self.spec.arrivals[stream].name.clone(),
            hash: [0; 16],
            known: None,
            on_change: OnChange::Update,
            on_reopen: OnReopen::New,
            created_at: None,
            activation_at: None,
            verdict: Some(Box::new(Verdict::Classified(found))),
        }
    }
}

impl StreamWorld {
    fn new(spec: &ArrivalSpec, routing: &RoutingSpec) -> Result<Self, WorldError> {
        let process = routing.processes.get(&spec.process).ok_or_else(|| {
            let (stream, process) = (spec.name.clone(), spec.process.clone());
            WorldError::UnknownProcess { stream, process }
        })?;
        let mut found = match &spec.found {
            Some(found) => (**found).clone(),
            None => unclassified(),
        };
        let known = found.class.as_deref();
        let schema = known.map_or(&process.priority, |class| &class.schema);
        let schema = spec.schema.as_ref().unwrap_or(schema).clone();
        if !routing.priorities.contains_key(&schema) {
            return Err(WorldError::UnknownSchema { stream: spec.name.clone(), schema });
        }
        let asked = known.and_then(|class| class.requirement.clone());
        let media_type = known.map(|class| class.media_type.clone());
        let media_type = spec.media_type.clone().or(media_type);
        let class = Classification {
            version: VERSION,
            rules: known.map_or_else(Vec::new, |class| class.rules.clone()),
            process: spec.process.clone(),
            schema,
            sla: spec.sla.map(Sla::Wall).or(known.and_then(|class| class.sla)),
            flow: known.and_then(|class| class.flow.clone()),
            requirement: asked.into_iter().chain(requirement(spec)).reduce(Requirement::and),
            media_type: media_type.unwrap_or_else(|| Name::new(DEFAULT_MEDIA_TYPE)),
        };
        // A schema that the scenario names stands before a number from the rules.
        if spec.schema.is_some() {
            (found.priority, found.bounds) = (None, None);
        }
        found.class = Some(Arc::new(class));
        found.preferred_agent = spec.preferred_agent.clone().or(found.preferred_agent);
        found.required_agent = spec.required_agent.clone().or(found.required_agent);
        Ok(Self { found, disposition: disposition(process) })
    }
}

/// What rules that say nothing say.
fn unclassified() -> Classified {
    Classified {
        class: None,
        due_at: None,
        activation_at: None,
        expires_at: None,
        priority: None,
        preferred_agent: None,
        required_agent: None,
        bounds: None,
    }
}

fn disposition(process: &ProcessSpec) -> Option<Name> {
    process.dispositions.first().filter(|_| process.disposition_required).cloned()
}

fn requirement(spec: &ArrivalSpec) -> Option<Requirement> {
    let skills: &BTreeMap<_, _> = &spec.requires;
    let skills = skills.iter().map(|(skill, level)| Requirement::Skill {
        skill: skill.clone(),
        compare: Compare::AtLeast,
        level: *level,
    });
    let group = spec.group.clone().map(Requirement::Group);
    skills.chain(group).reduce(Requirement::and)
}
