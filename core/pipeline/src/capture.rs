//! Feeding a capture point: poll or stream, settle, acknowledge, and again.
//!
//! A batch is settled and its position stored before the source hears of it. While the hub takes no
//! work, the batch is kept and nothing new is asked for. The class of an error decides what
//! happens; see `react`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use gantry_hub::{Side, Submission};
use gantry_model::document::Lease;
use gantry_model::spec::{CAPTURE_TIMEOUT, CaptureSpec, MessageKind};
use gantry_model::{Millis, Name, Timestamp, TraceParent};
use gantry_plugin_host::api::{
    self as api, Batch, CaptureMode, ErrorClass, Position, Record, RecordOutcome,
};
use gantry_store::PositionRow;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::control::Control;
use crate::intake::{Incoming, Intake, Point, Reading};
use crate::outcome::{Outcome, Settled};
use crate::port::{CapturePort, Trouble};
use crate::reach::{Patience, Reach};
use crate::schedule::Schedule;
use crate::status::{Pulse, State};

/// Hub time may run a little faster or slower than timers do: whoever waits looks at it this often.
const LOOK_AT_CLOCK: Millis = Millis::from_secs(30);

/// How a capture point gets its records.
#[derive(Clone, Debug)]
pub(crate) enum Feed {
    /// Ask by a schedule.
    Poll(Schedule),
    /// Listen.
    Stream,
}

impl Feed {
    /// How a capture point is fed by a plug-in with these ways to give records; `None`: by requests
    /// only.
    pub(crate) fn of(spec: &CaptureSpec, modes: &[CaptureMode]) -> Option<Self> {
        match Schedule::new(spec) {
            Some(schedule) if modes.contains(&CaptureMode::Poll) => Some(Self::Poll(schedule)),
            _ if modes.contains(&CaptureMode::Stream) => Some(Self::Stream),
            _ => None,
        }
    }

    /// How a capture point is fed, in a word.
    pub(crate) const fn name(feed: Option<&Self>) -> &'static str {
        match feed {
            Some(Self::Poll(_)) => "poll",
            Some(Self::Stream) => "stream",
            None => "requests",
        }
    }
}

/// Feeds one capture point.
pub(crate) struct Feeder {
    pub(crate) name: Name,
    pub(crate) intake: Arc<Intake>,
    pub(crate) port: Arc<dyn CapturePort>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) control: Arc<Control>,
    pub(crate) reach: Arc<Reach>,
}

/// Ends the feeder: the hub or the pipeline stops.
struct Stop;

/// Whether a batch left something to be handed over again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
}

