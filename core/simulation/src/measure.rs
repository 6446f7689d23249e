//! How fast a world can be simulated here and now.

use std::time::{Duration, Instant};

use crate::run::{Options, RunError, run};
use crate::world::World;

/// What a run cost. The only thing in this crate that depends on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Events of the simulated world: commands to the engine, and its own timers.
    pub events: u64,
    /// Entries that the engine gave for the journal.
    pub entries: u64,
    /// How long it took, on one core.
    pub elapsed: Duration,
}

impl Measured {
    /// Events a second.
    pub fn events_per_second(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }
}

/// Runs a world once, without observer and checks.
///
/// # Errors
/// As [`run`].
pub fn measure(world: &World, seed: u64) -> Result<Measured, RunError> {
    let begun = Instant::now();
    let report = run(world, Options { seed, check: false }, &mut ())?;
    Ok(Measured { events: report.events, entries: report.entries, elapsed: begun.elapsed() })
}
