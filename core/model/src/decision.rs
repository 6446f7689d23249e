//! Decisions and why they fell: a stored value, not a log line.

use minicbor::{Decode, Encode};
use serde::Serialize;

use crate::name::{AgentId, Name};
use crate::priority::Priority;
use crate::time::Timestamp;

/// How many losing candidates a stored explanation names; the rest are counts.
pub const NEAREST_MAX: usize = 3;

/// Which routing target is active. A later stage adds agents to the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The preferred agent only.
    #[n(0)]
    Preferred,
    /// The route's target of this number, from 0: primary, secondary, tertiary, …
    #[n(1)]
    Target(#[n(0)] u8),
}

/// Why an item stands in its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum StageCause {
    /// The ladder begins here.
    #[n(0)]
    Begin,
    /// There is no such agent as the preferred one, so the ladder begins here.
    #[n(1)]
    PreferredUnknown,
    /// The window of the stage before is over.
    #[n(2)]
    WindowOver,
    /// Somebody sent it here by hand, in place of the stages.
    #[n(3)]
    SentByHand,
}

/// Why one item was offered to one agent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Explanation {
    /// Config version in force.
    #[n(0)]
    pub version: u32,
    /// Revision of the item's attributes that was classified.
    #[n(1)]
    pub revision: u32,
    /// What set off the match.
    #[n(2)]
    pub trigger: Trigger,
    /// The item's priority at that instant.
    #[n(3)]
    pub priority: Priority,
    /// When the item's priority or stage next changes its course.
    #[n(4)]
    pub next_change_at: Option<Timestamp>,
    /// The stage that was active.
    #[n(5)]
    pub stage: Stage,
    /// How many items waited that this agent could have had.
    #[n(6)]
    pub items_considered: u32,
    /// The agent who got it.
    #[n(7)]
    pub winner: Candidate,
    /// The nearest other agents, at most [`NEAREST_MAX`].
    #[n(8)]
    pub nearest: Vec<Candidate>,
    /// How many agents failed each test first.
    #[n(9)]
    pub counts: Vec<ReasonCount>,
    /// What decided between equals.
    #[n(10)]
    pub tie_break: TieBreak,
}

/// An agent who was considered for an item.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Candidate {
    /// The agent.
    #[n(0)]
    pub agent: AgentId,
    /// Sum of the levels in the demanded skills.
    #[n(1)]
    pub level_sum: u32,
    /// Idle since.
    #[n(2)]
    pub idle_since: Timestamp,
    /// First test that failed; `None` for the winner and for agents who fit but stood behind.
    #[n(3)]
    pub failed: Option<Reason>,
}

/// How many agents failed a test first.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ReasonCount {
    /// The test.
    #[n(0)]
    pub reason: Reason,
    /// How many agents.
    #[n(1)]
    pub count: u32,
}

/// Why an agent does not get an item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Does not meet the requirement of any stage reached so far.
    #[n(0)]
    RequirementNotMet,
    /// Is not the preferred agent, and the preferred stage is not over.
    #[n(1)]
    NotPreferred,
    /// Is not the required agent.
    #[n(2)]
    NotRequired,
    /// Is not ready.
    #[n(3)]
    NotReady,
    /// Has no capacity left for this media type.
    #[n(4)]
    NoCapacity,
    /// Declined this item, or let it ring, a short time ago.
    #[n(5)]
    Excluded,
    /// Fits, but another stood before.
    #[n(6)]
    StoodBehind,
}

/// What set off a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Trigger {
    /// The item entered the queue or came back to it.
    #[n(0)]
    ItemArrived,
    /// The agent became free or ready.
    #[n(1)]
    AgentFreed,
    /// A stage began, an exclusion ended, or the config changed.
    #[n(2)]
    TimePassed,
}

/// What decided between equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum TieBreak {
    /// Nothing had to.
    #[n(0)]
    None,
    /// The higher sum of levels.
    #[n(1)]
    HighestLevel,
    /// The longer idle time.
    #[n(2)]
    LongestIdle,
    /// The smaller agent id.
    #[n(3)]
    SmallerId,
}

/// The id of a rule that hit, and its level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleHit {
    /// The rule's stable id.
    pub rule: Name,
    /// The level it stands in.
    pub level: crate::spec::SegmentLevel,
}
