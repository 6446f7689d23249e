//! Captures records of Salesforce, answers look-ups by SOQL, and writes back what became of work.
//!
//! Protocol: REST API v66.0 (any version the org offers), JSON over HTTPS. Auth: OAuth 2 client
//! credentials or JWT bearer; a token has no end that is told, so a 401 is the signal to get
//! another. Capture polls by SOQL over a lagged, overlapping window of `SystemModstamp`
//! (`gantry_plugin_http::sweep` says why that loses nothing); a callback is one composite request,
//! all or nothing; a look-up is one query.
//!
//! Limits: one API call a page, a look-up, and up to 25 callbacks; captures pause at a share of the
//! daily limit. Long-running changes are found within overlap + lag. It was never run against the
//! live system: `docs/connectors/salesforce.md` says what stands in for it in the tests.
//!
//! Written from (November 2026): the vendor's REST API Developer Guide (query, queryAll, composite,
//! error codes, API usage header) and its OAuth pages on client credentials and JWT bearer.
#![forbid(unsafe_code)]

mod callback;
mod capture;
mod client;
mod config;
mod failure;
mod lookup;
mod soql;
mod suggest;
mod values;

#[cfg(test)]
mod tests;

use gantry_plugin_api::{ConfigFault, Context, Error, Plugin, Suggest, Suggestion, export_plugin};
use gantry_plugin_sweep::{Sweep, Sweeps};

use crate::capture::Cursor;
use crate::client::Client;
use crate::config::{Auth, Config};

/// One org: a client, shared by its captures, look-ups and callbacks.
#[derive(Debug)]
pub(crate) struct Salesforce {
    client: Client,
    sweeps: Sweeps<Sweep<Cursor>>,
}

impl Plugin for Salesforce {
    type Config = Config;

    fn validate(config: &Config) -> Vec<ConfigFault> {
        let jwt = config.auth == Auth::JwtBearer;
        // Key, whether it is given, whether it belongs to this way of signing in.
        let keys = [
            ("client_secret", config.client_secret.is_some(), !jwt),
            ("user", config.user.is_some(), jwt),
            ("private_key", config.private_key.is_some(), jwt),
        ];
        let fault = |(key, given, belongs)| match (given, belongs) {
            (false, true) => Some(ConfigFault::new(key, "is missing for this `auth`")),
            (true, false) => {
                Some(ConfigFault::new(key, "does not belong to this `auth`; remove it"))
            }
            _ => None,
        };
        let mut faults: Vec<_> = keys.into_iter().filter_map(fault).collect();
        if config.request_timeout.get().is_zero() {
            faults.push(ConfigFault::new("request_timeout", "must be longer than 0"));
        }
        let is_version = config.api_version.split_once('.').is_some_and(|(major, minor)| {
            let is_number =
                |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            is_number(major) && is_number(minor)
        });
        if !is_version {
            faults.push(ConfigFault::new("api_version", "write a version such as `66.0`"));
        }
        faults
    }

    fn create(config: Config, cx: &Context) -> Result<Self, Error> {
        Ok(Self { client: Client::new(config, cx)?, sweeps: Sweeps::default() })
    }

    async fn check(&self, _: &Context) -> Result<(), Error> {
        self.client.check().await
    }

    async fn suggest(&self, _: &Context, what: &Suggest) -> Result<Vec<Suggestion>, Error> {
        suggest::suggest(&self.client, what).await
    }
}

export_plugin! {
    plugin: Salesforce,
    roles: [capture, lookup, callback],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
