//! What proves who we are: a password, or a token that is given or got from a token server.

use std::time::{Duration, Instant};

use gantry_plugin_api::{Context, Error, ErrorClass, Secret};
use gantry_plugin_http::{Client, Options, Request};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::config::{Config, OAuth};

/// A token is not used in the last moments of its life: it has to last for a sign-in.
const SPARE: Duration = Duration::from_secs(30);

/// Where credentials come from.
#[derive(Debug)]
pub(crate) enum Credentials {
    Password(Secret<String>),
    Token(Secret<String>),
    Server(Box<TokenServer>),
}

/// A token server and the token in use.
pub(crate) struct TokenServer {
    oauth: OAuth,
    client: Client,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    token: Secret<String>,
    /// None: nobody knows; it is used once.
    until: Option<Instant>,
}

/// What is said at a sign-in.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) secret: Secret<String>,
    pub(crate) is_token: bool,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Credentials {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// Of class `config` if the token server's address is none, or nothing is configured.
    pub(crate) fn new(config: &Config, cx: &Context) -> Result<Self, Error> {
        if let Some(oauth) = &config.oauth {
            let options = Options::new(&oauth.token_url, cx)
                .timeout(config.request_timeout.get())
                .tls_ca(config.tls_ca.clone());
            let client = Client::new(options).map_err(|_| {
                Error::config("oauth.token_url", "is no address: write `https://…/token`")
            })?;
            let server = TokenServer { oauth: oauth.clone(), client, kept: Mutex::default() };
            return Ok(Self::Server(Box::new(server)));
        }
        let token = config.token.clone().map(Self::Token);
        let given = token.or_else(|| config.password.clone().map(Self::Password));
        given.ok_or_else(|| Error::config("password", "is missing"))
    }

    /// What to sign in with now.
    ///
    /// # Errors
    /// Of class `auth_denied` if the token server refuses; else what stood between it and us.
    pub(crate) async fn get(&self) -> Result<Credential, Error> {
        let (secret, is_token) = match self {
            Self::Password(password) => (password.clone(), false),
            Self::Token(token) => (token.clone(), true),
            Self::Server(server) => (server.token().await?, true),
        };
        Ok(Credential { secret, is_token })
    }

    /// The mail server does not take what it was given. A token may have been ended before its
    /// time, so another one may be good; anything else is for a person.
    pub(crate) async fn refused(&self, text: String) -> Error {
        match self {
            Self::Server(server) => {
                *server.kept.lock().await = None;
                Error::auth_expired(format!(
                    "{text}: the token is not taken; check `user` and what the application may do"
                ))
            }
            Self::Token(_) => Error::auth_denied(format!(
                "{text}: the token is not taken; give a new `token`, or `oauth` to get them"
            )),
            Self::Password(_) => Error::auth_denied(format!("{text}: check `user` and `password`")),
        }
    }
}

impl TokenServer {
    async fn token(&self) -> Result<Secret<String>, Error> {
        // Whoever else needs one waits here, and finds it.
        let mut kept = self.kept.lock().await;
        if let Some(Kept { token, until: Some(until) }) = &*kept
            && *until > Instant::now() + SPARE
        {
            return Ok(token.clone());
        }
        let OAuth { token_url, client_id, client_secret, refresh_token, scope } = &self.oauth;
        let mut fields = vec![("client_id", client_id.as_str())];
        if let Some(secret) = client_secret {
            fields.push(("client_secret", secret.expose()));
        }
        match refresh_token {
            Some(token) => {
                fields.push(("grant_type", "refresh_token"));
                fields.push(("refresh_token", token.expose()));
            }
            None => fields.push(("grant_type", "client_credentials")),
        }
        if let Some(scope) = scope {
            fields.push(("scope", scope));
        }
        let answer = self.client.send(Request::post(token_url).form(&fields)).await;
        let answer = answer.map_err(|error| match error.class() {
            ErrorClass::AuthDenied | ErrorClass::AuthExpired => refusal(&error),
            _ => error,
        })?;
        // Source: RFC 6749, section 5.2: 400 or 401, whatever is wrong.
        if matches!(answer.status().as_u16(), 400 | 403) {
            return Err(refusal(&answer.error()));
        }
        let granted: Granted = answer.ok()?.json()?;
        let lasts = granted.expires_in.map(Duration::from_secs);
        let token = granted.access_token;
        let until = lasts.and_then(|lasts| Instant::now().checked_add(lasts));
        *kept = Some(Kept { token: token.clone(), until });
        Ok(token)
    }
}

fn refusal(error: &Error) -> Error {
    let text = "the token server gives no token: check `oauth`, its client, secret and scope";
    Error::auth_denied(text).because(error)
}

impl std::fmt::Debug for TokenServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenServer").field("url", &self.oauth.token_url).finish_non_exhaustive()
    }
}

impl Credential {
    /// The SASL mechanism, and what is said in it at once.
    pub(crate) fn initial_response(&self, user: &str) -> (&'static str, String) {
        let secret = self.secret.expose();
        if self.is_token {
            ("XOAUTH2", format!("user={user}\x01auth=Bearer {secret}\x01\x01"))
        } else {
            ("PLAIN", format!("\0{user}\0{secret}"))
        }
    }
}
