//! Secrets: given by reference, resolved at start, never in a config version or a log.

use serde_json::Value as Json;
use thiserror::Error;

use crate::schema::Schemas;

/// Largest file that is taken for a secret, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference<'v> {
    /// `{ env = "NAME" }`
    Env(&'v str),
    /// `{ file = "PATH" }`
    File(&'v str),
}

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
    /// A secret stands there in plain text.
    #[error(
        "cannot resolve secret `{place}`: it is no reference; write {{ env = \"NAME\" }} or \
         {{ file = \"PATH\" }}"
    )]
    NoReference {
        /// Where the secret stands, as a JSON pointer.
        place: String,
    },
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
        _ => None,
    }
}

fn secret(value: &Json, pointer: &str) -> Result<String, SecretError> {
    let place = || pointer.to_owned();
    match reference(value) {
        Some(Reference::Env(name)) => std::env::var(name)
            .map_err(|_| SecretError::Env { place: place(), name: name.to_owned() }),
        Some(Reference::File(path)) => {
            let text = read(path).map_err(|source| {
                let path = path.to_owned();
                SecretError::File { place: place(), path, source }
            })?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        None => Err(SecretError::NoReference { place: place() }),
    }
}

fn read(path: &str) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > SECRET_BYTES_MAX {
        let message = format!("it is larger than {SECRET_BYTES_MAX} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    std::fs::read_to_string(path)
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
