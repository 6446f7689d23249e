//! The library in a process of its own: operations go out as frames, and what is under way fails
//! as transient when the process ends.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gantry_plugin_api::abi::STATUS_OK;
use gantry_plugin_api::frame::{self, Encoding, Frame};
use gantry_plugin_api::message::{Opcode, encode};
use gantry_plugin_api::{Error, ErrorClass};

use super::{Body, Ears, Listener, Outage, Tally, Transport};
use crate::inspected::Inspected;
use crate::ops::Emitted;
use crate::process::{Outbox, Remade, Roster, SendError, Start, Supervisor, Wake};
use crate::refusal::Refusal;

/// A plug-in's process, whichever it is at the moment.
pub(crate) struct Child {
    shared: Arc<Shared>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

/// What callers and the supervisor share.
pub(crate) struct Shared {
    pub(crate) ears: Arc<Ears>,
    pub(crate) wake: Arc<Wake>,
    /// How long an operation may take that only computes, and one that was called off.
    grace: Duration,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    flights: BTreeMap<u64, Flight>,
    roster: Roster,
    tally: Tally,
    /// When it is to end, and then until when.
    ending: Option<Instant>,
}

enum Phase {
    /// It takes operations.
    Up { outbox: Arc<Outbox>, encoding: Encoding, pid: u32 },
    /// It does not, and this is why.
    Down(Outage),
}

/// An operation that the process has not completed.
#[derive(Debug)]
struct Flight {
    opcode: Opcode,
    target: u64,
    due: Option<Instant>,
}

impl Child {
    /// Starts the process and blocks until it takes operations.
    ///
    /// # Errors
    /// [`Refusal::Start`] if it does not get that far; it is not tried again.
    pub(crate) fn start(
        copy: &Path,
        said: &Inspected,
        start: Start,
        ears: Arc<Ears>,
    ) -> Result<Self, Refusal> {
        let refusal = |reason| Refusal::Start { path: said.path.clone(), reason };
        let wake = Wake::new().map_err(|error| refusal(error.to_string()))?;
        let outage = Outage { quarantined: false, reason: "it has not started yet".to_owned() };
        let state = State {
            phase: Phase::Down(outage),
            flights: BTreeMap::new(),
            roster: Roster::default(),
            tally: Tally::default(),
            ending: None,
        };
        let grace = start.timing.grace;
        let (wake, state) = (Arc::new(wake), Mutex::new(state));
        let shared = Arc::new(Shared { ears, wake, grace, state });
        let supervisor = Supervisor::new(copy, said, start, Arc::clone(&shared));
        let supervisor = supervisor.and_then(Supervisor::run).map_err(refusal)?;
        Ok(Self { shared, supervisor: Mutex::new(Some(supervisor)) })
    }
}

impl Transport for Child {
    fn op(&self, op_id: u64, target: u64, opcode: Opcode, request: &[u8]) -> bool {
        if let Err(error) = self.shared.op(op_id, target, opcode, request) {
            self.shared.fail(op_id, &error);
        }
        true
    }

    fn probe(&self, op_id: u64, target: u64, code: u32, request: &[u8]) -> bool {
        let Some((outbox, encoding)) = self.shared.up() else { return false };
        let opcode = Opcode::from_code(code);
        if let Some(opcode) = opcode {
            // So that its reply is read; nothing of it is made again in another process.
            let flight = Flight { opcode, target, due: None };
            self.shared.state().flights.insert(op_id, flight);
        }
        // What is no message cannot be said in another encoding, and goes as it is.
        let json = opcode.filter(|_| encoding == Encoding::Json);
        let json = json.and_then(|opcode| frame::request_to_json(opcode, request).ok());
        let request = json.as_deref().unwrap_or(request);
        outbox.send(&Frame::Op { op_id, opcode: code as u16, target, request }).is_ok()
    }

    fn cancel(&self, op_id: u64) {
        let mut state = self.shared.state();
        let State { phase, flights, .. } = &mut *state;
        let (Phase::Up { outbox, .. }, Some(flight)) = (phase, flights.get_mut(&op_id)) else {
            return; // it has ended, or just does
        };
        flight.due = Some(Instant::now() + self.shared.grace);
        let outbox = Arc::clone(outbox);
        drop(state);
        // If it cannot be sent, the process ends, and the operation with it.
        let _ = outbox.send::<&[u8]>(&Frame::Cancel { op_id });
    }

    fn credit(&self, op_id: u64, n: u32) {
        if let Some((outbox, _)) = self.shared.up() {
            let _ = outbox.send::<&[u8]>(&Frame::Credit { op_id, n });
        }
    }

    fn shutdown(&self, timeout: Duration) {
        self.shared.end(timeout);
        let supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A supervisor that panicked has ended, which is all that matters here.
        let _ = supervisor.map(JoinHandle::join);
    }

