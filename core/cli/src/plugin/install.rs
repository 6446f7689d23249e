//! `gantry plugin pack` and `install`: from an author's folder into a hub's.

use std::collections::BTreeSet;
use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use gantry_plugin_host::{Enforcement, Inspected, Lock, Signature, inspect};
use gantry_server::plugins::Folders;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use super::{package, permits, sign, verify};
use crate::{Global, table};

pub(super) const PACK_EXAMPLE: &str = "Example:\n  \
    gantry plugin pack target/release/libshop.so --key acme.key\n  gantry plugin pack plugin\n\n\
    It writes shop-1.2.0-x86_64.tar.gz, with the manifest, the hash, and the signature if there \
    is one.";

pub(super) const EXAMPLE: &str = "Example:\n  gantry plugin install shop-1.2.0-x86_64.tar.gz\n  \
    gantry plugin install shop-1.3.0-x86_64.tar.gz --update --yes\n\n\
    It checks the package, shows what it asks for, places it, and agrees to it in plugins.lock. \
    None of its code runs. A running hub takes an update up by `gantry plugin reload NAME`.";

#[derive(Args)]
pub(crate) struct Pack {
    /// The library, or the folder of a program.
    plugin: PathBuf,
    /// The file to write; it must not be there yet. Default: name and version, in this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Sign it with the secret key in this file; else the signature beside it, if any, goes along.
    #[arg(long)]
    key: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Install {
    /// The package.
    file: PathBuf,
    /// Replace the version that is there.
    #[arg(long)]
    update: bool,
    /// Agree without being asked.
    #[arg(long, short)]
    yes: bool,
    /// The folder to place it in, instead of the first of the config's.
    #[arg(long)]
    into: Option<PathBuf>,
}

pub(super) fn pack(global: &Global, options: &Pack) -> Result<()> {
    let said = super::refusable(inspect(&options.plugin))?;
    if let Some(refusal) = said.refusal() {
        return super::refusable(Err(refusal));
    }
    let signature = match &options.key {
        Some(key) => Some(sign::read_key(key)?.sign(&said.sha256)),
        None => super::refusable(Signature::of(&said.path))?,
    };
    if let Some(signature) = &signature {
        super::refusable(signature.signer(&said.path, &said.sha256))?;
    }
    let file = options.out.clone().unwrap_or_else(|| package::file_name(&said).into());
    package::write(&said, signature.as_ref(), &file)
        .with_context(|| format!("writing {}", file.display()))?;
    let (name, version, sha256) = (&said.manifest.name, &said.manifest.version, &said.sha256);
    let signed = signature.is_some();
    if global.json {
        let about = json!({ "package": file, "name": name, "version": version });
        table::json(&merged(about, json!({ "sha256": sha256, "signed": signed })));
    } else {
        let signed = if signed { "signed" } else { "not signed" };
        say!("{}: {name} {version}, {signed}, sha256 {sha256}", file.display());
    }
    Ok(())
}

pub(super) fn install(global: &Global, options: Install) -> Result<bool> {
    let Install { file, update, yes, into } = options;
    let folders = Folders::planned(&global.config, into.into_iter().collect())?;
    let folder = folders.first().context("the config names no folder for plug-ins")?.to_owned();
    let lock_file = folders.lock_file();
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    // Beside what is there, so that one move places it; no plug-in is looked for in there.
    let draft = tempfile::Builder::new().prefix(".gantry-install-").tempdir_in(&folder)?;
    let unpacked = package::unpack(&file, draft.path())
        .with_context(|| format!("{} cannot be installed", file.display()))?;
    let said = &unpacked.said;
    let name = said.manifest.name.as_str();
    let scan = folders.host_without_lock().scan();
    let there = scan.found.iter().map(|found| &found.inspected);
    let before = there.clone().find(|there| there.manifest.name == name);
    let is_first = there.count() == 0;
    let mut lock = match Lock::read(&lock_file)? {
        // A lock that knows this one alone would shut out what runs already.
        None if is_first => Some(Lock::default()),
        lock => lock,
    };
    if let Some(lock) = &mut lock {
        super::refusable(lock.accept(said, None))?;
    }
    let target = match before {
        None => folder.join(&unpacked.about.entry),
        Some(before) => replaced(before, said, update)?,
    };
    ensure!(before.is_some() || !target.exists(), "`{}` is there already", target.display());
    if !global.json {
        tell(said, before, lock.as_ref());
    }
    if !(yes || (!global.json && agreed()?)) {
        bail!("nothing was changed: agree to it by --yes");
    }
    place(&unpacked, &target)?;
    if let Some(lock) = &lock {
        lock.write(&lock_file).with_context(|| format!("writing {}", lock_file.display()))?;
    }
    let locked = lock.is_some();
    if global.json {
        let version = &said.manifest.version;
        let about = json!({ "name": name, "version": version, "path": target });
        let before = before.map(|before| &before.manifest.version);
        table::json(&merged(about, json!({ "replaced": before, "locked": locked })));
    } else {
        say!("{} is in place", target.display());
        if !locked {
            say!("there is no {}: `gantry plugin lock` writes it", lock_file.display());
        }
    }
    Ok(true)
}

/// Where the new version goes, if it may take the place of the old one.
fn replaced(before: &Inspected, said: &Inspected, update: bool) -> Result<PathBuf> {
    let (name, version) = (&said.manifest.name, &before.manifest.version);
    let shown = before.path.display();
    ensure!(update, "{name} {version} is there already, as {shown}: replace it by --update");
    let same_kind = before.library.is_some() == said.library.is_some();
    ensure!(same_kind, "{shown} is of another kind, library or program: remove it first");
    Ok(before.path.clone())
}

/// Says what it is and what it asks for; of an update, what it did not ask for before.
fn tell(said: &Inspected, before: Option<&Inspected>, lock: Option<&Lock>) {
    let manifest = &said.manifest;
    say!("{} {}  {}", manifest.name, manifest.version, manifest.description);
    if let Some(before) = before {
        say!("  instead of   {}", before.manifest.version);
    }
    say!("  sha256       {}", said.sha256);
    let wanted = lock.and_then(|lock| lock.pin(&manifest.name)?.publisher.as_deref());
    say!("  signature    {}", verify::signature(said, lock, wanted));
    let rows = |said: &Inspected| {
        let permits = permits::of(&said.manifest.permissions, Enforcement::of_this_kernel());
        permits.iter().map(permits::Permit::row).collect::<Vec<_>>()
    };
    let known: BTreeSet<_> = before.map(rows).unwrap_or_default().into_iter().collect();
    let marked = rows(said).into_iter().map(|mut row| {
        let is_new = before.is_some() && !known.contains(&row);
        row.push(if is_new { "NEW".into() } else { String::new() });
        row
    });
    let marked: Vec<_> = marked.collect();
    for (at, row) in table::columns(&marked).iter().enumerate() {
        say!("  {:<11}  {row}", if at == 0 { "permissions" } else { "" });
    }
}

/// Asks whoever sits there.
fn agreed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut out = std::io::stdout();
    write!(out, "Install it? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Moves what was unpacked to its place: whoever looks sees the old one or the new one, whole.
fn place(unpacked: &package::Unpacked, target: &Path) -> Result<()> {
    let from = &unpacked.said.path;
    let moving = || format!("placing {}", target.display());
    let signature = Signature::file(target);
    match &unpacked.signature {
        Some(from) => fs::rename(from, &signature).with_context(moving)?,
        // That of the version before says nothing of this one.
        None if signature.exists() => fs::remove_file(&signature).with_context(moving)?,
        None => {}
    }
    if unpacked.said.library.is_none() && target.exists() {
        // The old one goes away with the folder that the new one was unpacked in.
        renameat_with(CWD, from, CWD, target, RenameFlags::EXCHANGE).with_context(moving)?;
    } else {
        fs::rename(from, target).with_context(moving)?;
    }
    let folder = target.parent().context("a place without a folder")?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(moving)
}

fn merged(mut value: serde_json::Value, more: serde_json::Value) -> serde_json::Value {
    if let (Some(value), serde_json::Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}
