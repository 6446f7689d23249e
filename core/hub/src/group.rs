//! The group of work that the next commit covers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gantry_engine::State;
use gantry_model::command::{ContentHash, Known};
use gantry_model::journal::{Entry, Segment};
use gantry_model::{Command, Event, ItemId, Name, Refusal, Reply, Timestamp};
use gantry_store::{
    AgentChange, AlertChange, AlertRow, Commit, CustomerRow, DocumentRow, ItemHead, ItemRow,
    KeyRow, MessageRow,
};
use tokio::sync::oneshot;

use crate::handle::Committed;
use crate::work::{CaptureKey, Head, NewDocument, Side, Submission, Work};

/// Version of the program, written into every segment.
const BINARY: &str = env!("CARGO_PKG_VERSION");

/// Work that was decided and applied, and whose commit has not begun.
#[derive(Default)]
pub(crate) struct Group {
    entries: Vec<Entry>,
    side: Side,
    documents: Vec<DocumentRow>,
    keys: Vec<KeyRow>,
    messages: Vec<MessageRow>,
    /// List columns that come from attributes, of items whose document changed.
    heads: BTreeMap<ItemId, ItemHead>,
    /// Customers of items whose document changed.
    customers: BTreeMap<ItemId, String>,
    pub(crate) replies: Vec<(oneshot::Sender<Vec<Reply>>, Vec<Reply>)>,
    /// Answers of queries, opened after the commit.
    pub(crate) queries: Vec<oneshot::Sender<()>>,
    pub(crate) commands: u64,
}

/// Keys that were decided upon but that a reader of the store may not see yet.
#[derive(Default)]
pub(crate) struct Overlay {
    keys: HashMap<(Name, String), (ItemId, ContentHash, u64)>,
    messages: HashMap<(Name, String), (ItemId, u64)>,
}

impl Group {
    /// `true` if nothing has to be stored.
    pub(crate) fn is_idle(&self) -> bool {
        self.entries.is_empty()
            && self.side.is_empty()
            && self.keys.is_empty()
            && self.messages.is_empty()
    }

    /// `true` if nobody waits for an answer either.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_idle() && self.replies.is_empty() && self.queries.is_empty()
    }

    /// Decides and applies a submission. `known` holds what the store knew of each key, in the
    /// order of the work that has a key; `seq` is the commit that will cover it.
    pub(crate) fn take(
        &mut self,
        state: &mut State,
        now: Timestamp,
        submission: Submission,
        mut known: impl Iterator<Item = Option<Known>>,
        overlay: &mut Overlay,
        seq: u64,
    ) -> Vec<Reply> {
        let Submission { actor, work, side } = submission;
        let mut replies = Vec::with_capacity(work.len());
        for mut work in work {
            if let (Some(key), Command::Capture(capture)) = (&work.key, &mut work.command) {
                capture.known = overlay.known(key).or(known.next().flatten());
            }
            let step = gantry_engine::step(state, now, actor.clone(), &work.command);
            self.commands += 1;
            self.keep(&step.reply, work, now, overlay, seq);
            self.entries.extend(step.entries);
            replies.push(step.reply);
        }
        // A record that has to be merged anew is not settled: what goes with it, above all the
        // source's position, has to wait for the submission that settles it.
        if !replies.iter().any(unsettled) {
            self.merge(side);
        }
        replies
    }

    /// Lets time pass.
    pub(crate) fn tick(&mut self, state: &mut State, now: Timestamp, command: &Command) -> Reply {
        let step = gantry_engine::step(state, now, gantry_model::Actor::Hub, command);
        self.entries.extend(step.entries);
        step.reply
    }

    /// Notes the rows that belong to the reply of one command.
    fn keep(&mut self, reply: &Reply, work: Work, now: Timestamp, overlay: &mut Overlay, seq: u64) {
        let (item, revision) = match reply {
            Reply::Created { item, .. } => (*item, Some(1)),
            Reply::Done { item: Some(item), revision, .. } => (*item, *revision),
            Reply::Repeat { item } | Reply::Ignored { item } => (*item, None),
            _ => return,
        };
        let fresh = revision.is_some();
        if let (Some(document), Some(revision)) = (work.document, revision) {
            let external_id = match reply {
                Reply::Created { .. } => work.key.as_ref().map(|key| key.external_id.clone()),
                _ => None,
            };
            self.keep_document(item, revision, document, external_id);
        }
        if let Some(key) = work.key {
            overlay.note(&key, item, fresh, seq);
            self.keep_key(key, item, fresh, now);
        }
    }

    fn keep_document(
        &mut self,
        item: ItemId,
        revision: u32,
        document: NewDocument,
        external_id: Option<String>,
    ) {
        let NewDocument { attributes, payload, content_type, head } = document;
        let Head { name, source_url, customer } = head;
        if let Some(customer) = customer {
            self.customers.insert(item, customer);
        }
        let known_id = self.heads.remove(&item).and_then(|head| head.external_id);
        let external_id = external_id.or(known_id);
        self.heads.insert(item, ItemHead { external_id, name, source_url });
        self.documents.push(DocumentRow { item, revision, attributes, payload, content_type });
    }

    fn keep_key(&mut self, key: CaptureKey, item: ItemId, fresh: bool, now: Timestamp) {
        let CaptureKey { capture_point, external_id, message_id, hash } = key;
        if let Some(message_id) = message_id {
            let capture_point = capture_point.clone();
            self.messages.push(MessageRow { capture_point, message_id, item, at: now });
        }
        if fresh {
            self.keys.push(KeyRow { capture_point, external_id, item, hash });
        }
    }

    fn merge(&mut self, side: Side) {
        let Side { positions, moved_positions, pauses, cursors, lanes, dead_letters, configs } =
            side;
        self.side.positions.extend(positions);
        self.side.moved_positions.extend(moved_positions);
        self.side.pauses.extend(pauses);
        self.side.cursors.extend(cursors);
        self.side.lanes.extend(lanes);
        self.side.dead_letters.extend(dead_letters);
        self.side.configs.extend(configs);
    }

    /// Makes the commit: one journal segment and the latest form of everything that changed.
    pub(crate) fn close(
        &mut self,
        state: &mut State,
        seq: u64,
        now: Timestamp,
    ) -> (Commit, Committed) {
        let changes = state.take_changes();
        let entries = std::mem::take(&mut self.entries);
        let segment = Segment { seq, binary: BINARY.into(), entries };
        let mut heads = std::mem::take(&mut self.heads);
        let items = changes
            .items
            .into_iter()
            .map(|item| ItemRow { head: heads.remove(&item.id), item })
            .collect();
        debug_assert!(heads.is_empty(), "invariant: an item with a new document has changed");
        let Side { positions, moved_positions, pauses, cursors, lanes, dead_letters, configs } =
            std::mem::take(&mut self.side);
        let customers = std::mem::take(&mut self.customers).into_iter();
        let commit = Commit {
            seq,
            at: now,
            segment: segment.to_vec(),
            next_counter: changes.next_counter,
            config_version: changes.config_version,
            items,
            agents: changes.agents.into_iter().map(agent_row).collect(),
            documents: std::mem::take(&mut self.documents),
            keys: last_of_each_key(std::mem::take(&mut self.keys)),
            customers: customers.map(|(item, customer)| CustomerRow { item, customer }).collect(),
            messages: std::mem::take(&mut self.messages),
            positions,
            moved_positions,
            pauses,
            cursors,
            lanes,
            dead_letters,
            configs,
            alerts: segment.entries.iter().filter_map(alert_change).collect(),
        };
        (commit, Committed { segment: Arc::new(segment) })
    }
}

