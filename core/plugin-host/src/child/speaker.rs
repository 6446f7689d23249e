//! What the library calls back into, inside its own process: each call becomes a frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Instant;

use gantry_plugin_api::Error;
use gantry_plugin_api::frame::{Frame, LogLine};
use gantry_plugin_api::message::{Json, encode};

use crate::process::{Outbox, SendError};
use crate::transport::{Body, Listener};

pub(super) struct Speaker {
    outbox: Arc<Outbox>,
    log_level: AtomicU8,
    started: Instant,
    /// The hub's time at `started`, as Unix milliseconds.
    time_at_start: AtomicI64,
}

impl Speaker {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        // Until the hub says otherwise: errors, warnings, what is worth knowing.
        let log_level = AtomicU8::new(3);
        Self { outbox, log_level, started: Instant::now(), time_at_start: AtomicI64::new(0) }
    }

    /// Takes over the hub's time.
    pub(super) fn set_time(&self, now_ms: i64) {
        self.time_at_start.store(now_ms.saturating_sub(self.elapsed_ms()), Ordering::Relaxed);
    }

    pub(super) fn set_log_level(&self, level: u8) {
        self.log_level.store(level, Ordering::Relaxed);
    }

    fn elapsed_ms(&self) -> i64 {
        self.started.elapsed().as_millis() as i64
    }
}

impl Listener for Speaker {
    fn complete(&self, op_id: u64, status: u32, reply: Body) {
        let status = u16::try_from(status).unwrap_or(u16::MAX);
        let sent = self.outbox.send(&Frame::Complete { op_id, status, reply: &*reply });
        // Whoever waits gets an answer all the same; any other failure ends the process.
        if let Err(SendError::Frame(error)) = sent {
            let error = Error::permanent("cannot send the reply").because(&error);
            let status = error.class().code() as u16;
            let _ = self.outbox.send(&Frame::Complete { op_id, status, reply: encode(&error) });
        }
    }

    fn emit(&self, op_id: u64, _: u32, batch: Body) -> bool {
        // The hub counts the records itself.
        self.outbox.send(&Frame::Emit { op_id, batch: &*batch }).is_ok()
    }

    fn log(&self, level: u32, about: u64, target: &str, message: &str, fields: &str) {
        let fields = if fields.is_empty() { "{}" } else { fields };
        let line = LogLine {
            target: target.to_owned(),
            message: message.to_owned(),
            fields: Json::from_bytes(fields.as_bytes().to_vec()),
        };
        let level = level.clamp(1, 5) as u16;
        // A line that is too long is not worth a life.
        let _ = self.outbox.send(&Frame::Log { level, about, line: encode(&line) });
    }

    fn now_ms(&self) -> i64 {
        self.time_at_start.load(Ordering::Relaxed).saturating_add(self.elapsed_ms())
    }

    fn log_level(&self) -> &AtomicU8 {
        &self.log_level
    }
}
