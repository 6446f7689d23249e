//! The suite of all connectors, each against its real source: see `gantry_tests::connector`.

mod camunda7;
mod database;
mod email;
mod files;
mod salesforce;
mod webhook;
