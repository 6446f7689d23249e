//! Where files go when they are done with: `processed`, or `error` with the reason beside them.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use gantry_plugin_api::Error;

use crate::config::Settings;

/// Moves a file whose records are all settled.
pub(crate) fn put_processed(folder: &Path, name: &OsStr, settings: &Settings) -> Result<(), Error> {
    let to = folder.join(&settings.processed);
    let place = put(folder, name, &to).map_err(|error| cannot("processed", name, &to, error))?;
    if let Some(place) = place {
        tracing::info!(file = %place.display(), "file is processed");
    }
    Ok(())
}

/// Moves a file that cannot be read as a whole, and writes down why.
pub(crate) fn put_failed(
    folder: &Path,
    name: &OsStr,
    settings: &Settings,
    reason: &str,
) -> Result<(), Error> {
    let to = folder.join(&settings.failed);
    let put = put(folder, name, &to).and_then(|place| {
        let Some(place) = place else { return Ok(()) };
        fs::write(with_ending(&place, ".reason.txt"), format!("{reason}\n"))
    });
    put.map_err(|error| cannot("failed", name, &to, error))?;
    tracing::warn!(file = %name.display(), reason, "file cannot be read and is put aside");
    Ok(())
}

/// Moves without ever writing over a file: the new name is taken first, as an empty file, which the
/// rename then replaces. None if the file is no longer there: somebody else took it away.
fn put(folder: &Path, name: &OsStr, to: &Path) -> io::Result<Option<PathBuf>> {
    match fs::create_dir(to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let place = take_name(&to.join(name))?;
    match fs::rename(folder.join(name), &place) {
        Ok(()) => Ok(Some(place)),
        Err(error) => {
            fs::remove_file(&place)?;
            if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
        }
    }
}

fn take_name(wanted: &Path) -> io::Result<PathBuf> {
    let mut place = wanted.to_owned();
    for n in 1_u64.. {
        match OpenOptions::new().write(true).create_new(true).open(&place) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                place = with_ending(wanted, &format!(".{n}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(place)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Rights and names are the operator's to mend, the rest may pass.
fn cannot(key: &str, name: &OsStr, to: &Path, error: io::Error) -> Error {
    let message = format!("cannot move file `{}` to `{}`", name.display(), to.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::CrossesDevices => Error::config(key, message),
        _ => Error::transient(message),
    }
    .because(&error)
}
