//! `gantry plugin keygen` and `sign`: what a publisher needs.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use gantry_plugin_host::{SecretKey, Signature, inspect};
use serde_json::json;

use crate::{Global, table};

pub(super) const KEYGEN_EXAMPLE: &str = "Example:\n  gantry plugin keygen acme.key\n\n\
    It writes the secret key, for its owner only, and prints the public one, which operators give \
    to `gantry plugin lock --publisher`.";

pub(super) const SIGN_EXAMPLE: &str = "Example:\n  \
    gantry plugin sign target/release/libshop.so --key acme.key\n\n\
    It writes the signature beside the plug-in: libshop.so.sig.";

#[derive(Args)]
pub(crate) struct Keygen {
    /// The file to write; it must not be there yet.
    file: PathBuf,
}

#[derive(Args)]
pub(crate) struct Sign {
    /// The library, or the folder of a program.
    plugin: PathBuf,
    /// The file with the secret key.
    #[arg(long)]
    key: PathBuf,
}

pub(super) fn keygen(global: &Global, options: &Keygen) -> Result<()> {
    let key = SecretKey::generate()?;
    let file = &options.file;
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(file);
    let mut opened = opened.with_context(|| format!("making {}", file.display()))?;
    writeln!(opened, "{}", key.reveal())?;
    opened.sync_all()?;
    if global.json {
        table::json(&json!({ "key": file, "public": key.public() }));
    } else {
        say!("{}", key.public());
    }
    Ok(())
}

pub(super) fn sign(global: &Global, options: &Sign) -> Result<()> {
    let Sign { plugin, key } = options;
    let key = read_key(key)?;
    let said = super::refusable(inspect(plugin))?;
    let file = Signature::file(&said.path);
    fs::write(&file, key.sign(&said.sha256).to_toml())
        .with_context(|| format!("writing {}", file.display()))?;
    let (name, sha256) = (&said.manifest.name, &said.sha256);
    if global.json {
        let public = key.public();
        table::json(&json!({ "name": name, "sha256": sha256, "signature": file, "key": public }));
    } else {
        say!("{} signs {name}, sha256 {sha256}: {}", key.public(), file.display());
    }
    Ok(())
}

/// A secret key that nobody else can read.
pub(super) fn read_key(file: &Path) -> Result<SecretKey> {
    let reading = || format!("reading the key in {}", file.display());
    let mode = fs::metadata(file).with_context(reading)?.permissions().mode();
    let shown = file.display();
    let others = mode & 0o077;
    ensure!(others == 0, "others may read the secret key: run `chmod 600 {shown}`");
    fs::read_to_string(file).with_context(reading)?.parse().with_context(reading)
}
