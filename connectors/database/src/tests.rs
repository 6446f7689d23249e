//! One suite on all engines: real SQLite files, a private PostgreSQL and a private MariaDB where
//! they are installed.

mod callback;
mod capture;
mod lookup;
mod mariadb;
mod property;
mod server;
mod statement;
mod trouble;

use std::future::Future;

use gantry_plugin_api::{
    Batch, Capture, Context, Error, Outcome, Plugin, Position, Record, RecordOutcome,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Executor, MySqlPool, PgPool, SqlitePool};

use crate::Database;
use crate::config::{CaptureSettings, Config, Engine};
use crate::tests::mariadb::MariaDb;
use crate::tests::server::Server;

/// The database of one case, as the connector and as its owner see it.
struct World {
    database: Database,
    config: Value,
    owner: Owner,
    _folder: Option<tempfile::TempDir>,
}

enum Owner {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    Mysql(MySqlPool),
}

/// Runs each case on each engine.
macro_rules! suite {
    ($($module:ident: $($case:ident),+;)+) => {
        mod on_sqlite {
            $($(
                #[test]
                fn $case() {
                    super::block_on(async {
                        super::$module::$case(&super::World::sqlite().await).await;
                    });
                }
            )+)+
        }

        #[test]
        fn on_postgres() {
            let Some(server) = Server::start() else { return };
            $($(
                block_on(async {
                    println!("case {}::{}", stringify!($module), stringify!($case));
                    let world = World::postgres(&server, stringify!($case)).await;
                    $module::$case(&world).await;
                    world.close().await;
                });
            )+)+
        }

        #[test]
        fn on_mariadb() {
            let Some(server) = block_on(MariaDb::start()) else { return };
            $($(
                block_on(async {
                    println!("case {}::{}", stringify!($module), stringify!($case));
                    let world = World::mariadb(&server, stringify!($case)).await;
                    $module::$case(&world).await;
                    world.close().await;
                });
            )+)+
        }
    };
}

suite! {
    capture: pages_of_equal_watermarks_lose_nothing, late_commits_are_found,
        unchanged_rows_are_not_given_again, a_change_without_a_new_watermark_is_given,
        young_rows_wait, a_restart_goes_on_at_the_position, a_retried_record_comes_again,
        rows_have_types, odd_names_are_quoted, several_keys_and_a_query, every_watermark_type,
        a_first_load_is_bounded, known_rows_do_not_hold_up_new_ones, a_foreign_position_is_refused;
    lookup: answers_come_in_order, parameters_fit_the_columns, several_rows, only_queries_are_run;
    callback: a_row_is_changed, a_ledger_makes_it_once, no_row_is_gone,
        constraints_are_refused, a_lock_is_transient;
    trouble: missing_names_are_told, wrong_watermark_types_are_told, checks_find_nothing_wrong,
        statements_that_do_not_fit_are_told;
    property: every_version_is_seen_and_the_last_one_last;
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

impl World {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crm.db");
        let options = SqliteConnectOptions::new().filename(&path);
        let owner = SqlitePool::connect_with(options.create_if_missing(true)).await.unwrap();
        let config = json!({ "engine": "sqlite", "path": path, "request_timeout": "5s" });
        Self { database: open(&config), config, owner: Owner::Sqlite(owner), _folder: Some(folder) }
    }

    async fn postgres(server: &Server, name: &str) -> Self {
        let config = server.create_database(name).await;
        Self {
            database: open(&config),
            owner: Owner::Postgres(server.pool(name).await),
            config,
            _folder: None,
        }
    }

    async fn mariadb(server: &MariaDb, name: &str) -> Self {
        let config = server.create_database(name).await;
        Self {
            database: open(&config),
            owner: Owner::Mysql(server.pool(name).await),
            config,
            _folder: None,
        }
    }

    async fn close(&self) {
        self.database.stop(&cx()).await;
        match &self.owner {
            Owner::Sqlite(_) => {}
            Owner::Postgres(pool) => pool.close().await,
            Owner::Mysql(pool) => pool.close().await,
        }
    }

    fn engine(&self) -> Engine {
        match self.owner {
            Owner::Sqlite(_) => Engine::Sqlite,
            Owner::Postgres(_) => Engine::Postgres,
            Owner::Mysql(_) => Engine::Mysql,
        }
    }

    fn is_postgres(&self) -> bool {
        self.engine() == Engine::Postgres
    }

    /// Runs SQL as the owner; `{moment}`, `{bytes}` and `{key}` stand for the engine's types.
    async fn run(&self, sql: &str) {
        let (moment, bytes, key) = match self.engine() {
            Engine::Sqlite => ("TIMESTAMP", "BLOB", "TEXT"),
            Engine::Postgres => ("timestamptz", "bytea", "TEXT"),
            Engine::Mysql => ("DATETIME(6)", "BLOB", "VARCHAR(100)"),
        };
        let sql = sql.replace("{moment}", moment).replace("{bytes}", bytes).replace("{key}", key);
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match &self.owner {
            Owner::Sqlite(pool) => pool.execute(sql).await.map(drop).unwrap(),
            Owner::Postgres(pool) => pool.execute(sql).await.map(drop).unwrap(),
            Owner::Mysql(pool) => pool.execute(sql).await.map(drop).unwrap(),
        }
    }

    /// The first column of the first row, a text.
    async fn text(&self, sql: &str) -> String {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.owner {
            Owner::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
            Owner::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
            Owner::Mysql(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
        }
    }
}

/// Plays the hub for one capture point.
struct Hub<'a> {
    database: &'a Database,
    cx: Context,
    settings: CaptureSettings,
    position: Option<Position>,
}

