//! Captures external tasks and user tasks of Camunda 7, Operaton and other forks, completes them,
//! and looks up what their processes know.
//!
//! Protocol: the REST interface of Camunda 7.13 and later (7.19 for changes of user tasks), the
//! same in Operaton 1.0; sign-in by HTTP Basic, a bearer token or headers of a proxy, or not at
//! all.
//! External tasks ([`external`]) are fetched by long polling and locked; user tasks ([`user`]) are
//! polled by time. A completion ([`callback`]) has its effect once, also if its answer was lost.
//!
//! Limits: files, bytes and serialised Java objects in variables are left out; a change of a
//! process variable alone is no change of a user task. `docs/connectors/camunda7.md` tells the
//! operator all of it.
//!
//! Written from (August 2026): docs.camunda.org/manual/7.24/reference/rest (external-task, task,
//! history, variables, date format, error handling); docs.operaton.org reference/rest.
#![forbid(unsafe_code)]

mod callback;
mod capture;
mod client;
mod config;
mod external;
mod lookup;
mod user;
mod variables;

#[cfg(test)]
mod tests;

use gantry_plugin_api::{ConfigFault, Context, Error, Plugin, export_plugin};
use gantry_plugin_sweep::Sweeps;

use crate::client::Engine;
use crate::config::Config;
use crate::external::Fetches;

/// One engine: its REST interface, shared by its captures, look-ups and callbacks.
#[derive(Debug)]
pub(crate) struct Camunda {
    engine: Engine,
    fetches: Fetches,
    sweeps: Sweeps<()>,
}

impl Plugin for Camunda {
    type Config = Config;

    fn validate(config: &Config) -> Vec<ConfigFault> {
        let wrong = [
            (config.worker.is_empty(), ("worker", "must not be empty")),
            (config.request_timeout.get().is_zero(), ("request_timeout", "must be longer than 0")),
            (
                !client::is_date_format(&config.date_format),
                (
                    "date_format",
                    "must give date, time, milliseconds and zone: `%Y-%m-%dT%H:%M:%S%.3f%z`",
                ),
            ),
        ];
        let faults = wrong.into_iter().filter(|(wrong, _)| *wrong);
        faults.map(|(_, (path, message))| ConfigFault::new(path, message)).collect()
    }

    fn create(config: Config, cx: &Context) -> Result<Self, Error> {
        let engine = Engine::new(config, cx)?;
        Ok(Self { engine, fetches: Fetches::default(), sweeps: Sweeps::default() })
    }

    async fn check(&self, _: &Context) -> Result<(), Error> {
        self.engine.check().await
    }
}

export_plugin! {
    plugin: Camunda,
    roles: [capture, lookup, callback],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
