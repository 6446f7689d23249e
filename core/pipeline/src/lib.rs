//! The pipeline: everything between the sources and the hub.
//!
//! Records come in (polled, streamed, by request), are mapped and classified and become commands;
//! runs of look-ups and rules are made for the items that wait for them; life-cycle events go back
//! to the sources. The pipeline holds no state that is not in the store: what it had in hand when
//! it stopped is taken up again, and found to be a repeat where it was done already.
//!
//! It never decides anything about an item: the engine does. It never acknowledges what is not
//! durable. Start reading at [`Pipeline`], then `intake` (a record becomes a work item), `runs` and
//! `enrich` (look-ups), `callback` (events back to the source).
#![forbid(unsafe_code)]

mod alerts;
mod backoff;
mod callback;
mod capture;
mod control;
mod credentials;
mod dead_letter;
mod enrich;
mod http;
mod intake;
mod leases;
mod limits;
mod meter;
mod metered;
mod operate;
mod outcome;
mod payload;
mod pipeline;
mod port;
mod reach;
mod reload;
mod runs;
mod schedule;
mod source;
mod status;
mod tap;

#[cfg(test)]
mod tests;

pub use control::Paused;
pub use credentials::{Vault, VaultError};
pub use dead_letter::{DeadLetterError, Retried};
pub use http::CaptureError;
pub use intake::{MessageError, Target};
pub use leases::LeaseStatus;
pub use limits::Limits;
pub use meter::{Histogram, OperationStatus};
pub use operate::{Move, OperateError};
pub use outcome::{Change, Outcome, Settled};
pub use payload::PayloadError;
pub use pipeline::{Handle, Pipeline, PipelineError, PipelineParts};
pub use reload::{ReloadError, Reloaded};
pub use source::{Kept, Settings, SourceParts};
pub use status::{
    CallbackStatus, CaptureStatus, Failure, Health, LastError, LookupStatus, ProcessStatus,
    RecordCounts, RunStatus, SourceState, SourceStatus, State, Status,
};
pub use tap::{Seen, SeenRecord, Watch};
