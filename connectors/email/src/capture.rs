//! Capture: mail of a folder, in the order of its UIDs.
//!
//! A mail is named by (UIDVALIDITY, UID), and UIDs only grow, whatever arrives late by COPY, MOVE
//! or APPEND. So the position is the last UID, and it is the only authority: \Seen belongs to
//! people, and our keyword and our MOVE follow once the hub has the record. A crash in between is
//! made up for: what is behind the position and unmarked is given once more, and acknowledged.
//! When the server numbers the folder anew, what it received lately is read again; the hub
//! recognises what it has by Message-ID and content.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use gantry_imap::{Command, Failure, Fetched, Folder, Session, uid_set};
use gantry_plugin_api::{
    Batch, Capture, ConfigFault, Context, Emitter, Error, Outcome, Position, Record, RecordOutcome,
};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Email;
use crate::config::{CaptureSettings, OnRemoved};
use crate::mail::{Bounds, Mail};
use crate::removed::Watched;

/// Bytes of mail that one batch holds, unless a single one is longer.
const BATCH_BYTES_MAX: u64 = 4 << 20;
/// Mails of a batch of a stream.
const N_BATCH: usize = 100;

/// A place in the folder: right after this mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    /// The UIDVALIDITY.
    v: u32,
    pub(crate) uid: u32,
    /// No mail up to this UID was ever wanted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) floor: u32,
    /// When the server received the last mail: Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    /// While a folder that was numbered anew is read again: not what came before this day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Date>,
}

/// What is known of each capture point, by name; it only saves work, except for removals.
#[derive(Debug, Default)]
pub(crate) struct Points(Mutex<BTreeMap<String, Point>>);

#[derive(Debug, Default)]
pub(crate) struct Point {
    /// What was begun and not ended, and the position its last batch ended at.
    scan: Option<(Scan, Option<Position>)>,
    /// The folder when all of it had been read, and the position then.
    read: Option<(Folder, Option<Position>)>,
    /// What an earlier process left unmarked was given again.
    made_up: bool,
    /// Captured mails that are there, and their conversations; none before it is known.
    pub(crate) watched: Option<Watched>,
}

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

/// What comes back with an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) v: u32,
    pub(crate) uid: u32,
    /// It told of a removal.
    #[serde(default)]
    pub(crate) gone: bool,
}

impl Capture for Email {
    type Settings = CaptureSettings;

    fn validate_settings(settings: &CaptureSettings) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if settings.from.as_deref().is_some_and(|from| from.parse::<Date>().is_err()) {
            faults.push(ConfigFault::new("from", "is no day: write it as `2026-01-31`"));
        }
        let is_atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
        if !settings.keyword.bytes().all(is_atom) {
            let message = "is no keyword: letters, digits, `$`, `_` and `-`";
            faults.push(ConfigFault::new("keyword", message));
        }
        if settings.on_removed == OnRemoved::Cancel && settings.move_to.is_some() {
            let message = "needs mail to stay where it is: leave out `move_to`";
            faults.push(ConfigFault::new("on_removed", message));
        }
        if settings.look_every.get().is_zero() {
            faults.push(ConfigFault::new("look_every", "must be longer than 0"));
        }
        faults
    }

    async fn check_settings(&self, settings: &CaptureSettings, _: &Context) -> Result<(), Error> {
        let mut loan = self.client.borrow().await?;
        self.folder(&mut loan, settings).await?;
        loan.done();
        Ok(())
    }

    async fn poll(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        let mut loan = self.client.borrow().await?;
        let folder = self.folder(&mut loan, settings).await?;
        let (batch, _) = self.read_on(&mut loan, settings, cx, folder, from, limit).await?;
        loan.done();
        Ok(batch)
    }

    async fn stream(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        from: Option<Position>,
        out: Emitter,
    ) -> Result<(), Error> {
        tokio::select! {
            ended = self.listen(settings, cx, from, out) => ended,
            () = cx.draining() => Ok(()),
        }
    }

    async fn acknowledge(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        outcomes: &[RecordOutcome],
    ) -> Result<(), Error> {
        let (mut keep, mut moved) = (BTreeMap::new(), BTreeMap::new());
        for outcome in outcomes {
            let token = outcome.ack_token.as_deref();
            let token: Option<Token> = token.and_then(|token| serde_json::from_slice(token).ok());
            let Some(token) = token else { continue };
            let list = match outcome.outcome {
                Outcome::Retry => {
                    self.points.with(cx.name(), |point| (point.scan, point.read) = (None, None));
                    continue;
                }
                _ if token.gone => {
                    self.points.forget(token.v, &[token.uid]);
                    continue;
                }
                _ if settings.move_to.is_some() => &mut moved,
                Outcome::Accepted | Outcome::Filtered | Outcome::Refused => &mut keep,
            };
            list.entry(token.v).or_insert_with(BTreeSet::new).insert(token.uid);
        }
        if settings.keyword.is_empty() {
            keep.clear();
        }
        if keep.is_empty() && moved.is_empty() {
            return Ok(());
        }
        let mut loan = self.client.borrow().await?;
        let marked = mark(&mut loan, settings, &keep, &moved).await;
        marked.map_err(|failure| self.client.error("mark captured mail", failure))?;
        loan.done();
        Ok(())
    }
}

