//! What may go wrong in the store, classed by what the caller should do about it.

use std::path::PathBuf;

use gantry_model::ItemId;
use thiserror::Error;

/// Why the store did not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk, or the database's own size limit, is full. Nothing of the commit was stored; the
    /// same commit succeeds once there is room.
    #[error("{doing}: the disk is full; free some space, nothing is lost")]
    Full {
        /// What was tried.
        doing: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// Somebody else held the database for too long. Try again.
    #[error("{doing}: another program holds the database; close it")]
    Busy {
        /// What was tried.
        doing: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// Another hub has taken the store over. This one must stop.
    #[error(
        "commit {seq} is refused: another hub has taken over with epoch {current}, ours is {ours}"
    )]
    Fenced {
        /// The commit.
        seq: u64,
        /// The epoch this store was opened with.
        ours: u64,
        /// The epoch in the database.
        current: u64,
    },
    /// The commit is not the next one, and is not the stored one of that number either.
    #[error("commit {seq} is refused: the last one stored is {last}, or differs from it")]
    OutOfOrder {
        /// The commit.
        seq: u64,
        /// Number of the last commit stored.
        last: u64,
    },
    /// The database is damaged, or holds bytes that this program cannot read.
    #[error("{doing}: the database is damaged: {problem}; restore a backup")]
    Corrupt {
        /// What was tried.
        doing: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The database failed in another way: an input or output error, for example. Try again.
    #[error("{doing}: the database failed")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// Another hub runs on this database.
    #[error(
        "cannot open the store: {lock} is locked by another hub (process {holder}); stop that one \
         first"
    )]
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// The process id in it, or `unknown`.
        holder: String,
    },
    /// The file lies on a file system whose locks and flushes cannot be relied on.
    #[error(
        "cannot open the store: {path} is on a network file system ({kind}), whose locks cannot be \
         relied on; use a local disk"
    )]
    NetworkFileSystem {
        /// The database.
        path: PathBuf,
        /// The type of the file system.
        kind: String,
    },
    /// The file was made by a newer program.
    #[error(
        "cannot open the store: its schema is version {found}, this program knows up to {known}; \
         upgrade the program"
    )]
    Newer {
        /// The version in the database.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The database was not made by this program, or (read only) not brought up to date by it.
    #[error(
        "cannot open the store: {path} is no store of this version of the program (schema {found}, \
         expected {known})"
    )]
    NotAStore {
        /// The database.
        path: PathBuf,
        /// The schema version in it.
        found: i64,
        /// The one expected.
        known: i64,
    },
    /// The address of the store names no known kind of store.
    #[error("cannot open store {url:?}: write sqlite:PATH")]
    Url {
        /// The address.
        url: String,
    },
    /// A file beside the database cannot be used.
    #[error("cannot open the store: cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store was opened for reading only.
    #[error("commit {seq} is refused: the store was opened for reading only")]
    ReadOnly {
        /// The commit.
        seq: u64,
    },
    /// A source's position is longer than the store keeps.
    #[error(
        "the position of capture point {capture_point:?} has {size} bytes, at most {max} are kept"
    )]
    PositionTooLong {
        /// The capture point.
        capture_point: String,
        /// Its length in bytes.
        size: usize,
        /// The most that is kept.
        max: usize,
    },
    /// Work items of another partition than the store was opened for.
    #[error(
        "work item {item} belongs to partition {}, the store was opened for {partition}",
        item.partition()
    )]
    OtherPartition {
        /// The item.
        item: ItemId,
        /// The partition of this store.
        partition: u16,
    },
}

impl Error {
    /// `true` if trying the same again cannot help: the hub has to stop.
    ///
    /// [`Error::Full`], [`Error::Busy`] and [`Error::Database`] may pass; a commit is then retried
    /// with the same bytes.
    pub const fn is_fatal(&self) -> bool {
        !matches!(self, Self::Full { .. } | Self::Busy { .. } | Self::Database { .. })
    }

    /// Bytes in the database that cannot be read.
    pub(crate) fn corrupt(doing: &'static str, problem: impl std::fmt::Display) -> Self {
        let problem = problem.to_string();
        Self::Corrupt { doing, problem }
    }
}
