//! A PostgreSQL server of its own, in a temporary folder, reached through a socket in that folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgPool};

pub(super) const USER: &str = "owner";
pub(super) const PASSWORD: &str = "correct horse";

/// Runs as long as the value lives.
pub(super) struct Server {
    programs: PathBuf,
    folder: tempfile::TempDir,
}

impl Server {
    /// None, said loudly, where PostgreSQL is not installed.
    pub(super) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("SKIPPED: PostgreSQL is not installed, nothing of it is tested");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let server = Self { programs, folder };
        std::fs::write(server.path("password"), PASSWORD).unwrap();
        if is_root() {
            let mut chown = Command::new("chown");
            chown.args(["-R", "nobody:nogroup"]).arg(server.folder.path());
            run(&mut chown);
        }
        run(server
            .program("initdb")
            .args(["-A", "scram-sha-256", "-U", USER, "--no-sync", "-E", "UTF8", "--locale", "C"])
            .arg("--pwfile")
            .arg(server.path("password"))
            .arg("-D")
            .arg(server.path("data")));
        let socket = server.folder.path().display();
        let options = format!("-c listen_addresses= -c fsync=off -k {socket}");
        run(server.control(&["-w", "-o", &options]).arg("start").arg("-l").arg(server.path("log")));
        Some(server)
    }

    /// Makes a database; gives what the operator would write to reach it.
    pub(super) async fn create_database(&self, name: &str) -> Value {
        let mut connection = self.options("postgres").connect().await.unwrap();
        let create = AssertSqlSafe(format!("CREATE DATABASE \"{name}\""));
        connection.execute(create).await.unwrap();
        connection.close().await.unwrap();
        json!({
            "engine": "postgres",
            "host": self.folder.path(),
            "database": name,
            "user": USER,
            "password": PASSWORD,
            "request_timeout": "5s",
        })
    }

    pub(super) async fn pool(&self, name: &str) -> PgPool {
        PgPool::connect_with(self.options(name)).await.unwrap()
    }

    fn options(&self, name: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(self.folder.path().to_str().unwrap())
            .username(USER)
            .password(PASSWORD)
            .database(name)
    }

    fn control(&self, arguments: &[&str]) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg("-D").arg(self.path("data")).args(arguments);
        command
    }

    /// PostgreSQL refuses to run as root.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = unprivileged(&program);
        command.current_dir(self.folder.path());
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        run(&mut self.control(&["-w", "-m", "immediate", "stop"]));
    }
}

fn programs() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let installed = installed.flatten().map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let complete =
        |folder: &PathBuf| folder.join("initdb").exists() && folder.join("pg_ctl").exists();
    installed.chain(std::env::split_paths(&path)).find(complete)
}

/// A program that must not run as root.
pub(super) fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]).arg(program);
    command
}

pub(super) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0)
}

// Output goes to files: a server that keeps a pipe open would keep us waiting.
pub(super) fn run(command: &mut Command) {
    let (out, err) = (tempfile::tempfile().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let status = command.stdout(out).stderr(err.reopen().unwrap()).status();
    let said = std::fs::read_to_string(err.path()).unwrap();
    assert!(status.unwrap().success(), "{command:?}: {said}");
}
