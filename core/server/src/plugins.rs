//! Plug-ins: found in the config's folders, read for the config check, loaded, and told their
//! config with secrets in place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantry_config::{
    Checked, Code, Draft, Finding, Manifests, PluginManifest, Severity, render_human,
    resolve_secrets,
};
use gantry_model::Name;
use gantry_model::spec::{Isolation, ProcessLimits, SourceSpec, Spec};
use gantry_pipeline::{Settings, SourceParts};
use gantry_plugin_api::Secret;
use gantry_plugin_api::manifest::{CaptureMode, Manifest};
use gantry_plugin_api::message::RoleName;
use gantry_plugin_host::{Host, Isolated, Library, Limits, Lock, Options, Refusal, Scan};
use serde_json::Value;

use crate::error::{Error, chain};
use crate::place::{Place, PlaceError};
use crate::vault::Vault;
use crate::wall_clock;

/// Folders with plug-ins, and the place of the hub that uses them.
#[derive(Clone, Debug)]
pub struct Folders {
    folders: Vec<PathBuf>,
    place: Place,
}

impl Folders {
    /// The folders given, else those of the config.
    ///
    /// # Errors
    /// [`PlaceError`] if the config is not there.
    pub fn of(config: &Path, given: Vec<PathBuf>) -> Result<Self, PlaceError> {
        Ok(Self::new(Place::of(config)?, given))
    }

    /// As [`Folders::of`], of a config that may not be there yet.
    ///
    /// # Errors
    /// [`PlaceError`] if the working folder is not known.
    pub fn planned(config: &Path, given: Vec<PathBuf>) -> Result<Self, PlaceError> {
        Ok(Self::new(Place::planned(config)?, given))
    }

    pub(crate) fn new(place: Place, given: Vec<PathBuf>) -> Self {
        let folders = if given.is_empty() { place.plugins.clone() } else { given };
        Self { folders, place }
    }

    /// The host that finds and loads plug-ins, those that the operator's lock file agrees to.
    ///
    /// # Errors
    /// If that file is there and cannot be read, or others may write to it.
    pub fn host(self) -> Result<Host, Refusal> {
        let lock = Lock::read(&self.lock_file())?;
        Ok(Host::new(Options { lock, ..self.options() }))
    }

    /// A host that finds everything, for those who are about to agree to it.
    pub fn host_without_lock(self) -> Host {
        Host::new(self.options())
    }

    /// Where the operator's lock file lies, or would.
    pub fn lock_file(&self) -> PathBuf {
        self.place.lock_file()
    }

    /// Makes the config's folder the working folder: paths in plug-ins' settings and of secrets
    /// count from there, so before anything is read.
    pub(crate) fn enter(&self) -> Result<(), Error> {
        let folder = &self.place.folder;
        std::env::set_current_dir(folder)
            .map_err(|source| Error::Folder { path: folder.clone(), source })
    }

    /// Where credentials are kept that sources replaced.
    pub(crate) fn vault(&self) -> Vault {
        Vault::new(self.place.credentials_file())
    }

    /// The first of the folders: what is installed goes there.
    pub fn first(&self) -> Option<&Path> {
        self.folders.first().map(PathBuf::as_path)
    }

    fn options(self) -> Options {
        let clock = Arc::new(|| wall_clock().0);
        let options = Options::new(PathBuf::new(), self.place.plugin_cache(), clock);
        Options { folders: self.folders, ..options }
    }
}

/// Checks a config against the plug-ins in the folders, running none of them.
///
/// # Errors
/// If the operator's lock file is there and cannot be read.
pub fn check(config: &Path, folders: Folders) -> Result<(Checked, Scan), Refusal> {
    let scan = folders.host()?.scan();
    let checked = gantry_config::load(config, &manifests(&scan));
    Ok((checked, scan))
}

/// The JSON Schema of a config with the plug-ins in the folders, running none of them. The config
/// may have mistakes, or not be there yet.
///
/// # Errors
/// If the operator's lock file is there and cannot be read.
pub fn json_schema(
    config: &Path,
    folders: Folders,
    draft: Draft,
) -> Result<(Value, Scan), Refusal> {
    let scan = folders.host()?.scan();
    let sources = gantry_config::load(config, &Manifests::default()).source_plugins;
    let schema = gantry_config::json_schema(draft, &manifests(&scan), &sources);
    Ok((schema, scan))
}

/// A config that may run, and what it runs with.
pub(crate) struct Loaded {
    pub(crate) spec: Spec,
    /// What the spec was read from, for saying more of it.
    pub(crate) checked: Checked,
    pub(crate) sources: BTreeMap<Name, SourceParts>,
    /// The sources whose plug-in could not be loaded, and why.
    pub(crate) refused: BTreeMap<Name, Refusal>,
}