/// Marks what stays and moves what goes. UIDs of another UIDVALIDITY are nobody's any more.
async fn mark(
    session: &mut Session,
    settings: &CaptureSettings,
    keep: &BTreeMap<u32, BTreeSet<u32>>,
    moved: &BTreeMap<u32, BTreeSet<u32>>,
) -> Result<(), Failure> {
    let folder = session.select(&settings.folder).await?;
    let set = |list: &BTreeMap<u32, BTreeSet<u32>>| {
        let uids: Vec<_> = list.get(&folder.uid_validity).into_iter().flatten().copied().collect();
        (!uids.is_empty()).then(|| uid_set(&uids))
    };
    if let Some(uids) = set(keep)
        && folder.keywords
    {
        session.flag(&uids, &settings.keyword).await?;
    }
    if let (Some(uids), Some(to)) = (set(moved), &settings.move_to) {
        session.move_to(&uids, to).await?;
    }
    Ok(())
}

impl Email {
    /// Emits what there is, waits for more, for ever.
    async fn listen(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        mut from: Option<Position>,
        out: Emitter,
    ) -> Result<(), Error> {
        let mut session = self.client.open().await?;
        loop {
            let folder = self.folder(&mut session, settings).await?;
            loop {
                let folder = folder.clone();
                let read = self.read_on(&mut session, settings, cx, folder, from.as_ref(), N_BATCH);
                let (batch, moved) = read.await?;
                let more = batch.more;
                if moved {
                    from.clone_from(&batch.position_after);
                    out.emit(batch).await?;
                }
                if !more {
                    break;
                }
            }
            let longest = settings.look_every.get();
            if session.can("IDLE") {
                let waited = session.idle(longest).await;
                waited.map_err(|failure| self.client.error("wait for mail", failure))?;
            } else {
                tokio::time::sleep(longest).await;
            }
        }
    }

    async fn folder(
        &self,
        session: &mut Session,
        settings: &CaptureSettings,
    ) -> Result<Folder, Error> {
        let opened = session.examine(&settings.folder).await;
        let what = || format!("open folder `{}`", settings.folder);
        opened.map_err(|failure| self.client.error(&what(), failure))
    }

