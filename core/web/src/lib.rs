//! The web server: JSON API, live events and pages, in one router.
//!
//! It decides nothing: it authenticates, checks what a role may do, and passes on to the hub, the
//! store or the [`Intake`]. It never reads the config file, never talks to a plug-in, and answers
//! every request, at worst with a [`Problem`].
//!
//! Start reading at [`Web`], then `api/mod.rs` (the list of addresses), then [`problem`] (the
//! list of refusals). `docs/api.md` describes all of it to its users.
#![forbid(unsafe_code)]

mod access;
mod answer;
mod api;
mod app;
mod attendance;
pub mod course;
mod extract;
mod form;
pub mod intake;
mod live;
mod pages;
mod past;
pub mod problem;
mod profile;
mod serve;
pub mod token;
mod view;

#[cfg(test)]
mod tests;

pub use app::{Options, Parts, Web};
pub use intake::{Intake, IntakeError, Message, RecordOutcome, RecordResult, Target};
pub use problem::Problem;
pub use token::{Claims, Key, Role};
