//! The engine's thread, and what it is told first: the config version, and that it has booted.

use std::sync::Arc;

use gantry_hub::{Booted, Handle, Hub, Side, Submission, Work, boot};
use gantry_model::spec::Spec;
use gantry_model::{Actor, Clock as _, Command, Millis, Reply, Timestamp};
use gantry_store::{ConfigRow, Store};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// How often the wall clock is asked whether it has stepped.
const CLOCK_LOOK: std::time::Duration = std::time::Duration::from_secs(5);

/// Ids of messages and positions of the past are kept this long: over twice the three days for
/// which senders of webhooks retry. Source: Standard Webhooks 1.0, section on retries. What comes
/// again when a source is read anew from a position of that age is still recognised.
const REPEATS_KEPT: Millis = Millis::from_secs(7 * 24 * 3600);
/// Positions of the past that are kept at most; one a minute of a source partition is a week's
/// worth of ten.
const POSITIONS_KEPT_MAX: u32 = 100_000;
/// How often, and how many at once, they are forgotten: few, since a commit waits meanwhile.
const FORGET_EVERY: std::time::Duration = std::time::Duration::from_mins(10);
const FORGET_AT_ONCE: u32 = 500;

/// The engine, running on a thread of its own.
pub(crate) struct Engine {
    pub(crate) handle: Handle,
    stop: CancellationToken,
    ended: oneshot::Receiver<Result<(), gantry_hub::Error>>,
    seq: u64,
    down: Millis,
    config: Option<Version>,
    /// Watches the wall clock and keeps the store in shape; ends with the engine.
    _housekeeping: JoinSet<()>,
}

impl Engine {
    /// Reads the state and starts the thread.
    pub(crate) async fn start(store: Arc<dyn Store>) -> Result<Self, Error> {
        let Booted { state, seq, clock, down, config } = boot(&*store).await?;
        let io = tokio::runtime::Handle::current();
        let options = gantry_hub::Options {
            store: Arc::clone(&store),
            state,
            seq,
            clock: Arc::<gantry_hub::HubClock>::clone(&clock),
            io,
        };
        let (hub, handle) = Hub::new(options);
        let stop = CancellationToken::new();
        let (done, ended) = oneshot::channel();
        let stopping = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Threads)?;
        std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                // Nobody listens any more if the server went away first.
                let _ = done.send(runtime.block_on(hub.run(stopping)));
            })
            .map_err(Error::Threads)?;
        let mut housekeeping = JoinSet::new();
        housekeeping.spawn(watch_clock(clock, handle.clone()));
        housekeeping.spawn(forget(Arc::clone(&store), handle.clone()));
        housekeeping.spawn(async move { store.maintain().await });
        Ok(Self { handle, stop, ended, seq, down, config, _housekeeping: housekeeping })
    }

    /// Makes the config the active version, if it is not that already, and gives its number.
    pub(crate) async fn activate(&self, spec: &Spec) -> Result<Version, Error> {
        activate(&self.handle, self.config, spec).await
    }

    /// Tells the engine that it has booted, and gives the commit that boot found as the last.
    pub(crate) async fn boot(&self) -> Result<u64, Error> {
        self.handle.command(Actor::Hub, Command::Boot { down: self.down }).await?;
        Ok(self.seq)
    }

    /// Waits until the engine has ended by itself: its store is lost.
    pub(crate) async fn ended(&mut self) -> Result<(), Error> {
        match (&mut self.ended).await {
            Ok(ended) => Ok(ended?),
            Err(_) => Err(gantry_hub::Error::Stopped.into()),
        }
    }

    /// Stops the engine after it has committed everything it accepted. One that has ended by
    /// itself is no error here: whoever saw it end has the reason.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        self.stop.cancel();
        if self.ended.is_terminated() { Ok(()) } else { self.ended().await }
    }
}

/// Number and hash of a config version.
pub(crate) type Version = (u32, [u8; 32]);

/// Makes a config the active version, if it is not that already.
pub(crate) async fn activate(
    hub: &Handle,
    active: Option<Version>,
    spec: &Spec,
) -> Result<Version, Error> {
    let json = spec.to_canonical_json();
    let sha256: [u8; 32] = Sha256::digest(&json).into();
    let version = match active {
        Some(active) if active.1 == sha256 => return Ok(active),
        Some((version, _)) => version + 1,
        None => 1,
    };
    let routing = Arc::clone(&spec.routing);
    let work = vec![Work::new(Command::Activate { version, routing })];
    let row = ConfigRow { version, json, sha256, at: hub.now() };
    let side = Side { configs: vec![row], ..Side::default() };
    let replies = hub.submit(Submission { actor: Actor::Hub, work, side }).await?;
    match replies.first() {
        Some(Reply::Refused(refusal)) => Err(Error::Activate { reason: refusal.to_string() }),
        _ => Ok((version, sha256)),
    }
}

/// Forgets what no sender repeats any more, and positions that nobody goes back to.
async fn forget(store: Arc<dyn Store>, hub: Handle) {
    loop {
        let before = Timestamp(hub.now().0 - REPEATS_KEPT.0);
        let messages = store.forget_messages(before, FORGET_AT_ONCE).await;
        let positions = store.forget_positions(before, POSITIONS_KEPT_MAX, FORGET_AT_ONCE).await;
        let full = |forgotten: &Result<u64, _>| {
            forgotten.as_ref().is_ok_and(|forgotten| *forgotten == u64::from(FORGET_AT_ONCE))
        };
        let more = full(&messages) || full(&positions);
        for error in [messages.err(), positions.err()].into_iter().flatten() {
            tracing::warn!(%error, "old message ids and positions could not be forgotten");
        }
        if !more {
            tokio::time::sleep(FORGET_EVERY).await;
        }
    }
}

async fn watch_clock(clock: Arc<gantry_hub::HubClock>, hub: Handle) {
    loop {
        tokio::time::sleep(CLOCK_LOOK).await;
        clock.now();
        if let Some(by) = clock.take_step() {
            tracing::error!(%by, "the wall clock stepped; check the machine's time service");
            if let Err(error) = hub.command(Actor::Hub, Command::ClockStepped { by }).await {
                tracing::warn!(%error, "the step could not be journaled");
            }
        }
    }
}
