//! Signatures of publishers: ed25519 over the hash of a plug-in, in a file beside it.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

const PUBLIC: &str = "ed25519:";
const SECRET: &str = "ed25519-secret:";

/// What is signed begins with this, so that a signature over a hash elsewhere means nothing here.
const PURPOSE: &str = "gantry plug-in, version 1, sha256 ";

/// A publisher's public key, as `ed25519:BASE64`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

/// A publisher's secret key. It is never shown, but for [`SecretKey::reveal`].
pub struct SecretKey(SigningKey);

/// Why a text is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is something else.
    #[error("no {kind} key: write `{prefix}` and 32 bytes in base64")]
    Form {
        /// `public` or `secret`.
        kind: &'static str,
        /// What it begins with.
        prefix: &'static str,
    },
    /// Everybody can make signatures that it accepts.
    #[error("a weak public key, which no `gantry plugin keygen` makes")]
    Weak,
    /// The system gives no random numbers.
    #[error("cannot make a key: the system gives no random numbers")]
    Random,
}

impl PublicKey {
    /// Whether it made the signature of these bytes.
    fn has_signed(&self, sha256: &str, signature: &[u8]) -> bool {
        let signature = ed25519_dalek::Signature::from_slice(signature);
        signature.is_ok_and(|signature| self.0.verify_strict(&message(sha256), &signature).is_ok())
    }
}

impl SecretKey {
    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| KeyError::Random)?;
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }

    /// The key that others check by.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The text to keep in a file that only its owner can read.
    pub fn reveal(&self) -> String {
        format!("{SECRET}{}", BASE64.encode(self.0.as_bytes()))
    }

    /// Signs a plug-in by its hash.
    pub fn sign(&self, sha256: &str) -> Signature {
        Signature {
            sha256: sha256.to_owned(),
            key: self.public(),
            made: BASE64.encode(self.0.sign(&message(sha256)).to_bytes()),
        }
    }
}

fn message(sha256: &str) -> Vec<u8> {
    format!("{PURPOSE}{sha256}").into_bytes()
}

/// What stands in the file beside a plug-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Of the plug-in that was signed.
    sha256: String,
    /// Who signed it.
    key: PublicKey,
    /// What the key made of it, in base64.
    #[serde(rename = "signature")]
    made: String,
}

impl Signature {
    /// Where the signature of a plug-in lies: beside it, `.sig` after its whole name.
    pub fn file(plugin: &Path) -> PathBuf {
        let mut name: OsString = plugin.components().as_path().as_os_str().to_owned();
        name.push(".sig");
        name.into()
    }

    /// Reads the signature of a plug-in; none if it has none.
    ///
    /// # Errors
    /// [`Refusal::BadSignature`] if its file is there and makes no sense.
    pub fn of(plugin: &Path) -> Result<Option<Self>, Refusal> {
        let path = Self::file(plugin);
        let bad = |reason| Refusal::BadSignature { path: path.clone(), reason };
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map(Some)
                .map_err(|error: toml::de::Error| bad(error.message().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(bad(error.to_string())),
        }
    }

    /// Who signed these bytes, if the signature is valid.
    ///
    /// # Errors
    /// [`Refusal::BadSignature`], with what does not fit.
    pub fn signer(&self, plugin: &Path, sha256: &str) -> Result<&PublicKey, Refusal> {
        let bad = |reason| Refusal::BadSignature { path: Self::file(plugin), reason };
        if self.sha256 != sha256 {
            let signed = &self.sha256;
            return Err(bad(format!("it signs sha256 {signed}, the plug-in has {sha256}")));
        }
        let signature = BASE64.decode(&self.made);
        if signature.is_ok_and(|signature| self.key.has_signed(sha256, &signature)) {
            return Ok(&self.key);
        }
        Err(bad(format!("{} did not make it", self.key)))
    }

    /// As it stands in its file.
    pub fn to_toml(&self) -> String {
        let body = toml::to_string(self).expect("invariant: it has text values only");
        format!("# Who vouches for the plug-in beside; see `gantry plugin verify --help`.\n{body}")
    }
}

fn key_bytes(text: &str, kind: &'static str, prefix: &'static str) -> Result<[u8; 32], KeyError> {
    let bytes = text.trim().strip_prefix(prefix).and_then(|text| BASE64.decode(text).ok());
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError::Form { kind, prefix })
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = key_bytes(text, "public", PUBLIC)?;
        let form = KeyError::Form { kind: "public", prefix: PUBLIC };
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| form)?;
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(Self(key)) }
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        key_bytes(text, "secret", SECRET).map(|bytes| Self(SigningKey::from_bytes(&bytes)))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", BASE64.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(***)")
    }
}
