//! The command line, as its users run it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::built;

/// A command has to end within this time.
const WITHIN: Duration = Duration::from_mins(5);

/// A `gantry` command that has ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// Runs `gantry` in a folder, with nothing of this process's own settings.
///
/// # Errors
/// If it cannot be started, does not end, was killed, or did not print UTF-8.
pub async fn gantry(folder: &Path, arguments: &[&str]) -> Result<Ran> {
    gantry_with(folder, arguments, &[]).await
}

/// As [`gantry`], with these environment variables.
///
/// # Errors
/// As [`gantry`].
pub async fn gantry_with(
    folder: impl AsRef<Path>,
    arguments: &[&str],
    env: &[(&str, &str)],
) -> Result<Ran> {
    let running = Command::new(built::gantry())
        .args(arguments)
        .current_dir(folder)
        .envs(env.iter().copied())
        .env_remove("GANTRY_CONFIG")
        .env_remove("GANTRY_URL")
        .env_remove("GANTRY_TOKEN")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(WITHIN, running).await;
    let output = ended.with_context(|| format!("gantry {arguments:?} does not end"))??;
    let stderr = String::from_utf8(output.stderr)?;
    let code = output.status.code();
    let code = code.with_context(|| format!("gantry {arguments:?} was killed: {stderr}"))?;
    Ok(Ran { code, stdout: String::from_utf8(output.stdout)?, stderr })
}

impl Ran {
    /// What it printed, as one JSON value; it must have ended with 0.
    ///
    /// # Errors
    /// If it ended otherwise, or printed no JSON.
    pub fn json(&self) -> Result<Value> {
        ensure!(self.code == 0, "it ended with {}: {}", self.code, self.stderr);
        serde_json::from_str(&self.stdout).with_context(|| format!("reading {:?}", self.stdout))
    }
}