impl Feeder {
    /// Runs until `stop`, in turns: a pause, and a position that somebody moves, end a turn. A
    /// batch that was taken is settled and acknowledged first, if the hub takes work.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            let _turn = tokio::select! {
                turn = self.control.turn() => turn,
                () = stop.cancelled() => break,
            };
            let interrupt = stop.child_token();
            let mut turn = std::pin::pin!(self.turn(&interrupt));
            tokio::select! {
                () = &mut turn => {}
                () = self.control.interrupted() => {
                    interrupt.cancel();
                    turn.await;
                }
            }
            if stop.is_cancelled() || !interrupt.is_cancelled() {
                break;
            }
        }
        tracing::debug!(capture_point = %self.name, "capture point stopped");
    }

    /// Reads on from the stored position, until `stop` or until the hub is gone.
    async fn turn(&self, stop: &CancellationToken) {
        let Err(Stop) = match Feed::of(&self.point().spec, &self.port.modes()) {
            Some(Feed::Poll(schedule)) => self.poll(&schedule, stop).await,
            Some(Feed::Stream) => self.stream(stop).await,
            // A plug-in that is reloaded may feed it in another way: that ends the turn.
            None => {
                stop.cancelled().await;
                Err(Stop)
            }
        };
    }

    async fn poll(
        &self,
        schedule: &Schedule,
        stop: &CancellationToken,
    ) -> Result<Infallible, Stop> {
        if !schedule.begins_at_once() {
            self.until_next(schedule, stop).await?;
        }
        let mut from = self.stored_position(stop).await?;
        let mut backoff = Backoff::new(&self.intake.limits);
        let mut patience = Patience::new(&self.reach);
        let limit = self.point().spec.batch.max(1);
        loop {
            patience.asks();
            let polled = tokio::select! {
                polled = self.in_time(self.port.poll(from.clone(), limit)) => polled,
                () = stop.cancelled() => return Err(Stop),
            };
            let batch = match polled {
                Ok(batch) => batch,
                Err(trouble) => {
                    let pause = self.react(&trouble, &mut from, &mut backoff, stop).await?;
                    self.rest(&trouble, pause, &mut patience, stop).await?;
                    continue;
                }
            };
            self.pulse.ok(self.intake.hub.now());
            let more = batch.more;
            if self.take(batch, &mut from, stop).await? == Left::Something {
                self.pause(backoff.next(), stop).await?;
                continue;
            }
            backoff.reset();
            if !more {
                self.until_next(schedule, stop).await?;
            } else if stop.is_cancelled() {
                return Err(Stop);
            }
        }
    }

    async fn stream(&self, stop: &CancellationToken) -> Result<Infallible, Stop> {
        let mut from = self.stored_position(stop).await?;
        let mut backoff = Backoff::new(&self.intake.limits);
        let mut patience = Patience::new(&self.reach);
        loop {
            patience.asks();
            let trouble = match self.listen(&mut from, &mut backoff, stop).await? {
                Ok(()) => Trouble::new(ErrorClass::Transient, "the source ended its stream"),
                Err(trouble) => trouble,
            };
            let pause = self.react(&trouble, &mut from, &mut backoff, stop).await?;
            self.rest(&trouble, pause, &mut patience, stop).await?;
        }
    }

    /// Listens until the stream ends, or a record has to come again.
    async fn listen(
        &self,
        from: &mut Option<Position>,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<Result<(), Trouble>, Stop> {
        let credit = self.intake.limits.stream_credit;
        let opened = tokio::select! {
            opened = self.in_time(self.port.stream(from.clone(), credit)) => opened,
            () = stop.cancelled() => return Err(Stop),
        };
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(trouble) => return Ok(Err(trouble)),
        };
        loop {
            let batch = tokio::select! {
                batch = stream.next() => batch,
                () = stop.cancelled() => return Err(Stop),
            };
            let batch = match batch {
                Some(Ok(batch)) => batch,
                Some(Err(trouble)) => return Ok(Err(trouble)),
                None => return Ok(Ok(())),
            };
            self.pulse.ok(self.intake.hub.now());
            backoff.reset();
            let cost = batch.records.len().max(1);
            if self.take(batch, from, stop).await? == Left::Something {
                let message = "a record could not be settled; the stream starts again before it";
                return Ok(Err(Trouble::new(ErrorClass::Transient, message)));
            }
            stream.grant(u32::try_from(cost).unwrap_or(u32::MAX));
        }
    }

    /// Settles a batch, moves the position, acknowledges.
    async fn take(
        &self,
        batch: Batch,
        from: &mut Option<Position>,
        stop: &CancellationToken,
    ) -> Result<Left, Stop> {
        let Batch { records, position_after, .. } = batch;
        let places = records
            .iter()
            .map(|record| (record.partition.clone(), record.position.clone()))
            .collect();
        let after = position_after.filter(|after| from.as_ref() != Some(after));
        let reading = Reading { places, after };
        if records.is_empty() && reading.after.is_none() {
            return Ok(Left::Nothing);
        }
        let _unacknowledged = self.point().flow.hold(self.intake.hub.now());
        let incoming: Vec<_> = records.iter().map(incoming).collect();
        let outcomes = self.settle(&incoming, &reading, stop).await?;
        let settled = |index: usize| outcomes[index].settled.is_final();
        let moved =
            reading.positions(settled).into_iter().find(|(partition, _)| partition.is_empty());
        if let Some(position) = moved.and_then(|(_, bytes)| Position::new(bytes).ok()) {
            *from = Some(position);
        }
        let all = outcomes.iter().all(|outcome| outcome.settled.is_final());
        if !records.is_empty() {
            self.acknowledge(&records, &outcomes, stop).await?;
        }
        Ok(if all { Left::Nothing } else { Left::Something })
    }

    /// Settles, as often as it takes until the hub takes it.
    async fn settle(
        &self,
        records: &[Incoming],
        reading: &Reading,
        stop: &CancellationToken,
    ) -> Result<Vec<Outcome>, Stop> {
        let mut backoff = Backoff::new(&self.intake.limits);
        loop {
            match self.intake.settle(self.point(), records, Some(reading)).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(error) => self.wait_for_hub(&error, &mut backoff, stop).await?,
            }
        }
    }

    /// Tells the source, until it knows or says that it never will.
    async fn acknowledge(
        &self,
        records: &[Record],
        outcomes: &[Outcome],
        stop: &CancellationToken,
    ) -> Result<(), Stop> {
        let told: Vec<_> = records.iter().zip(outcomes).map(|(r, o)| told(r, o)).collect();
        let mut backoff = Backoff::new(&self.intake.limits);
        loop {
            let trouble = match self.in_time(self.port.acknowledge(told.clone())).await {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            };
            let now = self.intake.hub.now();
            self.pulse.trouble(State::BackingOff, now, &trouble);
            if !trouble.passes() {
                // The source gives the records again, and they are found to be repeats; or it does
                // not, and then it did not need to be told.
                tracing::error!(capture_point = %self.name, error = %trouble, "records cannot be acknowledged");
                return Ok(());
            }
            let pause = trouble.after.unwrap_or_else(|| backoff.next());
            self.pause(pause, stop).await?;
        }
    }

    /// What the class of an error asks for; gives the pause before the next attempt.
    async fn react(
        &self,
        trouble: &Trouble,
        from: &mut Option<Position>,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<Duration, Stop> {
        let now = self.intake.hub.now();
        let (state, pause) = match trouble.class {
            ErrorClass::Throttled => {
                (State::BackingOff, trouble.after.unwrap_or_else(|| backoff.next()))
            }
            // The source forgot the place: from the beginning. What is known already is a repeat.
            ErrorClass::CursorExpired if from.is_some() => {
                self.clear_position(stop).await?;
                *from = None;
                (State::BackingOff, backoff.next())
            }
            ErrorClass::AuthDenied
            | ErrorClass::Config
            | ErrorClass::Unsupported
            | ErrorClass::Permanent
            | ErrorClass::Protocol
            | ErrorClass::CursorExpired => (State::Stopped, self.intake.limits.pause_stopped),
            _ => (State::BackingOff, backoff.next()),
        };
        tracing::warn!(
            capture_point = %self.name,
            class = trouble.class.name(),
            error = %trouble,
            pause_ms = pause.as_millis() as u64,
            "a capture point has trouble"
        );
        self.pulse.trouble(state, now, trouble);
        Ok(pause)
    }

    async fn clear_position(&self, stop: &CancellationToken) -> Result<(), Stop> {
        let mut backoff = Backoff::new(&self.intake.limits);
        loop {
            let row = PositionRow {
                capture_point: self.name.clone(),
                source_partition: String::new(),
                position: Vec::new(),
                at: self.intake.hub.now(),
            };
            let side = Side { moved_positions: vec![row], ..Side::default() };
            let actor = self.point().actor.clone();
            let submission = Submission { actor, work: Vec::new(), side };
            match self.intake.hub.submit(submission).await {
                Ok(_) => return Ok(()),
                Err(error) => self.wait_for_hub(&error, &mut backoff, stop).await?,
            }
        }
    }

    async fn stored_position(&self, stop: &CancellationToken) -> Result<Option<Position>, Stop> {
        let mut backoff = Backoff::new(&self.intake.limits);
        loop {
            match self.intake.store.positions(Some(&self.name)).await {
                Ok(rows) => {
                    let mut rows = rows.into_iter();
                    let row = rows.find(|row| row.source_partition.is_empty());
                    let bytes = row.map(|row| row.position).filter(|bytes| !bytes.is_empty());
                    return Ok(bytes.and_then(|bytes| Position::new(bytes).ok()));
                }
                Err(error) => {
                    let error = gantry_hub::Error::Unavailable { reason: error.to_string() };
                    self.wait_for_hub(&error, &mut backoff, stop).await?;
                }
            }
        }
    }

    async fn wait_for_hub(
        &self,
        error: &gantry_hub::Error,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<(), Stop> {
        if matches!(error, gantry_hub::Error::Stopped | gantry_hub::Error::Fatal { .. }) {
            return Err(Stop);
        }
        let (now, message) = (self.intake.hub.now(), error.to_string());
        self.pulse.trouble_of(State::BackingOff, now, "hub", &message);
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => Ok(()),
            () = stop.cancelled() => Err(Stop),
        }
    }

    /// Calls an answer off that does not come in time: that passes, and the source is asked again.
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let timeout = self.point().spec.timeout.unwrap_or(CAPTURE_TIMEOUT).to_std();
        let answer = tokio::time::timeout(timeout, answer).await;
        answer.unwrap_or_else(|_| Err(Trouble::timeout("the source", timeout)))
    }

    /// Waits for the next time of the schedule, unless somebody wants the source to be asked now.
    async fn until_next(&self, schedule: &Schedule, stop: &CancellationToken) -> Result<(), Stop> {
        let hub = &self.intake.hub;
        let next_at = schedule.next_after(hub.now());
        self.control.set_next_at(next_at);
        let come = async {
            while let rest = next_at.map_or(LOOK_AT_CLOCK, |next_at| next_at.since(hub.now()))
                && rest > Millis(0)
            {
                tokio::time::sleep(rest.min(LOOK_AT_CLOCK).to_std()).await;
            }
        };
        let waited = tokio::select! {
            () = come => Ok(()),
            () = self.control.woken() => Ok(()),
            () = stop.cancelled() => Err(Stop),
        };
        self.control.set_next_at(None);
        waited
    }

    /// Waits after trouble; where that passes by itself, until the source answers others again.
    async fn rest(
        &self,
        trouble: &Trouble,
        pause: Duration,
        patience: &mut Patience,
        stop: &CancellationToken,
    ) -> Result<(), Stop> {
        if !trouble.passes() || trouble.after.is_some() {
            return self.pause(pause, stop).await;
        }
        tokio::select! {
            () = patience.wait(pause, self.intake.limits.pause_first) => Ok(()),
            () = self.control.woken() => Ok(()),
            () = stop.cancelled() => Err(Stop),
        }
    }

    /// Waits, unless somebody wants the source to be asked now.
    async fn pause(&self, pause: Duration, stop: &CancellationToken) -> Result<(), Stop> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.control.woken() => Ok(()),
            () = stop.cancelled() => Err(Stop),
        }
    }

    fn point(&self) -> &Point {
        self.intake.point(&self.name).expect("invariant: a feeder's capture point is configured")
    }
}

