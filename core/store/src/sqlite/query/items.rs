//! Reading work items: one, a page of a list, counts.

use gantry_model::{ItemId, LifeCycle, PartitionId, WorkItem};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::super::write::life_cycle_number;
use super::classify;
use crate::commit::ItemHead;
use crate::error::Error;
use crate::read::{AssignmentKind, HoldKind, ItemFilter, ItemView, Page, StatusCount};

const DOING: &str = "reading work items";
/// Items that one statement of a scan looks at: about 20 ms.
const SCAN_MAX: i64 = 50_000;
const PAGE_MAX: u32 = 1000;
/// In the order of their numbers in the database.
const LIFE_CYCLES: [LifeCycle; 8] = [
    LifeCycle::Captured,
    LifeCycle::Enriched,
    LifeCycle::Classified,
    LifeCycle::Queued,
    LifeCycle::Completed,
    LifeCycle::Canceled,
    LifeCycle::Rejected,
    LifeCycle::Expired,
];

/// The first and the last id that a partition can have, as the database keeps them.
pub(in crate::sqlite) const fn all_ids(partition: PartitionId) -> (i64, i64) {
    let first = ItemId::new(partition, 0).as_u64() as i64;
    (first, first + ((1 << 48) - 1))
}

pub(in crate::sqlite) async fn by_id(
    reader: &mut SqliteConnection,
    item: ItemId,
) -> Result<Option<ItemView>, Error> {
    const SQL: &str = "SELECT state, external_id, name, source_url FROM item WHERE id = ?";
    let row = sqlx::query(SQL)
        .bind(item.as_u64() as i64)
        .fetch_optional(reader)
        .await
        .map_err(|source| classify(DOING, source))?;
    row.as_ref().map(view).transpose()
}

pub(in crate::sqlite) async fn by_key(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    capture_point: &str,
    external_id: &str,
) -> Result<Option<ItemView>, Error> {
    const SQL: &str = "SELECT i.state, i.external_id, i.name, i.source_url \
        FROM item_key k CROSS JOIN item i ON i.id = k.item \
        WHERE k.partition = ? AND k.capture_point = ? AND k.external_id = ?";
    let row = sqlx::query(SQL)
        .bind(i64::from(partition))
        .bind(capture_point)
        .bind(external_id)
        .fetch_optional(reader)
        .await
        .map_err(|source| classify(DOING, source))?;
    row.as_ref().map(view).transpose()
}

pub(in crate::sqlite) async fn by_customer(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    customer: &str,
    limit: u32,
) -> Result<Vec<ItemView>, Error> {
    const SQL: &str = "SELECT i.state, i.external_id, i.name, i.source_url \
        FROM customer_item c CROSS JOIN item i ON i.id = c.item \
        WHERE c.customer = ? AND c.item BETWEEN ? AND ? ORDER BY c.item DESC LIMIT ?";
    let (first, last) = all_ids(partition);
    let rows = sqlx::query(SQL)
        .bind(customer)
        .bind(first)
        .bind(last)
        .bind(i64::from(limit.clamp(1, PAGE_MAX)))
        .fetch_all(reader)
        .await
        .map_err(|source| classify(DOING, source))?;
    rows.iter().map(view).collect()
}

pub(in crate::sqlite) async fn list(
    reader: &mut SqliteConnection,
    partition: PartitionId,
    filter: &ItemFilter,
    page: Page,
) -> Result<Vec<ItemView>, Error> {
    let limit = page.limit.clamp(1, PAGE_MAX) as usize;
    let live = filter.live();
    let mut scan = Scan::new(partition, page, live);
    let mut views = Vec::new();
    while views.len() < limit {
        let Some((first, last)) = scan.next(reader).await? else {
            break;
        };
        let mut sql = QueryBuilder::new("SELECT state, external_id, name, source_url FROM item");
        if live {
            sql.push(" INDEXED BY item_live WHERE life_cycle < 4 AND id BETWEEN ");
        } else {
            sql.push(" WHERE id BETWEEN ");
        }
        sql.push_bind(first).push(" AND ").push_bind(last);
        filter.push(&mut sql);
        sql.push(if page.newest_first {
            " ORDER BY id DESC LIMIT "
        } else {
            " ORDER BY id LIMIT "
        });
        sql.push_bind((limit - views.len()) as i64);
        let rows =
            sql.build().fetch_all(&mut *reader).await.map_err(|source| classify(DOING, source))?;
        for row in &rows {
            views.push(view(row)?);
        }
    }
    Ok(views)
}