    fn process(&self) -> Option<u32> {
        match &self.shared.state().phase {
            Phase::Up { pid, .. } => Some(*pid),
            Phase::Down(_) => None,
        }
    }

    fn tally(&self) -> Option<Tally> {
        Some(self.shared.state().tally.clone())
    }

    fn outage(&self) -> Option<Outage> {
        match &self.shared.state().phase {
            Phase::Up { .. } => None,
            Phase::Down(outage) => Some(outage.clone()),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The supervisor sees to it; nobody waits, for this may be a thread of tasks.
        self.shared.end(Duration::from_secs(2));
    }
}

impl Shared {
    fn op(&self, op_id: u64, target: u64, opcode: Opcode, request: &[u8]) -> Result<(), Error> {
        let mut state = self.state();
        let State { phase, flights, roster, ending, .. } = &mut *state;
        if ending.is_some() {
            return Err(Error::new(ErrorClass::Canceled, "plug-in has ended"));
        }
        let (outbox, encoding) = match phase {
            Phase::Up { outbox, encoding, .. } => (Arc::clone(outbox), *encoding),
            Phase::Down(outage) => {
                roster.starts(opcode, target, request);
                roster.ended(opcode, target, false);
                return Err(down(outage));
            }
        };
        roster.starts(opcode, target, request);
        let due = only_computes(opcode).then(|| Instant::now() + self.grace);
        flights.insert(op_id, Flight { opcode, target, due });
        drop(state);
        let sent = send_op(&outbox, encoding, op_id, target, opcode, request);
        match sent {
            Err(error) if self.forget(op_id, false).is_some() => Err(error),
            // Sent, or the process has ended meanwhile and the operation with it.
            _ => Ok(()),
        }
    }

    /// Ends an operation that did not reach the plug-in, or that it will not complete.
    fn fail(&self, op_id: u64, error: &Error) {
        self.ears.complete(op_id, error.class().code(), Body::from_vec(encode(error)));
    }

    /// Takes an operation out of those under way.
    fn forget(&self, op_id: u64, ok: bool) -> Option<Opcode> {
        let mut state = self.state();
        let Flight { opcode, target, .. } = state.flights.remove(&op_id)?;
        state.roster.ended(opcode, target, ok);
        Some(opcode)
    }

    /// The plug-in has completed an operation.
    pub(crate) fn completed(&self, op_id: u64, status: u16, reply: &[u8], encoding: Encoding) {
        let status = u32::from(status);
        let opcode = self.forget(op_id, status == STATUS_OK);
        let body = match (encoding, opcode) {
            (Encoding::Json, Some(opcode)) if status == STATUS_OK => {
                frame::reply_to_cbor(opcode, reply)
            }
            (Encoding::Json, Some(_)) => frame::error_to_cbor(reply),
            // Nobody waits for an unknown one: the table counts it.
            (Encoding::Cbor, _) | (_, None) => Ok(reply.to_vec()),
        };
        match body {
            Ok(body) => self.ears.complete(op_id, status, Body::from_vec(body)),
            Err(error) => self.fail(op_id, &error),
        }
    }

    /// The plug-in has sent a batch.
    pub(crate) fn emitted(&self, op_id: u64, batch: &[u8], encoding: Encoding) {
        let batch = match encoding {
            Encoding::Cbor => Ok(batch.to_vec()),
            Encoding::Json => frame::reply_to_cbor(Opcode::Stream, batch),
        };
        let error = match batch {
            Ok(batch) => {
                let cost = n_records(&batch);
                match self.ears.ops.emit(op_id, cost, Body::from_vec(batch)) {
                    Emitted::Taken | Emitted::Unwanted => return,
                    Emitted::Violation => {
                        Error::new(ErrorClass::Protocol, "plug-in sent records without credit")
                    }
                }
            }
            Err(error) => error,
        };
        // A batch is lost, so nothing after it may be taken.
        if self.forget(op_id, false).is_some() {
            self.fail(op_id, &error);
        }
        if let Some((outbox, _)) = self.up() {
            let _ = outbox.send::<&[u8]>(&Frame::Cancel { op_id });
        }
    }

    /// The process takes operations from here on.
    pub(crate) fn goes_up(&self, outbox: Arc<Outbox>, encoding: Encoding, pid: u32) {
        let mut state = self.state();
        state.tally.n_starts += 1;
        state.phase = Phase::Up { outbox, encoding, pid };
    }

