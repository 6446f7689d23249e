//! Events: what happened. State is the fold of these.
//!
//! No event carries the value of an attribute, only revision and hash: a journal that held a
//! person's data could never forget that person.

mod about;
mod act;
mod reason;

use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::Serialize;

use crate::agent::{AgentProfile, Presence};
use crate::command::{Classified, ContentHash};
use crate::decision::Explanation;
use crate::id::ItemId;
use crate::name::{AgentId, Name};
use crate::spec::RoutingSpec;
use crate::time::{Millis, Timestamp};
use crate::workbin::{Target, Workbin};

pub use about::CALLBACK_EVENTS;
pub use act::CaptureAct;
pub use reason::{ReturnReason, RevokeReason};

/// Something that happened. `apply` turns it into state without evaluating anything.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An item was captured.
    #[n(0)]
    Captured {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Where.
        #[n(1)]
        capture_point: Name,
        /// Hash of its content.
        #[n(2)]
        #[cbor(with = "minicbor::bytes")]
        #[serde(serialize_with = "as_hex")]
        hash: ContentHash,
        /// The ended item with the same key.
        #[n(3)]
        previous: Option<ItemId>,
        /// Start of its priority curve.
        #[n(4)]
        anchor_at: Timestamp,
    },
    /// The item's attributes changed.
    #[n(1)]
    Updated {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The new revision.
        #[n(1)]
        revision: u32,
    },
    /// A run of look-ups and rules began.
    #[n(2)]
    RunStarted {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The run.
        #[n(1)]
        run: u32,
    },
    /// The look-ups answered.
    #[n(3)]
    Enriched {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The run.
        #[n(1)]
        run: u32,
        /// The revision with the answers in it.
        #[n(2)]
        revision: u32,
    },
    /// The item has a process, or another one than before.
    #[n(4)]
    Classified {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// What the rules said, with `due_at` made final.
        #[n(1)]
        classified: Classified,
    },
    /// A look-up or rule failed; the item is held.
    #[n(5)]
    ErrorHeld {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Why, readable.
        #[n(1)]
        reason: String,
        /// When the hub tries again.
        #[n(2)]
        retry_at: Option<Timestamp>,
    },
    /// The item waits for its activation date.
    #[n(6)]
    ActivationAwaited {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The date.
        #[n(1)]
        until: Timestamp,
    },
    /// The item entered the queue.
    #[n(7)]
    Queued {
        /// The item.
        #[n(0)]
        item: ItemId,
    },
    /// Held.
    #[n(8)]
    Held {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// No longer held.
    #[n(9)]
    Resumed {
        /// The item.
        #[n(0)]
        item: ItemId,
    },
    /// Offered to an agent.
    #[n(10)]
    Offered {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The agent.
        #[n(1)]
        agent: AgentId,
        /// Names this offer.
        #[n(2)]
        epoch: u32,
        /// Then it is RONA.
        #[n(3)]
        expires_at: Timestamp,
        /// Why this item and this agent.
        #[n(4)]
        explanation: Box<Explanation>,
    },
    /// The agent accepted.
    #[n(11)]
    Accepted {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The agent.
        #[n(1)]
        agent: AgentId,
        /// Completion mode `source`: when the source must have confirmed.
        #[n(2)]
        confirm_by: Option<Timestamp>,
    },
    /// The agent declined.
    #[n(12)]
    Declined {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The agent.
        #[n(1)]
        agent: AgentId,
        /// Why.
        #[n(2)]
        reason: String,
        /// Not asked again before.
        #[n(3)]
        until: Timestamp,
    },
    /// The agent did not answer in time.
    #[n(13)]
    Rona {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The agent.
        #[n(1)]
        agent: AgentId,
        /// Not asked again before.
        #[n(2)]
        until: Timestamp,
    },
    /// The offer or assignment was taken back.
    #[n(14)]
    Revoked {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The agent.
        #[n(1)]
        agent: AgentId,
        /// Why.
        #[n(2)]
        reason: RevokeReason,
    },
    /// The agent finished.
    #[n(15)]
    MarkedDone {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The agent.
        #[n(1)]
        agent: AgentId,
        /// What came of it.
        #[n(2)]
        disposition: Option<Name>,
        /// When the source must have confirmed; `None` if nobody waits for that.
        #[n(3)]
        confirm_by: Option<Timestamp>,
        /// When the wrap-up ends at the latest; `None` = there is none.
        #[n(4)]
        wrap_up_until: Option<Timestamp>,
    },
    /// The source did not confirm in time; the item is back in distribution on its old curve.
    #[n(16)]
    ConfirmationMissed {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Who had it.
        #[n(1)]
        agent: AgentId,
    },
    /// Final: completed.
    #[n(17)]
    Completed {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Who marked it done, if anybody.
        #[n(1)]
        agent: Option<AgentId>,
        /// The source's own result.
        #[n(2)]
        result_code: Option<String>,
    },
    /// Final: canceled.
    #[n(18)]
    Canceled {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// Final: rejected.
    #[n(19)]
    Rejected {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// Final: expired.
    #[n(20)]
    Expired {
        /// The item.
        #[n(0)]
        item: ItemId,
    },
    /// Taken out of the queue to be classified anew.
    #[n(21)]
    Restarted {
        /// The item.
        #[n(0)]
        item: ItemId,
    },
    /// The SLA was breached while the item was not done.
    #[n(22)]
    SlaBreached {
        /// The item.
        #[n(0)]
        item: ItemId,
    },
    /// An agent was created or changed.
    #[n(23)]
    AgentPut {
        /// The profile.
        #[n(0)]
        profile: AgentProfile,
    },
    /// An agent was removed.
    #[n(24)]
    AgentRemoved {
        /// The agent.
        #[n(0)]
        agent: AgentId,
    },
    /// An agent's presence changed.
    #[n(25)]
    PresenceChanged {
        /// The agent.
        #[n(0)]
        agent: AgentId,
        /// The new presence.
        #[n(1)]
        presence: Presence,
    },
    /// A config version became the active one.
    #[n(26)]
    ConfigActivated {
        /// The version.
        #[n(0)]
        version: u32,
        /// What the engine needs of it.
        #[cbor(n(1), with = "crate::spec::as_json")]
        #[serde(skip)]
        routing: Arc<RoutingSpec>,
    },
    /// The wall clock jumped by more than a minute; hub time followed, never backwards.
    #[n(27)]
    ClockStepped {
        /// How far the wall clock stood from hub time.
        #[n(0)]
        by: Millis,
    },
    /// The wrap-up ended, by the agent or by time.
    #[n(28)]
    WrapUpEnded {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The agent.
        #[n(1)]
        agent: AgentId,
        /// What came of it.
        #[n(2)]
        disposition: Option<Name>,
    },
    /// The source confirmed during the wrap-up; the item is completed when that ends.
    #[n(29)]
    Confirmed {
        /// The item.
        #[n(0)]
        item: ItemId,
    },
    /// Sent to somebody else, on its old curve.
    #[n(30)]
    Transferred {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Who had it.
        #[n(1)]
        agent: Option<AgentId>,
        /// Where to; never a workbin.
        #[n(2)]
        to: Target,
        /// Who had it is not asked before.
        #[n(3)]
        until: Option<Timestamp>,
        /// For whoever gets it.
        #[n(4)]
        note: Option<String>,
    },
    /// Set aside in a workbin.
    #[n(31)]
    Parked {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Who had it.
        #[n(1)]
        agent: Option<AgentId>,
        /// Where it lies.
        #[n(2)]
        workbin: Workbin,
        /// Then it goes back into distribution.
        #[n(3)]
        until: Option<Timestamp>,
        /// For whoever pulls it.
        #[n(4)]
        note: Option<String>,
        /// `true` if it was laid there in advance: it still waits, open to offers.
        #[cbor(n(5), default)]
        prefilled: bool,
    },
    /// An agent took it from a workbin or chose it from the queue.
    #[n(32)]
    Pulled {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The agent.
        #[n(1)]
        agent: AgentId,
        /// Names this assignment.
        #[n(2)]
        epoch: u32,
        /// Completion mode `source`: when the source must have confirmed.
        #[n(3)]
        confirm_by: Option<Timestamp>,
        /// The workbin it lay in; `None` = it waited in the queue.
        #[n(4)]
        workbin: Option<Workbin>,
        /// How many waiting items that this agent could have had stood before it.
        #[n(5)]
        passed_over: u32,
        /// Why it was taken although the agent had no room.
        #[n(6)]
        over_capacity: Option<String>,
    },
    /// Given back into distribution, on its old curve.
    #[n(33)]
    Returned {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Who had it.
        #[n(1)]
        agent: Option<AgentId>,
        /// The workbin it lay in.
        #[n(2)]
        workbin: Option<Workbin>,
        /// Why.
        #[n(3)]
        why: ReturnReason,
        /// Who had it is not asked before.
        #[n(4)]
        until: Option<Timestamp>,
        /// For whoever gets it.
        #[n(5)]
        note: Option<String>,
    },
    /// A supervisor took it back, from an agent or a workbin.
    #[n(34)]
    Retrieved {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Who had it.
        #[n(1)]
        agent: Option<AgentId>,
        /// The workbin it lay in.
        #[n(2)]
        workbin: Option<Workbin>,
        /// Why.
        #[n(3)]
        reason: String,
        /// Who had it is not asked before.
        #[n(4)]
        until: Option<Timestamp>,
    },
    /// Its boost changed.
    #[n(35)]
    Boosted {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The boost from now on, in whole points.
        #[n(1)]
        points: i64,
    },
    /// An escalation step was reached.
    #[n(36)]
    Escalated {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// The step, as `queue:step`.
        #[n(1)]
        step: Name,
        /// Who had it, if the step took it from them.
        #[n(2)]
        agent: Option<AgentId>,
        /// The boost from now on, in whole points.
        #[n(3)]
        boost: i64,
        /// The queue it was moved to.
        #[n(4)]
        queue: Option<Name>,
        /// The workbin it was moved to.
        #[n(5)]
        workbin: Option<Workbin>,
        /// Text of the alert.
        #[n(6)]
        alert: Option<String>,
    },
    /// The SLA is in danger.
    #[n(37)]
    SlaWarned {
        /// The item.
        #[n(0)]
        item: ItemId,
    },
    /// A new date: taken from its agent or workbin; the wait for the source is over.
    #[n(38)]
    Rescheduled {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// Who had it.
        #[n(1)]
        agent: Option<AgentId>,
    },
    /// The hub was down; deadlines that count running time come later by as much.
    #[n(39)]
    Postponed {
        /// The item.
        #[n(0)]
        item: ItemId,
        /// By how much.
        #[n(1)]
        by: Millis,
    },
    /// Another system said what it carries for an agent.
    #[n(40)]
    LoadReported {
        /// The agent.
        #[n(0)]
        agent: AgentId,
        /// The media type.
        #[n(1)]
        media: Name,
        /// How many there are.
        #[n(2)]
        count: u16,
    },
    /// A live statistic has been over the limit of an alert for as long as the config says.
    #[n(41)]
    AlertRaised {
        /// The alert.
        #[n(0)]
        alert: Name,
        /// The statistic: a number, or milliseconds.
        #[n(1)]
        value: i64,
    },
    /// It no longer is over the limit.
    #[n(42)]
    AlertCleared {
        /// The alert.
        #[n(0)]
        alert: Name,
        /// The statistic: a number, or milliseconds.
        #[n(1)]
        value: i64,
    },
    /// Somebody paused or resumed a capture point, or moved its position.
    #[n(43)]
    CaptureOperated {
        /// The capture point.
        #[n(0)]
        capture_point: Name,
        /// What was done.
        #[n(1)]
        act: CaptureAct,
    },
}

fn as_hex<S: serde::Serializer>(hash: &ContentHash, serializer: S) -> Result<S::Ok, S::Error> {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(32);
    for byte in hash {
        let _ = write!(hex, "{byte:02x}");
    }
    serializer.serialize_str(&hex)
}
