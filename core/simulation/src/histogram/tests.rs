//! Quantiles are within a percent of the sorted list's.

use gantry_model::Millis;

use super::Histogram;

#[test]
fn quantiles_are_near() {
    let mut value = 1_u64;
    let mut all = Vec::new();
    let mut histogram = Histogram::default();
    for _ in 0..10_000 {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let time = (value >> 24) >> (value % 32);
        all.push(time);
        histogram.add(Millis(time as i64));
    }
    all.sort_unstable();
    for permille in [0, 1, 500, 900, 990, 999, 1000] {
        let exact = all[((all.len() * permille).div_ceil(1000).max(1)) - 1] as f64;
        let found = histogram.quantile(permille as u64).unwrap().0 as f64;
        assert!(found >= exact && found <= exact * 1.01, "{permille}: {found} is not {exact}");
    }
    assert_eq!(histogram.max(), Millis(*all.last().unwrap() as i64));
    let mean = all.iter().map(|time| *time as f64).sum::<f64>() / all.len() as f64;
    assert!((histogram.mean().unwrap() - mean).abs() < 1e-6 * mean);
}

#[test]
fn nothing_has_no_quantiles() {
    assert_eq!(Histogram::default().quantile(500), None);
    assert_eq!(Histogram::default().mean(), None);
}

#[test]
fn merged_is_as_added() {
    let mut both = Histogram::default();
    let [mut one, mut two] = [Histogram::default(), Histogram::default()];
    for time in 0..1_000 {
        both.add(Millis(time * time));
        if time % 3 == 0 { &mut one } else { &mut two }.add(Millis(time * time));
    }
    one.merge(&two);
    for permille in [1, 250, 500, 999] {
        assert_eq!(one.quantile(permille), both.quantile(permille));
    }
    assert_eq!((one.count(), one.mean(), one.max()), (both.count(), both.mean(), both.max()));
}

#[test]
fn parts_count_everything_once() {
    let mut histogram = Histogram::default();
    for time in [0, 0, 10, 11, 1_000, 5_000_000] {
        histogram.add(Millis(time));
    }
    assert_eq!(histogram.between(&[0, 10, 100, 1_000].map(Millis)), [2, 1, 1, 1, 1]);
}
