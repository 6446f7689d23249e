//! Where plug-ins are found, and which of them may be loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_plugin_api::abi::Descriptor;
use tracing::level_filters::LevelFilter;

use crate::cache;
use crate::elf;
use crate::inspected::Inspected;
use crate::library::Library;
use crate::lock::Lock;
use crate::process::{Isolated, Program, Start, Timing};
use crate::program;
use crate::refusal::Refusal;
use crate::transport;
use crate::trust;

/// The hub's time, in Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What the host is told once.
#[derive(Clone)]
pub struct Options {
    /// Where libraries and the folders of programs are looked for, in this order.
    pub folders: Vec<PathBuf>,
    /// A folder of the hub's own for the copies that are opened.
    pub cache_dir: PathBuf,
    /// What the operator's lock file says; none if there is none, and then nothing is pinned.
    pub lock: Option<Lock>,
    /// Worker threads of each plug-in's runtime, at least 1.
    pub n_workers: u32,
    /// The most a plug-in may log.
    pub log_level: LevelFilter,
    /// The hub's time.
    pub clock: Clock,
    /// What runs a library in a process of its own.
    pub program: Program,
    /// How such a process is watched.
    pub timing: Timing,
}

impl Options {
    /// One folder, nothing pinned, one worker, log lines from INFO up.
    pub fn new(folder: impl Into<PathBuf>, cache_dir: impl Into<PathBuf>, clock: Clock) -> Self {
        Self {
            folders: vec![folder.into()],
            cache_dir: cache_dir.into(),
            lock: None,
            n_workers: 1,
            log_level: LevelFilter::INFO,
            clock,
            program: Program::this("plugin-child"),
            timing: Timing::default(),
        }
    }
}

/// What the folders hold.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Scan {
    /// What can be loaded, by name.
    pub found: Vec<Found>,
    /// What cannot, in the order of the folders and file names.
    pub refused: Vec<Refused>,
}

/// A plug-in that can be loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// What its files say.
    pub inspected: Inspected,
}

/// A library, program or folder that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    pub refusal: Refusal,
}

/// Finds and loads plug-ins. All methods block on the disk: call them where that is allowed.
pub struct Host {
    options: Options,
    /// Where the last scan found each name, so that loading need not read all files again.
    paths: Mutex<BTreeMap<String, PathBuf>>,
}

/// Loaded libraries of the whole process by the path they were opened from: one file is one
/// library, however many hosts there are, for it meets its host only once.
static LOADED: Mutex<BTreeMap<PathBuf, Arc<Library>>> = Mutex::new(BTreeMap::new());

/// Reads what a library file or the folder of a program says, wherever it lies, and without running
/// any of it.
///
/// # Errors
/// If it is no plug-in; whether this host could load it is said by [`Inspected::refusal`].
pub fn inspect(path: &Path) -> Result<Inspected, Refusal> {
    match program::folder(path) {
        Some(folder) => program::inspect(folder),
        None => elf::inspect(path, &elf::read(path)?),
    }
}

impl Host {
    /// Takes the options; nothing is read yet.
    pub fn new(options: Options) -> Self {
        Self { options, paths: Mutex::default() }
    }

    /// Reads all libraries (`*.so`) and programs (folders with `gantry-plugin.json`) in the
    /// folders, without running any of them.
    pub fn scan(&self) -> Scan {
        let mut scan = Scan::default();
        for folder in &self.options.folders {
            match candidates(folder) {
                Ok(paths) => {
                    for path in paths {
                        let result = self.examine(&path).map(|(inspected, _)| inspected);
                        scan.add(path, result);
                    }
                }
                Err(refusal) => scan.refused.push(Refused { path: folder.clone(), refusal }),
            }
        }
        scan.found.sort_by(|a, b| a.inspected.manifest.name.cmp(&b.inspected.manifest.name));
        let found = scan.found.iter().map(|found| &found.inspected);
        let paths = found.map(|said| (said.manifest.name.clone(), said.path.clone()));
        *self.paths.lock().unwrap_or_else(PoisonError::into_inner) = paths.collect();
        scan
    }

    /// Loads a plug-in by its name, or gives the library that is loaded already. The file is read
    /// and checked again, and what was checked is what is opened.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] if no library in the folders has the name, else what is wrong with it.
    pub fn load(&self, name: &str) -> Result<Arc<Library>, Refusal> {
        let (copy, said) = self.prepare(name)?;
        match said.library {
            Some(_) => self.open(copy, said),
            None => Err(Refusal::InProcess { path: said.path }),
        }
    }

    /// Takes a plug-in that is linked into this program, as an author's tests are with it. It runs
    /// in this process, as a library does that was loaded.
    ///
    /// # Errors
    /// What is wrong with it, as far as that does not lie in its file.
    pub fn linked(&self, descriptor: &'static Descriptor) -> Result<Arc<Library>, Refusal> {
        // It has no file but this program.
        let program = std::env::current_exe().unwrap_or_default();
        let said = transport::said_by(&program, descriptor)?;
        if let Some(refusal) = said.refusal() {
            return Err(refusal);
        }
        let key = program.join(&said.manifest.name);
        self.once(key, |n_workers, clock| Library::linked(descriptor, said, n_workers, clock))
    }

    /// Runs a plug-in in a process of its own, for one source. Blocks until it takes operations.
    /// The process ends when the last of the library, its instances and handles drops.
    ///
    /// # Errors
    /// As [`Host::load`], and [`Refusal::Start`].
    pub fn load_isolated(
        &self,
        name: &str,
        isolated: &Isolated<'_>,
    ) -> Result<Arc<Library>, Refusal> {
        let (copy, said) = self.prepare(name)?;
        let base = std::env::current_dir()
            .map_err(|source| Refusal::Read { path: PathBuf::from("."), source })?;
        let options = &self.options;
        let start = Start {
            source: isolated.source.to_owned(),
            config: isolated.config.clone(),
            base,
            limits: isolated.limits.clone(),
            program: options.program.clone(),
            timing: options.timing,
            n_workers: options.n_workers.max(1),
            log_level: options.log_level,
            clock: Arc::clone(&options.clock),
        };
        Library::isolated(&copy, said, start).map(Arc::new)
    }

