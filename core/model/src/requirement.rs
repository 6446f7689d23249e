//! What an item asks of an agent: a skill expression without attributes, closed and comparable.

use std::collections::BTreeSet;
use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::agent::{AgentProfile, Level};
use crate::name::{AgentId, Name};

/// A closed requirement. Equal requirements are one signature in the queue.
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
pub enum Requirement {
    /// Anybody.
    #[n(0)]
    Anybody,
    /// Level of a skill compared with a number.
    #[n(1)]
    Skill {
        /// The skill.
        #[n(0)]
        skill: Name,
        /// How to compare.
        #[n(1)]
        compare: Compare,
        /// The number, 0 to 100.
        #[n(2)]
        level: Level,
    },
    /// Member of a group.
    #[n(2)]
    Group(#[n(0)] Name),
    /// This agent only.
    #[n(3)]
    Agent(#[n(0)] AgentId),
    /// All of these.
    #[n(4)]
    All(#[n(0)] Vec<Requirement>),
    /// At least one of these.
    #[n(5)]
    AnyOf(#[n(0)] Vec<Requirement>),
    /// Not this.
    #[n(6)]
    Not(#[n(0)] Box<Requirement>),
}

/// A comparison of levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Compare {
    /// `>`
    #[n(0)]
    Greater,
    /// `>=`
    #[n(1)]
    AtLeast,
    /// `==`
    #[n(2)]
    Equal,
    /// `<=`
    #[n(3)]
    AtMost,
    /// `<`
    #[n(4)]
    Less,
}

impl Compare {
    /// Compares an agent's level with the demanded one.
    pub const fn holds(self, has: Level, wants: Level) -> bool {
        match self {
            Self::Greater => has > wants,
            Self::AtLeast => has >= wants,
            Self::Equal => has == wants,
            Self::AtMost => has <= wants,
            Self::Less => has < wants,
        }
    }
}

impl Requirement {
    /// `true` if the agent fits.
    pub fn fits(&self, agent: &AgentProfile) -> bool {
        match self {
            Self::Anybody => true,
            Self::Skill { skill, compare, level } => compare.holds(agent.level(skill), *level),
            Self::Group(group) => agent.groups.contains(group),
            // Nobody has an empty id; a profile that has one stands for agents of any id.
            Self::Agent(id) => agent.id == *id && !id.is_empty(),
            Self::All(parts) => parts.iter().all(|part| part.fits(agent)),
            Self::AnyOf(parts) => parts.iter().any(|part| part.fits(agent)),
            Self::Not(part) => !part.fits(agent),
        }
    }

    /// The skills that the requirement asks for, each once.
    pub fn skills(&self) -> BTreeSet<&Name> {
        match self {
            Self::Skill { skill, .. } => BTreeSet::from([skill]),
            Self::All(parts) | Self::AnyOf(parts) => parts.iter().flat_map(Self::skills).collect(),
            Self::Anybody | Self::Group(_) | Self::Agent(_) | Self::Not(_) => BTreeSet::new(),
        }
    }

    /// The agent's level in the skills that the requirement asks for, added up, each skill once
    /// however many stages name it: the figure by which "highest level" orders agents.
    pub fn level_sum(&self, agent: &AgentProfile) -> u32 {
        self.skills().into_iter().map(|skill| u32::from(agent.level(skill))).sum()
    }

    /// The conjunction of two requirements, without needless nesting.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Anybody, other) => other,
            (this, Self::Anybody) => this,
            (Self::All(mut parts), Self::All(more)) => {
                parts.extend(more);
                Self::All(parts)
            }
            (Self::All(mut parts), other) => {
                parts.push(other);
                Self::All(parts)
            }
            (this, Self::All(mut parts)) => {
                parts.insert(0, this);
                Self::All(parts)
            }
            (this, other) => Self::All(vec![this, other]),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], glue: &str| {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    f.write_str(glue)?;
                }
                match part {
                    Self::All(_) | Self::AnyOf(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Anybody => f.write_str("anybody"),
            Self::Skill { skill, compare, level } if plain(skill) => {
                write!(f, "{skill} {compare} {level}")
            }
            Self::Skill { skill, compare, level } => write!(f, "{skill:?} {compare} {level}"),
            Self::Group(group) => write!(f, "group({group:?})"),
            Self::Agent(agent) => write!(f, "agent({agent:?})"),
            Self::All(parts) => list(f, parts, " && "),
            Self::AnyOf(parts) => list(f, parts, " || "),
            Self::Not(part) => write!(f, "!({part})"),
        }
    }
}

/// `true` if a skill's name needs no quotes in an expression.
fn plain(skill: &str) -> bool {
    skill.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && skill.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !["and", "or", "not", "anybody", "in"].contains(&skill)
}

impl fmt::Display for Compare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::AtMost => "<=",
            Self::Less => "<",
        })
    }
}
