//! The hub as the plug-in sees it: safe calls into its table of functions.
#![allow(unsafe_code, reason = "calls through the host's table; each block says why it holds")]

use std::sync::atomic::{AtomicU8, Ordering};

use crate::abi::{Buf, HostApi, STATUS_OK, Slice};
use crate::emitter::{Sink, closed};
use crate::error::{Error, ErrorClass};
use crate::message::{Batch, encode};

/// The hub's table, checked once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    api: &'static HostApi,
}

impl Host {
    /// Takes the table; none if it is absent or smaller than that of version 1.0.
    ///
    /// # Safety
    /// `api` must be null or point to a table as [`HostApi`] describes it, beginning with its size
    /// and living for ever.
    pub(crate) unsafe fn new(api: *const HostApi) -> Option<Self> {
        if api.is_null() {
            return None;
        }
        // SAFETY: not null, and each table of any version begins with its size.
        let size = unsafe { api.cast::<u32>().read() } as usize;
        if size < size_of::<HostApi>() {
            return None;
        }
        // SAFETY: at least as large as the table we know, and it lives for ever.
        Some(Self { api: unsafe { &*api } })
    }

    pub(crate) fn n_workers(self) -> usize {
        self.api.n_workers.max(1) as usize
    }

    pub(crate) fn now_ms(self) -> i64 {
        // SAFETY: a function of the host's table, called with the table's own context.
        unsafe { (self.api.now_ms)(self.api.ctx) }
    }

    fn complete(self, op_id: u64, result: Result<Vec<u8>, Error>) {
        let (status, reply) = match result {
            Ok(reply) if reply.is_empty() => (STATUS_OK, Buf::EMPTY),
            Ok(reply) => (STATUS_OK, Buf::from_vec(reply)),
            Err(error) => (error.class().code(), Buf::from_vec(encode(&error))),
        };
        // SAFETY: as above; the buffer is handed over.
        unsafe { (self.api.complete)(self.api.ctx, op_id, status, reply) }
    }

    /// Whether the hub wants messages of this level, 1 (error) to 5 (trace). A few nanoseconds.
    pub(crate) fn wants(self, level: u8) -> bool {
        // SAFETY: points to a byte that lives as long as the table and is only accessed atomically.
        let wanted = unsafe { AtomicU8::from_ptr(self.api.log_level.cast_mut()) };
        level <= wanted.load(Ordering::Relaxed)
    }

    pub(crate) fn log(self, level: u8, instance: u64, target: &str, message: &str, fields: &[u8]) {
        let slice = |text: &str| Slice::new(text.as_bytes());
        let (target, message, fields) = (slice(target), slice(message), Slice::new(fields));
        // SAFETY: a function of the host's table; the slices live until it returns.
        unsafe {
            (self.api.log)(self.api.ctx, level.into(), instance, target, message, fields);
        }
    }
}

/// Ends an operation exactly once: by an answer, or as canceled when dropped without one.
#[derive(Debug)]
pub(crate) struct Completion {
    host: Host,
    op_id: u64,
    open: bool,
}

impl Completion {
    pub(crate) fn new(host: Host, op_id: u64) -> Self {
        Self { host, op_id, open: true }
    }

    pub(crate) fn finish(mut self, result: Result<Vec<u8>, Error>) {
        self.open = false;
        self.host.complete(self.op_id, result);
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if self.open {
            let error = Error::new(ErrorClass::Canceled, "operation was called off");
            self.host.complete(self.op_id, Err(error));
        }
    }
}

/// Sends a stream's batches to the hub.
#[derive(Debug)]
pub(crate) struct HostSink {
    pub(crate) host: Host,
    pub(crate) op_id: u64,
}

impl Sink for HostSink {
    fn send(&self, batch: Batch) -> Result<(), Error> {
        let n_credit = batch.records.len().max(1) as u32;
        let (api, bytes) = (self.host.api, Buf::from_vec(encode(&batch)));
        // SAFETY: a function of the host's table; the buffer is handed over.
        match unsafe { (api.emit)(api.ctx, self.op_id, n_credit, bytes) } {
            STATUS_OK => Ok(()),
            _ => Err(closed()),
        }
    }
}
