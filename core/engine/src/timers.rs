//! Timers of an item: instants at which something happens to it by itself.

use gantry_model::{Assignment, Hold, Timestamp, WorkItem};

/// What a timer does. Of several at one instant the first in this order fires first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The SLA ends.
    Breach,
    /// The activation date comes.
    Activation,
    /// An offer was not answered.
    Offer,
    /// The source did not confirm.
    Confirmation,
    /// A failed run is tried again.
    Retry,
    /// The expiration date comes.
    Expiry,
}

/// The next timer of an item and when it fires.
pub(crate) fn next(item: &WorkItem) -> Option<(Timestamp, Timer)> {
    let confirming = matches!(item.assignment, Assignment::Confirming { .. });
    // An agent has finished; only the source's word is missing. Neither the SLA nor the
    // expiration date runs while it is waited for.
    let open = |at: Option<Timestamp>| at.filter(|_| !confirming);
    let breach = open(item.due_at).filter(|_| item.breached_at.is_none());
    let hold = match &item.hold {
        Hold::Activation { until } => Some((*until, Timer::Activation)),
        Hold::Error { retry_at, .. } => retry_at.map(|at| (at, Timer::Retry)),
        Hold::None | Hold::Held { .. } => None,
    };
    let assignment = match &item.assignment {
        Assignment::Offered { expires_at, .. } => Some((*expires_at, Timer::Offer)),
        Assignment::Assigned { confirm_by, .. } => confirm_by.map(|at| (at, Timer::Confirmation)),
        Assignment::Confirming { confirm_by, .. } => Some((*confirm_by, Timer::Confirmation)),
        Assignment::None => None,
    };
    let expiry = open(item.expires_at).map(|at| (at, Timer::Expiry));
    [breach.map(|at| (at, Timer::Breach)), hold, assignment, expiry].into_iter().flatten().min()
}
