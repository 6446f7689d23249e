//! The folder of a hub for bad input: config, data, plug-ins; no hub runs in it yet.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::built;
use crate::cli::{self, Ran};

/// A folder with a config and the connectors in it.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// Lays the config of `tests/cases/bad_input` into a new folder, with pipelines of these names
    /// and texts, and the connectors.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn new(pipelines: &[(&str, String)]) -> Result<Self> {
        let place = Self { folder: tempfile::Builder::new().prefix("gantry-test-").tempdir()? };
        for folder in ["data", "drop", "pipelines", "plugins"] {
            fs::create_dir(place.path(folder))?;
        }
        fs::write(place.path("gantry.toml"), built::case("bad_input/gantry.toml")?)?;
        for (name, text) in pipelines {
            fs::write(place.path("pipelines").join(format!("{name}.toml")), text)?;
        }
        for library in built::plugins().read_dir().context("reading the folder of plug-ins")? {
            place.add_plugin(&library?.path())?;
        }
        Ok(place)
    }

    /// As [`Place::new`], with pipelines from `tests/cases/bad_input` as they are.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn with(pipelines: &[&str]) -> Result<Self> {
        let texts = pipelines
            .iter()
            .map(|name| Ok((*name, built::case(&format!("bad_input/{name}.toml"))?)))
            .collect::<Result<Vec<_>>>()?;
        Self::new(&texts)
    }

    /// Puts a library into the folder of plug-ins.
    ///
    /// # Errors
    /// If it cannot be linked there.
    pub fn add_plugin(&self, library: &Path) -> Result<()> {
        let name = library.file_name().context("a library without a name")?;
        let link = self.path("plugins").join(name);
        symlink(library, &link).with_context(|| format!("linking {}", library.display()))
    }

    /// A file or folder in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `gantry` there.
    ///
    /// # Errors
    /// If it cannot be run.
    pub async fn gantry(&self, arguments: &[&str]) -> Result<Ran> {
        cli::gantry(self.folder.path(), arguments).await
    }
}