impl<'a> Hub<'a> {
    fn new(database: &'a Database, settings_json: Value) -> Self {
        // Other settings are another capture point.
        let cx = Context::standalone(&settings_json.to_string(), 0);
        let settings: CaptureSettings = settings(settings_json);
        assert_eq!(<Database as Capture>::validate_settings(&settings), []);
        Self { database, cx, settings, position: None }
    }

    async fn poll(&self, limit: usize) -> Batch {
        let from = self.position.as_ref();
        let batch = self.database.poll(&self.settings, &self.cx, from, limit).await.unwrap();
        assert!(batch.records.len() <= limit);
        batch
    }

    /// Settles the first records of a batch and has the others given again.
    async fn settle(&mut self, batch: &Batch, n_settled: usize) {
        let outcome = |(at, record): (usize, &Record)| {
            let outcome = if at < n_settled { Outcome::Accepted } else { Outcome::Retry };
            RecordOutcome::of(record, outcome, None)
        };
        let outcomes: Vec<_> = batch.records.iter().enumerate().map(outcome).collect();
        let done = self.database.acknowledge(&self.settings, &self.cx, &outcomes);
        done.await.unwrap();
        if n_settled >= batch.records.len() {
            let before = self.position.take();
            self.position = batch.position_after.clone().or(before);
        } else if n_settled > 0 {
            self.position.clone_from(&batch.records[n_settled - 1].position);
        }
    }

    /// Polls and settles until the source has no more.
    async fn catch_up(&mut self, limit: usize) -> Vec<Record> {
        let mut records = Vec::new();
        for _ in 0..1_000 {
            let batch = self.poll(limit).await;
            self.settle(&batch, batch.records.len()).await;
            records.extend(batch.records);
            if !batch.more {
                return records;
            }
        }
        panic!("the source never comes to an end");
    }
}

/// A field of each record, as text.
fn field(records: &[Record], name: &str) -> Vec<String> {
    let read = |record: &Record| {
        let row: Value = serde_json::from_slice(&record.payload).unwrap();
        crate::value::text(&row[name])
    };
    records.iter().map(read).collect()
}

fn open(config: &Value) -> Database {
    let config: Config = settings(config.clone());
    assert_eq!(Database::validate(&config), []);
    Database::create(config, &cx()).unwrap()
}

fn cx() -> Context {
    Context::standalone("crm", 0)
}

fn settings<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

/// An error with its causes, as a log shows it.
fn chain(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
