//! Writes the manifest from the configuration types.

#[path = "src/config.rs"]
#[allow(dead_code, reason = "only the schemas are derived here")]
mod config;

use gantry_plugin_api::build::{self, Plugin};
use gantry_plugin_api::{CaptureMode, Permissions};

fn main() -> Result<(), build::Error> {
    let permissions = Permissions {
        network: ["config:imap.host", "config:smtp.host", "config:oauth.token_url"]
            .map(str::to_owned)
            .to_vec(),
        read: vec!["config:tls_ca".to_owned()],
        ..Permissions::default()
    };
    Plugin::new("email")
        .config::<config::Config>()
        .capture::<config::CaptureSettings>([CaptureMode::Stream, CaptureMode::Poll])
        .leases()
        .lookup::<config::LookupSettings>()
        .callback::<config::CallbackSettings>()
        .permissions(permissions)
        .rotates(["oauth.refresh_token"])
        .write()
}