/// `true` if the same work has to be submitted again in another form.
const fn unsettled(reply: &Reply) -> bool {
    matches!(reply, Reply::Changed { .. } | Reply::Refused(Refusal::Stale { .. }))
}

fn alert_change(entry: &Entry) -> Option<AlertChange> {
    match &entry.event {
        Event::AlertRaised { alert, value } => {
            let (alert, raised_at, value) = (alert.clone(), entry.at, *value);
            Some(AlertChange::Raise(AlertRow { alert, raised_at, value }))
        }
        Event::AlertCleared { alert, .. } => Some(AlertChange::Clear(alert.clone())),
        _ => None,
    }
}

fn agent_row(change: gantry_engine::AgentChange) -> AgentChange {
    match change {
        gantry_engine::AgentChange::Put(agent) => AgentChange::Put(agent),
        gantry_engine::AgentChange::Remove(agent) => AgentChange::Remove(agent),
    }
}

/// One row a key, the latest: a multi-row upsert may not touch a row twice.
fn last_of_each_key(rows: Vec<KeyRow>) -> Vec<KeyRow> {
    let mut latest = BTreeMap::new();
    for row in rows {
        latest.insert((row.capture_point.clone(), row.external_id.clone()), row);
    }
    latest.into_values().collect()
}

impl Overlay {
    fn known(&self, key: &CaptureKey) -> Option<Known> {
        if self.keys.is_empty() && self.messages.is_empty() {
            return None;
        }
        let message = key.message_id.as_ref().and_then(|id| {
            self.messages.get(&(key.capture_point.clone(), id.clone())).map(|(item, _)| *item)
        });
        let row = self.keys.get(&(key.capture_point.clone(), key.external_id.clone()));
        match (message, row) {
            (Some(item), row) => {
                let hash = row.map_or(key.hash, |(_, hash, _)| *hash);
                Some(Known { item, hash, seen: true })
            }
            (None, Some((item, hash, _))) => Some(Known { item: *item, hash: *hash, seen: false }),
            (None, None) => None,
        }
    }

    fn note(&mut self, key: &CaptureKey, item: ItemId, fresh: bool, seq: u64) {
        if fresh {
            let row = (item, key.hash, seq);
            self.keys.insert((key.capture_point.clone(), key.external_id.clone()), row);
        }
        if let Some(message_id) = &key.message_id {
            self.messages.insert((key.capture_point.clone(), message_id.clone()), (item, seq));
        }
    }

    /// Forgets what commit `seq` and those before it have made visible to readers.
    pub(crate) fn forget(&mut self, seq: u64) {
        self.keys.retain(|_, (_, _, covered_by)| *covered_by > seq);
        self.messages.retain(|_, (_, covered_by)| *covered_by > seq);
    }
}
