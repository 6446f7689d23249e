//! A mailbox of small mails on a real Dovecot, and a bare loop over it: the commands of the
//! connector over a socket, each mail read by the same parser.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gantry_tests::peers::mail::{Dovecot, SUPPORT, SUPPORT_PASSWORD};
use mail_parser::MessageParser;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::Pace;

/// The text of each mail.
const TEXT: &str = "Dear support,\n\nmy order has not come yet, and the shop says that it was sent \
                    a week ago.\nPlease look where it is and call me back, best in the \
                    afternoon.\n\nKind regards\nBob\n";

/// A filled mailbox, with its server.
pub(crate) struct Mailbox {
    server: Dovecot,
    n_mails: u64,
}

/// A connection that is signed in, as thin as can be.
struct Bare {
    stream: BufReader<TcpStream>,
    n_commands: u64,
    line: Vec<u8>,
}

impl Mailbox {
    /// Starts the server and fills the mailbox; `None` where Dovecot is not installed.
    pub(crate) async fn fill(n_mails: u64) -> Result<Option<Self>> {
        let Some(server) = Dovecot::start().await? else { return Ok(None) };
        let mail = |n| {
            format!(
                "Return-Path: <bob@hub.test>\nFrom: Bob <bob@hub.test>\nTo: {SUPPORT}\n\
                 Message-ID: <order-{n}@shop.test>\nSubject: Please call back about order {n}\n\
                 Date: Thu, 1 Jan 2026 08:00:00 +0000\nMIME-Version: 1.0\n\
                 Content-Type: text/plain; charset=utf-8\n\n{TEXT}"
            )
        };
        server.store(SUPPORT, n_mails, mail)?;
        // The server indexes what it first sees; neither of the two loops is to pay for that.
        let mut bare = Bare::connect(server.imap).await?;
        bare.run("UID FETCH 1:* (UID INTERNALDATE RFC822.SIZE)", |_| Ok(())).await?;
        Ok(Some(Self { server, n_mails }))
    }

    /// Of the source.
    pub(crate) fn config(&self) -> Value {
        json!({
            "imap": { "host": "127.0.0.1", "port": self.server.imap, "tls": "none" },
            "user": SUPPORT, "password": SUPPORT_PASSWORD, "address": SUPPORT,
        })
    }

    /// For each page: sizes and dates, the mails, and a keyword for them, as the connector marks
    /// what the hub has taken. Each mail is parsed and written as JSON.
    pub(crate) async fn read_bare(&self, page: u64, limit: Duration) -> Result<Pace> {
        let begun = Instant::now();
        let mut bare = Bare::connect(self.server.imap).await?;
        let mut n = 0;
        while n < self.n_mails && begun.elapsed() <= limit {
            let uids = format!("{}:{}", n + 1, (n + page).min(self.n_mails));
            bare.run(&format!("UID FETCH {uids} (UID INTERNALDATE RFC822.SIZE)"), |_| Ok(()))
                .await?;
            let parser = MessageParser::default();
            let mails = format!("UID FETCH {uids} (UID BODY.PEEK[])");
            bare.run(&mails, |mail| {
                let message = parser.parse(mail).context("no mail")?;
                let from = message.from().and_then(|from| from.first()?.address());
                let record = json!({
                    "message_id": message.message_id(), "subject": message.subject(), "from": from,
                    "date": message.date().map(mail_parser::DateTime::to_rfc3339),
                    "text": message.body_text(0),
                });
                std::hint::black_box(serde_json::to_vec(&record)?);
                n += 1;
                Ok(())
            })
            .await?;
            bare.run(&format!("UID STORE {uids} +FLAGS.SILENT ($Bare)"), |_| Ok(())).await?;
        }
        Ok(Pace { n, took: begun.elapsed() })
    }
}

impl Bare {
    async fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        let mut bare = Self { stream: BufReader::new(stream), n_commands: 0, line: Vec::new() };
        bare.stream.read_until(b'\n', &mut bare.line).await?;
        let password = SUPPORT_PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
        bare.run(&format!("LOGIN \"{SUPPORT}\" \"{password}\""), |_| Ok(())).await?;
        bare.run("SELECT INBOX", |_| Ok(())).await?;
        Ok(bare)
    }

    /// Runs a command to its end; `literal` gets what comes by its length.
    async fn run(
        &mut self,
        command: &str,
        mut literal: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        self.n_commands += 1;
        let tag = format!("b{} ", self.n_commands);
        self.stream.write_all(format!("{tag}{command}\r\n").as_bytes()).await?;
        let mut bytes = Vec::new();
        loop {
            self.line.clear();
            let n = self.stream.read_until(b'\n', &mut self.line).await?;
            let line = std::str::from_utf8(&self.line)?.trim_end();
            ensure!(n > 0, "the server has gone in {command}");
            if let Some(status) = line.strip_prefix(&tag) {
                ensure!(status.starts_with("OK"), "{command}: {status}");
                return Ok(());
            }
            let length = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
            if let Some((_, length)) = length {
                bytes.resize(length.parse()?, 0);
                self.stream.read_exact(&mut bytes).await?;
                literal(&bytes)?;
            }
        }
    }
}
