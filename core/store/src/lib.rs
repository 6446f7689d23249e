//! The store: the journal, the entities folded from it, and documents, durable in one transaction
//! a commit.
//!
//! [`Store`] is the whole contract; [`open`] gives one. SQLite is the store that is built in; all
//! stores have to pass `tests/suite.rs`. Start reading at [`commit`] (what is written), then
//! [`read`] (what is answered), then `sqlite/write.rs`.
//!
//! The store never decides anything, never skips a commit, and reads no clock.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod baseline;
pub mod commit;
mod error;
pub mod failpoint;
pub mod read;
pub mod sqlite;
mod timing;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use gantry_model::command::Known;
use gantry_model::{ItemId, Name, Timestamp};

pub use commit::{
    AgentChange, AlertChange, AlertRow, Commit, ConfigRow, CursorRow, CustomerRow,
    DeadLetterChange, DeadLetterKind, DeadLetterRow, DocumentRow, ItemHead, ItemRow, KeyRow,
    LaneChange, LaneKey, LaneRow, LaneState, MessageRow, POSITION_BYTES_MAX, PauseChange, PauseRow,
    PositionRow, Resolution,
};
pub use error::Error;
pub use read::{
    AssignmentKind, Boot, DeadLetter, DeadLetterFilter, HistoryEntry, HoldKind, ItemFilter,
    ItemView, KeyQuery, Page, SegmentRow, Stats, StatusCount,
};
pub use timing::Spread;

/// A store of one partition.
///
/// One task at a time commits; any number of tasks read beside it. Reads see every commit that was
/// answered before they began. No read keeps a snapshot for longer than about 100 ms, so that the
/// log can be copied away; long scans are made of several.
///
/// # Cancel safety
/// Every method may be dropped at any await. A dropped [`Store::commit`] may or may not have been
/// stored; the same commit again settles it.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Makes one commit durable, all of it or nothing; it is on disk when this returns `Ok`.
    ///
    /// The very same commit again is answered with `Ok` and changes nothing.
    ///
    /// # Errors
    /// Where [`Error::is_fatal`] is false, nothing was stored and the same commit may be tried
    /// again. [`Error::Fenced`]: another hub has taken over. [`Error::OutOfOrder`]: it is not the
    /// next one.
    async fn commit(&self, commit: &Commit) -> Result<(), Error>;

    /// Tells for each key which item has it or had it last, in the order of the keys.
    ///
    /// Of a message that was seen before, it gives the item that the message was about, with
    /// `seen` set; its hash is that of the key, or zero if the key is not known.
    async fn known(&self, keys: &[KeyQuery]) -> Result<Vec<Option<Known>>, Error>;

    /// Reads what a hub starts from. Called once, before the first commit.
    async fn boot(&self) -> Result<Boot, Error>;

    /// An item by the hub's id, also one that has ended.
    async fn item(&self, item: ItemId) -> Result<Option<ItemView>, Error>;

    /// The latest item with that key.
    async fn find(&self, capture_point: &str, external_id: &str)
    -> Result<Option<ItemView>, Error>;

    /// The latest items of a customer, newest first, at most `limit` (1 to 1,000). Only items
    /// whose commit named the customer ([`Commit::customers`]).
    async fn customer_items(&self, customer: &str, limit: u32) -> Result<Vec<ItemView>, Error>;

    /// One page of the items that fit the filter.
    async fn list(&self, filter: &ItemFilter, page: Page) -> Result<Vec<ItemView>, Error>;

    /// How many items stand how. Reads every row: not for a page that refreshes itself.
    async fn counts(&self) -> Result<Vec<StatusCount>, Error>;

    /// A revision of an item's document; `None` = the latest.
    async fn document(
        &self,
        item: ItemId,
        revision: Option<u32>,
    ) -> Result<Option<DocumentRow>, Error>;

    /// The journal's entries about an item, oldest first. Empty if there is no such item.
    async fn history(&self, item: ItemId) -> Result<Vec<HistoryEntry>, Error>;

    /// Journal segments after that commit, in order, at most `limit` (1 to 1,000). May stop before
    /// the limit when the segments are large; it is at the end only when it gives none.
    async fn segments(&self, after_seq: u64, limit: u32) -> Result<Vec<SegmentRow>, Error>;

    /// Positions of all sources, or of one capture point.
    async fn positions(&self, capture_point: Option<&str>) -> Result<Vec<PositionRow>, Error>;

    /// Positions of a capture point as they were at that instant, or up to a minute before it.
    /// A source partition that the history knows nothing of so early is left out.
    async fn positions_at(
        &self,
        capture_point: &str,
        at: Timestamp,
    ) -> Result<Vec<PositionRow>, Error>;

    /// Capture points that are paused, in order of name.
    async fn pauses(&self) -> Result<Vec<PauseRow>, Error>;

    /// Cursors of all subscribers.
    async fn cursors(&self) -> Result<Vec<CursorRow>, Error>;

    /// The alerts that are raised, longest first.
    async fn alerts(&self) -> Result<Vec<AlertRow>, Error>;

    /// Deliveries of a subscriber that are not simply done, in order of item, commit, entry.
    async fn lanes(&self, subscriber: &Name) -> Result<Vec<LaneRow>, Error>;

    /// Dead letters that fit the filter, latest first.
    async fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, Error>;

    /// A dead letter.
    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, Error>;

    /// All config versions, without their JSON, latest first.
    async fn configs(&self) -> Result<Vec<ConfigRow>, Error>;

    /// A config version.
    async fn config(&self, version: u32) -> Result<Option<ConfigRow>, Error>;

    /// Forgets up to `limit` messages seen before that instant, and says how many it forgot.
    ///
    /// # Errors
    /// As [`Store::commit`].
    async fn forget_messages(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;

    /// Forgets up to `limit` positions of the past, and says how many it forgot: those from before
    /// that instant, and of the others the oldest beyond `keep_max`. How each source stood then can
    /// still be told.
    ///
    /// # Errors
    /// As [`Store::commit`].
    async fn forget_positions(
        &self,
        before: Timestamp,
        keep_max: u32,
        limit: u32,
    ) -> Result<u64, Error>;

    /// Keeps the store in shape beside the commits. Runs until it is dropped; without it commits
    /// still succeed, but wait longer now and then.
    async fn maintain(&self);

    /// How the store has done since it was opened.
    fn stats(&self) -> Stats;
}