/// A plug-in's record as the intake takes it.
pub(crate) fn incoming(record: &Record) -> Incoming {
    Incoming {
        payload: record.payload.clone(),
        value: None,
        nesting_checked: false,
        content_type: Some(record.content_type.clone()),
        message_id: record.message_id.clone(),
        version: record.version.clone(),
        kind: record.message.and_then(kind),
        occurred_at: record.occurred_at_ms.map(Timestamp),
        traceparent: record.traceparent.as_deref().and_then(TraceParent::parse),
        lease: record.lease.as_ref().filter(|lease| can_keep(lease)).map(lease),
        unreadable: record.unreadable.clone().or_else(|| token_too_long(record)),
    }
}

fn can_keep(lease: &api::Lease) -> bool {
    lease.token.len() <= api::Lease::TOKEN_LEN_MAX
}

/// What cannot be kept cannot be extended: better nobody begins to work on it.
fn token_too_long(record: &Record) -> Option<String> {
    let lease = record.lease.as_ref().filter(|lease| !can_keep(lease))?;
    let (len, max) = (lease.token.len(), api::Lease::TOKEN_LEN_MAX);
    Some(format!("the token of its lease has {len} bytes: at most {max}"))
}

fn lease(lease: &api::Lease) -> Lease {
    let span = Millis(i64::try_from(lease.for_ms).unwrap_or(i64::MAX));
    Lease { token: lease.token.as_str().into(), span }
}

fn kind(message: api::MessageKind) -> Option<MessageKind> {
    Some(match message {
        api::MessageKind::Create => MessageKind::Create,
        api::MessageKind::Update => MessageKind::Update,
        api::MessageKind::Hold => MessageKind::Hold,
        api::MessageKind::Resume => MessageKind::Resume,
        api::MessageKind::Cancel => MessageKind::Cancel,
        api::MessageKind::Complete => MessageKind::Complete,
        api::MessageKind::Restart => MessageKind::Restart,
        // A kind of a later version of the protocol: the mapping decides.
        _ => return None,
    })
}

fn told(record: &Record, outcome: &Outcome) -> RecordOutcome {
    let (outcome, reason) = match &outcome.settled {
        Settled::Accepted { .. } => (api::Outcome::Accepted, None),
        Settled::Filtered { reason, .. } => (api::Outcome::Filtered, Some(reason.to_string())),
        Settled::Refused { reason, .. } => (api::Outcome::Refused, Some(reason.clone())),
        Settled::Retry { reason } => (api::Outcome::Retry, Some(reason.clone())),
    };
    RecordOutcome::of(record, outcome, reason)
}
