//! Writes the manifest from the configuration types.

#[path = "src/config.rs"]
#[allow(dead_code, reason = "only the schemas are derived here")]
mod config;

use gantry_plugin_api::CaptureMode;
use gantry_plugin_api::build::{self, Plugin};

fn main() -> Result<(), build::Error> {
    Plugin::new("counter")
        .config::<config::Config>()
        .capture::<config::CaptureSettings>([CaptureMode::Poll])
        .lookup::<config::LookupSettings>()
        .write()
}
