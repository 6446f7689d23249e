//! Signing in: fixed credentials, or tokens by OAuth 2 that are got, kept and got again.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_plugin_api::{Error, ErrorClass, Secret};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::client::Wire;
use crate::jwt::{self, Claims};
use crate::request::Request;
use crate::response::Response;

/// A token is got anew so long before it ends, or earlier if it lives for less than ten times that.
const MARGIN: Duration = Duration::from_mins(1);

/// How requests are signed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// RFC 7617.
    Basic {
        /// Who signs in.
        user: String,
        /// With this password.
        password: Secret<String>,
    },
    /// A fixed token (RFC 6750).
    Bearer(Secret<String>),
    /// A header of the vendor's own.
    Header {
        /// Its name.
        name: String,
        /// The key in it.
        value: Secret<String>,
    },
    /// Tokens of a token server.
    OAuth(OAuth),
}

/// Where tokens come from, and for what.
#[derive(Debug)]
pub struct OAuth {
    /// The token server: a path as in [`Request::new`], or a whole URL, of any origin.
    pub token_url: String,
    /// What a token is got for.
    pub grant: Grant,
    /// The scopes asked for, separated by spaces.
    pub scope: Option<String>,
    /// The field of the token server's answer that says where requests go from then on, if that
    /// vendor has one (`instance_url`).
    pub base_field: Option<&'static str>,
}

/// What a token is got for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Grant {
    /// RFC 6749, section 4.4; id and secret go in the body.
    ClientCredentials {
        /// The application's id.
        client_id: String,
        /// The application's secret.
        client_secret: Secret<String>,
    },
    /// RFC 7523: an assertion that the application signs itself, RS256.
    JwtBearer {
        /// The application's id.
        issuer: String,
        /// The user it acts for.
        subject: String,
        /// The token server, as it calls itself.
        audience: String,
        /// The application's private key, PEM.
        private_key: Secret<String>,
    },
    /// RFC 6749, section 6: what the owner of an account granted. If the token server replaces the
    /// refresh token, the new one is used from then on, and the hub keeps it.
    RefreshToken {
        /// The application's id.
        client_id: String,
        /// The application's secret, if it has one.
        client_secret: Option<Secret<String>>,
        /// The first one to use.
        refresh_token: Secret<String>,
        /// Its key in the source's config, a dotted path, which the build script has to name
        /// (`rotates`).
        field: &'static str,
    },
}

/// A token and where it is good.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) value: Secret<String>,
    base: Option<Url>,
    /// None: nobody knows, a 401 will tell.
    until: Option<Instant>,
    /// How many were got before: tells a token from the one after it.
    pub(crate) number: u64,
}

/// The token in use. Who finds none gets one, and the others wait for it.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    token: Option<Token>,
    n_got: u64,
    /// What the token server gave in place of the refresh token of the config.
    refresh: Option<Secret<String>>,
}

/// What a request is signed with.
pub(crate) struct Signature {
    pub(crate) header: Option<(String, Secret<String>)>,
    pub(crate) base: Option<Url>,
    /// The number of the token, if it is one that can be got anew.
    pub(crate) token: Option<u64>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret<String>,
    #[serde(default)]
    expires_in: Option<Value>,
    #[serde(default)]
    refresh_token: Option<Secret<String>>,
    #[serde(flatten)]
    other: serde_json::Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refused {
    error: String,
    error_description: String,
}

impl Auth {
    /// What to sign with; gets a token first if there is none.
    ///
    /// # Errors
    /// Of class `auth_denied` if the token server refuses; else what stood between it and us.
    pub(crate) async fn sign(&self, tokens: &Tokens, wire: &Wire) -> Result<Signature, Error> {
        let authorization = |value| Some(("authorization".to_owned(), Secret::new(value)));
        let header = match self {
            Self::None => None,
            Self::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
                authorization(format!("Basic {pair}"))
            }
            Self::Bearer(token) => authorization(format!("Bearer {}", token.expose())),
            Self::Header { name, value } => Some((name.clone(), value.clone())),
            Self::OAuth(oauth) => {
                let Token { value, base, number, .. } = tokens.current(oauth, wire).await?;
                let header = authorization(format!("Bearer {}", value.expose()));
                return Ok(Signature { header, base, token: Some(number) });
            }
        };
        Ok(Signature { header, base: None, token: None })
    }

    /// The settings to look at if the source does not let us in.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::None => "the source wants credentials",
            Self::Basic { .. } => "check the user and the password",
            Self::Bearer(_) | Self::Header { .. } => "check the token",
            Self::OAuth(oauth) => oauth.grant.remedy(),
        }
    }
}

impl Grant {
    /// The settings to look at if no token is given, or none that is good.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::ClientCredentials { .. } => {
                "check the client id and secret, and what the application may do"
            }
            Self::JwtBearer { .. } => {
                "check the client id, user, audience and private key, whether the application is \
                 approved for that user, and the clock of this machine"
            }
            Self::RefreshToken { .. } => {
                "check the client id and secret; if the refresh token has ended or was used \
                 elsewhere, its owner has to sign in again and give a new one"
            }
        }
    }
}

