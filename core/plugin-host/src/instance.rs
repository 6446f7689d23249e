//! One `[source.NAME]`: a plug-in with a configuration, and its life.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gantry_plugin_api::message::{
    Attach, Create, Drain, Opcode, RoleName, Rotate, Rotated, Suggest, Suggestion, decode, encode,
};
use gantry_plugin_api::{Error, ErrorClass, Secret};
use tokio::time::{Instant, timeout_at};

use crate::handles::{CallbackHandle, CaptureHandle, LookupHandle};
use crate::library::Library;
use crate::ops::{Flights, Pending};
use crate::transport::Body;

/// Why an operation gave nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The plug-in said so, or panicked, or broke the protocol: the source's class tells.
    #[error("cannot {operation} with `{name}`")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// The source, capture point, look-up or callback.
        name: String,
        /// What the plug-in answered.
        source: Error,
    },
    /// An operation of the instance panicked before; it gets no other. Create it anew.
    #[error("cannot {operation} with `{name}`: its plug-in panicked and it is not used again")]
    Poisoned {
        /// What was tried.
        operation: &'static str,
        /// The source, capture point, look-up or callback.
        name: String,
    },
    /// The instance was stopped.
    #[error("cannot {operation} with `{name}`: it was stopped")]
    Stopped {
        /// What was tried.
        operation: &'static str,
        /// The source, capture point, look-up or callback.
        name: String,
    },
}

impl CallError {
    pub(crate) fn failed(opcode: Opcode, name: &str, source: Error) -> Self {
        Self::Failed { operation: opcode.name(), name: name.to_owned(), source }
    }

    /// What to decide by.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Failed { source, .. } => source.class(),
            Self::Poisoned { .. } => ErrorClass::Panic,
            Self::Stopped { .. } => ErrorClass::Canceled,
        }
    }

    /// How long the source asks us to wait, if it does.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed { source, .. } => source.retry_after(),
            Self::Poisoned { .. } | Self::Stopped { .. } => None,
        }
    }
}

/// How an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Takes operations.
    Running,
    /// Finishes what is begun.
    Draining,
    /// Takes none any more.
    Stopped,
    /// An operation panicked; takes none any more.
    Poisoned,
    /// Its process failed and is started again.
    Restarting,
    /// Its process failed too often and is not started again by itself.
    Quarantined,
}

/// What the hub knows of an instance without asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How it is.
    pub state: State,
    /// Operations under way, streams among them.
    pub n_in_flight: usize,
    /// Protocol violations of the whole library.
    pub n_violations: u64,
    /// The number of its process, if it runs in one of its own.
    pub process: Option<u32>,
}

/// An instance of a plug-in. The last of it and its handles to drop lets the plug-in drop it too.
#[derive(Clone, Debug)]
pub struct Instance {
    live: Arc<Live>,
}

/// What an instance and its handles share.
pub(crate) struct Live {
    library: Arc<Library>,
    name: String,
    id: u64,
    flights: Arc<Flights>,
    phase: AtomicU8,
}

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const STOPPED: u8 = 2;

impl Instance {
    pub(crate) async fn create(
        library: Arc<Library>,
        name: &str,
        config: Vec<u8>,
    ) -> Result<Self, CallError> {
        let id = library.number(name);
        let request = encode(&Create { name: name.to_owned(), config: Bytes::from(config) });
        let live = Live {
            library,
            name: name.to_owned(),
            id,
            flights: Arc::default(),
            phase: AtomicU8::new(RUNNING),
        };
        // From here on a drop destroys it, also if the plug-in made it and then said otherwise.
        let live = Arc::new(live);
        live.call(id, name, Opcode::Create, &request).await?;
        Ok(Self { live })
    }

    /// The operator's name of the source.
    pub fn name(&self) -> &str {
        &self.live.name
    }

    /// The plug-in it is of.
    pub fn library(&self) -> &Arc<Library> {
        &self.live.library
    }

    /// Connects as running would, and changes nothing in the source.
    ///
    /// # Cancel safety
    /// If the future is dropped, the plug-in's part is called off.
    pub async fn check(&self) -> Result<(), CallError> {
        let live = &self.live;
        live.call(live.id, &live.name, Opcode::Check, &[]).await.map(drop)
    }

    /// Asks what could stand at a key of the config that is being written.
    ///
    /// # Cancel safety
    /// If the future is dropped, the plug-in's part is called off.
    pub async fn suggest(&self, what: &Suggest) -> Result<Vec<Suggestion>, CallError> {
        let live = &self.live;
        let reply = live.call(live.id, &live.name, Opcode::Suggest, &encode(what)).await?;
        decode(&reply, "suggestions")
            .map_err(|error| CallError::failed(Opcode::Suggest, &live.name, error))
    }

