//! The way to the mailbox: who signs in, how connections are encrypted and shared, and what a
//! server's refusals mean to the hub.

use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantry_imap::wire::Status;
use gantry_imap::{Command, Encryption, Failure, Session};
use gantry_plugin_api::Error;
use gantry_plugin_http::tls::trust;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::config::{Config, Server, Tls};
use crate::credentials::Credentials;

/// A connection that rested longer is asked whether it is still there.
const RESTED: Duration = Duration::from_secs(10);
/// A connection that rested longer is not used again: servers close them after 30 minutes.
const RESTED_MAX: Duration = Duration::from_mins(10);

/// One server, and who signs in there.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) server: Server,
    pub(crate) user: String,
    pub(crate) patience: Duration,
    pub(crate) credentials: Arc<Credentials>,
    tls_ca: Option<String>,
    trust: OnceCell<Arc<rustls::ClientConfig>>,
}

impl Access {
    pub(crate) fn new(config: &Config, server: &Server, credentials: Arc<Credentials>) -> Self {
        Self {
            credentials,
            server: server.clone(),
            user: config.user.clone(),
            patience: config.request_timeout.get(),
            tls_ca: config.tls_ca.clone(),
            trust: OnceCell::new(),
        }
    }

    /// The server as the IMAP client wants it.
    async fn imap(&self) -> Result<gantry_imap::Server, Error> {
        let Server { host, port, tls } = self.server.clone();
        let encryption = match tls {
            Tls::None => Encryption::None,
            Tls::Starttls => Encryption::Starttls(self.trust().await?),
            Tls::Implicit => Encryption::Implicit(self.trust().await?),
        };
        Ok(gantry_imap::Server { host, port, encryption, patience: self.patience })
    }

    async fn trust(&self) -> Result<Arc<rustls::ClientConfig>, Error> {
        let read = async || trust(self.tls_ca.as_deref().map(Path::new)).await.map(Arc::new);
        self.trust.get_or_try_init(read).await.cloned()
    }

    /// The certificates of the operator's own, if there are any.
    pub(crate) fn trusted(&self) -> io::Result<Option<Vec<u8>>> {
        self.tls_ca.as_ref().map(std::fs::read).transpose()
    }
}

/// The mailbox: connections that are used one after the other, at most so many at once.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) access: Access,
    resting: Mutex<Vec<(Session, Instant)>>,
    places: Semaphore,
}

/// A connection, for one task. It rests afterwards only if it is said to be in order.
pub(crate) struct Loan<'c> {
    client: &'c Client,
    session: Option<Session>,
    _place: SemaphorePermit<'c>,
}

impl Client {
    pub(crate) fn new(config: &Config, credentials: Arc<Credentials>) -> Self {
        Self {
            access: Access::new(config, &config.imap, credentials),
            resting: Mutex::default(),
            places: Semaphore::new(config.max_connections.get() as usize),
        }
    }

    /// A connection beside those that are shared, for a stream.
    pub(crate) async fn open(&self) -> Result<Session, Error> {
        let Access { server, user, credentials, .. } = &self.access;
        let imap = self.access.imap().await?;
        let credential = credentials.get().await?;
        match Session::open(&imap, user, credential.proof()).await {
            Ok(session) => Ok(session),
            Err(failure) if failure.is_not_let_in() => {
                let text = format!("cannot sign in as `{user}` at {}", server.host);
                Err(credentials.refused(&credential, text).await.because(&failure))
            }
            Err(failure) => Err(self.error("sign in", failure)),
        }
    }

    /// A connection that rested, or a new one.
    pub(crate) async fn borrow(&self) -> Result<Loan<'_>, Error> {
        self.borrow_if(|_| true).await
    }

    /// The same; of those that rested rather one with this folder open.
    pub(crate) async fn borrow_with(
        &self,
        folder: &str,
        writable: bool,
    ) -> Result<Loan<'_>, Error> {
        self.borrow_if(|session| session.has_open(folder, writable)).await
    }

    async fn borrow_if(&self, suits: impl Fn(&Session) -> bool) -> Result<Loan<'_>, Error> {
        let place = self.places.acquire().await;
        let place = place.map_err(|_| Error::transient("the instance has stopped"))?;
        while let Some((mut session, since)) = self.take_rested(&suits) {
            let rested = since.elapsed();
            let fresh = rested < RESTED
                || (rested < RESTED_MAX && session.run(Command::new("NOOP")).await.is_ok());
            if fresh {
                return Ok(Loan { client: self, session: Some(session), _place: place });
            }
        }
        let session = self.open().await?;
        Ok(Loan { client: self, session: Some(session), _place: place })
    }

    fn take_rested(&self, suits: impl Fn(&Session) -> bool) -> Option<(Session, Instant)> {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        match resting.iter().rposition(|(session, _)| suits(session)) {
            Some(at) => Some(resting.remove(at)),
            None => resting.pop(),
        }
    }

    /// Closes what rests; nothing is lent any more.
    pub(crate) fn close(&self) {
        self.places.close();
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What a failure means to the hub. `what` completes "cannot …".
    pub(crate) fn error(&self, what: &str, failure: Failure) -> Error {
        let Server { host, tls, .. } = &self.access.server;
        let text = format!("cannot {what} at {host}");
        let error = match &failure {
            Failure::Lost(error) if error.kind() == io::ErrorKind::InvalidData => {
                let remedy = "check `imap.host`, and `tls_ca` if it has a certificate of your own";
                Error::config("imap.tls", format!("{text}: {remedy}"))
            }
            Failure::Garbled(_) if *tls == Tls::None => {
                Error::transient(format!("{text}: is it a server that wants TLS?"))
            }
            Failure::Lacks(_) => {
                let remedy = "set `imap.tls` or sign in another way";
                Error::config("imap", format!("{text}: {remedy}"))
            }
            Failure::Refused { command, status } => refused(text, command, status),
            // Lost, closed, silent, goodbye: another attempt may do.
            _ => Error::transient(text),
        };
        error.because(&failure)
    }
}

/// Source: RFC 5530, response codes.
fn refused(text: String, command: &str, status: &Status) -> Error {
    let code = status.code.as_ref().map(|(code, _)| &**code);
    match (command, code) {
        (_, Some("UNAVAILABLE" | "INUSE" | "SERVERBUG" | "CONTACTADMIN")) => Error::transient(text),
        (_, Some("LIMIT" | "OVERQUOTA")) => Error::throttled(text, None),
        (_, Some("EXPIRED")) => Error::auth_expired(text),
        (_, Some("NOPERM")) => Error::auth_denied(text),
        ("SELECT" | "EXAMINE", _) | (_, Some("NONEXISTENT" | "TRYCREATE" | "CANNOT")) => {
            Error::config("folder", text)
        }
        _ => Error::permanent(text),
    }
}

impl Loan<'_> {
    /// Lets the connection rest for the next task.
    pub(crate) fn done(mut self) {
        if let Some(session) = self.session.take()
            && !self.client.places.is_closed()
        {
            let mut resting = self.client.resting.lock().unwrap_or_else(PoisonError::into_inner);
            resting.push((session, Instant::now()));
        }
    }
}

impl Deref for Loan<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("invariant: it is taken at the end only")
    }
}

impl DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("invariant: it is taken at the end only")
    }
}
