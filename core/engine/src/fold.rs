//! Replay: the state as the fold of the journal.

use gantry_model::PartitionId;
use gantry_model::journal::{Entry, Segment};
use thiserror::Error;

use crate::facts::ApplyError;
use crate::state::State;

/// Why a journal does not fold.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FoldError {
    /// A segment is missing or out of order.
    #[error("fold journal segment {found}: segment {expected} comes next")]
    Gap {
        /// The segment that should have come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// An event does not apply.
    #[error("fold journal segment {segment}")]
    Apply {
        /// The segment.
        segment: u64,
        /// Why.
        #[source]
        source: ApplyError,
    },
}

/// Folds a journal from its first segment on. The facts equal those of the state that wrote it;
/// [`State::take_changes`] of the result gives the latest form of every item that ever was.
///
/// # Errors
/// [`FoldError`] if the journal has a gap or contradicts itself; the store is damaged then.
pub fn fold<'a>(
    partition: PartitionId,
    segments: impl IntoIterator<Item = &'a Segment>,
) -> Result<State, FoldError> {
    let mut state = State::new(partition);
    for (expected, segment) in (1..).zip(segments) {
        if segment.seq != expected {
            return Err(FoldError::Gap { expected, found: segment.seq });
        }
        replay(&mut state, &segment.entries)
            .map_err(|source| FoldError::Apply { segment: segment.seq, source })?;
    }
    Ok(state)
}

/// Applies journal entries to a state, evaluating nothing.
///
/// # Errors
/// [`ApplyError`] at the first event that does not belong to the state.
pub fn replay(state: &mut State, entries: &[Entry]) -> Result<(), ApplyError> {
    for entry in entries {
        state.apply(entry.at, &entry.event)?;
    }
    Ok(())
}
