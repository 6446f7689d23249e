//! Two machines must not answer each other for ever: automatic answers to one address are limited.
//!
//! What a machine wrote is marked as such, and no work, as a rule (`mail`); but some programs mark
//! nothing. So the answers of late are counted (RFC 3834, section 2), and not in memory: the
//! mailbox has a copy of each, which outlives the hub.

use gantry_imap::{Command, Fetched, Session, uid_set};
use gantry_mail::Mail;
use gantry_plugin_api::{Context, Error, HumanDuration};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::Email;
use crate::config::CallbackSettings;
use crate::scan::since_day;

/// Answers that are looked at: the latest.
const N_LOOKED_AT_MAX: usize = 10_000;
/// What tells whom a copy went to, and when.
const HEAD: &str = "(UID INTERNALDATE BODY.PEEK[HEADER.FIELDS (TO)])";

impl Email {
    /// Why no automatic answer more goes to an address, if it had as many as it may. The folder
    /// with the copies is open.
    pub(crate) async fn loops(
        &self,
        session: &mut Session,
        settings: &CallbackSettings,
        cx: &Context,
        to: &str,
    ) -> Result<Option<Error>, Error> {
        let error = |failure| self.client.error("count automatic answers", failure);
        let n_max = settings.automatic_max.get() as usize;
        let within = settings.automatic_within;
        let begin = begin(cx.now_ms(), within);
        // Days of IMAP are the server's: one more is safe.
        let day = begin.and_then(|at| at.to_zoned(TimeZone::UTC).date().yesterday().ok());
        let criteria = Command::new("UID SEARCH").raw("HEADER Auto-Submitted auto-replied TO");
        let uids = session.search(since_day(criteria.string(to), day)).await.map_err(error)?;
        if uids.len() < n_max {
            return Ok(None);
        }
        let latest = &uids[uids.len().saturating_sub(N_LOOKED_AT_MAX)..];
        let mut n_sent = 0;
        let count = |copy: Fetched| {
            let is_late = copy.received_at() >= begin;
            // SEARCH finds parts of addresses too.
            let is_to = |head: &[u8]| {
                let mut found = Mail::read_head(head, &[]).to.into_iter();
                found.any(|found| found.eq_ignore_ascii_case(to))
            };
            n_sent += usize::from(is_late && copy.section.as_deref().is_some_and(is_to));
        };
        session.fetch(&uid_set(latest), HEAD, count).await.map_err(error)?;
        if n_sent < n_max {
            return Ok(None);
        }
        Ok(Some(Error::permanent(format!(
            "no automatic answer goes to {to}: it had {n_sent} within {within}, and more would be a \
             loop of two machines (`automatic_max`)"
        ))))
    }
}

/// From when on answers count; none: from ever.
fn begin(now_ms: i64, within: HumanDuration) -> Option<Timestamp> {
    let within = SignedDuration::try_from(within.get()).ok()?;
    Timestamp::from_millisecond(now_ms).ok()?.checked_sub(within).ok()
}
