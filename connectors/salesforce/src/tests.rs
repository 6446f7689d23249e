//! The pure parts: queries, times, error codes, settings. What needs a server is tested through the
//! hub, against the stand-in for an org.

mod failure;
mod settings;
mod soql;
mod values;