pub(in crate::sqlite) async fn counts(
    reader: &mut SqliteConnection,
    partition: PartitionId,
) -> Result<Vec<StatusCount>, Error> {
    const SQL: &str = "SELECT life_cycle, hold, assignment, count(*) FROM item \
                       WHERE id BETWEEN ? AND ? GROUP BY life_cycle, hold, assignment";
    let page = Page { after: None, limit: 1, newest_first: false };
    let mut scan = Scan::new(partition, page, false);
    let mut totals = std::collections::BTreeMap::new();
    while let Some((first, last)) = scan.next(reader).await? {
        let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(SQL)
            .bind(first)
            .bind(last)
            .fetch_all(&mut *reader)
            .await
            .map_err(|source| classify(DOING, source))?;
        for (life_cycle, hold, assignment, count) in rows {
            *totals.entry((life_cycle, hold, assignment)).or_insert(0) += count as u64;
        }
    }
    totals
        .into_iter()
        .map(|((life_cycle, hold, assignment), count)| {
            Ok(StatusCount {
                life_cycle: *numbered(&LIFE_CYCLES, life_cycle)?,
                hold: numbered(&HoldKind::ALL, hold)?.1,
                assignment: numbered(&AssignmentKind::ALL, assignment)?.1,
                count,
            })
        })
        .collect()
}

fn numbered<T>(list: &[T], number: i64) -> Result<&T, Error> {
    usize::try_from(number)
        .ok()
        .and_then(|place| list.get(place))
        .ok_or_else(|| Error::corrupt(DOING, format!("unknown status number {number}")))
}

/// Cuts the ids of a partition into ranges of at most [`SCAN_MAX`] items.
struct Scan {
    /// Bounds of what is left, both included.
    first: i64,
    last: i64,
    newest_first: bool,
    /// `true` = ended items do not count.
    live: bool,
    /// `false` until the bounds were narrowed to the ids that exist.
    narrowed: bool,
}

impl Scan {
    fn new(partition: PartitionId, page: Page, live: bool) -> Self {
        let (mut first, mut last) = all_ids(partition);
        if let Some(after) = page.after {
            let after = after.as_u64() as i64;
            if page.newest_first {
                last = last.min(after - 1);
            } else {
                first = first.max(after + 1);
            }
        }
        Self { first, last, newest_first: page.newest_first, live, narrowed: false }
    }

    /// The next range; `None` when all ids have been scanned.
    async fn next(&mut self, reader: &mut SqliteConnection) -> Result<Option<(i64, i64)>, Error> {
        if !self.narrowed {
            self.narrow(reader).await?;
        }
        if self.first > self.last {
            return Ok(None);
        }
        let edge = self.edge(reader).await?;
        let range = if self.newest_first {
            let range = (edge, self.last);
            self.last = edge - 1;
            range
        } else {
            let range = (self.first, edge);
            self.first = edge + 1;
            range
        };
        Ok(Some(range))
    }

    async fn narrow(&mut self, reader: &mut SqliteConnection) -> Result<(), Error> {
        // Two sub-selects, because only min or max alone is read off the end of the table.
        const SQL: &str = "SELECT (SELECT min(id) FROM item WHERE id >= ?1), \
                                  (SELECT max(id) FROM item WHERE id <= ?2)";
        let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(SQL)
            .bind(self.first)
            .bind(self.last)
            .fetch_one(reader)
            .await
            .map_err(|source| classify(DOING, source))?;
        self.first = self.first.max(first.unwrap_or(i64::MAX));
        self.last = self.last.min(last.unwrap_or(i64::MIN));
        self.narrowed = true;
        Ok(())
    }

