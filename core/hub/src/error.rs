//! Why a submission got no reply.

use thiserror::Error;

/// Why the hub gave no reply. What was submitted is not committed, unless said otherwise.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The store does not take commits at the moment (full disk, lost connection). The hub
    /// retries by itself; try again later.
    #[error("the store does not take commits at the moment: {reason}")]
    Unavailable {
        /// What the store said.
        reason: String,
    },
    /// More work is queued up than the hub's bound; try again after a moment.
    #[error("the hub has {waiting} submissions waiting; try again in a moment")]
    Overloaded {
        /// How many submissions wait.
        waiting: usize,
    },
    /// The hub is stopping or has stopped. A submission that was already accepted may or may not
    /// be committed: repeat it after the restart; captures are recognised as repeats.
    #[error("the hub has stopped")]
    Stopped,
    /// The store is lost for good: another hub has taken over, or it is damaged.
    #[error("the store cannot be used any more: {reason}")]
    Fatal {
        /// What the store said.
        reason: String,
    },
}
