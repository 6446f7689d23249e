//! Capture: a lagged, overlapping window over the watermark, swept in the order of (watermark,
//! key).
//!
//! A row may be committed long after the moment in its watermark, so "newer than the last one"
//! loses rows. A sweep therefore starts `overlap` before the position and ends `lag` before the
//! database's present, and that end stands still for as long as the sweep lasts: a transaction
//! that takes less than overlap + lag is always inside this sweep or the next. What the hub has
//! settled and has not changed since is skipped from memory; after a restart it is given again,
//! and the hub knows it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use gantry_plugin_api::{
    Batch, Capture, ConfigFault, Context, Error, Outcome, Position, Record, RecordOutcome,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Database;
use crate::client::Client;
use crate::config::CaptureSettings;
use crate::failure::Task;
use crate::source::{Captured, Source, Window, earliest};
use crate::value::{moment_or_day, object};

/// Rows remembered as settled, for each capture point; beyond that some are given again in vain.
const N_SEEN_MAX: usize = 100_000;
/// The largest page when a long stretch of known rows is walked past, in rows.
const N_PAGE_MAX: usize = 2_000;
/// Pages read in one poll, so that it ends even if all rows are known.
const N_PAGES_MAX: usize = 16;

/// A place in the source: right after the row with this watermark and key. It is the position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    pub(crate) at: Value,
    /// Without one the place is before all rows of the watermark.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) key: Vec<Value>,
    /// Where a first load bounded by `at_most` began: nothing before it is ever captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<Box<Mark>>,
}

/// What is known of each capture point, by name; only ever saves work.
#[derive(Debug, Default)]
pub(crate) struct Scans(Mutex<BTreeMap<String, Scan>>);

#[derive(Debug, Default)]
struct Scan {
    /// Begun and not ended, and the position its last batch ended at.
    sweep: Option<(Sweep, Option<Position>)>,
    /// A record has to be given again: the running sweep has passed it, so another must start.
    redo: bool,
    round: u64,
    /// Settled rows: key → content, and the round that last saw it.
    seen: HashMap<Hash, (Hash, u64)>,
}

type Hash = [u8; 16];

/// One walk through the window.
#[derive(Debug)]
struct Sweep {
    source: Source,
    lo: Option<Value>,
    until: Value,
    until_moment: Timestamp,
    /// The last row read.
    cursor: Option<Mark>,
    /// The position so far; it never goes back.
    mark: Option<Mark>,
    floor: Option<Box<Mark>>,
    /// Whether the position should move on to `until` at the end, so that old rows leave the
    /// window.
    moves_on: bool,
}

impl Capture for Database {
    type Settings = CaptureSettings;

    fn validate_settings(settings: &CaptureSettings) -> Vec<ConfigFault> {
        let from = settings.from.as_deref();
        let wrong = [
            (
                settings.table.is_some() == settings.query.is_some(),
                ("table", "write either `table` or `query`"),
            ),
            (settings.key.is_empty(), ("key", "name at least one column")),
            (
                settings.columns.as_ref().is_some_and(Vec::is_empty),
                ("columns", "name at least one column, or leave it out for all"),
            ),
            (
                from.is_some_and(|from| moment_or_day(from).is_none()),
                ("from", "write a day (2026-01-31) or a moment (2026-01-31T12:00:00Z)"),
            ),
        ];
        let faults = wrong.into_iter().filter(|(wrong, _)| *wrong);
        faults.map(|(_, (path, message))| ConfigFault::new(path, message)).collect()
    }

    async fn check_settings(&self, settings: &CaptureSettings, _: &Context) -> Result<(), Error> {
        let sweep = Sweep::begin(&self.client, settings, None).await?;
        sweep.page(&self.client, 0).await?;
        Ok(())
    }

