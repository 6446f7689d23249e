//! The alerts that are raised. They change seldom.

use gantry_model::{PartitionId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::{classify, query};
use crate::commit::{AlertChange, AlertRow};
use crate::error::Error;

pub(super) async fn change(
    connection: &mut SqliteConnection,
    partition: i64,
    changes: &[AlertChange],
) -> Result<(), sqlx::Error> {
    const RAISE: &str = "INSERT INTO alert (partition, alert, raised_at, value) \
                         VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    const CLEAR: &str = "DELETE FROM alert WHERE partition = ? AND alert = ?";
    for change in changes {
        let statement = match change {
            AlertChange::Raise(row) => sqlx::query(RAISE)
                .bind(partition)
                .bind(row.alert.as_str())
                .bind(row.raised_at.0)
                .bind(row.value),
            AlertChange::Clear(alert) => sqlx::query(CLEAR).bind(partition).bind(alert.as_str()),
        };
        statement.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn raised(
    reader: &mut SqliteConnection,
    partition: PartitionId,
) -> Result<Vec<AlertRow>, Error> {
    const SQL: &str = "SELECT alert, raised_at, value FROM alert WHERE partition = ? \
                       ORDER BY raised_at, alert";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .try_map(|row: SqliteRow| {
            Ok(AlertRow {
                alert: query::name(&row, 0)?,
                raised_at: Timestamp(row.try_get(1)?),
                value: row.try_get(2)?,
            })
        })
        .fetch_all(reader)
        .await
        .map_err(|source| classify("reading alerts", source))
}
