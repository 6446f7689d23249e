//! The loop: takes what is waiting, decides, commits, answers.
//!
//! Adaptive group commit: while one commit is on its way to disk, the loop decides what comes in;
//! when the disk answers, everything decided goes into the next commit. No timer delays a commit.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gantry_engine::State;
use gantry_model::command::Known;
use gantry_model::{Clock, Command, Millis, Reply, Timestamp};
use gantry_store::{Commit, KeyQuery, Store};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::group::{Group, Overlay};
use crate::handle::{Committed, Counters, Handle, Health, Message};

/// Submissions that may wait in the channel.
const WAITING_MAX: usize = 4096;
/// Messages that one round takes from the channel.
const ROUND_MAX: usize = 1024;
/// Commands that a group may hold before the loop stops taking more.
const GROUP_COMMANDS_MAX: u64 = 20_000;
/// Commits that a follower may fall behind before it has to read the store.
const FOLLOW_MAX: usize = 4096;
/// First and longest wait before a failed commit is tried again.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// The loop looks at the clock at least this often, so that a step is noticed.
const LOOK_AT_CLOCK: Millis = Millis::from_secs(30);

/// What the loop needs to start.
#[derive(Debug)]
pub struct Options {
    /// The store, already opened; the loop is its only writer.
    pub store: Arc<dyn Store>,
    /// The state that boot rebuilt from the store.
    pub state: State,
    /// Number of the last commit.
    pub seq: u64,
    /// Hub time.
    pub clock: Arc<dyn Clock>,
    /// Where commits run, so that deciding and writing take two cores.
    pub io: tokio::runtime::Handle,
}

/// The loop. [`Hub::run`] owns the state until it stops.
pub struct Hub {
    state: State,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    io: tokio::runtime::Handle,
    messages: mpsc::Receiver<Message>,
    committed: broadcast::Sender<Committed>,
    health: watch::Sender<Health>,
    stats: Arc<Counters>,
    /// Number of the commit that the open group will be.
    next_seq: u64,
    overlay: Overlay,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("next_seq", &self.next_seq).finish_non_exhaustive()
    }
}

/// A commit on its way to disk. Its task is the only one in `writing`.
struct InFlight {
    group: Group,
    committed: Committed,
    seq: u64,
}

/// What came of writing a commit: how long it took.
type Written = Result<Duration, gantry_store::Error>;

impl Hub {
    /// Makes the loop and a handle to it. Nothing runs yet.
    pub fn new(options: Options) -> (Self, Handle) {
        let Options { store, state, seq, clock, io } = options;
        let (sender, messages) = mpsc::channel(WAITING_MAX);
        let (committed, _) = broadcast::channel(FOLLOW_MAX);
        let (health, health_seen) = watch::channel(Health::Ready);
        let stats = Arc::new(Counters::default());
        let handle = Handle {
            sender,
            committed: committed.clone(),
            health: health_seen,
            stats: Arc::clone(&stats),
            clock: Arc::clone(&clock),
        };
        let next_seq = seq + 1;
        let overlay = Overlay::default();
        let hub =
            Self { state, store, clock, io, messages, committed, health, stats, next_seq, overlay };
        (hub, handle)
    }

