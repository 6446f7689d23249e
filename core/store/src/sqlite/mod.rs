//! The store on SQLite: one writer, a few readers, and a connection that copies the log.
//!
//! Start reading at [`SqliteStore`], then `write.rs` (a commit), `checkpoint.rs` (the log),
//! `known.rs` (the capture path) and `query.rs` (everything else that is read).

mod alerts;
mod checkpoint;
mod known;
mod open;
mod query;
pub(crate) mod rows;
mod write;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use async_trait::async_trait;
use gantry_model::command::Known;
use gantry_model::{ItemId, Name, PartitionId, Timestamp};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::sync::Mutex;

use crate::commit::{
    AlertRow, Commit, ConfigRow, CursorRow, DocumentRow, LaneRow, PauseRow, PositionRow,
};
use crate::error::Error;
use crate::failpoint::{self, failpoint};
use crate::read::{
    Boot, DeadLetter, DeadLetterFilter, HistoryEntry, ItemFilter, ItemView, KeyQuery, Page,
    SegmentRow, Stats, StatusCount,
};
use crate::timing::Timing;
use checkpoint::Log;
use known::Keys;
use write::Writer;

#[cfg(test)]
pub(crate) use self::{
    open::file_system,
    query::journal::{push_seq, read_seqs},
};

/// Connections that answer reads other than those of the capture path.
const READERS_MAX: u32 = 3;

/// How a database is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The partition that is stored in it.
    pub partition: PartitionId,
    /// `true` = take no lock, change nothing, refuse commits.
    pub read_only: bool,
    /// Most pages (of 4 KiB) that the database may have; `None` = what the disk holds.
    pub page_count_max: Option<u32>,
}

/// A store on SQLite.
#[derive(Debug)]
pub struct SqliteStore {
    partition: PartitionId,
    epoch: u64,
    commits: Timing,
    /// `None` in a store that was opened for reading.
    writing: Option<Writing>,
    keys: Mutex<Keys>,
    readers: SqlitePool,
    /// Held as long as the store lives; released last.
    _lock: Option<File>,
}

#[derive(Debug)]
struct Writing {
    writer: Mutex<Writer>,
    log: Log,
}

/// See [`crate::damage`].
pub(crate) async fn damage(path: &Path) -> Result<Vec<String>, Error> {
    let mut connection = connect(&open::reader_options(path)).await?;
    open::expect_current(&mut connection, path).await?;
    let told = sqlx::query_scalar("PRAGMA quick_check(10)");
    let told: Result<Vec<String>, _> = told.fetch_all(&mut connection).await;
    let told = told.map_err(|source| classify("reading through the store", source))?;
    Ok(told.into_iter().filter(|line| line != "ok").collect())
}

impl SqliteStore {
    /// Opens the database at `path`, which is made if there is none (unless it is read only).
    ///
    /// # Errors
    /// As [`crate::open`].
    pub async fn open(path: impl Into<PathBuf>, options: Options) -> Result<Self, Error> {
        let path = path.into();
        if options.read_only {
            Self::open_reader(&path, &options).await
        } else {
            Self::open_writer(&path, &options).await
        }
    }

    async fn open_writer(path: &Path, options: &Options) -> Result<Self, Error> {
        open::refuse_network(path)?;
        let lock = open::take_lock(path)?;
        open::create_private(path)?;
        let settings = open::writer_options(path, options.page_count_max);
        let mut connection = connect(&settings).await?;
        open::migrate(&mut connection, path).await?;
        let epoch = open::raise_epoch(&mut connection, options.partition).await?;
        let writing = Writing {
            writer: Mutex::new(Writer::new(connection, options.partition, epoch)),
            log: Log::new(connect(&settings).await?),
        };
        Self::assemble(path, options, epoch, Some(writing), Some(lock)).await
    }

    async fn open_reader(path: &Path, options: &Options) -> Result<Self, Error> {
        let mut connection = connect(&open::reader_options(path)).await?;
        open::expect_current(&mut connection, path).await?;
        let epoch = query::meta(&mut connection, options.partition).await?.epoch;
        Self::assemble(path, options, epoch, None, None).await
    }

