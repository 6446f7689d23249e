//! Times that come again and again, by a cron expression of five fields, read in a time zone.
//!
//! Where clocks go forward, a time of day that is left out comes at the first instant after it;
//! where they go back, a time of day that comes twice counts once. Expressions of every minute or
//! hour go on evenly. Source: croner, "DST handling", after vixie-cron.

#[cfg(test)]
mod tests;

use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::calendar::find_zone;
use crate::spec::CronSpec;
use crate::time::Timestamp;

/// A cron expression in its time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    pattern: croner::Cron,
    zone: TimeZone,
}

/// Why there is no such schedule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CronError {
    /// Not five fields that can be read.
    #[error("{expression:?} is no cron expression of five fields: {reason}")]
    Expression {
        /// What was written.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A day that no year has.
    #[error("{expression:?} names a time that never comes")]
    Never {
        /// What was written.
        expression: String,
    },
    /// No such time zone.
    #[error("there is no time zone {0:?}")]
    TimeZone(String),
}

impl Cron {
    /// Reads the expression and finds the time zone.
    ///
    /// # Errors
    /// [`CronError`]
    pub fn new(spec: &CronSpec) -> Result<Self, CronError> {
        let expression = spec.expression.clone();
        let zone = find_zone(&spec.timezone)
            .ok_or_else(|| CronError::TimeZone(spec.timezone.to_string()))?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
        let pattern = parser.build().parse(&expression).map_err(|error| CronError::Expression {
            expression: expression.clone(),
            reason: error.to_string().trim_end_matches('.').to_owned(),
        })?;
        let cron = Self { pattern, zone };
        match cron.next_after(Timestamp::default()) {
            Some(_) => Ok(cron),
            None => Err(CronError::Never { expression }),
        }
    }

    /// The first time after that instant; `None` if none comes any more.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(self.zone.clone());
        let next = self.pattern.find_next_occurrence(&at, false).ok()?;
        Some(Timestamp(next.timestamp().as_millisecond()))
    }
}
