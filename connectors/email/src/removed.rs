//! Mail that people delete, flag as deleted or move away: the work it stood for is withdrawn.
//!
//! IMAP tells that mail is gone, not which conversation it belonged to, so that is kept twice: in
//! memory, for what the server announces, and with the work item, as a lease. What is removed
//! while nobody looks is found when the hub asks for the leases of what is open: at once after a
//! start, and each `look_every`. A conversation is gone when no mail of it is left.

use std::collections::{BTreeMap, BTreeSet};

use gantry_imap::{Folder, Session, uid_set};
use gantry_plugin_api::{Context, Error, Extended, Lease, MessageKind, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Email;
use crate::callback::conversation;
use crate::config::{CaptureSettings, OnRemoved};
use crate::points::{Token, cannot_write};
use crate::scan::{Found, Scan, undeleted};

#[cfg(test)]
mod tests;

/// Mails whose removal is noticed at once: the latest.
const N_WATCHED_MAX: usize = 10_000;
/// The hub asks for a lease after this part of its time.
const PART: u64 = 3;
/// Why a work item is withdrawn.
const REASON: &str = "the mail was removed from the mailbox";

/// Captured mails that are there, by UIDVALIDITY and UID, and their conversations.
#[derive(Debug, Default)]
pub(crate) struct Watched(BTreeMap<(u32, u32), String>);

/// The mail that a work item stands for: the token of its lease.
#[derive(Debug, Serialize, Deserialize)]
struct Captured {
    /// The UIDVALIDITY.
    v: u32,
    uid: u32,
    thread: String,
}

impl Watched {
    fn add(&mut self, mails: impl IntoIterator<Item = ((u32, u32), String)>) {
        self.0.extend(mails);
        while self.0.len() > N_WATCHED_MAX {
            self.0.pop_first();
        }
    }

    /// Watches this one no longer: its removal is known, or our own.
    pub(crate) fn forget(&mut self, v: u32, uid: u32) {
        self.0.remove(&(v, uid));
    }

    /// Those that are gone, and no other of their conversation is watched. What was numbered
    /// otherwise is nobody's any more.
    fn gone(&mut self, v: u32, present: &BTreeSet<u32>) -> Vec<(u32, String)> {
        let stays = |key: &(u32, u32)| present.contains(&key.1);
        self.0.retain(|key, _| key.0 == v);
        let alive: BTreeSet<String> =
            self.0.iter().filter(|(key, _)| stays(key)).map(|(_, id)| id.clone()).collect();
        self.0.retain(|key, thread| stays(key) || !alive.contains(thread));
        let gone = self.0.iter().filter(|(key, _)| !stays(key));
        gone.map(|((_, uid), thread)| (*uid, thread.clone())).collect()
    }
}

impl CaptureSettings {
    /// For how long a mail counts as there, once it was seen: milliseconds.
    fn lease_ms(&self) -> u64 {
        let look_every = u64::try_from(self.look_every.get().as_millis()).unwrap_or(u64::MAX);
        look_every.saturating_mul(PART)
    }

    /// What the hub asks by whether a mail is still there, if that matters.
    pub(crate) fn lease(&self, v: u32, uid: u32, thread: &str) -> Result<Option<Lease>, Error> {
        if self.on_removed == OnRemoved::Ignore {
            return Ok(None);
        }
        let captured = Captured { v, uid, thread: thread.to_owned() };
        let token = serde_json::to_string(&captured).map_err(cannot_write)?;
        // Only an id full of control characters gets that long.
        Ok((token.len() <= Lease::TOKEN_LEN_MAX).then(|| Lease::new(token, self.lease_ms())))
    }
}

impl Email {
    /// Adds to `found` what was removed, once there is nothing else.
    pub(crate) async fn watch(
        &self,
        session: &mut Session,
        settings: &CaptureSettings,
        cx: &Context,
        scan: &Scan,
        found: &mut Vec<Found>,
        limit: usize,
    ) -> Result<(), Error> {
        let v = scan.folder.uid_validity;
        let new = found.iter().filter_map(|found| Some(((v, found.uid), found.thread.clone()?)));
        let is_empty = self.points.with(cx.name(), |point| {
            point.watched.add(new);
            point.watched.0.is_empty()
        });
        let caught_up = found.is_empty() && scan.uids.is_empty();
        if !caught_up || is_empty || scan.mark.uid == scan.mark.floor {
            return Ok(());
        }
        let range = format!("{}:{}", scan.mark.floor + 1, scan.mark.uid);
        let present = self.present(session, &range).await?;
        let gone = self.points.with(cx.name(), |point| {
            let gone = point.watched.gone(v, &present);
            point.reopened = !gone.is_empty() && !settings.kept_in.is_empty();
            gone
        });
        for (uid, thread) in gone {
            if found.len() == limit {
                break;
            }
            if let Some(left) = self.left(session, settings, &thread).await? {
                self.points.with(cx.name(), |point| {
                    point.watched.forget(v, uid);
                    point.watched.add(left.map(|uid| ((v, uid), thread)));
                });
                continue;
            }
            let value = json!({ "thread_id": thread, "reason": REASON });
            let mut record = Record::json(value.to_string());
            record.message = Some(MessageKind::Cancel);
            record.message_id = Some(format!("removed:{v}:{uid}"));
            record.ack_token = Some(Token { v, uid, gone: true }.write()?);
            found.push(Found { uid, record, thread: None });
        }
        Ok(())
    }

    /// Says of each lease whether its mail is there, and watches what is.
    pub(crate) async fn look_again(
        &self,
        session: &mut Session,
        settings: &CaptureSettings,
        cx: &Context,
        folder: &Folder,
        leases: &[Lease],
    ) -> Result<Vec<Extended>, Error> {
        let v = folder.uid_validity;
        let read = |lease: &Lease| serde_json::from_str::<Captured>(&lease.token);
        let captured: Vec<_> = leases.iter().map(read).collect();
        let ours = captured.iter().flatten().filter(|captured| captured.v == v);
        let uids: BTreeSet<_> = ours.map(|captured| captured.uid).collect();
        let uids: Vec<_> = uids.into_iter().collect();
        let present = self.present(session, &uid_set(&uids)).await?;
        let mut answers = Vec::with_capacity(leases.len());
        for captured in captured {
            let kept = Extended::Kept { for_ms: settings.lease_ms() };
            let Captured { v: of, uid, thread } = match captured {
                Ok(captured) => captured,
                Err(error) => {
                    let failed = Error::permanent("cannot read which mail a work item stands for");
                    answers.push(Extended::Failed(failed.because(&error)));
                    continue;
                }
            };
            // Where the folder was numbered anew, a UID says nothing, and nothing is withdrawn.
            if of != v {
                answers.push(kept);
                continue;
            }
            let there = if present.contains(&uid) {
                Some(Some(uid))
            } else {
                self.left(session, settings, &thread).await?
            };
            answers.push(match there {
                Some(uid) => {
                    self.points.with(cx.name(), |point| {
                        point.watched.add(uid.map(|uid| ((v, uid), thread)));
                    });
                    kept
                }
                None => Extended::Lost { reason: REASON.to_owned() },
            });
        }
        Ok(answers)
    }

    /// Those of these mails that are in the open folder.
    async fn present(&self, session: &mut Session, uids: &str) -> Result<BTreeSet<u32>, Error> {
        if uids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let found = session.search(undeleted().raw(format!("UID {uids}"))).await;
        let found = found.map_err(|failure| self.client.error("search mail", failure))?;
        Ok(found.into_iter().collect())
    }

    /// Whether mail of a conversation is left where it counts; and which, if it is in the folder
    /// itself. That folder is open before and afterwards.
    async fn left(
        &self,
        session: &mut Session,
        settings: &CaptureSettings,
        thread: &str,
    ) -> Result<Option<Option<u32>>, Error> {
        let error = |failure| self.client.error("search mail", failure);
        let of_thread = || conversation(undeleted(), thread);
        if let Some(uid) = session.search(of_thread()).await.map_err(error)?.pop() {
            return Ok(Some(Some(uid)));
        }
        let mut found = None;
        for folder in &settings.kept_in {
            if self.holds(session, folder, of_thread()).await.map_err(error)? {
                found = Some(None);
                break;
            }
        }
        if !settings.kept_in.is_empty() {
            self.folder(session, settings).await?;
        }
        Ok(found)
    }
}
