//! Callbacks: life-cycle events to the sources that subscribe to them, from the journal.
//!
//! A subscriber reads the journal from its durable cursor, delivers in order per item and at least
//! once, and keeps its place by submissions to the hub. Start reading at [`lanes`], then
//! [`Subscriber::run`].

mod alerts;
mod counts;
mod delivery;
mod down;
mod lanes;

use std::sync::Arc;
use std::time::Duration;

use gantry_hub::{Committed, Side, Submission, Work};
use gantry_model::journal::Segment;
use gantry_model::{Actor, Event, ItemId, Millis, Name, Timestamp};
use gantry_plugin_host::api::ErrorClass;
use gantry_store::{
    CursorRow, DeadLetterChange, DeadLetterKind, DeadLetterRow, LaneChange, Resolution,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, jitter};
use crate::limits::Limits;
use crate::metered::Metered;
use crate::port::Trouble;
use crate::reach::Reach;
use crate::status::{CallbackStatus, State};

use alerts::ALERTS;
use counts::CallbackCounts;
pub(crate) use delivery::Caller;
use delivery::{Body, Called, Ended, idempotency_key};
use down::Down;
use lanes::{Due, Lanes, Place};

/// Code of an event that the other side refused.
const CODE_REFUSED: &str = "GANTRY-B001";
/// Code of an event that could not be delivered in all its attempts.
const CODE_EXHAUSTED: &str = "GANTRY-B002";
/// Segments read from the store at once.
const SEGMENTS_MAX: u32 = 100;
/// The cursor is stored at least this often, in commits, also if there is nothing to deliver.
const CURSOR_STORED_EVERY: u64 = 1000;
/// Questions of people that may wait.
const ASKS_MAX: usize = 16;

/// What a person asks of a lane that waits for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Try the event again.
    Retry,
    /// Go on without it.
    Skip,
}

type Asked = (ItemId, Ask, oneshot::Sender<Result<(), gantry_hub::Error>>);

/// Where people ask.
pub(crate) struct Desk {
    asks: mpsc::Sender<Asked>,
    counts: Arc<CallbackCounts>,
}

/// Delivers the events of one `[callback.NAME]`.
pub(crate) struct Subscriber {
    caller: Arc<Caller>,
    limits: Arc<Limits>,
    asks: mpsc::Receiver<Asked>,
    counts: Arc<CallbackCounts>,
    lanes: Lanes,
    /// The journal has to be read from the store.
    behind: bool,
    stored_cursor: Place,
    /// Calls, and how often the source had come back when they began.
    calls: JoinSet<(u64, Called)>,
    down: Down,
    backoff: Backoff,
    /// How often the source came back, see [`Reach`].
    returns: watch::Receiver<u64>,
}

/// What one submission has to keep.
#[derive(Default)]
struct Keep {
    work: Vec<Work>,
    lanes: Vec<LaneChange>,
    dead_letters: Vec<DeadLetterChange>,
}

impl Desk {
    /// Asks, and waits until it is durable.
    pub(crate) async fn ask(&self, item: ItemId, ask: Ask) -> Result<(), gantry_hub::Error> {
        let (answer, answered) = oneshot::channel();
        let stopped = gantry_hub::Error::Stopped;
        self.asks.send((item, ask, answer)).await.map_err(|_| stopped.clone())?;
        answered.await.map_err(|_| stopped)?
    }

    pub(crate) fn status(&self) -> CallbackStatus {
        self.counts.status()
    }
}

