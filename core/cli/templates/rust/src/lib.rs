//! A plug-in for Gantry. Start reading at `config`, then the file of each role; `client` talks to
//! the other system, `upstream` plays it in the tests.
#![forbid(unsafe_code)]

//@if callback
mod callback;
//@end
//@if capture
mod capture;
//@end
mod client;
mod config;
//@if lookup
mod lookup;
//@end
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upstream;

use client::Client;
use config::Config;
use gantry_plugin_api::{ConfigFault, Context, Error, Plugin, export_plugin};

/// One `[source.NAME]`: the connection that all roles share.
struct @Name@ {
    client: Client,
}

impl Plugin for @Name@ {
    type Config = Config;

    fn validate(config: &Config) -> Vec<ConfigFault> {
        let is_url = ["http://", "https://"].iter().any(|begin| config.endpoint.starts_with(begin));
        let fault = || ConfigFault::new("endpoint", "must begin with `http://` or `https://`");
        (!is_url).then(fault).into_iter().collect()
    }

    fn create(config: Config, _: &Context) -> Result<Self, Error> {
        Ok(Self { client: Client::new(config)? })
    }

    async fn check(&self, _: &Context) -> Result<(), Error> {
        self.client.check().await
    }
}

export_plugin! {
    plugin: @Name@,
    roles: [@roles@],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
