//! How capture points stand: their positions, now and in the past, and which are paused.

use gantry_model::{PartitionId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::super::classify;
use super::name;
use crate::commit::{PauseRow, PositionRow};
use crate::error::Error;

pub(in super::super) async fn positions(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    capture_point: Option<&str>,
) -> Result<Vec<PositionRow>, Error> {
    const SQL: &str = "SELECT capture_point, source_partition, position, at FROM position \
                       WHERE partition = ?1 AND capture_point = coalesce(?2, capture_point) \
                       ORDER BY capture_point, source_partition";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .bind(capture_point)
        .try_map(|row: SqliteRow| position(&row))
        .fetch_all(reader)
        .await
        .map_err(|source| classify("reading positions", source))
}

/// The present position also tells of the past, as long as it has stood.
pub(in super::super) async fn positions_at(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    capture_point: &str,
    at: Timestamp,
) -> Result<Vec<PositionRow>, Error> {
    const SQL: &str = "SELECT capture_point, source_partition, position, at FROM position \
        WHERE partition = ?1 AND capture_point = ?2 AND at <= ?3 \
        UNION ALL \
        SELECT h.capture_point, h.source_partition, h.position, h.at \
        FROM position p JOIN position_history h USING (partition, capture_point, source_partition) \
        WHERE partition = ?1 AND capture_point = ?2 AND p.at > ?3 \
        AND h.at = (SELECT max(at) FROM position_history x WHERE x.partition = h.partition \
            AND x.capture_point = h.capture_point AND x.source_partition = h.source_partition \
            AND x.at <= ?3) \
        ORDER BY source_partition";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .bind(capture_point)
        .bind(at.0)
        .try_map(|row: SqliteRow| position(&row))
        .fetch_all(reader)
        .await
        .map_err(|source| classify("reading positions of the past", source))
}

pub(in super::super) async fn pauses(
    reader: &mut SqliteConnection,
    partition: PartitionId,
) -> Result<Vec<PauseRow>, Error> {
    const SQL: &str = "SELECT capture_point, paused_by, reason, at FROM pause \
                       WHERE partition = ? ORDER BY capture_point";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .try_map(|row: SqliteRow| {
            Ok(PauseRow {
                capture_point: name(&row, 0)?,
                by: name(&row, 1)?,
                reason: row.try_get(2)?,
                at: Timestamp(row.try_get(3)?),
            })
        })
        .fetch_all(reader)
        .await
        .map_err(|source| classify("reading which capture points are paused", source))
}

fn position(row: &SqliteRow) -> Result<PositionRow, sqlx::Error> {
    Ok(PositionRow {
        capture_point: name(row, 0)?,
        source_partition: row.try_get(1)?,
        position: row.try_get(2)?,
        at: Timestamp(row.try_get(3)?),
    })
}