impl Subscriber {
    /// Takes up where the subscriber stood; a new one begins after commit `after_seq`.
    pub(crate) async fn open(
        mut caller: Caller,
        limits: Arc<Limits>,
        reach: &Arc<Reach>,
        after_seq: u64,
    ) -> Result<(Self, Desk), gantry_store::Error> {
        let (asks, receiver) = mpsc::channel(ASKS_MAX);
        let counts = Arc::new(CallbackCounts::new(caller.spec.source.clone()));
        let operations = Arc::clone(&counts.operations);
        let (port, returns) = (caller.port, reach.returns());
        caller.port = Arc::new(Metered { port, operations, reach: Arc::clone(reach) });
        let cursors = caller.store.cursors().await?;
        let stored = cursors.into_iter().find(|cursor| cursor.subscriber == caller.name);
        let rows = caller.store.lanes(&caller.name).await?;
        let subscriber = caller.name.clone();
        // What is not stored yet is told apart by a place that no cursor has.
        let stored_cursor = stored.as_ref().map_or((0, 0), |cursor| (cursor.seq, cursor.index));
        let cursor = stored.unwrap_or(CursorRow { subscriber, seq: after_seq, index: u32::MAX });
        let subscriber = Self {
            lanes: Lanes::new(&cursor, rows),
            caller: Arc::new(caller),
            asks: receiver,
            counts: Arc::clone(&counts),
            behind: true,
            stored_cursor,
            calls: JoinSet::new(),
            down: Down::default(),
            backoff: Backoff::new(&limits),
            returns,
            limits,
        };
        Ok((subscriber, Desk { asks, counts }))
    }

    /// Makes the place where the subscriber begins durable. Before that nothing may be captured
    /// that it has to be told of.
    ///
    /// # Errors
    /// The hub's.
    pub(crate) async fn settle_in(&mut self) -> Result<(), gantry_hub::Error> {
        if self.stored_cursor == (0, 0) {
            self.submit(&Keep::default()).await?;
        }
        Ok(())
    }

