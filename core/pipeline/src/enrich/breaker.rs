//! A circuit breaker: a look-up that keeps failing is left alone for a while, so that the items
//! behind it do not each wait for its time-out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counts failures in a row.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures_max: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Not asked before; one trial is let through then.
    open_until: Option<Instant>,
}

impl Breaker {
    pub(crate) fn new(failures_max: u32, pause: Duration) -> Self {
        Self { failures_max, pause, state: Mutex::default() }
    }

    /// `Err` with the rest of the pause if it is not to be asked now.
    pub(crate) fn check(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.lock();
        let Some(until) = state.open_until else { return Ok(()) };
        let rest = until.saturating_duration_since(now);
        if rest.is_zero() {
            // This caller is the trial; the others wait for what comes of it.
            state.open_until = Some(now + self.pause);
            return Ok(());
        }
        Err(rest)
    }

    pub(crate) fn succeeded(&self) {
        *self.lock() = State::default();
    }

    pub(crate) fn failed(&self, now: Instant) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.failures_max {
            state.open_until = Some(now + self.pause);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
