//! What a commit writes about capture points, and what is forgotten of them.

use gantry_model::Timestamp;
use sqlx::SqliteConnection;

use super::super::classify;
use super::super::rows::RowsStatement;
use super::Writer;
use crate::commit::{Commit, PauseChange, PositionRow};
use crate::error::Error;

/// Columns that name the position of a source.
pub(super) const POSITION_KEY: &[&str] = &["partition", "capture_point", "source_partition"];
/// Of the positions that were read within this time, the history keeps the first.
const HISTORY_EVERY_MS: i64 = 60_000;

/// Writes positions, their history, and pauses.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    partition: i64,
    commit: &Commit,
    positions: &RowsStatement,
) -> Result<(), sqlx::Error> {
    for (rows, moved) in [(&commit.positions, false), (&commit.moved_positions, true)] {
        positions
            .execute(connection, rows, |row, to| {
                to.add(partition);
                to.name(&row.capture_point);
                to.text(&row.source_partition);
                to.add(row.position.as_slice());
                to.add(row.at.0);
            })
            .await?;
        for row in rows {
            remember(connection, partition, row, moved).await?;
        }
    }
    for change in &commit.pauses {
        change_pause(connection, partition, change).await?;
    }
    Ok(())
}

/// Puts a position into the history, if it was moved by hand or the last one kept is old enough.
async fn remember(
    connection: &mut SqliteConnection,
    partition: i64,
    row: &PositionRow,
    moved: bool,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "INSERT INTO position_history \
        (partition, capture_point, source_partition, at, position) SELECT ?1, ?2, ?3, ?4, ?5 \
        WHERE ?6 OR NOT EXISTS (SELECT 1 FROM position_history WHERE partition = ?1 \
            AND capture_point = ?2 AND source_partition = ?3 AND at > ?4 - ?7) \
        ON CONFLICT DO UPDATE SET position = excluded.position";
    sqlx::query(SQL)
        .bind(partition)
        .bind(row.capture_point.as_str())
        .bind(row.source_partition.as_str())
        .bind(row.at.0)
        .bind(row.position.as_slice())
        .bind(moved)
        .bind(HISTORY_EVERY_MS)
        .execute(connection)
        .await
        .map(drop)
}

async fn change_pause(
    connection: &mut SqliteConnection,
    partition: i64,
    change: &PauseChange,
) -> Result<(), sqlx::Error> {
    const PUT: &str = "INSERT INTO pause (partition, capture_point, paused_by, reason, at) \
        VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET paused_by = excluded.paused_by, \
        reason = excluded.reason, at = excluded.at";
    const REMOVE: &str = "DELETE FROM pause WHERE partition = ? AND capture_point = ?";
    let statement = match change {
        PauseChange::Put(row) => sqlx::query(PUT)
            .bind(partition)
            .bind(row.capture_point.as_str())
            .bind(row.by.as_str())
            .bind(row.reason.as_deref())
            .bind(row.at.0),
        PauseChange::Remove(capture_point) => {
            sqlx::query(REMOVE).bind(partition).bind(capture_point.as_str())
        }
    };
    statement.execute(connection).await.map(drop)
}

impl Writer {
    pub(in super::super) async fn forget_messages(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        const SQL: &str = "DELETE FROM message WHERE (partition, capture_point, message_id) IN \
            (SELECT partition, capture_point, message_id FROM message \
             WHERE partition = ?1 AND at < ?2 ORDER BY at LIMIT ?3) \
            AND EXISTS (SELECT 1 FROM meta WHERE partition = ?1 AND epoch = ?4)";
        self.roll_back().await;
        sqlx::query(SQL)
            .bind(i64::from(self.partition))
            .bind(before.0)
            .bind(i64::from(limit))
            .bind(self.epoch as i64)
            .execute(&mut self.connection)
            .await
            .map(|done| done.rows_affected())
            .map_err(|source| classify("forgetting old messages", source))
    }

    /// The last position that a source had before the limit stays: it tells how the source stood
    /// then.
    pub(in super::super) async fn forget_positions(
        &mut self,
        before: Timestamp,
        keep_max: u32,
        limit: u32,
    ) -> Result<u64, Error> {
        const SQL: &str = "WITH bound (at) AS (SELECT max(?2, coalesce((SELECT at \
                FROM position_history WHERE partition = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?3), \
                ?2))) \
            DELETE FROM position_history \
            WHERE (partition, capture_point, source_partition, at) IN \
            (SELECT partition, capture_point, source_partition, at FROM position_history old \
             WHERE partition = ?1 AND at < (SELECT at FROM bound) \
             AND EXISTS (SELECT 1 FROM position_history new WHERE new.partition = ?1 \
                AND new.capture_point = old.capture_point \
                AND new.source_partition = old.source_partition \
                AND new.at > old.at AND new.at <= (SELECT at FROM bound)) \
             ORDER BY at LIMIT ?4) \
            AND EXISTS (SELECT 1 FROM meta WHERE partition = ?1 AND epoch = ?5)";
        self.roll_back().await;
        sqlx::query(SQL)
            .bind(i64::from(self.partition))
            .bind(before.0)
            .bind(i64::from(keep_max))
            .bind(i64::from(limit))
            .bind(self.epoch as i64)
            .execute(&mut self.connection)
            .await
            .map(|done| done.rows_affected())
            .map_err(|source| classify("forgetting positions of the past", source))
    }
}
