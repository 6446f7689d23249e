//! One process of a plug-in, from its start to its end.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_plugin_api::Error;
use gantry_plugin_api::frame::{Decoder, Encoding, Frame, Hello, LogLine, Welcome, log_from};
use gantry_plugin_api::message::{Opcode, decode};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::orphans::{self, Supervised};
use super::outbox::Outbox;
use super::output::{LineBudget, Output, Tail};
use super::plan::Plan;
use super::supervisor::timespec;
use super::usage::spent;
use super::{Timing, exit};
use crate::transport::{Listener as _, Outage, Shared, send_op};

/// How a life ended.
#[derive(Debug)]
pub(super) enum End {
    /// As the hub asked.
    Asked,
    /// By itself, or because it misbehaved: why.
    Failed(String),
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// Its hello is awaited.
    Started,
    /// What stood in the process before is made again: by operation, what for.
    Remaking { encoding: Encoding, open: BTreeMap<u64, String>, instances: bool },
    /// It takes operations.
    Up { encoding: Encoding },
}

/// A process and all that belongs to it.
pub(super) struct Life<'a> {
    plan: &'a Plan,
    timing: Timing,
    shared: &'a Arc<Shared>,
    child: Child,
    _supervised: Supervised,
    pid: Pid,
    pidfd: OwnedFd,
    socket: Arc<OwnedFd>,
    outbox: Arc<Outbox>,
    decoder: Decoder,
    /// Whether the socket has come to its end.
    closed: bool,
    outputs: [Output; 2],
    tail: Tail,
    lines: LineBudget,
    stage: Stage,
    began: Instant,
    next_tick: Instant,
    /// The ping that is not answered yet: its number, and since when.
    pinged: Option<(u64, Instant)>,
    last_ping: u64,
    /// Why it is killed.
    why: Option<String>,
    said_goodbye: Option<String>,
    /// Whether it was told to end.
    told: bool,
}

/// At most so many reads in a row.
const READS_MAX: usize = 64;

/// Numbers of operations that only a restart knows; the table's begin far above.
const FIRST_REMAKE: u64 = 1;

impl<'a> Life<'a> {
    /// Starts a process.
    pub(super) fn start(
        plan: &'a Plan,
        timing: Timing,
        shared: &'a Arc<Shared>,
    ) -> Result<Self, String> {
        Self::try_start(plan, timing, shared)
            .map_err(|error| format!("its process cannot be started: {error}"))
    }

