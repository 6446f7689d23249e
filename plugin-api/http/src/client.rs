//! The client: one endpoint, one way to sign in, bounds on time and size.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gantry_plugin_api::{Context, Error};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{ACCEPT, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::OnceCell;
use url::Url;

use crate::auth::{Auth, Signature, Tokens};
use crate::request::Request;
use crate::response::Response;
use crate::tls;

/// At most so many redirects are followed.
const N_REDIRECTS_MAX: usize = 5;
/// A connection is kept so long after it was used.
const IDLE: Duration = Duration::from_mins(1);

/// What a client is made of.
#[derive(Debug)]
pub struct Options {
    endpoint: String,
    cx: Context,
    auth: Auth,
    timeout: Duration,
    n_bytes_max: usize,
    tls_ca: Option<PathBuf>,
}

/// Talks to one HTTP system; requests run side by side, connections are reused.
#[derive(Debug)]
pub struct Client {
    auth: Auth,
    tokens: Tokens,
    wire: Wire,
    /// Whether the credentials were good before.
    let_in: AtomicBool,
}

/// What lies below signing in.
pub(crate) struct Wire {
    base: Url,
    cx: Context,
    timeout: Duration,
    n_bytes_max: usize,
    tls_ca: Option<PathBuf>,
    pool: OnceCell<Pool>,
}

type Pool = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl Options {
    /// A client of the system at `endpoint` (`https://crm.example/api`); its path is where paths
    /// of requests count from, as if it ended in `/`. Where the endpoint is the exact address of
    /// one thing, such as a webhook, give it as the path of its requests too. Unless told otherwise
    /// it does not sign in, waits 30 s for an answer, takes 16 MiB of it, and trusts the public
    /// roots.
    pub fn new(endpoint: impl Into<String>, cx: &Context) -> Self {
        Self {
            endpoint: endpoint.into(),
            cx: cx.clone(),
            auth: Auth::None,
            timeout: Duration::from_secs(30),
            n_bytes_max: 16 * 1024 * 1024,
            tls_ca: None,
        }
    }

    /// How requests are signed.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// How long an answer may take, from connecting to the last byte.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long an answer may be, in bytes.
    #[must_use]
    pub fn n_bytes_max(mut self, n_bytes_max: usize) -> Self {
        self.n_bytes_max = n_bytes_max;
        self
    }

    /// A file with the certificates to trust (PEM) instead of the public ones: the operator's key
    /// is `tls_ca`. It is read on first use.
    #[must_use]
    pub fn tls_ca(mut self, path: Option<impl Into<PathBuf>>) -> Self {
        self.tls_ca = path.map(Into::into);
        self
    }
}

impl Client {
    /// Makes the client; connects to nothing, reads nothing.
    ///
    /// # Errors
    /// Of class `config`, field `endpoint`, if that is no address.
    pub fn new(options: Options) -> Result<Self, Error> {
        let (auth, wire) = Wire::of(options)?;
        Ok(Self { auth, tokens: Tokens::default(), wire, let_in: AtomicBool::new(false) })
    }

    /// Sends a request and reads the whole answer, whatever its status but 401.
    ///
    /// After a 401 a token is got anew, and the request sent again, once.
    ///
    /// # Errors
    /// `transient` if no whole answer came (no connection, no trust, time-out, cut off);
    /// `auth_denied` if the source or the token server refuses the credentials, with what to look
    /// at; `auth_expired` if they are fixed and were good before; `config` for `tls_ca` and
    /// `private_key`; `permanent` if the answer is too long or the path leads to another origin;
    /// those of [`Response::error`] for troubles of the token server.
    ///
    /// # Cancel safety
    /// The request may have reached the server or not.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let (response, token) = self.send_once(&request).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            self.let_in.store(true, Ordering::Relaxed);
            return Ok(response);
        }
        let Some(token) = token else {
            let text = format!("{}; {}", response.failure(), self.auth.remedy());
            let was_good = self.let_in.swap(false, Ordering::Relaxed);
            return Err(if was_good {
                Error::auth_expired(text)
            } else {
                Error::auth_denied(text)
            });
        };
        tracing::debug!("the source refused a token, another is got");
        self.tokens.drop(token).await;
        let (response, _) = self.send_once(&request).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let text =
                format!("{}, with a fresh token; {}", response.failure(), self.auth.remedy());
            return Err(Error::auth_denied(text));
        }
        Ok(response)
    }

    async fn send_once(&self, request: &Request) -> Result<(Response, Option<u64>), Error> {
        let signature = self.auth.sign(&self.tokens, &self.wire).await?;
        let base = signature.base.as_ref().unwrap_or(&self.wire.base);
        let mut url = within(base, &request.path)?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let response = self.wire.exchange(&url, request, Some(&signature)).await?;
        Ok((response, signature.token))
    }
}

impl Wire {
    pub(crate) fn of(options: Options) -> Result<(Auth, Self), Error> {
        let Options { endpoint, cx, auth, timeout, n_bytes_max, tls_ca } = options;
        let base = address(&endpoint).ok_or_else(|| {
            let message = "cannot be used: write an address such as `https://crm.example/api`";
            Error::config("endpoint", message)
        })?;
        let pool = OnceCell::new();
        Ok((auth, Self { base, cx, timeout, n_bytes_max, tls_ca, pool }))
    }

    pub(crate) fn cx(&self) -> &Context {
        &self.cx
    }

