//! Builds the test plug-ins, and gives each test a plug-in folder and host of its own.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use gantry_plugin_api::Secret;
use tempfile::TempDir;

use crate::{Host, Instance, Isolated, Library, Limits, Options, Program, Timing};

/// A time that no clock would give by chance.
pub(super) const NOW_MS: i64 = 1_234_567_890_123;

const PACKAGES: [&str; 3] =
    ["gantry-example-counter", "gantry-test-misbehaving", "gantry-test-crashing"];

/// The library file of a plug-in by the plug-in's name.
pub(super) fn library_file(name: &str) -> &'static Path {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(build);
    let suffix = format!("_{name}.so");
    let found = built.values().find(|path| path.to_string_lossy().ends_with(&suffix));
    found.unwrap_or_else(|| panic!("cargo built no library of `{name}`: {built:?}"))
}

fn build() -> BTreeMap<String, PathBuf> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--message-format=json"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    for package in PACKAGES {
        command.args(["-p", package]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages = messages.lines().map(|line| serde_json::from_str(line).unwrap());
    let files = messages.flat_map(|message: serde_json::Value| {
        let files = message["filenames"].as_array().cloned().unwrap_or_default();
        files.into_iter().map(|file| PathBuf::from(file.as_str().unwrap())).collect::<Vec<_>>()
    });
    let libraries = files.filter(|file| file.extension().is_some_and(|ext| ext == "so"));
    libraries.map(|file| (file.file_name().unwrap().to_string_lossy().into_owned(), file)).collect()
}

/// A plug-in folder and a cache that vanish with it.
pub(super) struct Folder {
    pub(super) directory: TempDir,
}

impl Folder {
    pub(super) fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("plugins")).unwrap();
        Self { directory }
    }

    pub(super) fn with(names: &[&str]) -> Self {
        let folder = Self::empty();
        for name in names {
            fs::copy(library_file(name), folder.file(name)).unwrap();
        }
        folder
    }

    /// Where a plug-in of this name lies.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.plugins().join(format!("lib{name}.so"))
    }

    pub(super) fn plugins(&self) -> PathBuf {
        self.directory.path().join("plugins")
    }

    pub(super) fn options(&self) -> Options {
        Options::new(self.plugins(), self.directory.path().join("cache"), Arc::new(|| NOW_MS))
    }

    pub(super) fn host(&self) -> Host {
        Host::new(self.options())
    }

    pub(super) fn load(&self, name: &str) -> Arc<Library> {
        self.host().load(name).unwrap()
    }

    /// Options whose processes are this test program, watched more closely than usual.
    pub(super) fn isolating(&self) -> Options {
        let arguments = ["tests::process::child", "--exact", "--nocapture", "--quiet"];
        let path = env::current_exe().unwrap();
        let program = Program { path, arguments: arguments.map(Into::into).to_vec() };
        let timing = Timing {
            tick: Duration::from_millis(20),
            pause_first: Duration::from_millis(5),
            pause_longest: Duration::from_millis(5),
            failures_max: usize::MAX,
            ..Timing::default()
        };
        Options { program, timing, ..self.options() }
    }

    pub(super) fn isolate(&self, name: &str) -> Arc<Library> {
        isolate(self.isolating(), name)
    }
}

pub(super) fn isolate(options: Options, name: &str) -> Arc<Library> {
    let limits = Limits::default();
    let isolated = Isolated { source: "crm", config: &serde_json::Value::Null, limits };
    Host::new(options).load_isolated(name, &isolated).unwrap()
}

/// An instance of the misbehaving plug-in; what it is told may be given by `config`.
pub(super) async fn misbehaving(library: &Arc<Library>, config: &str) -> Instance {
    let secrets = [Secret::new("correct-horse".to_owned())];
    library.create("crm", config.as_bytes().to_vec(), &secrets).await.unwrap()
}

/// Settings that tell a role what to do.
pub(super) fn told(behaviour: &str) -> Vec<u8> {
    format!(r#"{{"behaviour": "{behaviour}"}}"#).into_bytes()
}

/// Runs a future without any tokio runtime on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
