//! Tokens for protocols that are not HTTP: mail signs in with them, and its server is no part of
//! this client.

use gantry_plugin_api::{Error, Secret};

use crate::auth::{OAuth, Tokens};
use crate::client::{Options, Wire};

/// Gets tokens, keeps one for as long as it is good, and gets it again.
#[derive(Debug)]
pub struct TokenSource {
    oauth: OAuth,
    tokens: Tokens,
    wire: Wire,
}

/// A token of a [`TokenSource`].
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// What is shown.
    pub value: Secret<String>,
    number: u64,
}

impl TokenSource {
    /// Makes it; connects to nothing, reads nothing. The endpoint in `options` is what paths in
    /// `oauth.token_url` count from, and its `auth` is not used.
    ///
    /// # Errors
    /// Of class `config`, field `endpoint`, if that is no address.
    pub fn new(options: Options, oauth: OAuth) -> Result<Self, Error> {
        let (_, wire) = Wire::of(options)?;
        Ok(Self { oauth, tokens: Tokens::default(), wire })
    }

    /// The token in use; gets one if there is none, or if it is about to end.
    ///
    /// # Errors
    /// Of class `auth_denied` if the token server refuses, with what to look at; else what stood
    /// between it and us.
    ///
    /// # Cancel safety
    /// Who waits for the call that is called off gets the token itself. A refresh token that the
    /// server replaces just then is lost with the answer.
    pub async fn get(&self) -> Result<AccessToken, Error> {
        let token = self.tokens.current(&self.oauth, &self.wire).await?;
        Ok(AccessToken { value: token.value, number: token.number })
    }

    /// Uses a token no more that was not taken: the next one is got anew.
    pub async fn refused(&self, token: &AccessToken) {
        self.tokens.drop(token.number).await;
    }
}
