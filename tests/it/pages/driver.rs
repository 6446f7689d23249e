//! A browser of our own, headless, driven over the WebDriver protocol.
//!
//! Source: W3C WebDriver; the commands under `goog` and `se` are ChromeDriver's.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";
/// How long the driver and the browser may take to start, and any command to be answered.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// What a person waits for has to be on the page within this time.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
/// How often the profile of a killed browser is removed, until nothing is left of it.
const REMOVALS_MAX: u32 = 1000;
/// The name of an element's id in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How the browser says that an element is no longer in the page.
const STALE: &str = "stale element";

/// Looks before each frame whether the condition holds, and calls back once it does. It may throw
/// while the parts that it speaks of are not there yet.
const UNTIL: &str = r"
const [within, done] = arguments;
const end = performance.now() + within;
const holds = () => { try { return Boolean(CONDITION); } catch { return false; } };
const look = () => {
  if (holds()) done(true);
  else if (performance.now() > end) done(false);
  else requestAnimationFrame(look);
};
look();";

/// A running browser with one window. Dropping it kills it and removes its profile.
pub(super) struct Browser {
    /// Leads a process group of its own, to which the browser's processes belong.
    driver: Child,
    /// `http://127.0.0.1:port/session/id`
    session: String,
    web: reqwest::Client,
    profile: TempDir,
}

impl Browser {
    /// Starts a browser; `None` where Chromium or its driver is not installed.
    pub(super) async fn start() -> Result<Option<Self>> {
        if !(Path::new(CHROMIUM).exists() && Path::new(DRIVER).exists()) {
            return Ok(None);
        }
        let profile = tempfile::Builder::new().prefix("gantry-browser-").tempdir()?;
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("starting chromedriver")?;
        let port = tokio::time::timeout(ANSWER_WITHIN, port(&mut driver))
            .await
            .context("chromedriver does not get ready")??;
        let web = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let session = format!("http://127.0.0.1:{port}/session");
        let wishes = capabilities(profile.path());
        let mut browser = Self { driver, session, web, profile };
        let session = browser.post("", wishes).await.context("starting chromium")?;
        let id = session["sessionId"].as_str().context("a session without an id")?;
        browser.session = format!("{}/{id}", browser.session);
        Ok(Some(browser))
    }

    /// Ends the browser and waits until it has.
    pub(super) async fn close(mut self) -> Result<()> {
        self.send(self.web.delete(&self.session)).await?;
        self.driver.kill().await?;
        Ok(())
    }

    /// Goes to an address.
    pub(super) async fn open(&self, address: &str) -> Result<()> {
        self.post("/url", json!({ "url": address })).await?;
        Ok(())
    }

