//! Many rows a statement: the difference between 9,000 and 200,000 rows a second.
//!
//! A statement exists in a few sizes, each prepared once. The last chunk is rounded up to a size
//! and padded with rows of nulls, which the statement leaves out by its first column.

use std::sync::Arc;

use gantry_model::Name;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, SqliteConnection};

/// Rows a statement, ascending. The largest, times the widest row, stays far below SQLite's limit
/// of 32,766 parameters.
const SIZES: [usize; 4] = [1, 8, 32, 128];
const SIZE_MAX: usize = SIZES[SIZES.len() - 1];

/// A statement over a list of rows, in all its sizes.
#[derive(Debug)]
pub(crate) struct RowsStatement {
    width: usize,
    sized: [Arc<str>; SIZES.len()],
}

/// Collects the parameters of a statement.
pub(crate) struct Binder(SqliteArguments);

impl RowsStatement {
    /// `before (VALUES (?, …), …) after`; `width` columns, which SQLite names `column1` and so on.
    pub(crate) fn new(before: &str, width: usize, after: &str) -> Self {
        let row = format!("({})", vec!["?"; width].join(", "));
        let sized = SIZES.map(|size| {
            let rows = vec![row.as_str(); size].join(", ");
            Arc::from(format!("{before} (VALUES {rows}) {after}"))
        });
        Self { width, sized }
    }

    /// An insert of rows whose first column is never null; `conflict` is what comes after.
    pub(crate) fn insert(table: &str, columns: &[&str], conflict: &str) -> Self {
        let before = format!("INSERT INTO {table} ({}) SELECT * FROM", columns.join(", "));
        let after = format!("WHERE column1 IS NOT NULL {conflict}");
        Self::new(&before, columns.len(), &after)
    }

    /// An insert like [`Self::insert`] with one more column, which has the same value in every
    /// row: it is bound once, before the rows.
    pub(crate) fn insert_with(shared: &str, table: &str, columns: &[&str], conflict: &str) -> Self {
        let columns_text = columns.join(", ");
        let before = format!("INSERT INTO {table} ({shared}, {columns_text}) SELECT ?, v.* FROM");
        let after = format!("v WHERE column1 IS NOT NULL {conflict}");
        Self::new(&before, columns.len(), &after)
    }

    /// Runs it over all rows, in order.
    pub(crate) async fn execute<R: Sync>(
        &self,
        connection: &mut SqliteConnection,
        rows: &[R],
        bind: impl Fn(&R, &mut Binder),
    ) -> Result<(), sqlx::Error> {
        self.execute_with(connection, |_| {}, rows, bind).await
    }

    /// Runs it over all rows, in order; `head` adds the parameters that stand before the rows.
    ///
    /// While SQLite's thread works on one chunk, this one binds the next.
    pub(crate) async fn execute_with<R: Sync>(
        &self,
        connection: &mut SqliteConnection,
        head: impl Fn(&mut Binder),
        rows: &[R],
        bind: impl Fn(&R, &mut Binder),
    ) -> Result<(), sqlx::Error> {
        let bound = |chunk| self.bound(chunk, &head, |_, row, binder| bind(row, binder));
        let mut chunks = rows.chunks(SIZE_MAX);
        let mut ready = chunks.next().map(bound);
        while let Some((sql, arguments)) = ready {
            let running =
                sqlx::query_with(AssertSqlSafe(sql), arguments.0).execute(&mut *connection);
            let binding = async { chunks.next().map(bound) };
            // The first is polled first: the work is under way before the next chunk is bound.
            let (ran, next) = futures_util::join!(running, binding);
            ran?;
            ready = next;
        }
        Ok(())
    }

    /// Runs it over all rows as a query and hands over each row of the answer. `bind` is also
    /// told the place of the row; `tail` adds the parameters that stand after the rows.
    pub(crate) async fn query<R: Sync>(
        &self,
        connection: &mut SqliteConnection,
        rows: &[R],
        bind: impl Fn(usize, &R, &mut Binder),
        tail: impl Fn(&mut Binder),
        mut answer: impl FnMut(&SqliteRow) -> Result<(), sqlx::Error>,
    ) -> Result<(), sqlx::Error> {
        for (number, chunk) in rows.chunks(SIZE_MAX).enumerate() {
            let first = number * SIZE_MAX;
            let (sql, mut arguments) =
                self.bound(chunk, |_| {}, |place, row, binder| bind(first + place, row, binder));
            tail(&mut arguments);
            let found = sqlx::query_with(AssertSqlSafe(sql), arguments.0)
                .fetch_all(&mut *connection)
                .await?;
            for row in &found {
                answer(row)?;
            }
        }
        Ok(())
    }

    fn bound<R>(
        &self,
        chunk: &[R],
        head: impl Fn(&mut Binder),
        bind: impl Fn(usize, &R, &mut Binder),
    ) -> (Arc<str>, Binder) {
        let size = SIZES.partition_point(|size| *size < chunk.len());
        let mut binder = Binder(SqliteArguments::default());
        binder.0.reserve(SIZES[size] * self.width + 1, 0);
        head(&mut binder);
        let before = binder.0.len();
        for (place, row) in chunk.iter().enumerate() {
            bind(place, row, &mut binder);
            debug_assert_eq!(
                binder.0.len() - before,
                (place + 1) * self.width,
                "invariant: every column of a row is bound"
            );
        }
        for _ in chunk.len() * self.width..SIZES[size] * self.width {
            binder.add(None::<i64>);
        }
        (Arc::clone(&self.sized[size]), binder)
    }
}

impl Binder {
    /// Adds a parameter.
    pub(crate) fn add<'q, T>(&mut self, value: T)
    where
        T: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.0.add(value).expect("invariant: numbers, text and bytes can always be bound");
    }

    /// Adds text, copying it once.
    pub(crate) fn text(&mut self, text: &str) {
        self.add(Arc::<str>::from(text));
    }

    /// Adds text that may be missing.
    pub(crate) fn text_if(&mut self, text: Option<&str>) {
        self.add(text.map(Arc::<str>::from));
    }

    /// Adds a name without copying it.
    pub(crate) fn name(&mut self, name: &Name) {
        self.add(name.shared());
    }

    /// Adds a number that the database keeps as a signed one, bit by bit.
    pub(crate) fn add_u64(&mut self, value: u64) {
        self.add(value as i64);
    }
}
