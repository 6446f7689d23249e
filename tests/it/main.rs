//! End-to-end tests: the real binary, loaded plug-ins, real databases.
//!
//! Run them by `cargo xtask test`, which builds what they start.
#![forbid(unsafe_code)]

mod alerts;
mod author;
mod bad_input;
mod calendar;
mod camunda7;
mod canary;
mod cli;
mod conformance;
mod connectors;
mod credentials;
mod demo_once;
mod email;
mod languages;
mod manuals;
mod pages;
mod permits;
mod processes;
mod reload;
mod routing;
mod routing_cases;
mod salesforce;
mod scaffold;
mod story;
mod suggest;
mod trust;
