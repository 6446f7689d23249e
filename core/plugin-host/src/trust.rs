//! Whoever may write a plug-in, or a folder on the way to it, decides what the hub runs: so
//! nobody but their owner may.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use crate::refusal::Refusal;

/// May be written by a file's group, or by everybody.
pub(crate) const WRITABLE: u32 = 0o022;

/// In such a folder only its owner may replace what belongs to somebody else.
const STICKY: u32 = 0o1000;

/// As many as the system follows.
const LINKS_MAX: usize = 40;

/// Checks a file or folder and each folder above it, also those that links on the way lead through.
/// A folder like `/tmp`, where everybody may write but not replace what others have, may stand
/// above, but is itself none for plug-ins.
pub(crate) fn check(path: &Path) -> Result<(), Refusal> {
    let Ok(absolute) = std::path::absolute(path) else { return Ok(()) };
    let mut ahead: VecDeque<OsString> = parts(&absolute);
    let mut at = PathBuf::from("/");
    let mut n_links = 0;
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        let next = if part == "/" { PathBuf::from("/") } else { at.join(&part) };
        // What is not there is reported where it is read.
        let Ok(metadata) = fs::symlink_metadata(&next) else { return Ok(()) };
        if metadata.is_symlink() {
            n_links += 1;
            let (true, Ok(target)) = (n_links <= LINKS_MAX, fs::read_link(&next)) else {
                return Ok(());
            };
            ahead = parts(&target).into_iter().chain(ahead).collect();
            continue;
        }
        let mode = metadata.permissions().mode() & 0o7777;
        let is_above = !ahead.is_empty();
        if mode & WRITABLE != 0 && !(is_above && mode & STICKY != 0) {
            return Err(Refusal::WritableByOthers { path: path.to_owned(), at: next, mode });
        }
        at = next;
    }
    Ok(())
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.map(|part| part.as_os_str().to_owned()).collect()
}