    async fn poll(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        // The sweep is taken out while it works: a poll that fails or is called off starts another.
        let begun = self.scans.with(cx.name(), |scan| scan.resume(from));
        let mut sweep = match begun {
            Some(sweep) => sweep,
            None => Sweep::begin(&self.client, settings, from).await?,
        };
        let mut records = Vec::new();
        let mut size = limit;
        let mut ended = false;
        for _ in 0..N_PAGES_MAX {
            let rows = sweep.page(&self.client, size).await?;
            ended = rows.len() < size;
            let mut rows = rows.into_iter();
            while records.len() < limit
                && let Some(row) = rows.next()
            {
                let record = sweep.record(row)?;
                let fresh = self.scans.with(cx.name(), |scan| !scan.knows(&record));
                records.extend(fresh.then_some(record));
            }
            ended &= rows.next().is_none();
            if ended || records.len() >= limit {
                break;
            }
            size = if records.is_empty() {
                (size * 4).min(N_PAGE_MAX).max(limit)
            } else {
                limit - records.len()
            };
        }
        let position_after = sweep.position(ended)?;
        let redo = self.scans.with(cx.name(), |scan| {
            let kept = (!ended).then(|| (sweep, position_after.clone()));
            scan.pause(kept)
        });
        Ok(Batch { records, position_after, more: !ended || redo })
    }

    async fn acknowledge(
        &self,
        _: &CaptureSettings,
        cx: &Context,
        outcomes: &[RecordOutcome],
    ) -> Result<(), Error> {
        self.scans.with(cx.name(), |scan| {
            for outcome in outcomes {
                match outcome.outcome {
                    Outcome::Retry => {
                        scan.redo = true;
                        scan.sweep = None;
                    }
                    Outcome::Accepted | Outcome::Filtered | Outcome::Refused => {
                        scan.settle(outcome.ack_token.as_deref());
                    }
                }
            }
        });
        Ok(())
    }
}

impl Sweep {
    /// Fixes the window. The position is where the last settled row stood.
    async fn begin(
        client: &Client,
        settings: &CaptureSettings,
        from: Option<&Position>,
    ) -> Result<Self, Error> {
        let mark = from.map(Mark::read).transpose()?;
        let source = Source::find(client, settings).await?;
        let task = Task { what: "read the database's clock", field: "" };
        let now = Timestamp::from_microsecond(client.now_us(task).await?);
        let now = now.map_err(|error| Error::permanent("cannot read a clock").because(&error))?;
        let until_moment = before(now, settings.lag.get());
        let earliest = earliest(settings);
        let lo = match (&mark, earliest) {
            (None, None) => None,
            (None, Some(earliest)) => Some(source.bound(earliest, false)),
            (Some(mark), earliest) => Some(match source.moment(&mark.at) {
                Some(at) => {
                    let lo = before(at, settings.overlap.get());
                    source.bound(earliest.map_or(lo, |earliest| earliest.max(lo)), false)
                }
                // No moment to reckon from: the row's own place will do, without the overlap.
                None => mark.at.clone(),
            }),
        };
        let mut sweep = Self {
            lo,
            until: source.bound(until_moment, true),
            until_moment,
            source,
            cursor: None,
            floor: mark.as_ref().and_then(|mark| mark.floor.clone()),
            moves_on: mark.is_none(),
            mark,
        };
        if let (None, Some(n)) = (&sweep.mark, settings.at_most) {
            let floor = sweep.source.floor(client, &sweep.window(), n.get()).await?;
            sweep.floor = floor.map(Box::new);
        }
        Ok(sweep)
    }

