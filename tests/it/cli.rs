//! The command line: without a hub, beside a running one, and with tokens of every role.

mod agents;
mod alone;
mod beside;
mod roles;
mod rules;
mod simulate;
