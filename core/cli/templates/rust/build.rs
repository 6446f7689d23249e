//! Writes the manifest from the configuration types.

#[path = "src/config.rs"]
#[allow(dead_code, reason = "only the schemas are derived here")]
mod config;

//@if capture
use gantry_plugin_api::CaptureMode;
//@end
use gantry_plugin_api::Permissions;
use gantry_plugin_api::build::{self, Plugin};

fn main() -> Result<(), build::Error> {
    // In a process of its own it gets this and no more: it talks to the endpoint, no file is its.
    let mut permissions = Permissions::default();
    permissions.network.push("config:endpoint".to_owned());
    Plugin::new("@name@")
        .config::<config::Config>()
        //@if capture
        .capture::<config::CaptureSettings>([CaptureMode::Poll])
        //@end
        //@if lookup
        .lookup::<config::LookupSettings>()
        //@end
        //@if callback
        .callback::<config::CallbackSettings>()
        //@end
        .permissions(permissions)
        .write()
}
