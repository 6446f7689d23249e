//! What the machine and SQLite can do at most: printed beside our own figures, because an absolute
//! figure says as much about the disk as about the program.
//!
//! These functions block and wear the disk; they are for benchmarks.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};

use crate::error::Error;
use crate::sqlite::rows::RowsStatement;
use crate::timing::{Spread, spread};

/// Bytes that one flush writes: a page.
const FLUSH_BYTES: usize = 4096;
/// The file is written over from its start after so many bytes, as the log is.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes of a bare row's value, about what a work item with its document weighs.
const VALUE_BYTES: usize = 400;

/// Order of the keys of a bare insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOrder {
    /// Rising, as ids of a source usually are.
    Ordered,
    /// As hashes and random ids are.
    Random,
}

/// How fast something went.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rate {
    /// Operations a second.
    pub per_second: f64,
    /// How long single flushes or commits took.
    pub each: Spread,
}

/// Measures how often a second a page can be written and flushed to disk in `folder`, for about
/// as long as `span`.
///
/// # Errors
/// [`Error::File`] if the probe's file cannot be written.
pub fn flush_rate(folder: &Path, span: Duration) -> Result<Rate, Error> {
    let path = folder.join("gantry-flush-probe");
    let probe = || -> std::io::Result<Rate> {
        let mut file = File::create(&path)?;
        let page = [7_u8; FLUSH_BYTES];
        let begun = Instant::now();
        let mut took = Vec::new();
        while begun.elapsed() < span {
            let started = Instant::now();
            file.write_all(&page)?;
            file.sync_data()?;
            took.push(started.elapsed());
            if file.stream_position()? >= FILE_BYTES {
                file.seek(SeekFrom::Start(0))?;
            }
        }
        let rate = rate(took.len() as u64, begun.elapsed(), &took);
        std::fs::remove_file(&path)?;
        Ok(rate)
    };
    probe().map_err(|source| Error::File {
        action: "probe the disk with",
        path: path.clone(),
        source,
    })
}

/// Measures how many bare rows (a key of about 20 characters, a value of 400 bytes) a second SQLite
/// inserts durably, `rows_per_commit` at a time, in a database of its own in `folder`; no index, no
/// journal, SQLite's own checkpoints.
///
/// # Errors
/// The database's own.
pub async fn bare_insert_rate(
    folder: &Path,
    order: KeyOrder,
    rows_per_commit: u32,
    commits: u32,
) -> Result<Rate, Error> {
    let path = folder.join("gantry-insert-probe.db");
    let rate = insert(&path, order, rows_per_commit, commits)
        .await
        .map_err(|source| crate::sqlite::classify("measuring bare inserts", source));
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.clone().into_os_string();
        name.push(ending);
        // Closing has removed the files of the log already.
        let _ = std::fs::remove_file(name);
    }
    rate
}

async fn insert(
    path: &Path,
    order: KeyOrder,
    rows_per_commit: u32,
    commits: u32,
) -> Result<Rate, sqlx::Error> {
    const TABLE: &str = "CREATE TABLE bare (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) \
                         STRICT, WITHOUT ROWID";
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(FLUSH_BYTES as u32)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging()
        .connect()
        .await?;
    sqlx::query(TABLE).execute(&mut connection).await?;
    let statement = RowsStatement::insert("bare", &["key", "value"], "");
    let value = [b'x'; VALUE_BYTES];
    let begun = Instant::now();
    let mut took = Vec::with_capacity(commits as usize);
    for commit in 0..commits {
        let first = u64::from(commit) * u64::from(rows_per_commit);
        let mut keys: Vec<_> =
            (first..first + u64::from(rows_per_commit)).map(|number| key(order, number)).collect();
        keys.sort_unstable();
        let started = Instant::now();
        commit_bare(&mut connection, &statement, &keys, &value).await?;
        took.push(started.elapsed());
    }
    let rows = u64::from(commits) * u64::from(rows_per_commit);
    Ok(rate(rows, begun.elapsed(), &took))
}

async fn commit_bare(
    connection: &mut SqliteConnection,
    statement: &RowsStatement,
    keys: &[String],
    value: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    statement
        .execute(connection, keys, |key, to| {
            to.add(key.as_str());
            to.add(value);
        })
        .await?;
    sqlx::query("COMMIT").execute(connection).await.map(drop)
}

/// The key of a row. Random ones are the numbers scattered over all of 64 bits, each once.
pub fn key(order: KeyOrder, number: u64) -> String {
    match order {
        KeyOrder::Ordered => format!("case-{number:012}"),
        KeyOrder::Random => format!("{:016x}", scatter(number)),
    }
}

/// A bijection of 64-bit numbers that leaves no order. Source: Steele, Lea, Flood (2014), "Fast
/// splittable pseudorandom number generators", the mixing function of SplitMix64.
const fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn rate(count: u64, span: Duration, took: &[Duration]) -> Rate {
    let micros: Vec<u64> = took.iter().map(|one| one.as_micros() as u64).collect();
    let max = micros.iter().copied().max().unwrap_or(0);
    Rate {
        per_second: count as f64 / span.as_secs_f64(),
        each: spread(took.len() as u64, max, micros),
    }
}
