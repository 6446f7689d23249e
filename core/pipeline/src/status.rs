//! How the parts of the pipeline are: what each does, its last trouble, what it has counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gantry_model::{Name, Timestamp};
use serde::Serialize;

use crate::control::Paused;
use crate::leases::LeaseStatus;
use crate::meter::{Histogram, OperationStatus};
use crate::outcome::{Change, Outcome, Settled};
use crate::port::Trouble;

/// How the whole pipeline is, at one instant.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Sources.
    pub sources: BTreeMap<Name, SourceStatus>,
    /// Capture points.
    pub captures: BTreeMap<Name, CaptureStatus>,
    /// Look-ups.
    pub lookups: BTreeMap<Name, LookupStatus>,
    /// Callbacks.
    pub callbacks: BTreeMap<Name, CallbackStatus>,
    /// Runs of look-ups and rules.
    pub runs: RunStatus,
}

/// A source: a plug-in with a configuration.
#[derive(Clone, Debug, Serialize)]
pub struct SourceStatus {
    /// Its plug-in.
    pub plugin: Name,
    /// The plug-in's version; `None` if it could not be loaded.
    pub version: Option<String>,
    /// How it is.
    pub state: SourceState,
    /// Operations under way, streams among them.
    pub in_flight: u64,
    /// Answers and batches that broke the protocol.
    pub violations: u64,
    /// How often its instance was made anew, after a panic or because its credentials expired.
    pub renewals: u64,
    /// Its process; `None` if it runs in the hub's own.
    pub process: Option<ProcessStatus>,
}

/// What a source does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Its plug-in could not be loaded.
    Missing,
    /// Nothing was asked of it yet.
    Idle,
    /// Takes operations.
    Running,
    /// Finishes what is begun, or has done so.
    Stopped,
    /// An operation panicked, and it could not be made anew yet.
    Poisoned,
    /// Its process failed and is started again.
    Restarting,
    /// Its process failed too often and is not started again by itself.
    Quarantined,
}

/// The process of a source.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessStatus {
    /// Its number; `None` while there is none.
    pub id: Option<u32>,
    /// How often it was started again.
    pub restarts: u64,
    /// How often it was given up.
    pub quarantines: u64,
    /// Why the last one failed.
    pub last_failure: Option<Failure>,
    /// Time of the processors that it, what it started and those before it took.
    pub cpu_seconds: f64,
    /// Resident memory of it and what it started.
    pub memory_bytes: u64,
    /// It and what it started.
    pub processes: u64,
}

/// How a process failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// Why, readable.
    pub reason: String,
}

/// A capture point.
#[derive(Clone, Debug, Serialize)]
pub struct CaptureStatus {
    /// Its source, if the hub reads one for it or a plug-in understands its requests.
    pub source: Option<Name>,
    /// How it is.
    #[serde(flatten)]
    pub health: Health,
    /// How it gets its records: `poll`, `stream` or `requests`.
    pub feed: &'static str,
    /// When its source is asked next; `None` while it is asked, and where no schedule says so.
    pub next_at: Option<Timestamp>,
    /// Since when it is paused, by whom, and why.
    pub paused: Option<Paused>,
    /// What became of its records since the start.
    #[serde(flatten)]
    pub counts: RecordCounts,
    /// Payloads of the records that came in.
    pub bytes: u64,
    /// From when new content happened in the source, where the source says so, to when it was
    /// durable here.
    pub lag: Histogram,
    /// From when a batch came to when it was durable.
    pub settling: Histogram,
    /// When the batch came that its source waits for the longest to hear of.
    pub oldest_unacknowledged_at: Option<Timestamp>,
    /// Records that the source may send before it is granted more; `None` where it does not
    /// stream.
    pub credit: Option<u64>,
    /// What its source has only lent; `None` where it lends nothing.
    pub leases: Option<LeaseStatus>,
    /// Operations under way.
    pub in_flight: u64,
    /// What its plug-in was asked for, since the start.
    pub operations: Vec<OperationStatus>,
}

/// A look-up.
#[derive(Clone, Debug, Serialize)]
pub struct LookupStatus {
    /// Its source; that of the hub's own history is empty.
    pub source: Name,
    /// How it is.
    #[serde(flatten)]
    pub health: Health,
    /// Questions that were sent, retries included.
    pub asked: u64,
    /// Questions that were answered from the cache, or together with another one.
    pub cached: u64,
    /// Questions without an answer after all retries.
    pub failed: u64,
    /// Operations under way.
    pub in_flight: u64,
    /// What its plug-in was asked for, since the start.
    pub operations: Vec<OperationStatus>,
}

