//! The form of a package: a tar.gz with `gantry-package.json`, the plug-in, and maybe its
//! signature. The same plug-in gives the same bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use gantry_plugin_host::{Inspected, Signature, inspect};
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};

/// The first entry of a package.
const ABOUT: &str = "gantry-package.json";
const FORM: u32 = 1;

/// Bounds of what is unpacked; the host has the same for the folder of a program.
const FILES_MAX: usize = 20_000;
const BYTES_MAX: u64 = 512 << 20;

/// Made by interpreters as they like; not a part of the plug-in, nor of its hash.
const CACHES: [&str; 2] = ["__pycache__", ".mypy_cache"];

/// What a package says that it holds.
#[derive(Serialize, Deserialize)]
pub(super) struct About {
    form: u32,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) sha256: String,
    /// The library's file or the program's folder.
    pub(super) entry: String,
}

/// The name that a package of a plug-in goes by.
pub(super) fn file_name(said: &Inspected) -> String {
    let (name, version) = (&said.manifest.name, &said.manifest.version);
    let machine = format!("-{}", std::env::consts::ARCH);
    let machine = if said.library.is_some() { machine.as_str() } else { "" };
    format!("{name}-{version}{machine}.tar.gz")
}

/// Writes a package; the file must not be there yet, and is there as a whole or not at all.
pub(super) fn write(said: &Inspected, signature: Option<&Signature>, file: &Path) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut draft = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let mut archive = Builder::new(GzEncoder::new(draft.as_file_mut(), Compression::default()));
    let name = &said.manifest.name;
    let entry = if said.library.is_some() { format!("lib{name}.so") } else { name.clone() };
    let about = About {
        form: FORM,
        name: name.clone(),
        version: said.manifest.version.clone(),
        sha256: said.sha256.clone(),
        entry: entry.clone(),
    };
    append(&mut archive, Path::new(ABOUT), &serde_json::to_vec_pretty(&about)?, false)?;
    if let Some(signature) = signature {
        let path = Signature::file(Path::new(&entry));
        append(&mut archive, &path, signature.to_toml().as_bytes(), false)?;
    }
    if said.library.is_some() {
        append(&mut archive, Path::new(&entry), &fs::read(&said.path)?, false)?;
    } else {
        append_folder(&mut archive, &said.path, Path::new(&entry))?;
    }
    archive.into_inner()?.finish()?;
    draft.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    draft.persist_noclobber(file).map_err(|error| error.error)?;
    Ok(())
}

fn append_folder(archive: &mut Builder<impl Write>, from: &Path, to: &Path) -> Result<()> {
    append_entry(archive, to, EntryType::Directory, 0o755, &[], None)?;
    let mut entries = fs::read_dir(from)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            let target = fs::read_link(&path)?;
            append_entry(archive, &to, EntryType::Symlink, 0o777, &[], Some(&target))?;
        } else if !kind.is_dir() {
            let runs = entry.metadata()?.permissions().mode() & 0o111 != 0;
            append(archive, &to, &fs::read(&path)?, runs)?;
        } else if !CACHES.iter().any(|cache| entry.file_name() == *cache) {
            append_folder(archive, &path, &to)?;
        }
    }
    Ok(())
}

fn append(archive: &mut Builder<impl Write>, to: &Path, bytes: &[u8], runs: bool) -> Result<()> {
    let mode = if runs { 0o755 } else { 0o644 };
    append_entry(archive, to, EntryType::Regular, mode, bytes, None)
}

fn append_entry(
    archive: &mut Builder<impl Write>,
    path: &Path,
    kind: EntryType,
    mode: u32,
    bytes: &[u8],
    target: Option<&Path>,
) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    match target {
        Some(target) => archive.append_link(&mut header, path, target)?,
        None => archive.append_data(&mut header, path, bytes)?,
    }
    Ok(())
}

