//! What one subscriber has counted and measured.

use std::sync::Arc;

use gantry_model::{Name, Timestamp};

use super::lanes::Lanes;
use crate::meter::{Meter, Operations};
use crate::status::{CallbackStatus, Count, Pulse};

/// Counts of one subscriber, for whoever asks how it is.
#[derive(Debug)]
pub(super) struct CallbackCounts {
    source: Name,
    pub(super) pulse: Pulse,
    pub(super) delivered: Count,
    pub(super) retried: Count,
    pub(super) dead: Count,
    lanes_retrying: Count,
    lanes_dead: Count,
    cursor_seq: Count,
    open: Count,
    /// Unix milliseconds, while something is open.
    oldest_open_at: Count,
    pub(super) lag: Meter,
    pub(super) operations: Arc<Operations>,
}

impl CallbackCounts {
    pub(super) fn new(source: Name) -> Self {
        Self {
            source,
            pulse: Pulse::default(),
            delivered: Count::default(),
            retried: Count::default(),
            dead: Count::default(),
            lanes_retrying: Count::default(),
            lanes_dead: Count::default(),
            cursor_seq: Count::default(),
            open: Count::default(),
            oldest_open_at: Count::default(),
            lag: Meter::late(),
            operations: Arc::default(),
        }
    }

    /// Where the subscriber stands.
    pub(super) fn stands(&self, lanes: &Lanes) {
        let (open, retrying) = lanes.pending();
        self.lanes_retrying.set(retrying as u64);
        self.lanes_dead.set(lanes.dead() as u64);
        self.cursor_seq.set(lanes.cursor().0);
        self.open.set(open as u64);
        if let Some(at) = lanes.oldest_open_at() {
            self.oldest_open_at.set(at.0.max(0) as u64);
        }
    }

    pub(super) fn status(&self) -> CallbackStatus {
        let open = self.open.read();
        let oldest_open_at = Timestamp(self.oldest_open_at.read() as i64);
        CallbackStatus {
            source: self.source.clone(),
            health: self.pulse.read(),
            delivered: self.delivered.read(),
            retried: self.retried.read(),
            dead: self.dead.read(),
            lanes_retrying: self.lanes_retrying.read(),
            lanes_dead: self.lanes_dead.read(),
            cursor_seq: self.cursor_seq.read(),
            open,
            oldest_open_at: (open > 0).then_some(oldest_open_at),
            lag: self.lag.read(),
            in_flight: self.operations.in_flight(),
            operations: self.operations.read(),
        }
    }
}
