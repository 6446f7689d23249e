//! Writes the manifest from the configuration types.

#[path = "src/config.rs"]
#[allow(dead_code, reason = "only the schemas are derived here")]
mod config;

use gantry_plugin_api::CaptureMode::{Http, Poll, Stream};
use gantry_plugin_api::Permissions;
use gantry_plugin_api::build::{self, Plugin};

fn main() -> Result<(), build::Error> {
    let permissions = Permissions { exec: vec!["/bin/sleep".to_owned()], ..Permissions::default() };
    Plugin::new("misbehaving")
        .config::<config::Config>()
        .capture::<config::Settings>([Poll, Stream, Http])
        .lookup::<config::Settings>()
        .callback::<config::Settings>()
        .permissions(permissions)
        .write()
}
