//! Hub time: the wall clock at boot plus running time, pulled gently towards the wall clock.
//!
//! It never runs back, and slews by at most 1 %, so no timer sees a jump when the machine's
//! clock is corrected. A difference over a minute is a step: reported, to be journaled.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gantry_model::{Clock, Millis, Timestamp};

/// Hub time may gain or lose this part of running time: 1 in 100.
const SLEW_DIVISOR: i64 = 100;
/// A difference above this is a step, not a drift.
const STEP: Millis = Millis::from_secs(60);

/// The production clock.
#[derive(Debug)]
pub struct HubClock {
    state: Mutex<ClockState>,
}

#[derive(Debug)]
struct ClockState {
    /// Running time was last read here …
    read_at: Instant,
    /// … and hub time was this.
    shown: Timestamp,
    /// Running time that was not yet a whole millisecond.
    rest_micros: i64,
    /// A step that nobody has asked about yet.
    step: Option<Millis>,
}

impl HubClock {
    /// A clock that starts at the wall clock, but never below `not_before`, the last instant in
    /// the journal.
    pub fn new(not_before: Timestamp) -> Self {
        let wall = wall_clock();
        let behind = not_before.since(wall);
        let state = ClockState {
            read_at: Instant::now(),
            shown: wall.max(not_before),
            rest_micros: 0,
            step: (behind > STEP).then_some(Millis(-behind.0)),
        };
        Self { state: Mutex::new(state) }
    }

    /// A step of the wall clock since the last call: how far it stood from hub time.
    pub fn take_step(&self) -> Option<Millis> {
        self.lock().step.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ClockState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for HubClock {
    fn now(&self) -> Timestamp {
        let mut state = self.lock();
        let read_at = Instant::now();
        let micros = read_at.duration_since(state.read_at).as_micros() as i64 + state.rest_micros;
        let (elapsed, rest) = (micros / 1000, micros % 1000);
        if elapsed > 0 {
            state.advance(Millis(elapsed), wall_clock());
            state.read_at = read_at;
            state.rest_micros = rest;
        }
        state.shown
    }
}

impl ClockState {
    /// Moves hub time by `elapsed` of running time, corrected towards `wall`.
    fn advance(&mut self, elapsed: Millis, wall: Timestamp) {
        let running = self.shown.plus(elapsed);
        let off = wall.since(running);
        if off > STEP {
            self.step = Some(off);
            self.shown = wall;
            return;
        }
        if off < Millis(-STEP.0) && self.step.is_none() {
            self.step = Some(off);
        }
        // Rounding up lets even a short interval correct by one millisecond at most every
        // hundredth; a clock that is right is not touched.
        let limit = (elapsed.0 / SLEW_DIVISOR).max(i64::from(elapsed.0 >= SLEW_DIVISOR));
        self.shown = running.plus(Millis(off.0.clamp(-limit, limit)));
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(shown: i64) -> ClockState {
        let (read_at, shown) = (Instant::now(), Timestamp(shown));
        ClockState { read_at, shown, rest_micros: 0, step: None }
    }

    #[test]
    fn never_runs_back_and_slews_one_percent() {
        let mut clock = at(100_000);
        clock.advance(Millis(1_000), Timestamp(95_000));
        assert_eq!(clock.shown, Timestamp(100_990));
        clock.advance(Millis(1_000), Timestamp(130_000));
        assert_eq!(clock.shown, Timestamp(102_000));
        assert_eq!(clock.step, None);
    }

    #[test]
    fn a_step_forward_is_followed_and_a_step_back_is_only_reported() {
        let mut clock = at(100_000);
        clock.advance(Millis(10), Timestamp(500_000));
        assert_eq!((clock.shown, clock.step.take()), (Timestamp(500_000), Some(Millis(399_990))));
        clock.advance(Millis(10), Timestamp(100_000));
        assert_eq!(clock.shown, Timestamp(500_010));
        assert_eq!(clock.step, Some(Millis(-400_010)));
    }

    #[test]
    fn starts_at_the_journal_when_the_wall_clock_is_behind_it() {
        let future = wall_clock().plus(Millis::from_secs(3600));
        let clock = HubClock::new(future);
        assert!(clock.now() >= future);
        assert!(clock.take_step().expect("a step").0 < 0);
    }
}
