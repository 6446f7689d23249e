//! What the export macro wires up: from the ABI's functions to the author's traits. Not for
//! authors.
//!
//! One [`Library`] a shared library: it owns the tokio runtime, knows instances, attachments and
//! running operations by the host's numbers, and is the only place that calls author's code. Start
//! reading at [`Library::op`].

mod ahead;
mod bridge;
mod endpoint;
mod export;
mod guard;
mod host;
mod library;

pub use endpoint::Endpoint;
pub use export::{Exported, descriptor};
pub use library::Library;
