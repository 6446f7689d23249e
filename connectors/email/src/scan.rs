//! Which mail comes next, and what becomes a record of it.

use std::collections::{BTreeMap, VecDeque};

use gantry_imap::{Command, Failure, Fetched, Folder, Session, uid_set};
use gantry_mail::{Bounds, Mail};
use gantry_plugin_api::{Context, Error, Position, Record};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::Email;
use crate::config::{CaptureSettings, OnRemoved};
use crate::points::{EXAMPLE, Mark, Point, Token, cannot_write};

/// Bytes of mail that one batch holds, unless a single one is longer.
const BATCH_BYTES_MAX: u64 = 4 << 20;

/// A mail, read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) uid: u32,
    pub(crate) record: Record,
    /// Its conversation, where it could be read.
    pub(crate) thread: Option<String>,
}

/// Mails found and not given yet.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) folder: Folder,
    pub(crate) uids: VecDeque<u32>,
    pub(crate) mark: Mark,
}

impl Email {
    /// Finds what is to be given from a position on.
    pub(crate) async fn begin(
        &self,
        session: &mut Session,
        settings: &CaptureSettings,
        cx: &Context,
        folder: Folder,
        from: Option<&Position>,
    ) -> Result<Scan, Error> {
        let earliest = settings.from.map(|from| from.get().to_zoned(TimeZone::UTC).date());
        let v = folder.uid_validity;
        let find = async |session: &mut Session, first: u32, since: Option<Date>| {
            let mut criteria = Command::new("UID SEARCH").raw(format!("UID {first}:*"));
            if settings.on_removed == OnRemoved::Cancel {
                criteria = criteria.raw("UNDELETED");
            }
            let found = session.search(since_day(criteria, earliest.max(since))).await;
            let mut found = found.map_err(|failure| self.client.error("search mail", failure))?;
            // `n:*` has the last mail in it even if its UID is less than n.
            found.retain(|uid| *uid >= first);
            Ok::<_, Error>(found)
        };
        let (uids, mark) = match from.map(|from| from.parse::<Mark>(EXAMPLE)).transpose()? {
            None => {
                let mut uids = find(session, 1, None).await?;
                let n_max = settings.at_most.map_or(usize::MAX, |n| n.get() as usize);
                let n_left_out = uids.len().saturating_sub(n_max);
                let floor = uids[..n_left_out].last().copied().unwrap_or_default();
                uids.retain(|uid| *uid > floor);
                (uids, Mark { v, uid: floor, floor, at: None, since: None })
            }
            Some(mark) if mark.v != v => {
                tracing::warn!(
                    capture_point = cx.name(),
                    folder = settings.folder,
                    "the server has numbered the folder anew: recent mail is read again"
                );
                let since = mark.at.and_then(|at| before(at, settings));
                let uids = find(session, 1, since).await?;
                let floor = uids.first().map_or(0, |first| first - 1);
                self.points.with(cx.name(), |point| *point = Point::default());
                (uids, Mark { v, uid: floor, floor, at: mark.at, since })
            }
            Some(mark) => {
                let mut uids = find(session, mark.uid.saturating_add(1), mark.since).await?;
                let made_up = self.points.with(cx.name(), |point| point.made_up);
                if !made_up && mark.uid > mark.floor {
                    let left = self.unmarked(session, settings, &mark, earliest).await?;
                    uids.splice(..0, left);
                }
                (uids, mark)
            }
        };
        self.points.with(cx.name(), |point| point.made_up = true);
        Ok(Scan { folder, uids: uids.into(), mark })
    }

    /// Mails behind the position that were not marked: those that an earlier process gave and had
    /// no time to mark, where marks are kept.
    async fn unmarked(
        &self,
        session: &mut Session,
        settings: &CaptureSettings,
        mark: &Mark,
        earliest: Option<Date>,
    ) -> Result<Vec<u32>, Error> {
        let error = |failure| self.client.error("look for mail that is not marked", failure);
        let range = format!("UID {}:{}", mark.floor + 1, mark.uid);
        let mut criteria = Command::new("UID SEARCH").raw(range);
        // What is moved is marked by that.
        if settings.move_to.is_none() {
            // Only a folder that is opened to write says whether keywords are kept.
            let kept = !settings.keyword.is_empty()
                && session.select(&settings.folder).await.map_err(error)?.keywords;
            if !kept {
                return Ok(Vec::new());
            }
            criteria = criteria.raw("UNKEYWORD").raw(&settings.keyword);
        }
        session.search(since_day(criteria, earliest)).await.map_err(error)
    }

