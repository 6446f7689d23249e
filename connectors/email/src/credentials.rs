//! What proves who we are: a password, or a token that is given or got from a token server.

use gantry_imap::Proof;
use gantry_plugin_api::{Context, Error, Secret};
use gantry_plugin_http::{AccessToken, Grant, OAuth, Options, TokenSource};

use crate::config::Config;

/// Where credentials come from.
#[derive(Debug)]
pub(crate) enum Credentials {
    Password(Secret<String>),
    Token(Secret<String>),
    Server(Box<TokenSource>),
}

/// What is said at a sign-in.
#[derive(Debug)]
pub(crate) enum Credential {
    Password(Secret<String>),
    Token(Secret<String>),
    Granted(AccessToken),
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
            let client_id = oauth.client_id.clone();
            let grant = match (&oauth.refresh_token, &oauth.client_secret) {
                (Some(refresh_token), client_secret) => Grant::RefreshToken {
                    client_id,
                    client_secret: client_secret.clone(),
                    refresh_token: refresh_token.clone(),
                    field: "oauth.refresh_token",
                },
                (None, Some(client_secret)) => {
                    Grant::ClientCredentials { client_id, client_secret: client_secret.clone() }
                }
                (None, None) => return Err(Error::config("oauth.client_secret", NO_SECRET)),
            };
            let (token_url, scope) = (oauth.token_url.clone(), oauth.scope.clone());
            let oauth = OAuth { token_url, grant, scope, base_field: None };
            let source = TokenSource::new(options, oauth).map_err(|_| {
                Error::config("oauth.token_url", "is no address: write `https://…/token`")
            })?;
            return Ok(Self::Server(Box::new(source)));
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
        Ok(match self {
            Self::Password(password) => Credential::Password(password.clone()),
            Self::Token(token) => Credential::Token(token.clone()),
            Self::Server(server) => Credential::Granted(server.get().await?),
        })
    }

    /// The mail server does not take what it was given. A token may have been ended before its
    /// time, so another one may be good; anything else is for a person.
    pub(crate) async fn refused(&self, credential: &Credential, text: String) -> Error {
        if let (Self::Server(server), Credential::Granted(token)) = (self, credential) {
            server.refused(token).await;
            return Error::auth_expired(format!(
                "{text}: the token is not taken; check `user` and what the application may do"
            ));
        }
        Error::auth_denied(match credential {
            Credential::Password(_) => format!("{text}: check `user` and `password`"),
            Credential::Token(_) | Credential::Granted(_) => {
                format!(
                    "{text}: the token is not taken; give a new `token`, or `oauth` to get them"
                )
            }
        })
    }
}

/// Why an application without a refresh token gets no tokens.
pub(crate) const NO_SECRET: &str =
    "is missing: the application signs in by itself; or give a `refresh_token`";

impl Credential {
    pub(crate) fn is_token(&self) -> bool {
        !matches!(self, Self::Password(_))
    }

    pub(crate) fn secret(&self) -> &Secret<String> {
        match self {
            Self::Password(secret) | Self::Token(secret) => secret,
            Self::Granted(token) => &token.value,
        }
    }

    pub(crate) fn proof(&self) -> Proof<'_> {
        let secret = self.secret().expose();
        if self.is_token() { Proof::Token(secret) } else { Proof::Password(secret) }
    }
}
