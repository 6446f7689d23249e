//! A commit: one transaction, a few statements, one flush to disk.

mod captures;

use gantry_model::{Hold, LifeCycle, Name, PartitionId, WorkItem};
use sqlx::{Connection as _, SqliteConnection};

use super::checkpoint::SinceLook;
use super::classify;
use super::rows::{Binder, RowsStatement};
use crate::commit::{
    AgentChange, Commit, DeadLetterChange, DeadLetterRow, DocumentRow, ItemHead, ItemRow,
    LaneChange, LaneRow, POSITION_BYTES_MAX,
};
use crate::error::Error;
use crate::failpoint::{self, failpoint};

/// What an item costs in the log beside its document, roughly: for the pace of looking at it.
const ITEM_BYTES: u64 = 600;

/// Bytes of most states.
const STATE_BYTES: usize = 256;

/// Only this statement moves the commit number on, and only for whoever holds the epoch.
const BEGIN: &str = "BEGIN IMMEDIATE; \
    UPDATE meta SET seq = ?, at = ?, next_counter = ?, config_version = ? \
    WHERE partition = ? AND epoch = ? AND seq = ? - 1 RETURNING seq";
const END: &str = "INSERT INTO journal (partition, seq, at, config_version, segment) \
    VALUES (?, ?, ?, ?, ?); COMMIT";

/// The only connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    connection: SqliteConnection,
    partition: PartitionId,
    epoch: u64,
    statements: Statements,
    since_look: SinceLook,
    /// `true` while a transaction may be open: set if a commit was dropped half-way.
    open: bool,
}

/// The statements over many rows, in all their sizes.
#[derive(Debug)]
struct Statements {
    items: RowsStatement,
    documents: RowsStatement,
    keys: RowsStatement,
    customers: RowsStatement,
    messages: RowsStatement,
    agents: RowsStatement,
    positions: RowsStatement,
    cursors: RowsStatement,
    lanes: RowsStatement,
    dead_letters: RowsStatement,
    configs: RowsStatement,
}

impl Writer {
    pub(super) fn new(connection: SqliteConnection, partition: PartitionId, epoch: u64) -> Self {
        Self {
            connection,
            partition,
            epoch,
            statements: Statements::new(),
            since_look: SinceLook::default(),
            open: false,
        }
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    pub(super) fn since_look(&mut self) -> &mut SinceLook {
        &mut self.since_look
    }

    pub(super) async fn limit_pages(&mut self, pages: u32) -> Result<(), Error> {
        let sql = format!("PRAGMA max_page_count = {pages}");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut self.connection)
            .await
            .map(drop)
            .map_err(|source| classify("limiting the size of the database", source))
    }

    pub(super) async fn commit(&mut self, commit: &Commit) -> Result<(), Error> {
        self.check(commit)?;
        self.roll_back().await;
        self.open = true;
        let outcome = match self.write(commit).await {
            Ok(true) => Ok(()),
            Ok(false) => self.why_refused(commit).await,
            Err(source) => Err(classify("storing a commit", source)),
        };
        if outcome.is_ok() {
            self.since_look.commits += 1;
            self.since_look.bytes += log_bytes(commit);
        }
        self.roll_back().await;
        outcome
    }

    /// What is wrong with a commit whatever the database holds.
    fn check(&self, commit: &Commit) -> Result<(), Error> {
        let partition = self.partition;
        for row in &commit.items {
            if row.item.id.partition() != partition {
                let item = row.item.id;
                return Err(Error::OtherPartition { item, partition });
            }
        }
        for row in commit.positions.iter().chain(&commit.moved_positions) {
            if row.position.len() > POSITION_BYTES_MAX {
                return Err(Error::PositionTooLong {
                    capture_point: row.capture_point.to_string(),
                    size: row.position.len(),
                    max: POSITION_BYTES_MAX,
                });
            }
        }
        Ok(())
    }

    /// Ends a transaction that may still be open. It may not be: then SQLite says so, and that is
    /// fine.
    async fn roll_back(&mut self) {
        if self.open {
            let rolled_back = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
            if let Err(error) = rolled_back {
                tracing::debug!(%error, "no transaction to roll back");
            }
            self.open = false;
        }
    }

    /// Writes everything; `false` if the fence did not let it in.
    async fn write(&mut self, commit: &Commit) -> Result<bool, sqlx::Error> {
        let partition = i64::from(self.partition);
        let (seq, at) = (commit.seq as i64, commit.at.0);
        let config_version = i64::from(commit.config_version);
        let let_in = sqlx::query(BEGIN)
            .bind(seq)
            .bind(at)
            .bind(commit.next_counter as i64)
            .bind(config_version)
            .bind(partition)
            .bind(self.epoch as i64)
            .bind(seq)
            .fetch_all(&mut self.connection)
            .await?;
        if let_in.len() != 1 {
            return Ok(false);
        }
        self.statements.write(&mut self.connection, partition, commit).await?;
        failpoint(failpoint::MID_COMMIT);
        sqlx::query(END)
            .bind(partition)
            .bind(seq)
            .bind(at)
            .bind(config_version)
            .bind(commit.segment.as_slice())
            .execute(&mut self.connection)
            .await?;
        self.open = false;
        Ok(true)
    }

