//! Finds, checks, loads and calls plug-ins; the hub's only unsafe code.
//!
//! The way of a library: [`Host::scan`] reads what each file in the configured folders says about
//! itself, **without running any of it**, and gives what is fit to load and what is refused, each
//! with its reason ([`Refusal`]). [`Host::load`] checks again, copies the file to a place named by
//! its hash and opens that copy; it is never unloaded. [`Library::create`] makes an [`Instance`],
//! one `[source.NAME]`; what a capture point, look-up or callback needs is a handle attached to
//! it.
//!
//! What this crate never does: retry, sleep, or interpret a payload. A failed operation gives a
//! [`CallError`] with the plug-in's error class, and the caller acts on it. A panic in the plug-in
//! ends one operation and poisons one instance; the others live on.
//!
//! Start reading at [`Host`], then `ops`, the table of operations under way, and `transport`,
//! which is how an operation reaches the plug-in.
#![deny(unsafe_op_in_unsafe_fn)]

mod cache;
mod child;
mod elf;
mod glibc;
mod handles;
mod host;
mod inspected;
mod instance;
mod library;
mod lock;
mod ops;
mod process;
mod program;
mod refusal;
mod scrub;
mod signature;
mod stream;
mod transport;
mod trust;

#[cfg(test)]
mod tests;

/// The vocabulary of the calls: records, positions, outcomes, error classes.
pub use gantry_plugin_api as api;

pub use child::{ChildError, Enforcement, run_child};
pub use handles::{CallbackHandle, CaptureHandle, LookupHandle};
pub use host::{Clock, Found, Host, Options, Refused, Scan, inspect};
pub use inspected::{Inspected, LibraryFile};
pub use instance::{CallError, Health, Instance, State};
pub use library::{Library, ProcessHealth};
pub use lock::{Lock, Pin};
pub use process::{Isolated, Limits, Program, Timing, Usage, usage};
pub use refusal::Refusal;
pub use signature::{KeyError, PublicKey, SecretKey, Signature};
pub use stream::RecordStream;
