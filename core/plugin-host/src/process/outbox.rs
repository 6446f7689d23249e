//! Frames on their way out. Whoever sends writes, and takes along what others add meanwhile: many
//! frames a system call, and no thread in between.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use gantry_plugin_api::frame::{Frame, FrameError};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// At most so many bytes wait for the other side to read.
const WAITING_MAX: usize = 64 << 20;

/// A buffer that grew beyond this is given back.
const KEEP_MAX: usize = 1 << 20;

/// Why a frame was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("cannot send: the connection is closed")]
    Closed,
    #[error("cannot send: {WAITING_MAX} bytes wait for the plug-in to read them")]
    Full,
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Wakes a thread that polls.
#[derive(Debug)]
pub(crate) struct Wake(OwnedFd);

impl Wake {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Makes the descriptor readable.
    pub(crate) fn wake(&self) {
        // The only failure is a counter that is full, and then it is readable.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Makes it unreadable again.
    pub(crate) fn reset(&self) {
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }
}

/// One end of a connection, for writing.
#[derive(Debug)]
pub(crate) struct Outbox {
    socket: Arc<OwnedFd>,
    /// Who goes on writing when the other side does not read: a thread that polls, or, without
    /// one, the sender itself, which then blocks.
    poller: Option<Arc<Wake>>,
    state: Mutex<State>,
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Somebody writes at the moment.
    writing: bool,
    /// The other side does not read: the poller goes on.
    stuck: bool,
    closed: bool,
}

impl Outbox {
    /// For a socket that blocks; senders block with it.
    pub(crate) fn blocking(socket: Arc<OwnedFd>) -> Self {
        Self { socket, poller: None, state: Mutex::default(), written: Condvar::new() }
    }

    /// Senders never block; the thread woken by `poller` calls [`Outbox::go_on`].
    pub(crate) fn polled(socket: Arc<OwnedFd>, poller: Arc<Wake>) -> Self {
        Self { poller: Some(poller), ..Self::blocking(socket) }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`SendError`]; nothing of the frame is sent then.
    pub(crate) fn send<B: AsRef<[u8]>>(&self, frame: &Frame<B>) -> Result<(), SendError> {
        let mut state = self.state();
        while state.waiting.len() > WAITING_MAX && !state.closed {
            if self.poller.is_some() {
                return Err(SendError::Full);
            }
            state = self.written.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(SendError::Closed);
        }
        frame.encode(&mut state.waiting)?;
        if state.writing || state.stuck {
            return Ok(());
        }
        state.writing = true;
        drop(state);
        self.write();
        Ok(())
    }

    /// Whether it waits for the socket to take more.
    pub(crate) fn is_stuck(&self) -> bool {
        self.state().stuck
    }

    /// Goes on writing once the socket takes more.
    pub(crate) fn go_on(&self) {
        let mut state = self.state();
        if !state.stuck || state.closed {
            return;
        }
        state.stuck = false;
        state.writing = true;
        drop(state);
        self.write();
    }

    /// Takes no more frames, and forgets those that wait.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting = Vec::new();
        drop(state);
        self.written.notify_all();
    }

    /// Writes until nothing waits; the caller has set `writing`.
    fn write(&self) {
        let mut chunk = Vec::new();
        loop {
            {
                let mut state = self.state();
                if state.waiting.is_empty() || state.closed {
                    state.writing = false;
                    if chunk.capacity() <= KEEP_MAX {
                        chunk.clear();
                        state.waiting = chunk;
                    }
                    return;
                }
                chunk.clear();
                std::mem::swap(&mut chunk, &mut state.waiting);
            }
            self.written.notify_all();
            match self.write_chunk(&chunk) {
                Ok(n) if n == chunk.len() => {}
                Ok(n) => return self.leave_rest(chunk, n),
                // The reader of this end learns that it is closed, and why.
                Err(_) => return self.close(),
            }
        }
    }

    /// Gives how much was written; less than all only if the poller is to go on.
    fn write_chunk(&self, chunk: &[u8]) -> Result<usize, Errno> {
        let flags = match self.poller {
            Some(_) => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
            None => SendFlags::NOSIGNAL,
        };
        let mut done = 0;
        while done < chunk.len() {
            match send(&self.socket, &chunk[done..], flags) {
                Ok(n) => done += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(done),
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn leave_rest(&self, mut chunk: Vec<u8>, written: usize) {
        chunk.drain(..written);
        let mut state = self.state();
        chunk.append(&mut state.waiting);
        state.waiting = chunk;
        state.writing = false;
        state.stuck = true;
        drop(state);
        if let Some(poller) = &self.poller {
            poller.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
