//! Secrets: given by reference, resolved at start, never in a config version or a log.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use thiserror::Error;

use crate::schema::{Schemas, tokens};

/// Largest file that is taken for a secret, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// How references to secrets begin.
pub(crate) const KINDS: [&str; 3] = ["env", "file", "credential"];

/// Where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference<'v> {
    /// `{ env = "NAME" }`
    Env(&'v str),
    /// `{ file = "PATH" }`
    File(&'v str),
    /// `{ credential = "NAME" }`: what systemd's `LoadCredential=` hands to the service.
    Credential(&'v str),
}

/// Where systemd puts the credentials of a service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// The bits of a file's mode that let everybody read it.
const READ_BY_OTHERS: u32 = 0o004;

/// Why a secret cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment variable is not set.
    #[error(
        "cannot resolve secret `{place}`: the environment variable `{name}` is not set (or write \
         {{ file = \"…\" }})"
    )]
    Env {
        /// Where the secret stands, as a JSON pointer.
        place: String,
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot resolve secret `{place}`: cannot read the file `{path}`")]
    File {
        /// Where the secret stands, as a JSON pointer.
        place: String,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The service has no such credential.
    #[error(
        "cannot resolve secret `{place}`: there is no credential `{name}`; write \
         LoadCredential={name}:PATH into the [Service] section of the hub's systemd unit"
    )]
    Credential {
        /// Where the secret stands, as a JSON pointer.
        place: String,
        /// The credential.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The value is nothing.
    #[error("cannot resolve secret `{place}`: {{ {reference} }} is empty")]
    Empty {
        /// Where the secret stands, as a JSON pointer.
        place: String,
        /// What it refers to.
        reference: String,
    },
    /// A secret stands there in plain text.
    #[error(
        "cannot resolve secret `{place}`: it is no reference; write {{ env = \"NAME\" }}, \
         {{ file = \"PATH\" }} or {{ credential = \"NAME\" }}"
    )]
    NoReference {
        /// Where the secret stands, as a JSON pointer.
        place: String,
    },
}

impl SecretError {
    /// Where the secret stands, as a dotted path.
    pub fn field(&self) -> String {
        let (Self::Env { place, .. }
        | Self::File { place, .. }
        | Self::Credential { place, .. }
        | Self::Empty { place, .. }
        | Self::NoReference { place }) = self;
        tokens(place).join(".")
    }
}

/// Puts the values of secrets in place of the references to them.
///
/// Gives the resolved value and the secrets in it, which the caller scrubs from all logs. A file
/// loses the line end at its end. Relative paths start at the working folder of the process.
///
/// # Errors
/// All secrets that cannot be had, so that an operator mends them in one go.
pub fn resolve_secrets(
    value: &Json,
    schema: &Json,
) -> Result<(Json, Vec<String>), Vec<SecretError>> {
    let mut resolver = Resolver { secrets: Vec::new(), errors: Vec::new() };
    let resolved = resolver.resolve(value, &Schemas::new(schema), "");
    if resolver.errors.is_empty() { Ok((resolved, resolver.secrets)) } else { Err(resolver.errors) }
}

struct Resolver {
    secrets: Vec<String>,
    errors: Vec<SecretError>,
}