/// Checks the config, loads the plug-ins that it names, and lets them look at their part of it.
///
/// A plug-in that cannot be loaded keeps its own sources from running, and nothing else.
/// `reuse` gives the plug-in of a source that runs already.
pub(crate) async fn load(
    config: &Path,
    folders: Folders,
    reuse: impl Fn(&Name, &SourceSpec) -> Option<Arc<Library>>,
) -> Result<Loaded, Error> {
    let vault = folders.vault();
    let host = Arc::new(folders.host()?);
    let scan = host.scan();
    for refused in &scan.refused {
        let (error, remedy) = (&refused.refusal, refused.refusal.remedy());
        tracing::warn!(code = error.code(), %error, remedy, "a plug-in is refused");
    }
    let mut checked = gantry_config::load(config, &manifests(&scan));
    let Some(spec) = checked.spec.take() else {
        let rendered = render_human(&checked.findings, &checked.sources);
        return Err(Error::Config { rendered });
    };
    if checked.findings.iter().any(|finding| finding.severity == Severity::Warning) {
        tracing::warn!("{}", render_human(&checked.findings, &checked.sources));
    }
    let (mut sources, mut faults) = (BTreeMap::new(), Vec::new());
    let mut refused = BTreeMap::new();
    for (name, source) in &spec.sources {
        let loaded = match reuse(name, source) {
            Some(library) => Ok(library),
            None => library(&host, name, source).await,
        };
        match loaded {
            Ok(library) => {
                let (parts, found) = source_parts(&spec, name, library, &vault).await;
                sources.insert(name.clone(), parts);
                faults.extend(found.into_iter().map(|fault| fault.finding(&checked)));
            }
            Err(error) => {
                tracing::error!(source = %name, code = error.code(), %error, "a source cannot run");
                refused.insert(name.clone(), error);
            }
        }
    }
    if !faults.is_empty() {
        let rendered = render_human(&faults, &checked.sources);
        return Err(Error::PluginConfig { findings: faults, rendered });
    }
    Ok(Loaded { spec, checked, sources, refused })
}

/// The plug-in of a source, where the source wants it to run.
pub(crate) async fn library(
    host: &Arc<Host>,
    name: &Name,
    source: &SourceSpec,
) -> Result<Arc<Library>, Refusal> {
    let (host, name, source) = (Arc::clone(host), name.clone(), source.clone());
    let load = move || match source.isolation {
        Isolation::InProcess => host.load(&source.plugin),
        Isolation::Process => {
            let ProcessLimits { memory_bytes, open_files, user } = source.limits.clone();
            let limits = Limits { memory_bytes, open_files, user };
            let isolated = Isolated { source: &name, config: &source.config, limits };
            host.load_isolated(&source.plugin, &isolated)
        }
    };
    // It reads files, and waits for the plug-in's process to start.
    let loaded = tokio::task::spawn_blocking(load).await;
    loaded.expect("invariant: a plug-in is loaded or refused")
}

/// Ends the processes of plug-ins, after the last operation.
pub(crate) fn end_processes(libraries: &[Arc<Library>]) {
    /// Instances are stopped before, so nothing is left to do.
    const WITHIN: Duration = Duration::from_secs(2);
    for library in libraries {
        library.end_process(WITHIN);
    }
}

/// What a source is made of, and the faults that its plug-in found in its part of the config.
pub(crate) async fn source_parts(
    spec: &Spec,
    name: &Name,
    library: Arc<Library>,
    vault: &Vault,
) -> (SourceParts, Vec<Fault>) {
    let manifest = library.manifest().clone();
    let mut reader = Reader {
        library: &library,
        source: name,
        vault,
        rotating: BTreeMap::new(),
        secrets: Vec::new(),
        faults: Vec::new(),
    };
    let part = ["source", name, "config"];
    let schema = manifest.config.as_value();
    let config = reader.part(None, part, &spec.sources[name].config, schema).await;
    let mut settings = Settings::default();
    if let Some(role) = &manifest.capture {
        let schema = role.settings.as_value();
        for (capture, of) in &spec.captures {
            if of.source.as_ref() == Some(name) {
                let part = ["capture", capture, "settings"];
                let role = Some(RoleName::Capture);
                let read = reader.part(role, part, &of.settings, schema).await;
                settings.captures.insert(capture.clone(), read);
            }
        }
    }
    if let Some(role) = &manifest.lookup {
        let schema = role.settings.as_value();
        for (lookup, of) in &spec.lookups {
            if of.source == *name {
                let part = ["lookup", lookup, "settings"];
                let role = Some(RoleName::Lookup);
                let read = reader.part(role, part, &of.settings, schema).await;
                settings.lookups.insert(lookup.clone(), read);
            }
        }
    }
    if let Some(role) = &manifest.callback {
        let schema = role.settings.as_value();
        for (callback, of) in &spec.callbacks {
            if of.source == *name {
                let part = ["callback", callback, "settings"];
                let role = Some(RoleName::Callback);
                let read = reader.part(role, part, &of.settings, schema).await;
                settings.callbacks.insert(callback.clone(), read);
            }
        }
    }
    let Reader { rotating, secrets, faults, .. } = reader;
    (SourceParts { library, config, settings, secrets, rotating }, faults)
}