    fn window(&self) -> Window<'_> {
        Window {
            lo: self.lo.as_ref(),
            until: &self.until,
            floor: self.floor.as_deref(),
            after: self.cursor.as_ref(),
        }
    }

    async fn page(&self, client: &Client, limit: usize) -> Result<Vec<Captured>, Error> {
        let (window, mark) = (self.window(), self.mark.as_ref());
        self.source.page(client, &window, mark, limit).await
    }

    /// Moves on to a row and makes the record of it.
    fn record(&mut self, row: Captured) -> Result<Record, Error> {
        let place = Mark::new(row.at, row.key);
        let version = self.source.version(&place.at);
        let moment = self.source.moment(&place.at);
        let payload = serde_json::to_vec(&object(self.source.columns(), row.values))
            .map_err(|error| Error::permanent("cannot write a row as JSON").because(&error))?;
        let key = Value::from(place.key.clone()).to_string();
        let token = [hash(&[key.as_bytes()]), hash(&[version.as_bytes(), &payload])].concat();
        if row.beyond {
            let floor = self.floor.clone();
            self.mark = Some(Mark { floor, ..place.clone() });
        }
        self.moves_on = true;
        self.cursor = Some(place);
        let mut record = Record::json(payload);
        record.position = self.mark.as_ref().map(Mark::write).transpose()?;
        record.version = Some(version);
        record.occurred_at_ms = moment.map(Timestamp::as_millisecond);
        record.ack_token = Some(token.into());
        Ok(record)
    }

    /// Where to go on once all records are settled.
    fn position(&mut self, ended: bool) -> Result<Option<Position>, Error> {
        let at = self.mark.as_ref().map(|mark| self.source.moment(&mark.at));
        let is_ahead = at.is_none_or(|at| at.is_some_and(|at| at < self.until_moment));
        if ended && self.moves_on && is_ahead {
            let floor = self.floor.clone();
            self.mark = Some(Mark { floor, ..Mark::new(self.until.clone(), Vec::new()) });
        }
        self.mark.as_ref().map(Mark::write).transpose()
    }
}

impl Mark {
    pub(crate) fn new(at: Value, key: Vec<Value>) -> Self {
        let floor = None;
        Self { at, key, floor }
    }

    fn read(position: &Position) -> Result<Self, Error> {
        serde_json::from_slice(position.as_bytes()).map_err(|error| {
            let message = format!("cannot read {position:?}: write {{\"at\": WATERMARK}}");
            Error::cursor_expired(message).because(&error)
        })
    }

    fn write(&self) -> Result<Position, Error> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Error::permanent("cannot write a position").because(&error))?;
        Ok(Position::new(bytes)?)
    }
}

impl Scans {
    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Scan) -> T) -> T {
        let mut scans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match scans.get_mut(name) {
            Some(scan) => act(scan),
            None => act(scans.entry(name.to_owned()).or_default()),
        }
    }
}

impl Scan {
    /// Gives the sweep that was begun, if the hub goes on where its last batch ended.
    fn resume(&mut self, from: Option<&Position>) -> Option<Sweep> {
        self.redo = false;
        let (sweep, end) = self.sweep.take()?;
        (end.as_ref() == from).then_some(sweep)
    }

    /// Keeps a sweep for the next poll, or ends it; tells whether a record has to be given again.
    fn pause(&mut self, sweep: Option<(Sweep, Option<Position>)>) -> bool {
        if sweep.is_none() {
            // What this round did not meet has left the window.
            let round = self.round;
            self.seen.retain(|_, (_, met)| *met == round);
            self.round += 1;
        }
        self.sweep = sweep.filter(|_| !self.redo);
        self.redo
    }

    fn knows(&mut self, record: &Record) -> bool {
        let Some((key, content)) = split(record.ack_token.as_deref()) else {
            return false;
        };
        let round = self.round;
        self.seen.get_mut(&key).is_some_and(|(settled, met)| {
            *met = round;
            *settled == content
        })
    }

    fn settle(&mut self, token: Option<&[u8]>) {
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

fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    std::array::from_fn(|at| digest[at])
}

/// A moment earlier; the earliest there is, if that is too early.
fn before(moment: Timestamp, span: std::time::Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    moment.checked_sub(span).unwrap_or(Timestamp::MIN)
}
