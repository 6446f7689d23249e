//! A store of an earlier version is brought up to date where it lies.

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::{APPLICATION_ID, MIGRATIONS};
use crate::DeadLetterFilter;

/// Steps of the schema before dead letters had a class.
const STEPS: usize = 4;

#[tokio::test]
async fn dead_letters_of_before_get_the_class_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut before = options.connect().await.unwrap();
    for step in &MIGRATIONS[..STEPS] {
        sqlx::raw_sql(*step).execute(&mut before).await.unwrap();
    }
    let letters = format!(
        "INSERT INTO dead_letter (partition, id, kind, origin, payload, code, reason, at, attempts) \
         VALUES (0, 'a', 'capture', 'leads', x'7b7d', 'GANTRY-R010', 'no id', 1, 1), \
                (0, 'b', 'callback', 'crm', x'7b7d', 'GANTRY-B002', 'no route', 2, 8); \
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {STEPS}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(letters)).execute(&mut before).await.unwrap();
    sqlx::Connection::close(before).await.unwrap();

    let store = crate::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let all = DeadLetterFilter { limit: 10, ..DeadLetterFilter::default() };
    let found = store.dead_letters(&all).await.unwrap();
    let classes: Vec<_> =
        found.iter().map(|l| (l.row.id.as_str(), l.row.class.as_deref())).collect();
    assert_eq!(classes, [("b", None), ("a", Some("permanent"))]);
}
