//! Config: TOML files to a checked [`gantry_model::spec::Spec`], with every mistake at once.
//!
//! A mistake is data, never an early return: [`load`] reads all files, reports all findings with
//! file, line, column and remedy, and gives a spec only if none of them is an error. Plug-in
//! manifests come in as plain data ([`Manifests`]); nothing here runs a plug-in, opens a socket
//! or knows the time.
//!
//! Start reading at [`load`], then `tree` (files to one tree with places), `read` (tree to spec)
//! and `check` (what must hold between the parts).
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod agents;
mod check;
mod csv;
mod defaults;
mod expressions;
mod finding;
mod ics;
mod json_schema;
mod keys;
mod load;
mod plugin;
mod read;
mod render;
mod scenario;
mod schema;
mod secret;
mod table;
mod tree;
mod units;

#[cfg(test)]
mod tests;

pub use agents::{AgentLine, CheckedAgents, load_agents};
pub use finding::{Code, Finding, Related, Severity, Sources};
pub use json_schema::{Draft, json_schema};
pub use load::{Checked, check_text, load, load_rules};
pub use plugin::{Manifests, PluginManifest};
pub use render::render_human;
pub use scenario::{CheckedScenario, load_scenario};
pub use secret::{SecretError, resolve_secrets};
