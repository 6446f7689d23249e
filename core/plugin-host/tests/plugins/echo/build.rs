//! Writes the manifest from the configuration types.

#[path = "src/config.rs"]
#[allow(dead_code, reason = "only the schemas are derived here")]
mod config;

use gantry_plugin_api::build::{self, Plugin};

fn main() -> Result<(), build::Error> {
    Plugin::new("echo").config::<config::Config>().lookup::<config::Settings>().write()
}
