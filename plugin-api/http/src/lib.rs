//! What connectors of HTTP systems share, so that each of them says only what is its own: paths,
//! bodies, and the vendor's codes.
//!
//! ```ignore
//! let client = Client::new(Options::new(&config.endpoint, cx).auth(auth))?;
//! let request = Request::get("task").query("createdAfter", &after).traceparent(trace);
//! let response = client.send(request).await?;   // transport and sign-in failed: an error
//! let tasks: Vec<Task> = response.ok()?.json()?; // the status failed: an error of its class
//! ```
//!
//! - [`Client`] signs in ([`Auth`]), passes on a trace, bounds time and size, and follows redirects
//!   to the same origin only. It never retries, except once with a fresh token after a 401.
//! - [`Response::ok`] maps a status to the class of [`gantry_plugin_api::Error`]; a vendor's own
//!   codes are looked at before, see [`Response::error`].
//! - [`TokenSource`] and [`tls::trust`] are for connectors of other protocols: tokens of a token
//!   server, and whom a connection trusts.
//!
//! It opens connections on first use, not when it is made, and needs no system certificates: the
//! public roots are built in, and an operator's own come from a file.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod tls;

mod auth;
mod client;
mod jwt;
mod request;
mod response;
mod tokens;

#[cfg(test)]
mod tests;

pub use auth::{Auth, Grant, OAuth};
pub use client::{Client, Options};
pub use hyper::{Method, StatusCode};
pub use request::{Request, escape};
pub use response::Response;
pub use tokens::{AccessToken, TokenSource};