impl Resolver {
    fn resolve(&mut self, value: &Json, schemas: &Schemas<'_>, pointer: &str) -> Json {
        if schemas.secret() && !value.is_null() {
            return match secret(value, pointer) {
                Ok(text) => {
                    self.secrets.push(text.clone());
                    // A secret that is a number is written as one.
                    match (schemas.placeholder(), text.parse::<i64>()) {
                        (Json::Number(_), Ok(number)) => Json::from(number),
                        _ => Json::from(text),
                    }
                }
                Err(error) => {
                    self.errors.push(error);
                    Json::Null
                }
            };
        }
        match value {
            Json::Object(map) => {
                let parts = map.iter().map(|(key, part)| {
                    let pointer = format!("{pointer}/{}", escaped(key));
                    (key.clone(), self.resolve(part, &schemas.of_key(key), &pointer))
                });
                Json::Object(parts.collect())
            }
            Json::Array(list) => {
                let parts = list.iter().enumerate().map(|(at, part)| {
                    self.resolve(part, &schemas.of_item(at), &format!("{pointer}/{at}"))
                });
                Json::Array(parts.collect())
            }
            other => other.clone(),
        }
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Reads a reference, if the value is one.
pub(crate) fn reference(value: &Json) -> Option<Reference<'_>> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let (kind, target) = map.iter().next()?;
    let target = target.as_str().filter(|target| !target.is_empty())?;
    match kind.as_str() {
        "env" => Some(Reference::Env(target)),
        "file" => Some(Reference::File(target)),
        // A name, never a path out of the folder.
        "credential" if !target.contains('/') && target != ".." => {
            Some(Reference::Credential(target))
        }
        _ => None,
    }
}

fn secret(value: &Json, pointer: &str) -> Result<String, SecretError> {
    let place = || pointer.to_owned();
    let reference = reference(value).ok_or_else(|| SecretError::NoReference { place: place() })?;
    let (text, shown) = match reference {
        Reference::Env(name) => {
            let text = std::env::var(name)
                .map_err(|_| SecretError::Env { place: place(), name: name.to_owned() })?;
            (text, format!("env = \"{name}\""))
        }
        Reference::File(path) => {
            let text = read(Path::new(path)).map_err(|source| {
                let path = path.to_owned();
                SecretError::File { place: place(), path, source }
            })?;
            (text, format!("file = \"{path}\""))
        }
        Reference::Credential(name) => {
            let text = credential(name).and_then(|path| read(&path)).map_err(|source| {
                SecretError::Credential { place: place(), name: name.to_owned(), source }
            })?;
            (text, format!("credential = \"{name}\""))
        }
    };
    if text.is_empty() {
        return Err(SecretError::Empty { place: place(), reference: shown });
    }
    Ok(text)
}

fn credential(name: &str) -> std::io::Result<PathBuf> {
    let folder = std::env::var_os(CREDENTIALS).ok_or_else(|| {
        let message = format!("{CREDENTIALS} is not set, as systemd does for services");
        std::io::Error::new(std::io::ErrorKind::NotFound, message)
    })?;
    Ok(Path::new(&folder).join(name))
}

/// A file without the line end at its end.
fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > SECRET_BYTES_MAX {
        let message = format!("it is larger than {SECRET_BYTES_MAX} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    let text = std::fs::read_to_string(path)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Something about the file of a secret that its owner should know.
pub(crate) struct Doubt {
    pub(crate) message: String,
    pub(crate) help: String,
}

/// What is doubtful about the file that a reference names, without reading it. Relative paths
/// start at `folder`. Variables, and credentials outside a service, are of another environment
/// than the hub's, so nothing is said of them.
pub(crate) fn doubt(reference: Reference<'_>, folder: &Path) -> Option<Doubt> {
    let (path, absent) = match reference {
        Reference::Env(_) => return None,
        Reference::File(path) => {
            let help = "write the secret into the file, and let only the hub's user read it";
            (folder.join(path), help.to_owned())
        }
        Reference::Credential(name) => {
            let help = format!("write LoadCredential={name}:PATH into the hub's systemd unit");
            (credential(name).ok()?, help)
        }
    };
    let shown = path.display();
    match std::fs::metadata(&path) {
        Err(error) => {
            let message = format!("the secret cannot be had from {shown}: {error}");
            Some(Doubt { message, help: absent })
        }
        Ok(about) if about.mode() & READ_BY_OTHERS != 0 => {
            let message = format!("everybody on this machine can read the secret in {shown}");
            Some(Doubt { message, help: format!("run: chmod o-rwx {shown}") })
        }
        Ok(_) => None,
    }
}

/// Finds all secrets of a value: where they stand, and what stands there now. Puts placeholders
/// in their place, so that the rest can be checked against the schema.
pub(crate) fn mask(value: &mut Json, schema: &Json) -> Vec<(String, Json)> {
    let mut found = Vec::new();
    mask_part(value, &Schemas::new(schema), "", &mut found);
    found
}

fn mask_part(
    value: &mut Json,
    schemas: &Schemas<'_>,
    pointer: &str,
    found: &mut Vec<(String, Json)>,
) {
    if schemas.secret() && !value.is_null() {
        let was = std::mem::replace(value, schemas.placeholder());
        found.push((pointer.to_owned(), was));
        return;
    }
    match value {
        Json::Object(map) => {
            for (key, part) in map {
                let pointer = format!("{pointer}/{}", escaped(key));
                mask_part(part, &schemas.of_key(key), &pointer, found);
            }
        }
        Json::Array(list) => {
            for (at, part) in list.iter_mut().enumerate() {
                mask_part(part, &schemas.of_item(at), &format!("{pointer}/{at}"), found);
            }
        }
        _ => {}
    }
}
