//! Building the hub and the plug-ins, and collecting the plug-ins in one folder.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

/// The connectors that ship with Gantry: package, and the file its library is built as.
const CONNECTORS: [(&str, &str); 6] = [
    ("gantry-connector-camunda7", "libgantry_connector_camunda7.so"),
    ("gantry-connector-database", "libgantry_connector_database.so"),
    ("gantry-connector-email", "libgantry_connector_email.so"),
    ("gantry-connector-files", "libgantry_connector_files.so"),
    ("gantry-connector-salesforce", "libgantry_connector_salesforce.so"),
    ("gantry-connector-webhook", "libgantry_connector_webhook.so"),
];

/// Debug for the demo and the tests, release for measurements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

/// What was built, and where it lies.
pub(crate) struct Built {
    /// The `gantry` binary.
    pub(crate) gantry: PathBuf,
    /// The folder with the connectors' libraries.
    pub(crate) plugins: PathBuf,
    /// Everything that was built: other binaries, and libraries that only tests load.
    pub(crate) folder: PathBuf,
}

impl Built {
    /// Path of a binary that was built along.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("invariant: xtask lies in the workspace").to_path_buf()
}

/// A cargo command in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command, and says which one failed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Builds the hub, the connectors and `more` packages, and collects the connectors.
///
/// Cargo shows the progress on standard error.
pub(crate) fn build(profile: Profile, more: &[&str]) -> Result<Built> {
    let mut command = cargo();
    command.args(["build", "--package", "gantry-cli"]);
    let connectors = CONNECTORS.iter().map(|(package, _)| *package);
    for package in connectors.chain(more.iter().copied()) {
        command.args(["--package", package]);
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    run(&mut command)?;
    let folder = target_folder()?.join(match profile {
        Profile::Debug => "debug",
        Profile::Release => "release",
    });
    let plugins = collect_plugins(&folder)?;
    Ok(Built { gantry: folder.join("gantry"), plugins, folder })
}

/// Copies the connectors' libraries into one folder that only its owner can write.
fn collect_plugins(folder: &Path) -> Result<PathBuf> {
    let plugins = folder.join("plugins");
    let owner_writes = || fs::Permissions::from_mode(0o755);
    fs::create_dir_all(&plugins)
        .and_then(|()| fs::set_permissions(&plugins, owner_writes()))
        .with_context(|| format!("making {}", plugins.display()))?;
    for (_, file) in CONNECTORS {
        let (from, to) = (folder.join(file), plugins.join(file));
        // A library that a hub has open must not be overwritten in place, so: beside, then over.
        let beside = plugins.join(format!("{file}.new"));
        fs::copy(&from, &beside)
            .and_then(|_| fs::set_permissions(&beside, owner_writes()))
            .with_context(|| format!("copying {}", from.display()))?;
        fs::rename(&beside, &to).with_context(|| format!("placing {}", to.display()))?;
    }
    Ok(plugins)
}

/// Where cargo builds, as cargo says.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let metadata = metadata(&["--no-deps"])?;
    let folder = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    Ok(folder.into())
}

/// `cargo metadata`, parsed.
pub(crate) fn metadata(flags: &[&str]) -> Result<serde_json::Value> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(flags)
        .output()
        .context("starting cargo metadata")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata failed: {error}");
    serde_json::from_slice(&output.stdout).context("reading what cargo metadata printed")
}
