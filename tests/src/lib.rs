//! Shared parts of the end-to-end tests: what was built, private servers, hubs on free ports.
#![forbid(unsafe_code)]

pub mod built;
pub mod cli;
pub mod connector;
pub mod peers;
pub mod place;
pub mod postgres;
pub mod proxy;
pub mod world;