/// What was in a package, in a folder of its own.
pub(super) struct Unpacked {
    pub(super) about: About,
    pub(super) said: Inspected,
    /// The file of its signature, if it has one.
    pub(super) signature: Option<PathBuf>,
}

/// Unpacks into an empty folder and checks that all is as the package says.
pub(super) fn unpack(file: &Path, folder: &Path) -> Result<Unpacked> {
    let opened = File::open(file).with_context(|| format!("opening {}", file.display()))?;
    // One byte more than allowed shows that there is too much.
    let bounded = GzDecoder::new(opened).take(BYTES_MAX + 1);
    let mut archive = Archive::new(bounded);
    let mut about: Option<About> = None;
    let mut left = BYTES_MAX;
    for (at, entry) in archive.entries()?.enumerate() {
        let mut entry = entry.context("it is no tar.gz, or damaged")?;
        let path = entry.path()?.into_owned();
        ensure!(at < FILES_MAX && entry.size() <= left, "it is larger than a plug-in may be");
        left -= entry.size();
        match &about {
            None => {
                ensure!(path == Path::new(ABOUT), "it is no package: it begins without {ABOUT}");
                let said: About = serde_json::from_reader(&mut entry).context("reading it")?;
                ensure!(said.form == FORM, "its form is {}, this program knows {FORM}", said.form);
                about = Some(said);
            }
            Some(said) => {
                ensure!(belongs(&path, &said.entry), "`{}` does not belong in it", path.display());
                place(&mut entry, &folder.join(&path), folder)
                    .with_context(|| format!("unpacking `{}`", path.display()))?;
            }
        }
    }
    let about = about.context("it is empty")?;
    let said = super::refusable(inspect(&folder.join(&about.entry)))?;
    let manifest = &said.manifest;
    ensure!(
        (&manifest.name, &manifest.version, &said.sha256)
            == (&about.name, &about.version, &about.sha256),
        "it says that it holds {} {} with sha256 {}, and has {} {} with {}",
        about.name,
        about.version,
        about.sha256,
        manifest.name,
        manifest.version,
        said.sha256
    );
    if let Some(refusal) = said.refusal() {
        return super::refusable(Err(refusal));
    }
    let signature = Some(Signature::file(&said.path)).filter(|file| file.exists());
    if let Some(signature) = super::refusable(Signature::of(&said.path))? {
        super::refusable(signature.signer(&said.path, &said.sha256))?;
    }
    Ok(Unpacked { about, said, signature })
}

/// Whether a path is the plug-in, in its folder, or its signature; nothing else is unpacked.
fn belongs(path: &Path, entry: &str) -> bool {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let single = Path::new(entry).components().count() == 1 && !entry.starts_with('.');
    let signature = Signature::file(Path::new(entry));
    plain && single && (path.starts_with(entry) || path == signature)
}

/// Places one entry where nothing is yet, and never through a link.
fn place(entry: &mut tar::Entry<'_, impl Read>, to: &Path, folder: &Path) -> Result<()> {
    let above = to.ancestors().skip(1).take_while(|above| *above != folder);
    for above in above {
        let is_folder = fs::symlink_metadata(above).is_ok_and(|metadata| metadata.is_dir());
        ensure!(is_folder, "`{}` is no folder", above.display());
    }
    match entry.header().entry_type() {
        EntryType::Directory => {
            fs::create_dir(to)?;
            fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
        }
        EntryType::Symlink => {
            let target = entry.link_name()?.context("a link without a target")?;
            ensure!(target.is_relative(), "it is a link to `{}`", target.display());
            symlink(target, to)?;
        }
        EntryType::Regular => {
            let runs = entry.header().mode()? & 0o111 != 0;
            let mode = if runs { 0o755 } else { 0o644 };
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?;
            io::copy(entry, &mut file)?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.sync_all()?;
        }
        other => bail!("it is neither file, folder nor link ({other:?})"),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