/// A callback.
#[derive(Clone, Debug, Serialize)]
pub struct CallbackStatus {
    /// Its source.
    pub source: Name,
    /// How it is.
    #[serde(flatten)]
    pub health: Health,
    /// Events that were delivered.
    pub delivered: u64,
    /// Attempts that are tried again.
    pub retried: u64,
    /// Events that became dead letters.
    pub dead: u64,
    /// Lanes that wait for another attempt.
    pub lanes_retrying: u64,
    /// Lanes that wait for a person.
    pub lanes_dead: u64,
    /// The commit up to which all is delivered, or in a lane.
    pub cursor_seq: u64,
    /// Events that were read from the journal and are not delivered, without those of lanes with
    /// trouble.
    pub open: u64,
    /// When the oldest of them happened.
    pub oldest_open_at: Option<Timestamp>,
    /// From when something happened to when it was delivered.
    pub lag: Histogram,
    /// Operations under way.
    pub in_flight: u64,
    /// What its plug-in was asked for, since the start.
    pub operations: Vec<OperationStatus>,
}

/// Runs of look-ups and rules.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RunStatus {
    /// Runs that ended.
    pub ended: u64,
    /// Runs that ended in vain, because the item had moved on.
    pub stale: u64,
    /// Runs that ended with a failure.
    pub failed: u64,
    /// Runs under way.
    pub under_way: u64,
}

/// How a part is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Health {
    /// What it does at the moment.
    pub state: State,
    /// When it last succeeded.
    pub last_ok_at: Option<Timestamp>,
    /// Its last trouble, also if it is over.
    pub last_error: Option<LastError>,
}

/// What a part does at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing yet.
    #[default]
    Idle,
    /// Works.
    Running,
    /// Had trouble and tries again by itself.
    BackingOff,
    /// Had trouble that a person has to see to; tries again only after long pauses.
    Stopped,
    /// Somebody paused it.
    Paused,
}

/// A part's last trouble.
#[derive(Clone, Debug, Serialize)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// Class of the error.
    pub class: &'static str,
    /// What happened.
    pub message: String,
}

/// What became of the records of a capture point. At every instant, `read` is the sum of the
/// others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordCounts {
    /// Records that came in, each as often as it came.
    pub read: u64,
    /// Records that are being settled.
    pub in_hand: u64,
    /// New items.
    pub created: u64,
    /// Updates of attributes.
    pub updated: u64,
    /// Repeats.
    pub repeats: u64,
    /// Holds, resumes, cancels, completes, restarts.
    pub done: u64,
    /// Records that were not wanted.
    pub filtered: u64,
    /// Records that became dead letters.
    pub refused: u64,
    /// Records that have to come again.
    pub retried: u64,
}

/// The [`Health`] of a part, changed while it works.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Health>);

impl Pulse {
    /// As at the start, but for what is remembered; gives the state before.
    pub(crate) fn begin_anew(&self) -> State {
        std::mem::take(&mut self.lock().state)
    }

    pub(crate) fn ok(&self, at: Timestamp) {
        let mut health = self.lock();
        health.state = State::Running;
        health.last_ok_at = Some(at);
    }

    pub(crate) fn trouble(&self, state: State, at: Timestamp, trouble: &Trouble) {
        self.trouble_of(state, at, trouble.class.name(), &trouble.message);
    }

    pub(crate) fn trouble_of(
        &self,
        state: State,
        at: Timestamp,
        class: &'static str,
        message: &str,
    ) {
        let mut health = self.lock();
        health.state = state;
        health.last_error = Some(LastError { at, class, message: message.into() });
    }

    pub(crate) fn read(&self) -> Health {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A count that only rises, or a gauge.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// A gauge falls, to 0 at most.
    pub(crate) fn take_away(&self, n: u64) {
        let less = |old: u64| Some(old.saturating_sub(n));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// [`RecordCounts`] under way.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<RecordCounts>);

/// Records in hand. Those that are not settled when it is dropped have to come again.
pub(crate) struct InHand<'c> {
    counts: &'c Counts,
    records: u64,
}

impl Counts {
    /// Counts records that come in.
    pub(crate) fn take(&self, records: usize) -> InHand<'_> {
        let records = records as u64;
        let mut counts = self.lock();
        counts.read += records;
        counts.in_hand += records;
        drop(counts);
        InHand { counts: self, records }
    }

    pub(crate) fn read(&self) -> RecordCounts {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, RecordCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InHand<'_> {
    /// Counts what became of the records, one outcome each.
    pub(crate) fn settled(mut self, outcomes: &[Outcome]) {
        debug_assert_eq!(outcomes.len() as u64, self.records, "invariant: one outcome a record");
        self.records = 0;
        let mut counts = self.counts.lock();
        counts.in_hand -= outcomes.len() as u64;
        for outcome in outcomes {
            let count = match &outcome.settled {
                Settled::Accepted { change: Change::Created, .. } => &mut counts.created,
                Settled::Accepted { change: Change::Updated, .. } => &mut counts.updated,
                Settled::Accepted { change: Change::Repeat, .. } => &mut counts.repeats,
                Settled::Accepted { change: Change::Done, .. } => &mut counts.done,
                Settled::Filtered { .. } => &mut counts.filtered,
                Settled::Refused { .. } => &mut counts.refused,
                Settled::Retry { .. } => &mut counts.retried,
            };
            *count += 1;
        }
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if self.records > 0 {
            let mut counts = self.counts.lock();
            counts.in_hand -= self.records;
            counts.retried += self.records;
        }
    }
}
