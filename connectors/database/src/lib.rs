//! Captures rows from SQLite, PostgreSQL and MySQL, answers look-ups by query, and takes callbacks
//! by statement.
//!
//! Capture reads a lagged, overlapping window over a watermark column, page by page in the order
//! of (watermark, key); `capture.rs` says why that loses nothing. A look-up is one `SELECT`, a
//! callback one statement in a transaction, which a ledger makes exactly-once in effect.
//!
//! Limits: rows deleted in the source are not seen; a row changed twice between two polls shows
//! its last state only; rows without a watermark are never captured.
//! `docs/connectors/database.md` tells the operator all of it.
//!
//! Written from (August 2026): sqlite.org/lang.html, sqlite.org/rescode.html; PostgreSQL 15
//! documentation, chapters 9.9 (date and time), 13.2 (isolation), appendix A (error codes);
//! MariaDB 10.11 documentation, error codes and `CAST`.
#![forbid(unsafe_code)]

mod callback;
mod capture;
mod client;
mod config;
mod dialect;
mod failure;
mod lookup;
mod source;
mod statement;
mod suggest;
mod value;

#[cfg(test)]
mod tests;

use gantry_plugin_api::{ConfigFault, Context, Error, Plugin, Suggest, Suggestion, export_plugin};
use gantry_plugin_sweep::Sweeps;

use crate::capture::Sweep;
use crate::client::Client;
use crate::config::{Config, Engine};
use crate::failure::Task;

/// One database: a pool of connections, shared by its captures, look-ups and callbacks.
#[derive(Debug)]
pub(crate) struct Database {
    client: Client,
    sweeps: Sweeps<Sweep>,
}

impl Plugin for Database {
    type Config = Config;

    fn validate(config: &Config) -> Vec<ConfigFault> {
        let server = config.engine != Engine::Sqlite;
        // Key, whether it is given, must be given, may be given.
        let keys = [
            ("path", config.path.is_some(), !server, !server),
            ("host", config.host.is_some(), server, server),
            ("port", config.port.is_some(), false, server),
            ("database", config.database.is_some(), server, server),
            ("user", config.user.is_some(), server, server),
            ("password", config.password.is_some(), false, server),
            ("tls_ca", config.tls_ca.is_some(), false, server),
        ];
        let fault = |(key, given, must, may)| match (given, must, may) {
            (false, true, _) => Some(ConfigFault::new(key, "is missing for this engine")),
            (true, _, false) => {
                let message = "does not belong to this engine; remove it";
                Some(ConfigFault::new(key, message))
            }
            _ => None,
        };
        let mut faults: Vec<_> = keys.into_iter().filter_map(fault).collect();
        if config.request_timeout.get().is_zero() {
            faults.push(ConfigFault::new("request_timeout", "must be longer than 0"));
        }
        faults
    }

    fn create(config: Config, _: &Context) -> Result<Self, Error> {
        Ok(Self { client: Client::new(&config), sweeps: Sweeps::default() })
    }

    async fn check(&self, _: &Context) -> Result<(), Error> {
        let task = Task { what: "connect to the database", field: "" };
        self.client.describe("SELECT 1", false, task).await?;
        Ok(())
    }

    async fn suggest(&self, _: &Context, what: &Suggest) -> Result<Vec<Suggestion>, Error> {
        suggest::suggest(&self.client, what).await
    }

    async fn stop(&self, _: &Context) {
        self.client.close().await;
    }
}

export_plugin! {
    plugin: Database,
    roles: [capture, lookup, callback],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
