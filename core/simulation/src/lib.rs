//! Simulation: the production engine on a virtual clock, with arrivals, people and their habits
//! from a scenario.
//!
//! Nothing here decides who gets what: that is [`gantry_engine::step`], fed with commands at
//! simulated instants. The same world and seed give the same report, to the byte: there is no
//! wall clock, no thread and no order that depends on memory.
//!
//! Start reading at [`World`] (what is given), then [`run`] (the loop) and [`Report`] (what
//! comes out).
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod agenda;
mod book;
mod flow;
mod histogram;
mod measure;
mod random;
mod report;
mod run;
mod spread;
mod staff;
mod week;
mod world;

#[cfg(test)]
mod tests;

pub use measure::{Measured, measure};
pub use report::{Queue, Report, Row, StaffRow, Unserved, WAIT_BOUNDS_SECS, Wait};
pub use run::{Left, Observer, Options, Progress, RunError, run};
pub use spread::{Range, RowSpread, Spread, StaffSpread};
pub use world::{World, WorldError};