    async fn assemble(
        path: &Path,
        options: &Options,
        epoch: u64,
        writing: Option<Writing>,
        lock: Option<File>,
    ) -> Result<Self, Error> {
        let settings = open::reader_options(path);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(settings.clone());
        Ok(Self {
            partition: options.partition,
            epoch,
            commits: Timing::default(),
            writing,
            keys: Mutex::new(Keys::new(connect(&settings).await?, options.partition)),
            readers,
            _lock: lock,
        })
    }

    /// Changes how many pages (of 4 KiB) the database may have. A limit below its present size
    /// becomes that size.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] or the database's own.
    pub async fn limit_pages(&self, page_count_max: u32) -> Result<(), Error> {
        let writing = self.writing(0)?;
        writing.writer.lock().await.limit_pages(page_count_max).await
    }

    /// Closes the database and waits until that is done. A store that is dropped instead closes
    /// in the background.
    ///
    /// # Errors
    /// The database's own; the store is closed all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.readers.close().await;
        let keys = self.keys.into_inner().close().await;
        let written = match self.writing {
            Some(Writing { writer, log }) => {
                let copied = log.close().await;
                writer.into_inner().close().await.and(copied)
            }
            None => Ok(()),
        };
        keys.and(written).map_err(|source| classify("closing the database", source))
    }

    fn writing(&self, seq: u64) -> Result<&Writing, Error> {
        self.writing.as_ref().ok_or(Error::ReadOnly { seq })
    }

    async fn reader(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Sqlite>, Error> {
        self.readers
            .acquire()
            .await
            .map_err(|source| classify("waiting for a reader of the store", source))
    }
}

async fn connect(settings: &sqlx::sqlite::SqliteConnectOptions) -> Result<SqliteConnection, Error> {
    settings.connect().await.map_err(|source| classify("opening the database", source))
}

#[async_trait]
impl crate::Store for SqliteStore {
    async fn commit(&self, commit: &Commit) -> Result<(), Error> {
        let writing = self.writing(commit.seq)?;
        let mut writer = writing.writer.lock().await;
        let begun = Instant::now();
        failpoint(failpoint::BEFORE_COMMIT);
        writing.log.make_room(&mut writer).await?;
        writer.commit(commit).await?;
        failpoint(failpoint::AFTER_COMMIT);
        self.commits.note(begun.elapsed());
        Ok(())
    }

