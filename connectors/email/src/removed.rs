//! Mail that people delete, flag as deleted or move away: the work it stood for is withdrawn.
//!
//! IMAP tells that mail is gone, not which conversation it belonged to, so that is kept in memory
//! for the mail that is there, and read anew after a start. What is removed while nobody looks is
//! not noticed.

use std::collections::{BTreeMap, BTreeSet};

use gantry_imap::{Command, Fetched, Session, uid_set};
use gantry_plugin_api::{Context, Error, MessageKind, Record};
use serde_json::json;

use crate::Email;
use crate::capture::{Found, Scan, Token};
use crate::mail::Mail;

/// Mails whose removal is noticed: the latest.
const N_WATCHED_MAX: usize = 10_000;
/// What tells which conversation a mail belongs to.
const THREAD: &str = "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID REFERENCES IN-REPLY-TO)])";

/// Captured mails that are there, by UIDVALIDITY and UID, and their conversations.
pub(crate) type Watched = BTreeMap<(u32, u32), String>;

impl Email {
    /// Adds to `found` what was removed, once there is nothing else.
    pub(crate) async fn watch(
        &self,
        session: &mut Session,
        cx: &Context,
        scan: &Scan,
        found: &mut Vec<Found>,
        limit: usize,
    ) -> Result<(), Error> {
        let name = cx.name();
        if self.points.with(name, |point| point.watched.is_none()) {
            let watched = self.conversations(session, scan).await?;
            self.points.with(name, |point| point.watched = Some(watched));
        }
        let v = scan.folder.uid_validity;
        let new = found.iter().filter_map(|found| Some(((v, found.uid), found.thread.clone()?)));
        let caught_up = found.is_empty() && scan.uids.is_empty();
        self.points.with(name, |point| {
            let watched = point.watched.get_or_insert_default();
            watched.extend(new);
            while watched.len() > N_WATCHED_MAX {
                watched.pop_first();
            }
        });
        if !caught_up {
            return Ok(());
        }
        let present = self.present(session, scan).await?;
        let gone = self.points.with(name, |point| {
            let watched = point.watched.get_or_insert_default();
            let stays = |key: &(u32, u32)| key.0 == v && present.contains(&key.1);
            let alive: BTreeSet<String> =
                watched.iter().filter(|(uid, _)| stays(uid)).map(|(_, id)| id.clone()).collect();
            // Of a conversation that goes on, one mail less is no news.
            watched.retain(|key, thread| key.0 == v && (stays(key) || !alive.contains(thread)));
            let gone = watched.iter().filter(|(uid, _)| !stays(uid)).take(limit);
            gone.map(|((_, uid), thread)| (*uid, thread.clone())).collect::<Vec<_>>()
        });
        for (uid, thread) in gone {
            let reason = "the mail was removed from the mailbox";
            let value = json!({ "thread_id": thread, "reason": reason });
            let mut record = Record::json(value.to_string());
            record.message = Some(MessageKind::Cancel);
            record.message_id = Some(format!("removed:{v}:{uid}"));
            record.ack_token = Some(Token { v, uid, gone: true }.write()?);
            found.push(Found { uid, record, thread: None });
        }
        Ok(())
    }

    /// Those of the mails read so far that are there.
    async fn present(&self, session: &mut Session, scan: &Scan) -> Result<BTreeSet<u32>, Error> {
        if scan.mark.uid == scan.mark.floor {
            return Ok(BTreeSet::new());
        }
        let range = format!("UID {}:{} UNDELETED", scan.mark.floor + 1, scan.mark.uid);
        let found = session.search(Command::new("UID SEARCH").raw(range)).await;
        let found = found.map_err(|failure| self.client.error("search mail", failure))?;
        Ok(found.into_iter().collect())
    }

    async fn conversations(&self, session: &mut Session, scan: &Scan) -> Result<Watched, Error> {
        let present: Vec<_> = self.present(session, scan).await?.into_iter().collect();
        let latest = &present[present.len().saturating_sub(N_WATCHED_MAX)..];
        let v = scan.folder.uid_validity;
        let mut watched = Watched::new();
        if latest.is_empty() {
            return Ok(watched);
        }
        let take = |fetched: Fetched| {
            if let Some(head) = fetched.section {
                watched.insert((v, fetched.uid), Mail::read_head(&head, &[]).thread_id);
            }
        };
        let fetched = session.fetch(&uid_set(latest), THREAD, take).await;
        fetched.map_err(|failure| self.client.error("fetch mail", failure))?;
        Ok(watched)
    }
}
