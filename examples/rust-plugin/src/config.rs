//! What the operator writes; `build.rs` includes this file too, so it needs only serde and
//! schemars.

use schemars::JsonSchema;
use serde::Deserialize;

/// A row of numbers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The number to stop at.
    pub(crate) last: u64,
}

/// Which of the numbers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptureSettings {
    /// How far apart the numbers are; 1 if absent.
    #[serde(default = "one")]
    pub(crate) step: u64,
}

/// Says whether a number is even.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupSettings {}

fn one() -> u64 {
    1
}
