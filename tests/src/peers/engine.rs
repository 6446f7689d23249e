//! A process engine: Camunda 7 or Operaton with its REST interface, on a database in a private
//! folder, so that one that was killed comes back with what it had.
//!
//! `cargo xtask test` builds the servers from `tests/peers`, with libraries from Maven Central.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// It has to take requests within this time; a busy machine needs half a minute.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// It has to answer within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked for what it does not tell by itself.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a test waits for has to happen within this time.
const WITHIN: Duration = Duration::from_mins(1);
/// The test's own user, where the engine asks for one.
const ADMIN: &str = "admin";
const ADMIN_PASSWORD: &str = "a-password-of-the-test";

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Camunda 7.
    Camunda7,
    /// Its fork.
    Operaton,
}

/// A running engine. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Engine {
    folder: TempDir,
    arguments: Vec<String>,
    server: Option<Child>,
    /// Its port on 127.0.0.1, the same after each start.
    pub port: u16,
    web: reqwest::Client,
    /// Whether it asks for user and password.
    signs_in: bool,
}

impl Product {
    fn name(self) -> &'static str {
        match self {
            Self::Camunda7 => "camunda7",
            Self::Operaton => "operaton",
        }
    }

    /// What its own properties begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Camunda7 => "camunda",
            Self::Operaton => "operaton",
        }
    }

    /// The server that was built; `None`, said loudly, where it could not be had.
    fn server(self) -> Option<PathBuf> {
        let name = self.name();
        let peers = std::env::var_os("GANTRY_TEST_PEERS").map(PathBuf::from);
        let server = peers.map(|peers| peers.join(name).join("peer.jar"));
        let server = server.filter(|server| server.exists());
        if server.is_none() {
            eprintln!(
                "SKIPPED: NOTHING OF {name} IS TESTED: its server was not built (`cargo xtask \
                 test` builds it, where Java is installed and Maven Central can be reached)"
            );
        }
        server
    }
}

impl Engine {
    /// Starts an engine that lets everybody in; `None` where it could not be had.
    ///
    /// # Errors
    /// If it was built and does not start.
    pub async fn start(product: Product) -> Result<Option<Self>> {
        Self::start_with(product, None).await
    }

    /// Starts an engine that asks for this user and password (HTTP Basic).
    ///
    /// # Errors
    /// If it was built and does not start.
    pub async fn start_with(product: Product, basic: Option<(&str, &str)>) -> Result<Option<Self>> {
        let Some(server) = product.server() else { return Ok(None) };
        let folder = tempfile::Builder::new().prefix("gantry-engine-").tempdir()?;
        let database = folder.path().join("data").display().to_string();
        let mut arguments = vec![
            // Started often and not for long: no time to optimise.
            "-XX:TieredStopAtLevel=1".to_owned(),
            "-XX:+UseSerialGC".to_owned(),
            "-Xmx512m".to_owned(),
            "-jar".to_owned(),
            server.display().to_string(),
            "--server.address=127.0.0.1".to_owned(),
            "--spring.main.banner-mode=off".to_owned(),
            "--logging.threshold.console=OFF".to_owned(),
            "--logging.file.name=log".to_owned(),
            // Each transaction is written before it is answered for.
            format!("--spring.datasource.url=jdbc:h2:file:{database};WRITE_DELAY=0"),
            "--spring.datasource.username=sa".to_owned(),
        ];
        if basic.is_some() {
            let admin = format!("--{}.bpm.admin-user", product.prefix());
            arguments.push("--peer.basic=true".to_owned());
            arguments.push(format!("{admin}.id={ADMIN}"));
            arguments.push(format!("{admin}.password={ADMIN_PASSWORD}"));
        }
        let web = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let signs_in = basic.is_some();
        let mut engine = Self { folder, arguments, server: None, port: 0, web, signs_in };
        engine.restart().await?;
        if let Some((user, password)) = basic {
            let profile = json!({ "id": user, "firstName": user, "lastName": user });
            let create = json!({ "profile": profile, "credentials": { "password": password } });
            engine.post("user/create", &create).await?;
        }
        Ok(Some(engine))
    }