    /// Where requests go, as the token server says.
    pub(crate) fn base(&self, text: &str) -> Result<Url, Error> {
        let mut base = address(text).ok_or_else(|| {
            Error::permanent("cannot go where the token server points: no address")
        })?;
        if self.base.scheme() == "https" && base.scheme() != "https" {
            let message = "the token server points to an address without TLS";
            return Err(Error::permanent(message));
        }
        // The vendor names the server; the path below it stays the operator's.
        base.set_path(self.base.path());
        Ok(base)
    }

    pub(crate) fn token_url(&self, text: &str) -> Result<Url, Error> {
        self.base.join(text).map_err(|error| {
            Error::config("token_url", format!("cannot read `{text}` as an address"))
                .because(&error)
        })
    }

    /// Sends and follows redirects to the same origin; 301 and 302 only where nothing is changed.
    pub(crate) async fn exchange(
        &self,
        url: &Url,
        request: &Request,
        signature: Option<&Signature>,
    ) -> Result<Response, Error> {
        let mut url = url.clone();
        let mut request = request.clone();
        let timeout = request.timeout.unwrap_or(self.timeout);
        for _ in 0..=N_REDIRECTS_MAX {
            let asked = format!("{} {}", request.method, url.path());
            let one = self.exchange_once(&asked, &url, &request, signature);
            let response = tokio::time::timeout(timeout, one).await.map_err(|_| {
                let after = gantry_plugin_api::HumanDuration::new(timeout);
                Error::transient(format!("{asked} was not answered within {after}"))
            })??;
            let is_safe = request.method == Method::GET || request.method == Method::HEAD;
            let follow = match response.status().as_u16() {
                301 | 302 => is_safe,
                303 | 307 | 308 => true,
                _ => false,
            };
            let location = response.headers.get(LOCATION).and_then(|to| to.to_str().ok());
            let Some(location) = location.filter(|_| follow) else {
                return Ok(response);
            };
            url = within(&url, location)?;
            if response.status() == StatusCode::SEE_OTHER && !is_safe {
                request = Request { method: Method::GET, body: Bytes::new(), ..request };
            }
        }
        let path = url.path();
        Err(Error::permanent(format!("cannot get to `{path}`: over {N_REDIRECTS_MAX} redirects")))
    }

    async fn exchange_once(
        &self,
        asked: &str,
        url: &Url,
        request: &Request,
        signature: Option<&Signature>,
    ) -> Result<Response, Error> {
        let wire_request = wire_request(url, request, signature)?;
        let pool = self.pool.get_or_try_init(|| self.open()).await?;
        let origin = url.origin().ascii_serialization();
        let answer = pool.request(wire_request).await.map_err(|error| {
            let tried = if tls::is_untrusted(&error) {
                format!("cannot trust {origin}: name its authority's certificate in `tls_ca`")
            } else if error.is_connect() {
                format!("cannot connect to {origin}")
            } else {
                format!("{asked} at {origin} got no answer")
            };
            Error::transient(tried).because(&error)
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.n_bytes_max).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let n = self.n_bytes_max;
                return Error::permanent(format!("the answer to {asked} is over {n} bytes long"));
            }
            Error::transient(format!("the answer to {asked} was cut off")).because(&*error)
        })?;
        let (status, headers) = (head.status, head.headers);
        Ok(Response { asked: asked.to_owned(), status, headers, body: body.to_bytes() })
    }

    async fn open(&self) -> Result<Pool, Error> {
        let connector = tls::connector(self.tls_ca.as_deref()).await?;
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE).pool_timer(TokioTimer::new());
        Ok(builder.build(connector))
    }
}

/// Resolves a path or link, which must lead to the origin it counts from.
fn within(base: &Url, path: &str) -> Result<Url, Error> {
    let url = base.join(path).map_err(|error| {
        Error::permanent(format!("cannot read `{path}` as a path")).because(&error)
    })?;
    if url.origin() == base.origin() {
        return Ok(url);
    }
    let (from, to) = (base.host_str().unwrap_or_default(), url.host_str().unwrap_or_default());
    Err(Error::permanent(format!("cannot follow a link from `{from}` to `{to}`")))
}

fn wire_request(
    url: &Url,
    request: &Request,
    signature: Option<&Signature>,
) -> Result<hyper::Request<Full<Bytes>>, Error> {
    let body = Full::new(request.body.clone());
    let mut wire = hyper::Request::new(body);
    *wire.method_mut() = request.method.clone();
    *wire.uri_mut() = url.as_str().parse().map_err(|error| {
        Error::permanent(format!("cannot ask for `{}`", url.path())).because(&error)
    })?;
    let headers = wire.headers_mut();
    let agent = concat!("gantry/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in &request.headers {
        headers.insert(header_name(name)?, header_value(name, value)?);
    }
    if let Some((name, value)) = signature.and_then(|signature| signature.header.as_ref()) {
        let mut value = header_value(name, value.expose())?;
        value.set_sensitive(true);
        headers.insert(header_name(name)?, value);
    }
    Ok(wire)
}

fn header_name(name: &str) -> Result<HeaderName, Error> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|error| {
        Error::permanent(format!("cannot send a header named `{name}`")).because(&error)
    })
}

/// The value itself stays out of the text: it may be a secret.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value).map_err(|error| {
        Error::permanent(format!("cannot send the value of the header `{name}`")).because(&error)
    })
}

/// Reads the address of a server, with the path that all others count from. Passwords do not
/// belong into it: addresses are logged.
fn address(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let is_http = ["http", "https"].contains(&url.scheme());
    let is_plain = url.username().is_empty() && url.password().is_none();
    if !is_http || !is_plain || url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}
