//! A MariaDB server of its own, in a temporary folder, reached through a socket in that folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlPool};

use super::server::{is_root, run, unprivileged};

const SERVER: &str = "/usr/sbin/mariadbd";
const PASSWORD: &str = "correct horse";

/// Runs as long as the value lives.
pub(super) struct MariaDb {
    process: Child,
    folder: tempfile::TempDir,
}

impl MariaDb {
    /// None, said loudly, where MariaDB is not installed.
    pub(super) async fn start() -> Option<Self> {
        if !Path::new(SERVER).exists() {
            println!("SKIPPED: MariaDB is not installed, nothing of it is tested");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            run(Command::new("chown").arg("nobody:nogroup").arg(folder.path()));
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        let datadir = format!("--datadir={}", at("data"));
        run(unprivileged(Path::new("/usr/bin/mariadb-install-db"))
            .current_dir(folder.path())
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(&datadir));
        let log = std::fs::File::create(at("log")).unwrap();
        let process = unprivileged(Path::new(SERVER))
            .current_dir(folder.path())
            .args(["--no-defaults", "--skip-networking", "--innodb-buffer-pool-size=32M"])
            .args([&datadir, &format!("--socket={}", at("socket"))])
            .arg(format!("--pid-file={}", at("pid")))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { process, folder };
        let root = server.root("mysql");
        let begun = std::time::Instant::now();
        let mut connection = loop {
            match root.connect().await {
                Ok(connection) => break connection,
                Err(error) => assert!(begun.elapsed().as_secs() < 60, "it does not start: {error}"),
            }
            tokio::task::yield_now().await;
        };
        let user = format!("CREATE USER owner@localhost IDENTIFIED BY '{PASSWORD}'");
        connection.execute(AssertSqlSafe(user)).await.unwrap();
        connection.execute("GRANT ALL ON *.* TO owner@localhost").await.unwrap();
        connection.close().await.unwrap();
        Some(server)
    }

    /// Makes a database; gives what the operator would write to reach it.
    pub(super) async fn create_database(&self, name: &str) -> Value {
        let mut connection = self.root("mysql").connect().await.unwrap();
        let create = AssertSqlSafe(format!("CREATE DATABASE `{name}`"));
        connection.execute(create).await.unwrap();
        connection.close().await.unwrap();
        json!({
            "engine": "mysql",
            "host": self.socket(),
            "database": name,
            "user": "owner",
            "password": PASSWORD,
            "request_timeout": "5s",
        })
    }

    /// The owner writes names between double quotes, as in standard SQL.
    pub(super) async fn pool(&self, name: &str) -> MySqlPool {
        let pool = MySqlPoolOptions::new().after_connect(|connection, _| {
            Box::pin(async move {
                connection
                    .execute("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
                    .await
                    .map(drop)
            })
        });
        pool.connect_with(self.root(name)).await.unwrap()
    }

    fn root(&self, database: &str) -> MySqlConnectOptions {
        MySqlConnectOptions::new().socket(self.socket()).username("root").database(database)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
