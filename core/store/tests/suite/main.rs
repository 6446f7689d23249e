//! The suite that every store has to pass: one list of laws, run over each kind of store.
//!
//! `laws/` holds what every store promises; `sqlite.rs` what only SQLite can be asked (a full
//! disk, the lock, the log); `crash.rs` kills a child process and looks at what is left.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crash;
mod laws;
mod sqlite;
mod world;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use gantry_store::sqlite::{Options, SqliteStore};
use gantry_store::{Error, Store};
use tempfile::TempDir;

/// A place for one store, which a law may open as often as it likes.
#[async_trait]
trait Bed: Send + Sync {
    /// Opens the store as a hub does.
    async fn open(&self) -> Result<Arc<dyn Store>, Error>;
    /// Opens it although another hub has it open, as if that one had lost its lock.
    async fn take_over(&self) -> Result<Arc<dyn Store>, Error>;
    /// Opens it for reading.
    async fn open_read_only(&self) -> Result<Arc<dyn Store>, Error>;
}

struct SqliteBed {
    folder: TempDir,
}

impl SqliteBed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("gantry.db")
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    async fn open_with(&self, options: Options) -> Result<SqliteStore, Error> {
        SqliteStore::open(self.path(), options).await
    }
}

#[async_trait]
impl Bed for SqliteBed {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        gantry_store::open(&self.url()).await
    }

    async fn take_over(&self) -> Result<Arc<dyn Store>, Error> {
        std::fs::remove_file(self.folder.path().join("gantry.db.lock")).unwrap();
        self.open().await
    }

    async fn open_read_only(&self) -> Result<Arc<dyn Store>, Error> {
        gantry_store::open_read_only(&self.url()).await
    }
}

/// Runs each law on a store of its own, of each kind.
macro_rules! suite {
    ($($module:ident :: $law:ident),* $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $law() {
                    crate::laws::$module::$law(&crate::SqliteBed::new()).await;
                }
            )*
        }
    };
}

suite! {
    commits::a_new_store_is_empty,
    commits::ten_thousand_items_read_back,
    commits::the_same_commit_again_changes_nothing,
    commits::only_the_next_commit_is_taken,
    commits::a_newer_hub_fences_the_older_off,
    commits::a_dropped_commit_can_be_made_again,
    commits::a_refused_commit_leaves_nothing,
    commits::ended_items_are_kept_and_not_booted,
    commits::agents_come_and_go,
    commits::read_only_stores_refuse_commits,
    keys::known_answers_in_the_order_of_the_keys,
    keys::a_message_leads_to_its_own_item,
    keys::a_key_moves_to_the_newer_item,
    keys::old_messages_are_forgotten,
    keys::a_customer_leads_to_its_latest_items,
    lists::filters_select_and_pages_join,
    lists::sparse_live_items_are_found_among_ended_ones,
    lists::counts_add_up,
    lists::what_lists_show_is_kept_until_it_changes,
    journal::history_holds_one_item_only,
    journal::segments_follow_each_other,
    journal::documents_are_kept_by_revision,
    rest::positions_and_cursors_are_overwritten,
    rest::positions_of_the_past_are_told_minute_by_minute,
    rest::pauses_come_and_go,
    rest::lanes_are_put_and_removed,
    rest::dead_letters_open_and_close,
    rest::config_versions_are_kept,
    rest::alerts_are_raised_once_and_cleared,
}
