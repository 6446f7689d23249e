//! The plug-in library at run time: its tokio runtime, its instances, its running operations.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::endpoint::{Attachment, Instance, Plug};
use super::guard::{self, Guarded, Running};
use super::host::{Completion, Host, HostSink};
use crate::abi::STATUS_OK;
use crate::emitter::Emitter;
use crate::error::{Error, ErrorClass};
use crate::message::{Attach, Create, Drain, Opcode, Rotate, Stream, Validate, decode, encode};

/// Everything a plug-in library keeps between calls; the export macro makes it a static.
pub struct Library {
    plug: &'static dyn Plug,
    host: OnceLock<Host>,
    runtime: Mutex<Option<Runtime>>,
    handle: OnceLock<Handle>,
    parts: RwLock<Parts>,
    ops: Mutex<Ops>,
}

/// What the host created, by the host's numbers.
struct Parts {
    instances: BTreeMap<u64, Arc<dyn Instance>>,
    attachments: BTreeMap<u64, Arc<dyn Attachment>>,
}

struct Ops {
    ended: bool,
    running: BTreeMap<u64, Op>,
}

/// An operation on the runtime.
struct Op {
    /// None between the entry here and the spawn of the task.
    task: Option<AbortHandle>,
    canceled: bool,
    credit: Option<Arc<Semaphore>>,
}

/// What became of the start of an operation.
enum Started {
    Done(Vec<u8>),
    Running(Guarded, Way),
}

impl Started {
    fn on_runtime(instance: u64, future: Running) -> Self {
        Self::Running(Guarded::new(instance, future), Way::Runtime(None))
    }
}

/// Where a future is polled.
enum Way {
    /// Up to its first wait on the caller's thread.
    Inline,
    /// On the plug-in's runtime only; a stream has credit.
    Runtime(Option<Arc<Semaphore>>),
}

impl Library {
    /// A library that has not met its host yet.
    pub const fn new(plug: &'static dyn Plug) -> Self {
        Self {
            plug,
            host: OnceLock::new(),
            runtime: Mutex::new(None),
            handle: OnceLock::new(),
            parts: RwLock::new(Parts { instances: BTreeMap::new(), attachments: BTreeMap::new() }),
            ops: Mutex::new(Ops { ended: false, running: BTreeMap::new() }),
        }
    }

    /// Meets the host; false if it did so before.
    pub(crate) fn meet(&self, host: Host) -> bool {
        let first = self.host.set(host).is_ok();
        if first {
            super::bridge::install(host);
        }
        first
    }

