//! Pauses between attempts: exponential, with full jitter, so that many who failed together do not
//! come back together.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::limits::Limits;

/// Growing pauses; a success starts them anew.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (first, longest) = (limits.pause_first, limits.pause_longest);
        Self { first, longest, next: first }
    }

    /// The pause before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        jitter(pause)
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A random span between nothing and `most`.
pub(crate) fn jitter(most: Duration) -> Duration {
    // The standard library keys each `RandomState` differently: random enough to spread attempts.
    let random = RandomState::new().build_hasher().finish();
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX - 1);
    Duration::from_micros(random % (micros + 1))
}
