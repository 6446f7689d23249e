//! What `cargo xtask test` built before the tests began.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::Context as _;
use gantry_demo::hub::{Hub, Options};

/// The `gantry` binary under test.
pub fn gantry() -> PathBuf {
    named("GANTRY_TEST_BINARY")
}

/// The demo program.
pub fn demo() -> PathBuf {
    named("GANTRY_TEST_DEMO")
}

/// The folder with the connectors' libraries.
pub fn plugins() -> PathBuf {
    named("GANTRY_TEST_PLUGINS")
}

/// A library that only tests load, by the name of its package without `gantry-`.
pub fn test_library(name: &str) -> PathBuf {
    let file = format!("libgantry_{}.so", name.replace('-', "_"));
    named("GANTRY_TEST_LIBRARIES").join(file)
}

/// The folder with client libraries that others wrote: `python` and `node_modules`.
pub fn clients() -> PathBuf {
    named("GANTRY_TEST_CLIENTS")
}

/// The text of a case in `tests/cases`.
///
/// # Errors
/// If it is not there.
pub fn case(name: &str) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(name);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// A file or folder of the repository, by its path from the root.
pub fn source(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("invariant: the package lies in the workspace").join(path)
}

/// Starts a hub on a config file, on a free port.
///
/// # Errors
/// If the hub does not get ready; the error holds the end of its log.
pub async fn start_hub(config: &Path, env: &[(&str, &str)]) -> anyhow::Result<Hub> {
    Hub::start(Options {
        gantry: gantry(),
        plugins: plugins(),
        config: config.to_path_buf(),
        listen: "127.0.0.1:0".into(),
        env: env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    })
    .await
}

/// Data that lies beside the project, not in it; `None` if it is not there.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?;
    let folder = root.join("shared/data").join(name);
    folder.is_dir().then_some(folder)
}

fn named(variable: &str) -> PathBuf {
    let path = env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`"));
    PathBuf::from(path)
}
