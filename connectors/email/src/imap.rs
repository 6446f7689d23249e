//! An IMAP connection: connect, encrypt, sign in, commands and what they answer.
//!
//! Written anew for this connector because the crates at hand drop what it needs: the status that
//! ends a FETCH (a refusal would look like mail that is not there), response codes, and a bound
//! for what a server may send.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::Access;
use crate::config::Tls;
use crate::token::Credential;
use crate::wire::{Command, Cutter, Response, Status, Token, WireError, parse};

/// Bytes that one read asks for.
const READ_LEN: usize = 64 << 10;

/// Why a command did not go well.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    #[error("the connection broke")]
    Lost(#[source] std::io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server did not answer within {0:?}")]
    Silent(Duration),
    #[error("the server closed the connection: {0}")]
    Bye(String),
    #[error("the server cannot be understood")]
    Garbled(#[from] WireError),
    #[error("the server answered {command} with {} {}", .status.kind, .status.text)]
    Refused { command: &'static str, status: Status },
    #[error("the server offers no {0}")]
    Lacks(&'static str),
}

/// Either kind of connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that is signed in.
pub(crate) struct Session {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    cutter: Cutter,
    patience: Duration,
    n_commands: u64,
    capabilities: BTreeSet<String>,
    /// The server said that mail came or went since the folder was opened.
    news: bool,
}

/// A folder as SELECT and EXAMINE describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Names its UIDs: when it changes, all of them are others.
    pub(crate) uid_validity: u32,
    /// No mail has this UID yet, nor a higher one.
    pub(crate) uid_next: Option<u32>,
    /// Mails in it.
    pub(crate) exists: u32,
    /// Grows with each change, where the server keeps it (CONDSTORE).
    pub(crate) modseq: Option<u64>,
    /// Whether keywords of ours are kept.
    pub(crate) keywords: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("n_commands", &self.n_commands).finish_non_exhaustive()
    }
}

impl Failure {
    /// What stood in brackets in a refusal, upper case.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { status, .. } => status.code.as_ref().map(|(code, _)| &**code),
            _ => None,
        }
    }

    /// Whether it says that who signs in is not let in, and not that it cannot be known just now.
    pub(crate) fn is_not_let_in(&self) -> bool {
        let Self::Refused { command: "LOGIN" | "AUTHENTICATE", status } = self else {
            return false;
        };
        let passes = ["UNAVAILABLE", "INUSE", "SERVERBUG", "LIMIT", "CONTACTADMIN"];
        status.kind == "NO" && !self.code().is_some_and(|code| passes.contains(&code))
    }

    /// Whether it says that there is no such folder.
    pub(crate) fn is_missing_folder(&self) -> bool {
        matches!(self.code(), Some("NONEXISTENT" | "TRYCREATE"))
    }
}

impl Session {
    /// Connects, encrypts and signs in.
    pub(crate) async fn open(access: &Access, credential: &Credential) -> Result<Self, Failure> {
        let server = &access.server;
        let port = server.port.unwrap_or(if server.tls == Tls::Implicit { 993 } else { 143 });
        let patience = access.patience;
        let connected = TcpStream::connect((&*server.host, port));
        let connected = tokio::time::timeout(patience, connected).await;
        let tcp = connected.map_err(|_| Failure::Silent(patience))?.map_err(Failure::Lost)?;
        tcp.set_nodelay(true).map_err(Failure::Lost)?;
        let mut session = Self::over(Box::new(tcp), patience);
        if server.tls == Tls::Implicit {
            session = session.encrypted(access).await?;
        }
        session.greeting().await?;
        if server.tls == Tls::Starttls {
            session.run(Command::new("STARTTLS")).await?;
            // What came in the clear after the answer was said by nobody.
            session.buffer.clear();
            session = session.encrypted(access).await?;
        }
        session.learn_capabilities().await?;
        let signed_in = session.sign_in(&access.user, credential).await?;
        // What it can do changes with who asks.
        session.capabilities = offered(&signed_in);
        session.learn_capabilities().await?;
        Ok(session)
    }

