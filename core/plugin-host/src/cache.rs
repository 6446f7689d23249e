//! Where libraries are opened from: a folder of the hub's own, each under the name of its hash.
//!
//! The operator's file is never opened: overwriting a mapped library kills the process, and
//! opening the same path again gives the old image. A copy that has the hash in its path can do
//! neither.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::elf::sha256;
use crate::refusal::Refusal;

/// Puts bytes with a known hash into the cache and gives the path to open. Blocks on the disk.
pub(crate) fn place(
    cache: &Path,
    hash: &str,
    file_name: &Path,
    bytes: &[u8],
) -> Result<PathBuf, Refusal> {
    let folder = cache.join(hash);
    let path = folder.join(file_name);
    if fs::read(&path).is_ok_and(|there| sha256(&there) == hash) {
        return Ok(path);
    }
    write(&folder, &path, bytes).map_err(|source| Refusal::Cache { path: path.clone(), source })?;
    Ok(path)
}

/// All or nothing: whoever sees the name sees the whole file, also after a power cut.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    // A rest of an earlier process with the same number.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o555).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}
