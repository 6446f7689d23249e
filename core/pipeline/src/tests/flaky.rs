//! The real store with a switch that makes commits fail as a full disk does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use gantry_model::command::Known;
use gantry_model::{ItemId, Name, Timestamp};
use gantry_store::{
    AlertRow, Boot, Commit, ConfigRow, CursorRow, DeadLetter, DeadLetterFilter, DocumentRow, Error,
    HistoryEntry, ItemFilter, ItemView, KeyQuery, LaneRow, Page, PauseRow, PositionRow, SegmentRow,
    Stats, StatusCount, Store,
};

#[derive(Debug)]
pub(super) struct FlakyStore {
    inner: Arc<dyn Store>,
    full: AtomicBool,
}

impl FlakyStore {
    pub(super) fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, full: AtomicBool::new(false) }
    }

    /// From now on commits fail, or no longer.
    pub(super) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for FlakyStore {
    async fn commit(&self, commit: &Commit) -> Result<(), Error> {
        if self.full.load(Ordering::SeqCst) {
            let source = sqlx::Error::PoolTimedOut;
            return Err(Error::Full { doing: "commit", source });
        }
        self.inner.commit(commit).await
    }

    async fn known(&self, keys: &[KeyQuery]) -> Result<Vec<Option<Known>>, Error> {
        self.inner.known(keys).await
    }

    async fn boot(&self) -> Result<Boot, Error> {
        self.inner.boot().await
    }

    async fn item(&self, item: ItemId) -> Result<Option<ItemView>, Error> {
        self.inner.item(item).await
    }

    async fn find(&self, point: &str, external_id: &str) -> Result<Option<ItemView>, Error> {
        self.inner.find(point, external_id).await
    }

    async fn customer_items(&self, customer: &str, limit: u32) -> Result<Vec<ItemView>, Error> {
        self.inner.customer_items(customer, limit).await
    }

    async fn list(&self, filter: &ItemFilter, page: Page) -> Result<Vec<ItemView>, Error> {
        self.inner.list(filter, page).await
    }

    async fn counts(&self) -> Result<Vec<StatusCount>, Error> {
        self.inner.counts().await
    }

    async fn document(
        &self,
        item: ItemId,
        revision: Option<u32>,
    ) -> Result<Option<DocumentRow>, Error> {
        self.inner.document(item, revision).await
    }

    async fn history(&self, item: ItemId) -> Result<Vec<HistoryEntry>, Error> {
        self.inner.history(item).await
    }

    async fn segments(&self, after_seq: u64, limit: u32) -> Result<Vec<SegmentRow>, Error> {
        self.inner.segments(after_seq, limit).await
    }

    async fn positions(&self, capture_point: Option<&str>) -> Result<Vec<PositionRow>, Error> {
        self.inner.positions(capture_point).await
    }

    async fn positions_at(&self, point: &str, at: Timestamp) -> Result<Vec<PositionRow>, Error> {
        self.inner.positions_at(point, at).await
    }

    async fn pauses(&self) -> Result<Vec<PauseRow>, Error> {
        self.inner.pauses().await
    }

    async fn cursors(&self) -> Result<Vec<CursorRow>, Error> {
        self.inner.cursors().await
    }

    async fn alerts(&self) -> Result<Vec<AlertRow>, Error> {
        self.inner.alerts().await
    }

    async fn lanes(&self, subscriber: &Name) -> Result<Vec<LaneRow>, Error> {
        self.inner.lanes(subscriber).await
    }

    async fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, Error> {
        self.inner.dead_letters(filter).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, Error> {
        self.inner.dead_letter(id).await
    }

    async fn configs(&self) -> Result<Vec<ConfigRow>, Error> {
        self.inner.configs().await
    }

    async fn config(&self, version: u32) -> Result<Option<ConfigRow>, Error> {
        self.inner.config(version).await
    }

    async fn forget_messages(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.inner.forget_messages(before, limit).await
    }

    async fn forget_positions(
        &self,
        before: Timestamp,
        keep_max: u32,
        limit: u32,
    ) -> Result<u64, Error> {
        self.inner.forget_positions(before, keep_max, limit).await
    }

    async fn maintain(&self) {
        self.inner.maintain().await;
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }
}