    /// Runs until `stop`; then the calls under way end, until `force`. What did not end is
    /// delivered again after the next start.
    pub(crate) async fn run(mut self, stop: CancellationToken, force: CancellationToken) {
        let mut committed = self.caller.hub.subscribe();
        while !stop.is_cancelled() {
            while self.behind && self.has_room() && !stop.is_cancelled() {
                if !self.read_store().await {
                    break;
                }
                self.start_calls();
            }
            self.start_calls();
            self.count();
            let reading = !self.behind && self.has_room();
            let wake_at = self.wake_at();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(called) = self.calls.join_next() => self.end_call(called, &force).await,
                Some(asked) = self.asks.recv() => self.answer(asked).await,
                Ok(()) = self.returns.changed() => self.hurry(),
                segment = committed.recv(), if reading => {
                    if !self.follow(segment) {
                        break;
                    }
                }
                () = until(wake_at) => {}
            }
            self.keep_cursor(&force).await;
        }
        while let Some(called) = tokio::select! {
            called = self.calls.join_next() => called,
            () = force.cancelled() => None,
        } {
            self.end_call(called, &force).await;
        }
    }

    fn has_room(&self) -> bool {
        let (open, retrying) = self.lanes.pending();
        open < self.limits.window_max && retrying < self.limits.window_max
    }

    /// Reads the next segments from the store. `true` if there may be more.
    async fn read_store(&mut self) -> bool {
        let (seq, index) = self.lanes.read();
        // The segment that the cursor stands in has to be read again, for the entries behind it.
        let after = if index == u32::MAX { seq } else { seq.saturating_sub(1) };
        let rows = match self.caller.store.segments(after, SEGMENTS_MAX).await {
            Ok(rows) => rows,
            Err(error) => {
                self.pause(&Trouble::new(ErrorClass::Transient, error.to_string()));
                return false;
            }
        };
        let last = rows.last().map_or(seq, |row| row.seq);
        self.behind = last > seq;
        for row in rows {
            match Segment::from_slice(&row.segment) {
                Ok(segment) => self.take(&segment),
                Err(error) => {
                    let message = format!("segment {} cannot be read: {error}", row.seq);
                    self.pause(&Trouble::new(ErrorClass::Permanent, message));
                    self.behind = true;
                    return false;
                }
            }
        }
        self.behind
    }

    /// Takes a segment that was just committed. `false`: the hub has stopped.
    fn follow(&mut self, segment: Result<Committed, RecvError>) -> bool {
        match segment {
            Ok(committed) => {
                let next = self.lanes.read().0 + 1;
                if committed.segment.seq == next {
                    self.take(&committed.segment);
                } else if committed.segment.seq > next {
                    self.behind = true;
                }
                true
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {
                self.behind = true;
                true
            }
            Err(broadcast::error::RecvError::Closed) => false,
        }
    }

    fn take(&mut self, segment: &Segment) {
        let read = self.lanes.read();
        for (index, entry) in segment.entries.iter().enumerate() {
            let place = (segment.seq, index as u32);
            if place <= read || !self.wants(&entry.event) {
                continue;
            }
            let lane = entry.event.item().unwrap_or(ALERTS);
            self.lanes.note(place, lane, entry.clone());
        }
        if (segment.seq, u32::MAX) > read {
            self.lanes.read_to((segment.seq, u32::MAX));
        }
    }

    fn wants(&self, event: &Event) -> bool {
        self.caller.spec.on.contains(event.name()) && self.caller.hears(event)
    }

    fn start_calls(&mut self) {
        if self.down.until(Instant::now()).is_some() {
            return;
        }
        let returns = *self.returns.borrow();
        let now = self.caller.hub.now();
        while self.calls.len() < self.limits.calls_max {
            // A lane with trouble goes alone: if one event breaks the call, it breaks only its own.
            let dues = match self.lanes.take_retry(now) {
                Some(due) => vec![due],
                None => self.lanes.take_ready(self.limits.deliveries_max),
            };
            if dues.is_empty() {
                return;
            }
            let call = Arc::clone(&self.caller).call(dues);
            self.calls.spawn(async move { (returns, call.await) });
        }
    }

    /// When a lane is tried again, or the callback as a whole.
    fn wake_at(&self) -> Option<Instant> {
        let now = self.caller.hub.now();
        let retry = self.lanes.next_retry_at().map(|at| Instant::now() + at.since(now).to_std());
        let full = self.calls.len() >= self.limits.calls_max;
        self.down.until(Instant::now()).or(retry.filter(|_| !full))
    }

    /// The source answers again: whatever waits for it goes soon, but not all at once.
    fn hurry(&mut self) {
        let first = self.limits.pause_first;
        self.down.hurry(Instant::now() + jitter(first));
        let (_, n_lanes) = self.lanes.pending();
        let spread = first.max(self.limits.return_pace.saturating_mul(n_lanes as u32));
        let now = self.caller.hub.now();
        self.lanes.hurry(|| now.plus(Millis(jitter(spread).as_millis() as i64)));
    }

    async fn end_call(
        &mut self,
        called: Result<(u64, Called), tokio::task::JoinError>,
        force: &CancellationToken,
    ) {
        let (returns, called) = match called {
            Ok(called) => called,
            Err(error) => {
                // The events of that call stay open; the next start delivers them.
                tracing::error!(callback = %self.caller.name, %error, "a call of a callback broke");
                return;
            }
        };
        let mut keep = Keep::default();
        match called {
            Called::Each(ended) => {
                for (due, ended) in ended {
                    self.end(due, ended, &mut keep).await;
                }
            }
            Called::Down(dues, trouble) => {
                for due in dues.iter().rev() {
                    self.lanes.put_back(due);
                }
                self.pause(&trouble);
            }
        }
        // Somebody got through while this call was on its way to fail.
        if *self.returns.borrow() > returns {
            self.hurry();
        }
        self.keep(keep, force).await;
    }

    async fn end(&mut self, due: Due, ended: Ended, keep: &mut Keep) {
        let now = self.caller.hub.now();
        match ended {
            Ended::Delivered(confirm, at) => {
                self.counts.delivered.add(1);
                self.counts.lag.note_late(at, now);
                self.counts.pulse.ok(now);
                self.backoff.reset();
                self.down.is_over();
                keep.work.extend(confirm.map(Work::new));
                self.settle(&due, now, keep).await;
            }
            Ended::NotMeant => self.settle(&due, now, keep).await,
            Ended::Retry(trouble, body) => {
                let attempts = due.attempts + 1;
                self.counts.pulse.trouble(State::BackingOff, now, &trouble);
                // It went early, in vain: as planned, and as if it had not gone.
                if let Some(planned) = due.planned.filter(|at| *at > now) {
                    return self.lanes.insist(&due, planned);
                }
                if attempts >= self.caller.spec.attempts {
                    if due.item == ALERTS {
                        return self.give_up(&due, &trouble, keep).await;
                    }
                    return self.bury(&due, attempts, CODE_EXHAUSTED, &trouble, body, keep);
                }
                self.counts.retried.add(1);
                let pause = self.retry_pause(attempts).max(trouble.after.unwrap_or_default());
                let next_at = now.plus(Millis(pause.as_millis() as i64));
                let change = self.lanes.hold_back(&due, attempts, Some(next_at), &trouble.message);
                keep.lanes.push(change);
                if trouble.after.is_some() {
                    self.lanes.insist(&Due { attempts, ..due }, next_at);
                }
            }
            Ended::Refused(trouble, body) => {
                self.counts.pulse.trouble(State::Running, now, &trouble);
                if due.item == ALERTS {
                    return self.give_up(&due, &trouble, keep).await;
                }
                self.bury(&due, due.attempts + 1, CODE_REFUSED, &trouble, body, keep);
            }
        }
    }

    fn retry_pause(&self, attempts: u32) -> Duration {
        let pauses = &self.limits.callback_pauses;
        let last = pauses.len().saturating_sub(1);
        let at = (attempts as usize).saturating_sub(1).min(last);
        jitter(pauses.get(at).copied().unwrap_or_default())
    }

    /// An event is settled: the next of its lane may go.
    async fn settle(&mut self, due: &Due, now: Timestamp, keep: &mut Keep) {
        let mut next = None;
        if due.exception {
            match self.next_of(due).await {
                Ok(found) => next = found,
                // Without the history nobody knows what follows; delivering this one again is safe.
                Err(error) => {
                    let message = format!("cannot read the history: {error}");
                    let next_at = now.plus(Millis::from_secs(1));
                    keep.lanes.push(self.lanes.hold_back(
                        due,
                        due.attempts,
                        Some(next_at),
                        &message,
                    ));
                    return;
                }
            }
        }
        keep.lanes.extend(self.lanes.settle(due, next, now));
    }

    /// The next event of a lane that was read already.
    async fn next_of(&self, due: &Due) -> Result<Option<Place>, gantry_store::Error> {
        if due.item == ALERTS {
            return self.next_alert(due).await;
        }
        let history = self.caller.store.history(due.item).await?;
        let read = self.lanes.read();
        let next = history.into_iter().find(|entry| {
            let place = (entry.seq, entry.index);
            place > due.place && place <= read && self.wants(&entry.entry.event)
        });
        Ok(next.map(|entry| (entry.seq, entry.index)))
    }

    /// An event becomes a dead letter, which blocks its lane.
    fn bury(
        &mut self,
        due: &Due,
        attempts: u32,
        code: &str,
        trouble: &Trouble,
        body: Body,
        keep: &mut Keep,
    ) {
        self.counts.dead.add(1);
        let reason = &trouble.message;
        keep.lanes.push(self.lanes.hold_back(due, attempts, None, reason));
        keep.dead_letters.push(DeadLetterChange::Put(DeadLetterRow {
            id: idempotency_key(&self.caller.name, due.item, due.place),
            kind: DeadLetterKind::Callback,
            origin: self.caller.name.clone(),
            external_id: body.external_id,
            item: Some(due.item),
            payload: body.payload,
            content_type: Some("application/json".into()),
            code: code.into(),
            class: Some(trouble.class.name().to_owned()),
            reason: reason.clone(),
            at: self.caller.hub.now(),
            attempts,
        }));
    }

    /// The callback as a whole waits.
    fn pause(&mut self, trouble: &Trouble) {
        let wants_person = matches!(
            trouble.class,
            ErrorClass::AuthDenied | ErrorClass::Config | ErrorClass::Unsupported
        );
        let now = Instant::now();
        let state = if wants_person { State::Stopped } else { State::BackingOff };
        match trouble.after {
            _ if wants_person => self.down.wait(now + self.limits.pause_stopped),
            Some(after) => self.down.wait(now + after),
            None => self.down.back_off(now, || self.backoff.next()),
        }
        tracing::warn!(callback = %self.caller.name, error = %trouble, "a callback waits");
        self.counts.pulse.trouble(state, self.caller.hub.now(), trouble);
    }

    async fn answer(&mut self, (item, ask, answer): Asked) {
        let Some(due) = self.lanes.dead_due(item) else {
            // The lane goes on already: somebody was faster.
            let _ = answer.send(Ok(()));
            return;
        };
        let now = self.caller.hub.now();
        let id = idempotency_key(&self.caller.name, item, due.place);
        let mut keep = Keep::default();
        let how = match ask {
            Ask::Retry => {
                keep.lanes.push(self.lanes.hold_back(&due, 0, Some(now), "to be tried again"));
                Resolution::Retried
            }
            Ask::Skip => {
                self.settle(&due, now, &mut keep).await;
                Resolution::Skipped
            }
        };
        keep.dead_letters.push(DeadLetterChange::Resolve { id, how, at: now });
        let done = self.submit(&keep).await;
        if done.is_err() {
            // Nothing was stored, so the lane waits on.
            self.lanes.hold_back(&due, due.attempts, None, "");
        }
        // Whoever asked may have left.
        let _ = answer.send(done);
    }

    async fn keep_cursor(&mut self, force: &CancellationToken) {
        let (seq, _) = self.lanes.cursor();
        if seq >= self.stored_cursor.0 + CURSOR_STORED_EVERY {
            self.keep(Keep::default(), force).await;
        }
    }

    /// Stores how things stand, however long that takes: until then nothing new is delivered.
    async fn keep(&mut self, keep: Keep, force: &CancellationToken) {
        let mut backoff = Backoff::new(&self.limits);
        loop {
            let error = match self.submit(&keep).await {
                Ok(()) => return,
                Err(error) => error,
            };
            if matches!(error, gantry_hub::Error::Stopped | gantry_hub::Error::Fatal { .. }) {
                return;
            }
            tracing::warn!(callback = %self.caller.name, %error, "a callback waits for the hub");
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = force.cancelled() => return,
            }
        }
    }

    async fn submit(&mut self, keep: &Keep) -> Result<(), gantry_hub::Error> {
        let cursor = self.lanes.cursor();
        let moved = cursor != self.stored_cursor;
        let subscriber = self.caller.name.clone();
        let row = CursorRow { subscriber, seq: cursor.0, index: cursor.1 };
        let side = Side {
            cursors: if moved { vec![row] } else { Vec::new() },
            lanes: keep.lanes.clone(),
            dead_letters: keep.dead_letters.clone(),
            ..Side::default()
        };
        let work: Vec<_> = keep.work.iter().map(|work| Work::new(work.command.clone())).collect();
        if side.is_empty() && work.is_empty() {
            return Ok(());
        }
        self.caller.hub.submit(Submission { actor: self.actor(), work, side }).await?;
        self.stored_cursor = cursor;
        Ok(())
    }

    /// A confirmation comes from the source that took the callback.
    fn actor(&self) -> Actor {
        Actor::Source(self.caller.spec.source.clone())
    }

    fn count(&self) {
        self.counts.stands(&self.lanes);
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Capture points whose items a callback is told of: those it names, else those of its source.
pub(crate) fn captures_of(
    spec: &gantry_model::spec::Spec,
    callback: &gantry_model::spec::CallbackSpec,
) -> std::collections::BTreeSet<Name> {
    if !callback.captures.is_empty() {
        return callback.captures.clone();
    }
    let of_source =
        spec.captures.iter().filter(|(_, point)| point.source.as_ref() == Some(&callback.source));
    of_source.map(|(name, _)| name.clone()).collect()
}
