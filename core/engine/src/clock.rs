//! The time that curves and windows run in: the wall's, or the working time of a calendar.
//!
//! A business clock stands still while its calendar is closed. Items whose curves run in the
//! same clock can be compared in it for as long as they wait, and closed hours cost nothing.

use std::sync::Arc;

use gantry_model::calendar::Calendar;
use gantry_model::{Millis, Timestamp};

use crate::curve::NEVER;

/// Number of a clock within a config version; 0 is the wall's.
pub(crate) type ClockNo = u16;
/// The wall clock's number.
pub(crate) const WALL: ClockNo = 0;

/// A clock. What it shows is a [`Timestamp`] too: milliseconds of its own time.
#[derive(Clone, Debug, Default)]
pub(crate) enum CurveClock {
    /// Shows the instant itself.
    #[default]
    Wall,
    /// Shows how much working time has passed.
    Business(Arc<Calendar>),
}

impl CurveClock {
    /// What the clock shows at an instant. Never falls as time passes.
    pub(crate) fn read(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Wall => now,
            Self::Business(calendar) => Timestamp(calendar.clock(now).0),
        }
    }

    /// The first instant at which the clock shows so much; [`NEVER`] if it does not come to it.
    pub(crate) fn reaches(&self, shown: Timestamp) -> Timestamp {
        match self {
            Self::Wall => shown,
            Self::Business(_) if shown == NEVER => NEVER,
            Self::Business(calendar) => {
                // The clock shows nothing before the first working time there ever was.
                let shown = Millis(shown.0.max(1));
                calendar.earliest(shown).unwrap_or(NEVER)
            }
        }
    }

    /// The instant at which so much of the clock's time has passed since `from`.
    pub(crate) fn after(&self, from: Timestamp, length: Millis) -> Timestamp {
        if length.0 <= 0 {
            return from;
        }
        self.reaches(self.read(from).plus(length))
    }
}
