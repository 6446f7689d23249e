//! The work item as the engine keeps it: a fact without attributes.

use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::Serialize;

use crate::decision::Stage;
use crate::id::ItemId;
use crate::name::{AgentId, Name};
use crate::requirement::Requirement;
use crate::spec::Sla;
use crate::time::Timestamp;
use crate::workbin::Workbin;

/// A work item. Its canonical bytes are the CBOR encoding of this struct.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct WorkItem {
    /// The hub's id.
    #[n(0)]
    pub id: ItemId,
    /// Counts the changes of attributes, from 1; names the document that is current.
    #[n(1)]
    pub revision: u32,
    /// Counts the runs of look-ups and rules, from 1; an answer of an older run is dropped.
    #[n(2)]
    pub run: u32,
    /// `true` while a run of look-ups and rules is under way; boot re-starts it.
    #[n(3)]
    pub run_open: bool,
    /// Where the item was captured.
    #[n(4)]
    pub capture_point: Name,
    /// The ended item with the same key that this one follows.
    #[n(5)]
    pub previous: Option<ItemId>,
    /// First axis of the status.
    #[n(6)]
    pub life_cycle: LifeCycle,
    /// Second axis of the status.
    #[n(7)]
    pub hold: Hold,
    /// Third axis of the status.
    #[n(8)]
    pub assignment: Assignment,
    /// Counts offers and their ends; an action that names another epoch is stale and refused.
    #[n(9)]
    pub epoch: u32,
    /// When the hub captured it.
    #[n(10)]
    pub captured_at: Timestamp,
    /// When it first entered the queue.
    #[n(11)]
    pub queued_at: Option<Timestamp>,
    /// In routing since: set when it enters the queue, kept when an offer or an agent gives it
    /// back. Breaks ties of equal priority and anchors the stages.
    #[n(12)]
    pub routing_at: Option<Timestamp>,
    /// Where the priority curve starts: activation, else capture.
    #[n(13)]
    pub anchor_at: Timestamp,
    /// Not distributed before this instant.
    #[n(14)]
    pub activation_at: Option<Timestamp>,
    /// When the SLA ends.
    #[n(15)]
    pub due_at: Option<Timestamp>,
    /// When it expires.
    #[n(16)]
    pub expires_at: Option<Timestamp>,
    /// What classification found; shared between items that were classified alike.
    #[cbor(n(17), with = "crate::item::shared")]
    pub class: Option<Arc<Classification>>,
    /// Constant priority given by the source, which stands unless a rule named a schema.
    #[n(18)]
    pub priority: Option<i64>,
    /// Tried first.
    #[n(19)]
    pub preferred_agent: Option<AgentId>,
    /// The only agent who may have it.
    #[n(20)]
    pub required_agent: Option<AgentId>,
    /// Agents who declined or let it ring, and until when they are not asked again.
    #[n(21)]
    pub exclusions: Vec<Exclusion>,
    /// When the SLA was first seen breached.
    #[n(22)]
    pub breached_at: Option<Timestamp>,
    /// What expressions said of the schema's start, minimum and maximum.
    #[n(23)]
    pub bounds: Option<Box<PriorityBounds>>,
    /// Whole points added by hand or by escalation, above whatever the curve gives.
    #[n(24)]
    pub boost: i64,
    /// The queue it was transferred to; none = that of its process.
    #[n(25)]
    pub queue: Option<Name>,
    /// Whom it was sent to by hand, in place of its route's stages.
    #[n(26)]
    pub target: Option<Requirement>,
    /// Escalation steps that it has been through, as `queue:step`.
    #[n(27)]
    pub escalated: Vec<Name>,
    /// How often it was declined or left unanswered.
    #[n(28)]
    pub declines: u32,
    /// When its SLA was called in danger.
    #[n(29)]
    pub warned_at: Option<Timestamp>,
}

/// Whole points that expressions of a schema gave for one item; none = the schema's constant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PriorityBounds {
    /// Value at the anchor.
    #[n(0)]
    pub start: Option<i64>,
    /// Never below.
    #[n(1)]
    pub min: Option<i64>,
    /// Never above.
    #[n(2)]
    pub max: Option<i64>,
}

/// First axis: how far the item has come. Final states never change again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum LifeCycle {
    /// Durable; look-ups are running.
    #[n(0)]
    Captured,
    /// Look-ups have answered; rules have not yet (or failed: see [`Hold::Error`]).
    #[n(1)]
    Enriched,
    /// Has a process; not yet in the queue (waits for activation).
    #[n(2)]
    Classified,
    /// In the universal queue, or with an agent: see [`Assignment`].
    #[n(3)]
    Queued,
    /// Final: done and, where asked for, confirmed by the source.
    #[n(4)]
    Completed,
    /// Final: withdrawn by the source or a supervisor.
    #[n(5)]
    Canceled,
    /// Final: its department or process is outside its dates.
    #[n(6)]
    Rejected,
    /// Final: its expiration date passed.
    #[n(7)]
    Expired,
}