    /// Tells a repeat of a stored commit (which is fine) from a lost epoch and a wrong number.
    async fn why_refused(&mut self, commit: &Commit) -> Result<(), Error> {
        const SQL: &str = "SELECT m.epoch, m.seq, j.segment FROM meta m LEFT JOIN journal j \
                           ON j.partition = m.partition AND j.seq = ? WHERE m.partition = ?";
        let (current, last, segment): (i64, i64, Option<Vec<u8>>) = sqlx::query_as(SQL)
            .bind(commit.seq as i64)
            .bind(i64::from(self.partition))
            .fetch_one(&mut self.connection)
            .await
            .map_err(|source| classify("finding out why a commit was refused", source))?;
        let (seq, ours) = (commit.seq, self.epoch);
        let (current, last) = (current as u64, last as u64);
        if current != ours {
            return Err(Error::Fenced { seq, ours, current });
        }
        match segment {
            Some(stored) if stored == commit.segment => Ok(()),
            _ => Err(Error::OutOfOrder { seq, last }),
        }
    }
}

/// About what a commit adds to the log.
fn log_bytes(commit: &Commit) -> u64 {
    let documents = commit.documents.iter().map(|document| {
        document.attributes.len() + document.payload.as_ref().map_or(0, bytes::Bytes::len)
    });
    let documents: usize = documents.sum();
    (commit.segment.len() + documents) as u64 + commit.items.len() as u64 * ITEM_BYTES
}

impl Statements {
    fn new() -> Self {
        let insert = RowsStatement::insert;
        let put = |table: &str, keys: &[&str], rest: &[&str]| {
            let set: Vec<_> = rest.iter().map(|c| format!("{c} = excluded.{c}")).collect();
            let conflict = format!("ON CONFLICT DO UPDATE SET {}", set.join(", "));
            insert(table, &[keys, rest].concat(), &conflict)
        };
        Self {
            items: RowsStatement::insert_with("segments", "item", ITEM_COLUMNS, ITEM_CONFLICT),
            documents: put(
                "document",
                &["item", "revision"],
                &["attributes", "payload", "content_type"],
            ),
            keys: put(
                "item_key",
                &["partition", "capture_point", "external_id"],
                &["item", "hash"],
            ),
            customers: insert(
                "customer_item",
                &["item", "customer"],
                "ON CONFLICT DO UPDATE SET customer = excluded.customer \
                 WHERE customer <> excluded.customer",
            ),
            messages: insert(
                "message",
                &["partition", "capture_point", "message_id", "item", "at"],
                "ON CONFLICT DO NOTHING",
            ),
            agents: put("agent", &["partition", "id"], &["state"]),
            positions: put("position", captures::POSITION_KEY, &["position", "at"]),
            cursors: put("cursor", &["partition", "subscriber"], &["seq", "entry"]),
            lanes: put(
                "lane",
                &["partition", "subscriber", "item", "seq", "entry"],
                &["state", "attempts", "next_at", "error"],
            ),
            dead_letters: put("dead_letter", &["partition", "id"], DEAD_LETTER_COLUMNS),
            configs: put("config", &["partition", "version"], &["json", "sha256", "at"]),
        }
    }

    async fn write(
        &self,
        connection: &mut SqliteConnection,
        partition: i64,
        commit: &Commit,
    ) -> Result<(), sqlx::Error> {
        self.write_items(connection, commit).await?;
        self.write_keys(connection, partition, commit).await?;
        captures::write(connection, partition, commit, &self.positions).await?;
        self.cursors
            .execute(connection, &commit.cursors, |row, to| {
                to.add(partition);
                to.name(&row.subscriber);
                to.add_u64(row.seq);
                to.add(i64::from(row.index));
            })
            .await?;
        self.configs
            .execute(connection, &commit.configs, |row, to| {
                to.add(partition);
                to.add(i64::from(row.version));
                to.add(row.json.as_slice());
                to.add(row.sha256.as_slice());
                to.add(row.at.0);
            })
            .await?;
        self.change_agents(connection, partition, &commit.agents).await?;
        self.change_lanes(connection, partition, &commit.lanes).await?;
        self.change_dead_letters(connection, partition, &commit.dead_letters).await?;
        super::alerts::change(connection, partition, &commit.alerts).await
    }

