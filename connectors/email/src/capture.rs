//! Capture: mail of a folder, in the order of its UIDs.
//!
//! A mail is named by (UIDVALIDITY, UID), and UIDs only grow, whatever arrives late by COPY, MOVE
//! or APPEND. So the position is the last UID, and it is the only authority: \Seen belongs to
//! people, and our keyword and our MOVE follow once the hub has the record. A crash in between is
//! made up for: what is behind the position and unmarked is given once more, and acknowledged.
//! When the server numbers the folder anew, what it received lately is read again; the hub
//! recognises what it has by Message-ID and content.

use std::collections::{BTreeMap, BTreeSet};

use gantry_imap::{Failure, Folder, Session, uid_set};
use gantry_plugin_api::{
    Batch, Capture, ConfigFault, Context, Emitter, Error, Extended, Lease, Outcome, Position,
    RecordOutcome,
};

use crate::Email;
use crate::config::{CaptureSettings, OnRemoved};
use crate::points::Token;

/// Mails of a batch of a stream.
const N_BATCH: usize = 100;

impl Capture for Email {
    type Settings = CaptureSettings;

    fn validate_settings(settings: &CaptureSettings) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
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

    // What is watched for removals changes with each poll, so none may be thrown away.
    fn reads_ahead(settings: &CaptureSettings) -> bool {
        settings.on_removed == OnRemoved::Ignore
    }

    async fn poll(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        let mut loan = self.client.borrow_with(&settings.folder, false).await?;
        // A scan that goes on knows its mails; the folder is looked at again when it has ended.
        let begun = self.points.with(cx.name(), |point| point.goes_on(from));
        let folder = match begun.filter(|_| loan.has_open(&settings.folder, false)) {
            Some(folder) => folder,
            None => self.folder(&mut loan, settings).await?,
        };
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
        let mut loan = self.client.borrow_with(&settings.folder, true).await?;
        let marked = mark(&mut loan, settings, &keep, &moved).await;
        marked.map_err(|failure| self.client.error("mark captured mail", failure))?;
        loan.done();
        Ok(())
    }

    async fn extend(
        &self,
        settings: &CaptureSettings,
        cx: &Context,
        leases: &[Lease],
    ) -> Result<Vec<Extended>, Error> {
        if settings.on_removed == OnRemoved::Ignore {
            let kept = |lease: &Lease| Extended::Kept { for_ms: lease.for_ms };
            return Ok(leases.iter().map(kept).collect());
        }
        let mut loan = self.client.borrow().await?;
        let folder = self.folder(&mut loan, settings).await?;
        let answers = self.look_again(&mut loan, settings, cx, &folder, leases).await?;
        loan.done();
        Ok(answers)
    }
}

/// Marks what stays and moves what goes. UIDs of another UIDVALIDITY are nobody's any more.
async fn mark(
    session: &mut Session,
    settings: &CaptureSettings,
    keep: &BTreeMap<u32, BTreeSet<u32>>,
    moved: &BTreeMap<u32, BTreeSet<u32>>,
) -> Result<(), Failure> {
    let folder = session.select_once(&settings.folder).await?;
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
            if self.points.with(cx.name(), |point| std::mem::take(&mut point.reopened)) {
                continue;
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

    pub(crate) async fn folder(
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
            self.watch(session, settings, cx, &scan, &mut records, limit).await?;
        }
        let more = !scan.uids.is_empty();
        if !more {
            scan.mark.since = None;
        }
        let position_after = Some(Position::of(&scan.mark)?);
        let moved = !records.is_empty() || position_after.as_ref() != from;
        let records: Vec<_> = records.into_iter().map(|found| found.record).collect();
        self.points.with(name, |point| {
            point.read = (!more && records.is_empty()).then(|| (folder, position_after.clone()));
            point.scan = more.then(|| (scan, position_after.clone()));
        });
        Ok((Batch { records, position_after, more }, moved))
    }
}
