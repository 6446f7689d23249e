//! A plug-in out of an author's folder, laid where a hub takes it: the copy is for its owner to
//! write only, whatever the author's own folders allow.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Copies a library or a program's folder into a folder of plug-ins; gives where it lies there. A
/// hub that runs what lay there before goes on with that.
pub(super) fn lay(plugin: &Path, folder: &Path) -> Result<PathBuf> {
    let copying = || format!("copying {}", plugin.display());
    let name = plugin.file_name().context("a plug-in without a name")?;
    let place = folder.join(name);
    let beside = folder.join(format!(".new-{}", name.to_string_lossy()));
    if plugin.is_dir() {
        copy_folder(plugin, &beside).with_context(copying)?;
        if place.exists() {
            fs::remove_dir_all(&place).with_context(copying)?;
        }
    } else {
        fs::copy(plugin, &beside).with_context(copying)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)).with_context(copying)?;
    }
    fs::rename(&beside, &place).with_context(copying)?;
    Ok(place)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(&path)?, to)?;
        } else if kind.is_dir() {
            copy_folder(&path, &to)?;
        } else {
            fs::copy(&path, &to)?;
            let runs = entry.metadata()?.permissions().mode() & 0o111 != 0;
            let mode = if runs { 0o755 } else { 0o644 };
            fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}
