//! Settling a batch of records: map, decide what each asks for, submit, read the replies.
//!
//! Records of one key keep their order: they go in waves, the first of each key, then the second of
//! each. A wave is one submission, so a batch of distinct keys is one commit. What is left of a
//! batch (dead letters of records that the engine refused, the position of the source) goes into
//! the last submission: the stored position never stands before a record that is not settled.

use std::collections::BTreeSet;

use gantry_hub::{CaptureKey, Side, Submission, Work};
use gantry_model::command::{Capture, Known};
use gantry_model::spec::MessageKind;
use gantry_model::{Command, ItemId, Name, Refusal, Reply};
use gantry_plugin_host::api::Position;
use gantry_rules::Mapped;
use gantry_store::{DeadLetterChange, KeyQuery, PositionRow};
use tokio::time::Instant;

use super::message::{FromRecord, command_of};
use super::{Incoming, Intake, Point, Refused};
use crate::dead_letter;
use crate::outcome::{Change, Outcome, Settled};

/// Code of a message about an item that does not exist.
const CODE_UNKNOWN: &str = "GANTRY-R011";
/// Code of other content on an item whose capture point takes none.
const CODE_CONFLICT: &str = "GANTRY-R012";
/// Code of a message that the item's state does not allow.
const CODE_STATE: &str = "GANTRY-R013";

/// Where the records of a batch stood in their source.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Of each record: its source partition and the place right after it.
    pub(crate) places: Vec<(Option<String>, Option<Position>)>,
    /// The place to go on from when all are settled.
    pub(crate) after: Option<Position>,
}

/// A record that could be mapped.
struct Ready<'a> {
    index: usize,
    record: &'a Incoming,
    mapped: Mapped,
}

/// A record whose change has to be merged with the item's document.
pub(super) struct ToMerge<'a> {
    pub(super) index: usize,
    pub(super) record: &'a Incoming,
    pub(super) item: ItemId,
}

/// A batch on its way.
pub(super) struct Batch<'a> {
    pub(super) point: &'a Point,
    records: &'a [Incoming],
    settled: Vec<Option<Settled>>,
    external_ids: Vec<Option<String>>,
    dead_letters: Vec<DeadLetterChange>,
}

impl Intake {
    /// Settles records of one capture point; one outcome a record, in order. All of it is durable
    /// when this returns, `reading` included.
    ///
    /// # Errors
    /// The hub's: nothing or a part was done. The same batch again settles the rest; what was done
    /// is found to be a repeat.
    pub(crate) async fn settle(
        &self,
        point: &Point,
        records: &[Incoming],
        reading: Option<&Reading>,
    ) -> Result<Vec<Outcome>, gantry_hub::Error> {
        let in_hand = point.counts.take(records.len());
        let (begun, _unacknowledged) = (Instant::now(), point.flow.hold(self.hub.now()));
        point.flow.bytes.add(records.iter().map(|record| record.payload.len() as u64).sum());
        let mut batch = Batch::new(point, records);
        let mut ready = Vec::with_capacity(records.len());
        for (index, record) in records.iter().enumerate() {
            match self.map(point, record) {
                Ok(mapped) => {
                    batch.external_ids[index] = Some(mapped.external_id.clone());
                    if mapped.kind == MessageKind::Ignore {
                        batch.settle(index, filtered(None, "its capture point ignores it"));
                        continue;
                    }
                    ready.push(Ready { index, record, mapped });
                }
                Err(refused) => self.refuse(&mut batch, index, refused),
            }
        }
        let mut position = reading;
        while !ready.is_empty() {
            let (wave, rest) = first_of_each_key(ready);
            ready = rest;
            // The position may go along only if no reply can leave a record unsettled.
            let along = match position {
                Some(_) if ready.is_empty() && self.plain(point, &wave).await? => position.take(),
                _ => None,
            };
            self.settle_wave(&mut batch, wave, along).await?;
        }
        let side = self.side(&mut batch, position);
        if !side.is_empty() {
            self.submit(point, Vec::new(), side).await?;
        }
        let outcomes = batch.outcomes();
        in_hand.settled(&outcomes);
        point.flow.settling.note_since(begun);
        self.note_lag(point, records, &outcomes);
        self.note_leases(point, records, &outcomes);
        point.tap.show(self.hub.now(), records, &outcomes);
        Ok(outcomes)
    }