    fn try_start(plan: &'a Plan, timing: Timing, shared: &'a Arc<Shared>) -> io::Result<Self> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let (mut child, supervised) = plan.spawn(theirs)?;
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let missing = || io::Error::other("it has no output");
        let stdout = output(child.stdout.take().ok_or_else(missing)?.into())?;
        let stderr = output(child.stderr.take().ok_or_else(missing)?.into())?;
        let socket = Arc::new(ours);
        let outbox = Outbox::polled(Arc::clone(&socket), Arc::clone(&shared.wake));
        let now = Instant::now();
        Ok(Self {
            plan,
            timing,
            shared,
            child,
            _supervised: supervised,
            pid,
            pidfd,
            socket,
            outbox: Arc::new(outbox),
            decoder: Decoder::default(),
            closed: false,
            outputs: [stdout, stderr],
            tail: Tail::default(),
            lines: LineBudget::new(),
            stage: Stage::Started,
            began: now,
            next_tick: now + timing.tick,
            pinged: None,
            last_ping: 0,
            why: None,
            said_goodbye: None,
            told: false,
        })
    }

    /// Watches it until it has ended. `up` is called once, when it takes operations.
    pub(super) fn run(mut self, mut up: impl FnMut()) -> Result<End, String> {
        let mut was_up = false;
        loop {
            let ended = self.wait();
            self.read_outputs();
            self.read_frames(ended);
            if self.is_up() && !was_up {
                was_up = true;
                up();
            }
            if ended {
                return Ok(self.bury());
            }
            self.outbox.go_on();
            self.tick();
            self.obey();
            if self.why.is_some() {
                self.kill();
            }
        }
    }

    fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up { .. })
    }

    /// Waits until something happens; true if the process has ended.
    fn wait(&mut self) -> bool {
        let until = match self.shared.ending() {
            Some(until) if self.told => until.min(self.next_tick),
            _ => self.next_tick,
        };
        let rest = until.saturating_duration_since(Instant::now());
        let mut fds = Vec::with_capacity(5);
        fds.push(PollFd::new(&self.pidfd, PollFlags::IN));
        fds.push(PollFd::new(self.shared.wake.fd(), PollFlags::IN));
        if !self.closed {
            let write = if self.outbox.is_stuck() { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::new(&self.socket, PollFlags::IN | write));
        }
        for fd in self.outputs.iter().filter_map(Output::fd) {
            fds.push(PollFd::new(fd, PollFlags::IN));
        }
        // An interrupted wait is looked at again like any other.
        let _ = poll(&mut fds, Some(&timespec(rest)));
        let ended = !fds[0].revents().is_empty();
        if !fds[1].revents().is_empty() {
            self.shared.wake.reset();
        }
        ended
    }

    /// Kills the process and its group; the end itself is seen in [`Life::wait`].
    fn kill(&self) {
        // Both may be dead already, but not yet reaped, so the numbers are still theirs.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    fn read_outputs(&mut self) {
        let Self { outputs, tail, lines, shared, .. } = self;
        for output in outputs {
            output.read(tail, |line| {
                if lines.take() {
                    shared.ears.log(3, 0, "output", line, "");
                }
            });
        }
    }

    /// Reads what has come; of a process that has ended, up to the end, of another one only so
    /// much that it cannot keep all else from being done.
    fn read_frames(&mut self, ended: bool) {
        // A buffer of its own, so that what a frame says can change everything else.
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut n_reads = 0;
        while !self.closed && self.why.is_none() && (ended || n_reads < READS_MAX) {
            n_reads += 1;
            let flags = rustix::net::RecvFlags::DONTWAIT;
            let room = rustix::buffer::spare_capacity(decoder.room());
            match rustix::net::recv(&self.socket, room, flags) {
                Ok((_, 0)) => self.close(decoder.is_amid()),
                Ok(_) => self.take_frames(&mut decoder),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => self.close(decoder.is_amid()),
            }
        }
        self.decoder = decoder;
    }

    fn close(&mut self, amid: bool) {
        self.closed = true;
        self.outbox.close();
        let what =
            if amid { "closed its connection amid a frame" } else { "closed its connection" };
        self.wait_for_end(what);
    }

    /// A process that ends closes its socket shortly before; one that only closes it must end.
    fn wait_for_end(&mut self, what: &str) {
        let rest = Duration::from_secs(1);
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let ended = poll(&mut fds, Some(&timespec(rest))).is_ok_and(|n| n > 0);
        if !ended && self.why.is_none() {
            self.why = Some(self.said_goodbye.clone().unwrap_or_else(|| format!("it {what}")));
        }
    }

    fn take_frames(&mut self, decoder: &mut Decoder) {
        while self.why.is_none() {
            match decoder.next() {
                Ok(Some(frame)) => {
                    if let Err(why) = self.take(frame) {
                        self.why = Some(why);
                    }
                }
                Ok(None) => return,
                Err(error) => self.why = Some(format!("it broke the protocol: {error}")),
            }
        }
    }

    fn take(&mut self, frame: Frame<&[u8]>) -> Result<(), String> {
        match (frame, &mut self.stage) {
            (Frame::Hello(body), Stage::Started) => self.greet(body),
            (Frame::Goodbye(reason), _) => {
                self.said_goodbye = Some(String::from_utf8_lossy(reason).into_owned());
                Ok(())
            }
            (Frame::Log { level, about, line }, stage) => {
                let encoding = match stage {
                    Stage::Started => Encoding::Cbor,
                    Stage::Remaking { encoding, .. } | Stage::Up { encoding } => *encoding,
                };
                self.log(level, about, line, encoding);
                Ok(())
            }
            (Frame::Pong { number }, _) => {
                if self.pinged.is_some_and(|(awaited, _)| awaited == number) {
                    self.pinged = None;
                }
                Ok(())
            }
            (Frame::Complete { op_id, status, reply }, Stage::Up { encoding }) => {
                self.shared.completed(op_id, status, reply, *encoding);
                Ok(())
            }
            (Frame::Complete { op_id, status, reply }, Stage::Remaking { .. }) => {
                self.remade(op_id, status, reply)
            }
            (Frame::Emit { op_id, batch }, Stage::Up { encoding }) => {
                self.shared.emitted(op_id, batch, *encoding);
                Ok(())
            }
            (other, _) => Err(format!("it broke the protocol: it sent `{}`", other.name())),
        }
    }

    fn greet(&mut self, body: &[u8]) -> Result<(), String> {
        let (hello, version, encoding) = Hello::read(body).map_err(|error| {
            let reason = chain(&error);
            // It may read why; it is killed all the same.
            let _ = self.outbox.send(&Frame::Goodbye(reason.as_bytes()));
            reason
        })?;
        if hello.name != self.plan.plugin {
            let (name, expected) = (hello.name, &self.plan.plugin);
            return Err(format!("it says that it is `{name}`, not `{expected}`"));
        }
        let ears = &self.shared.ears;
        let mut welcome = Welcome::new(version, encoding, env!("CARGO_PKG_VERSION"));
        welcome.log_level = ears.log_level().load(std::sync::atomic::Ordering::Relaxed);
        welcome.now_ms = ears.now_ms();
        welcome.ping_every_ms = self.timing.tick.as_millis() as u32;
        welcome.ping_timeout_ms = self.timing.ping_timeout.as_millis() as u32;
        self.send(&Frame::Welcome(welcome.to_body()))?;
        self.remake(encoding, true)
    }

    /// Makes again what stood in the process before: first the instances, then what is attached.
    fn remake(&mut self, encoding: Encoding, instances: bool) -> Result<(), String> {
        let opcode = if instances { Opcode::Create } else { Opcode::Attach };
        let mut open = BTreeMap::new();
        for (op_id, made) in (FIRST_REMAKE..).zip(self.shared.made(opcode)) {
            let name = self.shared.ears.name(made.target).unwrap_or_default();
            open.insert(op_id, format!("{} {name}", opcode.name()));
            let request = &made.request;
            send_op(&self.outbox, encoding, op_id, made.target, made.opcode, request)
                .map_err(|error| chain(&error))?;
        }
        match (open.is_empty(), instances) {
            (true, true) => self.remake(encoding, false),
            (true, false) => {
                self.goes_up(encoding);
                Ok(())
            }
            (false, _) => {
                self.stage = Stage::Remaking { encoding, open, instances };
                Ok(())
            }
        }
    }

    fn goes_up(&mut self, encoding: Encoding) {
        self.stage = Stage::Up { encoding };
        self.shared.goes_up(Arc::clone(&self.outbox), encoding, self.child.id());
    }

    fn remade(&mut self, op_id: u64, status: u16, reply: &[u8]) -> Result<(), String> {
        let Stage::Remaking { encoding, open, instances } = &mut self.stage else { return Ok(()) };
        let Some(what) = open.remove(&op_id) else { return Ok(()) };
        if status != 0 {
            let error: Option<Error> = match encoding {
                Encoding::Cbor => decode(reply, "error").ok(),
                Encoding::Json => serde_json::from_slice(reply).ok(),
            };
            let error = error.map(|error| self.shared.ears.scrubber.error(error));
            let error = error.map_or_else(|| format!("status {status}"), |error| chain(&error));
            return Err(format!("it cannot {what} again: {error}"));
        }
        let (encoding, instances) = (*encoding, *instances);
        match (open.is_empty(), instances) {
            (false, _) => Ok(()),
            (true, true) => self.remake(encoding, false),
            (true, false) => {
                self.goes_up(encoding);
                Ok(())
            }
        }
    }

    fn log(&mut self, level: u16, about: u64, line: &[u8], encoding: Encoding) {
        if !self.lines.take() {
            return;
        }
        // A line that cannot be read is shown as it came.
        let LogLine { target, message, fields } = log_from(encoding, line).unwrap_or_else(|_| {
            let message = String::from_utf8_lossy(line).into_owned();
            LogLine { message, ..LogLine::default() }
        });
        let fields = String::from_utf8_lossy(fields.as_bytes());
        let fields = if fields == "{}" { "" } else { &fields };
        self.shared.ears.log(level.into(), about, &target, &message, fields);
    }

    fn send(&self, frame: &Frame<Vec<u8>>) -> Result<(), String> {
        self.outbox.send(frame).map_err(|error| error.to_string())
    }

    /// Does what is due from time to time: pings, deadlines, budgets.
    fn tick(&mut self) {
        let now = Instant::now();
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + self.timing.tick;
        self.outputs.iter_mut().for_each(Output::renew);
        let n_dropped = self.lines.renew();
        if n_dropped > 0 {
            let Plan { plugin, source, .. } = self.plan;
            tracing::warn!(%plugin, %source, n_dropped, "a plug-in logs too much");
        }
        if self.told || self.why.is_some() {
            return;
        }
        if !self.is_up() {
            if now.duration_since(self.began) >= self.timing.start_timeout {
                let seconds = self.timing.start_timeout.as_secs_f32();
                self.why = Some(format!("it was not ready within {seconds} s after its start"));
            }
            return;
        }
        match self.pinged {
            Some((_, since)) if now.duration_since(since) >= self.timing.ping_timeout => {
                let seconds = self.timing.ping_timeout.as_secs_f32();
                self.why = Some(format!("it did not answer for {seconds} s"));
            }
            Some(_) => {}
            None => {
                self.last_ping += 1;
                self.pinged = Some((self.last_ping, now));
                let now_ms = self.shared.ears.now_ms();
                // If it cannot be sent, no pong comes either.
                let _ = self.send(&Frame::Ping { number: self.last_ping, now_ms });
            }
        }
        if self.why.is_none() {
            self.why = self.shared.overdue(now);
        }
    }

    /// Tells the process to end when the hub asks, and kills it when its time is up.
    fn obey(&mut self) {
        let Some(until) = self.shared.ending() else { return };
        let rest = until.saturating_duration_since(Instant::now());
        if !self.told {
            self.told = true;
            let timeout_ms = u32::try_from(rest.as_millis()).unwrap_or(u32::MAX);
            if self.send(&Frame::Shutdown { timeout_ms }).is_err() {
                self.kill();
            }
        }
        if rest.is_zero() {
            self.kill();
        }
    }

    /// The process has ended: reaps it and what it left behind, and says why.
    fn bury(mut self) -> End {
        self.outbox.close();
        // Before it is reaped, for then its number may be another's.
        let _ = kill_process_group(self.pid, Signal::KILL);
        self.shared.spent(spent(self.child.id()));
        let status = self.child.wait();
        let n_orphans = orphans::sweep();
        if self.told {
            return End::Asked;
        }
        let exit = match (self.why.take(), status) {
            (Some(why), _) => why,
            (None, Ok(status)) => match self.said_goodbye.take().filter(|said| !said.is_empty()) {
                Some(said) => said,
                None => exit::in_words(status),
            },
            (None, Err(error)) => format!("it ended: {error}"),
        };
        let under_way = self.shared.under_way();
        let reason = match &under_way {
            Some(under_way) => format!("{exit} in {under_way}"),
            None => exit,
        };
        let reason = self.shared.ears.scrubber.text(&reason).into_owned();
        let Plan { plugin, source, .. } = self.plan;
        let text = format!("plug-in `{plugin}` of source {source} failed: {reason}");
        self.shared.goes_down(Outage { quarantined: false, reason: text });
        let output = self.tail.text();
        let output = self.shared.ears.scrubber.text(&output);
        if !output.is_empty() || n_orphans > 0 {
            tracing::error!(%plugin, %source, reason, n_orphans, %output, "the end of a plug-in");
        }
        End::Failed(reason)
    }
}

impl Drop for Life<'_> {
    fn drop(&mut self) {
        // Only where something went wrong between its start and its end.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

fn output(pipe: OwnedFd) -> io::Result<Output> {
    let flags = rustix::fs::fcntl_getfl(&pipe)?;
    rustix::fs::fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
    Ok(Output::new(pipe))
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
