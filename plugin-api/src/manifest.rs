//! The manifest: what a plug-in says about itself, readable from its file without running it.
//!
//! A plug-in's build script writes it ([`crate::build`]), the export macro puts it into an ELF
//! section of its own, and the host reads it from there. It is JSON, so that other languages can
//! write it too.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

/// What a plug-in is, can do, and wants to be configured with.
///
/// The manifest in the library's memory must equal the one in its file, compared as parsed JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The name the operator writes in `plugin = "…"`: lower snake case.
    pub name: String,
    /// The plug-in's own version.
    pub version: String,
    /// One sentence on what it connects to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How the plug-in is started where it is a program, not a library: the program and its
    /// arguments, in the plug-in's own folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// JSON Schema of `[source.NAME] config`.
    pub config: Schema,
    /// Present if the plug-in captures records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<CaptureRole>,
    /// Present if the plug-in answers look-ups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup: Option<Role>,
    /// Present if the plug-in delivers callbacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Role>,
    /// Keys of the source's config, as dotted paths, whose secret the source replaces while it is
    /// used: the hub keeps what `Context::rotated` gives back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotates: Vec<String>,
    /// What the plug-in needs from the machine.
    #[serde(default)]
    pub permissions: Permissions,
    /// What it was built with; for diagnosis, never a reason to refuse it.
    #[serde(default)]
    pub build: BuildInfo,
    /// Keys of a later version of this format, kept for the comparison of file and memory.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// The capture side of a plug-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaptureRole {
    /// How records can reach the hub; at least one.
    pub modes: Vec<CaptureMode>,
    /// Whether it lends what it gives (`Record::lease`) and extends that (`Capture::extend`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leases: bool,
    /// JSON Schema of the settings in `[capture.NAME]`.
    pub settings: Schema,
}

/// The look-up or the callback side of a plug-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// JSON Schema of the settings in `[lookup.NAME]` or `[callback.NAME]`.
    pub settings: Schema,
}

/// How a capture point gets its records.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema
)]
#[serde(rename_all = "snake_case")]
pub enum CaptureMode {
    /// The hub asks on a schedule: `Capture::poll`.
    Poll,
    /// The plug-in pushes for as long as it is allowed to: `Capture::stream`.
    Stream,
    /// The hub's own server received a request: `Capture::http`.
    Http,
}

/// What a plug-in may touch. Enforced in a child process; in the hub's own process only declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// Hosts and ports it connects to (`host:port`, `*:443`); a key of the config as `config:KEY`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<String>,
    /// Paths it reads; a key of the config as `config:KEY`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Paths it writes; a key of the config as `config:KEY`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Programs it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<String>,
    /// Environment variables it reads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

/// What a plug-in was built with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildInfo {
    /// First line of `rustc -V`.
    pub rustc: String,
    /// Target triple.
    pub target: String,
    /// Cargo's profile: `debug` or `release`.
    pub profile: String,
    /// `unwind` or `abort`.
    pub panic: String,
    /// Version of the `gantry-plugin-api` crate.
    pub plugin_api: String,
    /// Version of tokio in the lock file, if one was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokio: Option<String>,
}
