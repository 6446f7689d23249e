//! Runs: look-ups and rules for items that wait for them, each ending in one `EndRun`.
//!
//! The engine says in its events which runs begin; the ones that were open at boot, and those
//! missed because this part fell behind, are asked of the hub. A run that the item has overtaken is
//! dropped.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use gantry_hub::{Committed, Side, Submission, Work};
use gantry_model::command::{RunId, Verdict};
use gantry_model::{Actor, Command, Event, ItemId, Name, Refusal, Reply};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::intake::Intake;
use crate::status::{Count, RunStatus};

/// Items whose run is known to wait; of more, the hub is asked again later.
const WAITING_MAX: usize = 100_000;
/// Runs that one question to the hub brings.
const ASK_MAX: usize = 256;

/// Makes the runs.
pub(crate) struct Runs {
    intake: Arc<Intake>,
    counts: Arc<RunCounts>,
    waiting: BTreeSet<ItemId>,
    under_way: BTreeSet<ItemId>,
    /// Of items under way: a newer run has begun meanwhile.
    again: BTreeSet<ItemId>,
    /// Not all open runs are in `waiting`.
    incomplete: bool,
    tasks: JoinSet<Ended>,
    /// What each task is about, in case it panics.
    about: HashMap<tokio::task::Id, RunId>,
}

#[derive(Debug, Default)]
pub(crate) struct RunCounts {
    ended: Count,
    stale: Count,
    failed: Count,
    under_way: Count,
}

/// A run that is to be made.
struct Open {
    run: RunId,
    capture_point: Name,
}

/// How making a run ended.
struct Ended {
    item: ItemId,
    /// The item has moved on, and wants another run.
    again: bool,
}

impl RunCounts {
    pub(crate) fn status(&self) -> RunStatus {
        RunStatus {
            ended: self.ended.read(),
            stale: self.stale.read(),
            failed: self.failed.read(),
            under_way: self.under_way.read(),
        }
    }
}

impl Runs {
    pub(crate) fn new(intake: Arc<Intake>, counts: Arc<RunCounts>) -> Self {
        Self {
            intake,
            counts,
            waiting: BTreeSet::new(),
            under_way: BTreeSet::new(),
            again: BTreeSet::new(),
            incomplete: true,
            tasks: JoinSet::new(),
            about: HashMap::new(),
        }
    }

    /// Runs until `stop`; then those under way end, until `force`. What is dropped is made again at
    /// the next start.
    pub(crate) async fn run(mut self, stop: CancellationToken, force: CancellationToken) {
        let mut committed = self.intake.hub.subscribe();
        loop {
            if !self.start_some().await {
                break;
            }
            self.counts.under_way.set(self.tasks.len() as u64);
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = self.tasks.join_next_with_id() => self.end(ended),
                segment = committed.recv() => match segment {
                    Ok(committed) => self.follow(&committed),
                    Err(RecvError::Lagged(_)) => self.incomplete = true,
                    Err(RecvError::Closed) => break,
                },
            }
        }
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = all_ended => {}
            () = force.cancelled() => {}
        }
    }

    fn follow(&mut self, committed: &Committed) {
        for entry in &committed.segment.entries {
            if let Event::RunStarted { item, .. } = entry.event {
                self.note(item);
            }
        }
    }

    fn note(&mut self, item: ItemId) {
        if self.under_way.contains(&item) {
            self.again.insert(item);
        } else if self.waiting.len() < WAITING_MAX {
            self.waiting.insert(item);
        } else {
            self.incomplete = true;
        }
    }

    fn end(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, Some(ended)),
            Err(error) => (error.id(), None),
        };
        let Some(run) = self.about.remove(&id) else { return };
        let Some(Ended { item, again }) = ended else {
            tracing::error!(item = %run.item, "a run of look-ups and rules panicked");
            let intake = Arc::clone(&self.intake);
            return self.spawn(run, async move { fail(&intake, run).await });
        };
        self.under_way.remove(&item);
        if self.again.remove(&item) || again {
            self.note(item);
        }
    }

    fn spawn(&mut self, run: RunId, task: impl Future<Output = Ended> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.about.insert(id, run);
    }

    /// Starts waiting runs as far as there is room. `false`: the hub has stopped.
    async fn start_some(&mut self) -> bool {
        let runs_max = self.intake.limits.runs_max;
        if self.tasks.len() >= runs_max {
            return true;
        }
        if self.incomplete && self.waiting.is_empty() {
            let open = self.intake.hub.query(|state, _| {
                let open = state.items().filter(|item| item.run_open).map(|item| item.id);
                open.take(WAITING_MAX).collect::<Vec<_>>()
            });
            let Ok(open) = open.await else { return false };
            self.incomplete = open.len() == WAITING_MAX;
            for item in open {
                self.note(item);
            }
        }
        let room = (runs_max - self.tasks.len()).min(ASK_MAX);
        let items: Vec<_> = self.waiting.iter().copied().take(room).collect();
        if items.is_empty() {
            return true;
        }
        for item in &items {
            self.waiting.remove(item);
        }
        let open = self.intake.hub.query(move |state, _| {
            let items = items.into_iter().filter_map(|id| state.item(id));
            let open = items.filter(|item| item.run_open);
            open.map(|item| Open {
                run: RunId { item: item.id, revision: item.revision, run: item.run },
                capture_point: item.capture_point.clone(),
            })
            .collect::<Vec<_>>()
        });
        let Ok(open) = open.await else { return false };
        for open in open {
            self.under_way.insert(open.run.item);
            let (intake, counts) = (Arc::clone(&self.intake), Arc::clone(&self.counts));
            self.spawn(open.run, async move { make(&intake, &counts, open).await });
        }
        true
    }
}

