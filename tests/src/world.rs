//! A hub on a free port in a folder of its own, and what tests ask of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gantry_demo::events::Events;
use gantry_demo::hub::{Hub, Options};
use reqwest::Method;
use serde_json::{Value, json};

use crate::built;
use crate::place::Place;

/// What a test waits for has to happen within this time.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);
/// How often something is asked that sends no events by itself.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running hub and its folder. Dropping it ends both.
#[derive(Debug)]
pub struct World {
    /// The hub.
    pub hub: Hub,
    /// Its folder.
    pub place: Place,
    web: reqwest::Client,
    env: Vec<(String, String)>,
    n_probes: AtomicU32,
}

/// A request, as anybody could send it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Under `/api/v1`, unless it begins with `//`, which stands for the root.
    pub path: &'a str,
    /// GET, POST, …
    pub method: Method,
    /// The bearer token; none for strangers.
    pub token: Option<&'a str>,
    /// Name and value.
    pub headers: Vec<(&'a str, String)>,
    /// The bytes, whatever they are.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, if there is one.
    pub retry_after: Option<String>,
    /// The body.
    pub text: String,
}

impl World {
    /// Starts a hub on the place, with these environment variables, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not get ready.
    pub async fn start(place: Place, env: &[(&str, &str)]) -> Result<Self> {
        let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self::open(place, env).await
    }

    async fn open(place: Place, env: Vec<(String, String)>) -> Result<Self> {
        let options = Options {
            gantry: built::gantry(),
            plugins: place.path("plugins"),
            config: place.path("gantry.toml"),
            listen: "127.0.0.1:0".into(),
            env: env.clone(),
        };
        let hub = Hub::start(options).await?;
        let web = reqwest::Client::builder().timeout(WITHIN).build()?;
        Ok(Self { hub, place, web, env, n_probes: AtomicU32::new(0) })
    }

    /// Kills the hub (SIGKILL) and starts another one in its place.
    ///
    /// # Errors
    /// If that one does not get ready.
    pub async fn kill_and_start(self) -> Result<Self> {
        let Self { hub, place, env, .. } = self;
        hub.kill().await?;
        Self::open(place, env).await
    }

    /// Kills the hub (SIGKILL) and starts another one in its place when something else is done.
    ///
    /// # Errors
    /// If that fails, or the hub does not get ready.
    pub async fn kill_and_start_after(
        self,
        meanwhile: impl Future<Output = Result<()>>,
    ) -> Result<Self> {
        let Self { hub, place, env, .. } = self;
        hub.kill().await?;
        meanwhile.await?;
        Self::open(place, env).await
    }

    /// Stops the hub as an operator would, and checks that the journal gives the stored state.
    ///
    /// # Errors
    /// If it does not stop, or the journal gives another state.
    pub async fn stop_and_verify(self) -> Result<()> {
        let Self { hub, place, .. } = self;
        hub.stop().await?;
        let verified = place.gantry(&["verify", "--json"]).await?;
        ensure!(verified.code == 0, "the journal does not give the stored state: {verified:?}");
        Ok(())
    }

