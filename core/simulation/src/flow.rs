//! When the next item of a stream arrives.

use std::sync::Arc;

use gantry_model::spec::scenario::{Flow, RateWindow, RecordedArrival};
use gantry_model::{Millis, Timestamp};

use crate::random::Stream;
use crate::week::Weekly;

const HOUR: f64 = 3_600_000.0;

/// The arrivals of one stream, one after the other.
#[derive(Debug)]
pub(crate) enum Arrivals {
    Poisson {
        /// Items a millisecond.
        rate: Weekly<f64>,
        random: Box<Stream>,
        /// Milliseconds from the last arrival, rounded down, to the exact one.
        rest: f64,
    },
    Every(Millis),
    Recorded {
        all: Arc<[RecordedArrival]>,
        next: usize,
    },
}

/// One arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) at: Timestamp,
    /// Overrules the distributions.
    pub(crate) recorded: Option<RecordedArrival>,
}

impl Arrivals {
    pub(crate) fn new(flow: &Flow, utc_offset: Millis, random: Stream) -> Self {
        match flow {
            Flow::Poisson(windows) => {
                let rate = rate(windows, utc_offset);
                Self::Poisson { rate, random: Box::new(random), rest: 0.0 }
            }
            Flow::Every(time) => Self::Every(*time),
            Flow::Recorded(all) => Self::Recorded { all: Arc::clone(all), next: 0 },
        }
    }

    /// The first arrival after the one at `last`, or after the start, unless it comes after
    /// `end`.
    pub(crate) fn next(&mut self, last: Timestamp, end: Timestamp) -> Option<Arrival> {
        let arrival = match self {
            Self::Poisson { rate, random, rest } => {
                let (at, new_rest) = poisson(rate, last, *rest, random.exponential(), end)?;
                *rest = new_rest;
                Arrival { at, recorded: None }
            }
            Self::Every(time) => Arrival { at: last.plus(*time), recorded: None },
            Self::Recorded { all, next } => {
                // What was recorded before the start is not part of the scenario.
                let skip = all[*next..].partition_point(|arrival| arrival.at < last);
                let arrival = *all.get(*next + skip)?;
                *next += skip + 1;
                Arrival { at: arrival.at, recorded: Some(arrival) }
            }
        };
        (arrival.at <= end).then_some(arrival)
    }
}

fn rate(windows: &[RateWindow], utc_offset: Millis) -> Weekly<f64> {
    Weekly::new(utc_offset, windows.iter().map(|window| window.window), |instant| {
        let covering = windows.iter().find(|window| instant.within(&window.window));
        covering.map_or(0.0, |window| window.per_hour / HOUR)
    })
}

/// Walks through the pieces of the week until the area under the rate is `area`: exact, without
/// a thinned-out stream. Source: Çinlar (1975), inversion of the cumulative rate.
fn poisson(
    rate: &Weekly<f64>,
    last: Timestamp,
    rest: f64,
    mut area: f64,
    end: Timestamp,
) -> Option<(Timestamp, f64)> {
    let (mut from, mut rest) = (last, rest);
    while from <= end {
        let per_milli = *rate.at(from);
        let until = rate.next(from);
        let length = until.map_or(f64::INFINITY, |until| (until.0 - from.0) as f64 - rest);
        if per_milli > 0.0 && per_milli * length >= area {
            let gone = rest + area / per_milli;
            let whole = libm::floor(gone);
            return Some((from.plus(Millis(whole as i64)), gone - whole));
        }
        if per_milli > 0.0 {
            area -= per_milli * length;
        }
        from = until?;
        rest = 0.0;
    }
    None
}

#[cfg(test)]
mod tests;
