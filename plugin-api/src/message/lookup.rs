//! The operation of the look-up role.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::json::Json;
use crate::error::Error;

/// One question to another system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Query {
    /// The attributes the operator's mapping asks with: a JSON object.
    #[n(0)]
    pub attributes: Json,
    /// W3C trace context of what the question is about.
    #[n(1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Query {
    /// A question with these attributes.
    pub fn new(attributes: Json) -> Self {
        Self { attributes, traceparent: None }
    }
}

/// What the other system knows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// A JSON object; the operator's mapping picks from it.
    #[n(0)]
    pub attributes: Json,
}

impl Answer {
    /// An answer with these attributes.
    pub fn new(attributes: Json) -> Self {
        Self { attributes }
    }
}

/// One answer as it travels; the typed side has `Result<Option<Answer>, Error>`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answered {
    /// The other system knows this.
    #[n(0)]
    Found(#[n(0)] Answer),
    /// The other system has no such key; that is an answer, not an error.
    #[n(1)]
    Missing,
    /// This one question failed.
    #[n(2)]
    Failed(#[n(0)] Error),
}

impl From<Result<Option<Answer>, Error>> for Answered {
    fn from(result: Result<Option<Answer>, Error>) -> Self {
        match result {
            Ok(Some(answer)) => Self::Found(answer),
            Ok(None) => Self::Missing,
            Err(error) => Self::Failed(error),
        }
    }
}

impl From<Answered> for Result<Option<Answer>, Error> {
    fn from(answered: Answered) -> Self {
        match answered {
            Answered::Found(answer) => Ok(Some(answer)),
            Answered::Missing => Ok(None),
            Answered::Failed(error) => Err(error),
        }
    }
}