    pub(crate) fn over(stream: Box<dyn Stream>, patience: Duration) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            cutter: Cutter::default(),
            patience,
            n_commands: 0,
            capabilities: BTreeSet::new(),
            news: false,
        }
    }

    async fn encrypted(self, access: &Access) -> Result<Self, Failure> {
        let patience = self.patience;
        let shaken = tokio::time::timeout(patience, access.encrypt(self.stream)).await;
        let stream = shaken.map_err(|_| Failure::Silent(patience))?.map_err(Failure::Lost)?;
        Ok(Self::over(stream, patience))
    }

    async fn greeting(&mut self) -> Result<(), Failure> {
        match self.response().await? {
            Response::Status(None, status) if status.kind == "OK" => {
                self.capabilities = offered(&status);
                Ok(())
            }
            Response::Status(None, status) => Err(Failure::Bye(status.text)),
            _ => Err(Failure::Garbled(WireError::CutOff)),
        }
    }

    /// Asks what the server can do, unless it has said so by itself.
    async fn learn_capabilities(&mut self) -> Result<(), Failure> {
        if !self.capabilities.is_empty() {
            return Ok(());
        }
        let mut found = BTreeSet::new();
        self.each(Command::new("CAPABILITY"), |data| {
            if data.first().is_some_and(|token| token.is("CAPABILITY")) {
                let names = data.iter().skip(1).filter_map(Token::bytes);
                found.extend(names.map(|name| String::from_utf8_lossy(name).to_ascii_uppercase()));
            }
        })
        .await?;
        self.capabilities = found;
        Ok(())
    }

    /// Whether the server can do it, by the word of its capabilities.
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }

    async fn sign_in(&mut self, user: &str, credential: &Credential) -> Result<Status, Failure> {
        if !credential.is_token && !self.can("AUTH=PLAIN") {
            if self.can("LOGINDISABLED") {
                return Err(Failure::Lacks("way to sign in with a password on this connection"));
            }
            let login = Command::new("LOGIN").string(user).string(credential.secret.expose());
            return self.run(login).await;
        }
        let (mechanism, said) = credential.initial_response(user);
        let command = Command::new("AUTHENTICATE").raw(mechanism);
        if !self.can(&format!("AUTH={mechanism}")) {
            return Err(Failure::Lacks("XOAUTH2"));
        }
        let said = BASE64.encode(said);
        if self.can("SASL-IR") {
            return self.run(command.raw(said)).await;
        }
        let tag = self.send(&command).await?;
        self.until_wanted("AUTHENTICATE").await?;
        self.write(format!("{said}\r\n").as_bytes()).await?;
        self.until_done(&tag, "AUTHENTICATE", |_| {}).await
    }

    /// Opens a folder to change its mail.
    pub(crate) async fn select(&mut self, name: &str) -> Result<Folder, Failure> {
        self.open_folder(Command::new("SELECT"), name).await
    }

    /// Opens a folder to read it only: nothing in it changes by that.
    pub(crate) async fn examine(&mut self, name: &str) -> Result<Folder, Failure> {
        self.open_folder(Command::new("EXAMINE"), name).await
    }

    async fn open_folder(&mut self, command: Command, name: &str) -> Result<Folder, Failure> {
        let command = command.folder(name);
        let condstore = self.can("CONDSTORE") || self.can("QRESYNC");
        let command = if condstore { command.raw("(CONDSTORE)") } else { command };
        let name = command.name;
        let tag = self.send(&command).await?;
        let mut folder = Folder::default();
        loop {
            match self.response().await? {
                Response::Data(data) => {
                    if let [number, word, ..] = &*data
                        && word.is("EXISTS")
                    {
                        folder.exists = number.number().unwrap_or_default();
                    }
                }
                Response::Status(None, status) if status.kind != "BYE" => folder.learn(&status),
                Response::Status(tagged, status) => {
                    if tagged.as_deref() == Some(&*tag) && status.kind == "OK" {
                        self.news = false;
                        return Ok(folder);
                    }
                    return Err(ended(tagged, name, status));
                }
                Response::Continue => {}
            }
        }
    }

    /// The UIDs of the mails that match, ascending.
    pub(crate) async fn search(&mut self, criteria: Command) -> Result<Vec<u32>, Failure> {
        let mut found = Vec::new();
        self.each(criteria, |data| {
            if data.first().is_some_and(|token| token.is("SEARCH")) {
                found.extend(data.iter().skip(1).filter_map(Token::number::<u32>));
            }
        })
        .await?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Runs a FETCH, handing over what comes of each mail as it comes.
    pub(crate) async fn fetch(
        &mut self,
        uids: &str,
        items: &str,
        mut take: impl FnMut(Fetched),
    ) -> Result<(), Failure> {
        let command = Command::new("UID FETCH").raw(uids).raw(items);
        self.each(command, |data| {
            if let [_, word, list, ..] = &*data
                && word.is("FETCH")
                && let Some(fetched) = Fetched::read(list.list())
            {
                take(fetched);
            }
        })
        .await
        .map(drop)
    }

    /// Waits until the server announces something, at most so long; not at all if it did already
    /// since the folder was opened.
    ///
    /// # Cancel safety
    /// The session is of no more use if the future is dropped.
    pub(crate) async fn idle(&mut self, longest: Duration) -> Result<(), Failure> {
        if self.news {
            return Ok(());
        }
        let tag = self.send(&Command::new("IDLE")).await?;
        self.until_wanted("IDLE").await?;
        let deadline = tokio::time::Instant::now() + longest;
        while !self.news {
            match tokio::time::timeout_at(deadline, self.response_when_it_comes()).await {
                // `* OK still here` is no news.
                Ok(Ok(Response::Status(None, status))) if status.kind != "BYE" => {}
                Ok(Ok(Response::Status(tagged, status))) => {
                    return Err(ended(tagged, "IDLE", status));
                }
                Ok(Ok(_)) | Err(_) => break,
                Ok(Err(failure)) => return Err(failure),
            }
        }
        self.write(b"DONE\r\n").await?;
        self.until_done(&tag, "IDLE", |_| {}).await.map(drop)
    }

    /// Moves mail to another folder, which is made if it is not there.
    pub(crate) async fn move_to(&mut self, uids: &str, folder: &str) -> Result<(), Failure> {
        match self.try_move(uids, folder).await {
            Err(failure) if failure.is_missing_folder() => {
                self.create(folder).await?;
                self.try_move(uids, folder).await
            }
            moved => moved,
        }
    }

    async fn try_move(&mut self, uids: &str, folder: &str) -> Result<(), Failure> {
        if self.can("MOVE") {
            return self.run(Command::new("UID MOVE").raw(uids).folder(folder)).await.map(drop);
        }
        self.run(Command::new("UID COPY").raw(uids).folder(folder)).await?;
        self.flag(uids, "\\Deleted").await?;
        // A bare EXPUNGE would take what others flagged; what is flagged goes in the end anyway.
        if self.can("UIDPLUS") {
            self.run(Command::new("UID EXPUNGE").raw(uids)).await?;
        }
        Ok(())
    }

    /// Makes a folder, unless it is there.
    pub(crate) async fn create(&mut self, folder: &str) -> Result<(), Failure> {
        match self.run(Command::new("CREATE").folder(folder)).await {
            Ok(_) => self.run(Command::new("SUBSCRIBE").folder(folder)).await.map(drop),
            Err(failure) if failure.code() == Some("ALREADYEXISTS") => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Adds flags.
    pub(crate) async fn flag(&mut self, uids: &str, flags: &str) -> Result<(), Failure> {
        let flags = format!("({flags})");
        let store = Command::new("UID STORE").raw(uids).raw("+FLAGS.SILENT").raw(flags);
        self.run(store).await.map(drop)
    }

    /// Runs a command whose data nobody needs.
    pub(crate) async fn run(&mut self, command: Command) -> Result<Status, Failure> {
        self.each(command, |_| {}).await
    }

    async fn each(
        &mut self,
        command: Command,
        take: impl FnMut(Vec<Token>),
    ) -> Result<Status, Failure> {
        let tag = self.send(&command).await?;
        self.until_done(&tag, command.name, take).await
    }

    async fn until_done(
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

    async fn send(&mut self, command: &Command) -> Result<String, Failure> {
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
    async fn until_wanted(&mut self, command: &'static str) -> Result<(), Failure> {
        loop {
            match self.response().await? {
                Response::Continue => return Ok(()),
                Response::Data(_) => {}
                Response::Status(None, status) if status.kind != "BYE" => {}
                Response::Status(tagged, status) => return Err(ended(tagged, command, status)),
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let patience = self.patience;
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let written = tokio::time::timeout(patience, written).await;
        written.map_err(|_| Failure::Silent(patience))?.map_err(Failure::Lost)
    }

    async fn response(&mut self) -> Result<Response, Failure> {
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

    async fn response_when_it_comes(&mut self) -> Result<Response, Failure> {
        loop {
            if let Some(bytes) = self.cutter.cut(&mut self.buffer)? {
                return self.heard(&bytes);
            }
            self.read().await?;
        }
    }

    fn heard(&mut self, bytes: &bytes::Bytes) -> Result<Response, Failure> {
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

/// What a server says by itself that it can do.
fn offered(status: &Status) -> BTreeSet<String> {
    let Some((code, words)) = &status.code else { return BTreeSet::new() };
    let words = words.iter().filter_map(Token::bytes).filter(|_| code == "CAPABILITY");
    words.map(|word| String::from_utf8_lossy(word).to_ascii_uppercase()).collect()
}

/// What the end of a command means that did not end well.
fn ended(tag: Option<String>, command: &'static str, status: Status) -> Failure {
    if tag.is_none() && status.kind == "BYE" {
        return Failure::Bye(status.text);
    }
    Failure::Refused { command, status }
}

impl Folder {
    fn learn(&mut self, status: &Status) {
        let Some((code, arguments)) = &status.code else { return };
        let first = arguments.first();
        match &**code {
            "UIDVALIDITY" => {
                self.uid_validity = first.and_then(Token::number).unwrap_or_default();
            }
            "UIDNEXT" => self.uid_next = first.and_then(Token::number),
            "HIGHESTMODSEQ" => self.modseq = first.and_then(Token::number),
            "PERMANENTFLAGS" => {
                let flags = first.map(Token::list).unwrap_or_default();
                self.keywords = flags.iter().any(|flag| flag.is("\\*"));
            }
            _ => {}
        }
    }
}

/// What a FETCH says of one mail.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) uid: u32,
    /// In bytes.
    pub(crate) size: Option<u32>,
    /// When the server received it.
    pub(crate) received: Option<String>,
    /// The bytes of the section that was asked for; only one ever is.
    pub(crate) section: Option<bytes::Bytes>,
}

impl Fetched {
    /// Source: RFC 9051, `date-time`; the day may begin with a space.
    pub(crate) fn received_at(&self) -> Option<jiff::Timestamp> {
        let text = self.received.as_deref()?.trim();
        jiff::Zoned::strptime("%d-%b-%Y %H:%M:%S %z", text).ok().map(|at| at.timestamp())
    }

    /// None if it is not said whose it is: news about flags that nobody asked for.
    fn read(list: &[Token]) -> Option<Self> {
        let mut fetched = Self::default();
        for pair in list.chunks_exact(2) {
            let [name, value] = pair else { continue };
            if name.is("UID") {
                fetched.uid = value.number()?;
            } else if name.is("RFC822.SIZE") {
                fetched.size = value.number();
            } else if name.is("INTERNALDATE") {
                let text = value.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                fetched.received = text;
            } else if let (Token::Word(word), Token::Text(bytes)) = (name, value)
                && word.to_ascii_uppercase().starts_with(b"BODY[")
            {
                fetched.section = Some(bytes.clone());
            }
        }
        (fetched.uid != 0).then_some(fetched)
    }
}