/// Opens the store at `url` (`sqlite:PATH`) for writing: takes its lock, brings its schema up to
/// date and raises its epoch, so that an older writer is refused from here on.
///
/// # Errors
/// [`Error::Locked`], [`Error::Newer`], [`Error::NetworkFileSystem`], [`Error::Url`] and
/// [`Error::File`] want a person; the others are the database's own.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, Error> {
    let options = sqlite::Options::default();
    Ok(Arc::new(sqlite::SqliteStore::open(path(url)?, options).await?))
}

/// Opens the store at `url` for reading beside a hub that may be running: takes no lock and
/// changes nothing; every commit is refused.
///
/// # Errors
/// As [`open`]; [`Error::NotAStore`] if there is none of this version.
pub async fn open_read_only(url: &str) -> Result<Arc<dyn Store>, Error> {
    let options = sqlite::Options { read_only: true, ..sqlite::Options::default() };
    Ok(Arc::new(sqlite::SqliteStore::open(path(url)?, options).await?))
}

/// Reads through a store and tells the first ten damages, as far as the database itself can tell;
/// nothing if it is sound. Takes no lock, changes nothing, and may run beside a hub.
///
/// # Errors
/// [`Error`] if there is no store of this version, or it cannot be read.
pub async fn damage(url: &str) -> Result<Vec<String>, Error> {
    sqlite::damage(path(url)?.as_ref()).await
}

/// The path in `sqlite:PATH` or `sqlite://PATH`.
fn path(url: &str) -> Result<&str, Error> {
    let path = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    path.filter(|path| !path.is_empty()).ok_or_else(|| Error::Url { url: url.into() })
}
