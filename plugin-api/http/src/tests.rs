//! The library against a small server on this machine that answers as told.

mod auth;
mod client;
mod response;
mod server;