    /// Runs until `stop` is canceled and everything accepted is committed, or the store is lost.
    ///
    /// Run it on a thread of its own with a current-thread runtime: deciding is CPU work.
    ///
    /// # Errors
    /// [`Error::Fatal`] if the store is lost for good; the process must exit and boot again.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let result = self.turn(stop).await;
        self.health.send_replace(Health::Stopped);
        result
    }

    async fn turn(&mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut writing: JoinSet<Written> = JoinSet::new();
        let mut in_flight: Option<InFlight> = None;
        let mut group = Group::default();
        let mut inbox = Vec::with_capacity(ROUND_MAX);
        let mut open = true;
        loop {
            if in_flight.is_none() {
                if !group.is_idle() {
                    in_flight = Some(self.begin_commit(&mut writing, &mut group));
                } else if !group.is_empty() {
                    Self::answer(std::mem::take(&mut group));
                } else if !open {
                    return Ok(());
                }
            }
            let room = group.commands < GROUP_COMMANDS_MAX;
            let wake = self.sleep_until_wake();
            tokio::select! {
                biased;
                Some(written) = writing.join_next(), if in_flight.is_some() => {
                    let landed = in_flight.take().expect("invariant: one is in flight");
                    let written = written.map_err(|error| Error::Fatal {
                        reason: format!("the task that writes commits ended: {error}"),
                    })?;
                    self.end_commit(landed, written)?;
                }
                taken = self.messages.recv_many(&mut inbox, ROUND_MAX), if open && room => {
                    open = taken > 0;
                    self.decide(&mut inbox, &mut group).await?;
                }
                () = stop.cancelled(), if !self.messages.is_closed() => self.messages.close(),
                () = wake, if open && room => self.pass_time(&mut group),
            }
        }
    }

    /// Decides everything in the inbox, in order.
    async fn decide(&mut self, inbox: &mut Vec<Message>, group: &mut Group) -> Result<(), Error> {
        let mut known = self.resolve(captured_keys(inbox)).await?;
        for message in inbox.drain(..) {
            let now = self.clock.now();
            match message {
                Message::Submit(submission, reply) => {
                    let (state, overlay) = (&mut self.state, &mut self.overlay);
                    let from_store = known.by_ref();
                    let replies =
                        group.take(state, now, submission, from_store, overlay, self.next_seq);
                    group.replies.push((reply, replies));
                }
                Message::Query(question, open) => {
                    self.state.sharpen(now);
                    question(&self.state, now);
                    group.queries.push(open);
                }
            }
        }
        Ok(())
    }

    /// Asks the store what it knows of these keys. Keys of commits that this read may not see
    /// are in the overlay.
    async fn resolve(
        &self,
        keys: Vec<KeyQuery>,
    ) -> Result<impl Iterator<Item = Option<Known>> + use<>, Error> {
        let mut known = VecDeque::new();
        let (mut pause, mut failed) = (RETRY_FIRST, false);
        while known.len() < keys.len() {
            match self.store.known(&keys).await {
                Ok(answers) => known = answers.into(),
                Err(error) if error.is_fatal() => return Err(fatal(&error)),
                Err(error) => {
                    report(&self.health, &error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_LONGEST);
                    failed = true;
                }
            }
        }
        if failed {
            // What follows may need no commit; the hub must not stay closed for want of one.
            recovered(&self.health);
        }
        Ok(known.into_iter())
    }

    fn pass_time(&mut self, group: &mut Group) {
        let now = self.clock.now();
        let _: Reply = group.tick(&mut self.state, now, &Command::Tick);
    }

    fn begin_commit(&mut self, writing: &mut JoinSet<Written>, group: &mut Group) -> InFlight {
        let seq = self.next_seq;
        self.next_seq += 1;
        let mut group = std::mem::take(group);
        let (commit, committed) = group.close(&mut self.state, seq, self.clock.now());
        let (health, stats) = (self.health.clone(), Arc::clone(&self.stats));
        let store = Arc::clone(&self.store);
        writing.spawn_on(commit_until_it_lands(store, commit, health, stats), &self.io);
        InFlight { group, committed, seq }
    }

    fn end_commit(&mut self, landed: InFlight, written: Written) -> Result<(), Error> {
        let InFlight { group, committed, seq } = landed;
        let took = written.map_err(|error| fatal(&error))?.as_micros() as u64;
        let stats = &self.stats;
        stats.commits.fetch_add(1, Ordering::Relaxed);
        stats.commands.fetch_add(group.commands, Ordering::Relaxed);
        stats.events.fetch_add(committed.segment.entries.len() as u64, Ordering::Relaxed);
        stats.commit_micros.fetch_add(took, Ordering::Relaxed);
        stats.commit_micros_max.fetch_max(took, Ordering::Relaxed);
        self.overlay.forget(seq);
        // Nobody follows yet, or everybody left: that is no error.
        let _ = self.committed.send(committed);
        Self::answer(group);
        Ok(())
    }

    /// Sends the replies and opens the answers of a group that is durable.
    fn answer(group: Group) {
        for (sender, replies) in group.replies {
            // Whoever asked may have gone away; the work is done all the same.
            let _ = sender.send(replies);
        }
        for open in group.queries {
            let _ = open.send(());
        }
    }

    /// Sleeps until the engine has something to do by itself.
    fn sleep_until_wake(&self) -> impl Future<Output = ()> + use<> {
        let now = self.clock.now();
        let wake = self.state.next_wake(now).unwrap_or(Timestamp(i64::MAX));
        let span = wake.since(now).min(LOOK_AT_CLOCK);
        // One millisecond more: the timer must not fire before the instant it is for.
        tokio::time::sleep(span.to_std() + Duration::from_millis(1))
    }
}

/// Keys of the captures in the inbox, in order.
fn captured_keys(inbox: &[Message]) -> Vec<KeyQuery> {
    let submissions = inbox.iter().filter_map(|message| match message {
        Message::Submit(submission, _) => Some(submission),
        Message::Query(..) => None,
    });
    let captures = submissions.flat_map(|submission| &submission.work);
    let keys = captures.filter_map(|work| match (&work.key, &work.command) {
        (Some(key), Command::Capture(_)) => Some(KeyQuery {
            capture_point: key.capture_point.clone(),
            external_id: key.external_id.clone(),
            message_id: key.message_id.clone(),
        }),
        _ => None,
    });
    keys.collect()
}

/// Commits, and tries again with the same bytes while the store refuses: never skips.
async fn commit_until_it_lands(
    store: Arc<dyn Store>,
    commit: Commit,
    health: watch::Sender<Health>,
    stats: Arc<Counters>,
) -> Result<Duration, gantry_store::Error> {
    let begun = Instant::now();
    let mut pause = RETRY_FIRST;
    loop {
        match store.commit(&commit).await {
            Ok(()) => {
                recovered(&health);
                return Ok(begun.elapsed());
            }
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                report(&health, &error);
                stats.retries.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_LONGEST);
            }
        }
    }
}

fn recovered(health: &watch::Sender<Health>) {
    health.send_if_modified(|health| std::mem::replace(health, Health::Ready) != Health::Ready);
}

fn report(health: &watch::Sender<Health>, error: &gantry_store::Error) {
    let reason = error.to_string();
    tracing::error!(error = %reason, "the store refuses a commit; the hub tries again");
    health.send_replace(Health::Degraded { reason });
}

fn fatal(error: &gantry_store::Error) -> Error {
    Error::Fatal { reason: error.to_string() }
}
