//! An org of Salesforce, played by the stand-in of `tests/peers/salesforce`: it keeps its records
//! in a file, so it can be killed and started again, and does what a test tells it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

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
    port: u16,
    process: Process,
    web: reqwest::Client,
}

/// It ends when its input does, so also with the test.
#[derive(Debug)]
struct Process {
    child: Child,
    _input: ChildStdin,
    _output: Lines<BufReader<ChildStdout>>,
}

impl Org {
    /// Starts an empty org; `None` where Python is not installed.
    ///
    /// # Errors
    /// If it is and the org does not start.
    pub async fn start() -> Result<Option<Self>> {
        let found = std::process::Command::new("python3").arg("--version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("gantry-salesforce-").tempdir()?;
        let (process, port) = Process::start(folder.path(), 0).await?;
        let web = reqwest::Client::new();
        Ok(Some(Self { folder, port, process, web }))
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it at once, in whatever it is doing, and starts it again on its port and file.
    ///
    /// # Errors
    /// If it does not start again.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.process.child.kill().await.context("killing the org")?;
        (self.process, _) = Process::start(self.folder.path(), self.port).await?;
        Ok(())
    }

    /// Tells it what happens in it; the program says what it understands.
    ///
    /// # Errors
    /// If it does not.
    pub async fn tell(&self, what: &Value) -> Result<Value> {
        let url = format!("{}/_control", self.endpoint());
        let told = self.web.post(url).body(what.to_string()).send();
        let answer = told.await.with_context(|| format!("telling the org {what}"))?;
        ensure!(answer.status().is_success(), "the org does not understand {what}");
        Ok(serde_json::from_str(&answer.text().await?)?)
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
    async fn start(folder: &Path, port: u16) -> Result<(Self, u16)> {
        let program =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/salesforce/stand_in.py");
        let mut child = Command::new("python3")
            .arg(program)
            .args(["--client-secret", SECRET, "--port", &port.to_string(), "--data"])
            .arg(folder.join("org.db"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
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
        let (_, port) = endpoint.rsplit_once(':').context("an address without a port")?;
        Ok((Self { child, _input: input, _output: output }, port.parse()?))
    }
}
