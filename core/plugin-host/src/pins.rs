//! The lock file: which bytes a plug-in must have. Its form is that of `sha256sum`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::refusal::Refusal;

/// Pinned hashes by file name. Empty by default, and then nothing is pinned; once there is a lock
/// file, a library that is not in it is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    by_file: Option<BTreeMap<String, String>>,
}

impl Pins {
    /// Reads a lock file: lines of a sha256 in hex, blanks, a file name, as `sha256sum` writes
    /// them.
    ///
    /// # Errors
    /// [`Refusal::LockFile`], with the line.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let refusal = |reason| Refusal::LockFile { path: path.to_owned(), reason };
        let text = fs::read_to_string(path).map_err(|error| refusal(error.to_string()))?;
        let mut by_file = BTreeMap::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let (hash, file) = line
                .split_once(char::is_whitespace)
                .filter(|(hash, _)| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
                .ok_or_else(|| refusal(format!("line {} has no sha256 and file", index + 1)))?;
            // `*` marks what sha256sum read as binary.
            let file = file.trim().trim_start_matches('*').to_owned();
            by_file.insert(file, hash.to_ascii_lowercase());
        }
        Ok(Self { by_file: Some(by_file) })
    }

    /// Checks a file by its name.
    pub(crate) fn check(&self, path: &Path, actual: &str) -> Result<(), Refusal> {
        let Some(by_file) = &self.by_file else {
            return Ok(());
        };
        let key = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (path, actual) = (path.to_owned(), actual.to_owned());
        match by_file.get(&key) {
            None => Err(Refusal::NotPinned { path, key, actual }),
            Some(pinned) if *pinned != actual => {
                Err(Refusal::PinMismatch { path, pinned: pinned.clone(), actual })
            }
            Some(_) => Ok(()),
        }
    }
}
