//! pymap: an IMAP server of other make than Dovecot, without keywords, CONDSTORE and SASL-IR. Its
//! mailbox is that of `support@hub.test`, and holds four mails from the beginning.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{LOOK_EVERY, SUPPORT, WITHIN};
use crate::built;
use crate::peers::process::{Process, free_port};

/// The password of its mailbox.
pub const PASSWORD: &str = "pymap-password";

/// A running pymap. Dropping it ends it.
#[derive(Debug)]
pub struct Pymap {
    /// IMAP in the clear on 127.0.0.1.
    pub port: u16,
    _server: Process,
    _folder: TempDir,
}

impl Pymap {
    /// Starts a server; `None` where pymap is not installed.
    ///
    /// # Errors
    /// If it is installed and does not start.
    pub async fn start() -> Result<Option<Self>> {
        let program = built::clients().join("python/bin/pymap");
        if !program.exists() {
            eprintln!("SKIPPED: pymap is not installed");
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--no-tls", "dict"]);
        command.args(["--demo-data", "--demo-user", SUPPORT, "--demo-password", PASSWORD]);
        let mut server = Process::start(&mut command, &folder.path().join("output"))?;
        server.greets(port).await.context("starting pymap")?;
        Ok(Some(Self { port, _server: server, _folder: folder }))
    }

    /// Puts a mail into a folder.
    ///
    /// # Errors
    /// If it is not taken.
    pub async fn append(&self, folder: &str, mail: &str) -> Result<()> {
        let mail = mail.replace('\n', "\r\n");
        let append = format!("APPEND \"{folder}\" {{{}+}}\r\n{mail}", mail.len());
        self.command(&append).await.map(drop)
    }

    /// Asks until a folder has so many mails.
    ///
    /// # Errors
    /// If it never has.
    pub async fn until(&self, folder: &str, n: usize) -> Result<()> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let asked = async {
            while self.count(folder).await? != n {
                look.tick().await;
            }
            anyhow::Ok(())
        };
        let asked = tokio::time::timeout(WITHIN, asked).await;
        asked.with_context(|| format!("`{folder}` never has {n} mails"))?
    }

    async fn count(&self, folder: &str) -> Result<usize> {
        let answer = self.command(&format!("STATUS \"{folder}\" (MESSAGES)")).await?;
        let n = answer.split("MESSAGES ").nth(1).and_then(|rest| rest.split(')').next());
        Ok(n.with_context(|| format!("no count in {answer:?}"))?.parse()?)
    }

    async fn command(&self, command: &str) -> Result<String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let (read, mut write) = stream.into_split();
        let said = format!("a LOGIN {SUPPORT} {PASSWORD}\r\nb {command}\r\n");
        write.write_all(said.as_bytes()).await?;
        let mut lines = BufReader::new(read).lines();
        let mut answer = String::new();
        while let Some(line) = lines.next_line().await? {
            if let Some(end) = line.strip_prefix("b ") {
                ensure!(end.starts_with("OK"), "{command:?} gives {end}");
                return Ok(answer);
            }
            answer.push_str(&line);
        }
        anyhow::bail!("pymap closed the connection")
    }
}
