//! How to answer.

use schemars::JsonSchema;
use serde::Deserialize;

/// The instance itself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {}

/// The look-up.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Whether each query is read and written as JSON, and not only passed on.
    #[serde(default)]
    pub(crate) json: bool,
}
