//! Captures mail by IMAP, looks up earlier mail, and answers in the thread by SMTP.
//!
//! Capture names a mail by (UIDVALIDITY, UID) and never depends on \Seen; `capture.rs` says why
//! that loses nothing. A callback sends a reply whose Message-ID is made of the idempotency key,
//! or moves or flags the mail. IMAP4rev1 is enough; IDLE, MOVE, UIDPLUS, CONDSTORE and SASL-IR are
//! used where they are offered. Signs in by PLAIN, LOGIN or XOAUTH2.
//!
//! The IMAP client and the reader of mail are libraries of their own, `imap` and `mail`; tokens of
//! a token server are got by the part that HTTP connectors share.
//!
//! Limits: a conversation whose first id a client drops from References begins anew.
//! `docs/connectors/email.md` tells the operator all of it.
//!
//! Written from (August 2026): RFC 3501, 9051 (IMAP), 2177 (IDLE), 4315 (UIDPLUS), 6851 (MOVE),
//! 7162 (CONDSTORE), 5530 (response codes), 4959 (SASL-IR), 5321 (SMTP), 6409 (submission), 5322
//! and 2045 to 2047 (mail), 3834 (automatic answers), 3464 (bounces).
#![forbid(unsafe_code)]

mod callback;
mod capture;
mod client;
mod config;
mod credentials;
mod lookup;
mod loops;
mod points;
mod removed;
mod scan;
mod smtp;
mod values;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use gantry_plugin_api::{ConfigFault, Context, Error, Plugin, export_plugin};

use crate::client::{Access, Client};
use crate::config::Config;
use crate::credentials::{Credentials, NO_SECRET};
use crate::points::Points;

/// One mailbox: its connections, shared by captures, look-ups and callbacks.
#[derive(Debug)]
pub(crate) struct Email {
    client: Client,
    points: Points,
    /// Where replies are handed in.
    smtp: Option<Access>,
    /// The mailbox's own addresses; replies come from the first.
    own: Vec<String>,
    /// The name that replies show.
    name: Option<String>,
}

impl Email {
    fn address(&self) -> &str {
        self.own.first().expect("invariant: `create` puts one there")
    }
}

impl Plugin for Email {
    type Config = Config;

    fn validate(config: &Config) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let given = [config.password.is_some(), config.token.is_some(), config.oauth.is_some()];
        match given.iter().filter(|given| **given).count() {
            0 => {
                let message = "is missing; or sign in by `token` or `oauth`";
                faults.push(ConfigFault::new("password", message));
            }
            1 => {}
            _ => {
                let message = "one of `password`, `token` and `oauth` is enough; remove the others";
                faults.push(ConfigFault::new("", message));
            }
        }
        if config
            .oauth
            .as_ref()
            .is_some_and(|oauth| oauth.refresh_token.is_none() && oauth.client_secret.is_none())
        {
            faults.push(ConfigFault::new("oauth.client_secret", NO_SECRET));
        }
        if config.request_timeout.get().is_zero() {
            faults.push(ConfigFault::new("request_timeout", "must be longer than 0"));
        }
        if config.address.parse::<lettre::Address>().is_err() {
            faults.push(ConfigFault::new("address", "is no address: write `name@example.com`"));
        }
        faults
    }

    fn create(config: Config, cx: &Context) -> Result<Self, Error> {
        let credentials = Arc::new(Credentials::new(&config, cx)?);
        let client = Client::new(&config, Arc::clone(&credentials));
        let access = |server| Access::new(&config, server, credentials);
        let smtp = config.smtp.as_ref().map(access);
        let Config { address, aliases, name, .. } = config;
        let own = std::iter::once(address).chain(aliases).collect();
        Ok(Self { client, points: Points::default(), smtp, own, name })
    }

    async fn check(&self, _: &Context) -> Result<(), Error> {
        self.client.borrow().await?.done();
        Ok(())
    }

    async fn stop(&self, _: &Context) {
        self.client.close();
    }
}

export_plugin! {
    plugin: Email,
    roles: [capture, lookup, callback],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
