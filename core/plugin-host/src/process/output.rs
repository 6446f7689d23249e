//! What a plug-in's process writes to its standard output and error: log lines, as many as the hub
//! wants to read, and the end of it for the report of a crash.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

/// The longest log line, in bytes; the rest of it becomes the next one.
const LINE_MAX: usize = 8 << 10;

/// So much of the output is kept, in bytes.
const KEPT_MAX: usize = 64 << 10;

/// So much is read between two ticks, in bytes. A plug-in that writes more waits.
const READ_MAX: usize = 256 << 10;

/// So many lines, of output and of the plug-in's own log, are logged between two ticks.
const LINES_MAX: u32 = 500;

/// What is left of the lines until the next tick.
#[derive(Debug)]
pub(crate) struct LineBudget {
    left: u32,
    n_dropped: u64,
}

impl LineBudget {
    pub(crate) fn new() -> Self {
        Self { left: LINES_MAX, n_dropped: 0 }
    }

    /// Whether one more line may be logged; counts it if not.
    pub(crate) fn take(&mut self) -> bool {
        if self.left == 0 {
            self.n_dropped += 1;
            return false;
        }
        self.left -= 1;
        true
    }

    /// Starts anew, and gives how many lines were dropped.
    pub(crate) fn renew(&mut self) -> u64 {
        std::mem::replace(self, Self::new()).n_dropped
    }
}

/// The last bytes a process wrote.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<u8>);

impl Tail {
    fn keep(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(KEPT_MAX)..];
        let surplus = (self.0.len() + bytes.len()).saturating_sub(KEPT_MAX);
        self.0.drain(..surplus);
        self.0.extend(bytes);
    }

    pub(crate) fn text(&self) -> String {
        let (a, b) = self.0.as_slices();
        String::from_utf8_lossy(&[a, b].concat()).into_owned()
    }
}

/// One of the two streams.
#[derive(Debug)]
pub(crate) struct Output {
    pipe: Option<OwnedFd>,
    line: Vec<u8>,
    n_read: usize,
}

impl Output {
    /// `pipe` must not block.
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Some(pipe), line: Vec::new(), n_read: 0 }
    }

    /// What to poll; none if it is closed, or read enough until the next tick.
    pub(crate) fn fd(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref().filter(|_| self.n_read < READ_MAX)
    }

    /// Lets more be read.
    pub(crate) fn renew(&mut self) {
        self.n_read = 0;
    }

    /// Reads what there is and gives each line to `log`.
    pub(crate) fn read(&mut self, tail: &mut Tail, mut log: impl FnMut(&str)) {
        let mut chunk = [0; 16 << 10];
        while let Some(pipe) = self.fd() {
            match rustix::io::read(pipe, &mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(n) => {
                    self.n_read += n;
                    tail.keep(&chunk[..n]);
                    self.split(&chunk[..n], &mut log);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
        if self.pipe.is_none() {
            self.flush(&mut log);
        }
    }

    fn split(&mut self, mut bytes: &[u8], log: &mut impl FnMut(&str)) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let room = LINE_MAX - self.line.len();
            let (n, skip, ends) = match end {
                Some(at) if at <= room => (at, 1, true),
                _ => (bytes.len().min(room), 0, bytes.len() >= room),
            };
            self.line.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n + skip..];
            if ends {
                self.flush(log);
            }
        }
    }

    fn flush(&mut self, log: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end();
        if !text.is_empty() {
            log(text);
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests;