    /// The value of a JavaScript expression in the page.
    pub(super) async fn read(&self, expression: &str) -> Result<Value> {
        let script = format!("return {expression}");
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Waits until a condition, a JavaScript expression, holds in the page.
    pub(super) async fn until(&self, condition: &str) -> Result<()> {
        // Written into the script: the pages' policy lets nobody evaluate text.
        let script = UNTIL.replace("CONDITION", condition);
        let begun = Instant::now();
        while let Some(left) = SHOWN_WITHIN.checked_sub(begun.elapsed()) {
            let body = json!({ "script": script, "args": [left.as_millis() as u64] });
            match self.post("/execute/async", body).await {
                Ok(held) if held == true => return Ok(()),
                Err(error) if error.is::<reqwest::Error>() => {
                    return Err(error);
                }
                // Not yet; or the browser went to another page, and the script with it.
                Ok(_) | Err(_) => {}
            }
        }
        let page = self.read("location.href + '\\n' + document.body.innerText").await?;
        anyhow::bail!(
            "not within {SHOWN_WITHIN:?}: {condition}\nat {}",
            page.as_str().unwrap_or("")
        )
    }

    /// Clicks on what the selector names, where a person would.
    pub(super) async fn click(&self, selector: &str) -> Result<()> {
        self.to(selector, "click", json!({})).await
    }

    /// Types into a field, as it is.
    pub(super) async fn write(&self, selector: &str, text: &str) -> Result<()> {
        self.to(selector, "value", json!({ "text": text })).await
    }

    /// Does something to an element. A page that hears news draws itself anew: the element that
    /// was found is another one then, and nothing was done to it.
    async fn to(&self, selector: &str, command: &str, body: Value) -> Result<()> {
        let begun = Instant::now();
        loop {
            let element = self.find(selector).await?;
            match self.post(&format!("/element/{element}/{command}"), body.clone()).await {
                Err(error)
                    if format!("{error:#}").contains(STALE) && begun.elapsed() < SHOWN_WITHIN => {}
                done => return done.map(drop),
            }
        }
    }

    /// Presses one key, wherever the focus is.
    pub(super) async fn press(&self, key: char) -> Result<()> {
        let [down, up] = ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": [down, up] });
        self.post("/actions", json!({ "actions": [keyboard] })).await?;
        Ok(())
    }

    /// What the console has said since the last call: errors, refused loads, violated policies.
    pub(super) async fn console(&self) -> Result<Vec<String>> {
        let entries = self.post("/se/log", json!({ "type": "browser" })).await?;
        let entries = entries.as_array().context("a log that is no list")?;
        Ok(entries.iter().map(Value::to_string).collect())
    }

    /// Gives the page a size in CSS pixels and a colour scheme.
    pub(super) async fn look(&self, width: u32, height: u32, scheme: &str) -> Result<()> {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await?;
        let scheme = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [scheme] })).await
    }

    /// What is in the window, as a PNG in base64.
    pub(super) async fn picture(&self) -> Result<String> {
        let picture = self.send(self.web.get(format!("{}/screenshot", self.session))).await?;
        Ok(picture.as_str().context("no picture")?.to_owned())
    }

    async fn devtools(&self, command: &str, params: Value) -> Result<()> {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": params })).await?;
        Ok(())
    }

    async fn find(&self, selector: &str) -> Result<String> {
        let by = json!({ "using": "css selector", "value": selector });
        let found = self.post("/element", by).await?;
        Ok(found[ELEMENT].as_str().with_context(|| format!("no id of {selector}"))?.to_owned())
    }

    async fn post(&self, command: &str, body: Value) -> Result<Value> {
        let request = self.web.post(format!("{}{command}", self.session)).json(&body);
        self.send(request).await.with_context(|| format!("telling the browser {command} {body}"))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request.send().await?;
        let status = answer.status();
        let mut answer: Value = answer.json().await?;
        let message = answer["value"]["message"].as_str().unwrap_or_default();
        ensure!(status.is_success(), "{status}: {message}");
        Ok(answer["value"].take())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // After a failure; a browser that was closed has no processes left.
        if let Some(group) = self.driver.id() {
            let group = format!("-{group}");
            let _ = std::process::Command::new("kill").args(["-KILL", "--", &group]).status();
        }
        // A process that is just being killed may still have written.
        let _ = (0..REMOVALS_MAX).find(|_| fs::remove_dir_all(self.profile.path()).is_ok());
    }
}

/// The port that the driver says it has taken.
async fn port(driver: &mut Child) -> Result<u16> {
    let mut lines = BufReader::new(driver.stdout.take().context("no output")?).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return Ok(port.trim_end_matches('.').parse()?);
        }
    }
    anyhow::bail!("chromedriver ended at once")
}

/// A browser that keeps to itself: no first-run pages, no updates, no network of its own.
fn capabilities(profile: &Path) -> Value {
    let arguments = [
        "--headless".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-quic".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--lang=en-GB".to_owned(),
        format!("--user-data-dir={}", profile.display()),
    ];
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": { "binary": CHROMIUM, "args": arguments },
        "goog:loggingPrefs": { "browser": "INFO" },
        "timeouts": { "script": ANSWER_WITHIN.as_millis() as u64 },
    } } })
}
