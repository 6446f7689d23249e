//! What an event is about, and its name in API, config and callbacks.

use super::Event;
use crate::agent::AgentProfile;
use crate::id::ItemId;
use crate::name::{AgentId, Name};

impl Event {
    /// The item it is about, if it is about one.
    pub const fn item(&self) -> Option<ItemId> {
        match self {
            Self::Captured { item, .. }
            | Self::Updated { item, .. }
            | Self::RunStarted { item, .. }
            | Self::Enriched { item, .. }
            | Self::Classified { item, .. }
            | Self::ErrorHeld { item, .. }
            | Self::ActivationAwaited { item, .. }
            | Self::Queued { item }
            | Self::Held { item, .. }
            | Self::Resumed { item }
            | Self::Offered { item, .. }
            | Self::Accepted { item, .. }
            | Self::Declined { item, .. }
            | Self::Rona { item, .. }
            | Self::Revoked { item, .. }
            | Self::MarkedDone { item, .. }
            | Self::ConfirmationMissed { item, .. }
            | Self::Completed { item, .. }
            | Self::Canceled { item, .. }
            | Self::Rejected { item, .. }
            | Self::Expired { item }
            | Self::Restarted { item }
            | Self::SlaBreached { item }
            | Self::WrapUpEnded { item, .. }
            | Self::Confirmed { item }
            | Self::Transferred { item, .. }
            | Self::Parked { item, .. }
            | Self::Pulled { item, .. }
            | Self::Returned { item, .. }
            | Self::Retrieved { item, .. }
            | Self::Boosted { item, .. }
            | Self::Escalated { item, .. }
            | Self::SlaWarned { item }
            | Self::Rescheduled { item, .. }
            | Self::Postponed { item, .. } => Some(*item),
            Self::AgentPut { .. }
            | Self::AgentRemoved { .. }
            | Self::PresenceChanged { .. }
            | Self::LoadReported { .. }
            | Self::ConfigActivated { .. }
            | Self::CaptureOperated { .. }
            | Self::ClockStepped { .. }
            | Self::AlertRaised { .. }
            | Self::AlertCleared { .. } => None,
        }
    }

    /// The alert it is about.
    pub const fn alert(&self) -> Option<&Name> {
        match self {
            Self::AlertRaised { alert, .. } | Self::AlertCleared { alert, .. } => Some(alert),
            _ => None,
        }
    }

    /// The agent it is about, or who had the item.
    pub const fn agent(&self) -> Option<&AgentId> {
        match self {
            Self::Offered { agent, .. }
            | Self::Accepted { agent, .. }
            | Self::Declined { agent, .. }
            | Self::Rona { agent, .. }
            | Self::Revoked { agent, .. }
            | Self::MarkedDone { agent, .. }
            | Self::WrapUpEnded { agent, .. }
            | Self::ConfirmationMissed { agent, .. }
            | Self::Pulled { agent, .. }
            | Self::AgentPut { profile: AgentProfile { id: agent, .. } }
            | Self::AgentRemoved { agent }
            | Self::PresenceChanged { agent, .. }
            | Self::LoadReported { agent, .. } => Some(agent),
            Self::Completed { agent, .. }
            | Self::Transferred { agent, .. }
            | Self::Parked { agent, .. }
            | Self::Returned { agent, .. }
            | Self::Retrieved { agent, .. }
            | Self::Escalated { agent, .. }
            | Self::Rescheduled { agent, .. } => agent.as_ref(),
            _ => None,
        }
    }

    /// The event's name in API, config and callbacks.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Captured { .. } => "captured",
            Self::Updated { .. } => "updated",
            Self::RunStarted { .. } => "run_started",
            Self::Enriched { .. } => "enriched",
            Self::Classified { .. } => "classified",
            Self::ErrorHeld { .. } => "error_held",
            Self::ActivationAwaited { .. } => "activation_awaited",
            Self::Queued { .. } => "queued",
            Self::Held { .. } => "held",
            Self::Resumed { .. } => "resumed",
            Self::Offered { .. } => "offered",
            Self::Accepted { .. } => "assigned",
            Self::Declined { .. } => "declined",
            Self::Rona { .. } => "rona",
            Self::Revoked { .. } => "revoked",
            Self::MarkedDone { .. } => "done",
            Self::ConfirmationMissed { .. } => "confirmation_missed",
            Self::Completed { .. } => "completed",
            Self::Canceled { .. } => "canceled",
            Self::Rejected { .. } => "rejected",
            Self::Expired { .. } => "expired",
            Self::Restarted { .. } => "restarted",
            Self::SlaBreached { .. } => "sla_breached",
            Self::WrapUpEnded { .. } => "wrap_up_ended",
            Self::Confirmed { .. } => "confirmed",
            Self::Transferred { .. } => "transferred",
            Self::Parked { .. } => "parked",
            Self::Pulled { .. } => "pulled",
            Self::Returned { .. } => "returned",
            Self::Retrieved { .. } => "retrieved",
            Self::Boosted { .. } => "boosted",
            Self::Escalated { .. } => "escalated",
            Self::SlaWarned { .. } => "sla_warned",
            Self::Rescheduled { .. } => "rescheduled",
            Self::Postponed { .. } => "postponed",
            Self::LoadReported { .. } => "load_reported",
            Self::AgentPut { .. } => "agent_put",
            Self::AgentRemoved { .. } => "agent_removed",
            Self::PresenceChanged { .. } => "presence_changed",
            Self::ConfigActivated { .. } => "config_activated",
            Self::ClockStepped { .. } => "clock_stepped",
            Self::AlertRaised { .. } => "alert_raised",
            Self::AlertCleared { .. } => "alert_cleared",
            Self::CaptureOperated { .. } => "capture_operated",
        }
    }
}

/// Names of the events that a callback may subscribe to, sorted.
pub const CALLBACK_EVENTS: &[&str] = &[
    "alert_cleared",
    "alert_raised",
    "assigned",
    "boosted",
    "canceled",
    "captured",
    "classified",
    "completed",
    "confirmation_missed",
    "declined",
    "done",
    "error_held",
    "escalated",
    "expired",
    "held",
    "offered",
    "parked",
    "pulled",
    "queued",
    "rejected",
    "rescheduled",
    "restarted",
    "resumed",
    "retrieved",
    "returned",
    "revoked",
    "rona",
    "sla_breached",
    "sla_warned",
    "transferred",
    "updated",
    "wrap_up_ended",
];
