//! A table of work in each kind of database, and a bare loop over it by the driver alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use gantry_tests::peers::mariadb::MariaDb;
use gantry_tests::postgres::Postgres;
use serde_json::{Value, json};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Row as _};
use tempfile::TempDir;

use crate::Pace;

/// So many rows carry one timestamp.
const ROWS_A_MOMENT: u64 = 100;

/// The kinds of databases.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

/// A filled table, with the server it is in.
pub(crate) enum Table {
    Sqlite(SqlitePool, TempDir),
    Postgres(PgPool, Postgres),
    MariaDb(MySqlPool, MariaDb),
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::MariaDb];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "database.sqlite",
            Self::Postgres => "database.postgres",
            Self::MariaDb => "database.mariadb",
        }
    }

    /// Rows out of numbers, as each kind makes them.
    fn numbers(self, rows: u64) -> String {
        match self {
            Self::Sqlite => format!(
                "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) \
                 SELECT n FROM s) AS s"
            ),
            Self::Postgres => format!("generate_series(1, {rows}) AS s(n)"),
            Self::MariaDb => format!("(SELECT seq AS n FROM seq_1_to_{rows}) AS s"),
        }
    }

    fn fill(self, rows: u64) -> [String; 3] {
        let numbers = self.numbers(rows);
        let (text, div) = match self {
            Self::MariaDb => ("CONCAT('Please call back about order ', n)", "DIV"),
            _ => ("'Please call back about order ' || n", "/"),
        };
        [
            "CREATE TABLE work (id BIGINT PRIMARY KEY, subject VARCHAR(200) NOT NULL, \
             customer VARCHAR(40) NOT NULL, changed_ms BIGINT NOT NULL)"
                .to_owned(),
            format!(
                "INSERT INTO work SELECT n, {text}, 'C-4711', 1767268800000 + n {div} \
                 {ROWS_A_MOMENT} FROM {numbers}"
            ),
            "CREATE INDEX work_by_change ON work (changed_ms, id)".to_owned(),
        ]
    }
}

/// Of the capture point.
pub(crate) fn settings() -> Value {
    json!({ "table": "work", "key": ["id"], "watermark": "changed_ms", "watermark_type": "millis" })
}

/// Reads the table page by page with one driver.
macro_rules! bare {
    ($pool:expr, $sql:expr, $page:expr, $limit:expr) => {{
        let (mut at, mut id, mut n, begun) = (0_i64, 0_i64, 0, Instant::now());
        loop {
            let rows = sqlx::query($sql).bind(at).bind(id).fetch_all($pool).await?;
            for row in &rows {
                (id, at) = (row.try_get(0)?, row.try_get(3)?);
                let (subject, customer): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
                let record = json!({
                    "id": id, "subject": subject, "customer": customer, "changed_ms": at,
                });
                std::hint::black_box(serde_json::to_vec(&record)?);
            }
            n += rows.len() as u64;
            if rows.len() as u64 != $page || begun.elapsed() > $limit {
                break Pace { n, took: begun.elapsed() };
            }
        }
    }};
}

impl Table {
    /// Starts the server and fills the table; `None` where the server is not installed.
    pub(crate) async fn fill(kind: Kind, rows: u64) -> Result<Option<Self>> {
        let sql = kind.fill(rows).map(|sql| sqlx::raw_sql(AssertSqlSafe(sql)));
        Ok(match kind {
            Kind::Sqlite => {
                let folder = tempfile::Builder::new().prefix("gantry-bench-").tempdir()?;
                let path = folder.path().join("work.db");
                let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
                let pool = SqlitePool::connect_with(options).await?;
                for sql in sql {
                    sql.execute(&pool).await?;
                }
                // The plug-in's process runs as another user, and SQLite writes beside its file.
                fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
                Some(Self::Sqlite(pool, folder))
            }
            Kind::Postgres => {
                let Some((server, pool)) = Postgres::start().await? else { return Ok(None) };
                for sql in sql {
                    sql.execute(&pool).await?;
                }
                sqlx::raw_sql("ANALYZE work").execute(&pool).await?;
                Some(Self::Postgres(pool, server))
            }
            Kind::MariaDb => {
                let Some((server, pool)) = MariaDb::start().await? else { return Ok(None) };
                for sql in sql {
                    sql.execute(&pool).await?;
                }
                server.add_user(&pool, "bench", "bench").await?;
                Some(Self::MariaDb(pool, server))
            }
        })
    }

    /// Of the source.
    pub(crate) fn config(&self) -> Value {
        match self {
            Self::Sqlite(_, folder) => {
                json!({ "engine": "sqlite", "path": folder.path().join("work.db") })
            }
            Self::Postgres(_, server) => json!({
                "engine": "postgres", "host": "127.0.0.1", "port": server.port,
                "database": "postgres", "user": "postgres",
            }),
            Self::MariaDb(_, server) => json!({
                "engine": "mysql", "host": "127.0.0.1", "port": server.port, "database": "work",
                "user": "bench", "password": "bench",
            }),
        }
    }

    /// The driver alone, with the pages and columns of the connector, each row written as JSON.
    pub(crate) async fn read_bare(&self, page: u64, limit: Duration) -> Result<Pace> {
        let sql = |first: &str, second: &str| {
            AssertSqlSafe(format!(
                "SELECT id, subject, customer, changed_ms FROM work WHERE changed_ms >= {first} \
                 AND (changed_ms, id) > ({first}, {second}) ORDER BY changed_ms, id LIMIT {page}"
            ))
        };
        Ok(match self {
            Self::Sqlite(pool, _) => bare!(pool, sql("?1", "?2"), page, limit),
            Self::Postgres(pool, _) => bare!(pool, sql("$1", "$2"), page, limit),
            Self::MariaDb(pool, _) => {
                let sql = || {
                    AssertSqlSafe(format!(
                        "SELECT w.id, w.subject, w.customer, w.changed_ms FROM work w, \
                         (SELECT ? AS at, ? AS id) p WHERE w.changed_ms >= p.at AND \
                         (w.changed_ms, w.id) > (p.at, p.id) ORDER BY w.changed_ms, w.id \
                         LIMIT {page}"
                    ))
                };
                bare!(pool, sql(), page, limit)
            }
        })
    }
}
