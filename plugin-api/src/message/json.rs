//! JSON that travels as bytes: it is parsed where it is used, and nowhere on the way.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::field;
use crate::error::Error;

/// A JSON object in UTF-8 bytes, not yet parsed; by default `{}`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(transparent)]
pub struct Json(
    #[n(0)]
    #[cbor(with = "field::bytes")]
    #[serde(with = "field::json_value")]
    Bytes,
);

impl Json {
    /// Takes bytes as they are; what reads them finds out whether they are JSON.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// Writes a value, such as a `serde_json::Map` or a struct of the author's.
    ///
    /// # Errors
    /// Of class `permanent` if the value cannot be JSON, such as a map with keys that are no text.
    pub fn of(value: &impl Serialize) -> Result<Self, Error> {
        serde_json::to_vec(value)
            .map(Self::from_bytes)
            .map_err(|error| Error::permanent("cannot write a value as JSON").because(&error))
    }

    /// Parses into the author's type.
    ///
    /// # Errors
    /// Of class `permanent`, naming the path inside the document.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        // Keeping track of the path costs more than parsing, so it is done only where it is needed.
        serde_json::from_slice(&self.0).or_else(|_| {
            let reader = &mut serde_json::Deserializer::from_slice(&self.0);
            serde_path_to_error::deserialize(reader)
                .map_err(|error| Error::permanent("cannot read JSON").because(&error))
        })
    }

    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes themselves, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Default for Json {
    fn default() -> Self {
        Self(Bytes::from_static(b"{}"))
    }
}
