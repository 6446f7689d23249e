//! What the hub measures of its plug-ins, so that no author has to: how long operations take and
//! how they end, how late records are, how much is on its way.
//!
//! Whatever is done for a record is an addition to a number that others may read at any time: no
//! lock and no memory. What is read at one instant may be a record apart. Start reading at
//! [`Operations::measure`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gantry_model::Timestamp;
use gantry_plugin_host::api::ErrorClass;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::port::Trouble;
use crate::status::Count;

/// Bounds of how long something took, in microseconds: half a millisecond to a minute.
const TOOK: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];
/// Bounds of how late something is, in microseconds: a tenth of a second to a day.
const LATE: &[u64] = &[
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    15_000_000,
    60_000_000,
    300_000_000,
    1_800_000_000,
    3_600_000_000,
    21_600_000_000,
    86_400_000_000,
];

/// How often a value was how large, since the start. Bounds and sum are in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Upper bounds, and how many values were at most so large and larger than the bound before;
    /// the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// All values together.
    pub sum: f64,
}

/// As an object of the API: the buckets that have values, with `null` for the infinite bound.
impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            count: u64,
            sum_seconds: f64,
            buckets: Vec<(Option<f64>, u64)>,
        }
        let buckets = self.buckets.iter().filter(|(_, n)| *n > 0);
        let buckets = buckets.map(|(bound, n)| (bound.is_finite().then_some(*bound), *n));
        Shown { count: self.count(), sum_seconds: self.sum, buckets: buckets.collect() }
            .serialize(serializer)
    }
}

impl Histogram {
    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, n)| n).sum()
    }
}

/// How operations of one kind that ended alike went.
#[derive(Clone, Debug, Serialize)]
pub struct OperationStatus {
    /// `poll`, `stream`, `http`, `acknowledge`, `extend`, `lookup` or `deliver`.
    pub operation: &'static str,
    /// `ok`, or the class of the error.
    pub outcome: &'static str,
    /// How long they took; a stream takes as long as it is open.
    #[serde(flatten)]
    pub took: Histogram,
}

/// A [`Histogram`] under way.
#[derive(Debug)]
pub(crate) struct Meter {
    bounds: &'static [u64],
    counts: Box<[Count]>,
    sum_micros: Count,
}

impl Meter {
    fn new(bounds: &'static [u64]) -> Self {
        let counts = std::iter::repeat_with(Count::default).take(bounds.len() + 1).collect();
        Self { bounds, counts, sum_micros: Count::default() }
    }

    /// Of how long something took.
    pub(crate) fn took() -> Self {
        Self::new(TOOK)
    }

    /// Of how late something is.
    pub(crate) fn late() -> Self {
        Self::new(LATE)
    }

    pub(crate) fn note(&self, micros: u64) {
        self.counts[self.bounds.partition_point(|bound| *bound < micros)].add(1);
        self.sum_micros.add(micros);
    }

    pub(crate) fn note_since(&self, begun: Instant) {
        self.note(begun.elapsed().as_micros() as u64);
    }

    /// How long ago something happened; what is to come happens now.
    pub(crate) fn note_late(&self, at: Timestamp, now: Timestamp) {
        self.note(now.since(at).0.max(0) as u64 * 1000);
    }

    pub(crate) fn read(&self) -> Histogram {
        let bounds = self.bounds.iter().map(|micros| *micros as f64 / 1e6);
        let counts = self.counts.iter().map(Count::read);
        let buckets = bounds.chain([f64::INFINITY]).zip(counts).collect();
        Histogram { buckets, sum: self.sum_micros.read() as f64 / 1e6 }
    }
}

/// What a part asks its plug-in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Poll,
    Stream,
    Http,
    Acknowledge,
    Extend,
    Lookup,
    Deliver,
}

impl Operation {
    const ALL: [Self; 7] = [
        Self::Poll,
        Self::Stream,
        Self::Http,
        Self::Acknowledge,
        Self::Extend,
        Self::Lookup,
        Self::Deliver,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Stream => "stream",
            Self::Http => "http",
            Self::Acknowledge => "acknowledge",
            Self::Extend => "extend",
            Self::Lookup => "lookup",
            Self::Deliver => "deliver",
        }
    }
}

