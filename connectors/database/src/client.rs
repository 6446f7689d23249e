//! The connection to any kind of database: with `client/` the only place that knows the drivers.

mod options;

use std::future::Future;
use std::time::Duration;

use gantry_plugin_api::Error;
use serde_json::Value;
use sqlx::mysql::{MySql, MySqlPoolOptions};
use sqlx::postgres::{PgArguments, PgPoolOptions};
use sqlx::sqlite::{Sqlite, SqlitePoolOptions};
use sqlx::{
    Arguments, AssertSqlSafe, Column as _, ConnectOptions, Connection, Database, Executor,
    MySqlPool, PgPool, Pool as SqlxPool, Row, SqlSafeStr, SqlitePool, Statement as _, TypeInfo,
};

use crate::config::{Config, Engine};
use crate::failure::{Task, classify};
use crate::statement::Statement;
use crate::value::{Kind, blob, text};

/// A pool of connections, opened on first use.
#[derive(Debug)]
pub(crate) struct Client {
    pool: Pool,
    engine: Engine,
    timeout: Duration,
    n_connections: usize,
}

#[derive(Debug)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    Mysql(MySqlPool),
}

/// A column of a result.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The database's word for its type.
    pub(crate) type_name: String,
    pub(crate) kind: Kind,
}

/// What a statement takes and gives, as the database sees it.
#[derive(Debug)]
pub(crate) struct Described {
    /// Types of the parameters, where the database tells them: PostgreSQL only.
    pub(crate) parameters: Vec<String>,
    pub(crate) columns: Vec<Column>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// So many rows were touched; committed.
    Rows(u64),
    /// No row was touched; rolled back.
    NoRow,
    /// The ledger has the key already; nothing was done.
    Repeat,
}

/// The ledger's table, quoted, and the key to enter.
pub(crate) type Entry<'a> = (&'a str, &'a str);

impl Client {
    /// Makes the pool; opens nothing.
    pub(crate) fn new(config: &Config) -> Self {
        let timeout = config.request_timeout.get();
        let n_connections = config.max_connections.get();
        // No idle time-out and no life time: both would start a task, and a dead connection shows
        // when it is taken out of the pool.
        macro_rules! pool {
            ($pool:ident, $connect:expr) => {
                $pool::new()
                    .max_connections(n_connections)
                    .acquire_timeout(timeout)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .connect_lazy_with($connect)
            };
        }
        let pool = match config.engine {
            Engine::Sqlite => Pool::Sqlite(pool!(SqlitePoolOptions, options::sqlite(config))),
            Engine::Postgres => Pool::Postgres(pool!(PgPoolOptions, options::postgres(config))),
            Engine::Mysql => Pool::Mysql(pool!(MySqlPoolOptions, options::mysql(config))),
        };
        let n_connections = n_connections as usize;
        Self { pool, engine: config.engine, timeout, n_connections }
    }

    /// How many statements can run at once.
    pub(crate) fn n_connections(&self) -> usize {
        self.n_connections
    }