    async fn known(&self, keys: &[KeyQuery]) -> Result<Vec<Option<Known>>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.keys.lock().await.known(keys).await
    }

    async fn boot(&self) -> Result<Boot, Error> {
        let mut reader = self.reader().await?;
        query::boot(&mut reader, self.partition, self.epoch).await
    }

    async fn item(&self, item: ItemId) -> Result<Option<ItemView>, Error> {
        query::items::by_id(&mut *self.reader().await?, item).await
    }

    async fn find(
        &self,
        capture_point: &str,
        external_id: &str,
    ) -> Result<Option<ItemView>, Error> {
        let mut reader = self.reader().await?;
        query::items::by_key(&mut reader, self.partition, capture_point, external_id).await
    }

    async fn customer_items(&self, customer: &str, limit: u32) -> Result<Vec<ItemView>, Error> {
        let mut reader = self.reader().await?;
        query::items::by_customer(&mut reader, self.partition, customer, limit).await
    }

    async fn list(&self, filter: &ItemFilter, page: Page) -> Result<Vec<ItemView>, Error> {
        query::items::list(&mut *self.reader().await?, self.partition, filter, page).await
    }

    async fn counts(&self) -> Result<Vec<StatusCount>, Error> {
        query::items::counts(&mut *self.reader().await?, self.partition).await
    }

    async fn document(
        &self,
        item: ItemId,
        revision: Option<u32>,
    ) -> Result<Option<DocumentRow>, Error> {
        query::document(&mut *self.reader().await?, item, revision).await
    }

    async fn history(&self, item: ItemId) -> Result<Vec<HistoryEntry>, Error> {
        query::journal::history(&mut *self.reader().await?, item).await
    }

    async fn segments(&self, after_seq: u64, limit: u32) -> Result<Vec<SegmentRow>, Error> {
        let mut reader = self.reader().await?;
        query::journal::segments(&mut reader, self.partition, after_seq, limit).await
    }

    async fn positions(&self, capture_point: Option<&str>) -> Result<Vec<PositionRow>, Error> {
        query::captures::positions(&mut *self.reader().await?, self.partition, capture_point).await
    }

    async fn positions_at(
        &self,
        capture_point: &str,
        at: Timestamp,
    ) -> Result<Vec<PositionRow>, Error> {
        let mut reader = self.reader().await?;
        query::captures::positions_at(&mut reader, self.partition, capture_point, at).await
    }

    async fn pauses(&self) -> Result<Vec<PauseRow>, Error> {
        query::captures::pauses(&mut *self.reader().await?, self.partition).await
    }

    async fn cursors(&self) -> Result<Vec<CursorRow>, Error> {
        query::cursors(&mut *self.reader().await?, self.partition).await
    }

    async fn alerts(&self) -> Result<Vec<AlertRow>, Error> {
        alerts::raised(&mut *self.reader().await?, self.partition).await
    }

    async fn lanes(&self, subscriber: &Name) -> Result<Vec<LaneRow>, Error> {
        query::lanes(&mut *self.reader().await?, self.partition, subscriber).await
    }

    async fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, Error> {
        query::dead_letters::list(&mut *self.reader().await?, self.partition, filter).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, Error> {
        query::dead_letters::by_id(&mut *self.reader().await?, self.partition, id).await
    }

    async fn configs(&self) -> Result<Vec<ConfigRow>, Error> {
        query::configs(&mut *self.reader().await?, self.partition).await
    }

    async fn config(&self, version: u32) -> Result<Option<ConfigRow>, Error> {
        query::config(&mut *self.reader().await?, self.partition, version).await
    }

    async fn forget_messages(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let writing = self.writing(0)?;
        writing.writer.lock().await.forget_messages(before, limit).await
    }

    async fn forget_positions(
        &self,
        before: Timestamp,
        keep_max: u32,
        limit: u32,
    ) -> Result<u64, Error> {
        let writing = self.writing(0)?;
        writing.writer.lock().await.forget_positions(before, keep_max, limit).await
    }

    async fn maintain(&self) {
        match &self.writing {
            Some(writing) => writing.log.maintain().await,
            None => std::future::pending().await,
        }
    }

    fn stats(&self) -> Stats {
        let log = self.writing.as_ref().map(|writing| &writing.log);
        Stats {
            commits: self.commits.spread(),
            stalls: log.map(Log::stalls).unwrap_or_default(),
            checkpoints: log.map(Log::rounds).unwrap_or_default(),
            log_bytes: log.map(Log::bytes).unwrap_or_default(),
        }
    }
}

/// SQLite's primary result codes. Source: sqlite.org, "Result and Error Codes".
const SQLITE_BUSY: i64 = 5;
const SQLITE_LOCKED: i64 = 6;
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_FULL: i64 = 13;
const SQLITE_NOTADB: i64 = 26;

/// Classes an error of the database by what the caller should do.
pub(crate) fn classify(doing: &'static str, source: sqlx::Error) -> Error {
    let code = source
        .as_database_error()
        .and_then(|error| error.code()?.parse::<i64>().ok())
        .map(|extended| extended & 0xff);
    match code {
        Some(SQLITE_FULL) => Error::Full { doing, source },
        Some(SQLITE_BUSY | SQLITE_LOCKED) => Error::Busy { doing, source },
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => Error::corrupt(doing, source),
        _ => match source {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Error::corrupt(doing, source)
            }
            source => Error::Database { doing, source },
        },
    }
}
