//! A histogram of durations in little space, with quantiles to within one percent.

use gantry_model::Millis;

/// Buckets for each doubling, and exact values below; a bucket is at most 1/128 of its values.
const FINE: u64 = 128;

/// How often each duration was seen. Count, sum and maximum are exact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    pub(crate) fn add(&mut self, time: Millis) {
        let value = time.0.max(0).unsigned_abs();
        let bucket = bucket(value);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.sum += u128::from(value);
        self.max = self.max.max(value);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if other.buckets.len() > self.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// In milliseconds; `None` if nothing was seen.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    pub(crate) fn max(&self) -> Millis {
        Millis(self.max.min(i64::MAX as u64) as i64)
    }

    /// The duration that this many thousandths of all do not exceed; `None` if nothing was seen.
    pub(crate) fn quantile(&self, permille: u64) -> Option<Millis> {
        let wanted = (u128::from(self.count) * u128::from(permille)).div_ceil(1000).max(1);
        let mut seen = 0_u128;
        let bucket = self.buckets.iter().position(|count| {
            seen += u128::from(*count);
            seen >= wanted
        })?;
        Some(Millis(last_of(bucket).min(self.max).min(i64::MAX as u64) as i64))
    }

    /// How many durations were not longer than each of the rising bounds but longer than the
    /// one before; the last figure is of those beyond all bounds. Right to within a bucket.
    pub(crate) fn between(&self, bounds: &[Millis]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len() + 1];
        for (bucket, count) in self.buckets.iter().enumerate() {
            let value = first_of(bucket);
            counts[bounds.partition_point(|bound| (bound.0 as u64) < value)] += count;
        }
        counts
    }
}

fn bucket(value: u64) -> usize {
    if value < FINE {
        return value as usize;
    }
    let shift = value.ilog2() - FINE.ilog2();
    (u64::from(shift) * FINE + (value >> shift)) as usize
}

/// The smallest value of a bucket.
fn first_of(bucket: usize) -> u64 {
    let (bucket, shift) = (bucket as u64, shift_of(bucket));
    (bucket - shift * FINE) << shift
}

/// The largest value of a bucket.
fn last_of(bucket: usize) -> u64 {
    first_of(bucket) + ((1 << shift_of(bucket)) - 1)
}

/// How many of the lowest bits a bucket does not tell apart.
const fn shift_of(bucket: usize) -> u64 {
    (bucket as u64 / FINE).saturating_sub(1)
}

#[cfg(test)]
mod tests;