    async fn write_items(
        &self,
        connection: &mut SqliteConnection,
        commit: &Commit,
    ) -> Result<(), sqlx::Error> {
        let mut segment = Vec::with_capacity(9);
        super::query::journal::push_seq(&mut segment, commit.seq);
        let segment = |to: &mut Binder| to.add(segment.as_slice());
        self.items.execute_with(connection, segment, &commit.items, bind_item).await?;
        self.documents.execute(connection, &commit.documents, bind_document).await?;
        self.customers
            .execute(connection, &commit.customers, |row, to| {
                to.add_u64(row.item.as_u64());
                to.text(&row.customer);
            })
            .await
    }

    /// Keys and messages are written in the order of their tables: neighbours share pages.
    async fn write_keys(
        &self,
        connection: &mut SqliteConnection,
        partition: i64,
        commit: &Commit,
    ) -> Result<(), sqlx::Error> {
        let mut keys: Vec<_> = commit.keys.iter().collect();
        keys.sort_by_key(|row| (&row.capture_point, &row.external_id));
        self.keys
            .execute(connection, &keys, |row, to| {
                to.add(partition);
                to.name(&row.capture_point);
                to.text(&row.external_id);
                to.add_u64(row.item.as_u64());
                to.add(row.hash.as_slice());
            })
            .await?;
        let mut messages: Vec<_> = commit.messages.iter().collect();
        messages.sort_by_key(|row| (&row.capture_point, &row.message_id));
        self.messages
            .execute(connection, &messages, |row, to| {
                to.add(partition);
                to.name(&row.capture_point);
                to.text(&row.message_id);
                to.add_u64(row.item.as_u64());
                to.add(row.at.0);
            })
            .await
    }

    async fn change_agents<'c>(
        &self,
        connection: &mut SqliteConnection,
        partition: i64,
        changes: &'c [AgentChange],
    ) -> Result<(), sqlx::Error> {
        let put = |change: &'c AgentChange| match change {
            AgentChange::Put(agent) => Some(agent),
            AgentChange::Remove(_) => None,
        };
        let agents: Vec<_> = changes.iter().filter_map(put).collect();
        self.agents
            .execute(connection, &agents, |agent, to| {
                to.add(partition);
                to.name(&agent.profile.id);
                to.add(encoded(*agent));
            })
            .await?;
        for change in changes {
            if let AgentChange::Remove(id) = change {
                sqlx::query("DELETE FROM agent WHERE partition = ? AND id = ?")
                    .bind(partition)
                    .bind(id.as_str())
                    .execute(&mut *connection)
                    .await?;
            }
        }
        Ok(())
    }

    /// Removals are rare: a lane's exceptions are few, its deliveries many.
    async fn change_lanes(
        &self,
        connection: &mut SqliteConnection,
        partition: i64,
        changes: &[LaneChange],
    ) -> Result<(), sqlx::Error> {
        for change in changes {
            match change {
                LaneChange::Put(row) => {
                    self.lanes
                        .execute(connection, &[row], |row, to| bind_lane(partition, row, to))
                        .await?;
                }
                LaneChange::Remove(key) => {
                    sqlx::query(
                        "DELETE FROM lane WHERE partition = ? AND subscriber = ? AND item = ? \
                         AND seq = ? AND entry = ?",
                    )
                    .bind(partition)
                    .bind(key.subscriber.as_str())
                    .bind(key.item.as_u64() as i64)
                    .bind(key.seq as i64)
                    .bind(i64::from(key.index))
                    .execute(&mut *connection)
                    .await?;
                }
            }
        }
        Ok(())
    }

    async fn change_dead_letters<'c>(
        &self,
        connection: &mut SqliteConnection,
        partition: i64,
        changes: &'c [DeadLetterChange],
    ) -> Result<(), sqlx::Error> {
        for run in changes.chunk_by(both_put) {
            let put = |change: &'c DeadLetterChange| match change {
                DeadLetterChange::Put(row) => Some(row),
                DeadLetterChange::Resolve { .. } => None,
            };
            let rows: Vec<_> = run.iter().filter_map(put).collect();
            self.dead_letters
                .execute(connection, &rows, |row, to| bind_dead_letter(partition, row, to))
                .await?;
            for change in run {
                if let DeadLetterChange::Resolve { id, how, at } = change {
                    sqlx::query(
                        "UPDATE dead_letter SET resolution = ?, resolved_at = ? \
                         WHERE partition = ? AND id = ?",
                    )
                    .bind(how.as_str())
                    .bind(at.0)
                    .bind(partition)
                    .bind(id.as_str())
                    .execute(&mut *connection)
                    .await?;
                }
            }
        }
        Ok(())
    }
}

fn both_put(one: &DeadLetterChange, next: &DeadLetterChange) -> bool {
    matches!((one, next), (DeadLetterChange::Put(_), DeadLetterChange::Put(_)))
}

