//! What is said to the org: queries, composite requests, and how many calls it has left.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use gantry_plugin_api::{Context, Error, Secret};
use gantry_plugin_http::{Auth, Grant, Method, OAuth, Options, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::{self, Config};
use crate::failure::{self, Fault, REST, failed};

/// The vendor's bounds on the records in one page.
const N_PAGE: std::ops::RangeInclusive<usize> = 200..=2_000;

/// The org.
#[derive(Debug)]
pub(crate) struct Client {
    http: gantry_plugin_http::Client,
    /// The path of the API, from the server's root.
    root: String,
    share: u64,
    usage: Mutex<Option<Usage>>,
}

/// How many calls of the day were used, as last told.
#[derive(Clone, Copy, Debug)]
struct Usage {
    used: u64,
    max: u64,
    told: Instant,
}

/// A page of records.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    pub(crate) records: Vec<Map<String, Value>>,
    /// Where the next one is.
    pub(crate) next_records_url: Option<String>,
    /// The server's time.
    #[serde(skip)]
    pub(crate) now_ms: Option<i64>,
}

/// A version of the API that the org offers.
#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) label: String,
}

/// An object that the app's user may see.
#[derive(Debug, Deserialize)]
pub(crate) struct Object {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) label: String,
}

#[derive(Deserialize)]
struct Objects {
    sobjects: Vec<Object>,
}

/// What an object is made of.
#[derive(Debug, Deserialize)]
pub(crate) struct Described {
    pub(crate) fields: Vec<Field>,
}

/// A field of an object, as the app's user may use it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) createable: bool,
    pub(crate) updateable: bool,
    pub(crate) external_id: bool,
}

/// One part of a composite request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part {
    method: &'static str,
    url: String,
    reference_id: String,
    body: Map<String, Value>,
}

/// What became of one part.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartAnswer {
    pub(crate) http_status_code: u16,
    #[serde(default)]
    pub(crate) body: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Composite {
    composite_response: Vec<PartAnswer>,
}

impl Client {
    pub(crate) fn new(config: Config, cx: &Context) -> Result<Self, Error> {
        let root = format!("/services/data/v{}", config.api_version);
        let missing = |key: &str| Error::config(key, "is missing for this `auth`");
        let secret = |key, value: Option<Secret<String>>| value.ok_or_else(|| missing(key));
        let grant = match config.auth {
            config::Auth::ClientCredentials => Grant::ClientCredentials {
                client_id: config.client_id,
                client_secret: secret("client_secret", config.client_secret)?,
            },
            config::Auth::JwtBearer => Grant::JwtBearer {
                issuer: config.client_id,
                subject: config.user.ok_or_else(|| missing("user"))?,
                audience: config.audience,
                private_key: secret("private_key", config.private_key)?,
            },
        };
        let oauth = OAuth {
            token_url: "/services/oauth2/token".to_owned(),
            grant,
            scope: None,
            base_field: Some("instance_url"),
        };
        let options = Options::new(config.endpoint, cx)
            .auth(Auth::OAuth(oauth))
            .timeout(config.request_timeout.get())
            .tls_ca(config.tls_ca);
        let http = gantry_plugin_http::Client::new(options)?;
        Ok(Self { http, root, share: config.api_share.into(), usage: Mutex::default() })
    }

