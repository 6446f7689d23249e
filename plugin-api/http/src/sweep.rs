//! Polling by timestamp without losing a row.
//!
//! Timestamps of a source are coarse, its indexes lag, and a long transaction commits with a time
//! that has passed, so "newer than the last one" loses rows. A [`Sweep`] therefore starts `overlap`
//! before the stored position and ends `lag` before the server's own present, and both ends stand
//! still while it is walked, over as many polls as that takes. What the hub has settled and has not
//! changed since is skipped from memory; after a restart it is given again, and the hub knows it.
//!
//! It is pure: what is asked of the server, and how its pages are walked, is the connector's, kept
//! in the sweep's cursor.
//!
//! ```ignore
//! let begun = self.sweeps.resume(cx.name(), from);
//! let mut sweep = match begun {
//!     Some(sweep) => sweep,
//!     None => Sweep::begin(from, &bounds, server_now_ms, Cursor::default())?,
//! };
//! for row in page_of(sweep.since(), sweep.until(), &mut sweep.cursor).await? {
//!     let record = sweep.pass(&row.changed_at, &row.id, Record::json(row.json))?;
//!     records.extend(self.sweeps.unsettled(cx.name(), record));
//! }
//! self.sweeps.pause(cx.name(), sweep, ended, records)
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gantry_plugin_api::{Batch, Error, Outcome, Position, Record, RecordOutcome};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Rows remembered as settled, for each capture point; beyond that some are given again in vain.
const N_SEEN_MAX: usize = 100_000;

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

/// What is known of each capture point, by name; it only ever saves work.
#[derive(Debug)]
pub struct Sweeps<C>(Mutex<BTreeMap<String, Memory<C>>>);

#[derive(Debug)]
struct Memory<C> {
    /// Begun and not ended, and the position its last batch ended at.
    sweep: Option<(Sweep<C>, Option<Position>)>,
    /// A record has to be given again: the running sweep has passed it, so another must start.
    redo: bool,
    round: u64,
    /// Settled rows: key → content, and the round that last saw it.
    seen: HashMap<Hash, (Hash, u64)>,
}

type Hash = [u8; 16];

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

    /// Moves on past a row and makes its record part of the walk: position and token are set. Rows
    /// come in the order of (timestamp, id), as far as the server keeps to it.
    ///
    /// # Errors
    /// Of class `permanent` if the id is too long to be part of a position.
    pub fn pass(&mut self, at: Timestamp, id: &str, mut record: Record) -> Result<Record, Error> {
        let mark = Mark { at, id: id.to_owned() };
        let content: &[u8] = &record.payload;
        let token = [hash(id.as_bytes()), hash(content)].concat();
        if self.mark.as_ref().is_none_or(|known| *known < mark) {
            self.mark = Some(mark);
        }
        self.moves_on = true;
        record.position = self.mark.as_ref().map(Mark::write).transpose()?;
        record.occurred_at_ms.get_or_insert(at.as_millisecond());
        record.ack_token = Some(token.into());
        Ok(record)
    }

    /// Where to go on once all records are settled.
    fn position(&mut self, ended: bool) -> Result<Option<Position>, Error> {
        let is_ahead = self.mark.as_ref().is_none_or(|mark| mark.at < self.until);
        if ended && self.moves_on && is_ahead {
            self.mark = Some(Mark { at: self.until, id: String::new() });
        }
        self.mark.as_ref().map(Mark::write).transpose()
    }
}

impl Mark {
    fn read(position: &Position) -> Result<Self, Error> {
        serde_json::from_slice(position.as_bytes()).map_err(|error| {
            let message = format!(
                "cannot read {position:?}: write {{\"at\": \"2026-01-31T12:00:00Z\"}}, a moment \
                 in UTC"
            );
            Error::cursor_expired(message).because(&error)
        })
    }

    fn write(&self) -> Result<Position, Error> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Error::permanent("cannot write a position").because(&error))?;
        Ok(Position::new(bytes)?)
    }
}

impl<C> Sweeps<C> {
    /// Gives the sweep that was begun, if the hub goes on where its last batch ended. It is taken
    /// out while it works: a poll that fails or is called off starts another.
    pub fn resume(&self, name: &str, from: Option<&Position>) -> Option<Sweep<C>> {
        self.with(name, |memory| {
            memory.redo = false;
            let (sweep, end) = memory.sweep.take()?;
            (end.as_ref() == from).then_some(sweep)
        })
    }

    /// The record, unless it is settled and has not changed since.
    pub fn unsettled(&self, name: &str, record: Record) -> Option<Record> {
        let (key, content) = split(record.ack_token.as_deref())?;
        let is_settled = self.with(name, |memory| {
            let round = memory.round;
            memory.seen.get_mut(&key).is_some_and(|(settled, met)| {
                *met = round;
                *settled == content
            })
        });
        (!is_settled).then_some(record)
    }

    /// Makes the batch of a poll, and keeps the sweep for the next one unless it `ended`: there
    /// are no more rows in its window.
    ///
    /// # Errors
    /// As [`Sweep::pass`].
    pub fn pause(
        &self,
        name: &str,
        mut sweep: Sweep<C>,
        ended: bool,
        records: Vec<Record>,
    ) -> Result<Batch, Error> {
        let position_after = sweep.position(ended)?;
        let redo = self.with(name, |memory| {
            if ended {
                // What this round did not meet has left the window.
                let round = memory.round;
                memory.seen.retain(|_, (_, met)| *met == round);
                memory.round += 1;
            } else if !memory.redo {
                memory.sweep = Some((sweep, position_after.clone()));
            }
            memory.redo
        });
        Ok(Batch { records, position_after, more: !ended || redo })
    }

    /// Learns what became of records; call it from `Capture::acknowledge`.
    pub fn settle(&self, name: &str, outcomes: &[RecordOutcome]) {
        self.with(name, |memory| {
            for outcome in outcomes {
                match outcome.outcome {
                    Outcome::Retry => {
                        memory.redo = true;
                        memory.sweep = None;
                    }
                    Outcome::Accepted | Outcome::Filtered | Outcome::Refused => {
                        memory.remember(outcome.ack_token.as_deref());
                    }
                }
            }
        });
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Memory<C>) -> T) -> T {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match memories.get_mut(name) {
            Some(memory) => act(memory),
            None => act(memories.entry(name.to_owned()).or_default()),
        }
    }
}

impl<C> Default for Sweeps<C> {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<C> Default for Memory<C> {
    fn default() -> Self {
        Self { sweep: None, redo: false, round: 0, seen: HashMap::new() }
    }
}

impl<C> Memory<C> {
    fn remember(&mut self, token: Option<&[u8]>) {
        let Some((key, content)) = split(token) else {
            return;
        };
        if self.seen.len() < N_SEEN_MAX || self.seen.contains_key(&key) {
            self.seen.insert(key, (content, self.round));
        }
    }
}

fn split(token: Option<&[u8]>) -> Option<(Hash, Hash)> {
    let (key, content) = token?.split_at_checked(16)?;
    Some((key.try_into().ok()?, content.try_into().ok()?))
}

fn hash(bytes: &[u8]) -> Hash {
    let digest = Sha256::digest(bytes);
    std::array::from_fn(|at| digest[at])
}

/// A moment earlier; the earliest there is, if that is too early.
fn before(moment: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    moment.checked_sub(span).unwrap_or(Timestamp::MIN)
}
