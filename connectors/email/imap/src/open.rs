//! The beginning of a connection: connect, greet, encrypt, sign in, learn what the server can do.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::command::Command;
use crate::failure::Failure;
use crate::session::{Session, Stream};
use crate::wire::{Response, Status, Token, WireError};

/// A server, and how the way to it is protected.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name or address; a certificate has to be valid for it.
    pub host: String,
    /// Its port; without it the usual one: 993 (implicit TLS) or 143.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// How long it may take to connect, and how long the server may say nothing while it is asked.
    pub patience: Duration,
}

/// How a connection is encrypted, and whom it trusts.
#[derive(Clone, Debug)]
pub enum Encryption {
    /// Never: what is said can be read on the way.
    None,
    /// By STARTTLS, before anything secret is said (RFC 9051, section 6.2.1).
    Starttls(Arc<ClientConfig>),
    /// From the first byte on (RFC 8314, section 3).
    Implicit(Arc<ClientConfig>),
}

/// What proves who signs in.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// A password: by AUTHENTICATE PLAIN (RFC 4616), or by LOGIN where that is not offered.
    Password(&'a str),
    /// An OAuth access token: by XOAUTH2, which is Google's and Microsoft's.
    Token(&'a str),
}

impl Session {
    /// Connects, encrypts and signs in.
    ///
    /// # Errors
    /// [`Failure::is_not_let_in`] if the proof is not taken; [`Failure::Lacks`] if the server
    /// offers no way to sign in so; else what broke.
    pub async fn open(server: &Server, user: &str, proof: Proof<'_>) -> Result<Self, Failure> {
        let Server { host, port, encryption, patience } = server;
        let implicit = matches!(encryption, Encryption::Implicit(_));
        let port = port.unwrap_or(if implicit { 993 } else { 143 });
        let connected = TcpStream::connect((&**host, port));
        let connected = tokio::time::timeout(*patience, connected).await;
        let tcp = connected.map_err(|_| Failure::Silent(*patience))?.map_err(Failure::Lost)?;
        tcp.set_nodelay(true).map_err(Failure::Lost)?;
        let mut session = Self::over(Box::new(tcp), *patience);
        if let Encryption::Implicit(trust) = encryption {
            session = session.encrypted(host, trust).await?;
        }
        session.greeting().await?;
        if let Encryption::Starttls(trust) = encryption {
            session.run(Command::new("STARTTLS")).await?;
            // What came in the clear after the answer was said by nobody: it stays behind.
            session = session.encrypted(host, trust).await?;
        }
        session.learn_capabilities().await?;
        let signed_in = session.sign_in(user, proof).await?;
        // What it can do changes with who asks.
        session.capabilities = offered(&signed_in);
        session.learn_capabilities().await?;
        Ok(session)
    }

    async fn encrypted(self, host: &str, trust: &Arc<ClientConfig>) -> Result<Self, Failure> {
        let patience = self.patience;
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other);
        let name = name.map_err(Failure::Lost)?;
        let shaken = TlsConnector::from(Arc::clone(trust)).connect(name, self.stream);
        let shaken = tokio::time::timeout(patience, shaken).await;
        let stream = shaken.map_err(|_| Failure::Silent(patience))?.map_err(Failure::Lost)?;
        let stream: Box<dyn Stream> = Box::new(stream);
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

    async fn sign_in(&mut self, user: &str, proof: Proof<'_>) -> Result<Status, Failure> {
        let (mechanism, said) = match proof {
            Proof::Password(password) if !self.can("AUTH=PLAIN") => {
                if self.can("LOGINDISABLED") {
                    return Err(Failure::Lacks(
                        "way to sign in with a password on this connection",
                    ));
                }
                return self.run(Command::new("LOGIN").string(user).string(password)).await;
            }
            Proof::Password(password) => ("PLAIN", format!("\0{user}\0{password}")),
            Proof::Token(_) if !self.can("AUTH=XOAUTH2") => return Err(Failure::Lacks("XOAUTH2")),
            Proof::Token(token) => {
                ("XOAUTH2", format!("user={user}\x01auth=Bearer {token}\x01\x01"))
            }
        };
        let command = Command::new("AUTHENTICATE").raw(mechanism);
        let said = BASE64.encode(said);
        if self.can("SASL-IR") {
            return self.run(command.raw(said)).await;
        }
        let tag = self.send(&command).await?;
        self.until_wanted("AUTHENTICATE").await?;
        self.write(format!("{said}\r\n").as_bytes()).await?;
        self.until_done(&tag, "AUTHENTICATE", |_| {}).await
    }
}

/// What a server says by itself that it can do.
fn offered(status: &Status) -> BTreeSet<String> {
    let Some((code, words)) = &status.code else { return BTreeSet::new() };
    let words = words.iter().filter_map(Token::bytes).filter(|_| code == "CAPABILITY");
    words.map(|word| String::from_utf8_lossy(word).to_ascii_uppercase()).collect()
}

/// Without what is secret.
impl std::fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::Token(_) => "Token",
        })
    }
}