    /// Signs in and looks whether the org has this version of the API.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let response = self.send(Request::get(format!("{}/", self.root))).await?;
        if response.status() == 404 {
            let message = "is not offered by the org";
            return Err(Error::config("api_version", message).because(&response.error()));
        }
        ok(response).map(|_| ())
    }

    /// Asks by SOQL for the first page of a look-up.
    ///
    /// # Errors
    /// Of class `config`, field `query`, if that is wrong.
    pub(crate) async fn query(&self, soql: &str) -> Result<Page, Error> {
        let path = format!("{}/query", self.root);
        self.page(Request::get(path).query("q", soql), 0, Some("query")).await
    }

    /// Asks by SOQL for the first page of a list; `all` finds deleted records too.
    ///
    /// # Errors
    /// Of class `config` if the query is wrong, with the setting of the capture at fault.
    pub(crate) async fn list(&self, soql: &str, all: bool, n_wanted: usize) -> Result<Page, Error> {
        let path = format!("{}/{}", self.root, if all { "queryAll" } else { "query" });
        self.page(Request::get(path).query("q", soql), n_wanted, None).await
    }

    /// The next page of a query.
    ///
    /// # Errors
    /// Of class `cursor_expired` if the server no longer keeps it.
    pub(crate) async fn next(&self, url: &str, n_wanted: usize) -> Result<Page, Error> {
        self.page(Request::get(url), n_wanted, None).await
    }

    async fn page(
        &self,
        request: Request,
        n_wanted: usize,
        setting: Option<&str>,
    ) -> Result<Page, Error> {
        let n = n_wanted.clamp(*N_PAGE.start(), *N_PAGE.end());
        let request = request.header("sforce-query-options", format!("batchSize={n}"));
        let response = self.send(request).await?;
        if !response.status().is_success() {
            let fault = Fault::of(&response);
            return Err(match fault.setting() {
                Some(own) => fault.refused_query(setting.unwrap_or(own)),
                None => failed(&response),
            });
        }
        let mut page: Page = response.json()?;
        page.now_ms = response.date_ms();
        Ok(page)
    }

    /// The versions of the API that the org offers, the oldest first.
    pub(crate) async fn versions(&self) -> Result<Vec<Version>, Error> {
        ok(self.send(Request::get("/services/data/")).await?)?.json()
    }

    /// The objects that the app's user may see.
    pub(crate) async fn objects(&self) -> Result<Vec<Object>, Error> {
        let response = self.send(Request::get(format!("{}/sobjects", self.root))).await?;
        let Objects { sobjects } = ok(response)?.json()?;
        Ok(sobjects)
    }

    /// Asks what an object is made of; none if the app's user knows no such object.
    pub(crate) async fn describe(&self, object: &str) -> Result<Option<Described>, Error> {
        let path = format!("{}/sobjects/{object}/describe", self.root);
        let response = self.send(Request::get(path)).await?;
        if response.status() == 404 {
            return Ok(None);
        }
        ok(response)?.json().map(Some)
    }

    /// A part that writes fields of a record.
    pub(crate) fn update(&self, object: &str, id: &str, body: Map<String, Value>) -> Part {
        let id = gantry_plugin_http::escape(id);
        let url = format!("{}/sobjects/{object}/{id}", self.root);
        Part { method: "PATCH", url, reference_id: String::new(), body }
    }

    /// A part that makes a record with this key, or writes the one that has it.
    pub(crate) fn upsert(
        &self,
        (object, field): (&str, &str),
        key: &str,
        body: Map<String, Value>,
    ) -> Part {
        let key = gantry_plugin_http::escape(key);
        let url = format!("{}/sobjects/{object}/{field}/{key}", self.root);
        Part { method: "PATCH", url, reference_id: String::new(), body }
    }

    /// Sends parts in one call; `all_or_none` makes them one transaction. As many answers as parts.
    pub(crate) async fn composite(
        &self,
        mut parts: Vec<Part>,
        all_or_none: bool,
        traceparent: Option<&str>,
    ) -> Result<Vec<PartAnswer>, Error> {
        for (n, part) in parts.iter_mut().enumerate() {
            part.reference_id = format!("part{n}");
        }
        let body = json!({"allOrNone": all_or_none, "compositeRequest": parts});
        let request = Request::post(format!("{}/composite", self.root)).json(&body)?;
        let response = ok(self.send(request.traceparent(traceparent)).await?)?;
        let Composite { composite_response } = response.json()?;
        if composite_response.len() != parts.len() {
            let (n, asked) = (composite_response.len(), parts.len());
            return Err(Error::transient(format!("{n} answers to {asked} parts of a request")));
        }
        Ok(composite_response)
    }

    /// Posts to a path of the org's own.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Map<String, Value>,
        traceparent: Option<&str>,
    ) -> Result<(), Error> {
        let request = Request::new(Method::POST, path).json(body)?.traceparent(traceparent);
        ok(self.send(request).await?).map(|_| ())
    }

    /// Refuses to go on capturing where the rest of the day's calls is for others.
    ///
    /// # Errors
    /// Of class `throttled`.
    pub(crate) fn has_headroom(&self) -> Result<(), Error> {
        let usage = *self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Usage { used, max, told }) = usage else { return Ok(()) };
        // What was told a while ago may be over: the next call tells anew.
        if used.saturating_mul(100) < max.saturating_mul(self.share) || told.elapsed() >= REST {
            return Ok(());
        }
        let share = self.share;
        let text = format!("{used} of the org's {max} API calls a day are used: over {share} %");
        Err(Error::throttled(text, Some(REST)))
    }

    async fn send(&self, request: Request) -> Result<Response, Error> {
        let response = self.http.send(request).await?;
        if let Some((used, max)) = response.header("sforce-limit-info").and_then(usage) {
            let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
            *usage = Some(Usage { used, max, told: Instant::now() });
        }
        Ok(response)
    }
}

fn ok(response: Response) -> Result<Response, Error> {
    if response.status().is_success() { Ok(response) } else { Err(failure::failed(&response)) }
}

/// Reads `api-usage=10018/100000; api-bursts=1/750`.
pub(crate) fn usage(text: &str) -> Option<(u64, u64)> {
    let pair = text.split(';').find_map(|part| part.trim().strip_prefix("api-usage="))?;
    let (used, max) = pair.split_once('/')?;
    Some((used.trim().parse().ok()?, max.trim().parse().ok()?))
}