    /// The far end of the next range. Ids are dense, live ones among many ended ones are not: those
    /// are counted off in their index.
    async fn edge(&self, reader: &mut SqliteConnection) -> Result<i64, Error> {
        const UP: &str = "SELECT max(id) FROM (SELECT id FROM item INDEXED BY item_live \
            WHERE life_cycle < 4 AND id BETWEEN ? AND ? ORDER BY id LIMIT ?)";
        const DOWN: &str = "SELECT min(id) FROM (SELECT id FROM item INDEXED BY item_live \
            WHERE life_cycle < 4 AND id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?)";
        let (sql, dense, end) = if self.newest_first {
            (DOWN, self.first.max(self.last.saturating_sub(SCAN_MAX - 1)), self.first)
        } else {
            (UP, self.last.min(self.first.saturating_add(SCAN_MAX - 1)), self.last)
        };
        if !self.live {
            return Ok(dense);
        }
        let edge: Option<i64> = sqlx::query_scalar(sql)
            .bind(self.first)
            .bind(self.last)
            .bind(SCAN_MAX)
            .fetch_one(reader)
            .await
            .map_err(|source| classify(DOING, source))?;
        Ok(edge.unwrap_or(end))
    }
}

impl ItemFilter {
    /// `true` if it wants no ended item.
    fn live(&self) -> bool {
        !self.life_cycles.is_empty() && !self.life_cycles.iter().any(|state| state.ended())
    }

    fn push(&self, sql: &mut QueryBuilder<Sqlite>) {
        let numbers = self.life_cycles.iter().map(|state| life_cycle_number(*state));
        push_numbers(sql, "life_cycle", numbers);
        push_numbers(sql, "hold", self.holds.iter().map(|kind| *kind as i64));
        push_numbers(sql, "assignment", self.assignments.iter().map(|kind| *kind as i64));
        let names = [
            (" AND process = ", &self.process),
            (" AND capture_point = ", &self.capture_point),
            (" AND agent = ", &self.agent),
        ];
        for (condition, wanted) in names {
            if let Some(wanted) = wanted {
                sql.push(condition).push_bind(wanted.to_string());
            }
        }
        if let Some(department) = &self.department {
            // A process is `department/process`; a department without a slash is one by itself.
            let department = department.to_string();
            sql.push(" AND (process = ").push_bind(department.clone());
            sql.push(" OR substr(process, 1, length(").push_bind(department.clone());
            sql.push(") + 1) = ").push_bind(format!("{department}/")).push(")");
        }
        if let Some(text) = &self.text {
            let text = text.to_ascii_lowercase();
            sql.push(" AND (instr(lower(name), ").push_bind(text.clone());
            sql.push(") OR instr(lower(external_id), ").push_bind(text).push("))");
        }
    }
}

fn push_numbers(
    sql: &mut QueryBuilder<Sqlite>,
    column: &str,
    numbers: impl ExactSizeIterator<Item = i64>,
) {
    if numbers.len() == 0 {
        return;
    }
    sql.push(format_args!(" AND {column} IN ("));
    let mut places = sql.separated(", ");
    for number in numbers {
        places.push_bind(number);
    }
    sql.push(")");
}

/// Reads state, external id, name, source URL.
fn view(row: &SqliteRow) -> Result<ItemView, Error> {
    let read = || -> Result<(&[u8], ItemHead), sqlx::Error> {
        let head = ItemHead {
            external_id: row.try_get(1)?,
            name: row.try_get(2)?,
            source_url: row.try_get(3)?,
        };
        Ok((row.try_get(0)?, head))
    };
    let (state, head) = read().map_err(|source| classify(DOING, source))?;
    let item: WorkItem = minicbor::decode(state)
        .map_err(|error| Error::corrupt(DOING, format!("state of a work item: {error}")))?;
    Ok(ItemView { item, head })
}
