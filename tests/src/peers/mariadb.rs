//! A private MariaDB server, on a free port of 127.0.0.1.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions, MySqlSslMode};
use tempfile::TempDir;

use super::process::{Process, free_port};

const SERVER: &str = "/usr/sbin/mariadbd";
/// How long the server may take to accept connections.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// The unprivileged user that the server runs as where the tests run as root.
const NOBODY: u32 = 65534;

/// A running server with a database `work`. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct MariaDb {
    process: Option<Process>,
    /// Its port; the user is `root`, without a password.
    pub port: u16,
    folder: TempDir,
}

impl MariaDb {
    /// Starts a server; `None` where MariaDB is not installed.
    ///
    /// # Errors
    /// If it is installed and does not start.
    pub async fn start() -> Result<Option<(Self, MySqlPool)>> {
        if !Path::new(SERVER).exists() {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("gantry-maria-").tempdir()?;
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        }
        let installed = unprivileged("/usr/bin/mariadb-install-db", folder.path())
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(datadir(folder.path()))
            .stdout(Stdio::null())
            .status()?;
        ensure!(installed.success(), "mariadb-install-db ended with {installed}");
        let mut server = Self { process: None, port: free_port()?, folder };
        server.process = Some(server.spawn()?);
        let pool = server.connect("mysql").await?;
        sqlx::raw_sql("CREATE DATABASE work").execute(&pool).await?;
        pool.close().await;
        let pool = server.connect("work").await?;
        Ok(Some((server, pool)))
    }

    /// Kills it at once, and starts it again on its data and port.
    ///
    /// # Errors
    /// If it does not start again.
    pub async fn kill_and_start(&mut self) -> Result<()> {
        self.process = None;
        self.process = Some(self.spawn()?);
        self.connect("work").await?.close().await;
        Ok(())
    }

    /// Makes a user who has to know this password and may do everything in `work`.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn add_user(&self, pool: &MySqlPool, user: &str, password: &str) -> Result<()> {
        let make = format!(
            "CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{password}'; \
             GRANT ALL ON work.* TO {user}@'127.0.0.1';"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(pool).await?;
        Ok(())
    }

    fn spawn(&self) -> Result<Process> {
        let folder = self.folder.path();
        let mut command = unprivileged(SERVER, folder);
        command
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M"])
            .arg(datadir(folder))
            .arg(format!("--port={}", self.port))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()));
        Process::start(&mut command, &folder.join("log"))
    }

    /// Connects, as soon as the server takes connections.
    async fn connect(&self, database: &str) -> Result<MySqlPool> {
        let options = MySqlConnectOptions::new()
            .host("127.0.0.1")
            .port(self.port)
            .username("root")
            .ssl_mode(MySqlSslMode::Disabled)
            .database(database);
        let connect = async {
            loop {
                let pool = MySqlPoolOptions::new().max_connections(4);
                match pool.connect_with(options.clone()).await {
                    Ok(pool) => return pool,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let connected = tokio::time::timeout(READY_WITHIN, connect).await;
        connected.with_context(|| format!("mariadbd does not answer:\n{}", log()))
    }
}

fn datadir(folder: &Path) -> String {
    let data: PathBuf = folder.join("data");
    format!("--datadir={}", data.display())
}

/// MariaDB refuses to run as root.
fn unprivileged(program: &str, folder: &Path) -> Command {
    let mut command = if is_root() {
        let user = NOBODY.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--", program]);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
