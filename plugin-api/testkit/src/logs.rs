//! The log lines of the plug-in under test, kept for the cases that look into them.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Lines kept; older ones make room.
const N_LINES_MAX: usize = 20_000;

/// What was logged in this process, as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logs(Arc<Mutex<VecDeque<String>>>);

impl Logs {
    /// Listens from here on; none if the process has another listener.
    pub(crate) fn listen() -> Option<Self> {
        let logs = Self::default();
        let set = tracing::subscriber::set_global_default(Listener(logs.clone()));
        set.is_ok().then_some(logs)
    }

    /// Forgets all lines.
    pub(crate) fn clear(&self) {
        self.lines().clear();
    }

    /// All lines.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lines().iter().cloned().collect()
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Listener(Logs);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::DEBUG
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut line = Line::default();
        attributes.record(&mut line);
        self.keep(line);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line::default();
        values.record(&mut line);
        self.keep(line);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{}: ", event.metadata().target()));
        event.record(&mut line);
        self.keep(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Listener {
    fn keep(&self, Line(line): Line) {
        let mut lines = self.0.lines();
        if lines.len() >= N_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "{field}={value:?} "); // writing to a string cannot fail
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, "{field}={value} ");
    }
}
