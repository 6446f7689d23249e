//! What only SQLite can be asked: the lock, a full disk, the log, foreign files.

use std::path::Path;
use std::sync::Arc;

use gantry_model::ItemId;
use gantry_store::baseline::{KeyOrder, bare_insert_rate, flush_rate};
use gantry_store::sqlite::Options;
use gantry_store::{Error, ItemFilter, KeyQuery, Page, Store};
use tokio::task::JoinSet;

use crate::world::{POINT, capture, heavy};
use crate::{Bed, SqliteBed};

/// No limit in practice.
const PAGES: u32 = 1 << 30;

#[tokio::test]
async fn a_second_hub_is_refused_and_told_who_is_there() {
    let bed = SqliteBed::new();
    let first = bed.open().await.unwrap();
    let refused = bed.open().await.unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, Error::Locked { .. }), "{refused:?}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    assert!(refused.is_fatal());
    first.commit(&capture(1, 1, 1, KeyOrder::Ordered)).await.unwrap();
    drop(first);
    bed.open().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_stores_nothing_and_the_same_commit_succeeds_later() {
    let bed = SqliteBed::new();
    let store = bed.open_with(Options { page_count_max: Some(200), ..Options::default() });
    let store = store.await.unwrap();
    let (mut seq, mut first) = (1, 1);
    let (refused, error) = loop {
        let made = capture(seq, first, 200, KeyOrder::Ordered);
        match store.commit(&made).await {
            Ok(()) => (seq, first) = (seq + 1, first + 200),
            Err(error) => break (made, error),
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    assert!(!error.is_fatal());
    assert!(seq > 1, "at least one commit fits into 800 KiB");
    // Again, still full; nothing of it is there, everything before it is.
    assert!(matches!(store.commit(&refused).await, Err(Error::Full { .. })));
    let boot = store.boot().await.unwrap();
    assert_eq!((boot.seq, boot.items.len() as u64), (seq - 1, first - 1));
    assert!(store.document(ItemId::new(0, first), None).await.unwrap().is_none());
    store.limit_pages(PAGES).await.unwrap();
    store.commit(&refused).await.unwrap();
    let boot = store.boot().await.unwrap();
    assert_eq!((boot.seq, boot.items.len() as u64), (seq, first + 199));
}

#[tokio::test]
async fn the_log_stays_bounded_with_and_without_maintenance() {
    const COMMITS: u64 = 90;
    const COMMIT_BYTES: usize = 2 << 20;
    // The limit of 64 MiB, what is written until it is looked at, and a commit.
    const LOG_BYTES: u64 = 72 << 20;
    for maintained in [false, true] {
        let bed = SqliteBed::new();
        let store = bed.open_with(Options::default()).await.unwrap();
        let fill = async {
            for seq in 1..=COMMITS {
                store.commit(&heavy(seq, COMMIT_BYTES)).await.unwrap();
            }
        };
        if maintained {
            tokio::select! {
                () = fill => {}
                () = store.maintain() => unreachable!("it runs until it is dropped"),
            }
        } else {
            fill.await;
        }
        let log = std::fs::metadata(bed.folder.path().join("gantry.db-wal")).unwrap();
        assert!(log.len() <= LOG_BYTES, "log of {} bytes", log.len());
        let stats = store.stats();
        assert_eq!(stats.commits.count, COMMITS);
        assert!(stats.stalls.count >= 1, "{stats:?}");
        assert!(stats.log_bytes > 0 && stats.log_bytes <= LOG_BYTES, "{stats:?}");
        assert_eq!(stats.checkpoints.count > 0, maintained, "{stats:?}");
        store.close().await.unwrap();
        let store = bed.open().await.unwrap();
        assert_eq!(store.boot().await.unwrap().seq, COMMITS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_starts_over_while_others_read() {
    const COMMITS: u64 = 80;
    const COMMIT_BYTES: usize = 2 << 20;
    const READERS: u64 = 4;
    // What is written is 160 MiB. A reader may put off the log's start by some commits.
    const LOG_BYTES: u64 = 96 << 20;
    let bed = SqliteBed::new();
    let store = Arc::new(bed.open_with(Options::default()).await.unwrap());
    store.commit(&capture(1, 1, 5_000, KeyOrder::Ordered)).await.unwrap();
    let mut tasks = JoinSet::new();
    for reader in 0..READERS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let all = Page { after: None, limit: 1_000, newest_first: reader % 2 == 0 };
            let key = KeyQuery {
                capture_point: POINT.into(),
                external_id: "unknown".into(),
                message_id: None,
            };
            loop {
                assert_eq!(store.list(&ItemFilter::default(), all).await.unwrap().len(), 1_000);
                assert_eq!(store.known(std::slice::from_ref(&key)).await.unwrap(), [None]);
            }
        });
    }
    let maintained = Arc::clone(&store);
    tasks.spawn(async move { maintained.maintain().await });
    for seq in 2..=COMMITS {
        store.commit(&heavy(seq, COMMIT_BYTES)).await.unwrap();
    }
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        assert!(ended.unwrap_err().is_cancelled(), "a reader failed");
    }
    let log = std::fs::metadata(bed.folder.path().join("gantry.db-wal")).unwrap();
    assert!(log.len() <= LOG_BYTES, "log of {} bytes, {:?}", log.len(), store.stats());
}

#[tokio::test]
async fn files_of_others_are_refused_and_left_alone() {
    let bed = SqliteBed::new();
    std::fs::write(bed.path(), "This is a letter, not a database.\n".repeat(100)).unwrap();
    let refused = bed.open().await.unwrap_err();
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused:?}");
    assert!(std::fs::read_to_string(bed.path()).unwrap().starts_with("This is a letter"));

    let bed = SqliteBed::new();
    sql(&bed.path(), "CREATE TABLE customer (id INTEGER); INSERT INTO customer VALUES (1)").await;
    let refused = bed.open().await.unwrap_err();
    assert!(matches!(refused, Error::NotAStore { .. }), "{refused:?}");

    let bed = SqliteBed::new();
    drop(bed.open().await.unwrap());
    sql(&bed.path(), "PRAGMA user_version = 4711").await;
    let refused = bed.open().await.unwrap_err();
    assert!(matches!(refused, Error::Newer { found: 4711, .. }), "{refused:?}");
}