/// Second axis: what keeps the item from being distributed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Hold {
    /// Nothing.
    #[n(0)]
    None,
    /// Held until someone resumes it.
    #[n(1)]
    Held {
        /// Since when.
        #[n(0)]
        since: Timestamp,
        /// Why, in the words of whoever held it.
        #[n(1)]
        reason: String,
    },
    /// Held by a look-up or rule error.
    #[n(2)]
    Error {
        /// Since when.
        #[n(0)]
        since: Timestamp,
        /// What failed, readable.
        #[n(1)]
        reason: String,
        /// When the hub tries again by itself; `None` = only on resume.
        #[n(2)]
        retry_at: Option<Timestamp>,
    },
    /// Waits for its activation date.
    #[n(3)]
    Activation {
        /// The activation date.
        #[n(0)]
        until: Timestamp,
    },
}

/// Third axis: whose the item is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Assignment {
    /// Nobody's.
    #[n(0)]
    None,
    /// Reserved for one agent, who has until `expires_at` to accept.
    #[n(1)]
    Offered {
        /// The agent.
        #[n(0)]
        agent: AgentId,
        /// Since when.
        #[n(1)]
        at: Timestamp,
        /// Then it is RONA.
        #[n(2)]
        expires_at: Timestamp,
        /// The stage it was offered in.
        #[n(3)]
        stage: Stage,
    },
    /// Accepted; the agent works on it.
    #[n(2)]
    Assigned {
        /// The agent.
        #[n(0)]
        agent: AgentId,
        /// Since when.
        #[n(1)]
        at: Timestamp,
        /// Completion mode `source` only: then the item goes back into distribution.
        #[n(2)]
        confirm_by: Option<Timestamp>,
    },
    /// Marked done; waits for the confirmation of the source.
    #[n(3)]
    Confirming {
        /// Who marked it done.
        #[n(0)]
        agent: AgentId,
        /// When.
        #[n(1)]
        at: Timestamp,
        /// Then the item goes back into distribution, on the same curve.
        #[n(2)]
        confirm_by: Timestamp,
        /// What the agent said.
        #[n(3)]
        disposition: Option<Name>,
    },
    /// Set aside in a workbin; its curve goes on, but nobody is offered it.
    #[n(4)]
    Parked {
        /// Where it lies.
        #[n(0)]
        workbin: Workbin,
        /// The agent who had it before.
        #[n(1)]
        by: Option<AgentId>,
        /// Since when.
        #[n(2)]
        at: Timestamp,
        /// Then it goes back into distribution; `None` = only the process's limit counts.
        #[n(3)]
        until: Option<Timestamp>,
        /// `true` if it was laid there in advance: it still waits, open to offers.
        #[cbor(n(4), default)]
        prefilled: bool,
    },
    /// Marked done; the agent gives the disposition and still counts as busy with it.
    #[n(5)]
    WrapUp {
        /// The agent.
        #[n(0)]
        agent: AgentId,
        /// When it was marked done.
        #[n(1)]
        at: Timestamp,
        /// Then the wrap-up ends by itself.
        #[n(2)]
        until: Timestamp,
        /// What the agent said so far.
        #[n(3)]
        disposition: Option<Name>,
        /// When the source must have confirmed; `None` if nobody waits for that.
        #[n(4)]
        confirm_by: Option<Timestamp>,
    },
}

/// An agent who is not asked again before an instant.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Exclusion {
    /// The agent.
    #[n(0)]
    pub agent: AgentId,
    /// Until when.
    #[n(1)]
    pub until: Timestamp,
}

/// What segmentation found, pinned to the item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
pub struct Classification {
    /// The config version whose rules were asked.
    #[n(0)]
    pub version: u32,
    /// Ids of the rules that hit, in the order of their levels.
    #[n(1)]
    pub rules: Vec<Name>,
    /// The process, as `department/process`.
    #[n(2)]
    pub process: Name,
    /// The priority schema, looked up by name in the active version.
    #[n(3)]
    pub schema: Name,
    /// The SLA, if a rule or the process gave one.
    #[n(4)]
    pub sla: Option<Sla>,
    /// What the item itself asks for (requested skill, requested group), beside its route.
    #[n(5)]
    pub requirement: Option<Requirement>,
    /// Media type; `workitem` unless the source says otherwise.
    #[n(6)]
    pub media_type: Name,
    /// The flow that shares agents with others; none = the one of all items that have none.
    #[n(7)]
    pub flow: Option<Name>,
}

