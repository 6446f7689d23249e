//! A loaded plug-in: makes instances, and starts every operation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use gantry_plugin_api::abi::{Descriptor, STATUS_OK};
use gantry_plugin_api::message::{Opcode, RoleName, Validate, decode, encode};
use gantry_plugin_api::{ConfigFault, Error, ErrorClass, Manifest, Secret};

use crate::host::Clock;
use crate::inspected::Inspected;
use crate::instance::{CallError, Instance};
use crate::ops::{Flights, OpTable, Pending, Reply};
use crate::process::{Start, absolute_paths};
use crate::refusal::Refusal;
use crate::scrub::Scrubber;
use crate::transport::{self, Body, Ears, Transport};

/// A plug-in that is loaded. It stays loaded for the life of the process, whatever drops.
pub struct Library {
    said: Inspected,
    ears: Arc<Ears>,
    ops: Arc<OpTable>,
    transport: Arc<dyn Transport>,
    last_id: AtomicU64,
    /// In a process of its own it has another working folder: relative paths in its config count
    /// from here.
    paths_from: Option<PathBuf>,
}

/// How the process of a plug-in is, and how those before it fared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessHealth {
    /// Its number; none while there is none that takes operations.
    pub process: Option<u32>,
    /// How often it was started again.
    pub n_restarts: u64,
    /// How often it was given up after too many failures.
    pub n_quarantines: u64,
    /// Whether it is given up now.
    pub quarantined: bool,
    /// Why the last one failed, for people, and when: Unix milliseconds of the hub's time.
    pub last_failure: Option<(i64, String)>,
    /// Time of the processors that those before it took.
    pub cpu_before: Duration,
}

impl Library {
    pub(crate) fn open(
        copy: &Path,
        said: Inspected,
        n_workers: u32,
        clock: Clock,
    ) -> Result<Self, Refusal> {
        let ears = Self::ears_of(&said, clock);
        let opened = transport::open(copy, &said, n_workers, Arc::clone(&ears) as _)?;
        Ok(Self::new(said, ears, Arc::new(opened), None))
    }

    /// Takes a plug-in that is linked into this program.
    pub(crate) fn linked(
        descriptor: &'static Descriptor,
        said: Inspected,
        n_workers: u32,
        clock: Clock,
    ) -> Result<Self, Refusal> {
        let ears = Self::ears_of(&said, clock);
        let opened = transport::open_linked(descriptor, &said, n_workers, Arc::clone(&ears) as _)?;
        Ok(Self::new(said, ears, Arc::new(opened), None))
    }

    /// Runs the copy of a library in a process of its own, for one source. Blocks until it runs.
    pub(crate) fn isolated(copy: &Path, said: Inspected, start: Start) -> Result<Self, Refusal> {
        let ears = Self::ears_of(&said, Arc::clone(&start.clock));
        ears.set_log_level(start.log_level);
        let base = start.base.clone();
        let child = transport::Child::start(copy, &said, start, Arc::clone(&ears))?;
        Ok(Self::new(said, ears, Arc::new(child), Some(base)))
    }

    fn ears_of(said: &Inspected, clock: Clock) -> Arc<Ears> {
        Arc::new(Ears {
            plugin: said.manifest.name.clone(),
            ops: Arc::default(),
            scrubber: Scrubber::default(),
            names: RwLock::new(BTreeMap::new()),
            clock: RwLock::new(clock),
            log_level: AtomicU8::new(0),
        })
    }

    fn new(
        said: Inspected,
        ears: Arc<Ears>,
        transport: Arc<dyn Transport>,
        paths_from: Option<PathBuf>,
    ) -> Self {
        let ops = Arc::clone(&ears.ops);
        Self { said, ears, ops, transport, last_id: AtomicU64::new(0), paths_from }
    }

    /// The source's config as the plug-in gets it.
    fn config(&self, json: Vec<u8>) -> Vec<u8> {
        match &self.paths_from {
            Some(base) => absolute_paths(json, &self.manifest().permissions, base),
            None => json,
        }
    }

    /// What the plug-in is and can do.
    pub fn manifest(&self) -> &Manifest {
        &self.said.manifest
    }

    /// What its file says, its hash included.
    pub fn inspected(&self) -> &Inspected {
        &self.said
    }

    /// Answers and batches of the plug-in that broke the protocol (late, twice, without credit)
    /// since it was loaded.
    pub fn n_violations(&self) -> u64 {
        self.ops.n_violations()
    }

    /// Lets the plug-in find all faults of a configuration: that of a source, or the settings of a
    /// role. Runs the plug-in's pure code, on the plug-in's own thread or this one.
    ///
    /// `json` has secrets in place of their references; `secrets` names them, so that no fault
    /// shows one.
    ///
    /// # Errors
    /// If the plug-in has no such role, or panicked.
    pub async fn validate(
        &self,
        role: Option<RoleName>,
        json: Vec<u8>,
        secrets: &[Secret<String>],
    ) -> Result<Vec<ConfigFault>, CallError> {
        self.ears.scrubber.add(secrets);
        let json = if role.is_none() { self.config(json) } else { json };
        let request = encode(&Validate { role, json: Bytes::from(json) });
        // Nothing lives on that a panic could have broken.
        let flights = Arc::default();
        let name = self.manifest().name.clone();
        let reply = self.call(&flights, 0, Opcode::Validate, &request).await;
        let mut faults: Vec<ConfigFault> = reply
            .and_then(|body| decode(&body, "faults"))
            .map_err(|source| CallError::failed(Opcode::Validate, &name, source))?;
        for fault in &mut faults {
            fault.message = self.ears.scrubber.text(&fault.message).into_owned();
        }
        Ok(faults)
    }