#[tokio::test]
async fn damaged_rows_are_reported_not_guessed() {
    let bed = SqliteBed::new();
    let store = bed.open().await.unwrap();
    store.commit(&capture(1, 1, 2, KeyOrder::Ordered)).await.unwrap();
    drop(store);
    sql(&bed.path(), "UPDATE item SET state = x'ff' WHERE id = 1; DELETE FROM journal").await;
    sql(&bed.path(), "UPDATE item SET segments = x'80' WHERE id = 2").await;
    let store = bed.open().await.unwrap();
    for damaged in [
        store.item(ItemId::new(0, 1)).await.map(drop),
        store.history(ItemId::new(0, 2)).await.map(drop),
        store.history(ItemId::new(0, 1)).await.map(drop),
    ] {
        let error = damaged.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        assert!(error.is_fatal());
    }
}

async fn sql(path: &Path, sql: &'static str) {
    use sqlx::ConnectOptions as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = options.create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn other_users_cannot_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = SqliteBed::new();
    let store = bed.open().await.unwrap();
    store.commit(&capture(1, 1, 1, KeyOrder::Ordered)).await.unwrap();
    for file in std::fs::read_dir(bed.folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", file.file_name());
    }
}

#[tokio::test]
async fn baselines_measure_and_clean_up() {
    let folder = tempfile::tempdir().unwrap();
    let flush = flush_rate(folder.path(), std::time::Duration::from_millis(20)).unwrap();
    assert!(flush.per_second > 0.0 && flush.each.count > 0);
    for order in [KeyOrder::Ordered, KeyOrder::Random] {
        let rate = bare_insert_rate(folder.path(), order, 100, 3).await.unwrap();
        assert!(rate.per_second > 0.0);
        assert_eq!(rate.each.count, 3);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
