//! `database` on real servers: PostgreSQL and MariaDB.

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use gantry_tests::built;
use gantry_tests::connector::{self, Case, Setup, SourceSystem};
use gantry_tests::peers::mariadb::MariaDb;
use gantry_tests::postgres::Postgres;
use gantry_tests::proxy::Proxy;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;

/// The table of the work, and the ledger of what was written back. `n_done` counts how often.
const TABLES: &str = "DROP TABLE IF EXISTS work, ledger;
    CREATE TABLE work (id VARCHAR(40) PRIMARY KEY, subject TEXT NOT NULL, state TEXT NOT NULL,
        changed_ms BIGINT NOT NULL, n_done BIGINT NOT NULL DEFAULT 0);
    CREATE TABLE ledger (idempotency_key VARCHAR(200) PRIMARY KEY);";
/// The user whom the hub signs in as.
const USER: &str = "gantry";
const PASSWORD: &str = "a-password-that-nobody-prints";
const SHARED_CLOCK: &str =
    "bounds are taken from the database's own clock, which this machine shares with the hub";

/// A private server with the table.
struct Database {
    server: Server,
    proxy: Proxy,
    n_records: usize,
}

enum Server {
    Postgres(Postgres, PgPool),
    MariaDb(MariaDb, MySqlPool),
}

#[tokio::test]
async fn postgres_keeps_all_promises() -> Result<()> {
    let Some((server, pool)) = Postgres::start().await? else {
        eprintln!("SKIPPED: PostgreSQL is not installed");
        return Ok(());
    };
    server.add_user(&pool, USER, PASSWORD).await?;
    prove(server.port, Server::Postgres(server, pool)).await
}

#[tokio::test]
async fn mariadb_keeps_all_promises() -> Result<()> {
    let Some((server, pool)) = MariaDb::start().await? else {
        eprintln!("SKIPPED: MariaDB is not installed");
        return Ok(());
    };
    server.add_user(&pool, USER, PASSWORD).await?;
    prove(server.port, Server::MariaDb(server, pool)).await
}

async fn prove(port: u16, server: Server) -> Result<()> {
    let proxy = Proxy::start(([127, 0, 0, 1], port).into()).await?;
    connector::prove(&mut Database { server, proxy, n_records: 0 }).await
}

impl Database {
    async fn run(&self, sql: String) -> Result<()> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match &self.server {
            Server::Postgres(_, pool) => sql.execute(pool).await.map(drop)?,
            Server::MariaDb(_, pool) => sql.execute(pool).await.map(drop)?,
        }
        Ok(())
    }
}

#[async_trait]
impl SourceSystem for Database {
    fn name(&self) -> String {
        match &self.server {
            Server::Postgres(..) => "database, PostgreSQL".to_owned(),
            Server::MariaDb(..) => "database, MariaDB".to_owned(),
        }
    }

    fn waived(&self) -> Vec<(Case, &'static str)> {
        vec![
            (Case::ClockSkew, SHARED_CLOCK),
            (Case::Throttled, "a database does not ask to wait"),
            (Case::TokenExpiry, "a password does not end"),
            (Case::CursorExpired, "a place in the table is a time and a key, which never expire"),
        ]
    }

    fn config(&self, setup: &Setup) -> String {
        let (engine, database) = match &self.server {
            Server::Postgres(..) => ("postgres", "postgres"),
            Server::MariaDb(..) => ("mysql", "work"),
        };
        built::case("connectors/database.toml")
            .expect("invariant: the case lies beside the tests")
            .replace("@ENGINE@", engine)
            .replace("@DATABASE@", database)
            .replace("@PORT@", &self.proxy.port().to_string())
            .replace("@BATCH@", &setup.batch.to_string())
    }

    fn env(&self, setup: &Setup) -> Vec<(String, String)> {
        let password = if setup.right_password { PASSWORD } else { "a-password-that-is-wrong" };
        vec![("DATABASE_PASSWORD".to_owned(), password.to_owned())]
    }

    fn proxy(&self) -> Option<&Proxy> {
        Some(&self.proxy)
    }

    async fn clear(&mut self) -> Result<()> {
        self.run(TABLES.to_owned()).await
    }

    async fn put(&mut self, texts: &[String]) -> Result<Vec<String>> {
        // Past the lag at once, and in the order of their making.
        self.put_at(texts, Timestamp::now() - Duration::from_millis(1)).await
    }

    async fn put_at(&mut self, texts: &[String], moment: Timestamp) -> Result<Vec<String>> {
        let (mut rows, mut ids) = (Vec::new(), Vec::new());
        for text in texts {
            self.n_records += 1;
            let id = format!("R-{:06}", self.n_records);
            rows.push(format!("('{id}', '{text}', 'new', {})", moment.as_millisecond()));
            ids.push(id);
        }
        let rows = rows.join(", ");
        self.run(format!("INSERT INTO work (id, subject, state, changed_ms) VALUES {rows}"))
            .await?;
        Ok(ids)
    }

    async fn change(&mut self, id: &str, name: &str) -> Result<()> {
        let now = Timestamp::now().as_millisecond();
        let set = format!("subject = '{name}', changed_ms = {now}");
        self.run(format!("UPDATE work SET {set} WHERE id = '{id}'")).await
    }

    async fn completions(&mut self, id: &str) -> Result<usize> {
        let query = AssertSqlSafe(format!("SELECT n_done FROM work WHERE id = '{id}'"));
        let (n_done,): (i64,) = match &self.server {
            Server::Postgres(_, pool) => sqlx::query_as(query).fetch_one(pool).await?,
            Server::MariaDb(_, pool) => sqlx::query_as(query).fetch_one(pool).await?,
        };
        Ok(usize::try_from(n_done)?)
    }

    fn completion_holds(&self, _: &str) -> Vec<u8> {
        // Only what is written back runs in a transaction; with its answer lost, nobody knows
        // whether it was committed.
        b"COMMIT".to_vec()
    }

    async fn delete(&mut self, id: &str) -> Result<()> {
        self.run(format!("DELETE FROM work WHERE id = '{id}'")).await
    }

    async fn withdraw(&mut self, id: &str) -> Result<()> {
        let now = Timestamp::now().as_millisecond();
        let set = format!("state = 'withdrawn', changed_ms = {now}");
        self.run(format!("UPDATE work SET {set} WHERE id = '{id}'")).await
    }

    async fn add_unknown_field(&mut self) -> Result<()> {
        self.run("ALTER TABLE work ADD COLUMN mood JSON DEFAULT '{\"a\": [1]}'".to_owned()).await
    }

    fn remedy(&self) -> &'static str {
        "check `user` and `password`"
    }

    async fn kill_and_start(&mut self) -> Result<()> {
        match &mut self.server {
            Server::Postgres(server, _) => server.kill_and_start().await,
            Server::MariaDb(server, _) => server.kill_and_start().await,
        }
    }
}