    /// Makes an instance for `[source.NAME]`; does no input or output.
    ///
    /// `config` is JSON with secrets in place of their references; `secrets` names them, so that
    /// they are taken out of whatever the plug-in logs or answers.
    ///
    /// # Errors
    /// Of class `config` if the plug-in does not like its configuration.
    pub async fn create(
        self: &Arc<Self>,
        name: &str,
        config: Vec<u8>,
        secrets: &[Secret<String>],
    ) -> Result<Instance, CallError> {
        self.ears.scrubber.add(secrets);
        Instance::create(Arc::clone(self), name, self.config(config)).await
    }

    /// Ends the plug-in's threads, for good: each later operation fails. Blocks up to `timeout`, so
    /// call it where blocking is allowed, after the last instance is stopped.
    pub fn shutdown(&self, timeout: Duration) {
        self.transport.shutdown(timeout);
    }

    /// Ends the plug-in's process, if it runs in one of its own, and leaves nothing of it behind;
    /// each later operation fails. Blocks up to `timeout`, and then kills it.
    pub fn end_process(&self, timeout: Duration) {
        if self.paths_from.is_some() {
            self.transport.shutdown(timeout);
        }
    }

    /// How its process is; none if it runs in the hub's own.
    pub fn process(&self) -> Option<ProcessHealth> {
        let tally = self.transport.tally()?;
        Some(ProcessHealth {
            process: self.transport.process(),
            n_restarts: tally.n_starts.saturating_sub(1),
            n_quarantines: tally.n_quarantines,
            quarantined: self.transport.outage().is_some_and(|outage| outage.quarantined),
            last_failure: tally.last_failure,
            cpu_before: tally.spent,
        })
    }

    /// A text with `***` in place of each secret that the plug-in was given.
    pub fn without_secrets<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.ears.scrubber.text(text)
    }

    pub(crate) fn ears(&self) -> &Ears {
        &self.ears
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    pub(crate) fn ops(&self) -> &OpTable {
        &self.ops
    }

    /// A number for an instance or attachment, with its name for log lines.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let mut names = self.ears.names.write().unwrap_or_else(PoisonError::into_inner);
        names.insert(id, name.into());
        id
    }

    /// Forgets a number.
    pub(crate) fn forget(&self, id: u64) {
        self.ears.names.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Starts an operation.
    pub(crate) fn start(
        &self,
        flights: &Arc<Flights>,
        target: u64,
        opcode: Opcode,
        request: &[u8],
        credit: Option<u32>,
    ) -> Pending {
        self.begin(flights, credit, |op_id| self.transport.op(op_id, target, opcode, request))
    }

    fn begin(
        &self,
        flights: &Arc<Flights>,
        credit: Option<u32>,
        start: impl FnOnce(u64) -> bool,
    ) -> Pending {
        let op_id = self.ops.open(flights, credit);
        let pending = Pending {
            table: Arc::clone(&self.ops),
            transport: Arc::clone(&self.transport),
            op_id,
            fetched: false,
        };
        if !start(op_id) {
            let error = Error::new(ErrorClass::Protocol, "plug-in took no operation");
            // As if the plug-in had said so: then there is one way for an operation to end.
            let body = Body::from_vec(encode(&error));
            self.ops.complete(op_id, Reply { status: error.class().code(), body }, false);
        }
        pending
    }

    /// Runs an operation to its end.
    pub(crate) async fn call(
        &self,
        flights: &Arc<Flights>,
        target: u64,
        opcode: Opcode,
        request: &[u8],
    ) -> Result<Body, Error> {
        let pending = self.start(flights, target, opcode, request, None);
        self.outcome(pending.await)
    }

    /// Asks the plug-in for whatever a number means to it, about any target and with any bytes: how
    /// it answers what no hub of this version asks. For tests of plug-ins; bound its time from
    /// outside, for what ends with the plug-in's process is not told here.
    ///
    /// # Errors
    /// What the plug-in answered.
    pub async fn probe(&self, code: u32, target: u64, request: &[u8]) -> Result<Vec<u8>, Error> {
        let pending = self.begin(&Arc::default(), None, |op_id| {
            self.transport.probe(op_id, target, code, request)
        });
        self.outcome(pending.await).map(|body| body.to_vec())
    }

    /// Starts an operation whose end nobody waits for.
    pub(crate) fn call_and_forget(&self, target: u64, opcode: Opcode) {
        let op_id = self.ops.open(&Arc::default(), None);
        self.ops.abandon(op_id);
        if !self.transport.op(op_id, target, opcode, &[]) {
            let body = Body::EMPTY;
            self.ops.complete(op_id, Reply { status: ErrorClass::Protocol.code(), body }, false);
        }
    }

    /// Reads how an operation ended; no secret leaves here.
    pub(crate) fn outcome(&self, reply: Reply) -> Result<Body, Error> {
        if reply.status == STATUS_OK {
            return Ok(reply.body);
        }
        let class = ErrorClass::from_code(reply.status);
        let error = decode::<Error>(&reply.body, "error")
            .unwrap_or_else(|_| Error::new(class, format!("plug-in gave status {}", reply.status)));
        Err(self.ears.scrubber.error(error))
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("name", &self.manifest().name)
            .field("path", &self.said.path)
            .finish_non_exhaustive()
    }
}