    /// The administrator's request.
    pub fn request<'a>(&'a self, method: Method, path: &'a str) -> Request<'a> {
        let token = Some(self.hub.admin.token.as_str());
        Request { path, method, token, headers: Vec::new(), body: Vec::new() }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// If no answer comes.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer> {
        let Request { path, method, token, headers, body } = request;
        let base = &self.hub.admin.base;
        let url = match path.strip_prefix("//") {
            Some(path) => format!("{base}/{path}"),
            None => format!("{base}/api/v1{path}"),
        };
        let mut request = self.web.request(method.clone(), url).body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.with_context(|| format!("{method} {path}"))?;
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer { status: answer.status().as_u16(), retry_after, text: answer.text().await? })
    }

    /// POST of JSON, by the administrator.
    ///
    /// # Errors
    /// If no answer comes.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::POST, path).json().body(body.to_string())).await
    }

    /// The hub's page about a code has something to say.
    ///
    /// # Errors
    /// If there is none.
    pub async fn must_explain(&self, code: &str) -> Result<()> {
        let path = format!("//docs/errors/{code}");
        let page = self.send(self.request(Method::GET, &path)).await?;
        ensure!(page.status == 200 && page.text.contains(code), "no page about {code}");
        Ok(())
    }

    /// Waits for a committed event.
    ///
    /// # Errors
    /// If it does not come in time.
    pub async fn event(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let found = async {
            let mut events = Events::after(&self.hub.admin, "0").await?;
            loop {
                let event = events.next().await?;
                if wanted(&event) {
                    return anyhow::Ok(event);
                }
            }
        };
        tokio::time::timeout(WITHIN, found).await.with_context(|| self.tail("no such event"))?
    }

    /// Waits until an item of a capture point is queued, and gives it.
    ///
    /// # Errors
    /// If that does not happen in time.
    pub async fn queued(&self, capture_point: &str, external_id: &str) -> Result<Value> {
        let found = async {
            let mut events = Events::after(&self.hub.admin, "0").await?;
            loop {
                let event = events.next().await?;
                if event["event"] != "queued" {
                    continue;
                }
                let id = event["item"].as_str().context("an event without item")?;
                let item = self.hub.admin.get(&format!("/items/{id}")).await?;
                if item["capture_point"] == capture_point && item["external_id"] == external_id {
                    return anyhow::Ok(item);
                }
            }
        };
        let waited = tokio::time::timeout(WITHIN, found).await;
        waited
            .with_context(|| self.tail(&format!("{capture_point}/{external_id} is not queued")))?
    }

    /// Asks until the answer is as wanted. Only for what sends no events.
    ///
    /// # Errors
    /// If it never is.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let asked = async {
            loop {
                look.tick().await;
                let answer = self.hub.admin.get(path).await?;
                if wanted(&answer) {
                    return anyhow::Ok(answer);
                }
            }
        };
        let waited = tokio::time::timeout(WITHIN, asked).await;
        waited.with_context(|| self.tail(&format!("GET {path} never gives what is wanted")))?
    }

    /// Asks until there is such a thing, and gives it.
    ///
    /// # Errors
    /// If there never is.
    pub async fn until_found(&self, path: &str) -> Result<Value> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let asked = async {
            loop {
                look.tick().await;
                let answer = self.send(self.request(Method::GET, path)).await?;
                match answer.status {
                    404 => {}
                    200 => return answer.json(),
                    _ => bail!("GET {path} is answered with {}", answer.text),
                }
            }
        };
        let waited = tokio::time::timeout(WITHIN, asked).await;
        waited.with_context(|| self.tail(&format!("GET {path} never finds anything")))?
    }

    /// The open dead letters of a capture point or callback, once there are `n`. The command line
    /// must list the same.
    ///
    /// # Errors
    /// If there are more, or fewer for too long.
    pub async fn letters(&self, origin: &str, n: usize) -> Result<Vec<Value>> {
        let path = format!("/dead-letters?limit=500&origin={origin}");
        let list = |page: &Value| page["dead_letters"].as_array().cloned().unwrap_or_default();
        let page = self.until(&path, |page| list(page).len() >= n).await?;
        ensure!(list(&page).len() == n, "more than {n} dead letters of {origin}: {page}");
        let list_all = ["dlq", "list", "--origin", origin, "--limit", "500", "--json"];
        let ran = self.place.gantry(&list_all).await?;
        ensure!(ran.json()? == page, "gantry dlq list shows something else than {page}");
        Ok(list(&page))
    }

    /// Whatever else is wrong: a good record is still taken, classified and queued.
    ///
    /// # Errors
    /// If it is not.
    pub async fn goes_on(&self) -> Result<()> {
        let id = format!("probe-{}", self.n_probes.fetch_add(1, Ordering::Relaxed));
        let answer = self.post("/capture/orders", &json!({ "id": id })).await?;
        ensure!(answer.status == 201, "a good record is answered with {}", answer.text);
        self.queued("orders", &id).await?;
        Ok(())
    }

    fn tail(&self, what: &str) -> String {
        format!("{what}:\n{}", self.hub.log_tail())
    }
}

impl<'a> Request<'a> {
    /// Says that the body is JSON.
    #[must_use]
    pub fn json(self) -> Self {
        self.header("content-type", "application/json")
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sent by somebody else.
    #[must_use]
    pub fn by(mut self, token: Option<&'a str>) -> Self {
        self.token = token;
        self
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("reading {:?}", self.text))
    }

    /// Checks that it is a problem with this status and code whose detail says this.
    ///
    /// # Errors
    /// If it is not.
    pub fn must_be_problem(&self, status: u16, code: &str, says: &str) -> Result<()> {
        let problem = self.json()?;
        let same = self.status == status && problem["status"] == status && problem["code"] == code;
        ensure!(same, "expected {status} {code}, got {} {}", self.status, self.text);
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains(says), "{detail:?} does not say {says:?}");
        let traced = problem["trace_id"].as_str().is_some_and(|id| id.len() == 32);
        ensure!(traced, "no trace id in {}", self.text);
        Ok(())
    }
}
