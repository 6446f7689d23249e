//! The pipeline on the real hub, store, rules and engine; only the plug-ins are scripted.

mod alerts;
mod callbacks;
mod classification;
mod feeding;
mod flaky;
mod history;
mod intake;
mod leases;
mod lookups;
mod metering;
mod operating;
mod script;
mod watching;
mod world;
