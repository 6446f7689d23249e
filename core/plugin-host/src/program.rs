//! A plug-in that is a program: a folder with `gantry-plugin.json` in it, which says what it is and
//! how it is started. Nothing of it runs here.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use gantry_plugin_api::Manifest;
use sha2::{Digest, Sha256};

use crate::elf;
use crate::inspected::Inspected;
use crate::refusal::Refusal;
use crate::trust;

/// The manifest of a program; what is beside it is the program.
pub(crate) const MANIFEST: &str = "gantry-plugin.json";

/// Bounds of a folder: what is larger is not meant to be a plug-in.
const FILES_MAX: usize = 20_000;
const BYTES_MAX: u64 = 512 << 20;
const DEPTH_MAX: usize = 32;

/// Made by interpreters as they like, and of no consequence.
const CACHES: [&str; 2] = ["__pycache__", ".mypy_cache"];

/// The folder of a program, if this path is one or the manifest in one.
pub(crate) fn folder(path: &Path) -> Option<&Path> {
    if path.join(MANIFEST).is_file() {
        return Some(path);
    }
    path.parent().filter(|_| path.file_name().is_some_and(|name| name == MANIFEST))
}

/// Reads what the folder of a program says, and hashes all of it.
pub(crate) fn inspect(folder: &Path) -> Result<Inspected, Refusal> {
    let path = folder.join(MANIFEST);
    let bad = |reason: String| Refusal::Program { path: path.clone(), reason };
    let manifest: Manifest =
        serde_json::from_slice(&elf::read(&path)?).map_err(|error| bad(error.to_string()))?;
    if let Some(fault) = fault(&manifest) {
        return Err(bad(fault));
    }
    let mut content = Content::new(folder, None);
    content.walk().map_err(|error| bad(error.to_string()))?;
    if let Some((at, mode)) = content.writable.take() {
        return Err(Refusal::WritableByOthers { path: folder.to_owned(), at, mode });
    }
    let (sha256, len) = content.finish();
    Ok(Inspected { path: folder.to_owned(), sha256, len, manifest, library: None })
}

/// Copies the folder of a program into another, which is empty; whoever runs it may read it there.
///
/// # Errors
/// Also if it is not what was inspected.
pub(crate) fn copy(said: &Inspected, to: &Path) -> io::Result<()> {
    let mut content = Content::new(&said.path, Some(to));
    content.walk()?;
    let (sha256, _) = content.finish();
    if sha256 == said.sha256 {
        return Ok(());
    }
    Err(io::Error::other("its folder was changed while it was copied"))
}

/// What is wrong with a manifest that can be read.
fn fault(manifest: &Manifest) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let Manifest { name, command, capture, lookup, callback, .. } = manifest;
    if name.is_empty() || !name.chars().all(plain) {
        return Some(format!("`name`: use lower-case letters, digits and `_`, not `{name}`"));
    }
    if command.first().is_none_or(String::is_empty) {
        return Some("`command`: say how it is started, such as [\"python3\", \"plug.py\"]".into());
    }
    if capture.as_ref().is_some_and(|capture| capture.modes.is_empty()) {
        return Some("`capture.modes`: give at least one of `poll`, `stream`, `http`".into());
    }
    let idle = capture.is_none() && lookup.is_none() && callback.is_none();
    idle.then(|| "it has none of `capture`, `lookup` and `callback`".to_owned())
}

/// Whether a relative link at a path in a folder leads out of the folder.
fn leads_out(at: &Path, target: &Path) -> bool {
    let mut depth = at.components().count() - 1;
    target.is_relative()
        && target.components().any(|part| match part {
            Component::ParentDir if depth == 0 => true,
            Component::ParentDir => {
                depth -= 1;
                false
            }
            Component::Normal(_) => {
                depth += 1;
                false
            }
            _ => false,
        })
}

/// The files of a folder in the order of their names, hashed and maybe copied on the way.
struct Content<'a> {
    folder: &'a Path,
    to: Option<&'a Path>,
    hash: Sha256,
    n_files: usize,
    n_bytes: u64,
    /// The first file or folder that others may write to, with its mode.
    writable: Option<(PathBuf, u32)>,
}

impl<'a> Content<'a> {
    fn new(folder: &'a Path, to: Option<&'a Path>) -> Self {
        let hash = Sha256::new();
        Self { folder, to, hash, n_files: 0, n_bytes: 0, writable: None }
    }

    fn walk(&mut self) -> io::Result<()> {
        self.enter(Path::new(""), 0)
    }

    fn enter(&mut self, below: &Path, depth: usize) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Err(io::Error::other(format!("folders are more than {DEPTH_MAX} deep")));
        }
        let mut entries = fs::read_dir(self.folder.join(below))?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let path = below.join(&name);
            let kind = entry.file_type()?;
            let mode = entry.metadata()?.permissions().mode() & 0o7777;
            if kind.is_symlink() {
                self.link(&path)?;
                continue;
            }
            if mode & trust::WRITABLE != 0 && self.writable.is_none() {
                self.writable = Some((entry.path(), mode));
            }
            if !kind.is_dir() {
                self.file(&path)?;
            } else if !CACHES.iter().any(|cache| name == *cache) {
                self.make_folder(&path)?;
                self.enter(&path, depth + 1)?;
            }
        }
        Ok(())
    }

    fn make_folder(&mut self, path: &Path) -> io::Result<()> {
        self.count(0)?;
        self.told(b"folder", path, b"");
        self.to.map_or(Ok(()), |to| fs::create_dir(to.join(path)))
    }

    fn link(&mut self, path: &Path) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt as _;
        self.count(0)?;
        let target = fs::read_link(self.folder.join(path))?;
        if leads_out(path, &target) {
            let (path, target) = (path.display(), target.display());
            let text = format!("`{path}` is a link out of the folder, to `{target}`: copy it in");
            return Err(io::Error::other(text));
        }
        self.told(b"link", path, target.as_os_str().as_bytes());
        self.to.map_or(Ok(()), |to| symlink(&target, to.join(path)))
    }

    fn file(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(self.folder.join(path))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other(format!("`{}` is no file", path.display())));
        }
        self.count(metadata.len())?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let runs = metadata.permissions().mode() & 0o111 != 0;
        self.told(if runs { b"program" } else { b"file" }, path, &bytes);
        let Some(to) = self.to else { return Ok(()) };
        fs::write(to.join(path), bytes)?;
        let mode = if runs { 0o555 } else { 0o444 };
        fs::set_permissions(to.join(path), fs::Permissions::from_mode(mode))
    }

    fn count(&mut self, n_bytes: u64) -> io::Result<()> {
        self.n_files += 1;
        self.n_bytes += n_bytes;
        if self.n_files > FILES_MAX || self.n_bytes > BYTES_MAX {
            let most = format!("{FILES_MAX} files and {} MiB", BYTES_MAX >> 20);
            return Err(io::Error::other(format!("its folder holds more than {most}")));
        }
        Ok(())
    }

    /// Adds to the hash, each part with its length, so that no two folders look alike.
    fn told(&mut self, kind: &[u8], path: &Path, bytes: &[u8]) {
        use std::os::unix::ffi::OsStrExt as _;
        for part in [kind, path.as_os_str().as_bytes(), bytes] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part);
        }
    }

    fn finish(self) -> (String, u64) {
        (elf::hex(&self.hash.finalize()), self.n_bytes)
    }
}
