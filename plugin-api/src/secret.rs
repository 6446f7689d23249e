//! A configuration value that must never be seen: passwords, tokens, keys.
//!
//! The operator gives a secret by reference (`{ env = "X" }`, `{ file = "…" }`); the hub resolves
//! the reference and hands over the value when it creates the instance. From then on the type
//! guards it: it prints as `***` wherever it is formatted or serialised, and is wiped from memory
//! when dropped.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretBox};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands in place of a secret wherever one would be printed.
pub const REDACTED: &str = "***";

/// The schema keyword that marks a secret: the hub takes it as a reference only, and scrubs its
/// value.
pub const SCHEMA_KEYWORD: &str = "x-gantry-secret";

/// A secret value; `Debug` and `Serialize` give `***`, the schema carries `"x-gantry-secret":
/// true`.
///
/// Call [`Secret::expose`] where the value is used, and keep no copy of it.
pub struct Secret<T: Zeroize = String>(SecretBox<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes a value in custody.
    pub fn new(value: T) -> Self {
        Self(SecretBox::new(Box::new(value)))
    }

    /// Gives the value itself: the only way to it.
    pub fn expose(&self) -> &T {
        self.0.expose_secret()
    }
}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self::new(self.expose().clone())
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

impl<T: Zeroize> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<T: Zeroize + JsonSchema> JsonSchema for Secret<T> {
    // Inlined, so that the mark stands at the property itself and no reader has to follow a `$ref`.
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Secret_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.insert(SCHEMA_KEYWORD.to_owned(), true.into());
        schema.insert("writeOnly".to_owned(), true.into());
        schema
    }
}