    /// Notes how late new content is; what was there before says nothing of that.
    fn note_lag(&self, point: &Point, records: &[Incoming], outcomes: &[Outcome]) {
        let now = self.hub.now();
        for (record, outcome) in records.iter().zip(outcomes) {
            let new = matches!(
                outcome.settled,
                Settled::Accepted { change: Change::Created | Change::Updated | Change::Done, .. }
            );
            if let (true, Some(at)) = (new, record.occurred_at) {
                point.flow.lag.note_late(at, now);
            }
        }
    }

    /// Notes what the source has lent with records that are open items now.
    fn note_leases(&self, point: &Point, records: &[Incoming], outcomes: &[Outcome]) {
        let now = self.hub.now();
        for (record, outcome) in records.iter().zip(outcomes) {
            if let (Some(lease), Settled::Accepted { item, .. }) = (&record.lease, &outcome.settled)
            {
                point.leases.note(*item, lease.clone(), now);
            }
        }
    }

    async fn settle_wave(
        &self,
        batch: &mut Batch<'_>,
        wave: Vec<Ready<'_>>,
        along: Option<&Reading>,
    ) -> Result<(), gantry_hub::Error> {
        let point = batch.point;
        let mut known = self.resolve(point, &wave).await?.into_iter();
        let (mut sent, mut work, mut merges) =
            (Vec::with_capacity(wave.len()), Vec::new(), Vec::new());
        work.reserve(wave.len());
        for Ready { index, record, mut mapped } in wave {
            if mapped.kind == MessageKind::Create {
                let command = self.capture(point, &mut mapped);
                sent.push((index, record, mapped.kind));
                work.push(self.created(point, record, mapped, command));
                continue;
            }
            let Some(known) = known.next().flatten() else {
                self.unknown(batch, index, &mapped);
                continue;
            };
            match about_known(point, record, &mapped, known) {
                FromRecord::Repeat => batch.settle(index, accepted(known.item, Change::Repeat)),
                FromRecord::Merge => {
                    merges.push(ToMerge { index, record, item: known.item });
                }
                FromRecord::Send(sending) => {
                    sent.push((index, record, mapped.kind));
                    work.push(*sending);
                }
            }
        }
        let side = match along {
            Some(_) => self.side(batch, along),
            None => Side::default(),
        };
        if !work.is_empty() || !side.is_empty() {
            let replies = self.submit(point, work, side).await?;
            for ((index, record, kind), reply) in sent.into_iter().zip(replies) {
                match reply {
                    Reply::Changed { item, .. } => merges.push(ToMerge { index, record, item }),
                    reply => self.take_reply(batch, index, kind, reply),
                }
            }
        }
        self.merge_all(batch, merges).await
    }

    pub(crate) async fn submit(
        &self,
        point: &Point,
        work: Vec<Work>,
        side: Side,
    ) -> Result<Vec<Reply>, gantry_hub::Error> {
        self.hub.submit(Submission { actor: point.actor.clone(), work, side }).await
    }

    /// Asks the store which items the messages of a wave are about. Creates are for the hub to
    /// resolve.
    async fn resolve(
        &self,
        point: &Point,
        wave: &[Ready<'_>],
    ) -> Result<Vec<Option<Known>>, gantry_hub::Error> {
        let others = wave.iter().filter(|ready| ready.mapped.kind != MessageKind::Create);
        let queries: Vec<_> = others.map(|ready| ready.query(&point.name)).collect();
        self.known(&queries).await
    }

    async fn known(&self, keys: &[KeyQuery]) -> Result<Vec<Option<Known>>, gantry_hub::Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.store.known(keys).await;
        known.map_err(|error| unavailable(&error))
    }

