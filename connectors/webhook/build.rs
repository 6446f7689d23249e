//! Writes the manifest from the types in `src/config.rs`.

#[path = "src/config.rs"]
#[allow(dead_code, reason = "a build script only derives the schemas")]
mod config;

use gantry_plugin_api::build::{self, Plugin};
use gantry_plugin_api::{CaptureMode, Permissions};

fn main() -> Result<(), build::Error> {
    println!("cargo::rerun-if-changed=src/config.rs");
    let permissions = Permissions {
        network: vec!["config:endpoint".to_owned()],
        read: vec!["config:tls_ca".to_owned()],
        ..Permissions::default()
    };
    Plugin::new("webhook")
        .config::<config::Config>()
        .capture::<config::Settings>([CaptureMode::Http])
        .callback::<config::CallbackSettings>()
        .permissions(permissions)
        .write()
}
