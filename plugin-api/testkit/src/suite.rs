//! Runs the cases: lays the plug-in into a folder, starts its upstream, asks one case after the
//! other.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gantry_plugin_host::api::abi::Descriptor;
use gantry_plugin_host::{
    Host, Inspected, Isolated, Limits, Options, Program, Refusal, Timing, inspect,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::bench::{Bench, Copies};
use crate::case::{Case, Stop};
use crate::logs::Logs;
use crate::proxy::Proxy;
use crate::report::{Ended, Report, Subject, Verdict};
use crate::script::Script;
use crate::transport::Transport;
use crate::upstream::{self, Driver, DriverError};

/// A case that takes longer has failed.
const WITHIN: Duration = Duration::from_mins(1);

/// So many characters of what was seen are told.
const SEEN_MAX: usize = 400;

/// Why the suite could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// The host does not take the plug-in.
    #[error("cannot load the plug-in over `{transport}`")]
    Refused {
        /// How.
        transport: Transport,
        /// Why.
        source: Refusal,
    },
    /// The plug-in cannot be reached in this way.
    #[error("cannot test a {what} over `{transport}`")]
    Transport {
        /// What it is.
        what: &'static str,
        /// How it was to be reached.
        transport: Transport,
    },
    /// The upstream does not start.
    #[error("cannot start the upstream of the test file")]
    Upstream(#[from] DriverError),
    /// The disk or the machine does not let us.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

fn io(what: &'static str) -> impl Fn(std::io::Error) -> SuiteError {
    move |source| SuiteError::Io { what, source }
}

/// Makes the upstream for one transport, in a folder of its own.
type MakeDriver = Box<dyn FnMut(&Path) -> Result<Box<dyn Driver>, DriverError>>;

#[derive(Clone)]
enum Tested {
    Linked(&'static Descriptor),
    File(PathBuf),
}

/// The suite for one plug-in.
pub struct Suite {
    tested: Tested,
    script: Script,
    transports: Vec<Transport>,
    filter: String,
    program: Program,
    driver: Option<MakeDriver>,
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl Suite {
    /// For a library file, or the folder of a program: over each transport there is for it.
    ///
    /// `program` is what runs a plug-in in a process of its own: a program that calls
    /// [`gantry_plugin_host::run_child`] when it is told to.
    pub fn of_file(file: impl Into<PathBuf>, program: Program) -> Self {
        Self::of(Tested::File(file.into()), program)
    }

    /// For a plug-in that is linked into this program.
    pub fn linked(descriptor: &'static Descriptor) -> Self {
        Self::of(Tested::Linked(descriptor), Program::this("none"))
    }

    fn of(tested: Tested, program: Program) -> Self {
        let (script, transports, filter) = (Script::default(), Vec::new(), String::new());
        Self { tested, script, transports, filter, program, driver: None }
    }

    /// With what a test file says.
    #[must_use]
    pub fn script(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// With an upstream in the author's own code, instead of the test file's command. It is made
    /// once for each transport; the folder is empty, and everybody may write to it.
    #[must_use]
    pub fn driver(
        mut self,
        make: impl FnMut(&Path) -> Result<Box<dyn Driver>, DriverError> + 'static,
    ) -> Self {
        self.driver = Some(Box::new(make));
        self
    }

    /// Over these transports only; none = all that there are for the plug-in.
    #[must_use]
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.transports = transports.into_iter().collect();
        self
    }

    /// Only cases whose id contains this.
    #[must_use]
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = filter.into();
        self
    }

    /// Runs the cases one after the other, and gives each to `tell` as it ends. Blocks; one run at
    /// a time in a process, for threads and files are counted.
    ///
    /// # Errors
    /// [`SuiteError`] if there is nothing to ask; what the plug-in does wrong is in the report.
    pub fn run(mut self, mut tell: impl FnMut(&Ended)) -> Result<Report, SuiteError> {
        let _alone = alone();
        let mut subject = None;
        let mut ended = Vec::new();
        for transport in self.possible()? {
            let stage = Stage::new()?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .map_err(io("start a runtime"))?;
            let bench = runtime.block_on(self.bench(transport, &stage))?;
            subject.get_or_insert_with(|| subject_of(bench.library.inspected()));
            for case in crate::cases().filter(|case| case.id.contains(&self.filter)) {
                let one = runtime.block_on(self.ask(&bench, case));
                tell(&one);
                ended.push(one);
            }
            let library = Arc::clone(&bench.library);
            // The proxy belongs to the runtime.
            runtime.block_on(async { drop(bench) });
            library.end_process(Duration::from_secs(2));
        }
        let subject = subject
            .ok_or(SuiteError::Transport { what: "plug-in", transport: Transport::Process })?;
        let needless_waivers = self.needless(&ended);
        Ok(Report { subject, ended, needless_waivers })
    }

    /// Waivers of cases that were asked, and never failed.
    fn needless(&self, ended: &[Ended]) -> Vec<String> {
        let needless = |case: &&String| {
            let mut of = ended.iter().filter(|ended| ended.case.id == **case).peekable();
            let failed = |ended: &Ended| matches!(ended.verdict, Verdict::Waived { .. });
            of.peek().is_some() && !of.any(failed)
        };
        self.script.waivers.keys().filter(needless).cloned().collect()
    }

    fn possible(&self) -> Result<Vec<Transport>, SuiteError> {
        let (what, possible): (_, &[_]) = match &self.tested {
            Tested::Linked(_) => ("linked plug-in", &[Transport::Linked]),
            Tested::File(file) => {
                let refused =
                    |source| SuiteError::Refused { transport: Transport::Process, source };
                match inspect(file).map_err(refused)?.library {
                    Some(_) => ("library", &[Transport::Process, Transport::InProcess]),
                    None => ("program", &[Transport::Process]),
                }
            }
        };
        let wrong = self.transports.iter().find(|transport| !possible.contains(transport));
        match wrong {
            Some(transport) => Err(SuiteError::Transport { what, transport: *transport }),
            None if self.transports.is_empty() => Ok(possible.to_vec()),
            None => Ok(self.transports.clone()),
        }
    }

    async fn bench(&mut self, transport: Transport, stage: &Stage) -> Result<Bench, SuiteError> {
        let mut driver = self.start_upstream(stage)?;
        let mut values = driver.as_mut().map(|driver| driver.values()).unwrap_or_default();
        let proxy = intercept(&mut values).await.map_err(io("open a proxy"))?;
        values.insert("folder".to_owned(), stage.scratch().to_string_lossy().into_owned());
        let mut script = self.script.clone();
        script.fill(&values);
        let logs = listening();
        let ahead_ms = Arc::new(AtomicI64::new(0));
        let options = self.options(stage, &ahead_ms);
        let refused = |source| SuiteError::Refused { transport, source };
        let (library, copies) = match &self.tested {
            Tested::Linked(descriptor) => {
                (Host::new(options).linked(descriptor).map_err(refused)?, None)
            }
            Tested::File(file) => {
                let said = stage.place(file, transport)?;
                let host = Host::new(options.clone());
                let config = Value::Object(script.source.config.clone());
                let isolated =
                    Isolated { source: "testkit", config: &config, limits: Limits::default() };
                let name = &said.manifest.name;
                let library = match transport {
                    Transport::Process => host.load_isolated(name, &isolated),
                    Transport::InProcess | Transport::Linked => host.load(name),
                };
                let copies = Copies { file: said.path, options };
                (library.map_err(refused)?, said.library.is_some().then_some(copies))
            }
        };
        Ok(Bench {
            transport,
            library,
            script,
            driver: Mutex::new(driver),
            proxy,
            logs,
            ahead_ms,
            copies,
            note: Mutex::new(None),
            n_made: AtomicUsize::new(0),
        })
    }

    fn start_upstream(&mut self, stage: &Stage) -> Result<Option<Box<dyn Driver>>, SuiteError> {
        let scratch = stage.scratch();
        if let Some(make) = &mut self.driver {
            return Ok(Some(make(&scratch)?));
        }
        let Some(upstream) = &self.script.upstream else { return Ok(None) };
        let folder = &self.script.folder;
        let program = upstream::Program::start(&upstream.command, folder, &scratch)?;
        Ok(Some(Box::new(program)))
    }

    fn options(&self, stage: &Stage, ahead_ms: &Arc<AtomicI64>) -> Options {
        let ahead_ms = Arc::clone(ahead_ms);
        let clock = Arc::new(move || now_ms() + ahead_ms.load(Ordering::Relaxed));
        let timing = Timing {
            tick: Duration::from_millis(20),
            pause_first: Duration::from_millis(5),
            pause_longest: Duration::from_millis(20),
            failures_max: usize::MAX,
            ..Timing::default()
        };
        Options {
            program: self.program.clone(),
            timing,
            log_level: tracing::level_filters::LevelFilter::DEBUG,
            ..Options::new(stage.plugins(), stage.path("cache"), clock)
        }
    }

    async fn ask(&self, bench: &Bench, case: &'static Case) -> Ended {
        let begun = Instant::now();
        let outcome = tokio::time::timeout(WITHIN, (case.run)(bench)).await;
        let took = begun.elapsed();
        let note = bench.note.lock().unwrap_or_else(PoisonError::into_inner).take();
        let outcome = outcome.unwrap_or_else(|_| {
            let expected = format!("it ends within {} s", WITHIN.as_secs());
            Err(Stop::Fail { expected, seen: "it hangs".to_owned() })
        });
        let verdict = match (outcome, self.script.waivers.get(case.id)) {
            (Ok(()), _) => Verdict::Passed,
            (Err(Stop::Skip(reason)), _) => Verdict::Skipped(reason),
            (Err(Stop::Fail { seen, .. }), Some(reason)) => {
                Verdict::Waived { reason: reason.clone(), seen }
            }
            (Err(Stop::Fail { expected, seen }), None) => {
                Verdict::Failed { expected, seen: shortened(seen) }
            }
        };
        Ended { case, transport: bench.transport, verdict, took, note }
    }
}

/// As much of what was seen as helps anybody.
fn shortened(mut seen: String) -> String {
    if let Some((end, _)) = seen.char_indices().nth(SEEN_MAX) {
        seen.truncate(end);
        seen.push('…');
    }
    seen
}

fn subject_of(said: &Inspected) -> Subject {
    let abi = said.library.as_ref().map(|library| library.abi);
    Subject {
        name: said.manifest.name.clone(),
        version: said.manifest.version.clone(),
        sha256: said.sha256.clone(),
        abi: abi.map(|(min, max)| (min.to_string(), max.to_string())),
    }
}

/// Held by the one run that this process has at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The listener for log lines of this process; there can be only one.
fn listening() -> Option<Logs> {
    static LOGS: OnceLock<Option<Logs>> = OnceLock::new();
    LOGS.get_or_init(Logs::listen).clone()
}

#[expect(clippy::disallowed_methods, reason = "there is no hub here whose clock could be asked")]
fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}

/// Puts a proxy before the address among the upstream's values, if there is one; also as
/// `NAME.host` and `NAME.port` for configs that have them apart.
async fn intercept(values: &mut BTreeMap<String, String>) -> std::io::Result<Option<Proxy>> {
    let found = values.iter().find_map(|(name, value)| {
        let (at, address) = address(value)?;
        Some((name.clone(), value[..at].to_owned(), address))
    });
    let Some((name, before, (shown, address))) = found else { return Ok(None) };
    let proxy = Proxy::before(address).await?;
    for value in values.values_mut() {
        *value = value.replace(&shown, &proxy.address.to_string());
    }
    if before.is_empty() {
        values.insert(format!("{name}.host"), proxy.address.ip().to_string());
        values.insert(format!("{name}.port"), proxy.address.port().to_string());
    }
    Ok(Some(proxy))
}

/// An address of this machine in a text: where it begins, how it is written, what it is.
fn address(text: &str) -> Option<(usize, (String, SocketAddr))> {
    const HERE: [&str; 2] = ["127.0.0.1:", "localhost:"];
    HERE.iter().find_map(|here| {
        let at = text.find(here)?;
        let digits = text[at + here.len()..].chars().take_while(char::is_ascii_digit);
        let port: String = digits.collect();
        let address = format!("127.0.0.1:{port}").parse().ok()?;
        Some((at, (format!("{here}{port}"), address)))
    })
}

/// The folders of one run.
struct Stage(TempDir);

impl Stage {
    fn new() -> Result<Self, SuiteError> {
        let failed = io("make a folder for the plug-in");
        let folder = tempfile::Builder::new().prefix("gantry-testkit-").tempdir();
        let stage = Self(folder.map_err(&failed)?);
        // A plug-in in a process of its own may run as another user.
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        mode(stage.0.path(), 0o755).map_err(&failed)?;
        for (name, bits) in [("plugins", 0o755), ("cache", 0o755), ("scratch", 0o777)] {
            fs::create_dir(stage.path(name)).map_err(&failed)?;
            mode(&stage.path(name), bits).map_err(&failed)?;
        }
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn plugins(&self) -> PathBuf {
        self.path("plugins")
    }

    fn scratch(&self) -> PathBuf {
        self.path("scratch")
    }

    /// Lays the plug-in where nothing else is, and says what it is.
    fn place(&self, file: &Path, transport: Transport) -> Result<Inspected, SuiteError> {
        let said = inspect(file).map_err(|source| SuiteError::Refused { transport, source })?;
        let failed = io("lay the plug-in into a folder of its own");
        let path = fs::canonicalize(&said.path).map_err(&failed)?;
        let place = self.plugins().join(path.file_name().unwrap_or_default());
        copy(&path, &place).map_err(&failed)?;
        Ok(said)
    }
}

/// Copies a file or folder so that nobody else may write the copy: on the author's own machine that
/// may be otherwise.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    if metadata.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if metadata.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else {
        fs::copy(from, to)?;
    }
    let runs = metadata.permissions().mode() & 0o111;
    fs::set_permissions(to, Permissions::from_mode(0o644 | runs))
}
