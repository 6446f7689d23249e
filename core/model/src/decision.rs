//! Decisions and why they fell: a stored value, not a log line.

use std::cmp::Ordering;
use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::name::{AgentId, Name};
use crate::priority::Priority;
use crate::spec::AgentOrder;
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
    /// The item's priority at that instant, boost included.
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
    /// Who stands first in this queue.
    #[n(11)]
    pub order: AgentOrder,
    /// The queue it was offered from; none = that of its own process.
    #[n(12)]
    pub queue: Option<Name>,
    /// The priority schema; none = the source gave a number.
    #[n(13)]
    pub schema: Option<Name>,
    /// Whole points of the priority that were added by hand or by escalation.
    #[n(14)]
    pub boost: i64,
    /// Why the stage began.
    #[n(15)]
    pub stage_cause: StageCause,
    /// When it began.
    #[n(16)]
    pub stage_since: Timestamp,
    /// The flow it belongs to; none if the config divides no shares.
    #[n(17)]
    pub flow: Option<FlowStanding>,
}

/// How the flow of an item stands to the others.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct FlowStanding {
    /// The flow; none = that of all items that belong to no named one.
    #[n(0)]
    pub flow: Option<Name>,
    /// By how much its items stand back behind their priorities, because it had more than its
    /// share; below zero: ahead, because it had less.
    #[n(1)]
    pub handicap: Priority,
    /// Until when it has had as many offers as it may.
    #[n(2)]
    pub limited_until: Option<Timestamp>,
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
    /// How much of the capacity was in use.
    #[n(4)]
    pub load: Load,
}

/// How much of what an agent may carry is in use, over all media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(array)]
pub struct Load {
    /// Interactions that the agent carries, those of other systems too.
    #[n(0)]
    pub used: u16,
    /// How many the agent may carry.
    #[n(1)]
    pub of: u16,
}

impl Load {
    /// Compares the shares in use, exactly. Who may carry nothing is full.
    pub fn by_share(self, other: Self) -> Ordering {
        let share = |load: Self| match load.of {
            0 => (1, 1),
            of => (u32::from(load.used), u32::from(of)),
        };
        let ((used, of), (others, others_of)) = (share(self), share(other));
        (used * others_of).cmp(&(others * of))
    }
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

/// Why an agent does not get an item. The order is that of the tests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Does not meet the requirement of any stage reached so far.
    #[n(0)]
    RequirementNotMet,
    /// Is not the preferred agent, and the preferred stage is not over.
    #[n(1)]
    NotPreferred,
    /// Is not the agent, or not among those, whom the item is for.
    #[n(2)]
    NotRequired,
    /// Does not work in this queue.
    #[n(7)]
    QueueInactive,
    /// Takes nothing of this media type.
    #[n(8)]
    MediaNotTaken,
    /// Is not ready.
    #[n(3)]
    NotReady,
    /// Carries something beside which nothing of this media type is offered.
    #[n(9)]
    Blocked {
        /// Its media type.
        #[n(0)]
        by: Name,
    },
    /// Has no capacity left for this media type. Among very many agents this stands for all who
    /// are ready and cannot take it now.
    #[n(4)]
    NoCapacity,
    /// Signed on a short time ago and is offered work one by one.
    #[n(10)]
    RampUp {
        /// Until when nothing is offered.
        #[n(0)]
        until: Timestamp,
    },
    /// Declined this item, or let it ring, a short time ago.
    #[n(5)]
    Excluded,
    /// Could have it, but its flow has had as many offers as it may for now.
    #[n(11)]
    RateLimited {
        /// Until when.
        #[n(0)]
        until: Timestamp,
    },
    /// Fits, but another stood before.
    #[n(6)]
    StoodBehind,
}

impl Reason {
    /// The reason without the instant at which it ends: what agents are counted under.
    #[must_use]
    pub fn kind(self) -> Self {
        let until = Timestamp::default();
        match self {
            Self::RampUp { .. } => Self::RampUp { until },
            Self::RateLimited { .. } => Self::RateLimited { until },
            other => other,
        }
    }
}

impl fmt::Display for Reason {
    /// A verb and what follows it: "is not ready".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = |f: &mut fmt::Formatter<'_>, what: &str, until: &Timestamp| {
            f.write_str(what)?;
            if *until == Timestamp::default() { Ok(()) } else { write!(f, " until {until}") }
        };
        f.write_str(match self {
            Self::RequirementNotMet => "does not meet the requirement of any stage so far",
            Self::NotPreferred => "is not the preferred agent, who is waited for",
            Self::NotRequired => "is not whom it is for",
            Self::QueueInactive => "does not work in this queue",
            Self::MediaNotTaken => "takes nothing of this media type",
            Self::NotReady => "is not ready",
            Self::NoCapacity => "has no capacity left",
            Self::Excluded => "declined it, or let it ring, a short time ago",
            Self::StoodBehind => "fits, but stood behind",
            Self::Blocked { by } => return write!(f, "takes none of it beside {by}"),
            Self::RampUp { until: at } => {
                return until(f, "signed on a short time ago and is offered nothing", at);
            }
            Self::RateLimited { until: at } => {
                return until(f, "would get it, but its flow has had its offers", at);
            }
        })
    }
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
    /// The smaller share of capacity in use.
    #[n(4)]
    LeastLoaded,
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
