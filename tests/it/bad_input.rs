//! Bad input, from every side: a clear error with its code and remedy, a dead letter where a record
//! is concerned, and everything else goes on.

mod api;
mod disk;
mod lookups;
mod plugins;
mod sources;
mod webhook;
