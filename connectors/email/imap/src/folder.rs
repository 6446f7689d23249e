//! A folder and its mail: opened, searched, fetched, announced, moved and flagged.

use std::time::Duration;

use bytes::Bytes;

use crate::command::Command;
use crate::failure::{Failure, ended};
use crate::session::{Opened, Session};
use crate::wire::{Response, Status, Token};

/// A folder as SELECT and EXAMINE describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Names its UIDs: when it changes, all of them are others.
    pub uid_validity: u32,
    /// No mail has this UID yet, nor a higher one.
    pub uid_next: Option<u32>,
    /// Mails in it.
    pub exists: u32,
    /// Grows with each change, where the server keeps it (CONDSTORE).
    pub modseq: Option<u64>,
    /// Whether keywords of ours are kept.
    pub keywords: bool,
}

impl Session {
    /// Opens a folder to change its mail.
    ///
    /// # Errors
    /// [`Failure::is_missing_folder`] if there is none of this name; else what broke.
    pub async fn select(&mut self, name: &str) -> Result<Folder, Failure> {
        self.open_folder(Command::new("SELECT"), name).await
    }

    /// Opens a folder to read it only: nothing in it changes by that.
    ///
    /// # Errors
    /// As [`Session::select`].
    pub async fn examine(&mut self, name: &str) -> Result<Folder, Failure> {
        self.open_folder(Command::new("EXAMINE"), name).await
    }

    /// Opens a folder to change its mail, unless it is open so: then only the news of it are asked
    /// for, so that mail which came since is known. What is given may be older.
    ///
    /// # Errors
    /// As [`Session::select`].
    pub async fn select_once(&mut self, name: &str) -> Result<Folder, Failure> {
        if !self.has_open(name, true) {
            return self.select(name).await;
        }
        self.run(Command::new("NOOP")).await?;
        let opened = self.opened.as_ref().map(|opened| opened.folder.clone());
        Ok(opened.expect("invariant: a folder is open"))
    }

    /// Whether a folder is open, to change its mail if that is wanted.
    pub fn has_open(&self, name: &str, writable: bool) -> bool {
        let is_it = |opened: &Opened| opened.name == name && (opened.writable || !writable);
        self.opened.as_ref().is_some_and(is_it)
    }

    /// Opens a folder to read it only, if there is one of this name. Servers that refuse without
    /// saying why are asked whether there is (LIST; RFC 9051, section 6.3.9).
    ///
    /// # Errors
    /// If it is there and cannot be opened, or the connection broke.
    pub async fn examine_if_there(&mut self, name: &str) -> Result<Option<Folder>, Failure> {
        match self.examine(name).await {
            Ok(folder) => Ok(Some(folder)),
            Err(failure) if failure.is_missing_folder() => Ok(None),
            Err(failure @ Failure::Refused { .. }) if failure.code().is_none() => {
                let mut is_there = false;
                self.each(Command::new("LIST").string("").folder(name), |data| {
                    if let [word, flags, ..] = &*data
                        && word.is("LIST")
                    {
                        is_there |= !flags.list().iter().any(|flag| flag.is("\\NonExistent"));
                    }
                })
                .await?;
                if is_there { Err(failure) } else { Ok(None) }
            }
            Err(failure) => Err(failure),
        }
    }

    async fn open_folder(&mut self, command: Command, folder: &str) -> Result<Folder, Failure> {
        // If it fails, none is open.
        self.opened = None;
        let writable = command.name == "SELECT";
        let opened_name = folder.to_owned();
        let command = command.folder(folder);
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
                        let opened = folder.clone();
                        self.opened = Some(Opened { name: opened_name, folder: opened, writable });
                        return Ok(folder);
                    }
                    return Err(ended(tagged, name, status));
                }
                Response::Continue => {}
            }
        }
    }

    /// The UIDs of the mails that match, ascending: the answer of a `UID SEARCH`.
    ///
    /// # Errors
    /// If the search is refused, or the connection broke.
    pub async fn search(&mut self, criteria: Command) -> Result<Vec<u32>, Failure> {
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

    /// Runs a `UID FETCH`, handing over what comes of each mail as it comes. `items` stand in
    /// parentheses, have UID among them, and at most one section: `(UID BODY.PEEK[])`. What is not
    /// there any more is not told of.
    ///
    /// # Errors
    /// If the server refuses a mail, or the connection broke; what came before was handed over.
    pub async fn fetch(
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
    /// since the folder was opened (RFC 2177). Servers close connections that rest for 30 minutes.
    ///
    /// # Errors
    /// If the server offers no IDLE, or the connection broke.
    pub async fn idle(&mut self, longest: Duration) -> Result<(), Failure> {
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

    /// Moves mail to another folder, which is made if it is not there: by MOVE (RFC 6851), or by
    /// COPY and the flag \\Deleted.
    ///
    /// # Errors
    /// If the server refuses, or the connection broke: some of it may be moved then.
    pub async fn move_to(&mut self, uids: &str, folder: &str) -> Result<(), Failure> {
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
    ///
    /// # Errors
    /// If it cannot be made.
    pub async fn create(&mut self, folder: &str) -> Result<(), Failure> {
        match self.run(Command::new("CREATE").folder(folder)).await {
            Ok(_) => self.run(Command::new("SUBSCRIBE").folder(folder)).await.map(drop),
            Err(failure) if failure.code() == Some("ALREADYEXISTS") => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Adds flags, separated by spaces: `\\Answered`, or keywords.
    ///
    /// # Errors
    /// If the server refuses, or the connection broke.
    pub async fn flag(&mut self, uids: &str, flags: &str) -> Result<(), Failure> {
        let flags = format!("({flags})");
        let store = Command::new("UID STORE").raw(uids).raw("+FLAGS.SILENT").raw(flags);
        self.run(store).await.map(drop)
    }
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
pub struct Fetched {
    /// Its UID.
    pub uid: u32,
    /// In bytes.
    pub size: Option<u32>,
    /// When the server received it.
    pub received: Option<String>,
    /// The bytes of the section that was asked for; only one ever is.
    pub section: Option<Bytes>,
}

impl Fetched {
    /// When the server received it (RFC 9051, `date-time`; the day may begin with a space).
    pub fn received_at(&self) -> Option<jiff::Timestamp> {
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
