//! A plug-in in a process of its own: how it is started, confined, watched, ended, and started
//! again. What it says goes through `transport::child`; what runs inside the process is `child`.
//!
//! One source is one process, so a crash hurts one source, and limits are a source's own. The
//! process is the hub's own program as [`Program`] says; start reading at `supervisor`.

mod exit;
mod life;
mod orphans;
mod outbox;
mod output;
mod plan;
mod roster;
mod scratch;
mod setup;
mod spawner;
mod supervisor;
mod usage;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tracing::level_filters::LevelFilter;

pub(crate) use outbox::{Outbox, SendError, Wake};
pub(crate) use roster::{Remade, Roster};
pub(crate) use setup::{Allowed, Code, SETUP, Setup, absolute_paths};
pub(crate) use supervisor::Supervisor;
pub use usage::{Usage, usage};

use crate::host::Clock;

/// The program that runs a library in a child process: this one, told to be the child.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// What makes it call [`crate::run_child`].
    pub arguments: Vec<OsString>,
}

impl Program {
    /// The program that runs now, with one argument.
    pub fn this(argument: &str) -> Self {
        // Without its own path, which /proc always has, nothing can be started, and that is said.
        let path = std::env::current_exe().unwrap_or_default();
        Self { path, arguments: vec![argument.into()] }
    }
}

/// What a plug-in's process may have of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Address space, in bytes; none = as much as there is.
    pub memory_bytes: Option<u64>,
    /// Open files; none = 1024.
    pub open_files: Option<u64>,
    /// The user it runs as where the hub is root, by name or number; none = nobody.
    pub user: Option<String>,
}

/// What a source says about its process.
#[derive(Clone, Debug)]
pub struct Isolated<'a> {
    /// The operator's name of the source.
    pub source: &'a str,
    /// Its config, for the paths and ports that the manifest's permissions name by key. Secrets
    /// may stand in it as references.
    pub config: &'a Value,
    /// What it may have.
    pub limits: Limits,
}

/// Spans and bounds of the supervision.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From one ping to the next; also how often deadlines are looked at.
    pub tick: Duration,
    /// A process that has not answered a ping for so long is killed.
    pub ping_timeout: Duration,
    /// A process that does not complete an operation for so long after it was called off, or an
    /// operation without input and output for so long after its start, is killed.
    pub grace: Duration,
    /// From the start of a process until it must take operations.
    pub start_timeout: Duration,
    /// Pause before the first restart; it doubles up to `pause_longest`, with jitter, and begins
    /// anew once a process has run for `window`.
    pub pause_first: Duration,
    /// See `pause_first`.
    pub pause_longest: Duration,
    /// After so many failures within `window` it is not started any more.
    pub failures_max: usize,
    /// See `failures_max`.
    pub window: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(1),
            ping_timeout: Duration::from_secs(10),
            grace: Duration::from_secs(10),
            start_timeout: Duration::from_secs(10),
            pause_first: Duration::from_millis(200),
            pause_longest: Duration::from_mins(1),
            failures_max: 5,
            window: Duration::from_mins(10),
        }
    }
}

/// All that a process is started with, besides the library.
pub(crate) struct Start {
    pub(crate) source: String,
    pub(crate) config: Value,
    /// Relative paths in the config count from here.
    pub(crate) base: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) program: Program,
    pub(crate) timing: Timing,
    pub(crate) n_workers: u32,
    pub(crate) log_level: LevelFilter,
    pub(crate) clock: Clock,
}
