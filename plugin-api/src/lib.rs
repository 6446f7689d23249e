//! All that the author of a Gantry plug-in imports. A whole plug-in:
//!
//! ```ignore
//! // src/config.rs: what the operator writes. build.rs includes it too: only serde and schemars.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! pub struct Config {
//!     /// Where the shop answers.
//!     pub endpoint: String,
//!     /// Its key: `{ env = "SHOP_KEY" }`.
//!     pub key: Secret<String>,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! pub struct Orders {}
//!
//! // build.rs: writes the manifest, see the module `build`.
//! Plugin::new("shop").config::<Config>().capture::<Orders>([CaptureMode::Poll]).write()
//!
//! // src/lib.rs: what it does.
//! struct Shop { config: Config }
//!
//! impl Plugin for Shop {
//!     type Config = Config;
//!     fn create(config: Config, _: &Context) -> Result<Self, Error> { Ok(Self { config }) }
//! }
//!
//! impl Capture for Shop {
//!     type Settings = Orders;
//!     async fn poll(&self, _: &Orders, _: &Context, from: Option<&Position>, limit: usize)
//!         -> Result<Batch, Error>
//!     {
//!         let page = self.orders_after(from, limit).await
//!             .map_err(|error| Error::transient("cannot list orders").because(&error))?;
//!         Ok(Batch { records: page.orders, position_after: Some(page.end), more: page.more })
//!     }
//! }
//!
//! export_plugin! {
//!     plugin: Shop,
//!     roles: [capture],
//!     manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
//! }
//! ```
//!
//! `crate-type = ["cdylib"]` in `Cargo.toml`, this crate as dependency and, with
//! `default-features = false`, as build dependency: that is all. A runnable one stands in
//! `examples/rust-plugin`. No `unsafe` is needed: keep `#![forbid(unsafe_code)]` at the top.
//!
//! Start reading at [`Plugin`]; then the role's trait ([`Capture`], [`Lookup`], [`Callback`]) and
//! [`Error`]. The crate knows nothing of the hub. Behind it: `message` is what the two sides say,
//! `abi` how it crosses a shared library's border and
//! `frame` that of a process, `runtime` what the export macro wires up.
#![deny(missing_docs)]

pub mod build;
pub mod duration;
pub mod manifest;
pub mod moment;
pub mod secret;

#[cfg(feature = "plugin")]
#[doc(hidden)]
pub mod abi;
#[cfg(feature = "plugin")]
#[doc(hidden)]
pub mod frame;
#[cfg(feature = "plugin")]
#[doc(hidden)]
pub mod runtime;

#[cfg(feature = "plugin")]
mod context;
#[cfg(feature = "plugin")]
mod emitter;
#[cfg(feature = "plugin")]
pub mod error;
#[cfg(feature = "plugin")]
pub mod message;
#[cfg(feature = "plugin")]
mod plugin;
#[cfg(feature = "plugin")]
mod rotation;

pub use duration::HumanDuration;
pub use manifest::{CaptureMode, Manifest, Permissions};
pub use moment::HumanMoment;
pub use secret::Secret;

#[cfg(feature = "plugin")]
pub use context::Context;
#[cfg(feature = "plugin")]
pub use emitter::Emitter;
#[cfg(feature = "plugin")]
pub use error::{Error, ErrorClass};
#[cfg(feature = "plugin")]
pub use message::{
    Answer, Batch, ConfigFault, Delivery, DeliveryOutcome, Extended, HttpCapture, HttpRequest,
    HttpResponse, Json, Lease, MessageKind, Outcome, Position, Query, Record, RecordOutcome,
    ResponseBody, ResponseTemplate, RoleName, Suggest, Suggestion,
};
#[cfg(feature = "plugin")]
pub use plugin::{Callback, Capture, Lookup, Plugin};

#[cfg(all(test, feature = "plugin"))]
mod tests;
