//! Callbacks: a reply in the thread, or the thread's mail moved or flagged.
//!
//! A reply's Message-ID is made of the idempotency key, and the copy in the mailbox bears it: a
//! repeat finds the copy and sends nothing. SMTP leaves one gap, the answer to a whole mail that
//! gets lost. With `copy = "bcc"` it is closed: the copy is a recipient of the same mail, so it is
//! there exactly if the mail was sent.

use std::time::Duration;

use gantry_imap::{Command, Failure, Session, uid_set};
use gantry_mail::{OWN_HEADER, hex};
use gantry_plugin_api::{Callback, ConfigFault, Context, Delivery, DeliveryOutcome, Error};
use lettre::address::AddressError;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use sha2::{Digest as _, Sha256};

use crate::Email;
use crate::config::{Action, CallbackSettings, Copies};
use crate::smtp::{Envelope, Handed, hand_in};
use crate::values::{Values, placeholder};

/// How long a mail takes at most from a server to a mailbox of the same server, as a rule.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

impl Callback for Email {
    type Settings = CallbackSettings;

    fn validate_settings(settings: &CallbackSettings) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        for (key, value) in [
            ("text", Some(&settings.text)),
            ("to", Some(&settings.to)),
            ("subject", Some(&settings.subject)),
            ("in_reply_to", Some(&settings.in_reply_to)),
        ] {
            if value.is_some_and(|value| placeholder(value).is_none()) {
                let message = "names no value of the item: write `:name`";
                faults.push(ConfigFault::new(key, message));
            }
        }
        match (settings.action, &settings.move_to, settings.flags.is_empty()) {
            (Action::Move, None, _) => {
                faults.push(ConfigFault::new("move_to", "is missing: where is the mail moved to?"));
            }
            (Action::Flag, _, true) => {
                faults.push(ConfigFault::new("flags", "is missing: which flags are set?"));
            }
            _ => {}
        }
        let is_atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"]".contains(&byte);
        let is_flag = |flag: &String| !flag.is_empty() && flag.bytes().all(is_atom);
        if let Some(at) = settings.flags.iter().position(|flag| !is_flag(flag)) {
            faults.push(ConfigFault::new(format!("flags[{at}]"), "is no flag"));
        }
        faults
    }

    async fn check_settings(&self, settings: &CallbackSettings, _: &Context) -> Result<(), Error> {
        if settings.action == Action::Reply && self.smtp.is_none() {
            let message = "is missing in the source: replies need `smtp = { host = … }`";
            return Err(Error::config("action", message));
        }
        let mut loan = self.client.borrow().await?;
        let opened = loan.examine(&settings.folder).await;
        opened.map_err(|failure| self.client.error("open the folder", failure))?;
        loan.done();
        Ok(())
    }

    async fn deliver(
        &self,
        settings: &CallbackSettings,
        cx: &Context,
        deliveries: Vec<Delivery>,
    ) -> Vec<DeliveryOutcome> {
        let mut outcomes = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let outcome = match settings.action {
                Action::Reply => self.reply(settings, cx, &delivery).await,
                Action::Move | Action::Flag => self.file(settings, &delivery).await,
            };
            outcomes.push(outcome.unwrap_or_else(Into::into));
        }
        outcomes
    }
}

impl Email {
    async fn reply(
        &self,
        settings: &CallbackSettings,
        cx: &Context,
        delivery: &Delivery,
    ) -> Result<DeliveryOutcome, Error> {
        let values = Values::of(delivery)?;
        let Some(text) = values.text(&settings.text) else {
            return Ok(DeliveryOutcome::Done);
        };
        let Some(smtp) = &self.smtp else {
            return Err(Error::config("smtp", "is missing: replies need it"));
        };
        let reply = self.compose(settings, delivery, &values, text)?;
        let mut loan = self.client.borrow().await?;
        let kept_in = match settings.copy {
            Copies::Append => &settings.sent,
            Copies::Bcc => &settings.folder,
        };
        let has_copies = self.opens(&mut loan, kept_in).await?;
        if has_copies && self.is_there(&mut loan, &reply.message_id).await? {
            loan.done();
            return Ok(DeliveryOutcome::AlreadyDone);
        }
        if has_copies && settings.automatic {
            let to = reply.envelope.to.first().expect("invariant: a reply goes to somebody");
            if let Some(refusal) = self.loops(&mut loan, settings, cx, to.as_ref()).await? {
                loan.done();
                return Ok(DeliveryOutcome::Refused(refusal));
            }
        }
        match hand_in(smtp, &reply.envelope, &reply.bytes).await? {
            Handed::Over => {}
            // Where the copy proves it, the next attempt knows; it must not come too early.
            Handed::InDoubt(error) if settings.copy == Copies::Bcc => {
                let text = "the answer to a reply was lost; its copy will tell if it was sent";
                let wait = Error::throttled(text, Some(ON_ITS_WAY)).because(&error);
                return Ok(DeliveryOutcome::Retry(wait));
            }
            Handed::InDoubt(error) => return Ok(DeliveryOutcome::Retry(error)),
        }
        if settings.copy == Copies::Append {
            self.keep(&mut loan, &settings.sent, &reply.bytes).await?;
        }
        loan.done();
        Ok(DeliveryOutcome::Done)
    }

