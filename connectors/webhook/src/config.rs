//! What the operator writes; `build.rs` includes this file too, so it needs only serde and
//! schemars.

use gantry_plugin_api::{HumanDuration, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// Senders of webhooks; all there is to say stands at the capture point.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {}

/// What is let in at the capture point's own path, and what is a record in it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// How a sender proves who it is.
    pub(crate) auth: Auth,
    /// JSON pointer (RFC 6901) to an array in the body, such as `/items`: each element is a record.
    /// If absent, the body is a record, or, where it is an array, each of its elements.
    #[serde(default)]
    pub(crate) records: Option<String>,
    /// The longest body, in bytes, 1 to 16777216; default 1048576. The hub's own server may allow
    /// less.
    #[serde(default = "max_body_bytes")]
    #[schemars(range(min = 1, max = 16_777_216))]
    pub(crate) max_body_bytes: usize,
}

/// How a sender proves who it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Auth {
    /// Each request is signed, as Standard Webhooks has it: HMAC-SHA256, signature tag `v1`.
    StandardWebhooks(StandardWebhooks),
    /// Each request carries `Authorization: Bearer TOKEN`.
    Bearer(Bearer),
}

/// Keys and clock of signed requests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StandardWebhooks {
    /// The keys in force, 1 to 8, each `whsec_` and 24 to 64 bytes in base64. To change a key, add
    /// the new one, let the sender change, then remove the old one.
    #[schemars(length(min = 1, max = 8))]
    pub(crate) secrets: Vec<Secret<String>>,
    /// How far the sender's clock may be from the hub's, both ways, in whole seconds; default `5m`.
    #[serde(default = "tolerance")]
    pub(crate) tolerance: HumanDuration,
}

/// Tokens of senders that do not sign.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bearer {
    /// The tokens in force, 1 to 8, each of at least 16 letters, digits or characters of `-._~+/=`.
    #[schemars(length(min = 1, max = 8))]
    pub(crate) tokens: Vec<Secret<String>>,
}

fn max_body_bytes() -> usize {
    1024 * 1024
}

fn tolerance() -> HumanDuration {
    HumanDuration::from_secs(300)
}
