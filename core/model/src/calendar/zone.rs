//! A time zone as a table of offsets, from the database that is built in: all nodes agree,
//! whatever the machine they run on has installed.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::name::Name;

/// A day of 24 hours in milliseconds.
pub(super) const DAY: i64 = 86_400_000;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The IANA name of a time zone as the database spells it; none if it has no such name.
pub fn timezone(name: &str) -> Option<Name> {
    find(name)?.iana_name().map(Name::new)
}

/// The IANA names of all time zones.
pub fn timezones() -> impl Iterator<Item = Name> {
    DATABASE.available().map(|name| Name::new(name.as_str()))
}

pub(crate) fn find(name: &str) -> Option<TimeZone> {
    DATABASE.get(name).ok()
}

/// The offsets of a time zone over the covered range.
pub(super) struct Zone {
    /// From when on which offset holds, in milliseconds; the first always has held.
    pieces: Vec<(i64, i64)>,
}

impl Zone {
    pub(super) fn new(name: &str, end: i64) -> Option<Self> {
        let zone = find(name)?;
        let begin = jiff::Timestamp::UNIX_EPOCH;
        let millis = |offset: jiff::tz::Offset| i64::from(offset.seconds()) * 1000;
        let mut pieces = vec![(i64::MIN, millis(zone.to_offset(begin)))];
        for change in zone.following(begin) {
            let (at, offset) = (change.timestamp().as_millisecond(), millis(change.offset()));
            if at >= end {
                break;
            }
            // Some changes are of the name only.
            if pieces.last().is_some_and(|(_, last)| *last != offset) {
                pieces.push((at, offset));
            }
        }
        Some(Self { pieces })
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.pieces)
    }

    fn piece(&self, t: i64) -> usize {
        self.pieces.partition_point(|(since, _)| *since <= t) - 1
    }

    /// Since when and until when the offset of an instant holds, and the offset.
    pub(super) fn piece_at(&self, t: i64) -> (i64, i64, i64) {
        let at = self.piece(t);
        let (since, offset) = self.pieces[at];
        let until = self.pieces.get(at + 1).map_or(i64::MAX, |next| next.0);
        (since, until, offset)
    }

    /// The pieces of `from..to`, each with one offset: begin, end, offset.
    pub(super) fn pieces(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, i64, i64)> {
        let mut at = from;
        std::iter::from_fn(move || {
            let (since, until, offset) = (at < to).then(|| self.piece_at(at))?;
            at = until;
            Some((since.max(from), until.min(to), offset))
        })
    }

    /// The date of an instant, in days since 1970-01-01.
    pub(super) fn day(&self, t: i64) -> i64 {
        t.saturating_add(self.pieces[self.piece(t)].1).div_euclid(DAY)
    }

    /// The instant at which the wall clock shows the time of day of `t` on another day.
    pub(super) fn same_time_on(&self, t: i64, day: i64) -> i64 {
        let local = t.saturating_add(self.pieces[self.piece(t)].1);
        self.instant(local.rem_euclid(DAY) + day * DAY)
    }

    /// The first instant at which the wall clock shows a local time, or a later one.
    pub(super) fn instant(&self, local: i64) -> i64 {
        // Local times rise within a piece, so the first piece that reaches the time has it first,
        // or begins behind the gap that it is in.
        let reaches = |at: usize| {
            self.pieces.get(at + 1).is_none_or(|(until, _)| local < *until + self.pieces[at].1)
        };
        let mut at = self.piece(local - DAY * 2);
        while !reaches(at) {
            at += 1;
        }
        let (since, offset) = self.pieces[at];
        since.max(local - offset)
    }

    /// Days that the zone leaves out altogether, as some did when they crossed the date line.
    pub(super) fn skipped_days(&self) -> impl Iterator<Item = i64> {
        self.pieces.windows(2).flat_map(|pair| {
            let [(_, old), (at, new)] = [pair[0], pair[1]];
            let first = (at + old + DAY - 1).div_euclid(DAY);
            first..(at + new).div_euclid(DAY)
        })
    }
}
