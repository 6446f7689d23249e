//! A small company around a Gantry hub, and a hub as its users see it: a process with an API.
//!
//! The end-to-end tests use [`hub`] too.
#![forbid(unsafe_code)]

pub mod agents;
pub mod events;
pub mod hub;
pub mod report;
pub mod sender;
pub mod world;
