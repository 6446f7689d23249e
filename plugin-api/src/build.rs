//! For a plug-in's build script: writes the manifest from the same configuration types that the
//! plug-in reads, so that the two cannot drift.
//!
//! The configuration types sit in a module of their own, which needs nothing but serde and
//! schemars, and is included twice: by the plug-in and by its `build.rs`:
//!
//! ```ignore
//! #[path = "src/config.rs"]
//! #[allow(dead_code, reason = "a build script only derives the schemas")]
//! mod config;
//!
//! use gantry_plugin_api::CaptureMode;
//! use gantry_plugin_api::build::{self, Plugin};
//!
//! fn main() -> Result<(), build::Error> {
//!     println!("cargo::rerun-if-changed=src/config.rs");
//!     Plugin::new("counter")
//!         .config::<config::Config>()
//!         .capture::<config::CaptureSettings>([CaptureMode::Poll])
//!         .lookup::<config::LookupSettings>()
//!         .write()
//! }
//! ```

#![expect(clippy::print_stdout, reason = "a build script speaks to cargo on standard output")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::manifest::{BuildInfo, CaptureMode, CaptureRole, Manifest, Permissions, Role};
use crate::secret::SCHEMA_KEYWORD;

/// The file in `OUT_DIR` that the export macro includes.
pub const FILE_NAME: &str = "gantry-manifest.json";

/// Collects what the manifest says; [`Plugin::write`] ends it.
#[derive(Debug)]
#[must_use = "nothing is written before `write()`"]
pub struct Plugin {
    name: String,
    config: Schema,
    capture: Option<CaptureRole>,
    lookup: Option<Role>,
    callback: Option<Role>,
    rotates: Vec<String>,
    permissions: Permissions,
}

/// Why a manifest could not be written.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Cargo sets this variable for each build script; so this is none.
    #[error("cannot write the manifest: `{0}` is not set, which cargo does for build scripts")]
    NoVariable(&'static str),
    /// The name is what operators write; it must be plain.
    #[error("cannot name a plug-in `{0}`: use lower-case letters, digits and `_`")]
    Name(String),
    /// A typing mistake in the operator's TOML would go unnoticed.
    #[error(
        "cannot accept the {0}: unknown keys pass; put #[serde(deny_unknown_fields)] on the struct"
    )]
    UnknownKeys(&'static str),
    /// A capture role needs at least one way in.
    #[error("cannot declare a capture role without a mode")]
    NoMode,
    /// The file could not be written.
    #[error("cannot write manifest `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

// A build script that fails prints its error by `Debug`; the author should read a sentence.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")?;
        std::error::Error::source(self).map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl Plugin {
    /// Starts a manifest. `name` is what operators write in `plugin = "…"`; version and description
    /// are those of the cargo package.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            config: schemars::json_schema!({ "type": "object", "additionalProperties": false }),
            capture: None,
            lookup: None,
            callback: None,
            rotates: Vec::new(),
            permissions: Permissions::default(),
        }
    }

    /// Sets the type behind `[source.NAME] config`; without it a source takes no configuration.
    pub fn config<T: JsonSchema>(mut self) -> Self {
        self.config = schema::<T>();
        self
    }

    /// Declares the capture role, its modes and the type of the settings in `[capture.NAME]`.
    pub fn capture<T: JsonSchema>(mut self, modes: impl IntoIterator<Item = CaptureMode>) -> Self {
        let modes = modes.into_iter().collect();
        self.capture = Some(CaptureRole { modes, leases: false, settings: schema::<T>() });
        self
    }

    /// Declares that records are lent (`Record::lease`) and `Capture::extend` extends that; after
    /// [`Plugin::capture`].
    pub fn leases(mut self) -> Self {
        if let Some(capture) = &mut self.capture {
            capture.leases = true;
        }
        self
    }

    /// Declares the look-up role and the type of the settings in `[lookup.NAME]`.
    pub fn lookup<T: JsonSchema>(mut self) -> Self {
        self.lookup = Some(Role { settings: schema::<T>() });
        self
    }

    /// Declares the callback role and the type of the settings in `[callback.NAME]`.
    pub fn callback<T: JsonSchema>(mut self) -> Self {
        self.callback = Some(Role { settings: schema::<T>() });
        self
    }

    /// Names the keys of the source's config, as dotted paths, whose secret the source replaces
    /// while it is used (`Context::rotated`).
    pub fn rotates<T: Into<String>>(mut self, fields: impl IntoIterator<Item = T>) -> Self {
        self.rotates = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Declares what the plug-in needs from the machine.
    pub fn permissions(mut self, permissions: Permissions) -> Self {
        self.permissions = permissions;
        self
    }

    /// Writes `OUT_DIR/gantry-manifest.json`, which the export macro includes.
    ///
    /// # Errors
    /// See [`Error`]; return it from the build script's `main`, and cargo shows it.
    pub fn write(self) -> Result<(), Error> {
        let directory = PathBuf::from(variable("OUT_DIR")?);
        let manifest = self.finish()?;
        let path = directory.join(FILE_NAME);
        let text = serde_json::to_string(&manifest)
            .expect("invariant: a manifest has only text keys, so it is valid JSON");
        fs::write(&path, text).map_err(|source| Error::Write { path, source })
    }

    fn finish(self) -> Result<Manifest, Error> {
        for (what, key) in self.check()? {
            println!("cargo::warning={what}: `{key}` looks like a secret; make it a Secret<_>");
        }
        Ok(Manifest {
            name: self.name,
            version: variable("CARGO_PKG_VERSION")?,
            description: env::var("CARGO_PKG_DESCRIPTION").unwrap_or_default(),
            command: Vec::new(),
            config: self.config,
            capture: self.capture,
            lookup: self.lookup,
            callback: self.callback,
            rotates: self.rotates,
            permissions: self.permissions,
            build: build_info()?,
            other: BTreeMap::new(),
        })
    }

    /// Checks what was declared; gives the keys that are named like secrets and are none.
    fn check(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(Error::Name(self.name.clone()));
        }
        if self.capture.as_ref().is_some_and(|capture| capture.modes.is_empty()) {
            return Err(Error::NoMode);
        }
        let schemas = [
            ("source's config", Some(&self.config)),
            ("capture settings", self.capture.as_ref().map(|role| &role.settings)),
            ("look-up settings", self.lookup.as_ref().map(|role| &role.settings)),
            ("callback settings", self.callback.as_ref().map(|role| &role.settings)),
        ];
        let mut unmarked = Vec::new();
        for (what, schema) in schemas {
            let Some(schema) = schema else { continue };
            if takes_unknown_keys(schema) {
                return Err(Error::UnknownKeys(what));
            }
            unmarked.extend(unmarked_secrets(schema).into_iter().map(|key| (what, key)));
        }
        Ok(unmarked)
    }
}

