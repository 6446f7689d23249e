//! The pause of a callback as a whole, while its source is down.

use std::time::Duration;

use tokio::time::Instant;

/// Until when no call is made.
#[derive(Debug, Default)]
pub(super) struct Down {
    until: Option<Instant>,
    /// The source answers again, so the pause was cut short; that is when it would have ended.
    planned: Option<Instant>,
    may_hurry: bool,
}

impl Down {
    /// No call before; `None`: it is not down, or the pause is over.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    /// A call went through.
    pub(super) fn is_over(&mut self) {
        self.planned = None;
    }

    /// A pause that ends at its time, whatever happens.
    pub(super) fn wait(&mut self, until: Instant) {
        *self = Self { until: Some(until), planned: None, may_hurry: false };
    }

    /// A pause that is cut short when the source answers again; but where the one before was cut
    /// short in vain, the rest of that one.
    pub(super) fn back_off(&mut self, now: Instant, pause: impl FnOnce() -> Duration) {
        match self.planned.filter(|planned| *planned > now) {
            Some(planned) => self.wait(planned),
            None => *self = Self { until: Some(now + pause()), planned: None, may_hurry: true },
        }
    }

    /// The source answers again.
    pub(super) fn hurry(&mut self, soon: Instant) {
        if let Some(until) = self.until.filter(|until| self.may_hurry && soon < *until) {
            *self = Self { until: Some(soon), planned: Some(until), may_hurry: false };
        }
    }
}

#[cfg(test)]
mod tests;
