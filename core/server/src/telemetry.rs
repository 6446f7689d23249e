//! Logs: to standard error, as text for people or as JSON for programs.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// What is logged unless `GANTRY_LOG` says otherwise.
const DEFAULT: &str = "info,sqlx=warn,hyper=warn";

/// Starts logging. A second call changes nothing.
pub fn start(json: bool) {
    let filter = EnvFilter::try_from_env("GANTRY_LOG").unwrap_or_else(|_| DEFAULT.into());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if json {
        builder.json().try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    // Somebody else in the same process has started it: their choice stands.
    drop(started);
}
