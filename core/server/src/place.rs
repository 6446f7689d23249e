//! Where a hub keeps its things: store, key, plug-in copies, and the note that a running hub
//! leaves for its command line.
//!
//! It needs `[hub]` alone, so `gantry token` and `gantry verify` work beside a config that has
//! other faults.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use gantry_config::Manifests;
use gantry_model::spec::HubSpec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Only the owner may read what gives access.
const OWNER_ONLY: u32 = 0o600;

/// Where a hub keeps its things.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder of the config file; what the config names relatively is relative to it.
    pub folder: PathBuf,
    /// The store, as a URL with an absolute path.
    pub store: String,
    /// Folders with plug-ins, absolute.
    pub plugins: Vec<PathBuf>,
    /// The folder that the store lies in.
    data: PathBuf,
    /// File name of the store, which names what lies beside it.
    name: String,
}

/// What a running hub leaves for its command line; only its owner can read it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// `http://host:port`
    pub url: String,
    /// A token for the administrator, good as long as the key is.
    pub token: String,
    /// The hub's process.
    pub process: u32,
}

/// Why the place could not be found or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A file could not be read or written.
    #[error("{action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

impl Place {
    /// Reads where the hub of a config file keeps its things.
    ///
    /// # Errors
    /// [`PlaceError`] if the file is not there.
    pub fn of(config: &Path) -> Result<Self, PlaceError> {
        let file = |action, source| PlaceError::File { action, path: config.into(), source };
        let path = fs::canonicalize(config).map_err(|source| file("find", source))?;
        Ok(Self::at(&path))
    }

    /// As [`Place::of`], of a config that may not be there yet.
    ///
    /// # Errors
    /// [`PlaceError`] if the working folder is not known.
    pub fn planned(config: &Path) -> Result<Self, PlaceError> {
        let file = |action, source| PlaceError::File { action, path: config.into(), source };
        Ok(Self::at(&std::path::absolute(config).map_err(|source| file("find", source))?))
    }

    fn at(path: &Path) -> Self {
        let HubSpec { store, plugins, .. } = gantry_config::load(path, &Manifests::default()).hub;
        let folder = path.parent().unwrap_or(Path::new("/")).to_path_buf();
        Self::new(folder, &store, plugins)
    }

    fn new(folder: PathBuf, store: &str, plugins: Vec<PathBuf>) -> Self {
        let (scheme, path) = store.split_once(':').unwrap_or(("sqlite", store));
        let is_file = scheme == "sqlite";
        let path = path.strip_prefix("//").unwrap_or(path);
        let file = if is_file { folder.join(path) } else { folder.join("gantry") };
        let store = if is_file { format!("sqlite:{}", file.display()) } else { store.to_owned() };
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let data = file.parent().unwrap_or(&folder).to_path_buf();
        let plugins = plugins.into_iter().map(|path| folder.join(path)).collect();
        Self { folder, store, plugins, data, name }
    }

    /// The folder that the store and all beside it lie in.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The store's file, where it is one.
    pub fn store_file(&self) -> Option<PathBuf> {
        self.store.starts_with("sqlite:").then(|| self.data.join(&self.name))
    }

    /// The key that signs tokens.
    pub fn key_file(&self) -> PathBuf {
        self.data.join(format!("{}.key", self.name))
    }

    /// Credentials that sources replaced.
    pub fn credentials_file(&self) -> PathBuf {
        self.data.join(format!("{}.credentials", self.name))
    }

    /// The note of a running hub.
    pub fn run_file(&self) -> PathBuf {
        self.data.join(format!("{}.run", self.name))
    }

    /// Copies of plug-ins that were opened.
    pub fn plugin_cache(&self) -> PathBuf {
        self.data.join(format!("{}.plugins", self.name))
    }

    /// The operator's pins of plug-ins.
    pub fn lock_file(&self) -> PathBuf {
        self.folder.join("plugins.lock")
    }

    /// The hub that runs here, if one does.
    ///
    /// # Errors
    /// [`PlaceError::File`] if its note is there and cannot be read.
    pub fn running(&self) -> Result<Option<Running>, PlaceError> {
        let path = self.run_file();
        match fs::read(&path) {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PlaceError::File { action: "read", path, source }),
        }
    }

    /// Leaves the note of a running hub.
    ///
    /// # Errors
    /// [`PlaceError::File`] if it cannot be written.
    pub(crate) fn announce(&self, running: &Running) -> Result<(), PlaceError> {
        let path = self.run_file();
        let write = || {
            // A file of a hub that was killed may lie there with other permissions.
            let _ = fs::remove_file(&path);
            let mut file =
                OpenOptions::new().create_new(true).write(true).mode(OWNER_ONLY).open(&path)?;
            let json = serde_json::to_vec(running).expect("invariant: it has text keys only");
            file.write_all(&json)?;
            file.sync_all()
        };
        write().map_err(|source| PlaceError::File { action: "write", path: path.clone(), source })
    }

    /// Takes the note back.
    pub(crate) fn withdraw(&self) {
        // A missing note is what is wanted.
        let _ = fs::remove_file(self.run_file());
    }
}
