//! Capture: a query over the window of a sweep, walked page by page.
//!
//! The window has no upper end in the query: the first page's `Date` says what time it is at the
//! server, and records younger than `lag` before that end the walk. A list that the server no
//! longer keeps is asked for again from where the walk stands.

use std::collections::VecDeque;

use gantry_plugin_api::{
    Batch, Capture, ConfigFault, Context, Error, ErrorClass, HumanMoment, MessageKind, Position,
    Record, RecordOutcome,
};
use gantry_plugin_sweep::{Bounds, Sweep};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::Salesforce;
use crate::client::Page;
use crate::config::{CaptureSettings, OnDeleted};
use crate::soql::{self, DELETED, STAMP};
use crate::values::{moment, tidied};

/// Pages read in one poll, so that it ends even if all records are known.
const N_PAGES_MAX: usize = 16;

/// How far a walk has come.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// Read and not yet given.
    rows: VecDeque<Map<String, Value>>,
    /// Where the next page is.
    next: Option<String>,
    /// When the last record given changed.
    at: Option<Timestamp>,
    /// What the next page was answered with, to be told once the records before it are given.
    trouble: Option<Error>,
}

impl From<Page> for Cursor {
    fn from(page: Page) -> Self {
        Self { rows: page.records.into(), next: page.next_records_url, ..Self::default() }
    }
}

impl Capture for Salesforce {
    type Settings = CaptureSettings;

    fn validate_settings(settings: &CaptureSettings) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |path: String, message: &str| faults.push(ConfigFault::new(path, message));
        if !soql::is_name(&settings.object, false) {
            fault("object".to_owned(), "write the API name of an object, such as `Case`");
        }
        if settings.fields.is_empty() {
            fault("fields".to_owned(), "name at least one field");
        }
        for (n, field) in settings.fields.iter().enumerate() {
            if !soql::is_name(field, true) {
                let message = "write the API name of a field, such as `Subject` or `Owner.Name`";
                fault(format!("fields.{n}"), message);
            }
        }
        faults
    }

    async fn check_settings(&self, settings: &CaptureSettings, _: &Context) -> Result<(), Error> {
        let soql = format!("{} LIMIT 1", soql::changed(settings, None));
        self.client.list(&soql, finds_deleted(settings), 1).await?;
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
        self.client.has_headroom()?;
        let mut sweep = match self.sweeps.resume(cx.name(), from) {
            Some(sweep) => sweep,
            None => self.begin(settings, cx, from, limit).await?,
        };
        if let Some(trouble) = sweep.cursor.trouble.take() {
            return Err(trouble);
        }
        let mut records = Vec::new();
        let mut ended = false;
        for _ in 0..N_PAGES_MAX {
            ended = self.give(settings, cx, &mut sweep, &mut records, limit)?;
            if ended || records.len() >= limit {
                break;
            }
            match self.turn(settings, &mut sweep, limit).await {
                Ok(true) => {}
                Ok(false) => {
                    ended = true;
                    break;
                }
                Err(error) if records.is_empty() => return Err(error),
                // The hub takes what there is, and waits as long as it must before it goes on.
                Err(error) => {
                    sweep.cursor.trouble = Some(error);
                    break;
                }
            }
        }
        let position = sweep.position(ended)?;
        Ok(self.sweeps.pause(cx.name(), (!ended).then_some(sweep), position, records))
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

impl Salesforce {
    /// Asks for the window's records; the answer says when now is.
    async fn begin(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Sweep<Cursor>, Error> {
        let bounds = Bounds {
            overlap: settings.overlap.get(),
            lag: settings.lag.get(),
            earliest: settings.from.map(HumanMoment::get),
        };
        let page = self.changed(settings, bounds.since(from)?, limit).await?;
        let now_ms = page.now_ms.unwrap_or_else(|| cx.now_ms());
        Sweep::begin(from, &bounds, now_ms, page.into())
    }

    async fn changed(
        &self,
        settings: &CaptureSettings,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<Page, Error> {
        let soql = soql::changed(settings, since);
        self.client.list(&soql, finds_deleted(settings), limit).await
    }

    /// Gives records of the page at hand; tells whether the window has come to its end.
    fn give(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        sweep: &mut Sweep<Cursor>,
        records: &mut Vec<Record>,
        limit: usize,
    ) -> Result<bool, Error> {
        while records.len() < limit
            && let Some(row) = sweep.cursor.rows.pop_front()
        {
            let Row { at, id, record } = Row::read(settings, row)?;
            if at >= sweep.until() {
                return Ok(true);
            }
            sweep.cursor.at = Some(at);
            let record = sweep.pass(at, &id, record)?;
            records.extend(self.sweeps.unsettled(cx.name(), id.as_bytes(), record));
        }
        Ok(false)
    }

    /// Turns to the next page; tells whether there is one.
    async fn turn(
        &self,
        settings: &CaptureSettings,
        sweep: &mut Sweep<Cursor>,
        limit: usize,
    ) -> Result<bool, Error> {
        let Some(next) = &sweep.cursor.next else { return Ok(false) };
        let page = match self.client.next(next, limit).await {
            Err(error) if error.class() == ErrorClass::CursorExpired => {
                tracing::info!("the server no longer keeps the list, it is asked for again");
                self.changed(settings, sweep.cursor.at.or(sweep.since()), limit).await?
            }
            page => page?,
        };
        sweep.cursor = Cursor { at: sweep.cursor.at, ..page.into() };
        Ok(true)
    }
}

fn finds_deleted(settings: &CaptureSettings) -> bool {
    settings.on_deleted == OnDeleted::Cancel
}

/// A record as it came.
struct Row {
    at: Timestamp,
    id: String,
    record: Record,
}

impl Row {
    fn read(settings: &CaptureSettings, mut row: Map<String, Value>) -> Result<Self, Error> {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let (id, at) = (text("Id").map(str::to_owned), text(STAMP).and_then(moment));
        let (Some(id), Some(at)) = (id, at) else {
            let object = &settings.object;
            return Err(Error::transient(format!("a {object} came without Id or {STAMP}")));
        };
        let is_deleted = row.get(DELETED).and_then(Value::as_bool).unwrap_or_default();
        // Stamps move without a change of business, so they are content only where asked for.
        for own in [STAMP, DELETED] {
            if !settings.fields.iter().any(|field| field.eq_ignore_ascii_case(own)) {
                row.remove(own);
            }
        }
        let payload = serde_json::to_vec(&tidied(Value::Object(row)))
            .map_err(|error| Error::permanent("cannot write a record as JSON").because(&error))?;
        let mut record = Record::json(payload);
        record.message = is_deleted.then_some(MessageKind::Cancel);
        Ok(Self { at, id, record })
    }
}