impl WorkItem {
    /// An item just captured: nothing is known of it but its place and time.
    pub fn new(id: ItemId, capture_point: Name, captured_at: Timestamp) -> Self {
        Self {
            id,
            revision: 1,
            run: 0,
            run_open: false,
            capture_point,
            previous: None,
            life_cycle: LifeCycle::Captured,
            hold: Hold::None,
            assignment: Assignment::None,
            epoch: 0,
            captured_at,
            queued_at: None,
            routing_at: None,
            anchor_at: captured_at,
            activation_at: None,
            due_at: None,
            expires_at: None,
            class: None,
            priority: None,
            preferred_agent: None,
            required_agent: None,
            exclusions: Vec::new(),
            breached_at: None,
            bounds: None,
            boost: 0,
            queue: None,
            target: None,
            escalated: Vec::new(),
            declines: 0,
            warned_at: None,
        }
    }

    /// `true` if the item has reached a final state.
    pub const fn ended(&self) -> bool {
        self.life_cycle.ended()
    }

    /// The agent the item is offered or assigned to, or who marked it done.
    pub const fn agent(&self) -> Option<&AgentId> {
        match &self.assignment {
            Assignment::None | Assignment::Parked { .. } => None,
            Assignment::Offered { agent, .. }
            | Assignment::Assigned { agent, .. }
            | Assignment::WrapUp { agent, .. }
            | Assignment::Confirming { agent, .. } => Some(agent),
        }
    }

    /// The agent whose capacity it takes: offered, assigned or in wrap-up.
    pub const fn occupies(&self) -> Option<&AgentId> {
        match &self.assignment {
            Assignment::Offered { agent, .. }
            | Assignment::Assigned { agent, .. }
            | Assignment::WrapUp { agent, .. } => Some(agent),
            Assignment::None | Assignment::Parked { .. } | Assignment::Confirming { .. } => None,
        }
    }

    /// The workbin it lies in.
    pub const fn workbin(&self) -> Option<&Workbin> {
        match &self.assignment {
            Assignment::Parked { workbin, .. } => Some(workbin),
            _ => None,
        }
    }

    /// The queue it is in: that of its process, or the one it was transferred to.
    pub fn queue(&self) -> Option<&Name> {
        self.queue.as_ref().or_else(|| self.process())
    }

    /// The process, once classified.
    pub fn process(&self) -> Option<&Name> {
        self.class.as_ref().map(|class| &class.process)
    }

    /// `true` if it is open to offers: it waits in the queue, maybe laid in a workbin in advance.
    pub const fn waiting(&self) -> bool {
        matches!(self.life_cycle, LifeCycle::Queued)
            && matches!(self.hold, Hold::None)
            && matches!(
                self.assignment,
                Assignment::None | Assignment::Parked { prefilled: true, .. }
            )
    }

    /// The agent in whose workbin it was laid in advance.
    pub const fn prefilled(&self) -> Option<&AgentId> {
        match &self.assignment {
            Assignment::Parked { workbin: Workbin::Agent(agent), prefilled: true, .. } => {
                Some(agent)
            }
            _ => None,
        }
    }
}

impl LifeCycle {
    /// `true` for the four final states.
    pub const fn ended(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled | Self::Rejected | Self::Expired)
    }

    /// The state in the words of API and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Enriched => "enriched",
            Self::Classified => "classified",
            Self::Queued => "queued",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

impl Hold {
    /// The hold in the words of API and pages.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Held { .. } => "held",
            Self::Error { .. } => "error",
            Self::Activation { .. } => "activation",
        }
    }
}

impl Assignment {
    /// The assignment in the words of API and pages.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Offered { .. } => "offered",
            Self::Assigned { .. } => "assigned",
            Self::Confirming { .. } => "confirming",
            Self::Parked { .. } => "parked",
            Self::WrapUp { .. } => "wrap_up",
        }
    }
}

impl Classification {
    /// The department: the process name up to its first slash.
    pub fn department(&self) -> &str {
        self.process.split_once('/').map_or(self.process.as_str(), |(department, _)| department)
    }
}

/// CBOR of an optional shared value: the same bytes as without sharing.
pub(crate) mod shared {
    use std::sync::Arc;

    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decode, Decoder, Encode, Encoder};

    #[expect(clippy::ref_option, reason = "the derive of minicbor calls it so")]
    pub(crate) fn encode<C, T: Encode<C>, W: Write>(
        value: &Option<Arc<T>>,
        e: &mut Encoder<W>,
        cx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        match value {
            Some(value) => value.as_ref().encode(e, cx),
            None => e.null()?.ok(),
        }
    }

    pub(crate) fn decode<'b, C, T: Decode<'b, C>>(
        d: &mut Decoder<'b>,
        cx: &mut C,
    ) -> Result<Option<Arc<T>>, DecodeError> {
        Ok(Option::<T>::decode(d, cx)?.map(Arc::new))
    }
}
