//! Everything that is read but the keys of the capture path. Scans are cut into pieces, so that no
//! snapshot keeps the log from being copied.

pub(super) mod captures;
pub(super) mod dead_letters;
pub(super) mod items;
pub(super) mod journal;

use gantry_model::{ItemId, Name, PartitionId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::classify;
use crate::commit::{ConfigRow, CursorRow, DocumentRow, LaneKey, LaneRow, LaneState};
use crate::error::Error;
use crate::read::Boot;

/// The row of `meta`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) epoch: u64,
    seq: u64,
    at: Timestamp,
    next_counter: u64,
    config_version: u32,
}

pub(super) async fn meta(
    reader: &mut SqliteConnection,
    partition: PartitionId,
) -> Result<Meta, Error> {
    const SQL: &str =
        "SELECT epoch, seq, at, next_counter, config_version FROM meta WHERE partition = ?";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .try_map(|row: SqliteRow| {
            Ok(Meta {
                epoch: row.try_get::<i64, _>(0)? as u64,
                seq: row.try_get::<i64, _>(1)? as u64,
                at: Timestamp(row.try_get(2)?),
                next_counter: row.try_get::<i64, _>(3)? as u64,
                config_version: row.try_get(4)?,
            })
        })
        .fetch_one(reader)
        .await
        .map_err(|source| classify("reading the state of the store", source))
}

/// Nobody commits before it has booted, so this one scan may keep its snapshot.
pub(super) async fn boot(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    epoch: u64,
) -> Result<Boot, Error> {
    const AGENTS: &str = "SELECT state FROM agent WHERE partition = ? ORDER BY id";
    const ITEMS: &str = "SELECT state FROM item INDEXED BY item_live \
                         WHERE life_cycle < 4 AND id BETWEEN ? AND ? ORDER BY id";
    let meta = meta(reader, partition).await?;
    let config = match meta.config_version {
        0 => None,
        version => Some(config(reader, partition, version).await?.ok_or_else(|| {
            let problem = format!("config version {version} is active and not there");
            Error::corrupt("booting", problem)
        })?),
    };
    let agents = sqlx::query_scalar(AGENTS)
        .bind(i64::from(partition))
        .fetch_all(&mut *reader)
        .await
        .map_err(|source| classify("reading the agents", source))?;
    let (first, last) = items::all_ids(partition);
    let items = sqlx::query_scalar(ITEMS)
        .bind(first)
        .bind(last)
        .fetch_all(&mut *reader)
        .await
        .map_err(|source| classify("reading the live work items", source))?;
    Ok(Boot {
        seq: meta.seq,
        epoch,
        next_counter: meta.next_counter,
        at: meta.at,
        config,
        agents,
        items,
    })
}

pub(super) async fn document(
    reader: &mut SqliteConnection,
    item: ItemId,
    revision: Option<u32>,
) -> Result<Option<DocumentRow>, Error> {
    const SQL: &str = "SELECT revision, attributes, payload, content_type FROM document \
                       WHERE item = ?1 AND revision <= ?2 AND (?3 OR revision = ?2) \
                       ORDER BY revision DESC LIMIT 1";
    sqlx::query(SQL)
        .bind(item.as_u64() as i64)
        .bind(revision.map_or(i64::MAX, i64::from))
        .bind(revision.is_none())
        .try_map(|row: SqliteRow| {
            Ok(DocumentRow {
                item,
                revision: row.try_get(0)?,
                attributes: row.try_get(1)?,
                payload: row.try_get::<Option<Vec<u8>>, _>(2)?.map(Into::into),
                content_type: row.try_get(3)?,
            })
        })
        .fetch_optional(reader)
        .await
        .map_err(|source| classify("reading a document", source))
}

pub(super) async fn cursors(
    reader: &mut SqliteConnection,
    partition: PartitionId,
) -> Result<Vec<CursorRow>, Error> {
    const SQL: &str =
        "SELECT subscriber, seq, entry FROM cursor WHERE partition = ? ORDER BY subscriber";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .try_map(|row: SqliteRow| {
            Ok(CursorRow {
                subscriber: name(&row, 0)?,
                seq: row.try_get::<i64, _>(1)? as u64,
                index: row.try_get(2)?,
            })
        })
        .fetch_all(reader)
        .await
        .map_err(|source| classify("reading cursors", source))
}

pub(super) async fn lanes(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    subscriber: &Name,
) -> Result<Vec<LaneRow>, Error> {
    const SQL: &str = "SELECT item, seq, entry, state, attempts, next_at, error FROM lane \
                       WHERE partition = ? AND subscriber = ? ORDER BY item, seq, entry";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .bind(subscriber.as_str())
        .try_map(|row: SqliteRow| {
            Ok(LaneRow {
                key: LaneKey {
                    subscriber: subscriber.clone(),
                    item: ItemId::from_u64(row.try_get::<i64, _>(0)? as u64),
                    seq: row.try_get::<i64, _>(1)? as u64,
                    index: row.try_get(2)?,
                },
                state: word(&row, 3, LaneState::parse)?,
                attempts: row.try_get(4)?,
                next_at: row.try_get::<Option<i64>, _>(5)?.map(Timestamp),
                error: row.try_get(6)?,
            })
        })
        .fetch_all(reader)
        .await
        .map_err(|source| classify("reading lanes", source))
}

pub(super) async fn configs(
    reader: &mut SqliteConnection,
    partition: PartitionId,
) -> Result<Vec<ConfigRow>, Error> {
    const SQL: &str = "SELECT version, x'', sha256, at FROM config WHERE partition = ? \
                       ORDER BY version DESC";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .try_map(|row| config_row(&row))
        .fetch_all(reader)
        .await
        .map_err(|source| classify("reading config versions", source))
}

pub(super) async fn config(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    version: u32,
) -> Result<Option<ConfigRow>, Error> {
    const SQL: &str = "SELECT version, json, sha256, at FROM config WHERE partition = ? \
                       AND version = ?";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .bind(i64::from(version))
        .try_map(|row| config_row(&row))
        .fetch_optional(reader)
        .await
        .map_err(|source| classify("reading a config version", source))
}

fn config_row(row: &SqliteRow) -> Result<ConfigRow, sqlx::Error> {
    let sha256: &[u8] = row.try_get(2)?;
    Ok(ConfigRow {
        version: row.try_get(0)?,
        json: row.try_get(1)?,
        sha256: sha256.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        at: Timestamp(row.try_get(3)?),
    })
}

pub(super) fn name(row: &SqliteRow, column: usize) -> Result<Name, sqlx::Error> {
    row.try_get::<&str, _>(column).map(Name::new)
}

/// A word of a closed list.
fn word<T>(row: &SqliteRow, column: usize, parse: fn(&str) -> Option<T>) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    parse(text).ok_or_else(|| sqlx::Error::Decode(format!("unknown word {text:?}").into()))
}
