//! What a child process is told before it opens the library: which one, and what it may touch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gantry_plugin_api::Permissions;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The environment variable with the setup as JSON.
pub(crate) const SETUP: &str = "GANTRY_PLUGIN_CHILD";

/// What runs in a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Code {
    /// The copy of a library.
    Library(PathBuf),
    /// The copy of a program's folder, and what is started there.
    Program {
        /// The folder.
        folder: PathBuf,
        /// Files that are tried, the first one first; at least one.
        files: Vec<PathBuf>,
        /// What it is told.
        arguments: Vec<String>,
    },
}

impl Code {
    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Library(path) | Self::Program { folder: path, .. } => path,
        }
    }
}

/// What the child does to itself, and then opens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// What it is to run.
    pub(crate) code: Code,
    /// Worker threads of the plug-in's runtime.
    pub(crate) n_workers: u32,
    /// Address space in bytes.
    pub(crate) memory_bytes: Option<u64>,
    /// Open files.
    pub(crate) open_files: u64,
    /// User and group to become.
    pub(crate) user: Option<(u32, u32)>,
    /// What it may touch.
    pub(crate) allowed: Allowed,
}

/// The manifest's permissions with the config's values in place of its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Allowed {
    /// Paths to read.
    pub(crate) read: BTreeSet<PathBuf>,
    /// Paths to write, and what lies below them.
    pub(crate) write: BTreeSet<PathBuf>,
    /// Programs to start.
    pub(crate) exec: BTreeSet<PathBuf>,
    /// Whether it may talk to other machines at all.
    pub(crate) network: bool,
    /// The TCP ports it may connect to; none if they are not known beforehand.
    pub(crate) ports: Option<BTreeSet<u16>>,
}

/// Marks a key of the config in a permission.
const CONFIG: &str = "config:";

impl Allowed {
    /// Resolves permissions; relative paths count from `base`.
    pub(crate) fn new(permissions: &Permissions, config: &Value, base: &Path) -> Self {
        let paths = |list: &[String]| -> BTreeSet<PathBuf> {
            let values = list.iter().filter_map(|entry| resolve(entry, config));
            values.map(|value| base.join(value)).collect()
        };
        let network: Vec<_> =
            permissions.network.iter().filter_map(|entry| resolve(entry, config)).collect();
        let ports = network.iter().map(|host| port(host)).collect::<Option<BTreeSet<u16>>>();
        Self {
            read: paths(&permissions.read),
            write: paths(&permissions.write),
            exec: paths(&permissions.exec),
            network: !network.is_empty(),
            ports: ports.filter(|_| !network.is_empty()),
        }
    }
}

/// The text itself, or the value of the key it names; none if the config has no such text.
fn resolve(entry: &str, config: &Value) -> Option<String> {
    match entry.strip_prefix(CONFIG) {
        None => Some(entry.to_owned()),
        Some(key) => at(config, key).and_then(Value::as_str).map(str::to_owned),
    }
}

fn at<'v>(config: &'v Value, key: &str) -> Option<&'v Value> {
    key.split('.').try_fold(config, |value, part| value.get(part))
}

/// The port of `host:443` or of a URL; none if it is not said, for it may stand in another key.
fn port(host: &str) -> Option<u16> {
    let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let said = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    said.or(match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    })
}

/// Makes the relative paths among the keys named by permissions absolute, in a config as JSON,
/// since the process has a working folder of its own.
pub(crate) fn absolute_paths(json: Vec<u8>, permissions: &Permissions, base: &Path) -> Vec<u8> {
    let keys = permissions.read.iter().chain(&permissions.write).chain(&permissions.exec);
    let keys: Vec<_> = keys.filter_map(|entry| entry.strip_prefix(CONFIG)).collect();
    // What is no JSON is the plug-in's to refuse.
    let Ok(mut config) = serde_json::from_slice::<Value>(&json) else { return json };
    let mut changed = false;
    for key in keys {
        let value = key.split('.').try_fold(&mut config, |value, part| value.get_mut(part));
        if let Some(Value::String(path)) = value {
            *path = base.join(&*path).to_string_lossy().into_owned();
            changed = true;
        }
    }
    if changed { config.to_string().into_bytes() } else { json }
}

#[cfg(test)]
mod tests;
