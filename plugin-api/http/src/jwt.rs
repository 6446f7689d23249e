//! Signed assertions (RFC 7523): RS256, made anew for each token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantry_plugin_api::{Error, Secret};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

/// How long an assertion is good: vendors allow three to five minutes, and clocks differ.
const LIFETIME_S: i64 = 120;

/// Who vouches for whom, and to whom.
pub(crate) struct Claims<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) audience: &'a str,
}

/// Signs the claims with a private key in PEM (PKCS #8 or PKCS #1).
///
/// # Errors
/// Of class `config`, field `private_key`, if the key is none or too weak.
pub(crate) fn sign(
    claims: &Claims<'_>,
    key: &Secret<String>,
    now_ms: i64,
) -> Result<String, Error> {
    let key = read(key)?;
    let expires_at_s = now_ms.div_euclid(1000) + LIFETIME_S;
    let Claims { issuer, subject, audience } = claims;
    let claims = json!({"iss": issuer, "sub": subject, "aud": audience, "exp": expires_at_s});
    let encoded = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let header = encoded(br#"{"alg":"RS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", encoded(claims.to_string().as_bytes()));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| Error::transient("cannot sign an assertion"))?;
    Ok(format!("{signed}.{}", encoded(&signature)))
}

fn read(key: &Secret<String>) -> Result<RsaKeyPair, Error> {
    let wrong = |message| Error::config("private_key", message);
    let der = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|error| wrong("cannot read the private key as PEM").because(&error))?;
    let pair = match &der {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(wrong("cannot use the private key: it must be an RSA key")),
    };
    pair.map_err(|_| {
        wrong("cannot use the private key: it must be an RSA key of 2048 bits or more")
    })
}
