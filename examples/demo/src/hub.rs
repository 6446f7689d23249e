//! A hub as a child process, and its API as its users see it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long the hub may take to get ready.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// How long the system may take to end a process that was killed.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How long the hub may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// What a hub is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `gantry` binary.
    pub gantry: PathBuf,
    /// The folder with the plug-ins.
    pub plugins: PathBuf,
    /// The config file; the log lies beside it.
    pub config: PathBuf,
    /// Address of the web server; port 0 takes a free one.
    pub listen: String,
    /// More environment variables.
    pub env: Vec<(String, String)>,
}

/// A running hub. Dropping it kills the process, and waits until it is gone: what it has in its
/// folder can then be removed.
#[derive(Debug)]
pub struct Hub {
    child: Child,
    options: Options,
    /// The administrator.
    pub admin: Session,
}

/// Somebody who talks to the hub's API.
#[derive(Clone, Debug)]
pub struct Session {
    /// `http://host:port`
    pub base: String,
    /// The bearer token.
    pub token: String,
    web: reqwest::Client,
}

impl Hub {
    /// Starts a hub and waits until it says that it is ready.
    pub async fn start(options: Options) -> Result<Self> {
        let log = fs::OpenOptions::new().create(true).append(true).open(log_path(&options))?;
        let mut child = Command::new(&options.gantry)
            .args(["run", "--json", "--config"])
            .arg(&options.config)
            .args(["--listen", &options.listen, "--plugins"])
            .arg(&options.plugins)
            .envs(options.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", options.gantry.display()))?;
        let stdout = child.stdout.take().context("the hub has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = tokio::time::timeout(READY_WITHIN, lines.next_line()).await;
        let ready = ready.with_context(|| format!("not ready:\n{}", log_tail(&options)))??;
        let ready =
            ready.with_context(|| format!("the hub ended at once:\n{}", log_tail(&options)))?;
        let ready: Value = serde_json::from_str(&ready).context("reading the hub's first line")?;
        let run_file = ready["run_file"].as_str().context("the hub names no run file")?;
        let running = fs::read(run_file).context("reading the run file")?;
        let running: Value = serde_json::from_slice(&running).context("reading the run file")?;
        let part = |key: &str| running[key].as_str().unwrap_or_default().to_owned();
        let web = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let admin = Session { base: part("url"), token: part("token"), web };
        Ok(Self { child, options, admin })
    }

    /// Signs in as an agent, with a token that the administrator issues.
    pub async fn sign_in(&self, agent: &str) -> Result<Session> {
        let token = self.cli(&["token", "--role", "agent", "--agent", agent]).await?;
        Ok(Session { token: token.trim().to_owned(), ..self.admin.clone() })
    }

    /// Runs another `gantry` command on the same config and returns what it printed.
    pub async fn cli(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.options.gantry)
            .args(arguments)
            .arg("--config")
            .arg(&self.options.config)
            .envs(self.options.env.iter().map(|(name, value)| (name, value)))
            .output()
            .await?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "gantry {arguments:?}: {error}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The number of its process; none once it has ended.
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// The last lines of the hub's log.
    pub fn log_tail(&self) -> String {
        log_tail(&self.options)
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Kills the process at once (SIGKILL) and waits until it is gone.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("killing the hub")
    }

    /// Asks the hub to stop as an operator would, and waits until it has.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(id) = self.child.id() {
            let kill = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
            ensure!(kill.success(), "cannot signal the hub");
        }
        let status = self.child.wait().await?;
        ensure!(status.success(), "the hub ended with {status}:\n{}", self.log_tail());
        Ok(())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is well.
        let _ = self.child.start_kill();
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < GONE_WITHIN {
            std::thread::yield_now();
        }
    }
}

impl Session {
    /// GET, as JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.send(self.web.get(self.url(path)), path).await
    }

    /// PUT, as JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.web.put(self.url(path)).json(body), path).await
    }

    /// POST, as JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.web.post(self.url(path)).json(body), path).await
    }

    /// Posts bytes as they are, with headers of their own and the session's token, and returns
    /// status and text.
    pub async fn raw(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: impl Into<reqwest::Body>,
    ) -> Result<(u16, String)> {
        let mut request = self.web.post(self.url(path)).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.body(body).send().await.with_context(|| format!("POST {path}"))?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Posts a webhook as its sender would: no token, headers of its own.
    pub async fn webhook(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: String,
    ) -> Result<(u16, String)> {
        let mut request = self.web.post(self.url(path)).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.body(body).send().await.with_context(|| format!("POST {path}"))?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Opens the stream of the hub's events after an event, named as `COMMIT-INDEX`; `0` = from the
    /// first one.
    pub async fn events(&self, after: &str) -> Result<reqwest::Response> {
        // A client of its own without a time-out: the stream stays open.
        let web = reqwest::Client::new();
        let path = format!("/events?after={after}");
        let answer = web.get(self.url(&path)).bearer_auth(&self.token).send().await?;
        ensure!(answer.status().is_success(), "GET {path}: {}", answer.status());
        Ok(answer)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder, path: &str) -> Result<Value> {
        let answer =
            request.bearer_auth(&self.token).send().await.with_context(|| path.to_owned())?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status}: {text}");
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{path}: reading {text}"))
    }
}

fn log_path(options: &Options) -> PathBuf {
    options.config.parent().unwrap_or(Path::new(".")).join("hub.log")
}

fn log_tail(options: &Options) -> String {
    let log = fs::read_to_string(log_path(options)).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
