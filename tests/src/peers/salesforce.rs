//! An org of Salesforce, played by the stand-in of `tests/peers/salesforce`: it keeps its records
//! in a file, so it can be killed and started again, and does what a test tells it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// How long the stand-in may take to listen.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// What a test waits for has to happen within this time.
const WITHIN: Duration = Duration::from_secs(30);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The app's secret in the stand-in.
pub const SECRET: &str = "an-open-secret";

/// A running org. Dropping it ends it.
#[derive(Debug)]
pub struct Org {
    folder: TempDir,
    options: Vec<String>,
    endpoint: String,
    process: Process,
    /// How it is set, for it forgets that when it is killed.
    set: Map<String, Value>,
}

/// It ends when its input does, so also with the test.
#[derive(Debug)]
struct Process {
    child: Child,
    pipes: Mutex<Pipes>,
}

#[derive(Debug)]
struct Pipes {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Org {
    /// Starts an empty org; `None` where Python is not installed.
    ///
    /// # Errors
    /// If it is and the org does not start.
    pub async fn start() -> Result<Option<Self>> {
        Self::start_with(&[]).await
    }

    /// As [`Org::start`], with options of the program.
    ///
    /// # Errors
    /// As [`Org::start`].
    pub async fn start_with(options: &[String]) -> Result<Option<Self>> {
        let found = std::process::Command::new("python3").arg("--version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("gantry-salesforce-").tempdir()?;
        let options = options.to_vec();
        let (process, endpoint) = Process::start(folder.path(), 0, &options).await?;
        Ok(Some(Self { folder, options, endpoint, process, set: Map::new() }))
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its port on 127.0.0.1.
    ///
    /// # Panics
    /// Never: it has one.
    pub fn port(&self) -> u16 {
        let port = self.endpoint.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.expect("invariant: the program prints an address with a port")
    }

    /// Kills it at once, in whatever it is doing, and starts it again on its port and file.
    ///
    /// # Errors
    /// If it does not start again.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.process.child.kill().await.context("killing the org")?;
        let (folder, port) = (self.folder.path(), self.port());
        (self.process, _) = Process::start(folder, port, &self.options).await?;
        self.tell(&json!({ "set": self.set })).await?;
        Ok(())
    }

    /// Sets how it behaves from now on: `skew_ms` of its clock, `n_page` records in a page, `usage`
    /// of the day's calls (used, most), `token_life` in requests, `noise` in answers.
    ///
    /// # Errors
    /// As [`Org::tell`].
    pub async fn set(&mut self, name: &str, value: Value) -> Result<()> {
        self.set.insert(name.to_owned(), value);
        self.tell(&json!({ "set": self.set })).await?;
        Ok(())
    }

    /// Tells it what happens in it; the program says what it understands.
    ///
    /// # Errors
    /// If it does not.
    pub async fn tell(&self, what: &Value) -> Result<Value> {
        let mut pipes = self.process.pipes.lock().await;
        pipes.input.write_all(format!("{what}\n").as_bytes()).await?;
        let answer = tokio::time::timeout(WITHIN, pipes.output.next_line()).await;
        let answer = answer.with_context(|| format!("the org says nothing to {what}"))??;
        let answer = answer.with_context(|| format!("the org does not understand {what}"))?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Makes records and gives their ids.
    ///
    /// # Errors
    /// As [`Org::tell`].
    pub async fn insert(&self, object: &str, records: &[Value]) -> Result<Vec<String>> {
        let made = self.tell(&json!({ "insert": object, "records": records })).await?;
        Ok(serde_json::from_value(made["ids"].clone())?)
    }

    /// All records of an object, deleted ones too, by the order of their ids.
    ///
    /// # Errors
    /// As [`Org::tell`].
    pub async fn all(&self, object: &str) -> Result<Vec<Value>> {
        let mut found = self.tell(&json!({ "all": object })).await?;
        Ok(serde_json::from_value(found["records"].take())?)
    }

    /// Looks at a record until it is as wanted: the org sends no events.
    ///
    /// # Errors
    /// If it never is.
    pub async fn until(
        &self,
        object: &str,
        id: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut last = Value::Null;
        let asked = async {
            loop {
                look.tick().await;
                let all = self.all(object).await?;
                let found = all.into_iter().find(|record| record["Id"] == id);
                last = found.with_context(|| format!("the org has no {object} {id}"))?;
                if wanted(&last) {
                    return anyhow::Ok(());
                }
            }
        };
        let waited = tokio::time::timeout(WITHIN, asked).await;
        waited.with_context(|| format!("{object} {id} is never as wanted: {last}"))??;
        Ok(last)
    }

    /// What it was asked: when (seconds of a clock of its own), method and path, and whether it was
    /// made to fail.
    ///
    /// # Errors
    /// As [`Org::tell`].
    pub async fn asked(&self) -> Result<Vec<(f64, String, String, bool)>> {
        let mut told = self.tell(&json!({ "log": true })).await?;
        Ok(serde_json::from_value(told["log"].take())?)
    }
}

impl Process {
    async fn start(folder: &Path, port: u16, options: &[String]) -> Result<(Self, String)> {
        let mut child = Command::new("python3")
            .arg(file("stand_in.py"))
            .args(["--client-secret", SECRET, "--port", &port.to_string(), "--data"])
            .arg(folder.join("org.db"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting the org")?;
        let input = child.stdin.take().context("the org has no input")?;
        let output = child.stdout.take().context("the org has no output")?;
        let mut output = BufReader::new(output).lines();
        let ready = tokio::time::timeout(READY_WITHIN, output.next_line()).await;
        let ready = ready.context("the org does not get ready")??.context("the org ended")?;
        let ready: Value = serde_json::from_str(&ready)?;
        let endpoint = ready["endpoint"].as_str().context("the org does not say where it is")?;
        let pipes = Mutex::new(Pipes { input, output });
        Ok((Self { child, pipes }, endpoint.to_owned()))
    }
}

/// A file of the stand-in.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/salesforce").join(name)
}
