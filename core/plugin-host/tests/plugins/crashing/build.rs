//! Writes the manifest.

use gantry_plugin_api::build::{self, Plugin};

fn main() -> Result<(), build::Error> {
    Plugin::new("crashing").write()
}
