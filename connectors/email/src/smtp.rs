//! Handing in a mail by SMTP, step by step: after most failures it is certain that nothing was
//! sent, and after one it is not.

use std::time::Duration;

use gantry_plugin_api::Error;
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;

use crate::client::Access;
use crate::config::Tls;

type SmtpError = lettre::transport::smtp::Error;

/// Who gets a mail, and who hears if they do not.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// None for mail that nobody shall answer, not even with a report.
    pub(crate) from: Option<Address>,
    pub(crate) to: Vec<Address>,
}

/// What became of a mail.
#[derive(Debug)]
pub(crate) enum Handed {
    /// The server has it.
    Over,
    /// The server had all of it, and its answer was lost.
    InDoubt(Error),
}

/// Hands in a mail.
///
/// # Errors
/// When it is certain that nothing was sent.
pub(crate) async fn hand_in(
    access: &Access,
    envelope: &Envelope,
    mail: &[u8],
) -> Result<Handed, Error> {
    let steps = Steps { access, patience: access.patience };
    let mut connection = steps.connect().await?;
    let ready = steps.announce(&mut connection, envelope).await;
    if let Err(error) = ready {
        connection.abort().await;
        return Err(error);
    }
    let answered = tokio::time::timeout(steps.patience, connection.message(mail)).await;
    match answered {
        Ok(Ok(_)) => {
            let _ = tokio::time::timeout(steps.patience, connection.quit()).await;
            Ok(Handed::Over)
        }
        // The server answered, so it knows what it did not take.
        Ok(Err(error)) if error.status().is_some() => Err(steps.error("hand in a mail", &error)),
        Ok(Err(error)) => Ok(Handed::InDoubt(steps.error("hear whether a mail is taken", &error))),
        Err(_) => Ok(Handed::InDoubt(steps.silent("hear whether a mail is taken"))),
    }
}

struct Steps<'a> {
    access: &'a Access,
    patience: Duration,
}

impl Steps<'_> {
    async fn step<T>(
        &self,
        what: &str,
        step: impl Future<Output = Result<T, SmtpError>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.patience, step).await {
            Ok(done) => done.map_err(|error| self.error(what, &error)),
            Err(_) => Err(self.silent(what)),
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let server = &self.access.server;
        let implicit = server.tls == Tls::Implicit;
        let port = server.port.unwrap_or(if implicit { 465 } else { 587 });
        // The name in EHLO is checked by few, and ours is none that others can look up.
        let hello = ClientId::Domain("localhost".to_owned());
        let tls = if server.tls == Tls::None { None } else { Some(self.tls()?) };
        let first = tls.clone().filter(|_| implicit);
        let address = (&*server.host, port);
        let connect =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.patience), &hello, first, None);
        let mut connection = self.step("connect", connect).await?;
        if let (Tls::Starttls, Some(tls)) = (server.tls, tls) {
            if !connection.can_starttls() {
                let text = format!("{} offers no STARTTLS: set `smtp.tls`", server.host);
                return Err(Error::config("smtp.tls", text));
            }
            self.step("encrypt", connection.starttls(tls, &hello)).await?;
        }
        let credential = self.access.credentials.get().await?;
        let mechanisms: &[Mechanism] = if credential.is_token() {
            &[Mechanism::Xoauth2]
        } else {
            &[Mechanism::Plain, Mechanism::Login]
        };
        if connection.server_info().get_auth_mechanism(mechanisms).is_some() {
            let user = self.access.user.clone();
            let credentials = Credentials::new(user, credential.secret().expose().clone());
            let sign_in = connection.auth(mechanisms, &credentials);
            match tokio::time::timeout(self.patience, sign_in).await {
                Err(_) => return Err(self.silent("sign in")),
                // Source: RFC 4954, section 6.
                Ok(Err(error)) if is_not_let_in(&error) => {
                    let text = format!("cannot sign in at {}", server.host);
                    return Err(self
                        .access
                        .credentials
                        .refused(&credential, text)
                        .await
                        .because(&error));
                }
                Ok(signed_in) => signed_in.map_err(|error| self.error("sign in", &error))?,
            };
        }
        Ok(connection)
    }

    fn tls(&self) -> Result<TlsParameters, Error> {
        let cannot = |error: &(dyn std::error::Error + 'static)| {
            Error::config("tls_ca", "cannot use the certificates to trust").because(error)
        };
        let mut builder = TlsParameters::builder(self.access.server.host.clone());
        if let Some(pem) = self.access.trusted().map_err(|error| cannot(&error))? {
            builder = builder.certificate_store(CertificateStore::None);
            builder = builder
                .add_root_certificate(Certificate::from_pem(&pem).map_err(|error| cannot(&error))?);
        }
        builder.build_rustls().map_err(|error| cannot(&error))
    }

    async fn announce(
        &self,
        connection: &mut AsyncSmtpConnection,
        envelope: &Envelope,
    ) -> Result<(), Error> {
        let sender = Mail::new(envelope.from.clone(), Vec::new());
        self.step("name the sender", connection.command(sender)).await?;
        for to in &envelope.to {
            let recipient = Rcpt::new(to.clone(), Vec::new());
            self.step("name the recipient", connection.command(recipient)).await?;
        }
        self.step("begin a mail", connection.command(Data)).await?;
        Ok(())
    }

    fn silent(&self, what: &str) -> Error {
        let host = &self.access.server.host;
        Error::transient(format!("cannot {what} at {host}: no answer within {:?}", self.patience))
    }

    /// Source: RFC 5321, section 4.2.1: 4xx passes, 5xx does not.
    fn error(&self, what: &str, error: &SmtpError) -> Error {
        let host = &self.access.server.host;
        let text = format!("cannot {what} at {host}");
        let code = error.status().map(u16::from);
        let error_of_class = match code {
            Some(530) => Error::auth_denied(format!("{text}: it wants us to sign in otherwise")),
            Some(400..500) => Error::transient(text),
            Some(_) => Error::permanent(text),
            None if error.is_tls() => {
                let remedy = "check `smtp.host`, and `tls_ca` if it has a certificate of your own";
                Error::config("smtp.tls", format!("{text}: {remedy}"))
            }
            None if error.is_client() => Error::permanent(text),
            None => Error::transient(text),
        };
        error_of_class.because(error)
    }
}

fn is_not_let_in(error: &SmtpError) -> bool {
    matches!(error.status().map(u16::from), Some(534 | 535 | 538))
}