    /// Starts it again after [`Engine::kill`], and waits until it takes requests.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill().await?;
        let mut command = Command::new("java");
        command.args(&self.arguments).arg(format!("--server.port={}", self.port));
        let errors = File::create(self.folder.path().join("errors"))?;
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(errors);
        command.as_std_mut().process_group(0);
        let mut server = command.spawn().context("starting java")?;
        let stdout = server.stdout.take().context("java has no output")?;
        self.server = Some(server);
        let mut lines = BufReader::new(stdout).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(port) = line.strip_prefix("ready ") {
                    return Ok(port.parse::<u16>()?);
                }
            }
            bail!("it ended")
        };
        let ready = tokio::time::timeout(READY_WITHIN, ready).await.context("not ready in time");
        self.port = ready.and_then(|ready| ready).with_context(|| self.log_tail())?;
        Ok(())
    }

    /// Kills it at once (SIGKILL).
    ///
    /// # Errors
    /// If it does not end.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            kill_group(&server);
            server.wait().await.context("waiting for the end of the engine")?;
        }
        Ok(())
    }

    /// What the operator writes to reach it.
    pub fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    /// Deploys a process.
    ///
    /// # Errors
    /// If it is not taken.
    pub async fn deploy(&self, name: &str, bpmn: &str) -> Result<()> {
        let form = format!(
            "--part\r\ncontent-disposition: form-data; name=\"process\"; \
             filename=\"{name}.bpmn\"\r\n\r\n{bpmn}\r\n--part--\r\n"
        );
        let request = self.request(Method::POST, "deployment/create").body(form);
        let request = request.header("content-type", "multipart/form-data; boundary=part");
        Self::answer(request).await.map(drop)
    }

    /// Starts an instance of a process; gives its id.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn begin(&self, process: &str, key: &str, variables: &Value) -> Result<String> {
        let path = format!("process-definition/key/{process}/start");
        let body = json!({ "businessKey": key, "variables": variables });
        let instance = self.post(&path, &body).await?;
        Ok(instance["id"].as_str().context("an instance without id")?.to_owned())
    }

    /// GET, as JSON.
    ///
    /// # Errors
    /// If the engine refuses.
    pub async fn get(&self, path: &str) -> Result<Value> {
        Self::answer(self.request(Method::GET, path)).await
    }

    /// POST of JSON, answered with JSON or nothing.
    ///
    /// # Errors
    /// If the engine refuses.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        Self::answer(self.request(Method::POST, path).json(body)).await
    }

    /// PUT of JSON, answered with JSON or nothing.
    ///
    /// # Errors
    /// If the engine refuses.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        Self::answer(self.request(Method::PUT, path).json(body)).await
    }

    /// Any other request without a body.
    ///
    /// # Errors
    /// If the engine refuses.
    pub async fn send(&self, method: Method, path: &str) -> Result<Value> {
        Self::answer(self.request(method, path)).await
    }

    /// Asks until the answer is as wanted: the engine tells nothing by itself.
    ///
    /// # Errors
    /// If it never is.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut last = Value::Null;
        let asked = async {
            loop {
                look.tick().await;
                last = self.get(path).await?;
                if wanted(&last) {
                    return anyhow::Ok(());
                }
            }
        };
        let waited = tokio::time::timeout(WITHIN, asked).await;
        waited.with_context(|| format!("{path} never gives what is wanted: {last}"))??;
        Ok(last)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.web.request(method, format!("{}/{path}", self.endpoint()));
        if self.signs_in { request.basic_auth(ADMIN, Some(ADMIN_PASSWORD)) } else { request }
    }

    async fn answer(request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request.send().await?;
        let (status, url) = (answer.status(), answer.url().path().to_owned());
        let text = answer.text().await?;
        ensure!(status.is_success(), "{url}: {status}: {text}");
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    fn log_tail(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name));
        let log = read("log").unwrap_or_default() + &read("errors").unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// The address of an engine, or of a proxy before it, on this machine.
pub fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}/engine-rest")
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            kill_group(server);
        }
    }
}

fn kill_group(server: &Child) {
    let group = server.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
}
