//! How things stood: the journal folded up to an instant.
//!
//! Only the state of that instant and one page of the journal are in memory, beside the live one.
//! A long journal takes a while, so one fold runs at a time and the log tells how far it is.

use std::time::{Duration, Instant};

use gantry_hub::State;
use gantry_model::Timestamp;
use gantry_model::journal::Segment;
use gantry_store::SegmentRow;
use thiserror::Error;
use tokio::task::JoinError;

use crate::app::App;
use crate::problem::Problem;

/// Folds at once; more wait for their turn, or for the end of their time.
pub(crate) const FOLDS_MAX: usize = 1;
/// Commits that are read and applied at once.
const PAGE: u32 = 256;
/// How often the log tells how far a fold is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// The state at an instant.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) state: State,
    /// The last commit that is in it, wholly or in part.
    pub(crate) seq: u64,
}

/// Why the past cannot be told.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum PastError {
    /// The journal could not be read.
    #[error(transparent)]
    Store(#[from] gantry_store::Error),
    /// A segment is none, or contradicts what came before.
    #[error("fold journal segment {seq}: {reason}")]
    Fold {
        /// The segment.
        seq: u64,
        /// What the decoder or the engine says.
        reason: String,
    },
    /// The task that folds ended.
    #[error("fold the journal")]
    Ended(#[from] JoinError),
}

/// Folds the journal from its beginning to `at`, that instant included.
///
/// # Cancel safety
/// Dropping the future stops the fold after the page that it is at.
pub(crate) async fn state_at(app: &App, at: Timestamp) -> Result<Past, PastError> {
    let _turn = app.folds.acquire().await.expect("invariant: the semaphore is never closed");
    let begun = Instant::now();
    let mut told = begun;
    let mut past = Past { state: State::new(0), seq: 0 };
    loop {
        let rows = app.store.segments(past.seq, PAGE).await?;
        let page = tokio::task::spawn_blocking(move || page(past, &rows, at)).await??;
        past = page.0;
        if page.1 {
            break;
        }
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            tracing::info!(seq = past.seq, to = %at, "still folding the journal, to explain");
        }
    }
    let (seq, took) = (past.seq, begun.elapsed());
    tracing::info!(seq, to = %at, ?took, "folded the journal, to explain");
    past.state.sharpen(at);
    Ok(past)
}

/// Applies one page; `true` if that was all.
fn page(mut past: Past, rows: &[SegmentRow], at: Timestamp) -> Result<(Past, bool), PastError> {
    for row in rows {
        let seq = row.seq;
        let broken = |error: &dyn std::fmt::Display| {
            let reason = error.to_string();
            PastError::Fold { seq, reason }
        };
        let segment = Segment::from_slice(&row.segment).map_err(|error| broken(&error))?;
        for entry in &segment.entries {
            if entry.at > at {
                return Ok((past, true));
            }
            past.seq = seq;
            past.state.apply(entry.at, &entry.event).map_err(|error| broken(&error))?;
        }
        past.seq = seq;
    }
    // What ended is not asked for any more.
    drop(past.state.take_changes());
    Ok((past, rows.is_empty()))
}

impl From<PastError> for Problem {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}
