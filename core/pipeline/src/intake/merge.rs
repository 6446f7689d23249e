//! Merging: new content for an item that is open, laid over its current document.

use gantry_hub::{CaptureKey, NewDocument, Side, Work};
use gantry_model::attribute::CAPTURED_AT;
use gantry_model::command::Holder;
use gantry_model::document::Lease;
use gantry_model::spec::MessageKind;
use gantry_model::{Command, Document, Hold, ItemId, Refusal, Reply, TraceParent, Value};

use super::settle::{Batch, ToMerge, unavailable};
use super::{Intake, Point, Refused};
use crate::outcome::Settled;

/// How often a change is merged anew because the item moved on meanwhile.
const ROUNDS_MAX: usize = 5;

/// An item's document with changes in it, and what the hub has to be told.
pub(super) struct Merged {
    pub(super) command: Command,
    pub(super) document: NewDocument,
}

/// What the change means beside its attributes.
#[derive(Clone, Debug, Default)]
pub(super) struct Update {
    /// `true` if it brings new dates for the item.
    pub(super) reschedule: bool,
    /// The agent who has the item, if an agent does it.
    pub(super) by: Option<Holder>,
    /// The trace that it came with.
    pub(super) traceparent: Option<TraceParent>,
    /// The source has lent it, or lent it again.
    pub(super) lease: Option<Lease>,
}

impl Intake {
    /// Merges each record with its item's document; one submission a round.
    pub(super) async fn merge_all(
        &self,
        batch: &mut Batch<'_>,
        mut merges: Vec<ToMerge<'_>>,
    ) -> Result<(), gantry_hub::Error> {
        for _ in 0..ROUNDS_MAX {
            if merges.is_empty() {
                return Ok(());
            }
            let (mut sent, mut work) = (Vec::new(), Vec::new());
            for merge in merges.drain(..) {
                match self.merge_record(batch.point, &merge).await? {
                    Ok(update) => {
                        sent.push(merge);
                        work.push(update);
                    }
                    Err(refused) => self.refuse(batch, merge.index, refused),
                }
            }
            let replies = self.submit(batch.point, work, Side::default()).await?;
            for (merge, reply) in sent.into_iter().zip(replies) {
                match reply {
                    Reply::Refused(Refusal::Stale { what: "revision", .. }) => merges.push(merge),
                    reply => self.take_reply(batch, merge.index, MessageKind::Update, reply),
                }
            }
        }
        for merge in merges {
            let reason = "the item changed too often meanwhile".into();
            batch.settle(merge.index, Settled::Retry { reason });
        }
        Ok(())
    }

    async fn merge_record(
        &self,
        point: &Point,
        merge: &ToMerge<'_>,
    ) -> Result<Result<Work, Refused>, gantry_hub::Error> {
        let mapped = match self.map(point, merge.record) {
            Ok(mapped) => mapped,
            Err(refused) => return Ok(Err(refused)),
        };
        let Document { attributes, traceparent, lease, .. } = mapped.document;
        let reschedule = mapped.kind == MessageKind::Reschedule;
        let how = Update { reschedule, by: None, traceparent, lease };
        let merged = self.merge(Some(point), merge.item, attributes, how).await?;
        let Merged { command, mut document } = merged;
        document.payload = point.kept_payload(merge.record);
        document.content_type = document.payload.as_ref().and(merge.record.content_type.clone());
        let key = CaptureKey {
            capture_point: point.name.clone(),
            message_id: merge.record.message_id(&mapped.external_id),
            external_id: mapped.external_id,
            hash: mapped.hash,
        };
        Ok(Ok(Work { command, key: Some(key), document: Some(document) }))
    }

    /// Lays attributes over an item's current document and asks the rules, unless the change makes
    /// a look-up's answer stale, or the item is held because something failed: then a new run does
    /// both.
    pub(super) async fn merge(
        &self,
        point: Option<&Point>,
        item: ItemId,
        attributes: impl IntoIterator<Item = (gantry_model::Name, Value)>,
        how: Update,
    ) -> Result<Merged, gantry_hub::Error> {
        let (base_revision, old) = self.document(item).await?;
        let mut document = old.clone();
        let ours = |name: &str| self.keeps_captured_at && name == CAPTURED_AT;
        for (name, value) in attributes.into_iter().filter(|(name, _)| !ours(name)) {
            document.set(name, value, None);
        }
        let mut rerun = true;
        let mut verdict = None;
        if let Some(point) = point {
            rerun = self.enrich.would_ask_anew(point, &old, &document)
                || (self.enrich.wanted(point, &document) && self.failed(item).await?);
            if !rerun {
                let (found, _) = self.rules.classify(&point.name, self.version, &mut document);
                verdict = Some(Box::new(found));
            }
        }
        let Update { reschedule, by, traceparent, lease } = how;
        document.traceparent = traceparent.or(document.traceparent);
        document.lease = lease.or(document.lease);
        let command = Command::Update { item, base_revision, rerun, verdict, reschedule, by };
        Ok(Merged { command, document: self.document_row(&document) })
    }

    /// `true` if the item is held because a look-up or rule failed.
    async fn failed(&self, item: ItemId) -> Result<bool, gantry_hub::Error> {
        let held = self.hub.query(move |state, _| {
            state.item(item).is_some_and(|item| matches!(item.hold, Hold::Error { .. }))
        });
        held.await
    }

    /// An item's latest document.
    pub(crate) async fn document(
        &self,
        item: ItemId,
    ) -> Result<(u32, Document), gantry_hub::Error> {
        let row = self.store.document(item, None).await.map_err(|error| unavailable(&error))?;
        let broken = |problem: String| gantry_hub::Error::Unavailable {
            reason: format!("the document of work item {item} cannot be read: {problem}"),
        };
        let row = row.ok_or_else(|| broken("it is not there".into()))?;
        let document = self.read_document(&row.attributes);
        Ok((row.revision, document.map_err(|error| broken(error.to_string()))?))
    }

    /// Reads a stored document with the types that the config declares.
    pub(crate) fn read_document(&self, bytes: &[u8]) -> Result<Document, serde_json::Error> {
        Document::from_slice(bytes, |name| self.spec.attribute_type(name))
    }
}
