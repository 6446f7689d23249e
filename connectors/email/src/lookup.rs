//! Look-ups: what the mailbox has of an address, or of a conversation.

use gantry_imap::{Command, Failure, Fetched, Session, uid_set};
use gantry_mail::Mail;
use gantry_plugin_api::{Answer, ConfigFault, Context, Error, Json, Lookup, Query};
use serde_json::json;

use crate::Email;
use crate::callback::conversation;
use crate::config::LookupSettings;
use crate::values::{Values, placeholder};

/// Mails of one question that are looked at in each folder: the latest.
const N_MAILS_MAX: usize = 200;
/// What an answer is made of.
const HEAD: &str = "(UID INTERNALDATE \
                    BODY.PEEK[HEADER.FIELDS (FROM SUBJECT MESSAGE-ID REFERENCES IN-REPLY-TO)])";

/// What was found so far.
#[derive(Debug, Default)]
struct Known {
    n_mails: u64,
    /// Of the latest: when it was received, subject, id, folder.
    last: Option<(i64, Option<String>, String, String)>,
}

impl Lookup for Email {
    type Settings = LookupSettings;

    fn validate_settings(settings: &LookupSettings) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let given = [("address", &settings.address), ("thread", &settings.thread)];
        for (key, value) in given {
            if value.as_deref().is_some_and(|value| placeholder(value).is_none()) {
                let message = "names no attribute: write `:name`";
                faults.push(ConfigFault::new(key, message));
            }
        }
        if settings.address.is_some() == settings.thread.is_some() {
            faults.push(ConfigFault::new("address", "either this or `thread` has to be given"));
        }
        faults
    }

    async fn check_settings(&self, settings: &LookupSettings, _: &Context) -> Result<(), Error> {
        let mut loan = self.client.borrow().await?;
        for folder in &settings.folders {
            let opened = loan.examine(folder).await;
            opened.map_err(|failure| self.client.error("open a folder", failure))?;
        }
        loan.done();
        Ok(())
    }

    async fn lookup(
        &self,
        settings: &LookupSettings,
        _: &Context,
        queries: Vec<Query>,
    ) -> Result<Vec<Result<Option<Answer>, Error>>, Error> {
        let mut answers = Vec::with_capacity(queries.len());
        if queries.is_empty() {
            return Ok(answers);
        }
        let mut loan = self.client.borrow().await?;
        for query in queries {
            let values = match Values::asked(&query) {
                Ok(values) => values,
                Err(error) => {
                    answers.push(Err(error));
                    continue;
                }
            };
            // A failure on the way is one of the connection, and so of all questions.
            answers.push(Ok(self.ask(&mut loan, settings, &values).await?));
        }
        loan.done();
        Ok(answers)
    }
}

impl Email {
    async fn ask(
        &self,
        session: &mut Session,
        settings: &LookupSettings,
        values: &Values,
    ) -> Result<Option<Answer>, Error> {
        let value = |setting: &Option<String>| values.text(setting.as_deref()?).map(str::to_owned);
        let (address, thread) = (value(&settings.address), value(&settings.thread));
        let mut known = Known::default();
        for folder in &settings.folders {
            let criteria = match (&address, &thread) {
                (Some(address), _) => Command::new("UID SEARCH").raw("FROM").string(address),
                (None, Some(thread)) => conversation(Command::new("UID SEARCH"), thread),
                (None, None) => return Ok(None),
            };
            let asked = known.ask(session, folder, criteria, address.as_deref()).await;
            asked.map_err(|failure| self.client.error("search mail", failure))?;
        }
        known.answer()
    }
}

impl Known {
    async fn ask(
        &mut self,
        session: &mut Session,
        folder: &str,
        criteria: Command,
        address: Option<&str>,
    ) -> Result<(), Failure> {
        session.examine(folder).await?;
        let uids = session.search(criteria).await?;
        let latest = &uids[uids.len().saturating_sub(N_MAILS_MAX)..];
        if latest.is_empty() {
            return Ok(());
        }
        let take = |fetched: Fetched| {
            let Some(head) = &fetched.section else { return };
            let mail = Mail::read_head(head, &[]);
            // SEARCH finds parts of addresses too.
            let other =
                |from: &str| address.is_some_and(|address| !from.eq_ignore_ascii_case(address));
            if mail.from.as_deref().is_some_and(other) {
                return;
            }
            self.n_mails += 1;
            let at = fetched.received_at().map_or(i64::MIN, jiff::Timestamp::as_millisecond);
            if self.last.as_ref().is_none_or(|(last, ..)| at >= *last) {
                self.last = Some((at, mail.subject, mail.message_id, folder.to_owned()));
            }
        };
        session.fetch(&uid_set(latest), HEAD, take).await
    }

    fn answer(self) -> Result<Option<Answer>, Error> {
        let Some((at, subject, message_id, folder)) = self.last else { return Ok(None) };
        let at = jiff::Timestamp::from_millisecond(at).ok().map(|at| at.to_string());
        let answer = json!({
            "mails": self.n_mails,
            "last_at": at,
            "last_subject": subject,
            "last_message_id": message_id,
            "last_folder": folder,
        });
        Ok(Some(Answer::new(Json::of(&answer)?)))
    }
}
