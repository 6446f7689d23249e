//! Walks that go on in the next poll, and the rows that need not be given again.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hash};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use gantry_plugin_api::{Batch, Outcome, Position, Record, RecordOutcome};

/// Rows remembered as settled, for each capture point; beyond that some are given again in vain.
const N_SEEN_MAX: usize = 100_000;

/// What is known of each capture point, by name; it only ever saves work. `S` is the kind of sweep.
#[derive(Debug)]
pub struct Sweeps<S> {
    memories: Mutex<BTreeMap<String, Memory<S>>>,
    /// Keys of the hashes, drawn anew by each process: nobody can make two rows look alike.
    keys: [RandomState; 2],
}

#[derive(Debug)]
struct Memory<S> {
    /// Begun and not ended, and the position its last batch ended at.
    sweep: Option<(S, Option<Position>)>,
    /// A record has to be given again: the running sweep has passed it, so another must start.
    redo: bool,
    round: u64,
    /// Settled rows: key → content, and the round that last saw it.
    seen: HashMap<Digest, (Digest, u64)>,
}

type Digest = [u8; 16];

impl<S> Sweeps<S> {
    /// Gives the sweep that was begun, if the hub goes on where its last batch ended. It is taken
    /// out while it works: a poll that fails or is called off starts another.
    pub fn resume(&self, name: &str, from: Option<&Position>) -> Option<S> {
        self.with(name, |memory| {
            memory.redo = false;
            let (sweep, end) = memory.sweep.take()?;
            (end.as_ref() == from).then_some(sweep)
        })
    }

    /// The record, unless it is settled and has not changed since. `key` names its row; version and
    /// payload are its content. Sets the record's token.
    pub fn unsettled(&self, name: &str, key: &[u8], mut record: Record) -> Option<Record> {
        let token = self.fresh(name, key, (&record.version, &*record.payload))?;
        record.ack_token = Some(token);
        Some(record)
    }

    /// The token for the record of a row, unless the row is settled with this content: for those
    /// who look before they fetch the rest of the record. [`Sweeps::settle`] knows a record by it.
    pub fn fresh(&self, name: &str, key: impl Hash, content: impl Hash) -> Option<Bytes> {
        let (key, content) = (self.digest(key), self.digest(content));
        let is_settled = self.with(name, |memory| {
            let round = memory.round;
            memory.seen.get_mut(&key).is_some_and(|(settled, met)| {
                *met = round;
                *settled == content
            })
        });
        (!is_settled).then(|| [key, content].concat().into())
    }

    /// Makes the batch of a poll, and keeps the sweep for the next one; none if it has ended: there
    /// are no more rows in its window.
    pub fn pause(
        &self,
        name: &str,
        sweep: Option<S>,
        position_after: Option<Position>,
        records: Vec<Record>,
    ) -> Batch {
        let ended = sweep.is_none();
        let redo = self.with(name, |memory| {
            if ended {
                // What this round did not meet has left the window.
                let round = memory.round;
                memory.seen.retain(|_, (_, met)| *met == round);
                memory.round += 1;
            }
            let kept = sweep.filter(|_| !memory.redo);
            memory.sweep = kept.map(|sweep| (sweep, position_after.clone()));
            memory.redo
        });
        Batch { records, position_after, more: !ended || redo }
    }

    /// Learns what became of records; call it from `Capture::acknowledge`.
    pub fn settle(&self, name: &str, outcomes: &[RecordOutcome]) {
        self.with(name, |memory| {
            for outcome in outcomes {
                match outcome.outcome {
                    Outcome::Retry => {
                        memory.redo = true;
                        memory.sweep = None;
                    }
                    Outcome::Accepted | Outcome::Filtered | Outcome::Refused => {
                        memory.remember(outcome.ack_token.as_deref());
                    }
                }
            }
        });
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Memory<S>) -> T) -> T {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        match memories.get_mut(name) {
            Some(memory) => act(memory),
            None => act(memories.entry(name.to_owned()).or_default()),
        }
    }

    fn digest(&self, value: impl Hash) -> Digest {
        let [high, low] = self.keys.each_ref().map(|key| key.hash_one(&value));
        ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
    }
}

impl<S> Default for Sweeps<S> {
    fn default() -> Self {
        Self { memories: Mutex::default(), keys: Default::default() }
    }
}

impl<S> Default for Memory<S> {
    fn default() -> Self {
        Self { sweep: None, redo: false, round: 0, seen: HashMap::new() }
    }
}

impl<S> Memory<S> {
    fn remember(&mut self, token: Option<&[u8]>) {
        let Some((key, content)) = split(token) else {
            return;
        };
        if self.seen.len() < N_SEEN_MAX || self.seen.contains_key(&key) {
            self.seen.insert(key, (content, self.round));
        }
    }
}

fn split(token: Option<&[u8]>) -> Option<(Digest, Digest)> {
    let (key, content) = token?.split_at_checked(16)?;
    Some((key.try_into().ok()?, content.try_into().ok()?))
}