    /// `true` if the wave has only creates of new items and repeats.
    async fn plain(&self, point: &Point, wave: &[Ready<'_>]) -> Result<bool, gantry_hub::Error> {
        if wave.iter().any(|ready| ready.mapped.kind != MessageKind::Create) {
            return Ok(false);
        }
        let queries: Vec<_> = wave.iter().map(|ready| ready.query(&point.name)).collect();
        let known = self.known(&queries).await?;
        Ok(known.iter().zip(wave).all(|(known, ready)| {
            known.is_none_or(|known| known.seen || known.hash == ready.mapped.hash)
        }))
    }

    /// What is stored beside the work: dead letters so far, and the position if it may move.
    fn side(&self, batch: &mut Batch<'_>, reading: Option<&Reading>) -> Side {
        let now = self.hub.now();
        let positions = reading.map_or_else(Vec::new, |reading| {
            // Of a wave under way everything counts as settled: only then does the position go
            // along.
            let settled =
                |index: usize| batch.settled[index].as_ref().is_none_or(Settled::is_final);
            let rows = reading.positions(settled).into_iter();
            rows.map(|(source_partition, position)| PositionRow {
                capture_point: batch.point.name.clone(),
                source_partition,
                position,
                at: now,
            })
            .collect()
        });
        let dead_letters = std::mem::take(&mut batch.dead_letters);
        Side { positions, dead_letters, ..Side::default() }
    }

    fn created(&self, point: &Point, record: &Incoming, mapped: Mapped, command: Command) -> Work {
        debug_assert!(matches!(command, Command::Capture(Capture { .. })));
        let mut document = self.document_row(&mapped.document);
        document.payload = point.kept_payload(record);
        document.content_type = document.payload.as_ref().and(record.content_type.clone());
        let message_id = record.message_id(&mapped.external_id);
        let key = CaptureKey {
            capture_point: point.name.clone(),
            external_id: mapped.external_id,
            message_id,
            hash: mapped.hash,
        };
        Work { command, key: Some(key), document: Some(document) }
    }

    /// Notes a refusal and its dead letter, which the next submission stores.
    pub(super) fn refuse(&self, batch: &mut Batch<'_>, index: usize, mut refused: Refused) {
        refused.external_id = refused.external_id.or(batch.external_ids[index].clone());
        let (point, record) = (&batch.point.name, &batch.records[index]);
        let bytes_max = self.limits.dead_letter_bytes_max;
        let row = dead_letter::of_record(point, record, &refused, self.hub.now(), bytes_max);
        let dead_letter = row.id.clone();
        let Refused { code, reason, .. } = refused;
        batch.dead_letters.push(DeadLetterChange::Put(row));
        batch.settle(index, Settled::Refused { code, reason, dead_letter });
    }

    /// A message about a key that was never captured: the end of something we do not have is
    /// nothing to us; anything else is a mistake in the source or in the mapping.
    fn unknown(&self, batch: &mut Batch<'_>, index: usize, mapped: &Mapped) {
        if matches!(mapped.kind, MessageKind::Cancel | MessageKind::Complete) {
            return batch.settle(index, filtered(None, "the item was never captured"));
        }
        let reason = format!("no work item has the external id {:?}", mapped.external_id);
        self.refuse(batch, index, Refused::new(CODE_UNKNOWN, reason, None));
    }

    pub(super) fn take_reply(
        &self,
        batch: &mut Batch<'_>,
        index: usize,
        kind: MessageKind,
        reply: Reply,
    ) {
        let settled = match reply {
            Reply::Created { item, .. } => accepted(item, Change::Created),
            Reply::Repeat { item } => accepted(item, Change::Repeat),
            Reply::Done { item: Some(item), .. }
                if matches!(
                    kind,
                    MessageKind::Create | MessageKind::Update | MessageKind::Reschedule
                ) =>
            {
                accepted(item, Change::Updated)
            }
            Reply::Done { item: Some(item), .. } => accepted(item, Change::Done),
            Reply::Ignored { item } => filtered(Some(item), "the capture point ignores changes"),
            Reply::Refused(refusal) => return self.take_refusal(batch, index, kind, refusal),
            Reply::Changed { .. }
            | Reply::Done { item: None, .. }
            | Reply::Booted { .. }
            | Reply::Moved { .. } => {
                Settled::Retry { reason: "the hub's answer does not fit the message".into() }
            }
        };
        batch.settle(index, settled);
    }

    fn take_refusal(
        &self,
        batch: &mut Batch<'_>,
        index: usize,
        kind: MessageKind,
        refusal: Refusal,
    ) {
        let reason = refusal.to_string();
        let (code, item) = match refusal {
            Refusal::Stale { .. } => return batch.settle(index, Settled::Retry { reason }),
            Refusal::UnknownItem { item } if kind != MessageKind::Create => {
                return batch.settle(index, filtered(Some(item), "the item has ended"));
            }
            Refusal::Conflict { item } | Refusal::Reopened { item } => (CODE_CONFLICT, Some(item)),
            Refusal::WrongState { item, .. } => (CODE_STATE, Some(item)),
            _ => (CODE_STATE, None),
        };
        self.refuse(batch, index, Refused::new(code, reason, item));
    }
}

impl<'a> Batch<'a> {
    fn new(point: &'a Point, records: &'a [Incoming]) -> Self {
        let n = records.len();
        let (settled, external_ids) = (vec![None; n], vec![None; n]);
        Self { point, records, settled, external_ids, dead_letters: Vec::new() }
    }