impl Tokens {
    /// # Cancel safety
    /// Who waits for the call that is called off gets the token itself. A refresh token that the
    /// server replaces just then is lost with the answer.
    pub(crate) async fn current(&self, oauth: &OAuth, wire: &Wire) -> Result<Token, Error> {
        let mut kept = self.0.lock().await;
        let is_good = |token: &&Token| token.until.is_none_or(|until| Instant::now() < until);
        if let Some(token) = kept.token.as_ref().filter(is_good) {
            return Ok(token.clone());
        }
        kept.token = None;
        let granted =
            get(oauth, wire, kept.refresh.as_ref()).await.map_err(|error| match error.class() {
                ErrorClass::AuthDenied => {
                    let remedy = oauth.grant.remedy();
                    Error::auth_denied(format!("{}; {remedy}", error.message()))
                }
                _ => error,
            })?;
        let replaced = kept.take_over(&oauth.grant, granted.refresh_token);
        let lifetime = granted.expires_in.as_ref().and_then(seconds);
        let until = lifetime.and_then(|lifetime| {
            let good_for = lifetime.saturating_sub(MARGIN.min(lifetime / 10));
            Instant::now().checked_add(good_for)
        });
        let base = oauth.base_field.and_then(|field| granted.other.get(field)?.as_str());
        let base = base.map(|base| wire.base(base)).transpose()?;
        let token = Token { value: granted.access_token, base, until, number: kept.n_got };
        kept.n_got += 1;
        kept.token = Some(token.clone());
        if let Some((field, refresh_token)) = replaced
            && let Err(error) = wire.cx().rotated(field, &refresh_token).await
        {
            // Its token is good all the same, and the hub goes on trying.
            tracing::warn!(%error, "the hub does not keep a refresh token yet");
        }
        Ok(token)
    }

    /// Drops a token that was refused, unless another has taken its place already.
    pub(crate) async fn drop(&self, number: u64) {
        let mut kept = self.0.lock().await;
        kept.token.take_if(|token| token.number == number);
    }
}

impl Kept {
    /// Goes on with the refresh token that came with an answer; tells which one and of which key,
    /// if it is another than before.
    fn take_over(
        &mut self,
        grant: &Grant,
        given: Option<Secret<String>>,
    ) -> Option<(&'static str, Secret<String>)> {
        let Grant::RefreshToken { refresh_token, field, .. } = grant else { return None };
        let before = self.refresh.as_ref().unwrap_or(refresh_token);
        let new = given.filter(|given| given.expose() != before.expose())?;
        self.refresh = Some(new.clone());
        Some((field, new))
    }
}

/// Asks the token server; `refresh` is what it gave last in place of the refresh token.
async fn get(
    oauth: &OAuth,
    wire: &Wire,
    refresh: Option<&Secret<String>>,
) -> Result<Granted, Error> {
    let assertion;
    let mut fields = match &oauth.grant {
        Grant::ClientCredentials { client_id, client_secret } => vec![
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret.expose()),
        ],
        Grant::JwtBearer { issuer, subject, audience, private_key } => {
            assertion =
                jwt::sign(&Claims { issuer, subject, audience }, private_key, wire.cx().now_ms())?;
            let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            vec![("grant_type", grant_type), ("assertion", &*assertion)]
        }
        Grant::RefreshToken { client_id, client_secret, refresh_token, .. } => {
            let mut fields = vec![
                ("grant_type", "refresh_token"),
                ("client_id", client_id),
                ("refresh_token", refresh.unwrap_or(refresh_token).expose()),
            ];
            fields
                .extend(client_secret.as_ref().map(|secret| ("client_secret", &**secret.expose())));
            fields
        }
    };
    fields.extend(oauth.scope.as_deref().map(|scope| ("scope", scope)));
    let url = wire.token_url(&oauth.token_url)?;
    let response = wire.exchange(&url, &Request::post(url.path()).form(&fields), None).await?;
    if !response.status().is_success() {
        return Err(refused(&response));
    }
    response.json()
}

/// A number, or, as some servers have it, a number as text.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::from_secs(seconds))
}

/// What the token server's refusal means (RFC 6749, sections 4.1.2.1 and 5.2).
fn refused(response: &Response) -> Error {
    let refused: Refused = serde_json::from_slice(response.bytes()).unwrap_or_default();
    let Refused { error, error_description } = refused;
    let is_passing = ["server_error", "temporarily_unavailable", "slow_down"].contains(&&*error);
    match response.status().as_u16() {
        400 | 401 | 403 if is_passing => Error::transient(response.failure()),
        status @ (400 | 401 | 403) => {
            let mut message = format!("cannot get a token: the token server answered {status}");
            for part in [error, error_description].iter().filter(|part| !part.is_empty()) {
                message = format!("{message}, {part}");
            }
            Error::auth_denied(message)
        }
        404 | 410 => Error::auth_denied(response.failure()),
        _ => response.error(),
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}