    /// Fetches the next mails of a scan and makes records of them.
    pub(crate) async fn take(
        &self,
        session: &mut Session,
        settings: &CaptureSettings,
        scan: &mut Scan,
        limit: usize,
    ) -> Result<Vec<Found>, Error> {
        let error = |failure| self.client.error("fetch mail", failure);
        let uids: Vec<_> = scan.uids.iter().copied().take(limit.max(1)).collect();
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let mut heads = BTreeMap::new();
        let items = "(UID INTERNALDATE RFC822.SIZE)";
        let take = |fetched: Fetched| drop(heads.insert(fetched.uid, fetched));
        session.fetch(&uid_set(&uids), items, take).await.map_err(error)?;
        let longest = u64::from(settings.max_message_bytes.get());
        let (mut whole, mut long, mut bytes, mut n_taken) = (Vec::new(), Vec::new(), 0, 0);
        for uid in &uids {
            // What is no longer there was expunged since the search.
            let size = heads.get(uid).map(|head| u64::from(head.size.unwrap_or_default()));
            if let Some(size) = size {
                if size <= longest && bytes > 0 && bytes + size > BATCH_BYTES_MAX {
                    break;
                }
                let list = if size > longest { &mut long } else { &mut whole };
                list.push(*uid);
                bytes += size.min(longest);
            }
            n_taken += 1;
        }
        let mut found = BTreeMap::new();
        self.sections(session, &whole, "BODY.PEEK[]", &mut found).await?;
        self.sections(session, &long, "BODY.PEEK[HEADER]", &mut found).await?;
        let mut records = Vec::new();
        for uid in scan.uids.drain(..n_taken) {
            let Some(head) = heads.remove(&uid) else { continue };
            let Some(body) = found.remove(&uid) else { continue };
            let received = head.received_at();
            scan.mark.uid = scan.mark.uid.max(uid);
            scan.mark.at = scan.mark.at.max(received.map(Timestamp::as_second));
            let (mut record, thread) = self.record(settings, &head, body, received)?;
            record.position = Some(Position::of(&scan.mark)?);
            if let Some(thread) = &thread {
                record.lease = settings.lease(scan.mark.v, uid, thread)?;
            }
            let token = Token { v: scan.mark.v, uid, gone: false };
            record.ack_token = Some(token.write()?);
            records.push(Found { uid, record, thread });
        }
        Ok(records)
    }

    /// Fetches one section of each mail; one that the server cannot give is told by its refusal.
    async fn sections(
        &self,
        session: &mut Session,
        uids: &[u32],
        section: &str,
        found: &mut BTreeMap<u32, Result<bytes::Bytes, String>>,
    ) -> Result<(), Error> {
        if uids.is_empty() {
            return Ok(());
        }
        let items = format!("(UID {section})");
        let mut take = |fetched: Fetched| {
            let section = fetched.section.ok_or_else(|| "the server gave no content".to_owned());
            found.insert(fetched.uid, section);
        };
        let fetched = session.fetch(&uid_set(uids), &items, &mut take).await;
        let Err(failure) = fetched else { return Ok(()) };
        if !matches!(failure, Failure::Refused { .. }) {
            return Err(self.client.error("fetch mail", failure));
        }
        // One of them it is; the others are not to suffer for it.
        for uid in uids {
            match session.fetch(&uid.to_string(), &items, &mut take).await {
                Ok(()) => {}
                Err(Failure::Refused { status, .. }) => {
                    take(Fetched { uid: *uid, ..Fetched::default() });
                    tracing::warn!(uid, answer = status.text, "the server cannot give a mail");
                }
                Err(failure) => return Err(self.client.error("fetch mail", failure)),
            }
        }
        Ok(())
    }

    fn record(
        &self,
        settings: &CaptureSettings,
        head: &Fetched,
        body: Result<bytes::Bytes, String>,
        received: Option<Timestamp>,
    ) -> Result<(Record, Option<String>), Error> {
        let size = head.size.unwrap_or_default();
        let longest = settings.max_message_bytes.get();
        let folder = &settings.folder;
        let (mut record, thread) = match body {
            Err(reason) => {
                let reason = format!("{folder}, UID {}: {reason}", head.uid);
                (Record::unreadable(Vec::new(), reason), None)
            }
            Ok(header) if size > longest => {
                let reason = format!(
                    "{folder}, UID {}: the mail has {size} bytes, more than `max_message_bytes` \
                     ({longest}) allows; this is its header",
                    head.uid
                );
                (Record::unreadable(header, reason), None)
            }
            Ok(raw) => {
                let bounds = Bounds {
                    text_bytes: settings.max_text_bytes.get() as usize,
                    attachment_bytes: settings.max_attachment_bytes as usize,
                };
                let mail = Mail::read(&raw, bounds, &self.own);
                let mut value = serde_json::to_value(&mail).map_err(cannot_write)?;
                value["folder"] = json!(folder);
                value["uid"] = json!(head.uid);
                value["size"] = json!(size);
                value["received_at"] = json!(received.map(|at| at.to_string()));
                let record = Record::json(serde_json::to_vec(&value).map_err(cannot_write)?)
                    .with_message_id(format!("{}#{}", mail.message_id, mail.fingerprint));
                (record, Some(mail.thread_id))
            }
        };
        record.occurred_at_ms = received.map(Timestamp::as_millisecond);
        Ok((record, thread))
    }
}

/// A search, for what is not flagged as deleted.
pub(crate) fn undeleted() -> Command {
    Command::new("UID SEARCH").raw("UNDELETED")
}

/// The day from which on mail is read again. Days of IMAP are the server's: one more is safe.
fn before(at: i64, settings: &CaptureSettings) -> Option<Date> {
    let span = SignedDuration::try_from(settings.resync.get()).ok()?;
    let at = Timestamp::from_second(at).ok()?.checked_sub(span).ok()?;
    at.to_zoned(TimeZone::UTC).date().yesterday().ok()
}

/// A search, for what the server received on this day or later.
pub(crate) fn since_day(criteria: Command, day: Option<Date>) -> Command {
    match day {
        Some(day) => criteria.raw(format!("SINCE {}", day.strftime("%-d-%b-%Y"))),
        None => criteria,
    }
}