    fn compose(
        &self,
        settings: &CallbackSettings,
        delivery: &Delivery,
        values: &Values,
        text: &str,
    ) -> Result<Reply, Error> {
        let missing = |key: &str, name: &str| {
            Error::permanent(format!("cannot reply: the item has no `{name}` (`{key}`)"))
        };
        let to = values.text(&settings.to).ok_or_else(|| missing("to", &settings.to))?;
        let to: Mailbox = to.parse().map_err(|error| {
            Error::permanent(format!("cannot reply to `{to}`: it is no address")).because(&error)
        })?;
        let address = self.address().parse().map_err(|error: AddressError| {
            Error::config("address", "cannot be written in a mail").because(&error)
        })?;
        let from = Mailbox::new(self.name.clone(), address);
        let subject = values.text(&settings.subject).unwrap_or_default();
        let again = subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
        let subject = if again { subject.to_owned() } else { format!("Re: {subject}") };
        let domain = from.email.domain().to_owned();
        let key = hex(&Sha256::digest(&delivery.idempotency_key)[..16]);
        let message_id = format!("{key}.gantry@{domain}");
        let parent = values.text(&settings.in_reply_to);
        let thread = &*delivery.external_id;
        let is_id = |id: &&str| !id.starts_with("sha256:") && id.contains('@');
        let mut references: Vec<_> = Some(thread).into_iter().chain(parent).filter(is_id).collect();
        references.dedup();
        let bracketed: Vec<_> = references.iter().map(|id| format!("<{id}>")).collect();
        let mut builder = Message::builder()
            .from(from.clone())
            .to(to.clone())
            .subject(subject)
            .message_id(Some(format!("<{message_id}>")))
            .raw_header(header(OWN_HEADER, &key));
        if let Some(last) = bracketed.last() {
            builder = builder.in_reply_to(last.clone()).references(bracketed.join(" "));
        }
        if settings.automatic {
            builder = builder.raw_header(header("Auto-Submitted", "auto-replied"));
        }
        let message = builder.header(ContentType::TEXT_PLAIN).body(text.to_owned());
        let message =
            message.map_err(|error| Error::permanent("cannot write the reply").because(&error))?;
        let mut recipients = vec![to.email];
        if settings.copy == Copies::Bcc {
            recipients.push(from.email.clone());
        }
        let sender = (!settings.automatic).then_some(from.email);
        let envelope = Envelope { from: sender, to: recipients };
        Ok(Reply { message_id, bytes: message.formatted(), envelope })
    }

    /// Opens the folder of the copies; one that is not there holds none.
    async fn opens(&self, session: &mut Session, folder: &str) -> Result<bool, Error> {
        let opened = session.examine_if_there(folder).await;
        let error = |failure| self.client.error("open the folder of the copies", failure);
        Ok(opened.map_err(error)?.is_some())
    }

    /// Whether a mail with this id is in the open folder.
    async fn is_there(&self, session: &mut Session, id: &str) -> Result<bool, Error> {
        let criteria = Command::new("UID SEARCH").raw("HEADER Message-ID").string(id);
        let found = session.search(criteria).await;
        let error = |failure| self.client.error("look for a copy of the reply", failure);
        Ok(!found.map_err(error)?.is_empty())
    }

    async fn keep(&self, session: &mut Session, folder: &str, mail: &[u8]) -> Result<(), Error> {
        let error = |failure| self.client.error("keep a copy of the reply", failure);
        let append = || Command::new("APPEND").folder(folder).raw("(\\Seen)").literal(mail);
        match session.run(append()).await {
            Ok(_) => return Ok(()),
            Err(failure) if failure.is_missing_folder() => {}
            Err(failure) => return Err(error(failure)),
        }
        session.create(folder).await.map_err(error)?;
        session.run(append()).await.map(drop).map_err(error)
    }

    /// Whether a folder has mail that a search finds; one that is not there has none.
    pub(crate) async fn holds(
        &self,
        session: &mut Session,
        folder: &str,
        search: Command,
    ) -> Result<bool, Failure> {
        let is_there = session.examine_if_there(folder).await?.is_some();
        Ok(is_there && !session.search(search).await?.is_empty())
    }

    /// Moves or flags what the mailbox has of the thread.
    async fn file(
        &self,
        settings: &CallbackSettings,
        delivery: &Delivery,
    ) -> Result<DeliveryOutcome, Error> {
        let error = |failure| self.client.error("file mail", failure);
        let thread = &*delivery.external_id;
        let mut loan = self.client.borrow().await?;
        let folder = loan.select(&settings.folder).await.map_err(error)?;
        let of_thread = || conversation(Command::new("UID SEARCH"), thread);
        let uids = loan.search(of_thread()).await.map_err(error)?;
        let outcome = if uids.is_empty() {
            let is_moved = match &settings.move_to {
                Some(to) => self.holds(&mut loan, to, of_thread()).await.map_err(error)?,
                None => false,
            };
            if is_moved {
                DeliveryOutcome::AlreadyDone
            } else {
                let text = format!("no mail of `{thread}` is in `{}`", settings.folder);
                DeliveryOutcome::Refused(Error::gone(text))
            }
        } else {
            let set = uid_set(&uids);
            if !settings.flags.is_empty() {
                loan.flag(&set, &settings.flags.join(" ")).await.map_err(error)?;
            }
            if let (Action::Move, Some(to)) = (settings.action, &settings.move_to) {
                self.points.forget(folder.uid_validity, &uids);
                loan.move_to(&set, to).await.map_err(error)?;
            }
            DeliveryOutcome::Done
        };
        loan.done();
        Ok(outcome)
    }
}

/// A mail, ready to be handed in.
struct Reply {
    /// Without brackets.
    message_id: String,
    bytes: Vec<u8>,
    envelope: Envelope,
}

/// A search, for the mails of a conversation.
pub(crate) fn conversation(search: Command, thread: &str) -> Command {
    search
        .raw("OR OR HEADER Message-ID")
        .string(thread)
        .raw("HEADER References")
        .string(thread)
        .raw("HEADER In-Reply-To")
        .string(thread)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
