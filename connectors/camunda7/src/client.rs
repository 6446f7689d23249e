//! The engine's REST interface: requests, answers, and what its refusals mean.

use std::path::PathBuf;
use std::time::Duration;

use gantry_plugin_api::{Context, Error, ErrorClass, Secret};
use gantry_plugin_http::{Auth, Client, Options, Request, Response, escape};
use jiff::Timestamp;
use jiff::fmt::strtime;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config;

/// One engine of a server.
#[derive(Debug)]
pub(crate) struct Engine {
    http: Client,
    /// Before each path: nothing, or the engine's name.
    prefix: String,
    name: Option<String>,
    headers: Vec<(String, Secret<String>)>,
    timeout: Duration,
    date_format: String,
    worker: String,
}

/// What the engine says when it refuses.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Refusal {
    r#type: String,
    message: String,
    permission_name: Option<String>,
    resource_name: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Engine {
    pub(crate) fn new(config: config::Config, cx: &Context) -> Result<Self, Error> {
        let auth = match config.auth {
            None => Auth::None,
            Some(config::Auth::Basic(basic)) => {
                Auth::Basic { user: basic.user, password: basic.password }
            }
            Some(config::Auth::Bearer(bearer)) => Auth::Bearer(bearer.token),
        };
        let timeout = config.request_timeout.get();
        let options = Options::new(config.endpoint, cx).auth(auth).timeout(timeout);
        let http = Client::new(options.tls_ca(config.tls_ca.map(PathBuf::from)))?;
        let engine = config.engine.as_deref();
        Ok(Self {
            http,
            prefix: engine.map(|name| format!("engine/{}/", escape(name))).unwrap_or_default(),
            name: config.engine,
            headers: config.headers.into_iter().collect(),
            timeout,
            date_format: config.date_format,
            worker: config.worker,
        })
    }

    /// What the ids of a capture point's workers begin with.
    pub(crate) fn workers_of(&self, capture_point: &str) -> String {
        format!("{}-{capture_point}-", self.worker)
    }

    /// Whether the engine is there, and lets us in.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let response = self.send(Request::get("engine")).await?;
        let is_list = serde_json::from_slice::<Vec<Named>>(response.bytes());
        let Ok(engines) = is_list else {
            let message = "no engine answers there: write the address of its REST interface, such \
                           as `https://bpm.example/engine-rest`";
            return match response.ok() {
                Err(error) if error.class() != ErrorClass::Gone => Err(error),
                _ => Err(Error::config("endpoint", message)),
            };
        };
        if let Some(name) = &self.name
            && !engines.iter().any(|engine| engine.name == *name)
        {
            let names: Vec<_> = engines.into_iter().map(|engine| engine.name).collect();
            let message = format!("no engine `{name}` there; there are: {}", names.join(", "));
            return Err(Error::config("engine", message));
        }
        // The list of engines is open to all; this is not.
        self.get::<Value>("task/count").await?;
        Ok(())
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Request::get(self.path(path))).await?.json()
    }

    /// Asks what must be asked by POST.
    pub(crate) async fn query<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<(T, Option<i64>), Error> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut request = Request::post(self.path(path)).json(body)?;
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            request = request.query(name, value);
        }
        let response = self.ask(request).await?;
        Ok((response.json()?, response.date_ms()))
    }

    /// Waits for tasks, as long as the body asks the engine to.
    pub(crate) async fn long_poll<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        wait: Duration,
    ) -> Result<T, Error> {
        let request = Request::post(self.path(path)).json(body)?.timeout(self.timeout + wait);
        self.ask(request).await?.json()
    }

    /// Changes something; the engine has nothing to say to that.
    pub(crate) async fn act(
        &self,
        path: &str,
        body: &Value,
        traceparent: Option<&str>,
    ) -> Result<(), Error> {
        let request = Request::post(self.path(path)).json(body)?;
        self.ask(request.traceparent(traceparent)).await.map(drop)
    }

    /// An external task; none if it has ended.
    pub(crate) async fn external_task<T: DeserializeOwned>(
        &self,
        id: &str,
    ) -> Result<Option<T>, Error> {
        self.find(&format!("external-task/{}", escape(id))).await
    }

    /// A user task; none if it has ended.
    pub(crate) async fn user_task<T: DeserializeOwned>(
        &self,
        id: &str,
    ) -> Result<Option<T>, Error> {
        self.find(&format!("task/{}", escape(id))).await
    }

    /// Whether an error about a user task means that it is gone: the engine answers 500 then.
    pub(crate) async fn is_gone(&self, id: &str, error: &Error) -> Result<bool, Error> {
        let may_be = [ErrorClass::Gone, ErrorClass::Transient, ErrorClass::Permanent];
        if !may_be.contains(&error.class()) {
            return Ok(false);
        }
        Ok(self.user_task::<Value>(id).await?.is_none())
    }

    async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Error> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.class() == ErrorClass::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A date of the engine's as an instant.
    pub(crate) fn instant(&self, text: &str) -> Result<Timestamp, Error> {
        let read = strtime::parse(&self.date_format, text).and_then(|date| date.to_timestamp());
        read.map_err(|error| {
            let message = format!("cannot read the engine's date `{text}` by it");
            Error::config("date_format", message).because(&error)
        })
    }

    /// An instant as the engine writes it.
    pub(crate) fn date(&self, instant: Timestamp) -> String {
        instant.strftime(&self.date_format).to_string()
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    async fn ask(&self, request: Request) -> Result<Response, Error> {
        let response = self.send(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(classify(&response)) }
    }

    async fn send(&self, mut request: Request) -> Result<Response, Error> {
        for (name, value) in &self.headers {
            request = request.header(name, value.expose());
        }
        self.http.send(request).await
    }
}