    /// Which kind of database it is.
    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
            Pool::Mysql(pool) => pool.close().await,
        }
    }

    /// Asks what a statement takes and gives. `fresh` forgets what the connection knew: tables
    /// change.
    pub(crate) async fn describe(
        &self,
        sql: &str,
        fresh: bool,
        task: Task<'_>,
    ) -> Result<Described, Error> {
        macro_rules! described {
            ($pool:ident, $parameters:expr) => {{
                let mut connection = $pool.acquire().await?;
                if fresh {
                    connection.clear_cached_statements().await?;
                }
                let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
                let statement = connection.prepare(sql).await?;
                let columns = statement.columns().iter();
                Ok(Described {
                    parameters: $parameters(&statement),
                    columns: columns
                        .map(|column| Column {
                            name: column.name().to_owned(),
                            type_name: column.type_info().name().to_owned(),
                            kind: Kind::of(self.engine, column.type_info().name()),
                        })
                        .collect(),
                })
            }};
        }
        self.within(task, async {
            match &self.pool {
                Pool::Sqlite(pool) => described!(pool, |_| Vec::new()),
                Pool::Postgres(pool) => {
                    reach(pool).await?;
                    described!(pool, parameter_types)
                }
                Pool::Mysql(pool) => {
                    reach(pool).await?;
                    described!(pool, |_| Vec::new())
                }
            }
        })
        .await
    }

    /// Runs a query; each value as the database gives it (PostgreSQL, MySQL: as text).
    pub(crate) async fn rows(
        &self,
        sql: String,
        binds: &[Value],
        task: Task<'_>,
    ) -> Result<Vec<Vec<Value>>, Error> {
        macro_rules! rows {
            ($pool:ident, $arguments:expr, $value:expr) => {{
                let mut connection = $pool.acquire().await?;
                let query = sqlx::query_with(AssertSqlSafe(sql), $arguments?);
                let rows = match query.fetch_all(&mut *connection).await {
                    Ok(rows) => rows,
                    Err(error) => {
                        // What this connection remembers of the tables may be out of date.
                        let _ = connection.clear_cached_statements().await;
                        return Err(error);
                    }
                };
                rows.iter().map(|row| (0..row.len()).map(|at| $value(row, at)).collect()).collect()
            }};
        }
        self.within(task, async {
            match &self.pool {
                Pool::Sqlite(pool) => rows!(pool, typed_arguments::<Sqlite>(binds), sqlite_value),
                Pool::Postgres(pool) => rows!(pool, postgres_arguments(binds), postgres_value),
                Pool::Mysql(pool) => rows!(pool, typed_arguments::<MySql>(binds), mysql_value),
            }
        })
        .await
    }

    /// Changes something in one transaction, at most once a ledger entry.
    pub(crate) async fn apply(
        &self,
        sql: String,
        binds: &[Value],
        entry: Option<Entry<'_>>,
        task: Task<'_>,
    ) -> Result<Applied, Error> {
        macro_rules! apply {
            ($pool:ident, $begin:literal, $arguments:expr) => {{
                let mut transaction = $pool.begin_with($begin).await?;
                if let Some((ledger, key)) = entry {
                    let insert = self.engine.enter(ledger, &self.engine.placeholder(0, ""));
                    let insert = sqlx::query(AssertSqlSafe(insert)).bind(key);
                    match insert.execute(&mut *transaction).await {
                        Ok(entered) if entered.rows_affected() == 0 => return Ok(Applied::Repeat),
                        Err(error) if self.is_repeat(&error) => return Ok(Applied::Repeat),
                        Err(error) => return Err(error),
                        Ok(_) => {}
                    }
                }
                let change = sqlx::query_with(AssertSqlSafe(sql), $arguments?);
                let n_rows = change.execute(&mut *transaction).await?.rows_affected();
                if n_rows == 0 {
                    return Ok(Applied::NoRow);
                }
                transaction.commit().await?;
                Ok(Applied::Rows(n_rows))
            }};
        }
        self.within(task, async {
            match &self.pool {
                // Immediate: a reader that turns writer may otherwise fail without waiting its
                // turn.
                Pool::Sqlite(pool) => {
                    apply!(pool, "BEGIN IMMEDIATE", typed_arguments::<Sqlite>(binds))
                }
                Pool::Postgres(pool) => apply!(pool, "BEGIN", postgres_arguments(binds)),
                Pool::Mysql(pool) => apply!(pool, "BEGIN", typed_arguments::<MySql>(binds)),
            }
        })
        .await
    }

    /// The database's own clock: Unix time in microseconds.
    pub(crate) async fn now_us(&self, task: Task<'_>) -> Result<i64, Error> {
        let sql = self.engine.now_us();
        let rows = self.rows(sql.to_owned(), &[], task).await?;
        let now = rows.first().and_then(|row| row.first());
        now.and_then(integer).ok_or_else(|| Error::permanent("cannot read the database's clock"))
    }

    /// The tables there are, for an error that helps.
    pub(crate) async fn tables(&self, task: Task<'_>) -> Result<Vec<String>, Error> {
        let sql = self.engine.tables();
        let rows = self.rows(sql.to_owned(), &[], task).await?;
        Ok(rows.iter().flatten().map(text).collect())
    }

    /// Turns named parameters into the database's own, and asks what comes out.
    pub(crate) async fn resolve(
        &self,
        statement: &Statement,
        task: Task<'_>,
    ) -> Result<(String, Vec<Column>), Error> {
        let described = statement.render(|index| self.engine.placeholder(index, ""));
        let described = self.describe(&described, false, task).await?;
        let type_of = |index: usize| described.parameters.get(index).map_or("", String::as_str);
        let sql = statement.render(|index| self.engine.placeholder(index, type_of(index)));
        Ok((sql, described.columns))
    }

    /// Whether an insert into the ledger failed because it has the key.
    fn is_repeat(&self, error: &sqlx::Error) -> bool {
        let refusal = error.as_database_error();
        self.engine == Engine::Mysql
            && refusal.is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }

    async fn within<T>(
        &self,
        task: Task<'_>,
        run: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Error> {
        let Ok(result) = tokio::time::timeout(self.timeout, run).await else {
            let (what, limit) = (task.what, self.timeout);
            let message = format!("cannot {what}: no answer in {limit:?}");
            return Err(Error::transient(message));
        };
        result.map_err(|error| classify(&error, task))
    }
}

