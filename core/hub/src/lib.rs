//! The loop that owns the engine: commands in, group commit, events out, timers.
//!
//! One thread owns the state; everyone else holds a [`Handle`] and submits work, asks queries or
//! follows committed events. Nothing uncommitted is ever shown: replies, query answers and events
//! leave only after the commit that covers them.
//!
//! Start reading at [`Handle`], then `engine_loop`.
#![forbid(unsafe_code)]

pub mod boot;
pub mod clock;
mod engine_loop;
mod error;
mod figures;
mod group;
mod handle;
mod work;

#[cfg(test)]
mod tests;

pub use boot::{BootError, Booted, boot};
pub use clock::HubClock;
pub use engine_loop::{Hub, Options};
pub use error::Error;
pub use figures::{QueueFigures, Scan, queues};
pub use gantry_engine::{
    Contender, Contending, Course, CourseKind, CoursePoint, Figures, Impossible, LadderStage,
    LiveExplanation, Next, NextError, Service, StageState, State, Unserved, WaitingCall, WhyNot,
    course,
};
pub use handle::{Committed, Handle, Health, Stats};
pub use work::{CaptureKey, Head, NewDocument, Side, Submission, Work};
