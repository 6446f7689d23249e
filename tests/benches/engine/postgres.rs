//! What the usual way costs: a priority column, written anew for every waiting row by a job.

use std::time::Instant;

use anyhow::Result;
use gantry_tests::postgres::Postgres;
use serde::Serialize;
use sqlx::{Executor, PgPool, Row};

use crate::world::{SCHEMAS, START, points};

/// Passes over all rows; the best one counts.
const PASSES: i64 = 3;

/// The job on PostgreSQL, over as many rows as items wait.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Job {
    pub(crate) rows: u64,
    /// Time of one pass.
    pub(crate) update_ms: f64,
    /// What one pass writes to the log.
    pub(crate) wal_bytes: i64,
}

/// Runs the job; `None` where PostgreSQL is not installed.
pub(crate) async fn measure(rows: u64) -> Result<Option<Job>> {
    let Some((_server, pool)) = Postgres::start().await? else { return Ok(None) };
    eprintln!("  PostgreSQL: {rows} rows …");
    fill(&pool, rows).await?;
    let mut best: Option<Job> = None;
    for pass in 1..=PASSES {
        let job = update(&pool, rows, START.0 + pass * 60_000).await?;
        best = Some(best.filter(|best| best.update_ms < job.update_ms).unwrap_or(job));
    }
    Ok(best)
}

/// Rows like the waiting items, and an index that finds the most urgent.
async fn fill(pool: &PgPool, rows: u64) -> Result<()> {
    pool.execute(
        "CREATE TABLE schema (id int PRIMARY KEY, low float8, knee float8, high float8);
         CREATE TABLE item (id bigint PRIMARY KEY, schema int NOT NULL, anchor_at bigint NOT NULL,
                            due_at bigint NOT NULL, priority float8 NOT NULL DEFAULT 0)",
    )
    .await?;
    for schema in 0..SCHEMAS {
        let [low, knee, _, high] = points(schema, false);
        sqlx::query("INSERT INTO schema VALUES ($1, $2, $3, $4)")
            .bind(schema as i32)
            .bind(low.1 as f64)
            .bind(knee.1 as f64)
            .bind(high.1 as f64)
            .execute(pool)
            .await?;
    }
    sqlx::query(
        "INSERT INTO item SELECT n, n % 200, $2 - n % 864000000, $2 + n * 7919 % 2592000000
         FROM generate_series(1, $1) n",
    )
    .bind(rows as i64)
    .bind(START.0)
    .execute(pool)
    .await?;
    pool.execute("CREATE INDEX by_priority ON item (priority DESC)").await?;
    pool.execute("VACUUM ANALYZE item").await?;
    Ok(())
}

async fn update(pool: &PgPool, rows: u64, now: i64) -> Result<Job> {
    let before: String = position(pool).await?;
    let begun = Instant::now();
    sqlx::query(
        "UPDATE item SET priority = CASE
           WHEN $1 >= due_at THEN high
           WHEN $1 - anchor_at < 0.4 * (due_at - anchor_at)
           THEN low + (knee - low) * ($1 - anchor_at) / (0.4 * (due_at - anchor_at))
           ELSE knee + (high - knee) * (($1 - anchor_at)::float8 / (due_at - anchor_at) - 0.4) / 0.6
         END
         FROM schema WHERE schema.id = item.schema",
    )
    .bind(now)
    .execute(pool)
    .await?;
    let update_ms = begun.elapsed().as_secs_f64() * 1e3;
    let written = sqlx::query("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1::pg_lsn)::bigint");
    let wal_bytes = written.bind(before).fetch_one(pool).await?.get(0);
    Ok(Job { rows, update_ms, wal_bytes })
}

async fn position(pool: &PgPool) -> Result<String> {
    Ok(sqlx::query("SELECT pg_current_wal_lsn()::text").fetch_one(pool).await?.get(0))
}
