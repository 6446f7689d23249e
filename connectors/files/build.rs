//! Writes the manifest from the types in `src/config.rs`.

#[path = "src/config.rs"]
#[allow(dead_code, reason = "a build script only derives the schemas")]
mod config;

use gantry_plugin_api::build::{self, Plugin};
use gantry_plugin_api::{CaptureMode, Permissions};

fn main() -> Result<(), build::Error> {
    println!("cargo::rerun-if-changed=src/config.rs");
    let permissions = Permissions {
        read: vec!["config:folder".to_owned()],
        write: vec!["config:folder".to_owned()],
        ..Permissions::default()
    };
    Plugin::new("files")
        .config::<config::Config>()
        .capture::<config::Settings>([CaptureMode::Poll])
        .permissions(permissions)
        .write()
}
