//! `email` on a real server, streaming (IDLE) and polled.

use anyhow::Result;
use async_trait::async_trait;
use gantry_tests::built;
use gantry_tests::connector::{self, Case, Deletion, Setup, SourceSystem};
use gantry_tests::peers::mail::{Dovecot, SUPPORT, SUPPORT_PASSWORD};
use gantry_tests::proxy::Proxy;
use jiff::Timestamp;

/// A private Dovecot with an inbox.
struct Mailbox {
    server: Dovecot,
    proxy: Proxy,
    /// How the hub reads it: nothing for a stream.
    feed: &'static str,
    /// Headers of further mail.
    more: &'static str,
    n_mails: usize,
    uid_validity: u32,
}

#[tokio::test]
async fn dovecot_keeps_all_promises_while_it_announces_mail() -> Result<()> {
    prove("").await
}

#[tokio::test]
async fn dovecot_keeps_all_promises_while_it_is_polled() -> Result<()> {
    prove("every = \"200ms\"").await
}

async fn prove(feed: &'static str) -> Result<()> {
    let Some(server) = Dovecot::start().await? else { return Ok(()) };
    let proxy = Proxy::start(([127, 0, 0, 1], server.imap).into()).await?;
    let uid_validity = 2_000_000_000;
    let mut mailbox = Mailbox { server, proxy, feed, more: "", n_mails: 0, uid_validity };
    connector::prove(&mut mailbox).await
}

impl Mailbox {
    /// Runs an action of `doveadm`, with its arguments, on a mail of the inbox.
    async fn act(&self, action: &[&str], arguments: &[&str], id: &str) -> Result<()> {
        let query = ["mailbox", "INBOX", "header", "message-id", id];
        let all = [action, &["-u", SUPPORT], arguments, &query].concat();
        self.server.doveadm(&all).await.map(drop)
    }

    fn mail(&self, id: &str, more: &str, subject: &str, date: Timestamp) -> String {
        let date = date.strftime("%a, %d %b %Y %H:%M:%S +0000");
        format!(
            "From: Bob <bob@hub.test>\nTo: {SUPPORT}\nMessage-ID: <{id}>\nSubject: {subject}\n\
             Date: {date}\n{}{more}\nHello.\n",
            self.more
        )
    }
}

#[async_trait]
impl SourceSystem for Mailbox {
    fn name(&self) -> String {
        let how = if self.feed.is_empty() { "IDLE" } else { "polled" };
        format!("email, Dovecot, {how}")
    }

    fn waived(&self) -> Vec<(Case, &'static str)> {
        vec![
            (Case::ClockSkew, "mail is numbered, not timed: no clock is compared with another"),
            (Case::Throttled, "an IMAP server does not say how long to wait"),
            (Case::TokenExpiry, "a password does not end; tokens: see the tests of XOAUTH2"),
        ]
    }

    fn config(&self, setup: &Setup) -> String {
        built::case("connectors/email.toml")
            .expect("invariant: the case lies beside the tests")
            .replace("@PORT@", &self.proxy.port().to_string())
            .replace("@FEED@", self.feed)
            .replace("@BATCH@", &setup.batch.to_string())
    }

    fn env(&self, setup: &Setup) -> Vec<(String, String)> {
        let password = if setup.right_password { SUPPORT_PASSWORD } else { "wrong-and-secret" };
        vec![("MAIL_PASSWORD".to_owned(), password.to_owned())]
    }

    fn proxy(&self) -> Option<&Proxy> {
        Some(&self.proxy)
    }

    async fn clear(&mut self) -> Result<()> {
        self.more = "";
        for folder in ["INBOX", "Done"] {
            // `Done` is made by the first mail that is moved there.
            let all = ["expunge", "-u", SUPPORT, "mailbox", folder, "all"];
            if let Err(error) = self.server.doveadm(&all).await
                && folder == "INBOX"
            {
                return Err(error);
            }
        }
        Ok(())
    }

    async fn put(&mut self, texts: &[String]) -> Result<Vec<String>> {
        self.put_at(texts, Timestamp::now()).await
    }

    async fn put_at(&mut self, texts: &[String], moment: Timestamp) -> Result<Vec<String>> {
        let (mut mails, mut ids) = (Vec::new(), Vec::new());
        for text in texts {
            self.n_mails += 1;
            let id = format!("m-{:06}@shop.test", self.n_mails);
            mails.push(self.mail(&id, "", text, moment));
            ids.push(id);
        }
        self.server.deliver(SUPPORT, &mails).await?;
        Ok(ids)
    }

    async fn change(&mut self, id: &str, name: &str) -> Result<()> {
        self.n_mails += 1;
        let thread = format!("In-Reply-To: <{id}>\nReferences: <{id}>\n");
        let own = format!("r-{:06}@shop.test", self.n_mails);
        let reply = self.mail(&own, &thread, name, Timestamp::now());
        self.server.deliver(SUPPORT, &[reply]).await
    }

    async fn completions(&mut self, id: &str) -> Result<usize> {
        let query = ["mailbox", "Done", "answered", "header", "message-id", id];
        let found = self.server.doveadm(&[&["search", "-u", SUPPORT], &query[..]].concat()).await?;
        Ok(found.lines().count())
    }

    fn completion_holds(&self, _: &str) -> Vec<u8> {
        b"UID MOVE".to_vec()
    }

    async fn delete(&mut self, id: &str) -> Result<()> {
        self.act(&["expunge"], &[], id).await
    }

    fn deletion(&self) -> Deletion {
        Deletion::Withdraws
    }

    async fn withdraw(&mut self, id: &str) -> Result<()> {
        self.act(&["flags", "add"], &["\\Deleted"], id).await
    }

    async fn add_unknown_field(&mut self) -> Result<()> {
        self.more = "X-Mood: =?no-such-charset?Q?=FF?=\nContent-Language: tlh\n";
        Ok(())
    }

    async fn expire_cursor(&mut self) -> Result<()> {
        self.uid_validity += 1;
        let new = self.uid_validity.to_string();
        let update = ["mailbox", "update", "-u", SUPPORT, "--uid-validity", &new, "INBOX"];
        self.server.doveadm(&update).await.map(drop)
    }

    fn remedy(&self) -> &'static str {
        "check `user` and `password`"
    }

    async fn kill_and_start(&mut self) -> Result<()> {
        self.server.kill();
        self.server.run().await
    }
}
