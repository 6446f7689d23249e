//! Writes the manifest from the configuration types.

#[path = "src/config.rs"]
#[allow(dead_code, reason = "only the schemas are derived here")]
mod config;

use gantry_plugin_api::CaptureMode::{Http, Poll, Stream};
use gantry_plugin_api::build::{self, Plugin};

fn main() -> Result<(), build::Error> {
    Plugin::new("misbehaving")
        .config::<config::Config>()
        .capture::<config::Settings>([Poll, Stream, Http])
        .lookup::<config::Settings>()
        .callback::<config::Settings>()
        .write()
}