    /// Finds a plug-in, checks it, and copies a library to where it is opened.
    fn prepare(&self, name: &str) -> Result<(PathBuf, Inspected), Refusal> {
        let known = self.path(name).map(|path| self.examine(&path));
        let (said, bytes) = match known {
            Some(Ok((said, bytes))) if said.manifest.name == name => (said, bytes),
            // Nobody has looked yet, or what lies there is another one by now.
            _ => {
                let scan = self.scan();
                let path = self.path(name).ok_or_else(|| scan.why_not(name))?;
                self.examine(&path)?
            }
        };
        if said.library.is_none() {
            // Each process gets a copy of its own.
            return Ok((said.path.clone(), said));
        }
        let path = &said.path;
        let file_name = Path::new(path.file_name().unwrap_or(path.as_os_str()));
        let copy = cache::place(&self.options.cache_dir, &said.sha256, file_name, &bytes)?;
        drop(bytes);
        // One name for one file: two spellings of the path would open it twice.
        let copy = fs::canonicalize(&copy)
            .map_err(|source| Refusal::Cache { path: copy.clone(), source })?;
        Ok((copy, said))
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn open(&self, copy: PathBuf, said: Inspected) -> Result<Arc<Library>, Refusal> {
        self.once(copy.clone(), |n_workers, clock| Library::open(&copy, said, n_workers, clock))
    }

    /// The library of this name, opened if it is the first time.
    fn once(
        &self,
        key: PathBuf,
        open: impl FnOnce(u32, Clock) -> Result<Library, Refusal>,
    ) -> Result<Arc<Library>, Refusal> {
        let options = &self.options;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let library = if let Some(library) = loaded.get(&key) {
            // The host that loads last sets the time: the one before is gone, or the same hub's.
            library.ears().set_clock(Arc::clone(&options.clock));
            Arc::clone(library)
        } else {
            let (n_workers, clock) = (options.n_workers.max(1), Arc::clone(&options.clock));
            let library = Arc::new(open(n_workers, clock)?);
            loaded.insert(key, Arc::clone(&library));
            library
        };
        library.ears().set_log_level(options.log_level);
        Ok(library)
    }

    /// All checks that need no code of the plug-in to run; and the bytes of a library.
    fn examine(&self, path: &Path) -> Result<(Inspected, Vec<u8>), Refusal> {
        // The folder, too: nobody may have looked for other plug-ins in it.
        path.parent().map_or(Ok(()), trust::check)?;
        trust::check(path)?;
        let (inspected, bytes) = if let Some(folder) = program::folder(path) {
            (program::inspect(folder)?, Vec::new())
        } else {
            let bytes = elf::read(path)?;
            (elf::inspect(path, &bytes)?, bytes)
        };
        if let Some(lock) = &self.options.lock {
            lock.check(&inspected)?;
        }
        match inspected.refusal() {
            Some(refusal) => Err(refusal),
            None => Ok((inspected, bytes)),
        }
    }
}

impl Refused {
    /// Whether this kept all plug-ins of a folder from being found.
    fn is_whole_folder(&self) -> bool {
        match &self.refusal {
            Refusal::Folder { .. } => true,
            Refusal::WritableByOthers { path, .. } => {
                path.is_dir() && program::folder(path).is_none()
            }
            _ => false,
        }
    }
}

impl Scan {
    fn add(&mut self, path: PathBuf, result: Result<Inspected, Refusal>) {
        let result = result.and_then(|inspected| {
            let name = &inspected.manifest.name;
            match self.found.iter().find(|found| found.inspected.manifest.name == *name) {
                None => Ok(inspected),
                Some(first) => Err(Refusal::Duplicate {
                    name: name.clone(),
                    first: first.inspected.path.clone(),
                    second: path.clone(),
                }),
            }
        });
        match result {
            Ok(inspected) => self.found.push(Found { inspected }),
            Err(refusal) => self.refused.push(Refused { path, refusal }),
        }
    }

    fn why_not(mut self, name: &str) -> Refusal {
        let names: Vec<_> =
            self.found.iter().map(|found| format!("`{}`", found.inspected.manifest.name)).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        // The library is probably the one named like it, if there is one: say what is wrong with
        // it.
        let stem =
            |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let like = self.refused.iter().position(|refused| stem(&refused.path).ends_with(name));
        // Or it lies in a folder that was not looked into.
        let at = like.or_else(|| self.refused.iter().position(Refused::is_whole_folder));
        at.map_or(Refusal::Unknown { name: name.to_owned(), known }, |at| {
            self.refused.swap_remove(at).refusal
        })
    }
}

/// The libraries and programs of a folder, sorted, so that each scan gives the same.
fn candidates(folder: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let refusal = |source| Refusal::Folder { path: folder.to_owned(), source };
    trust::check(folder)?;
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(refusal)? {
        let path = entry.map_err(refusal)?.path();
        let is_library = path.extension().is_some_and(|extension| extension == "so");
        if is_library || program::folder(&path).is_some_and(|folder| folder == path) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("options", &self.options).finish()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("folders", &self.folders)
            .field("cache_dir", &self.cache_dir)
            .field("lock", &self.lock)
            .field("n_workers", &self.n_workers)
            .field("log_level", &self.log_level)
            .finish_non_exhaustive()
    }
}
