//! Requests to the other system, and what its answers mean to the hub.

use std::time::Duration;

use gantry_plugin_api::Error;
use reqwest::{RequestBuilder, Response, StatusCode};
//@if capture lookup
use serde::de::DeserializeOwned;
//@end

use crate::config::Config;

/// The other system.
pub(crate) struct Client {
    http: reqwest::Client,
    config: Config,
}

impl Client {
    /// Connects to nothing yet.
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        let http = reqwest::Client::builder().timeout(config.timeout.into()).build();
        let http =
            http.map_err(|error| Error::permanent("cannot make a client").because(&error))?;
        Ok(Self { http, config })
    }

    /// Whether it answers, and lets us in.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        send(self.authorized(self.http.get(self.url("/")))).await.map(|_| ())
    }
    //@if capture lookup

    /// What is there; none if nothing is.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<T>, Error> {
        let request = self.http.get(self.url(path)).query(query);
        let answer = send(self.authorized(request)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let read = answer.json().await.map(Some);
        read.map_err(|error| Error::transient(format!("cannot read `{path}`")).because(&error))
    }
    //@end
    //@if callback

    /// Posts once; `false` if it was there already, which the other system sees by the key.
    pub(crate) async fn post(
        &self,
        path: &str,
        key: &str,
        body: &serde_json::Value,
    ) -> Result<bool, Error> {
        let request = self.http.post(self.url(path)).header("idempotency-key", key).json(body);
        match send(self.authorized(request)).await {
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => {
                Err(Error::permanent(format!("there is no `{path}`")))
            }
            Ok(answer) => Ok(answer.status() != StatusCode::CONFLICT),
            Err(error) => Err(error),
        }
    }
    //@end

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.endpoint.trim_end_matches('/'))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.config.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }
}

/// Sends a request. Never tried again here: the class of the error tells the hub what to do.
async fn send(request: RequestBuilder) -> Result<Response, Error> {
    let answer = request.send().await;
    let answer = answer
        .map_err(|error| Error::transient("the other system does not answer").because(&error))?;
    let status = answer.status();
    let message = format!("the other system answers {status}");
    match status.as_u16() {
        404 | 409 => Ok(answer),
        401 | 403 => Err(Error::auth_denied(message)),
        410 => Err(Error::gone(message)),
        429 => Err(Error::throttled(message, retry_after(&answer))),
        400..=499 => Err(Error::permanent(message)),
        500..=599 => Err(Error::transient(message)),
        _ => Ok(answer),
    }
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
