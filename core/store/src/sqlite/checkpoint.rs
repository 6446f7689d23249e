//! The write-ahead log, copied into the database beside the commits.
//!
//! SQLite would do it inside a commit, which then takes tens of milliseconds. Copying alone never
//! lets a busy log start over, so at [`LOG_BYTES_MAX`] the writer waits for one complete round.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{Mutex, Notify};

use super::classify;
use super::open::PAGE_BYTES;
use super::write::Writer;
use crate::error::Error;
use crate::timing::{Spread, Timing};

/// At this size the writer waits until the log is copied, so that it starts over.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// From this much on, uncopied bytes are worth a round.
const ROUND_BYTES_MIN: u64 = 4 << 20;
/// The writer looks at the log's size after so many bytes or commits.
const LOOK_BYTES: u64 = 2 << 20;
const LOOK_COMMITS: u32 = 128;
/// How often the writer tries a complete round; only a reader's snapshot can prevent one.
const STALL_ROUNDS_MAX: u32 = 100;
/// How long it leaves the readers in between.
const STALL_PAUSE: Duration = Duration::from_millis(2);

/// Tells the sizes and does nothing.
const LOOK: &str = "PRAGMA wal_checkpoint(NOOP)";
/// Copies what no reader still needs from the log.
const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The log and the connection that copies it.
#[derive(Debug)]
pub(super) struct Log {
    connection: Mutex<SqliteConnection>,
    worth_a_round: Notify,
    bytes: AtomicU64,
    stalls: Timing,
    rounds: Timing,
}

/// What was written since the writer last looked at the log.
#[derive(Debug, Default)]
pub(super) struct SinceLook {
    pub(super) bytes: u64,
    pub(super) commits: u32,
}

/// Size of the log, and how much of it the database has.
#[derive(Clone, Copy, Debug)]
struct Size {
    written: u64,
    copied: u64,
}

impl Log {
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self {
            connection: Mutex::new(connection),
            worth_a_round: Notify::new(),
            bytes: AtomicU64::new(0),
            stalls: Timing::default(),
            rounds: Timing::default(),
        }
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.into_inner().close().await
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn stalls(&self) -> Spread {
        self.stalls.spread()
    }

    pub(super) fn rounds(&self) -> Spread {
        self.rounds.spread()
    }

    /// Called by the writer before a commit: pokes the copier, or waits when the log is at its
    /// limit.
    pub(super) async fn make_room(&self, writer: &mut Writer) -> Result<(), Error> {
        let since = writer.since_look();
        if since.bytes < LOOK_BYTES && since.commits < LOOK_COMMITS {
            return Ok(());
        }
        *since = SinceLook::default();
        let size = checkpoint(writer.connection(), LOOK)
            .await
            .map_err(|source| classify("looking at the size of the log", source))?;
        self.bytes.store(size.written, Ordering::Relaxed);
        if size.written >= LOG_BYTES_MAX {
            self.complete_round().await;
        } else if size.written - size.copied >= ROUND_BYTES_MIN {
            self.worth_a_round.notify_one();
        }
        Ok(())
    }

    /// Copies the whole log while the writer waits. A failure is not the commit's: it goes on in
    /// a longer log, and fails by itself if the disk is full.
    async fn complete_round(&self) {
        let begun = Instant::now();
        let mut complete = false;
        for _ in 0..STALL_ROUNDS_MAX {
            complete = match checkpoint(&mut *self.connection.lock().await, COPY).await {
                Ok(size) => size.copied == size.written,
                Err(error) => {
                    warn(&error);
                    break;
                }
            };
            if complete {
                break;
            }
            tokio::time::sleep(STALL_PAUSE).await;
        }
        if !complete {
            tracing::warn!("the write-ahead log of the store could not be copied completely");
        }
        self.stalls.note(begun.elapsed());
    }

    /// Copies the log whenever it is worth it, until dropped.
    pub(super) async fn maintain(&self) {
        loop {
            self.worth_a_round.notified().await;
            let mut connection = self.connection.lock().await;
            let begun = Instant::now();
            if let Err(error) = checkpoint(&mut connection, COPY).await {
                warn(&error);
            }
            self.rounds.note(begun.elapsed());
        }
    }
}

fn warn(error: &sqlx::Error) {
    tracing::warn!(%error, "the write-ahead log of the store could not be copied; it grows on");
}

/// Source: sqlite.org, "PRAGMA wal_checkpoint": the answer is (busy, pages in the log, pages
/// copied), the latter two -1 where there is no log.
async fn checkpoint(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<Size, sqlx::Error> {
    let (_, written, copied): (i64, i64, i64) = sqlx::query_as(sql).fetch_one(connection).await?;
    let bytes = |pages: i64| pages.max(0) as u64 * u64::from(PAGE_BYTES);
    Ok(Size { written: bytes(written), copied: bytes(copied).min(bytes(written)) })
}
