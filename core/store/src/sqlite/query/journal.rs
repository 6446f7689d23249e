//! Reading the journal: all of it in order, or the entries about one item.

use gantry_model::journal::Segment;
use gantry_model::{ItemId, PartitionId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, SqliteConnection};

use super::classify;
use crate::error::Error;
use crate::read::{HistoryEntry, SegmentRow};

const DOING: &str = "reading the history of a work item";
/// Segments read at once.
const SEGMENTS_MAX: usize = 64;
/// Bytes of segments that are read at once, unless a single one has more.
const SEGMENT_BYTES_MAX: i64 = 16 << 20;

/// Appends a commit number to an item's list: seven bits a byte, the lowest first, and the eighth
/// bit set where another byte follows.
pub(crate) fn push_seq(list: &mut Vec<u8>, mut seq: u64) {
    while seq >= 0x80 {
        list.push(seq as u8 | 0x80);
        seq >>= 7;
    }
    list.push(seq as u8);
}

/// Reads such a list; `None` if it ends within a number or a number is too large.
pub(crate) fn read_seqs(list: &[u8]) -> Option<Vec<u64>> {
    let mut seqs = Vec::new();
    let (mut value, mut shift) = (0_u64, 0_u32);
    for byte in list {
        let bits = u64::from(byte & 0x7f);
        if shift >= u64::BITS || bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            seqs.push(value);
            (value, shift) = (0, 0);
        } else {
            shift += 7;
        }
    }
    (shift == 0).then_some(seqs)
}

/// The entries about an item; decodes only the segments that its row lists.
pub(in crate::sqlite) async fn history(
    reader: &mut SqliteConnection,
    item: ItemId,
) -> Result<Vec<HistoryEntry>, Error> {
    let list: Option<Vec<u8>> = sqlx::query_scalar("SELECT segments FROM item WHERE id = ?")
        .bind(item.as_u64() as i64)
        .fetch_optional(&mut *reader)
        .await
        .map_err(|source| classify(DOING, source))?;
    let Some(list) = list else {
        return Ok(Vec::new());
    };
    let seqs = read_seqs(&list)
        .ok_or_else(|| Error::corrupt(DOING, format!("work item {item} lists no segments")))?;
    let mut entries = Vec::with_capacity(seqs.len());
    for seqs in seqs.chunks(SEGMENTS_MAX) {
        let mut sql = QueryBuilder::new("SELECT seq, segment FROM journal WHERE partition = ");
        sql.push_bind(i64::from(item.partition())).push(" AND seq IN (");
        let mut places = sql.separated(", ");
        for seq in seqs {
            places.push_bind(*seq as i64);
        }
        let rows: Vec<(i64, Vec<u8>)> = sql
            .push(") ORDER BY seq")
            .build_query_as()
            .persistent(false)
            .fetch_all(&mut *reader)
            .await
            .map_err(|source| classify(DOING, source))?;
        if rows.len() != seqs.len() {
            let problem = format!("the journal lacks segments of work item {item}");
            return Err(Error::corrupt(DOING, problem));
        }
        for (seq, segment) in rows {
            push_entries(&mut entries, seq as u64, &segment, item)?;
        }
    }
    Ok(entries)
}

fn push_entries(
    entries: &mut Vec<HistoryEntry>,
    seq: u64,
    segment: &[u8],
    item: ItemId,
) -> Result<(), Error> {
    let segment = Segment::from_slice(segment)
        .map_err(|error| Error::corrupt(DOING, format!("journal segment {seq}: {error}")))?;
    for (index, entry) in (0..).zip(segment.entries) {
        if entry.event.item() == Some(item) {
            entries.push(HistoryEntry { seq, index, entry });
        }
    }
    Ok(())
}

pub(in crate::sqlite) async fn segments(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    after_seq: u64,
    limit: u32,
) -> Result<Vec<SegmentRow>, Error> {
    // The sum of the lengths before a segment bounds what is read; the first is always read.
    const SQL: &str = "SELECT seq, at, segment FROM (\
        SELECT seq, at, segment, coalesce(sum(length(segment)) OVER (ORDER BY seq \
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before \
        FROM (SELECT seq, at, segment FROM journal WHERE partition = ? AND seq > ? \
              ORDER BY seq LIMIT ?)) \
        WHERE before < ? ORDER BY seq";
    sqlx::query(SQL)
        .bind(i64::from(partition))
        .bind(after_seq as i64)
        .bind(i64::from(limit.clamp(1, 1000)))
        .bind(SEGMENT_BYTES_MAX)
        .try_map(|row: SqliteRow| {
            Ok(SegmentRow {
                seq: row.try_get::<i64, _>(0)? as u64,
                at: Timestamp(row.try_get(1)?),
                segment: row.try_get(2)?,
            })
        })
        .fetch_all(reader)
        .await
        .map_err(|source| classify("reading the journal", source))
}
