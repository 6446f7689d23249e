//! The window over rows that have a timestamp and an id.

use std::time::Duration;

use gantry_plugin_api::{Error, Position, Record};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How an operator writes a position.
const EXAMPLE: &str = "{\"at\": \"2026-01-31T12:00:00Z\"}, a moment in UTC";

/// What the operator says of a sweep.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// How far back each sweep looks again for rows that were committed late.
    pub overlap: Duration,
    /// How old a row must be, by the server's clock, before it is captured.
    pub lag: Duration,
    /// Rows that changed before this moment are never captured.
    pub earliest: Option<Timestamp>,
}

impl Bounds {
    /// What [`Sweep::since`] will be: for those who ask first, and learn the server's time from the
    /// answer.
    ///
    /// # Errors
    /// Of class `cursor_expired` if the position is not one of ours.
    pub fn since(&self, from: Option<&Position>) -> Result<Option<Timestamp>, Error> {
        let mark = from.map(Mark::read).transpose()?;
        Ok(self.again(mark.as_ref()))
    }

    fn again(&self, mark: Option<&Mark>) -> Option<Timestamp> {
        mark.map(|mark| before(mark.at, self.overlap)).max(self.earliest)
    }
}

/// A place in the source: right after the row with this timestamp and id. It is the position that
/// the hub stores, and that an operator can write: `{"at": "2026-01-31T12:00:00Z"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    at: Timestamp,
    /// Without one the place is before all rows of the timestamp.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    id: String,
}

/// One walk through the window.
#[derive(Debug)]
pub struct Sweep<C> {
    /// How far the walk has come, as the connector keeps it: a page's address, rows not yet given.
    pub cursor: C,
    since: Option<Timestamp>,
    until: Timestamp,
    /// The position so far; it never goes back.
    mark: Option<Mark>,
    /// Whether the position moves on to `until` at the end, so that old rows leave the window.
    moves_on: bool,
}

impl<C> Sweep<C> {
    /// Fixes the window. `now_ms` is the server's time, Unix milliseconds: rows carry it, so a
    /// clock of ours that is wrong does no harm.
    ///
    /// # Errors
    /// Of class `cursor_expired` if the position is not one of ours.
    pub fn begin(
        from: Option<&Position>,
        bounds: &Bounds,
        now_ms: i64,
        cursor: C,
    ) -> Result<Self, Error> {
        let mark = from.map(Mark::read).transpose()?;
        let now = Timestamp::from_millisecond(now_ms)
            .map_err(|error| Error::transient("cannot read the server's clock").because(&error))?;
        Ok(Self {
            cursor,
            since: bounds.again(mark.as_ref()),
            until: before(now, bounds.lag),
            moves_on: mark.is_none(),
            mark,
        })
    }

    /// Rows at or after this moment belong to it; none: from the beginning.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Rows before this moment belong to it.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Moves on past a row and makes its record part of the walk: its position is set, and its time
    /// unless it has one. Rows come in the order of (timestamp, id), as far as the server keeps to
    /// it.
    ///
    /// # Errors
    /// Of class `permanent` if the id is too long to be part of a position.
    pub fn pass(&mut self, at: Timestamp, id: &str, mut record: Record) -> Result<Record, Error> {
        let mark = Mark { at, id: id.to_owned() };
        if self.mark.as_ref().is_none_or(|known| *known < mark) {
            self.mark = Some(mark);
        }
        self.moves_on = true;
        record.position = self.mark.as_ref().map(Position::of).transpose()?;
        record.occurred_at_ms.get_or_insert(at.as_millisecond());
        Ok(record)
    }

    /// Where to go on once all records are settled. `ended`: there are no more rows in the window.
    ///
    /// # Errors
    /// As [`Sweep::pass`].
    pub fn position(&mut self, ended: bool) -> Result<Option<Position>, Error> {
        let is_ahead = self.mark.as_ref().is_none_or(|mark| mark.at < self.until);
        if ended && self.moves_on && is_ahead {
            self.mark = Some(Mark { at: self.until, id: String::new() });
        }
        self.mark.as_ref().map(Position::of).transpose()
    }
}

impl Mark {
    fn read(position: &Position) -> Result<Self, Error> {
        position.parse(EXAMPLE)
    }
}

/// A moment earlier; the earliest there is, if that is too early.
pub fn before(moment: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    moment.checked_sub(span).unwrap_or(Timestamp::MIN)
}