/// `ok`, and each class by its code.
const N_OUTCOMES: usize = 14;

/// The operations of one capture point, look-up or callback.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    in_flight: Count,
    took: [[OnceLock<Meter>; N_OUTCOMES]; Operation::ALL.len()],
}

/// An operation under way. Dropped before it is over, it was called off.
#[derive(Debug)]
pub(crate) struct Flight {
    operations: Arc<Operations>,
    operation: Operation,
    begun: Instant,
    outcome: Option<ErrorClass>,
}

impl Operations {
    pub(crate) fn begin(self: &Arc<Self>, operation: Operation) -> Flight {
        self.in_flight.add(1);
        let outcome = Some(ErrorClass::Canceled);
        Flight { operations: Arc::clone(self), operation, begun: Instant::now(), outcome }
    }

    /// Waits for an operation and notes how it ended.
    ///
    /// # Cancel safety
    /// That of the future; a dropped one counts as canceled.
    pub(crate) async fn measure<T>(
        self: &Arc<Self>,
        operation: Operation,
        under_way: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let flight = self.begin(operation);
        let result = under_way.await;
        flight.end(result.as_ref().err());
        result
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.read()
    }

    pub(crate) fn read(&self) -> Vec<OperationStatus> {
        let mut all = Vec::new();
        for operation in Operation::ALL {
            for (code, took) in self.took[operation as usize].iter().enumerate() {
                let Some(took) = took.get() else { continue };
                let outcome = match code {
                    0 => "ok",
                    code => ErrorClass::from_code(code as u32).name(),
                };
                let (operation, took) = (operation.name(), took.read());
                all.push(OperationStatus { operation, outcome, took });
            }
        }
        all
    }
}

impl Flight {
    /// It is over.
    pub(crate) fn end(mut self, trouble: Option<&Trouble>) {
        self.outcome = trouble.map(|trouble| trouble.class);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.operations.in_flight.take_away(1);
        let code = self.outcome.map_or(0, |class| class.code() as usize);
        let took = &self.operations.took[self.operation as usize];
        // A class of a later version of the protocol reads as permanent before it comes here.
        let Some(took) = took.get(code) else { return };
        took.get_or_init(Meter::took).note_since(self.begun);
    }
}

/// What a capture point's records are measured by, beside what becomes of them.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Payloads of the records that came in.
    pub(crate) bytes: Count,
    /// From when it happened in the source, where the source says so, to when it is durable here.
    pub(crate) lag: Meter,
    /// From when a batch came to when it is durable.
    pub(crate) settling: Meter,
    /// Records that a stream may send before it is granted more.
    pub(crate) credit: Count,
    streams: AtomicBool,
    held: Mutex<Held>,
}

/// Batches whose source does not know yet what became of them, by number, and when they came.
#[derive(Debug, Default)]
struct Held {
    last: u64,
    since: BTreeMap<u64, Timestamp>,
}

/// A batch whose source does not know yet what became of it.
#[derive(Debug)]
pub(crate) struct Unacknowledged<'f> {
    flow: &'f Flow,
    number: u64,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            bytes: Count::default(),
            lag: Meter::late(),
            settling: Meter::took(),
            credit: Count::default(),
            streams: AtomicBool::new(false),
            held: Mutex::default(),
        }
    }
}

impl Flow {
    /// A batch came; until the source was told what became of it, keep what this gives.
    pub(crate) fn hold(&self, now: Timestamp) -> Unacknowledged<'_> {
        let mut held = self.held();
        held.last += 1;
        let number = held.last;
        held.since.insert(number, now);
        Unacknowledged { flow: self, number }
    }

    /// When the batch came that the source waits for the longest to hear of.
    pub(crate) fn oldest_unacknowledged_at(&self) -> Option<Timestamp> {
        self.held().since.first_key_value().map(|(_, since)| *since)
    }

    pub(crate) fn set_streams(&self, streams: bool) {
        self.streams.store(streams, Ordering::Relaxed);
    }

    /// The credit of the stream, while there is one.
    pub(crate) fn credit(&self) -> Option<u64> {
        self.streams.load(Ordering::Relaxed).then(|| self.credit.read())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unacknowledged<'_> {
    fn drop(&mut self) {
        self.flow.held().since.remove(&self.number);
    }
}
