//! The streams are pinned, and the distributions have the moments they should have.

use std::sync::Arc;

use gantry_model::Millis;
use gantry_model::spec::scenario::Distribution;

use super::Stream;

/// A change here changes every simulation that anybody ever wrote down.
#[test]
fn the_stream_is_pinned() {
    let mut stream = Stream::new(1, "arrivals", "sales/leads");
    let mean = Millis(1_000_000);
    let drawn: Vec<i64> =
        (0..5).map(|_| stream.draw(&Distribution::Exponential { mean }).0).collect();
    assert_eq!(drawn, PINNED);
    let lognormal = Distribution::LogNormal { mean, deviation: Millis(500_000) };
    let drawn: Vec<i64> = (0..5).map(|_| stream.draw(&lognormal).0).collect();
    assert_eq!(drawn, PINNED_LOGNORMAL);
}

const PINNED: [i64; 5] = [1_482_593, 479_170, 1_101_220, 582_866, 130_851];
const PINNED_LOGNORMAL: [i64; 5] = [847_857, 588_344, 603_660, 803_395, 960_852];

#[test]
fn purposes_and_seeds_are_independent() {
    let shares = |seed, purpose, whose| {
        let mut stream = Stream::new(seed, purpose, whose);
        (0..4).map(|_| stream.share().to_bits()).collect::<Vec<_>>()
    };
    let first = shares(1, "arrivals", "a");
    assert_eq!(first, shares(1, "arrivals", "a"));
    for other in
        [shares(2, "arrivals", "a"), shares(1, "patience", "a"), shares(1, "arrivals", "b")]
    {
        assert_ne!(first, other);
    }
}

/// Mean and standard deviation of many draws, in seconds.
fn moments(distribution: &Distribution) -> (f64, f64) {
    let mut stream = Stream::new(7, "test", "moments");
    let count = 200_000;
    let draws: Vec<f64> = (0..count).map(|_| stream.draw(distribution).0 as f64 / 1000.0).collect();
    let mean = draws.iter().sum::<f64>() / f64::from(count);
    let squares: f64 = draws.iter().map(|draw| (draw - mean).powi(2)).sum();
    (mean, (squares / f64::from(count)).sqrt())
}

fn check(distribution: &Distribution, mean: f64, deviation: f64) {
    let (is_mean, is_deviation) = moments(distribution);
    assert!((is_mean / mean - 1.0).abs() < 0.01, "{distribution:?}: mean {is_mean}");
    let off = (is_deviation - deviation).abs();
    assert!(off <= 0.03 * deviation, "{distribution:?}: deviation {is_deviation}");
}

#[test]
fn moments_are_right() {
    let secs = Millis::from_secs;
    check(&Distribution::Constant(secs(300)), 300.0, 0.0);
    check(&Distribution::Exponential { mean: secs(300) }, 300.0, 300.0);
    check(&Distribution::LogNormal { mean: secs(300), deviation: secs(200) }, 300.0, 200.0);
    check(&Distribution::Uniform { from: secs(100), to: secs(400) }, 250.0, 86.6);
    let times = Arc::from([secs(100), secs(200), secs(600)]);
    check(&Distribution::Empirical(times), 300.0, 216.0);
}
