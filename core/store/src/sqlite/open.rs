//! Opening a database: the lock, the settings, the schema, the epoch.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_model::PartitionId;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::classify;
use crate::error::Error;

/// Marks a database as one of ours: "GANT".
const APPLICATION_ID: i64 = 0x4741_4e54;
/// The schema's steps, in order. A step that was released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_start.sql"),
    include_str!("../../migrations/sqlite/0002_customer_item.sql"),
    include_str!("../../migrations/sqlite/0003_alert.sql"),
    include_str!("../../migrations/sqlite/0004_position_history.sql"),
    include_str!("../../migrations/sqlite/0005_dead_letter_class.sql"),
];
/// Bytes of a page. A single capture touches seven pages: twice the size would make it a third
/// slower, and a batch no faster.
pub(super) const PAGE_BYTES: u32 = 4096;
/// How long a statement waits for a lock of another program.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept a connection: all sizes of all statements.
const STATEMENTS_MAX: usize = 256;
/// Page cache of the writer and of each reader, in KiB.
const WRITER_CACHE_KIB: u32 = 64 * 1024;
const READER_CACHE_KIB: u32 = 16 * 1024;
/// Bytes of the database that readers map into memory instead of reading them.
const READER_MAP_BYTES: u64 = 1 << 30;
/// Rows that a reader's thread may be ahead of whoever takes them.
const ROWS_AHEAD_MAX: usize = 1024;
/// Types of file systems that are reached over a network.
const NETWORK_FILE_SYSTEMS: &[&str] = &[
    "9p",
    "afs",
    "ceph",
    "cifs",
    "fuse.glusterfs",
    "fuse.sshfs",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

/// Takes the lock beside the database, which is held as long as the file is.
pub(super) fn take_lock(database: &Path) -> Result<File, Error> {
    let lock = beside(database, ".lock");
    let file_error = |action, source| Error::File { action, path: lock.clone(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock)
        .map_err(|source| file_error("open", source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Whoever holds the lock may not have written its number yet.
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "unknown".into(),
                number => number.into(),
            };
            return Err(Error::Locked { lock, holder });
        }
        Err(TryLockError::Error(source)) => return Err(file_error("lock", source)),
    }
    file.rewind()
        .and_then(|()| file.set_len(0))
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|source| file_error("write", source))?;
    Ok(file)
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes the file if there is none, for its owner only: it will hold people's data.
pub(super) fn create_private(database: &Path) -> Result<(), Error> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(database);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(Error::File { action: "create", path: database.into(), source }),
    }
}

/// Refuses a network file system, where the system tells.
pub(super) fn refuse_network(database: &Path) -> Result<(), Error> {
    let folder = match database.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize().map_err(|source| Error::File {
        action: "find the folder of",
        path: database.into(),
        source,
    })?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    match file_system(&mounts, &folder) {
        Some(kind) if NETWORK_FILE_SYSTEMS.binary_search(&kind).is_ok() => {
            Err(Error::NetworkFileSystem { path: database.into(), kind: kind.into() })
        }
        _ => Ok(()),
    }
}

/// The type of the file system that `folder` lies on: that of the longest mount point before it.
///
/// Source: proc(5), `/proc/pid/mountinfo`: field 5 is the mount point, the type follows ` - `.
pub(crate) fn file_system<'m>(mounts: &'m str, folder: &Path) -> Option<&'m str> {
    mounts
        .lines()
        .filter_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            let point = mount.split(' ').nth(4)?.replace("\\040", " ");
            let kind = kind.split(' ').next()?;
            folder.starts_with(&point).then_some((point.len(), kind))
        })
        // Of two on one point, the later one hides the earlier.
        .max_by_key(|(length, _)| *length)
        .map(|(_, kind)| kind)
}

/// Settings of a connection that writes: the writer itself, and the one that copies the log.
pub(super) fn writer_options(database: &Path, page_count_max: Option<u32>) -> SqliteConnectOptions {
    let options = common(database)
        .create_if_missing(true)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "0")
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"));
    match page_count_max {
        Some(pages) => options.pragma("max_page_count", pages.to_string()),
        None => options,
    }
}

/// Settings of a connection that only reads.
pub(super) fn reader_options(database: &Path) -> SqliteConnectOptions {
    common(database)
        .read_only(true)
        .row_buffer_size(ROWS_AHEAD_MAX)
        .pragma("query_only", "1")
        .pragma("cache_size", format!("-{READER_CACHE_KIB}"))
        .pragma("mmap_size", READER_MAP_BYTES.to_string())
}

fn common(database: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(database)
        .foreign_keys(false)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS_MAX)
        .disable_statement_logging()
}

/// Brings the schema up to date; each step in a transaction of its own.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    database: &Path,
) -> Result<(), Error> {
    let done = schema_version(connection, database).await?;
    for (number, step) in (1_i64..).zip(MIGRATIONS).skip(done as usize) {
        let sql = format!(
            "BEGIN IMMEDIATE; {step}; PRAGMA application_id = {APPLICATION_ID}; \
             PRAGMA user_version = {number}; COMMIT"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await
            .map_err(|source| classify("bringing the schema up to date", source))?;
        tracing::info!(version = number, "schema of the store brought up to date");
    }
    Ok(())
}

/// Refuses a database whose schema is not of this version.
pub(super) async fn expect_current(
    connection: &mut SqliteConnection,
    database: &Path,
) -> Result<(), Error> {
    let found = schema_version(connection, database).await?;
    let known = MIGRATIONS.len() as i64;
    if found == known {
        return Ok(());
    }
    Err(Error::NotAStore { path: database.into(), found, known })
}

/// How many steps of the schema the database has; 0 = it is new.
async fn schema_version(connection: &mut SqliteConnection, database: &Path) -> Result<i64, Error> {
    const SQL: &str = "SELECT (SELECT user_version FROM pragma_user_version), \
                       (SELECT application_id FROM pragma_application_id), \
                       (SELECT count(*) FROM sqlite_schema)";
    let (found, application, tables): (i64, i64, i64) = sqlx::query_as(SQL)
        .fetch_one(connection)
        .await
        .map_err(|source| classify("reading the version of the schema", source))?;
    let known = MIGRATIONS.len() as i64;
    let new = tables == 0 && found == 0;
    if !new && application != APPLICATION_ID {
        return Err(Error::NotAStore { path: database.into(), found, known });
    }
    if found > known {
        return Err(Error::Newer { found, known });
    }
    Ok(found)
}

/// Raises the epoch, so that whoever opened the database before can no longer commit.
pub(super) async fn raise_epoch(
    connection: &mut SqliteConnection,
    partition: PartitionId,
) -> Result<u64, Error> {
    const SQL: &str = "INSERT INTO meta (partition, epoch, seq, at, next_counter, config_version) \
                       VALUES (?, 1, 0, 0, 1, 0) \
                       ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch";
    sqlx::query_scalar(SQL)
        .bind(i64::from(partition))
        .fetch_one(connection)
        .await
        .map(|epoch: i64| epoch as u64)
        .map_err(|source| classify("taking the store over", source))
}

#[cfg(test)]
mod tests;