const ITEM_COLUMNS: &[&str] = &[
    "id",
    "life_cycle",
    "hold",
    "assignment",
    "agent",
    "process",
    "capture_point",
    "captured_at",
    "queued_at",
    "due_at",
    "external_id",
    "name",
    "source_url",
    "state",
];

/// `||` makes text of bytes, without changing them; the cast makes bytes of it again.
const ITEM_CONFLICT: &str = "ON CONFLICT DO UPDATE SET \
    life_cycle = excluded.life_cycle, hold = excluded.hold, assignment = excluded.assignment, \
    agent = excluded.agent, process = excluded.process, \
    queued_at = excluded.queued_at, due_at = excluded.due_at, \
    external_id = coalesce(excluded.external_id, external_id), \
    name = coalesce(excluded.name, name), \
    source_url = coalesce(excluded.source_url, source_url), \
    segments = CAST(segments || excluded.segments AS BLOB), state = excluded.state";

const DEAD_LETTER_COLUMNS: &[&str] = &[
    "kind",
    "origin",
    "external_id",
    "item",
    "payload",
    "content_type",
    "code",
    "class",
    "reason",
    "at",
    "attempts",
    "resolution",
    "resolved_at",
];

fn bind_item(row: &ItemRow, to: &mut Binder) {
    const UNCHANGED: &ItemHead = &ItemHead { external_id: None, name: None, source_url: None };
    let item = &row.item;
    let head = row.head.as_ref().unwrap_or(UNCHANGED);
    to.add_u64(item.id.as_u64());
    to.add(life_cycle_number(item.life_cycle));
    to.add(hold_number(&item.hold));
    to.add(assignment_number(item));
    to.add(item.agent().map(Name::shared));
    to.add(item.process().map(Name::shared));
    to.name(&item.capture_point);
    to.add(item.captured_at.0);
    to.add(item.queued_at.map(|at| at.0));
    to.add(item.due_at.map(|at| at.0));
    to.text_if(head.external_id.as_deref());
    to.text_if(head.name.as_deref());
    to.text_if(head.source_url.as_deref());
    to.add(encoded(item));
}

fn bind_document(row: &DocumentRow, to: &mut Binder) {
    to.add_u64(row.item.as_u64());
    to.add(i64::from(row.revision));
    to.add(row.attributes.as_slice());
    to.add(row.payload.as_deref());
    to.text_if(row.content_type.as_deref());
}

fn bind_lane(partition: i64, row: &LaneRow, to: &mut Binder) {
    to.add(partition);
    to.name(&row.key.subscriber);
    to.add_u64(row.key.item.as_u64());
    to.add_u64(row.key.seq);
    to.add(i64::from(row.key.index));
    to.text(row.state.as_str());
    to.add(i64::from(row.attempts));
    to.add(row.next_at.map(|at| at.0));
    to.text_if(row.error.as_deref());
}

fn bind_dead_letter(partition: i64, row: &DeadLetterRow, to: &mut Binder) {
    to.add(partition);
    to.text(&row.id);
    to.text(row.kind.as_str());
    to.name(&row.origin);
    to.text_if(row.external_id.as_deref());
    to.add(row.item.map(|item| item.as_u64() as i64));
    to.add(&row.payload[..]);
    to.text_if(row.content_type.as_deref());
    to.text(&row.code);
    to.text_if(row.class.as_deref());
    to.text(&row.reason);
    to.add(row.at.0);
    to.add(i64::from(row.attempts));
    // The same failure again opens the dead letter again.
    to.add(None::<&str>);
    to.add(None::<i64>);
}

/// The number of a state in the database; final ones from 4, as the index of live items has it.
pub(super) const fn life_cycle_number(life_cycle: LifeCycle) -> i64 {
    match life_cycle {
        LifeCycle::Captured => 0,
        LifeCycle::Enriched => 1,
        LifeCycle::Classified => 2,
        LifeCycle::Queued => 3,
        LifeCycle::Completed => 4,
        LifeCycle::Canceled => 5,
        LifeCycle::Rejected => 6,
        LifeCycle::Expired => 7,
    }
}

const fn hold_number(hold: &Hold) -> i64 {
    match hold {
        Hold::None => 0,
        Hold::Held { .. } => 1,
        Hold::Error { .. } => 2,
        Hold::Activation { .. } => 3,
    }
}

const fn assignment_number(item: &WorkItem) -> i64 {
    use gantry_model::Assignment;
    match &item.assignment {
        Assignment::None => 0,
        Assignment::Offered { .. } => 1,
        Assignment::Assigned { .. } => 2,
        Assignment::Confirming { .. } => 3,
        Assignment::Parked { .. } => 4,
        Assignment::WrapUp { .. } => 5,
    }
}

fn encoded<T: minicbor::Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(STATE_BYTES);
    minicbor::encode(value, &mut bytes).expect("invariant: writing to memory cannot fail");
    bytes
}
