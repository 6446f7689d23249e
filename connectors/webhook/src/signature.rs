//! Signed requests, as Standard Webhooks has them: those that come in, and those that go out.
//!
//! Signed is `ID.TIMESTAMP.BODY`, over the bytes as received. A sender that changes its key signs
//! with both, so one match of any signature with any key is enough.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_plugin_api::{ConfigFault, HttpRequest, Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::config::StandardWebhooks;
use crate::{HeaderFault, only};

/// Names the event: the same in each attempt to deliver it.
pub(crate) const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

const KEY_PREFIX: &str = "whsec_";
const KEY_LEN: std::ops::RangeInclusive<usize> = 24..=64;

/// Longer ids are no ids, and the hub keeps each.
pub(crate) const ID_LEN_MAX: usize = 256;

/// Why a request is not let in. The first three words are the classes that other verifiers log,
/// too.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Fault {
    #[error("signature_missing: there is no header `{0}`")]
    Missing(&'static str),
    #[error("signature_invalid: header `{0}` comes more than once")]
    Repeated(&'static str),
    #[error("signature_invalid: header `{ID}` is empty, too long, or contains a full stop")]
    Id,
    #[error("signature_invalid: header `{TIMESTAMP}` is no number of seconds")]
    Timestamp,
    #[error("timestamp_out_of_tolerance: sent {0} s away from the hub's time")]
    Stale(u64),
    #[error("signature_invalid: no signature fits a key")]
    NoMatch,
}

/// What is wrong with the keys, all of it.
pub(crate) fn faults(auth: &StandardWebhooks) -> Vec<ConfigFault> {
    let mut faults = key_faults("auth.standard_webhooks.secrets", &auth.secrets);
    if auth.tolerance.get().as_secs() == 0 {
        let path = "auth.standard_webhooks.tolerance";
        faults.push(ConfigFault::new(path, "must be at least `1s`"));
    }
    faults
}

/// What is wrong with a list of keys.
pub(crate) fn key_faults(path: &str, secrets: &[Secret<String>]) -> Vec<ConfigFault> {
    let (min, max) = KEY_LEN.into_inner();
    let message = format!("must be `{KEY_PREFIX}` followed by {min} to {max} bytes in base64");
    let wrong = secrets.iter().enumerate().filter(|(_, secret)| key(secret).is_none());
    let mut faults: Vec<_> = wrong
        .map(|(index, _)| ConfigFault::new(format!("{path}[{index}]"), message.clone()))
        .collect();
    if secrets.is_empty() {
        faults.push(ConfigFault::new(path, "must have a key"));
    }
    faults
}

/// The header that signs a message with each of the keys; none if one of them is no key.
pub(crate) fn signatures(
    secrets: &[Secret<String>],
    id: &str,
    timestamp: &str,
    body: &[u8],
) -> Option<String> {
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let one = |secret| Some(format!("v1,{}", STANDARD.encode(sign(&key(secret)?, &signed)?)));
    let all: Option<Vec<_>> = secrets.iter().map(one).collect();
    Some(all?.join(" "))
}

/// Lets a request in, and gives the id of its event.
pub(crate) fn verify<'a>(
    auth: &StandardWebhooks,
    request: &'a HttpRequest,
    now_ms: i64,
) -> Result<&'a str, Fault> {
    let header = |name| {
        only(request, name).map_err(|fault| match fault {
            HeaderFault::Missing => Fault::Missing(name),
            HeaderFault::Repeated => Fault::Repeated(name),
        })
    };
    let (id, timestamp, signatures) = (header(ID)?, header(TIMESTAMP)?, header(SIGNATURE)?);
    if !fits_id(id) {
        return Err(Fault::Id);
    }
    let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let sent_s: i64 = timestamp.parse().ok().filter(|_| digits).ok_or(Fault::Timestamp)?;
    let away_s = now_ms.div_euclid(1_000).abs_diff(sent_s);
    if away_s > auth.tolerance.get().as_secs() {
        return Err(Fault::Stale(away_s));
    }
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &request.body];
    match matching_key(auth, &signed, signatures) {
        Some(n_key) => {
            tracing::debug!(n_key, "webhook is signed");
            Ok(id)
        }
        None => Err(Fault::NoMatch),
    }
}

/// Whether a text can be an id. With a full stop in it, the signature would fit another split of
/// the signed bytes as well.
pub(crate) fn fits_id(id: &str) -> bool {
    (1..=ID_LEN_MAX).contains(&id.len()) && !id.contains('.')
}

/// The index of the key that made one of the signatures. Each is compared with each, in a time that
/// does not tell how far they agree.
fn matching_key(auth: &StandardWebhooks, signed: &[&[u8]], signatures: &str) -> Option<usize> {
    let given: Vec<_> = signatures
        .split(' ')
        .filter_map(|entry| STANDARD.decode(entry.strip_prefix("v1,")?).ok())
        .collect();
    let mut found = None;
    for (n_key, secret) in auth.secrets.iter().enumerate() {
        let Some(wanted) = key(secret).and_then(|key| sign(&key, signed)) else { continue };
        for given in &given {
            if bool::from(wanted.as_slice().ct_eq(given)) {
                found = found.or(Some(n_key));
            }
        }
    }
    found
}

fn sign(key: &Secret<Vec<u8>>, parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().into())
}

/// The bytes of a key; none if it is no key.
fn key(secret: &Secret<String>) -> Option<Secret<Vec<u8>>> {
    let text = secret.expose().strip_prefix(KEY_PREFIX)?;
    let key = Secret::new(STANDARD.decode(text).ok()?);
    KEY_LEN.contains(&key.expose().len()).then_some(key)
}
