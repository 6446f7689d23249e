//! The conformance suite for plug-ins: what the hub relies on, asked case by case over each way in
//! which a plug-in can be reached.
//!
//! In the author's own tests, with the plug-in linked in:
//!
//! ```ignore
//! #[test]
//! fn it_conforms() {
//!     gantry_plugin_testkit::conforms::<Shop>("gantry-plugin-test.toml");
//! }
//! ```
//!
//! For a library or a program, `gantry plugin test` runs the same suite. What it is told of the
//! plug-in stands in a test file ([`Script`]); what plays the source system is a program named
//! there, or a [`Driver`]. A case that needs what is not given is skipped, with the reason.
//!
//! The suite drives a plug-in by the host, as the hub does, and so sees what the hub would see.
//! Start reading at [`Suite`], then `bench`, which is what cases work with, and `cases`.
#![forbid(unsafe_code)]

mod alone;
mod bench;
mod case;
mod cases;
mod footprint;
mod groups;
mod logs;
mod proxy;
mod report;
mod script;
mod suite;
mod transport;
mod upstream;

#[cfg(test)]
mod tests;

pub use alone::{conforms, conforms_with};
pub use case::Case;
pub use groups::cases;
pub use report::{Ended, Report, Subject, Verdict};
pub use script::{FILE_NAME, Script, ScriptError};
pub use suite::{Suite, SuiteError};
pub use transport::Transport;
pub use upstream::{Driver, DriverError};