    pub(super) fn settle(&mut self, index: usize, settled: Settled) {
        self.settled[index] = Some(settled);
    }

    fn outcomes(self) -> Vec<Outcome> {
        let pairs = self.external_ids.into_iter().zip(self.settled);
        pairs
            .map(|(external_id, settled)| {
                let settled = settled.expect("invariant: every record of a batch is settled");
                Outcome { external_id, settled }
            })
            .collect()
    }
}

impl Ready<'_> {
    fn query(&self, capture_point: &Name) -> KeyQuery {
        let external_id = self.mapped.external_id.clone();
        let message_id = self.record.message_id(&external_id);
        KeyQuery { capture_point: capture_point.clone(), external_id, message_id }
    }
}

impl Refused {
    fn new(code: &'static str, reason: String, item: Option<ItemId>) -> Self {
        Self { code, reason, external_id: None, item }
    }
}

impl Reading {
    /// Of each source partition, the place after the last record of the settled prefix.
    pub(crate) fn positions(&self, settled: impl Fn(usize) -> bool) -> Vec<(String, Vec<u8>)> {
        let mut rows: Vec<(String, Vec<u8>)> = Vec::new();
        let mut blocked = BTreeSet::new();
        for (index, (partition, place)) in self.places.iter().enumerate() {
            let partition = partition.clone().unwrap_or_default();
            if blocked.contains(&partition) {
                continue;
            }
            if !settled(index) {
                blocked.insert(partition);
                continue;
            }
            let Some(place) = place else { continue };
            let position = place.as_bytes().to_vec();
            match rows.iter_mut().find(|(known, _)| *known == partition) {
                Some(row) => row.1 = position,
                None => rows.push((partition, position)),
            }
        }
        if let Some(after) = self.after.as_ref().filter(|_| blocked.is_empty()) {
            let after = (String::new(), after.as_bytes().to_vec());
            rows.retain(|(partition, _)| !partition.is_empty());
            rows.push(after);
        }
        rows
    }
}

/// Splits off the first record of each key; what comes back second keeps its order.
fn first_of_each_key(ready: Vec<Ready<'_>>) -> (Vec<Ready<'_>>, Vec<Ready<'_>>) {
    if ready.len() == 1 {
        return (ready, Vec::new());
    }
    let mut keys = BTreeSet::new();
    let firsts: Vec<bool> =
        ready.iter().map(|ready| keys.insert(ready.mapped.external_id.as_str())).collect();
    if keys.len() == ready.len() {
        return (ready, Vec::new());
    }
    let mut firsts = firsts.into_iter();
    ready.into_iter().partition(|_| firsts.next().unwrap_or(true))
}

/// What a message about an item that has its key asks for.
fn about_known(point: &Point, record: &Incoming, mapped: &Mapped, known: Known) -> FromRecord {
    let same = mapped.kind == MessageKind::Update && known.hash == mapped.hash;
    if known.seen || same {
        return FromRecord::Repeat;
    }
    let Some(command) = command_of(mapped, known.item) else { return FromRecord::Merge };
    // The key's hash stays what it was: this message brings no content.
    let key = record.message_id(&mapped.external_id).map(|message_id| CaptureKey {
        capture_point: point.name.clone(),
        external_id: mapped.external_id.clone(),
        message_id: Some(message_id),
        hash: known.hash,
    });
    FromRecord::Send(Box::new(Work { command, key, document: None }))
}

const fn accepted(item: ItemId, change: Change) -> Settled {
    Settled::Accepted { item, change }
}

pub(super) fn filtered(item: Option<ItemId>, reason: &'static str) -> Settled {
    Settled::Filtered { item, reason: reason.into() }
}

/// A store that cannot be read is a hub that cannot take work at the moment.
pub(crate) fn unavailable(error: &gantry_store::Error) -> gantry_hub::Error {
    gantry_hub::Error::Unavailable { reason: error.to_string() }
}