    /// Starts an operation; from here on exactly one completion follows if the status is 0.
    pub(crate) fn op(&'static self, op_id: u64, target: u64, opcode: u32, request: &[u8]) -> u32 {
        let Some(host) = self.host.get().copied() else {
            return ErrorClass::Protocol.code();
        };
        let completion = Completion::new(host, op_id);
        let handle = match self.handle(host) {
            Ok(handle) => handle,
            Err(error) => {
                completion.finish(Err(error));
                return STATUS_OK;
            }
        };
        // Author's code finds the runtime wherever it runs: a pool may be made in `create`.
        let _entered = handle.enter();
        match guard::call(target, || self.start(host, op_id, target, opcode, request)) {
            Err(error) => completion.finish(Err(error)),
            Ok(Started::Done(reply)) => completion.finish(Ok(reply)),
            Ok(Started::Running(future, Way::Runtime(credit))) => {
                self.spawn(handle, op_id, future, credit, completion);
            }
            Ok(Started::Running(mut future, Way::Inline)) => {
                match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(result) => completion.finish(result),
                    // The runtime polls again, with a waker of its own.
                    Poll::Pending => self.spawn(handle, op_id, future, None, completion),
                }
            }
        }
        STATUS_OK
    }

    /// Calls an operation off; it completes as canceled once its future is dropped.
    pub(crate) fn cancel(&self, op_id: u64) {
        let task = self.ops().running.get_mut(&op_id).and_then(|op| {
            op.canceled = true;
            op.task.clone()
        });
        if let Some(task) = task {
            task.abort();
        }
    }

    /// Lets a stream send more; nothing happens if it has ended.
    pub(crate) fn credit(&self, op_id: u64, n: u32) {
        let credit = self.ops().running.get(&op_id).and_then(|op| op.credit.clone());
        if let Some(credit) = credit {
            let room = Semaphore::MAX_PERMITS - credit.available_permits();
            credit.add_permits((n as usize).min(room));
        }
    }

    /// Ends all operations and the runtime's threads; blocks up to `timeout`.
    pub(crate) fn shutdown(&self, timeout: Duration) {
        self.ops().ended = true;
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(timeout);
        }
    }

    /// Starts an operation: those of an instance's life here, those of a role below.
    fn start(
        &'static self,
        host: Host,
        op_id: u64,
        target: u64,
        opcode: u32,
        request: &[u8],
    ) -> Result<Started, Error> {
        let Some(opcode) = Opcode::from_code(opcode) else {
            return Err(Error::unsupported(&format!("operation {opcode}")));
        };
        match opcode {
            Opcode::Validate => {
                let Validate { role, json } = decode(request, "validate request")?;
                Ok(Started::Done(encode(&self.plug.validate(role, &json)?)))
            }
            Opcode::Create => {
                let create: Create = decode(request, "create request")?;
                let clock = Arc::new(move || host.now_ms());
                let instance = self.plug.create(target, &create, clock)?;
                self.with_parts(|parts| parts.instances.insert(target, instance));
                Ok(Started::Done(Vec::new()))
            }
            Opcode::Attach => {
                let Attach { instance, role, name, settings } = decode(request, "attach request")?;
                let attachment = self.instance(instance)?.attach(role, &name, &settings)?;
                self.with_parts(|parts| parts.attachments.insert(target, attachment));
                Ok(Started::Done(Vec::new()))
            }
            Opcode::Check => Ok(Started::on_runtime(target, self.instance(target)?.check())),
            Opcode::Suggest => {
                let what = decode(request, "suggest request")?;
                Ok(Started::on_runtime(target, self.instance(target)?.suggest(what)))
            }
            Opcode::Rotate => {
                let Rotate { kept } = decode(request, "rotate request")?;
                Ok(Started::on_runtime(target, self.instance(target)?.rotate(kept)))
            }
            Opcode::Drain => {
                let Drain { .. } = decode(request, "drain request")?;
                Ok(Started::on_runtime(target, self.instance(target)?.drain()))
            }
            Opcode::Stop => Ok(Started::on_runtime(target, self.instance(target)?.stop())),
            // What is forgotten is dropped on the runtime, for connections want to say good-bye
            // there.
            Opcode::Detach => {
                let gone = self.with_parts(|parts| parts.attachments.remove(&target));
                let gone = gone.ok_or_else(|| unknown("attachment", target))?;
                Ok(Started::on_runtime(gone.instance(), Box::pin(async move { release(gone) })))
            }
            Opcode::Destroy => {
                let gone = self.with_parts(|parts| {
                    let of_it = |_: &u64, part: &mut Arc<dyn Attachment>| part.instance() == target;
                    let attachments: Vec<_> = parts.attachments.extract_if(.., of_it).collect();
                    parts.instances.remove(&target).map(|instance| (attachments, instance))
                });
                let gone = gone.ok_or_else(|| unknown("instance", target))?;
                Ok(Started::on_runtime(target, Box::pin(async move { release(gone) })))
            }
            role => self.start_role(host, op_id, target, role, request),
        }
    }

    fn start_role(
        &'static self,
        host: Host,
        op_id: u64,
        target: u64,
        opcode: Opcode,
        request: &[u8],
    ) -> Result<Started, Error> {
        let attachment = self.attachment(target)?;
        let instance = attachment.instance();
        match opcode {
            Opcode::CheckSettings => Ok(Started::on_runtime(instance, attachment.check())),
            Opcode::Stream => {
                let Stream { from, credit } = decode(request, "stream request")?;
                let credit = Arc::new(Semaphore::new(credit as usize));
                let out = Emitter::new(Arc::clone(&credit), Arc::new(HostSink { host, op_id }));
                let future = Guarded::new(instance, attachment.stream(from, out)?);
                Ok(Started::Running(future, Way::Runtime(Some(credit))))
            }
            _ => {
                let inline = attachment.inline(opcode);
                let future = Guarded::new(instance, attachment.start(opcode, request)?);
                Ok(Started::Running(future, if inline { Way::Inline } else { Way::Runtime(None) }))
            }
        }
    }

    fn spawn(
        &'static self,
        handle: &Handle,
        op_id: u64,
        future: Guarded,
        credit: Option<Arc<Semaphore>>,
        completion: Completion,
    ) {
        {
            let mut ops = self.ops();
            if ops.ended {
                drop(ops);
                return; // the completion says canceled
            }
            ops.running.insert(op_id, Op { task: None, canceled: false, credit });
        }
        let entry = Entry { library: self, op_id };
        let task = handle.spawn(async move {
            let result = future.await;
            drop(entry);
            completion.finish(result);
        });
        let mut ops = self.ops();
        let canceled = match ops.running.get_mut(&op_id) {
            Some(op) => {
                op.task = Some(task.abort_handle());
                op.canceled
            }
            None => false, // it has ended already
        };
        drop(ops);
        if canceled {
            task.abort();
        }
    }

    /// The runtime, started when the first operation comes.
    fn handle(&self, host: Host) -> Result<&Handle, Error> {
        if let Some(handle) = self.handle.get() {
            return Ok(handle);
        }
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = self.handle.get() {
            return Ok(handle);
        }
        let started = Builder::new_multi_thread()
            .worker_threads(host.n_workers())
            .thread_name("gantry-plugin")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::transient("cannot start the plug-in's runtime").because(&error)
            })?;
        let handle = self.handle.get_or_init(|| started.handle().clone());
        *runtime = Some(started);
        Ok(handle)
    }

    fn instance(&self, id: u64) -> Result<Arc<dyn Instance>, Error> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        parts.instances.get(&id).cloned().ok_or_else(|| unknown("instance", id))
    }

    fn attachment(&self, id: u64) -> Result<Arc<dyn Attachment>, Error> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        parts.attachments.get(&id).cloned().ok_or_else(|| unknown("attachment", id))
    }

    fn with_parts<T>(&self, change: impl FnOnce(&mut Parts) -> T) -> T {
        change(&mut self.parts.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn ops(&self) -> MutexGuard<'_, Ops> {
        self.ops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an operation out of the table when its task ends, however it ends.
struct Entry {
    library: &'static Library,
    op_id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let op = self.library.ops().running.remove(&self.op_id);
        drop(op);
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an operation's reply, here an empty one")]
fn release<T>(gone: T) -> Result<Vec<u8>, Error> {
    drop(gone);
    Ok(Vec::new())
}

fn unknown(what: &str, id: u64) -> Error {
    Error::new(
        ErrorClass::Protocol,
        format!("cannot find {what} {id}: it was never made or is gone"),
    )
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("host", &self.host.get().is_some()).finish_non_exhaustive()
    }
}
