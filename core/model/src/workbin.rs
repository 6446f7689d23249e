//! Workbins and targets: where an item can be sent by hand.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::name::{AgentId, Name};
use crate::requirement::Requirement;

/// A place where parked items lie.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    Serialize,
    Deserialize
)]
#[serde(rename_all = "snake_case")]
pub enum Workbin {
    /// An agent's own.
    #[n(0)]
    Agent(#[n(0)] AgentId),
    /// Of all members of a group.
    #[n(1)]
    Group(#[n(0)] Name),
    /// Of the supervisors of a group.
    #[n(2)]
    Supervisor(#[n(0)] Name),
}

/// Where an item is transferred to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This agent only.
    #[n(0)]
    Agent(#[n(0)] AgentId),
    /// Members of a group.
    #[n(1)]
    Group(#[n(0)] Name),
    /// Whoever meets an expression.
    #[n(2)]
    Skills(#[n(0)] Requirement),
    /// The queue of another process, with its route.
    #[n(3)]
    Queue(#[n(0)] Name),
    /// A workbin.
    #[n(4)]
    Workbin(#[n(0)] Workbin),
}

impl fmt::Display for Workbin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(agent) => write!(f, "workbin of agent {agent:?}"),
            Self::Group(group) => write!(f, "workbin of group {group:?}"),
            Self::Supervisor(group) => write!(f, "workbin of the supervisors of {group:?}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(agent) => write!(f, "agent {agent:?}"),
            Self::Group(group) => write!(f, "group {group:?}"),
            Self::Skills(requirement) => write!(f, "{requirement}"),
            Self::Queue(queue) => write!(f, "queue {queue:?}"),
            Self::Workbin(workbin) => write!(f, "{workbin}"),
        }
    }
}
