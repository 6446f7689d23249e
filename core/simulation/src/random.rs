//! Random numbers: one independent stream for each purpose, the same on every machine for ever.
//!
//! A stream is the ChaCha8 key stream (RFC 7539 with 8 rounds) of the seed as key and the hash of
//! the purpose as nonce, so a purpose that comes or goes changes no other. Logarithm,
//! exponential and cosine come from `libm`: those of the platform differ in their last bit.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use gantry_model::Millis;
use gantry_model::spec::scenario::Distribution;

/// The random numbers of one purpose.
#[derive(Debug)]
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of a purpose: what it is for, and whose.
    pub(crate) fn new(seed: u64, purpose: &str, whose: &str) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(fnv1a([purpose.as_bytes(), b"/", whose.as_bytes()].concat().as_slice()));
        Self(rng)
    }

    /// Evenly from 0 to below 1, in steps of 2⁻⁵³.
    pub(crate) fn share(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -libm::log(1.0 - self.share())
    }

    /// Normal with mean 0 and deviation 1. Source: Box and Muller (1958).
    fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(2.0 * self.exponential());
        radius * libm::cos(std::f64::consts::TAU * self.share())
    }

    /// A duration, in milliseconds before rounding.
    fn millis(&mut self, distribution: &Distribution) -> f64 {
        match distribution {
            Distribution::Constant(time) => time.0 as f64,
            Distribution::Exponential { mean } => mean.0 as f64 * self.exponential(),
            Distribution::LogNormal { mean, deviation } => {
                let (mean, deviation) = (mean.0 as f64, deviation.0 as f64);
                let variance = libm::log1p((deviation / mean) * (deviation / mean));
                let log = libm::log(mean) - variance / 2.0;
                libm::exp(log + libm::sqrt(variance) * self.normal())
            }
            Distribution::Uniform { from, to } => {
                let width = (to.0 - from.0) as f64 + 1.0;
                (from.0 as f64 + libm::floor(width * self.share())).min(to.0 as f64)
            }
            Distribution::Empirical(times) => {
                let at = (self.share() * times.len() as f64) as usize;
                times.get(at).map_or(0.0, |time| time.0 as f64)
            }
        }
    }

    /// A duration, rounded to milliseconds; never negative.
    pub(crate) fn draw(&mut self, distribution: &Distribution) -> Millis {
        if let Distribution::Constant(time) = distribution {
            return *time;
        }
        // The cast saturates, so even the longest tail is a duration.
        Millis(libm::round(self.millis(distribution)).max(0.0) as i64)
    }
}

/// Source: Fowler, Noll, Vo: FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests;