    /// Gives what comes next, and whether that is anything: records, or another position.
    async fn read_on(
        &self,
        session: &mut Session,
        settings: &CaptureSettings,
        cx: &Context,
        folder: Folder,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<(Batch, bool), Error> {
        let name = cx.name();
        let unchanged = self.points.with(name, |point| point.has_read(&folder, from));
        if unchanged {
            let position_after = from.cloned();
            return Ok((Batch { position_after, ..Batch::default() }, false));
        }
        let begun = self.points.with(name, |point| point.resume(&folder, from));
        let mut scan = match begun {
            Some(scan) => scan,
            None => self.begin(session, settings, cx, folder.clone(), from).await?,
        };
        let mut records = self.take(session, settings, &mut scan, limit).await?;
        if settings.on_removed == OnRemoved::Cancel {
            self.watch(session, cx, &scan, &mut records, limit).await?;
        }
        let more = !scan.uids.is_empty();
        if !more {
            scan.mark.since = None;
        }
        let position_after = Some(scan.mark.position()?);
        let moved = !records.is_empty() || position_after.as_ref() != from;
        let records: Vec<_> = records.into_iter().map(|found| found.record).collect();
        self.points.with(name, |point| {
            point.read = (!more && records.is_empty()).then(|| (folder, position_after.clone()));
            point.scan = more.then(|| (scan, position_after.clone()));
        });
        Ok((Batch { records, position_after, more }, moved))
    }

    /// Finds what is to be given from a position on.
    async fn begin(
        &self,
        session: &mut Session,
        settings: &CaptureSettings,
        cx: &Context,
        folder: Folder,
        from: Option<&Position>,
    ) -> Result<Scan, Error> {
        let earliest: Option<Date> = settings.from.as_deref().and_then(|from| from.parse().ok());
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
        let (uids, mark) = match from.map(Mark::read).transpose()? {
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
                let made_up = self
                    .points
                    .with(cx.name(), |point| std::mem::replace(&mut point.made_up, true));
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
    async fn take(
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
            record.position = Some(scan.mark.position()?);
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

fn cannot_write(error: serde_json::Error) -> Error {
    Error::permanent("cannot write a mail as JSON").because(&error)
}

/// The day from which on mail is read again. Days of IMAP are the server's: one more is safe.
fn before(at: i64, settings: &CaptureSettings) -> Option<Date> {
    let span = SignedDuration::try_from(settings.resync.get()).ok()?;
    let at = Timestamp::from_second(at).ok()?.checked_sub(span).ok()?;
    at.to_zoned(jiff::tz::TimeZone::UTC).date().yesterday().ok()
}

fn since_day(criteria: Command, day: Option<Date>) -> Command {
    match day {
        Some(day) => criteria.raw(format!("SINCE {}", day.strftime("%-d-%b-%Y"))),
        None => criteria,
    }
}

impl Mark {
    fn read(position: &Position) -> Result<Self, Error> {
        serde_json::from_slice(position.as_bytes()).map_err(|error| {
            let message = format!(
                "cannot read {position:?}: write {{\"v\": UIDVALIDITY, \"uid\": the last UID}}"
            );
            Error::cursor_expired(message).because(&error)
        })
    }

    fn position(&self) -> Result<Position, Error> {
        Ok(Position::new(serde_json::to_vec(self).map_err(cannot_write)?)?)
    }
}

impl Token {
    pub(crate) fn write(self) -> Result<bytes::Bytes, Error> {
        Ok(serde_json::to_vec(&self).map_err(cannot_write)?.into())
    }
}

impl Points {
    pub(crate) fn with<T>(&self, name: &str, act: impl FnOnce(&mut Point) -> T) -> T {
        let mut points = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match points.get_mut(name) {
            Some(point) => act(point),
            None => act(points.entry(name.to_owned()).or_default()),
        }
    }

    /// Watches these mails no longer: their removal is known, or our own.
    pub(crate) fn forget(&self, v: u32, uids: &[u32]) {
        let mut points = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for watched in points.values_mut().filter_map(|point| point.watched.as_mut()) {
            for uid in uids {
                watched.remove(&(v, *uid));
            }
        }
    }
}

impl Point {
    /// Whether nothing changed since all was read: only servers that count changes say so.
    fn has_read(&self, folder: &Folder, from: Option<&Position>) -> bool {
        let read = self.read.as_ref();
        folder.modseq.is_some()
            && read.is_some_and(|(was, at)| was == folder && at.as_ref() == from)
    }

    /// Gives the scan that was begun, if the hub goes on where its last batch ended.
    fn resume(&mut self, folder: &Folder, from: Option<&Position>) -> Option<Scan> {
        let (scan, end) = self.scan.take()?;
        let same = scan.folder.uid_validity == folder.uid_validity;
        (same && end.as_ref() == from).then_some(scan)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
