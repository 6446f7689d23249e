//! What runs inside a plug-in's process: confines itself, opens the library as the hub would in its
//! own process, and passes frames on. It decides nothing. Where the plug-in is a program, that
//! takes over the process instead.

mod confine;
mod speaker;

pub use confine::Enforcement;

use std::convert::Infallible;
use std::env;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gantry_plugin_api::frame::{self, Decoder, Frame, FrameError, Hello, Welcome};
use gantry_plugin_api::message::{Opcode, encode};
use gantry_plugin_api::{Error, ErrorClass};
use rustix::io::{Errno, FdFlags, fcntl_setfd};

use crate::elf;
use crate::process::{Code, Outbox, SETUP, Setup};
use crate::transport::{self, Opened, Transport as _};
use speaker::Speaker;

/// Why a child process ends before it serves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// A person started it.
    #[error(
        "cannot be started by hand: the hub starts this program for each source with \
         isolation = \"process\""
    )]
    NoHub,
    /// What the hub told it makes no sense.
    #[error("cannot read what the hub told this process")]
    Setup(#[from] serde_json::Error),
    /// It cannot serve, and the hub was told why.
    #[error("cannot serve the plug-in: {0}")]
    Refused(String),
}

/// Serves the library that the hub named, until the hub says so or is gone: then the process ends,
/// and this does not return. Call it first of all, before any thread is started.
///
/// # Errors
/// [`ChildError`] if it cannot begin.
pub fn run_child() -> Result<Infallible, ChildError> {
    if env::var_os(frame::COOKIE).is_none() {
        return Err(ChildError::NoHub);
    }
    let setup = env::var(SETUP).map_err(|_| ChildError::NoHub)?;
    let setup: Setup = serde_json::from_str(&setup)?;
    let socket = Arc::new(socket());
    let outbox = Arc::new(Outbox::blocking(Arc::clone(&socket)));
    let begun = match &setup.code {
        Code::Library(library) => begin(library, &setup, &socket, &outbox),
        Code::Program { folder, files, arguments } => {
            let start = |file: &PathBuf| {
                let mut command = Command::new(file);
                command.args(arguments).current_dir(folder);
                command
            };
            Err(become_program(files, start, &setup, &socket, &outbox))
        }
    };
    match begun {
        Ok(served) => served.serve(),
        Err(reason) => {
            // If it cannot be sent, the hub sees the end of this process.
            let _ = outbox.send(&Frame::Goodbye(reason.as_bytes()));
            Err(ChildError::Refused(reason))
        }
    }
}

/// The hub's end of the connection.
#[allow(unsafe_code, reason = "takes over a descriptor by number")]
fn socket() -> OwnedFd {
    // SAFETY: the cookie says that a hub started this process, and it puts a socket there that
    // nothing else in this process knows of.
    let socket = unsafe { OwnedFd::from_raw_fd(frame::FD) };
    // What the plug-in starts does not inherit it.
    let _ = fcntl_setfd(&socket, FdFlags::CLOEXEC);
    socket
}

/// Confines this process and makes it another program; returns only why that cannot be.
fn become_program(
    files: &[PathBuf],
    command: impl Fn(&PathBuf) -> Command,
    setup: &Setup,
    socket: &OwnedFd,
    outbox: &Arc<Outbox>,
) -> String {
    match confine::confine(setup) {
        Ok(enforcement) => enforcement.tell(&Speaker::new(Arc::clone(outbox))),
        Err(error) => return chain(&error),
    }
    if let Err(error) = fcntl_setfd(socket, FdFlags::empty()) {
        return format!("cannot hand over its connection: {error}");
    }
    // As a shell does it: what this user may not start is passed over.
    let errors = files.iter().map(|file| {
        let error = become_file(|| command(file));
        format!("cannot start `{}`: {error}", file.display())
    });
    errors.last().unwrap_or_else(|| "there is nothing to start".to_owned())
}

/// Makes this process a program's file; returns only why that cannot be.
fn become_file(command: impl Fn() -> Command) -> io::Error {
    const TRIES: usize = 100;
    const PAUSE: Duration = Duration::from_millis(10);
    for _ in 1..TRIES {
        let error = command().env_remove(SETUP).exec();
        if error.kind() != io::ErrorKind::ExecutableFileBusy {
            return error;
        }
        // The hub wrote the file, and a process that it started at that moment has it open for
        // writing until it becomes its own program.
        std::thread::park_timeout(PAUSE);
    }
    command().env_remove(SETUP).exec()
}