async fn make(intake: &Intake, counts: &RunCounts, open: Open) -> Ended {
    let item = open.run.item;
    let mut backoff = Backoff::new(&intake.limits);
    loop {
        let reply = match attempt(intake, &open).await {
            Ok(reply) => reply,
            Err(gantry_hub::Error::Stopped | gantry_hub::Error::Fatal { .. }) => {
                return Ended { item, again: false };
            }
            Err(error) => {
                tracing::warn!(%item, %error, "a run waits for the hub");
                tokio::time::sleep(backoff.next()).await;
                continue;
            }
        };
        return match reply {
            // The rules of another config version have to be asked: by the pipeline that has them.
            Some(Reply::Refused(Refusal::Stale { what, .. })) => {
                counts.stale.add(1);
                Ended { item, again: what != "config version" }
            }
            Some(Reply::Refused(refusal)) => {
                counts.stale.add(1);
                tracing::debug!(%item, %refusal, "a run ended in vain");
                Ended { item, again: false }
            }
            Some(_) => {
                counts.ended.add(1);
                Ended { item, again: false }
            }
            None => {
                counts.failed.add(1);
                Ended { item, again: false }
            }
        };
    }
}

/// Ends a run that panicked: its item is held, so that somebody sees it.
async fn fail(intake: &Intake, RunId { item, revision, run }: RunId) -> Ended {
    let reason = "the hub failed while it classified the item; the log says how".to_owned();
    let verdict = Box::new(Verdict::Failed { reason, retry_at: None });
    let command = Command::EndRun { item, revision, run, enriched: false, verdict };
    if let Err(error) = intake.hub.command(Actor::Hub, command).await {
        tracing::error!(%item, %error, "a run that panicked stays open until the next start");
    }
    Ended { item, again: false }
}

/// Makes a run once. `None`: it ended with a failure, which the item shows.
async fn attempt(intake: &Intake, open: &Open) -> Result<Option<Reply>, gantry_hub::Error> {
    let RunId { item, revision, run } = open.run;
    let row = intake.store.document(item, Some(revision)).await;
    let row = row.map_err(|error| gantry_hub::Error::Unavailable { reason: error.to_string() })?;
    let failed = |reason: String| Verdict::Failed { reason, retry_at: None };
    let old = match row.map(|row| intake.read_document(&row.attributes)) {
        Some(Ok(document)) => Ok(document),
        Some(Err(error)) => Err(failed(format!("its document cannot be read: {error}"))),
        None => Err(failed(format!("revision {revision} of its document is missing"))),
    };
    let (verdict, document) = match (old, intake.point(&open.capture_point)) {
        (Err(verdict), _) => (verdict, None),
        (_, None) => {
            let point = &open.capture_point;
            (failed(format!("its capture point {point:?} is not configured any more")), None)
        }
        (Ok(old), Some(point)) => {
            let mut document = old.clone();
            match intake.enrich.run(point, item, &mut document).await {
                Ok(()) => {
                    let version = intake.version;
                    let (verdict, _) = intake.rules.classify(&point.name, version, &mut document);
                    (verdict, (document != old).then_some(document))
                }
                Err(held) => {
                    let retry_at = held.retry.map(|span| intake.hub.now().plus(span));
                    (Verdict::Failed { reason: held.reason, retry_at }, None)
                }
            }
        }
    };
    let document = document.map(|document| intake.document_row(&document));
    let succeeded = !matches!(verdict, Verdict::Failed { .. });
    let verdict = Box::new(verdict);
    let enriched = document.is_some();
    let command = Command::EndRun { item, revision, run, enriched, verdict };
    let work = Work { command, key: None, document };
    let submission = Submission { actor: Actor::Hub, work: vec![work], side: Side::default() };
    let reply = intake.hub.submit(submission).await?.pop();
    Ok(reply.filter(|reply| succeeded || matches!(reply, Reply::Refused(_))))
}
