//! The vocabulary of Gantry: work items, attributes, agents, config as plain data, commands,
//! events and decisions.
//!
//! Every other crate speaks these words. This one knows no tokio, no SQL, no HTTP and reads no
//! clock. Start reading at [`item`] (what waits), then [`command`] (what may happen), [`event`]
//! (what did happen) and [`decision`] (why).
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod agent;
pub mod attribute;
pub mod calendar;
pub mod clock;
pub mod command;
pub mod cron;
pub mod decision;
pub mod document;
pub mod event;
pub mod id;
pub mod item;
pub mod journal;
pub mod name;
pub mod priority;
mod refusal;
pub mod requirement;
pub mod spec;
pub mod time;
pub mod trace;
pub mod workbin;

#[cfg(test)]
mod tests;

pub use agent::{Agent, AgentProfile, Presence};
pub use attribute::{AttributeType, Decimal, Value};
pub use calendar::Calendar;
pub use clock::Clock;
pub use command::{Actor, Command, Refusal, Reply};
pub use cron::Cron;
pub use decision::Explanation;
pub use document::{Attributes, Document, Origin, Replaced};
pub use event::Event;
pub use id::{ItemId, PartitionId};
pub use item::{Assignment, Classification, Hold, LifeCycle, WorkItem};
pub use name::{AgentId, Name};
pub use requirement::Requirement;
pub use time::{Millis, Timestamp};
pub use trace::TraceParent;
pub use workbin::{Target, Workbin};
