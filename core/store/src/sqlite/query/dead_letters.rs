//! Reading dead letters.

use gantry_model::{ItemId, PartitionId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::{classify, name, word};
use crate::commit::{DeadLetterKind, DeadLetterRow, Resolution};
use crate::error::Error;
use crate::read::{DeadLetter, DeadLetterFilter};

const DOING: &str = "reading dead letters";

pub(in crate::sqlite) async fn list(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    filter: &DeadLetterFilter,
) -> Result<Vec<DeadLetter>, Error> {
    const SQL: &str = "SELECT id, kind, origin, external_id, item, payload, content_type, code, \
            reason, at, attempts, resolution, resolved_at, class FROM dead_letter \
        WHERE partition = ?1 AND kind = coalesce(?2, kind) AND origin = coalesce(?3, origin) \
            AND (resolution IS NULL) = coalesce(?4, resolution IS NULL) \
            AND (?5 IS NULL OR (at, id) < \
                (SELECT at, id FROM dead_letter WHERE partition = ?1 AND id = ?5)) \
            AND (?7 IS NULL OR class = ?7) \
        ORDER BY at DESC, id DESC LIMIT ?6";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .bind(filter.kind.map(DeadLetterKind::as_str))
        .bind(filter.origin.as_deref())
        .bind(filter.open)
        .bind(filter.after.as_deref())
        .bind(i64::from(filter.limit.clamp(1, 1000)))
        .bind(filter.class.as_deref())
        .try_map(|row| dead_letter(&row))
        .fetch_all(reader)
        .await
        .map_err(|source| classify(DOING, source))
}

pub(in crate::sqlite) async fn by_id(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    id: &str,
) -> Result<Option<DeadLetter>, Error> {
    const SQL: &str = "SELECT id, kind, origin, external_id, item, payload, content_type, code, \
            reason, at, attempts, resolution, resolved_at, class FROM dead_letter \
        WHERE partition = ? AND id = ?";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .bind(id)
        .try_map(|row| dead_letter(&row))
        .fetch_optional(reader)
        .await
        .map_err(|source| classify(DOING, source))
}

fn dead_letter(row: &SqliteRow) -> Result<DeadLetter, sqlx::Error> {
    let resolved_at: Option<i64> = row.try_get(12)?;
    let resolved = match resolved_at {
        Some(at) => Some((word(row, 11, Resolution::parse)?, Timestamp(at))),
        None => None,
    };
    let item: Option<i64> = row.try_get(4)?;
    Ok(DeadLetter {
        row: DeadLetterRow {
            id: row.try_get(0)?,
            kind: word(row, 1, DeadLetterKind::parse)?,
            origin: name(row, 2)?,
            external_id: row.try_get(3)?,
            item: item.map(|item| ItemId::from_u64(item as u64)),
            payload: row.try_get::<Vec<u8>, _>(5)?.into(),
            content_type: row.try_get(6)?,
            code: row.try_get(7)?,
            class: row.try_get(13)?,
            reason: row.try_get(8)?,
            at: Timestamp(row.try_get(9)?),
            attempts: row.try_get(10)?,
        },
        resolved,
    })
}