/// What a refusal of the engine means. A 400 about an external task means its lock (`conflict`) if
/// the engine says so; 500 is also what a user task that is gone looks like, so whoever asked has
/// to look.
fn classify(response: &Response) -> Error {
    let refusal: Option<Refusal> = serde_json::from_slice(response.bytes()).ok();
    let status = response.status().as_u16();
    // This is what the server says that the engine runs in, where no operation has the path.
    let is_of_engine = |refusal: &Refusal| !["", "NotFoundException"].contains(&&*refusal.r#type);
    let Some(refusal) = refusal.filter(is_of_engine) else {
        if status == 404 {
            let text = format!("{}, and not by an engine", response.failure());
            return Error::config("endpoint", text);
        }
        return response.error();
    };
    let text = response.failure();
    let is_locked = ["locked by worker", "lock that expired"];
    let is_locked = is_locked.iter().any(|word| refusal.message.contains(word));
    match status {
        403 => {
            let permission = refusal.permission_name.unwrap_or_default();
            let resource = refusal.resource_name.unwrap_or_default();
            let remedy = format!("grant the user `{permission}` on `{resource}` in the engine");
            Error::auth_denied(format!("{text}; {remedy}"))
        }
        400 if is_locked => Error::conflict(text),
        500 if refusal.r#type == "OptimisticLockingException" => Error::transient(text),
        _ => response.error(),
    }
}

/// Whether the engine itself failed at what it was asked to do: the process could not go on, or,
/// of user tasks, the task is not there or not free.
pub(crate) fn is_from_process(error: &Error) -> bool {
    error.class() == ErrorClass::Transient && error.message().contains(" was answered 500")
}

/// Whether dates in this format can be read back to the millisecond.
pub(crate) fn is_date_format(format: &str) -> bool {
    let sample = Timestamp::from_millisecond(1_767_323_045_678);
    let sample = sample.expect("invariant: the sample is an instant");
    let written = strtime::format(format, sample);
    let read = written.and_then(|text| strtime::parse(format, text)).and_then(|d| d.to_timestamp());
    read.is_ok_and(|read| read == sample)
}