    /// Waits until the source replaces a credential; `kept` is the number of the one before, which
    /// is durable now. Not twice at a time. Ends as canceled when the instance drains.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn rotated(&self, kept: Option<u64>) -> Result<Rotated, CallError> {
        let live = &self.live;
        let request = encode(&Rotate { kept });
        let reply = live.call(live.id, &live.name, Opcode::Rotate, &request).await?;
        let rotated: Rotated = decode(&reply, "rotated credential")
            .map_err(|error| CallError::failed(Opcode::Rotate, &live.name, error))?;
        // Before anybody could write it anywhere.
        live.library.ears().scrubber.add(&[Secret::new(rotated.value.clone())]);
        Ok(rotated)
    }

    /// Attaches a capture point; `settings` is the JSON of `[capture.NAME]` for the plug-in.
    pub async fn attach_capture(
        &self,
        name: &str,
        settings: Vec<u8>,
    ) -> Result<CaptureHandle, CallError> {
        self.attach(RoleName::Capture, name, settings).await.map(CaptureHandle::new)
    }

    /// Attaches a look-up; `settings` is the JSON of `[lookup.NAME]` for the plug-in.
    pub async fn attach_lookup(
        &self,
        name: &str,
        settings: Vec<u8>,
    ) -> Result<LookupHandle, CallError> {
        self.attach(RoleName::Lookup, name, settings).await.map(LookupHandle::new)
    }

    /// Attaches a callback; `settings` is the JSON of `[callback.NAME]` for the plug-in.
    pub async fn attach_callback(
        &self,
        name: &str,
        settings: Vec<u8>,
    ) -> Result<CallbackHandle, CallError> {
        self.attach(RoleName::Callback, name, settings).await.map(CallbackHandle::new)
    }

    /// Lets the plug-in finish what is begun, and waits until no operation is left. What is left
    /// at the deadline is called off: those operations end as canceled. Needs a tokio runtime with
    /// time.
    ///
    /// # Errors
    /// What the plug-in's own draining said; the operations are ended all the same.
    pub async fn drain(&self, deadline: Duration) -> Result<(), CallError> {
        let live = &self.live;
        let until = Instant::now() + deadline;
        live.advance(DRAINING);
        let request = encode(&Drain { deadline_ms: deadline.as_millis() as u64 });
        let drained = timeout_at(until, live.call(live.id, &live.name, Opcode::Drain, &request));
        let drained = drained.await.unwrap_or_else(|_| {
            let late = Error::new(ErrorClass::Canceled, "it was not done before the deadline");
            Err(CallError::failed(Opcode::Drain, &live.name, late))
        });
        if timeout_at(until, live.flights.all_landed()).await.is_err() {
            for op_id in live.library.ops().of(&live.flights) {
                live.library.transport().cancel(op_id);
            }
        }
        drained.map(drop)
    }

    /// Lets the plug-in close its connections; no operation is taken afterwards. A second call does
    /// nothing. Bound its time from outside: dropped, the plug-in's part is called off.
    pub async fn stop(&self) -> Result<(), CallError> {
        let live = &self.live;
        if live.flights.poisoned() || live.advance(STOPPED) == STOPPED {
            return Ok(());
        }
        let stopped = live.library.call(&live.flights, live.id, Opcode::Stop, &[]).await;
        stopped.map(drop).map_err(|source| CallError::failed(Opcode::Stop, &live.name, source))
    }

    /// How it is, without asking the plug-in.
    pub fn health(&self) -> Health {
        let live = &self.live;
        let outage = live.library.transport().outage();
        let state = match (live.phase.load(Ordering::Acquire), outage) {
            _ if live.flights.poisoned() => State::Poisoned,
            (STOPPED, _) => State::Stopped,
            (_, Some(outage)) if outage.quarantined => State::Quarantined,
            (_, Some(_)) => State::Restarting,
            (RUNNING, None) => State::Running,
            _ => State::Draining,
        };
        let (n_in_flight, n_violations) = (live.flights.n(), live.library.n_violations());
        let process = live.library.transport().process();
        Health { state, n_in_flight, n_violations, process }
    }

    async fn attach(
        &self,
        role: RoleName,
        name: &str,
        settings: Vec<u8>,
    ) -> Result<Attachment, CallError> {
        let live = &self.live;
        let settings = Bytes::from(settings);
        let request = encode(&Attach { instance: live.id, role, name: name.to_owned(), settings });
        let id = live.library.number(name);
        let attachment = Attachment { live: Arc::clone(live), name: name.to_owned(), id };
        attachment.call(Opcode::Attach, &request).await?;
        Ok(attachment)
    }
}

impl Live {
    /// Moves the phase on, never back; gives the one before.
    fn advance(&self, to: u8) -> u8 {
        self.phase.fetch_max(to, Ordering::AcqRel)
    }

    fn usable(&self, opcode: Opcode, name: &str) -> Result<(), CallError> {
        let operation = opcode.name();
        if self.flights.poisoned() {
            return Err(CallError::Poisoned { operation, name: name.to_owned() });
        }
        if self.phase.load(Ordering::Acquire) == STOPPED {
            return Err(CallError::Stopped { operation, name: name.to_owned() });
        }
        Ok(())
    }

    async fn call(
        &self,
        target: u64,
        name: &str,
        opcode: Opcode,
        request: &[u8],
    ) -> Result<Body, CallError> {
        self.usable(opcode, name)?;
        let called = self.library.call(&self.flights, target, opcode, request).await;
        called.map_err(|source| CallError::failed(opcode, name, source))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.library.call_and_forget(self.id, Opcode::Destroy);
        self.library.forget(self.id);
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One capture point, look-up or callback of an instance.
#[derive(Debug)]
pub(crate) struct Attachment {
    live: Arc<Live>,
    name: String,
    id: u64,
}

impl Attachment {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn library(&self) -> &Library {
        &self.live.library
    }

    /// Runs an operation of the role.
    pub(crate) async fn call(&self, opcode: Opcode, request: &[u8]) -> Result<Body, CallError> {
        self.live.call(self.id, &self.name, opcode, request).await
    }

    /// Starts an operation that emits.
    pub(crate) fn stream(&self, request: &[u8], credit: u32) -> Result<Pending, CallError> {
        self.live.usable(Opcode::Stream, &self.name)?;
        let (library, flights) = (&self.live.library, &self.live.flights);
        Ok(library.start(flights, self.id, Opcode::Stream, request, Some(credit)))
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.live.library.call_and_forget(self.id, Opcode::Detach);
        self.live.library.forget(self.id);
    }
}
