//! A plug-in that ends the process as soon as any of it runs, to prove that reading a manifest runs
//! nothing: its constructor aborts before `init` could.
#![allow(unsafe_code, reason = "a constructor cannot be had without")]

use gantry_plugin_api::{Context, Error, Plugin, export_plugin};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {}

struct Crashing;

impl Plugin for Crashing {
    type Config = Config;

    fn create(_: Config, _: &Context) -> Result<Self, Error> {
        Ok(Self)
    }
}

// SAFETY: the section holds functions without arguments, which is what this is.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = abort;

extern "C" fn abort() {
    std::process::abort();
}

export_plugin! {
    plugin: Crashing,
    roles: [],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