/// The pool waits and tries again when a server refuses; the hub does that better, and wants the
/// reason.
async fn reach<D: Database>(pool: &SqlxPool<D>) -> Result<(), sqlx::Error> {
    if pool.size() == 0 {
        pool.connect_options().connect().await?.close().await?;
    }
    Ok(())
}

fn parameter_types(statement: &sqlx::postgres::PgStatement) -> Vec<String> {
    let types = statement.parameters().and_then(sqlx::Either::left);
    let types = types.unwrap_or_default().iter();
    types.map(|one| one.name().to_owned()).collect()
}

/// Values as parameters of the types that they have.
fn typed_arguments<D: Database>(binds: &[Value]) -> Result<D::Arguments, sqlx::Error>
where
    for<'q> bool: sqlx::Encode<'q, D> + sqlx::Type<D>,
    for<'q> i64: sqlx::Encode<'q, D> + sqlx::Type<D>,
    for<'q> f64: sqlx::Encode<'q, D> + sqlx::Type<D>,
    for<'q> Option<i64>: sqlx::Encode<'q, D> + sqlx::Type<D>,
    for<'q> Option<f64>: sqlx::Encode<'q, D> + sqlx::Type<D>,
    for<'q> String: sqlx::Encode<'q, D> + sqlx::Type<D>,
{
    let mut arguments = D::Arguments::default();
    for bind in binds {
        match bind {
            Value::Null => arguments.add(None::<i64>),
            Value::Bool(flag) => arguments.add(*flag),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => arguments.add(integer),
                None => arguments.add(number.as_f64()),
            },
            other => arguments.add(text(other)),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn postgres_arguments(binds: &[Value]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for bind in binds {
        let bind = (!bind.is_null()).then(|| text(bind));
        arguments.add(bind).map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn sqlite_value(row: &sqlx::sqlite::SqliteRow, at: usize) -> Result<Value, sqlx::Error> {
    let type_name = {
        let value = row.try_get_raw(at)?;
        if sqlx::ValueRef::is_null(&value) {
            return Ok(Value::Null);
        }
        sqlx::ValueRef::type_info(&value).name().to_owned()
    };
    Ok(match type_name.as_str() {
        "INTEGER" => row.try_get_unchecked::<i64, _>(at)?.into(),
        "REAL" => row.try_get_unchecked::<f64, _>(at)?.into(),
        "TEXT" => {
            // SQLite stores whatever bytes it was given; one odd byte must not hold up the rest.
            let bytes = row.try_get_unchecked::<&[u8], _>(at)?;
            String::from_utf8_lossy(bytes).into_owned().into()
        }
        _ => blob(row.try_get_unchecked::<&[u8], _>(at)?),
    })
}

fn postgres_value(row: &sqlx::postgres::PgRow, at: usize) -> Result<Value, sqlx::Error> {
    Ok(row.try_get::<Option<String>, _>(at)?.into())
}

fn mysql_value(row: &sqlx::mysql::MySqlRow, at: usize) -> Result<Value, sqlx::Error> {
    let bytes = row.try_get_unchecked::<Option<&[u8]>, _>(at)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).into())
}

/// An integer, be it a number or its digits.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str().and_then(|digits| digits.parse().ok()))
}
