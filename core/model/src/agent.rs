//! Agents: who works, with which skills, and whether they are there.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::name::{AgentId, Name};
use crate::spec::Answer;
use crate::time::Timestamp;

/// Longest id of an agent, in characters.
pub const ID_LENGTH_MAX: usize = 64;

/// Skill level: 1 to 100; 0 = does not have the skill.
pub type Level = u8;

/// An agent as the engine keeps it. Its canonical bytes are the CBOR encoding of this struct.
///
/// What the agent works on is derived from the items, never stored twice.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Agent {
    /// What administration says.
    #[n(0)]
    pub profile: AgentProfile,
    /// Whether the agent takes work.
    #[n(1)]
    pub presence: Presence,
    /// Since when this presence holds.
    #[n(2)]
    pub presence_since: Timestamp,
    /// Since when the agent has had no work: sign-on, or the end of the last work session.
    #[n(3)]
    pub idle_since: Timestamp,
    /// Interactions that other systems carry for the agent, by media type: calls, chats.
    #[n(4)]
    pub elsewhere: BTreeMap<Name, u16>,
    /// When the agent last signed on.
    #[n(5)]
    pub signed_on_at: Timestamp,
    /// Instants of the latest offers, as far as the ramp-up after sign-on has to count them.
    #[n(6)]
    pub ramp: Vec<Timestamp>,
}

/// What administration says about an agent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentProfile {
    /// The customer's own id, at most [`ID_LENGTH_MAX`] characters.
    #[n(0)]
    pub id: AgentId,
    /// Name shown to people.
    #[n(1)]
    #[serde(default)]
    pub name: String,
    /// Skills and their levels.
    #[n(2)]
    #[serde(default)]
    pub skills: BTreeMap<Name, Level>,
    /// Groups.
    #[n(3)]
    #[serde(default)]
    pub groups: BTreeSet<Name>,
    /// How many items at once, by media type; a media type that is not named gets none.
    #[n(4)]
    #[serde(default = "default_capacity")]
    pub capacity: BTreeMap<Name, u16>,
    /// A capacity rule of the config, in place of `capacity`.
    #[n(5)]
    #[serde(default)]
    pub capacity_rule: Option<Name>,
    /// Queues whose items are not offered to the agent.
    #[n(6)]
    #[serde(default)]
    pub inactive_queues: BTreeSet<Name>,
    /// Whether offers have to be accepted, in place of what the process says.
    #[n(7)]
    #[serde(default)]
    pub answer: Option<Answer>,
    /// What else is known, for people and reports: location, team. Never a barrier in routing.
    #[n(8)]
    #[serde(default)]
    pub attributes: BTreeMap<Name, String>,
}

/// Media type of an item whose source does not name one.
pub const DEFAULT_MEDIA_TYPE: &str = "workitem";

fn default_capacity() -> BTreeMap<Name, u16> {
    BTreeMap::from([(Name::new(DEFAULT_MEDIA_TYPE), 1)])
}

/// Whether an agent takes work.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Presence {
    /// Not there.
    #[n(0)]
    SignedOff,
    /// Takes offers.
    #[n(1)]
    Ready,
    /// Finishes what is assigned and takes nothing new.
    #[n(2)]
    FinishSoon,
    /// There, but takes nothing; the reason is one of the config's, [`REASON_RONA`] or
    /// [`REASON_DISCONNECTED`].
    #[n(3)]
    NotReady {
        /// Why.
        #[n(0)]
        reason: Name,
    },
}

/// The not-ready reason that the hub sets when an offer is not answered in time.
pub const REASON_RONA: &str = "RONA";

/// The not-ready reason that the hub sets when the last page of an agent has vanished.
pub const REASON_DISCONNECTED: &str = "Disconnected";

impl Presence {
    /// `true` if the agent is there at all: neither signed off nor vanished.
    pub fn there(&self) -> bool {
        match self {
            Self::SignedOff => false,
            Self::Ready | Self::FinishSoon => true,
            Self::NotReady { reason } => *reason != REASON_DISCONNECTED,
        }
    }
}

impl AgentProfile {
    /// Somebody without skills who takes one work item at a time.
    pub fn new(id: impl Into<AgentId>) -> Self {
        Self {
            id: id.into(),
            name: String::new(),
            skills: BTreeMap::new(),
            groups: BTreeSet::new(),
            capacity: default_capacity(),
            capacity_rule: None,
            inactive_queues: BTreeSet::new(),
            answer: None,
            attributes: BTreeMap::new(),
        }
    }

    /// Level of a skill; 0 if the agent does not have it.
    pub fn level(&self, skill: &str) -> Level {
        self.skills.get(skill).copied().unwrap_or(0)
    }
}
