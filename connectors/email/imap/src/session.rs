//! A connection: commands, one at a time, and what they answer.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::command::Command;
use crate::failure::{Failure, ended};
use crate::folder::Folder;
use crate::wire::{Cutter, Response, Status, Token, parse};

/// Bytes that one read asks for.
const READ_LEN: usize = 64 << 10;

/// What a session goes over: TCP, TLS, or what a test has in its place.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that is signed in.
///
/// # Cancel safety
/// None of its calls may be dropped before its end: the answer would be taken for the next one's.
/// Drop the session with it.
pub struct Session {
    pub(crate) stream: Box<dyn Stream>,
    buffer: BytesMut,
    cutter: Cutter,
    pub(crate) patience: Duration,
    n_commands: u64,
    pub(crate) capabilities: BTreeSet<String>,
    /// The server said that mail came or went since the folder was opened.
    pub(crate) news: bool,
    /// The folder that is open.
    pub(crate) opened: Option<Opened>,
}

/// A folder that was opened, as it was then.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) folder: Folder,
    /// Mail in it can be changed.
    pub(crate) writable: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("n_commands", &self.n_commands).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn over(stream: Box<dyn Stream>, patience: Duration) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            cutter: Cutter::default(),
            patience,
            n_commands: 0,
            capabilities: BTreeSet::new(),
            news: false,
            opened: None,
        }
    }

    /// Whether the server can do it, by the word of its capabilities, upper case.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }

    /// Runs a command whose data nobody needs, and gives the status that ended it.
    ///
    /// # Errors
    /// If it ended otherwise than with OK, or not at all.
    pub async fn run(&mut self, command: Command) -> Result<Status, Failure> {
        self.each(command, |_| {}).await
    }

    pub(crate) async fn each(
        &mut self,
        command: Command,
        take: impl FnMut(Vec<Token>),
    ) -> Result<Status, Failure> {
        let tag = self.send(&command).await?;
        self.until_done(&tag, command.name, take).await
    }

    pub(crate) async fn until_done(
        &mut self,
        tag: &str,
        command: &'static str,
        mut take: impl FnMut(Vec<Token>),
    ) -> Result<Status, Failure> {
        loop {
            match self.response().await? {
                Response::Data(data) => take(data),
                // XOAUTH2 says more about a refusal before it refuses: it wants an empty line.
                Response::Continue => self.write(b"\r\n").await?,
                Response::Status(Some(tagged), status) if tagged == tag && status.kind == "OK" => {
                    return Ok(status);
                }
                Response::Status(None, status) if status.kind != "BYE" => {}
                Response::Status(tagged, status) => return Err(ended(tagged, command, status)),
            }
        }
    }

    pub(crate) async fn send(&mut self, command: &Command) -> Result<String, Failure> {
        self.n_commands += 1;
        let tag = format!("g{}", self.n_commands);
        let n_last = command.pieces.len() - 1;
        for (n, piece) in command.pieces.iter().enumerate() {
            let mut line = Vec::with_capacity(piece.len() + 16);
            if n == 0 {
                line.extend_from_slice(tag.as_bytes());
                line.push(b' ');
            }
            line.extend_from_slice(piece);
            line.extend_from_slice(b"\r\n");
            self.write(&line).await?;
            if n < n_last {
                self.until_wanted(command.name).await?;
            }
        }
        Ok(tag)
    }

    /// Waits until the server wants the next piece of a command.
    pub(crate) async fn until_wanted(&mut self, command: &'static str) -> Result<(), Failure> {
        loop {
            match self.response().await? {
                Response::Continue => return Ok(()),
                Response::Data(_) => {}
                Response::Status(None, status) if status.kind != "BYE" => {}
                Response::Status(tagged, status) => return Err(ended(tagged, command, status)),
            }
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let patience = self.patience;
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let written = tokio::time::timeout(patience, written).await;
        written.map_err(|_| Failure::Silent(patience))?.map_err(Failure::Lost)
    }

    pub(crate) async fn response(&mut self) -> Result<Response, Failure> {
        let patience = self.patience;
        loop {
            if let Some(bytes) = self.cutter.cut(&mut self.buffer)? {
                return self.heard(&bytes);
            }
            // Silence counts, not the length of the answer: big mail over a thin line is no error.
            let read = tokio::time::timeout(patience, self.read());
            read.await.map_err(|_| Failure::Silent(patience))??;
        }
    }

    pub(crate) async fn response_when_it_comes(&mut self) -> Result<Response, Failure> {
        loop {
            if let Some(bytes) = self.cutter.cut(&mut self.buffer)? {
                return self.heard(&bytes);
            }
            self.read().await?;
        }
    }

    fn heard(&mut self, bytes: &Bytes) -> Result<Response, Failure> {
        let response = parse(bytes)?;
        if let Response::Data(data) = &response {
            let word = |word: &str| data.iter().take(2).any(|token| token.is(word));
            self.news |= word("EXISTS") || word("EXPUNGE") || word("VANISHED");
        }
        Ok(response)
    }

    async fn read(&mut self) -> Result<(), Failure> {
        self.buffer.reserve(READ_LEN);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(Failure::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::Lost(error)),
        }
    }
}
