//! A private PostgreSQL server in a temporary folder, on a free port, for the length of a test.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tempfile::TempDir;

/// How long the server may take to accept connections.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// The unprivileged user that the server runs as where the tests run as root.
const NOBODY: u32 = 65534;

/// A running server. Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    server: Child,
    /// Its port on 127.0.0.1; the user is `postgres`, without a password.
    pub port: u16,
    programs: PathBuf,
    folder: TempDir,
}

impl Postgres {
    /// Starts a server; `None` where PostgreSQL is not installed.
    ///
    /// # Errors
    /// If it is installed and does not start.
    pub async fn start() -> Result<Option<(Self, PgPool)>> {
        let Some(programs) = programs() else { return Ok(None) };
        let folder = tempfile::Builder::new().prefix("gantry-pg-").tempdir()?;
        let data = folder.path().join("data");
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        }
        let initialised = unprivileged(&programs.join("initdb"))
            .args(["--auth", "trust", "--username", "postgres", "--no-sync", "--pgdata"])
            .arg(&data)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .status()?;
        ensure!(initialised.success(), "initdb ended with {initialised}");
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = spawn(&programs, folder.path(), port)?;
        let server = Self { server, port, programs, folder };
        let pool = server.connect().await?;
        Ok(Some((server, pool)))
    }

    /// Ends it at once, as a power failure would, and starts it again on its data and port.
    ///
    /// # Errors
    /// If it does not start again.
    pub async fn kill_and_start(&mut self) -> Result<()> {
        self.quit();
        self.server = spawn(&self.programs, self.folder.path(), self.port)?;
        self.connect().await?.close().await;
        Ok(())
    }

    /// Makes a user who has to know this password; `postgres` comes in as before.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn add_user(&self, pool: &PgPool, user: &str, password: &str) -> Result<()> {
        let rules =
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(self.folder.path().join("data/pg_hba.conf"), rules)?;
        let make = format!(
            "CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{password}'; SELECT pg_reload_conf();"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(pool).await?;
        Ok(())
    }

    /// Connects; the pool itself waits until the server takes connections.
    async fn connect(&self) -> Result<PgPool> {
        let options =
            PgConnectOptions::new().host("127.0.0.1").port(self.port).username("postgres");
        let connect = async {
            loop {
                let options = options.clone().database("postgres");
                match PgPoolOptions::new().max_connections(4).connect_with(options).await {
                    Ok(pool) => return pool,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(READY_WITHIN, connect).await.context("postgres does not answer")
    }
}

impl Postgres {
    fn quit(&mut self) {
        // SIGQUIT to the process itself: an immediate stop, which also ends its children.
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.quit();
    }
}

/// Starts the server on the data in the folder.
fn spawn(programs: &Path, folder: &Path, port: u16) -> Result<Child> {
    let log = fs::File::options().create(true).append(true).open(folder.join("log"))?;
    unprivileged(&programs.join("postgres"))
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-k"])
        .arg(folder)
        .current_dir(folder)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting postgres")
}

/// The folder of the newest installed server's programs.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<_> = Path::new("/usr/lib/postgresql")
        .read_dir()
        .ok()?
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop()
}

/// PostgreSQL refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let user = NOBODY.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]).arg(program);
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
