//! The week as pieces: what holds when, in local time.

use gantry_model::spec::scenario::WeekWindow;
use gantry_model::{Millis, Timestamp};

const DAY: i64 = 24 * 3_600_000;
const WEEK: i64 = 7 * DAY;
/// 1970-01-01 was a Thursday; the week here begins on Monday.
const FIRST_DAY: i64 = 3 * DAY;

/// Values that hold in pieces of the week, the same in every week.
#[derive(Clone, Debug)]
pub(crate) struct Weekly<T> {
    /// How far local time is ahead of UTC.
    utc_offset: i64,
    /// Where in the week each piece begins, rising from 0, and its value; neighbours differ,
    /// but the last may equal the first.
    pieces: Vec<(i64, T)>,
}

impl<T: Clone + PartialEq> Weekly<T> {
    /// Finds the pieces between the edges of the windows.
    pub(crate) fn new(
        utc_offset: Millis,
        windows: impl Iterator<Item = WeekWindow>,
        value: impl Fn(Instant) -> T,
    ) -> Self {
        let mut starts = vec![0];
        for window in windows {
            for day in (0..7).filter(|day| window.days[*day]) {
                let from = day as i64 * DAY + window.from.0;
                starts.extend([from, from + length(&window)].map(|at| at % WEEK));
            }
        }
        starts.sort_unstable();
        let mut pieces: Vec<(i64, T)> = Vec::new();
        for start in starts {
            let value = value(Instant(start));
            if pieces.last().is_none_or(|(_, before)| *before != value) {
                pieces.push((start, value));
            }
        }
        Self { utc_offset: utc_offset.0, pieces }
    }

    /// What holds at an instant.
    pub(crate) fn at(&self, now: Timestamp) -> &T {
        &self.pieces[self.piece(now).0].1
    }

    /// When the next piece begins; `None` if there is only one.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let (piece, position) = self.piece(now);
        let end = match self.pieces.get(piece + 1) {
            Some((start, _)) => *start,
            None => WEEK,
        };
        (self.pieces.len() > 1).then(|| now.plus(Millis(end - position)))
    }

    /// The piece that holds at an instant, and where in the week the instant is.
    fn piece(&self, now: Timestamp) -> (usize, i64) {
        let position = (now.0 + self.utc_offset + FIRST_DAY).rem_euclid(WEEK);
        (self.pieces.partition_point(|(start, _)| *start <= position) - 1, position)
    }
}

/// An instant of the week.
#[derive(Clone, Copy)]
pub(crate) struct Instant(i64);

impl Instant {
    /// `true` if the window covers the instant.
    pub(crate) fn within(self, window: &WeekWindow) -> bool {
        // A window that ends on the next day may have begun yesterday.
        [0, DAY].into_iter().any(|back| {
            let then = (self.0 - back).rem_euclid(WEEK);
            let since = then % DAY + back - window.from.0;
            window.days[(then / DAY) as usize] && (0..length(window)).contains(&since)
        })
    }
}

fn length(window: &WeekWindow) -> i64 {
    let length = window.to.0 - window.from.0;
    if length > 0 { length } else { length + DAY }
}

#[cfg(test)]
mod tests;
