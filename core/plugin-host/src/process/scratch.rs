//! Folders of plug-in processes: each vanishes with its plan, and those of a hub that was killed
//! vanish with the next one.

use std::env;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Once;

use tempfile::TempDir;

#[cfg(test)]
mod tests;

/// How the names of all of them begin.
const PREFIX: &str = "gantry-plugin-";

/// A folder in the machine's temporary one.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: TempDir,
    /// Locked for as long as this process lives: so others see that it is in use.
    _lock: File,
}

impl Scratch {
    /// Makes one; the first time also removes what hubs that are gone have left.
    pub(super) fn new(mode: u32) -> io::Result<Self> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| {
            sweep(&env::temp_dir());
        });
        Self::new_in(&env::temp_dir(), mode)
    }

    fn new_in(parent: &Path, mode: u32) -> io::Result<Self> {
        loop {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            let lock = File::open(folder.path())?;
            lock.lock()?;
            // Whoever sweeps may have been quicker than the lock.
            if folder.path().exists() {
                fs::set_permissions(folder.path(), Permissions::from_mode(mode))?;
                return Ok(Self { folder, _lock: lock });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders that nobody has locked; those of other users stay. Gives how many that were.
fn sweep(parent: &Path) -> usize {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let left = ours.filter(|entry| {
        let lock = File::open(entry.path());
        // Held until it is removed.
        lock.is_ok_and(|lock| lock.try_lock().is_ok() && fs::remove_dir_all(entry.path()).is_ok())
    });
    left.count()
}