/// Resolves secrets and lets a plug-in look at its config; collects all that it finds.
struct Reader<'a> {
    library: &'a Library,
    source: &'a Name,
    vault: &'a Vault,
    /// See [`SourceParts::rotating`].
    rotating: BTreeMap<String, String>,
    secrets: Vec<Secret<String>>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    /// One part of the config as the plug-in gets it.
    async fn part(
        &mut self,
        role: Option<RoleName>,
        part: [&str; 3],
        value: &Value,
        schema: &Value,
    ) -> Vec<u8> {
        let (mut value, mut secrets) = match resolve_secrets(value, schema) {
            Ok(resolved) => resolved,
            Err(errors) => {
                let faults = errors.iter().map(|error| Fault {
                    code: Code::NoSecret,
                    part: part.map(str::to_owned),
                    field: error.field(),
                    message: chain(error),
                });
                self.faults.extend(faults);
                return Vec::new();
            }
        };
        if role.is_none() {
            let rotates = &self.library.manifest().rotates;
            match self.vault.apply(self.source, rotates, &mut value) {
                Ok((rotating, kept)) => {
                    self.rotating = rotating;
                    secrets.extend(kept);
                }
                Err(error) => self.faults.push(Fault {
                    code: Code::NoSecret,
                    part: part.map(str::to_owned),
                    field: String::new(),
                    message: chain(&error),
                }),
            }
        }
        let secrets: Vec<_> = secrets.into_iter().map(Secret::new).collect();
        let json = serde_json::to_vec(&value).expect("invariant: it was JSON before");
        match self.library.validate(role, json.clone(), &secrets).await {
            Ok(faults) => {
                let faults = faults.into_iter().map(|fault| Fault {
                    code: Code::PluginSettings,
                    part: part.map(str::to_owned),
                    message: fault.to_string(),
                    field: fault.path,
                });
                self.faults.extend(faults);
            }
            // The plug-in failed, not the config. What it cannot do, its sources show once they
            // run.
            Err(error) => {
                let part = part.join(".");
                tracing::error!(part, error = %chain(&error), "a plug-in could not look at its config");
            }
        }
        self.secrets.extend(secrets);
        json
    }
}

/// A mistake in a plug-in's part of the config that the config alone does not show.
pub(crate) struct Fault {
    code: Code,
    /// The table, as in `["source", "crm", "config"]`.
    part: [String; 3],
    /// The dotted path of the key in it.
    field: String,
    message: String,
}

impl Fault {
    fn finding(self, checked: &Checked) -> Finding {
        let message = self.to_string();
        let Self { code, part, field, .. } = self;
        let part = part.each_ref().map(String::as_str);
        let label = "so says its plug-in".to_owned();
        Finding { label, ..checked.finding(code, &part, &field, message) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part.join("."), self.message)
    }
}

/// What the config check needs of the plug-ins' manifests.
fn manifests(scan: &Scan) -> Manifests {
    let plugins = scan.found.iter().map(|found| {
        let manifest = &found.inspected.manifest;
        (manifest.name.clone(), plugin_manifest(manifest))
    });
    Manifests { plugins: Some(plugins.collect()) }
}

fn plugin_manifest(manifest: &Manifest) -> PluginManifest {
    let modes = manifest.capture.iter().flat_map(|capture| &capture.modes);
    let mode = |mode: &CaptureMode| match mode {
        CaptureMode::Poll => "poll",
        CaptureMode::Stream => "stream",
        CaptureMode::Http => "http",
    };
    PluginManifest {
        config: Some(manifest.config.as_value().clone()),
        capture: manifest.capture.as_ref().map(|role| role.settings.as_value().clone()),
        lookup: manifest.lookup.as_ref().map(|role| role.settings.as_value().clone()),
        callback: manifest.callback.as_ref().map(|role| role.settings.as_value().clone()),
        capture_modes: modes.map(|capture_mode| mode(capture_mode).to_owned()).collect(),
    }
}