fn begin(
    library: &Path,
    setup: &Setup,
    socket: &Arc<OwnedFd>,
    outbox: &Arc<Outbox>,
) -> Result<Served, String> {
    let opened = |error: io::Error| format!("cannot open the library: {error}");
    let file = std::fs::File::open(library).map_err(opened)?;
    let bytes = elf::read(library).map_err(|error| error.to_string())?;
    // The hub has compared the hash, with which the copy is named.
    let said = elf::inspect_unhashed(library, &bytes).map_err(|error| error.to_string())?;
    drop(bytes);
    let speaker = Arc::new(Speaker::new(Arc::clone(outbox)));
    confine::confine(setup).map_err(|error| chain(&error))?.tell(&speaker);
    // By its descriptor: another user may not get to the folder it lies in.
    let path = by_descriptor(&file);
    let library = transport::open(&path, &said, setup.n_workers, Arc::clone(&speaker) as _)
        .map_err(|refusal| refusal.to_string())?;
    let hello = Hello::new(&said.manifest.name, &said.manifest.version);
    outbox.send(&Frame::Hello(hello.to_body())).map_err(|error| error.to_string())?;
    let (socket, outbox) = (Arc::clone(socket), Arc::clone(outbox));
    Ok(Served { socket, outbox, speaker, library, _file: file })
}

fn by_descriptor(file: &std::fs::File) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    Path::new("/proc/thread-self/fd").join(file.as_raw_fd().to_string())
}

/// A library that is open, and the way to the hub.
struct Served {
    socket: Arc<OwnedFd>,
    outbox: Arc<Outbox>,
    speaker: Arc<Speaker>,
    library: Opened,
    /// The loader knows the library by this descriptor.
    _file: std::fs::File,
}

impl Served {
    /// Passes frames on until the connection ends, and the process with it.
    fn serve(self) -> ! {
        let mut decoder = Decoder::default();
        loop {
            let room = rustix::buffer::spare_capacity(decoder.room());
            match rustix::io::read(&self.socket, room) {
                // The hub is gone.
                Ok(0) => end(0),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(_) => end(1),
            }
            if let Err(error) = self.take_all(&mut decoder) {
                let _ = self.outbox.send(&Frame::Goodbye(error.to_string().as_bytes()));
                end(1);
            }
        }
    }

    fn take_all(&self, decoder: &mut Decoder) -> Result<(), FrameError> {
        while let Some(frame) = decoder.next()? {
            match frame {
                Frame::Op { op_id, opcode, target, request } => {
                    self.op(op_id, opcode, target, request);
                }
                Frame::Cancel { op_id } => self.library.cancel(op_id),
                Frame::Credit { op_id, n } => self.library.credit(op_id, n),
                Frame::Ping { number, now_ms } => {
                    self.speaker.set_time(now_ms);
                    // If it cannot be sent, the connection has ended, which the next read shows.
                    let _ = self.outbox.send::<&[u8]>(&Frame::Pong { number });
                }
                Frame::Welcome(body) => {
                    // A welcome of a later version says at least what this one knows.
                    if let Ok(welcome) = Welcome::read(body) {
                        self.speaker.set_time(welcome.now_ms);
                        self.speaker.set_log_level(welcome.log_level);
                    }
                }
                Frame::Shutdown { timeout_ms } => {
                    self.library.shutdown(Duration::from_millis(timeout_ms.into()));
                    let _ = self.outbox.send(&Frame::Goodbye(b""));
                    end(0);
                }
                // The hub does not want it, or says what only a plug-in says.
                Frame::Goodbye(_)
                | Frame::Hello(_)
                | Frame::Complete { .. }
                | Frame::Emit { .. }
                | Frame::Log { .. }
                | Frame::Pong { .. } => end(1),
            }
        }
        Ok(())
    }

    fn op(&self, op_id: u64, opcode: u16, target: u64, request: &[u8]) {
        let error = match Opcode::from_code(opcode.into()) {
            Some(opcode) if self.library.op(op_id, target, opcode, request) => return,
            Some(_) => Error::new(ErrorClass::Protocol, "plug-in took no operation"),
            None => Error::unsupported(&format!("operation {opcode}")),
        };
        let status = error.class().code() as u16;
        let _ = self.outbox.send(&Frame::Complete { op_id, status, reply: encode(&error) });
    }
}

/// Ends the process at once. Nothing of the library's is run any more: its threads may still be at
/// work, and what they work on must not be taken apart under them.
#[allow(unsafe_code, reason = "ends the process without running what was left for its end")]
fn end(status: i32) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
