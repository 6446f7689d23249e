//! When a polled source is asked: every so often, or by the calendar; each time a little later, at
//! random, so that many sources are not asked at the same instant.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use gantry_model::spec::CaptureSpec;
use gantry_model::{Cron, Millis, Timestamp};

use crate::backoff::jitter;

/// When a source is asked next.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    /// A time comes at most so much later.
    jitter: Duration,
}

#[derive(Clone, Debug)]
enum Pace {
    /// This long after the last answer.
    Every(Millis),
    /// At times of day. Those that pass while the source is asked are left out.
    Cron(Arc<Cron>),
}

impl Schedule {
    /// The schedule of a capture point; `None` if it has none.
    pub(crate) fn new(spec: &CaptureSpec) -> Option<Self> {
        let (pace, usual) = match (spec.every, &spec.cron) {
            (Some(every), _) => (Pace::Every(every), every.to_std() / 10),
            (None, Some(cron)) => {
                let cron = Cron::new(cron).expect("invariant: the config check read the schedule");
                (Pace::Cron(Arc::new(cron)), Duration::ZERO)
            }
            (None, None) => return None,
        };
        let jitter = spec.jitter.map_or(usual, Millis::to_std);
        Some(Self { pace, jitter })
    }

    /// `true` if a source is asked as soon as it can be, also before the first time.
    pub(crate) const fn begins_at_once(&self) -> bool {
        matches!(self.pace, Pace::Every(_))
    }

    /// When the source is asked next; `None`: never again.
    pub(crate) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let next = match &self.pace {
            Pace::Every(every) => now.plus(*every),
            Pace::Cron(cron) => cron.next_after(now)?,
        };
        Some(next.plus(Millis(jitter(self.jitter).as_millis() as i64)))
    }
}
