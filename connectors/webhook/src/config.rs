//! What the operator writes; `build.rs` includes this file too, so it needs only serde and
//! schemars.

use std::num::NonZeroU32;

use gantry_plugin_api::{HumanDuration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The receiver of callbacks. To receive webhooks nothing of it is needed: what is let in stands at
/// the capture point.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Callbacks: the receiver's address, such as `https://crm.example/hooks/gantry`.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,
    /// Callbacks: a file with the certificates to trust (PEM), instead of the public ones.
    #[serde(default)]
    pub(crate) tls_ca: Option<String>,
    /// Callbacks: how long the receiver may take to answer.
    #[serde(default = "request_timeout")]
    pub(crate) request_timeout: HumanDuration,
}

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
    /// If set, only CloudEvents 1.0 are taken, structured, binary or in batches: each is a record,
    /// as an object with the event's attributes and its `data`. Not together with `records`. With
    /// `{}` nobody passes the handshake, and events of those who do not ask first are taken.
    #[serde(default)]
    pub(crate) cloud_events: Option<CloudEvents>,
    /// The longest body, in bytes, 1 to 16777216. The hub's own server may allow
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
    /// How far the sender's clock may be from the hub's, both ways, in whole seconds.
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

/// What senders of CloudEvents are told before they send.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudEvents {
    /// Whoever asks by the handshake (`OPTIONS`) from one of these hosts may send; `*` stands for
    /// any. It is a courtesy of senders: what lets requests in is `auth`.
    #[serde(default)]
    pub(crate) origins: Vec<String>,
    /// How many requests a minute they are told that they may send; default: any number.
    #[serde(default)]
    pub(crate) rate: Option<NonZeroU32>,
}

/// How events are posted: `[callback.NAME] settings`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallbackSettings {
    /// The keys that each event is signed with, 1 to 8, each `whsec_` and 24 to 64 bytes in base64.
    /// To change a key, sign with both until the receiver knows the new one.
    #[schemars(length(min = 1, max = 8))]
    pub(crate) secrets: Vec<Secret<String>>,
    /// A path behind the source's `endpoint`; from the server's root if it begins with `/`.
    #[serde(default)]
    pub(crate) path: String,
    /// What the body is.
    #[serde(default)]
    pub(crate) format: Format,
    /// CloudEvents: the attribute `source`, which names this hub.
    #[serde(default = "event_source")]
    pub(crate) event_source: String,
}

/// What the body of a callback is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// `{"type": "item.done", "timestamp": "…", "data": {…}}`
    #[default]
    StandardWebhooks,
    /// A CloudEvent 1.0, structured, of type `gantry.item.done`.
    CloudEvents,
}

fn request_timeout() -> HumanDuration {
    HumanDuration::from_secs(15)
}

fn event_source() -> String {
    "urn:gantry".to_owned()
}

fn max_body_bytes() -> usize {
    1024 * 1024
}

fn tolerance() -> HumanDuration {
    HumanDuration::from_secs(300)
}
