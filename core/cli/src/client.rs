//! The running hub, through its API.

use anyhow::{Context, Result, bail, ensure};
use gantry_server::place::Place;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::Global;
use crate::tap::Stream;

/// A hub, and who asks it.
pub(crate) struct Hub {
    url: String,
    token: String,
    web: Client,
}

/// The hub that the options name, or the one that runs on the config's store.
///
/// `None` if no hub runs there.
pub(crate) fn find(global: &Global) -> Result<Option<Hub>> {
    let web = Client::new();
    if let (Some(url), Some(token)) = (&global.url, &global.token) {
        return Ok(Some(Hub { url: url.clone(), token: token.clone(), web }));
    }
    let place = Place::of(&global.config)?;
    let Some(running) = place.running()? else {
        if global.url.is_some() {
            bail!("--url wants --token too: no hub runs here that could lend its own");
        }
        return Ok(None);
    };
    let url = global.url.clone().unwrap_or(running.url);
    let token = global.token.clone().unwrap_or(running.token);
    Ok(Some(Hub { url, token, web }))
}

/// As [`find`], where a running hub is needed.
pub(crate) fn must_find(global: &Global) -> Result<Hub> {
    find(global)?.with_context(|| {
        format!(
            "no hub runs on {}: start it with `gantry run --config {0}`",
            global.config.display()
        )
    })
}

impl Hub {
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.send(Method::GET, path, None).await
    }

    /// POST, with JSON as the body if there is one.
    pub(crate) async fn post(&self, path: &str, body: Option<Vec<u8>>) -> Result<Value> {
        self.send(Method::POST, path, body).await
    }

    /// PUT, with JSON as the body. What the hub says against this body is its answer; `None` if
    /// it took it.
    pub(crate) async fn put(&self, path: &str, body: Vec<u8>) -> Result<Option<String>> {
        let (status, text) = self.request(Method::PUT, path, Some(body)).await?;
        let about_body =
            [StatusCode::BAD_REQUEST, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY];
        if about_body.contains(&status) {
            return Ok(Some(said(status, &text)));
        }
        ensure!(status.is_success(), "{}", said(status, &text));
        Ok(None)
    }

    /// GET of a live stream.
    pub(crate) async fn follow(&self, path: &str) -> Result<Stream> {
        let response = self.answer(Method::GET, path, None).await?;
        let status = response.status();
        if !status.is_success() {
            bail!("{}", said(status, &response.text().await?));
        }
        Ok(Stream::new(response))
    }

    async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Value> {
        let (status, text) = self.request(method, path, body).await?;
        ensure!(status.is_success(), "{}", said(status, &text));
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).context("reading the hub's answer")
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(StatusCode, String)> {
        let answer = self.answer(method, path, body).await?;
        Ok((answer.status(), answer.text().await?))
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<reqwest::Response> {
        let url = format!("{}/api/v1{path}", self.url);
        let mut request = self.web.request(method, &url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        request.send().await.with_context(|| {
            format!("no answer from the hub at {}; if it does not run: `gantry run`", self.url)
        })
    }
}

/// A problem in the hub's words.
fn said(status: StatusCode, text: &str) -> String {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or(text);
    match problem["code"].as_str() {
        Some(code) => format!("{detail} ({code}, see docs/errors.md)"),
        None => format!("{status}: {detail}"),
    }
}

/// Part of a path: whatever it holds stays one part.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
