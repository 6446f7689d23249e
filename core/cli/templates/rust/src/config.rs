//! What the operator writes; `build.rs` includes this file too, so it needs only serde, schemars
//! and the types of the API.

use gantry_plugin_api::{HumanDuration, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// The other system.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where it answers: `http://127.0.0.1:7878`.
    pub(crate) endpoint: String,
    /// Sent as a bearer token: `{ env = "OTHER_SYSTEM_TOKEN" }`.
    #[serde(default)]
    pub(crate) token: Option<Secret<String>>,
    /// For one request.
    #[serde(default = "ten_seconds")]
    pub(crate) timeout: HumanDuration,
}

fn ten_seconds() -> HumanDuration {
    "10s".parse().expect("invariant: it is a span of time")
}
//@if capture

/// Which things become items.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptureSettings {
    /// Where they are listed: `/things`.
    pub(crate) path: String,
}
//@end
//@if lookup

/// What is looked up.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupSettings {
    /// Where it is found: `/owners`, to which `/KEY` is added.
    pub(crate) path: String,
    /// The attribute of the item that has the key, such as `customer_id`.
    pub(crate) attribute: String,
}
//@end
//@if callback

/// Whom to tell.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallbackSettings {
    /// Where events are posted to: `/events`.
    pub(crate) path: String,
}
//@end
