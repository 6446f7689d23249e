//! What a plug-in may touch, and whether the kernel sees to it.

use gantry_plugin_host::Enforcement;
use gantry_plugin_host::api::manifest::Permissions;
use serde_json::{Value, json};

/// One permission, for people.
pub(super) struct Permit {
    /// `read`, `network`, …
    kind: &'static str,
    /// What exactly; none where nothing is allowed.
    what: Option<String>,
    /// Whether the kernel keeps it to that in a process of its own.
    in_process_of_its_own: &'static str,
}

const ENFORCED: &str = "enforced";
const NO_PATHS: &str = "declared only: this kernel has no Landlock";
const NO_FILTER: &str = "declared only: this kernel has no seccomp";
const NO_PORT: &str = "declared only: not all entries name a port";

/// All of them; what is not named is not allowed.
pub(super) fn of(permissions: &Permissions, kernel: Enforcement) -> Vec<Permit> {
    let paths = if kernel.paths { ENFORCED } else { NO_PATHS };
    let mut permits = Vec::new();
    let mut add = |kind, list: &[String], how: &dyn Fn(&str) -> &'static str, none| {
        permits.extend(list.iter().map(|entry| Permit {
            kind,
            what: Some(entry.clone()),
            in_process_of_its_own: how(entry),
        }));
        if list.is_empty() {
            permits.push(Permit { kind, what: None, in_process_of_its_own: none });
        }
    };
    add("read", &permissions.read, &|_| paths, paths);
    add("write", &permissions.write, &|_| paths, paths);
    add("exec", &permissions.exec, &|_| paths, paths);
    let ported = permissions.network.iter().all(|entry| may_name_port(entry));
    let network = |entry: &str| match entry {
        _ if !kernel.ports => "declared only: this kernel has no Landlock for networks",
        _ if !ported => NO_PORT,
        _ if entry.starts_with("config:") => "port enforced if the config names one, host declared",
        _ => "port enforced, host declared only",
    };
    let no_network = if kernel.system_calls { ENFORCED } else { NO_FILTER };
    add("network", &permissions.network, &network, no_network);
    add("env", &permissions.env, &|_| ENFORCED, ENFORCED);
    permits
}

/// A key of the config may have a port in it; else the entry itself must.
fn may_name_port(entry: &str) -> bool {
    let port = entry.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    entry.starts_with("config:") || entry.contains("://") || matches!(port, Some(Ok(_)))
}

impl Permit {
    pub(super) fn row(&self) -> Vec<String> {
        let what = self.what.clone().unwrap_or_else(|| "nothing".into());
        vec![self.kind.into(), what, self.in_process_of_its_own.into()]
    }

    pub(super) fn view(&self) -> Value {
        json!({
            "kind": self.kind,
            "what": self.what,
            "process": self.in_process_of_its_own,
            "in_process": "declared only",
        })
    }
}
