//! oauth2-mock-server: a token server, on which Dovecot relies.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::SUPPORT;
use crate::built;
use crate::peers::process::free_port;

/// The secret that it gives tokens for.
pub const APP_SECRET: &str = "an-app-secret";
/// The first refresh token, good for one use; what comes with its token is the next.
pub const REFRESH_TOKEN: &str = "the-owners-first-refresh-token";
/// It has to answer within this time.
const WITHIN: Duration = Duration::from_mins(1);

/// A running token server. Dropping it ends it.
#[derive(Debug)]
pub struct Tokens {
    port: u16,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _server: Child,
}

impl Tokens {
    /// Starts a server; `None` where it or Node.js is not installed.
    ///
    /// # Errors
    /// If it is installed and does not start.
    pub async fn start() -> Result<Option<Self>> {
        let modules = built::clients().join("node_modules");
        if !modules.join("oauth2-mock-server").is_dir() {
            eprintln!("SKIPPED: oauth2-mock-server is not installed");
            return Ok(None);
        }
        let port = free_port()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/mail/tokens.mjs");
        let mut server = Command::new("node")
            .arg(script)
            .args([&port.to_string(), SUPPORT])
            .arg(modules)
            .arg(REFRESH_TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting node")?;
        let ask = server.stdin.take().context("no input")?;
        let answers = BufReader::new(server.stdout.take().context("no output")?).lines();
        let mut tokens = Self { port, ask, answers, _server: server };
        tokens.answer().await?;
        Ok(Some(tokens))
    }

    /// An address of it: `token`, `introspect`.
    pub fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Ends all tokens; tells how many were given so far.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn end_all(&mut self) -> Result<usize> {
        self.ask.write_all(b"end\n").await?;
        Ok(self.answer().await?.parse()?)
    }

    async fn answer(&mut self) -> Result<String> {
        let line = tokio::time::timeout(WITHIN, self.answers.next_line()).await;
        line.context("the token server does not answer")??.context("the token server ended")
    }
}