    /// The process takes no operations from here on; what is under way fails as transient. Gives
    /// what that was, in words.
    pub(crate) fn goes_down(&self, outage: Outage) -> Option<String> {
        let now_ms = self.ears.now_ms();
        let mut state = self.state();
        let error = if state.ending.is_some() {
            Error::new(ErrorClass::Canceled, outage.reason.clone())
        } else {
            state.tally.last_failure = Some((now_ms, outage.reason.clone()));
            down(&outage)
        };
        state.phase = Phase::Down(outage);
        let flights = mem::take(&mut state.flights);
        for flight in flights.values() {
            state.roster.ended(flight.opcode, flight.target, false);
        }
        drop(state);
        let under_way = self.in_words(&flights);
        for op_id in flights.into_keys() {
            self.fail(op_id, &error);
        }
        under_way
    }

    /// Says why it takes no operations, when the reason has changed.
    pub(crate) fn stays_down(&self, outage: Outage) {
        let now_ms = self.ears.now_ms();
        let mut state = self.state();
        state.tally.n_quarantines += u64::from(outage.quarantined);
        state.tally.last_failure = Some((now_ms, outage.reason.clone()));
        state.phase = Phase::Down(outage);
    }

    /// A process has ended that took so much time of the processors.
    pub(crate) fn spent(&self, time: Duration) {
        self.state().tally.spent += time;
    }

    /// What is under way, in words.
    pub(crate) fn under_way(&self) -> Option<String> {
        let state = self.state();
        self.in_words(&state.flights)
    }

    /// `lookup nps`, `lookup nps and 3 other operations`.
    fn in_words(&self, flights: &BTreeMap<u64, Flight>) -> Option<String> {
        let word = |flight: &Flight| {
            let name = self.ears.name(flight.target);
            name.map_or_else(
                || flight.opcode.name().to_owned(),
                |name| format!("{} {name}", flight.opcode.name()),
            )
        };
        let mut words: Vec<_> = flights.values().map(word).collect();
        words.sort();
        words.dedup();
        match words.len() {
            0 => None,
            1..=3 => Some(words.join(", ")),
            n => Some(format!("{} and {} others", words[0], n - 1)),
        }
    }

    /// An operation whose time is up, in words.
    pub(crate) fn overdue(&self, now: Instant) -> Option<String> {
        let state = self.state();
        let late = state.flights.values().find(|flight| flight.due.is_some_and(|due| due <= now));
        let Flight { opcode, target, .. } = late?;
        let name = self.ears.name(*target).unwrap_or_default();
        let after = if only_computes(*opcode) { "its start" } else { "it was called off" };
        let seconds = self.grace.as_secs_f32();
        Some(format!("it did not end `{}` {name} within {seconds} s after {after}", opcode.name()))
    }

    /// What to make again in a new process.
    pub(crate) fn made(&self, opcode: Opcode) -> Vec<Remade> {
        self.state().roster.made(opcode)
    }

    /// Asks the supervisor to end the process within `timeout`.
    fn end(&self, timeout: Duration) {
        self.state().ending.get_or_insert_with(|| Instant::now() + timeout);
        self.wake.wake();
    }

    /// Until when the process is to end, if it is.
    pub(crate) fn ending(&self) -> Option<Instant> {
        self.state().ending
    }

    fn up(&self) -> Option<(Arc<Outbox>, Encoding)> {
        match &self.state().phase {
            Phase::Up { outbox, encoding, .. } => Some((Arc::clone(outbox), *encoding)),
            Phase::Down(_) => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends an operation in the plug-in's encoding.
pub(crate) fn send_op(
    outbox: &Outbox,
    encoding: Encoding,
    op_id: u64,
    target: u64,
    opcode: Opcode,
    request: &[u8],
) -> Result<(), Error> {
    let json;
    let request = match encoding {
        Encoding::Cbor => request,
        Encoding::Json => {
            json = frame::request_to_json(opcode, request)?;
            &json
        }
    };
    let frame = Frame::Op { op_id, opcode: opcode as u16, target, request };
    outbox.send(&frame).map_err(|error| {
        let class = match error {
            SendError::Frame(_) => ErrorClass::Permanent,
            SendError::Closed | SendError::Full => ErrorClass::Transient,
        };
        Error::new(class, "cannot reach the plug-in").because(&error)
    })
}

/// What an operation is answered with while the process is not there.
fn down(outage: &Outage) -> Error {
    let class = if outage.quarantined { ErrorClass::Config } else { ErrorClass::Transient };
    Error::new(class, outage.reason.clone())
}

/// Operations without input and output, which a sound plug-in ends at once.
fn only_computes(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::Validate | Opcode::Create | Opcode::Attach)
}

/// What a batch costs: a credit a record, one at least. One that cannot be read costs one; whoever
/// fetches it sees what is wrong.
fn n_records(batch: &[u8]) -> u32 {
    let mut decoder = minicbor::Decoder::new(batch);
    let n = decoder.array().and_then(|_| decoder.array()).ok().flatten();
    u32::try_from(n.unwrap_or(1)).unwrap_or(u32::MAX).max(1)
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("outage", &self.outage()).finish_non_exhaustive()
    }
}
