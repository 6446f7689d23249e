//! How long things took: enough to print a median and a worst case, in bounded memory.

use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;

/// How many durations are kept for the percentiles: the latest ones.
const KEPT_MAX: usize = 4096;

/// How durations spread. The percentiles are of the latest 4,096, the maximum is of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many there were.
    pub count: u64,
    /// Half were not longer than this, in microseconds.
    pub p50_micros: u64,
    /// 99 of 100 were not longer than this, in microseconds.
    pub p99_micros: u64,
    /// The longest, in microseconds.
    pub max_micros: u64,
}

/// Collects durations.
#[derive(Debug, Default)]
pub(crate) struct Timing(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    count: u64,
    max: u64,
    latest: Vec<u64>,
}

impl Timing {
    pub(crate) fn note(&self, took: Duration) {
        let micros = took.as_micros() as u64;
        let mut kept = self.lock();
        let place = (kept.count % KEPT_MAX as u64) as usize;
        if place < kept.latest.len() {
            kept.latest[place] = micros;
        } else {
            kept.latest.push(micros);
        }
        kept.count += 1;
        kept.max = kept.max.max(micros);
    }

    pub(crate) fn spread(&self) -> Spread {
        let (count, max, latest) = {
            let kept = self.lock();
            (kept.count, kept.max, kept.latest.clone())
        };
        spread(count, max, latest)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().expect("invariant: nothing panics while durations are noted")
    }
}

/// The spread of a list of durations in microseconds.
pub(crate) fn spread(count: u64, max: u64, mut latest: Vec<u64>) -> Spread {
    latest.sort_unstable();
    let at = |permille: usize| {
        let place = (latest.len() * permille / 1000).min(latest.len().saturating_sub(1));
        latest.get(place).copied().unwrap_or(0)
    };
    Spread { count, p50_micros: at(500), p99_micros: at(990), max_micros: max }
}
