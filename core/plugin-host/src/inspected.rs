//! What the host knows of a plug-in before anything of it runs.

use std::path::PathBuf;

use gantry_plugin_api::Manifest;
use gantry_plugin_api::abi::{ABI_MAX, ABI_MIN, ENTRY_SYMBOL, FEATURES, Version, negotiate};

use crate::glibc::Glibc;
use crate::refusal::Refusal;

/// A plug-in as its files describe it. It may still be refused: see [`Inspected::refusal`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspected {
    /// The library file, or the folder of a program.
    pub path: PathBuf,
    /// The hash of the file, or of all files of the folder, in hex.
    pub sha256: String,
    /// Length in bytes, of all files together.
    pub len: u64,
    /// What it is and can do.
    pub manifest: Manifest,
    /// What only a library has; none if it is a program.
    pub library: Option<LibraryFile>,
}

/// What a library file says beside its manifest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LibraryFile {
    /// Lowest and highest ABI version it speaks.
    pub abi: (Version, Version),
    /// Whether a panic in it can be caught.
    pub panic_unwind: bool,
    /// The oldest glibc it runs with; none if it needs none.
    pub glibc: Option<String>,
    pub(crate) features_required: u64,
    pub(crate) has_entry: bool,
}

impl Inspected {
    /// Why this host cannot load the plug-in, if it cannot.
    pub fn refusal(&self) -> Option<Refusal> {
        let library = self.library.as_ref()?;
        let path = || self.path.clone();
        let host = (ABI_MIN, ABI_MAX);
        if negotiate(host, library.abi).is_none() {
            return Some(Refusal::Abi { path: path(), host, plugin: library.abi });
        }
        if library.features_required & !FEATURES != 0 {
            let plugin = library.features_required;
            return Some(Refusal::Features { path: path(), host: FEATURES, plugin });
        }
        if !library.panic_unwind {
            return Some(Refusal::PanicAbort { path: path() });
        }
        if !library.has_entry {
            return Some(Refusal::NoEntry { path: path(), symbol: ENTRY_SYMBOL });
        }
        let (host, needed) = (Glibc::here(), library.glibc.as_deref().and_then(Glibc::parse));
        match (host, needed) {
            (Some(host), Some(needed)) if needed > host => Some(Refusal::Glibc {
                path: path(),
                host: host.to_string(),
                plugin: needed.to_string(),
            }),
            _ => None,
        }
    }
}
