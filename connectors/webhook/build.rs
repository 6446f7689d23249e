//! Writes the manifest from the types in `src/config.rs`.

#[path = "src/config.rs"]
#[allow(dead_code, reason = "a build script only derives the schemas")]
mod config;

use gantry_plugin_api::CaptureMode;
use gantry_plugin_api::build::{self, Plugin};

fn main() -> Result<(), build::Error> {
    println!("cargo::rerun-if-changed=src/config.rs");
    Plugin::new("webhook")
        .config::<config::Config>()
        .capture::<config::Settings>([CaptureMode::Http])
        .write()
}