fn schema<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>()
}

fn takes_unknown_keys(schema: &Schema) -> bool {
    schema.get("properties").is_some()
        && ["additionalProperties", "unevaluatedProperties"]
            .into_iter()
            .all(|keyword| schema.get(keyword).and_then(serde_json::Value::as_bool) != Some(false))
}

/// Keys whose name says secret and whose schema does not: one forgotten mark and a password is
/// printed.
fn unmarked_secrets(schema: &Schema) -> Vec<String> {
    const TELLTALES: [&str; 4] = ["password", "secret", "token", "api_key"];
    let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) else {
        return Vec::new();
    };
    properties
        .iter()
        .filter(|(key, property)| {
            TELLTALES.iter().any(|end| key.ends_with(end))
                && !property.to_string().contains(SCHEMA_KEYWORD)
        })
        .map(|(key, _)| key.clone())
        .collect()
}

fn variable(name: &'static str) -> Result<String, Error> {
    env::var(name).map_err(|_| Error::NoVariable(name))
}

fn build_info() -> Result<BuildInfo, Error> {
    let rustc = Command::new(variable("RUSTC")?).arg("-V").output().ok();
    Ok(BuildInfo {
        rustc: rustc
            .and_then(|output| String::from_utf8(output.stdout).ok())
            .map(|text| text.trim().to_owned())
            .unwrap_or_default(),
        target: variable("TARGET")?,
        profile: variable("PROFILE")?,
        panic: env::var("CARGO_CFG_PANIC").unwrap_or_else(|_| "unwind".to_owned()),
        plugin_api: env!("CARGO_PKG_VERSION").to_owned(),
        tokio: tokio_version(Path::new(&variable("CARGO_MANIFEST_DIR")?)),
    })
}

/// The version of tokio in the nearest lock file, or nothing if there is none or it names several.
fn tokio_version(package: &Path) -> Option<String> {
    let lock = package.ancestors().map(|folder| folder.join("Cargo.lock")).find(|p| p.is_file())?;
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = fs::read_to_string(lock).ok()?;
    let mut versions = text
        .split("[[package]]")
        .filter(|package| package.contains("name = \"tokio\"\n"))
        .filter_map(|package| package.lines().find_map(|line| line.strip_prefix("version = ")));
    let version = versions.next()?.trim_matches('"').to_owned();
    versions.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests;
