//! How operations reach a plug-in. The library in this process is one way; a child process, which
//! speaks the same messages over a socket, is another behind the same trait.

mod child;
mod inproc;

pub(crate) use child::{Child, Shared, send_op};
pub(crate) use inproc::{Opened, open, open_linked, said_by};

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use gantry_plugin_api::ErrorClass;
use gantry_plugin_api::abi::Buf;
use gantry_plugin_api::message::Opcode;
use tracing::level_filters::LevelFilter;

use crate::host::Clock;
use crate::ops::{Emitted, OpTable, Reply};
use crate::scrub::Scrubber;

/// Carries operations to a plug-in. Completions, batches and log lines come back through [`Ears`].
pub(crate) trait Transport: fmt::Debug + Send + Sync {
    /// Starts an operation whose number is open in the table. False if it will never complete.
    fn op(&self, op_id: u64, target: u64, opcode: Opcode, request: &[u8]) -> bool;

    /// Starts whatever this number means to the plug-in, as its operations are started.
    fn probe(&self, op_id: u64, target: u64, code: u32, request: &[u8]) -> bool;

    /// Calls an operation off; its completion still comes.
    fn cancel(&self, op_id: u64);

    /// Lets a stream send more.
    fn credit(&self, op_id: u64, n: u32);

    /// Ends the plug-in's threads; blocks up to `timeout`.
    fn shutdown(&self, timeout: Duration);

    /// Why it takes no operations at the moment; none if it does.
    fn outage(&self) -> Option<Outage> {
        None
    }

    /// The number of its process, if it runs in one of its own.
    fn process(&self) -> Option<u32> {
        None
    }

    /// How its processes have fared, if it runs in one of its own.
    fn tally(&self) -> Option<Tally> {
        None
    }
}

/// How the processes of a plug-in have fared, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// How often one took operations.
    pub(crate) n_starts: u64,
    /// How often it was given up.
    pub(crate) n_quarantines: u64,
    /// Time of the processors that those took that have ended.
    pub(crate) spent: Duration,
    /// Why the last one failed, and when: Unix milliseconds of the hub's time.
    pub(crate) last_failure: Option<(i64, String)>,
}

/// Why a plug-in takes no operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// It failed too often and is not started again by itself.
    pub(crate) quarantined: bool,
    /// What happened, for people.
    pub(crate) reason: String,
}

/// What a library calls back into: the host itself, or in a child process the way to it.
pub(crate) trait Listener: Send + Sync {
    /// An operation has ended.
    fn complete(&self, op_id: u64, status: u32, reply: Body);

    /// A stream sends a batch; false if nobody wants it.
    fn emit(&self, op_id: u64, n_credit: u32, batch: Body) -> bool;

    /// A log line about an instance or attachment.
    fn log(&self, level: u32, about: u64, target: &str, message: &str, fields: &str);

    /// The hub's time, as Unix milliseconds.
    fn now_ms(&self) -> i64;

    /// 0 (nothing) to 5 (trace); the plug-in reads it at any time.
    fn log_level(&self) -> &AtomicU8;
}

/// What a plug-in may call back into, and what its answers are put through.
pub(crate) struct Ears {
    /// The plug-in's name.
    pub(crate) plugin: String,
    /// Its operations.
    pub(crate) ops: Arc<OpTable>,
    /// Its secrets.
    pub(crate) scrubber: Scrubber,
    /// Names of instances and attachments by number, for log lines.
    pub(crate) names: RwLock<std::collections::BTreeMap<u64, Arc<str>>>,
    /// The hub's time.
    pub(crate) clock: RwLock<Clock>,
    /// 0 (nothing) to 5 (trace); read by the plug-in.
    pub(crate) log_level: AtomicU8,
}

impl Ears {
    /// Sets what the plug-in may log.
    pub(crate) fn set_log_level(&self, level: LevelFilter) {
        let number = match level.into_level() {
            None => 0,
            Some(tracing::Level::ERROR) => 1,
            Some(tracing::Level::WARN) => 2,
            Some(tracing::Level::INFO) => 3,
            Some(tracing::Level::DEBUG) => 4,
            Some(tracing::Level::TRACE) => 5,
        };
        self.log_level.store(number, Ordering::Relaxed);
    }

    /// Sets where the hub's time comes from.
    pub(crate) fn set_clock(&self, clock: Clock) {
        *self.clock.write().unwrap_or_else(PoisonError::into_inner) = clock;
    }

    /// The operator's name of an instance or attachment.
    pub(crate) fn name(&self, id: u64) -> Option<Arc<str>> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

impl Listener for Ears {
    fn complete(&self, op_id: u64, status: u32, reply: Body) {
        let panicked = status == ErrorClass::Panic.code();
        self.ops.complete(op_id, Reply { status, body: reply }, panicked);
    }

    fn emit(&self, op_id: u64, n_credit: u32, batch: Body) -> bool {
        self.ops.emit(op_id, n_credit, batch) == Emitted::Taken
    }

    fn now_ms(&self) -> i64 {
        let clock = Arc::clone(&self.clock.read().unwrap_or_else(PoisonError::into_inner));
        clock()
    }

    fn log_level(&self) -> &AtomicU8 {
        &self.log_level
    }

    fn log(&self, level: u32, id: u64, target: &str, message: &str, fields: &str) {
        let instance = self.name(id);
        let (plugin, instance) = (self.plugin.as_str(), instance.as_deref());
        let (message, fields) = (self.scrubber.text(message), self.scrubber.text(fields));
        let fields = (!fields.is_empty()).then_some(fields.as_ref());
        // A level is part of a call site, so there is one for each.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "gantry_plugin", plugin, instance, target, fields, "{message}"
                )
            };
        }
        match level {
            0 | 1 => line!(error),
            2 => line!(warn),
            3 => line!(info),
            4 => line!(debug),
            _ => line!(trace),
        }
    }
}

impl fmt::Debug for Ears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ears").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

/// Bytes of a completion or batch, wherever they lie.
#[derive(Debug)]
pub(crate) struct Body(Buf);

impl Body {
    /// No bytes.
    pub(crate) const EMPTY: Self = Self(Buf::EMPTY);

    /// Bytes made on this side.
    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Buf::from_vec(bytes))
    }
}

impl Deref for Body {
    type Target = [u8];

    #[allow(unsafe_code, reason = "reads a buffer handed over by the plug-in")]
    fn deref(&self) -> &[u8] {
        // SAFETY: a `Body` is made only of a buffer as the other side handed it over, or an empty
        // one.
        unsafe { self.0.as_bytes() }
    }
}
