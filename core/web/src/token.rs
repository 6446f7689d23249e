//! Bearer tokens: signed statements of who somebody is and what they may do.
//!
//! A token is `gantry_`, the claims as JSON in base64url, a dot, and the HMAC-SHA-256 of
//! everything before the dot. Nothing is stored, so a token cannot be taken back one by one: give
//! it an end, or replace the key file, which ends all tokens at once.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantry_model::{AgentId, Name, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

/// What every token begins with, so that people and secret scanners recognise it.
const PREFIX: &str = "gantry_";
/// Length of the key in bytes: that of the hash, which is the strongest that HMAC can use.
const KEY_BYTES: usize = 32;
/// Longest token that is looked at; the largest claims need about a quarter of it.
const TOKEN_BYTES_MAX: usize = 2048;
/// Permission bits of group and others, none of which a key file may have.
const EXPOSED: u32 = 0o077;

/// Who the bearer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Name of the person or program, for the journal.
    pub name: Name,
    /// What the bearer may do.
    #[serde(flatten)]
    pub role: Role,
    /// The token is refused from this instant on; none = it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What the bearer of a token may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Role {
    /// Works at one agent's desk.
    Agent {
        /// Whose desk.
        agent: AgentId,
    },
    /// Sees and steers all work.
    Supervisor,
    /// Everything but acting as an agent.
    Administrator,
    /// Captures work items and sends messages about them.
    Integrator {
        /// The only capture point it may use; none = all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capture_point: Option<Name>,
    },
    /// Reads everything, changes nothing.
    Auditor,
}

/// The key that signs tokens.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

/// Why a token is refused.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// It does not have the form of a token.
    #[error("the token is not one of Gantry's: it must start with gantry_ and hold one dot")]
    Form,
    /// Somebody changed it, or it was signed with another key.
    #[error("the token's signature does not fit: it was changed, or signed by another hub")]
    Signature,
    /// Its end has come.
    #[error("the token ended at {0}; ask for a new one")]
    Expired(Timestamp),
}

/// Why the key file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Reading or writing failed.
    #[error("cannot {action} the token key {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file does not hold a key.
    #[error(
        "the token key {path} holds {found} bytes, not {KEY_BYTES}; delete it to make a new one"
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// How many bytes it has.
        found: usize,
    },
    /// Others can read it.
    #[error("the token key {path} can be read by others; run chmod 600 on it, or delete it")]
    Exposed {
        /// The file.
        path: PathBuf,
    },
}

impl Key {
    /// Makes a key from 32 bytes.
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let mac = Hmac::new_from_slice(bytes).expect("invariant: HMAC takes keys of any length");
        Self(mac)
    }

    /// Reads the key file, or makes one that only its owner can read. Two processes that start at
    /// once end up with the same key.
    ///
    /// # Errors
    /// [`KeyError`]: the hub must not start, since nobody could sign in.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                Self::load(path)
            }
            loaded => loaded,
        }
    }

    fn load(path: &Path) -> Result<Self, KeyError> {
        let at = |source| failed("read", path, source);
        let mode = fs::metadata(path).map_err(at)?.permissions().mode();
        if mode & EXPOSED != 0 {
            return Err(KeyError::Exposed { path: path.to_owned() });
        }
        let bytes = fs::read(path).map_err(at)?;
        let found = bytes.len();
        let bytes: [u8; KEY_BYTES] =
            bytes.try_into().map_err(|_| KeyError::Length { path: path.to_owned(), found })?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Signs claims.
    pub fn issue(&self, claims: &Claims) -> String {
        let json = serde_json::to_vec(claims).expect("invariant: claims have text keys only");
        let mut token = String::from(PREFIX);
        URL_SAFE_NO_PAD.encode_string(json, &mut token);
        let tag = self.0.clone().chain_update(token.as_bytes()).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut token);
        token
    }

    /// Reads a token that this key signed. Signatures are compared in constant time.
    ///
    /// # Errors
    /// [`TokenError`]; none of them says how close a guess was.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Form);
        }
        let (signed, tag) = token.split_once('.').ok_or(TokenError::Form)?;
        let claims = signed.strip_prefix(PREFIX).ok_or(TokenError::Form)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| TokenError::Form)?;
        let mac = self.0.clone().chain_update(signed.as_bytes());
        mac.verify_slice(&tag).map_err(|_| TokenError::Signature)?;
        let json = URL_SAFE_NO_PAD.decode(claims).map_err(|_| TokenError::Form)?;
        let claims: Claims = serde_json::from_slice(&json).map_err(|_| TokenError::Form)?;
        match claims.expires_at {
            Some(end) if now >= end => Err(TokenError::Expired(end)),
            _ => Ok(claims),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Role {
    /// The role in the words of API and pages.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Agent { .. } => "agent",
            Self::Supervisor => "supervisor",
            Self::Administrator => "administrator",
            Self::Integrator { .. } => "integrator",
            Self::Auditor => "auditor",
        }
    }
}

/// Writes text that only the owner of the process may read, replacing what was there: for the
/// administrator's token that the hub leaves beside its store for the command line.
///
/// # Errors
/// [`KeyError::Io`].
pub fn write_private(path: &Path, text: &str) -> Result<(), KeyError> {
    let fresh = write_beside(path, text.as_bytes())?;
    fs::rename(&fresh, path).map_err(|source| failed("replace", path, source))
}

/// Makes the key file, unless another process is faster.
fn create(path: &Path) -> Result<(), KeyError> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        failed("draw random bytes for", path, io::Error::other(error.to_string()))
    })?;
    let fresh = write_beside(path, &bytes)?;
    // A link, not a rename: it never replaces a key that is there.
    let linked = match fs::hard_link(&fresh, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(|source| failed("create", path, source)),
    };
    fs::remove_file(&fresh).map_err(|source| failed("tidy up after", path, source))?;
    linked
}

/// Writes a complete file next to `path`, so that nobody ever reads half of one.
fn write_beside(path: &Path, bytes: &[u8]) -> Result<PathBuf, KeyError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(name);
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| failed("write", &fresh, source))?;
    Ok(fresh)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> KeyError {
    KeyError::Io { action, path: path.to_owned(), source }
}
