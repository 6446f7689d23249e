//! The source system: the permit applications in a table, as a department's database has them.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};

/// The table; `endings` counts how often a case was ended.
const TABLE: &str = "CREATE TABLE cases (
    case_id TEXT PRIMARY KEY, channel TEXT NOT NULL, department TEXT NOT NULL,
    work_group TEXT, responsible TEXT, created_at TEXT NOT NULL, due_at TEXT NOT NULL,
    ended_at TEXT, ended_by TEXT, endings INTEGER NOT NULL DEFAULT 0,
    changed_ms BIGINT NOT NULL)";
/// Who gets what: department and channel decide process and skills.
const ROUTING: &str = include_str!("../../cases/permits/routing.csv");

/// The source, filled.
pub(super) enum Source {
    Sqlite { pool: SqlitePool, path: String, n_cases: usize },
    Postgres { pool: PgPool, port: u16, n_cases: usize },
}

/// One application.
struct Case {
    id: String,
    channel: String,
    department: String,
    group: String,
    responsible: String,
    created_at: Timestamp,
    due_at: Timestamp,
}

impl Source {
    pub(super) async fn sqlite(data: &Path, folder: &Path) -> Result<Self> {
        let path = folder.join("permits.db");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePool::connect_with(options).await?;
        sqlx::query(TABLE).execute(&pool).await?;
        let cases = read_cases(data)?;
        let mut transaction = pool.begin().await?;
        for case in &cases {
            sqlx::query(insert("?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"))
                .bind(&case.id)
                .bind(&case.channel)
                .bind(&case.department)
                .bind(&case.group)
                .bind(&case.responsible)
                .bind(case.created_at.to_string())
                .bind(case.due_at.to_string())
                .bind(case.created_at.as_millisecond())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        let path = path.display().to_string();
        Ok(Self::Sqlite { pool, path, n_cases: cases.len() })
    }

    pub(super) async fn postgres(data: &Path, pool: PgPool, port: u16) -> Result<Self> {
        sqlx::query(TABLE).execute(&pool).await?;
        let cases = read_cases(data)?;
        let mut transaction = pool.begin().await?;
        for case in &cases {
            sqlx::query(insert("$1, $2, $3, $4, $5, $6, $7, $8"))
                .bind(&case.id)
                .bind(&case.channel)
                .bind(&case.department)
                .bind(&case.group)
                .bind(&case.responsible)
                .bind(case.created_at.to_string())
                .bind(case.due_at.to_string())
                .bind(case.created_at.as_millisecond())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Self::Postgres { pool, port, n_cases: cases.len() })
    }

    pub(super) fn n_cases(&self) -> usize {
        match self {
            Self::Sqlite { n_cases, .. } | Self::Postgres { n_cases, .. } => *n_cases,
        }
    }

    /// Writes the hub's config for this source, with the rules from the routing table.
    pub(super) fn write_config(&self, folder: &Path) -> Result<std::path::PathBuf> {
        let (connection, now_ms) = match self {
            Self::Sqlite { path, .. } => (
                format!("engine = \"sqlite\", path = {path:?}"),
                "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            ),
            Self::Postgres { port, .. } => (
                format!(
                    "engine = \"postgres\", host = \"127.0.0.1\", port = {port}, \
                     database = \"postgres\", user = \"postgres\""
                ),
                "CAST(extract(epoch from now()) * 1000 AS BIGINT)",
            ),
        };
        let mut config = include_str!("../../cases/permits/gantry.toml")
            .replace("@CONNECTION@", &connection)
            .replace("@NOW_MS@", now_ms);
        config.push_str(&rules()?);
        let path = folder.join("gantry.toml");
        std::fs::write(&path, config)?;
        Ok(path)
    }

    /// Every case was ended exactly once, by somebody.
    pub(super) async fn check_all_ended_once(&self) -> Result<()> {
        const COUNT: &str = "SELECT count(*) FROM cases \
             WHERE endings = 1 AND ended_at IS NOT NULL AND ended_by IS NOT NULL";
        let (ended,): (i64,) = match self {
            Self::Sqlite { pool, .. } => sqlx::query_as(COUNT).fetch_one(pool).await?,
            Self::Postgres { pool, .. } => sqlx::query_as(COUNT).fetch_one(pool).await?,
        };
        ensure!(ended == self.n_cases() as i64, "the source shows {ended} cases ended once");
        Ok(())
    }
}

fn insert(places: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!(
        "INSERT INTO cases (case_id, channel, department, work_group, responsible, created_at, \
         due_at, changed_ms) VALUES ({places})"
    ))
}

/// Reads the cases and shifts all times so that the newest creation is now. Their ends are left
/// out: the hub is to bring them about.
fn read_cases(data: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let mut rows = csv::Reader::from_path(data.join("cases.csv"))?;
    for row in rows.records() {
        let row = row?;
        let field = |at: usize| row.get(at).map(str::to_owned).context("a short row");
        cases.push(Case {
            id: field(0)?,
            channel: field(1)?,
            department: field(2)?,
            group: field(3)?,
            responsible: field(4)?,
            created_at: field(5)?.parse()?,
            due_at: field(6)?.parse()?,
        });
    }
    let newest = cases.iter().map(|case| case.created_at).max().context("no cases")?;
    let shift = Timestamp::now().duration_since(newest);
    for case in &mut cases {
        case.created_at += shift;
        case.due_at += shift;
    }
    Ok(cases)
}

/// Segmentation rules and processes, from the table that a business user can read.
fn rules() -> Result<String> {
    let mut toml = String::new();
    let mut processes = std::collections::BTreeSet::new();
    for (number, row) in csv::Reader::from_reader(ROUTING.as_bytes()).records().enumerate() {
        let row = row?;
        let field = |at: usize| row.get(at).context("a short row");
        let (department, channel, process) = (field(0)?, field(1)?, field(2)?);
        let (skills, fallback) = (field(3)?, field(4)?);
        let channel = match channel {
            "*" => String::new(),
            channel => format!(" && item.channel == \"{channel}\""),
        };
        let _ = write!(
            toml,
            "\n[[segmentation]]\nid = \"row-{}\"\nlevel = \"global\"\n\
             when = 'item.office == \"{department}\"{channel}'\nprocess = \"{process}\"\n",
            number + 1
        );
        if processes.insert(process.to_owned()) {
            let _ = write!(
                toml,
                "\n[process.\"{process}\"]\npriority = \"permits\"\noffer_timeout = \"20s\"\n\
                 dispositions = [\"Processed\", \"Terminated\"]\ndisposition_required = true\n\
                 completion = {{ mode = \"done_then_confirm\", within = \"1m\" }}\n\
                 \n[process.\"{process}\".route]\nstages = [\n    \
                 {{ skills = '{skills}', for = \"50% sla\" }},\n    {{ skills = '{fallback}' }},\n]\n"
            );
        }
    }
    Ok(toml)
}
