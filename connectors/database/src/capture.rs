//! Capture: a lagged, overlapping window over the watermark, swept in the order of (watermark,
//! key).
//!
//! The window and what is settled in it are those of [`gantry_plugin_sweep`]; the watermark may be
//! of any type that the database orders, so the walk through it is our own.

use gantry_plugin_api::{
    Batch, Capture, ConfigFault, Context, Error, HumanMoment, Position, Record, RecordOutcome,
};
use gantry_plugin_sweep::before;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Database;
use crate::client::Client;
use crate::config::CaptureSettings;
use crate::failure::Task;
use crate::source::{Captured, Source, Window};
use crate::value::object;

/// The largest page when a long stretch of known rows is walked past, in rows.
const N_PAGE_MAX: usize = 2_000;
/// Pages read in one poll, so that it ends even if all rows are known.
const N_PAGES_MAX: usize = 16;

/// How an operator writes a position.
const EXAMPLE: &str = "{\"at\": WATERMARK}";

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

/// One walk through the window.
#[derive(Debug)]
pub(crate) struct Sweep {
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
        ];
        let faults = wrong.into_iter().filter(|(wrong, _)| *wrong);
        faults.map(|(_, (path, message))| ConfigFault::new(path, message)).collect()
    }

    async fn check_settings(&self, settings: &CaptureSettings, _: &Context) -> Result<(), Error> {
        let sweep = Sweep::begin(&self.client, settings, None).await?;
        sweep.page(&self.client, 0).await?;
        Ok(())
    }

    fn reads_ahead(_: &CaptureSettings) -> bool {
        true
    }

    async fn poll(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        let mut sweep = match self.sweeps.resume(cx.name(), from) {
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
                let (key, record) = sweep.record(row)?;
                records.extend(self.sweeps.unsettled(cx.name(), key.as_bytes(), record));
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
        Ok(self.sweeps.pause(cx.name(), (!ended).then_some(sweep), position_after, records))
    }

    async fn acknowledge(
        &self,
        _: &CaptureSettings,
        cx: &Context,
        outcomes: &[RecordOutcome],
    ) -> Result<(), Error> {
        self.sweeps.settle(cx.name(), outcomes);
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
        let mark: Option<Mark> = from.map(|from| from.parse(EXAMPLE)).transpose()?;
        let source = Source::find(client, settings).await?;
        let task = Task { what: "read the database's clock", field: "" };
        let now = Timestamp::from_microsecond(client.now_us(task).await?);
        let now = now.map_err(|error| Error::permanent("cannot read a clock").because(&error))?;
        let until_moment = before(now, settings.lag.get());
        let earliest = settings.from.map(HumanMoment::get);
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

    /// Moves on to a row and makes the record of it; gives its key too.
    fn record(&mut self, row: Captured) -> Result<(String, Record), Error> {
        let place = Mark::new(row.at, row.key);
        let version = self.source.version(&place.at);
        let moment = self.source.moment(&place.at);
        let payload = object(self.source.columns(), row.values)
            .map_err(|error| Error::permanent("cannot write a row as JSON").because(&error))?;
        let key = serde_json::to_string(&place.key)
            .map_err(|error| Error::permanent("cannot write a key as JSON").because(&error))?;
        if row.beyond {
            let floor = self.floor.clone();
            self.mark = Some(Mark { floor, ..place.clone() });
        }
        self.moves_on = true;
        self.cursor = Some(place);
        let mut record = Record::json(payload);
        record.position = self.mark.as_ref().map(Position::of).transpose()?;
        record.version = Some(version);
        record.occurred_at_ms = moment.map(Timestamp::as_millisecond);
        Ok((key, record))
    }

    /// Where to go on once all records are settled.
    fn position(&mut self, ended: bool) -> Result<Option<Position>, Error> {
        let at = self.mark.as_ref().map(|mark| self.source.moment(&mark.at));
        let is_ahead = at.is_none_or(|at| at.is_some_and(|at| at < self.until_moment));
        if ended && self.moves_on && is_ahead {
            let floor = self.floor.clone();
            self.mark = Some(Mark { floor, ..Mark::new(self.until.clone(), Vec::new()) });
        }
        self.mark.as_ref().map(Position::of).transpose()
    }
}

impl Mark {
    pub(crate) fn new(at: Value, key: Vec<Value>) -> Self {
        let floor = None;
        Self { at, key, floor }
    }

    /// Whether it is this place; where the first load began does not matter.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        self.at == other.at && self.key == other.key
    }
}
