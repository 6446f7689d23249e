//! Requests that carry a token.

use gantry_plugin_api::{ConfigFault, HttpRequest};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::Bearer;
use crate::only;

/// Shorter tokens could be guessed.
const TOKEN_LEN_MIN: usize = 16;

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Fault {
    #[error("token_missing: there is no one header `authorization` with a bearer token")]
    Missing,
    #[error("token_invalid: the token is none of those in force")]
    NoMatch,
}

/// What is wrong with the tokens, all of it.
pub(crate) fn faults(auth: &Bearer) -> Vec<ConfigFault> {
    let fits = |token: &str| {
        token.len() >= TOKEN_LEN_MIN
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
    };
    let mut faults: Vec<_> = auth
        .tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !fits(token.expose()))
        .map(|(index, _)| {
            let message = format!(
                "must have at least {TOKEN_LEN_MIN} letters, digits or characters of `-._~+/=`"
            );
            ConfigFault::new(format!("auth.bearer.tokens[{index}]"), message)
        })
        .collect();
    if auth.tokens.is_empty() {
        faults.push(ConfigFault::new("auth.bearer.tokens", "must have a token"));
    }
    faults
}

/// Lets a request in.
pub(crate) fn verify(auth: &Bearer, request: &HttpRequest) -> Result<(), Fault> {
    let header = only(request, "authorization").map_err(|_| Fault::Missing)?;
    let (scheme, given) = header.split_once(' ').ok_or(Fault::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Fault::Missing);
    }
    // Hashes have one length, so that the time tells neither how far two tokens agree nor how long
    // the right one is.
    let given = Sha256::digest(given.trim());
    let fits = auth.tokens.iter().fold(Choice::from(0), |fits, token| {
        fits | Sha256::digest(token.expose()).as_slice().ct_eq(given.as_slice())
    });
    if bool::from(fits) { Ok(()) } else { Err(Fault::NoMatch) }
}
