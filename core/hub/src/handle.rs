//! The handle that everyone but the loop holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_engine::State;
use gantry_model::journal::Segment;
use gantry_model::{Clock, Command, Reply, Timestamp};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::error::Error;
use crate::work::Submission;

/// A question that runs on the loop's thread, over the live state.
type Query = Box<dyn FnOnce(&State, Timestamp) + Send>;

/// What travels from handles to the loop.
pub(crate) enum Message {
    /// Work, and where its replies go.
    Submit(Submission, oneshot::Sender<Vec<Reply>>),
    /// A question; it answers through a channel of its own, which the loop opens after the commit.
    Query(Query, oneshot::Sender<()>),
}

/// Asks the hub. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) sender: mpsc::Sender<Message>,
    pub(crate) committed: broadcast::Sender<Committed>,
    pub(crate) health: watch::Receiver<Health>,
    pub(crate) stats: Arc<Counters>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A commit that is durable.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its events.
    pub segment: Arc<Segment>,
}

/// Whether the hub takes work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Yes.
    Ready,
    /// The store refuses commits; the hub retries.
    Degraded {
        /// What the store said.
        reason: String,
    },
    /// The hub has stopped.
    Stopped,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Stats {
    /// Commits.
    pub commits: u64,
    /// Commands in them.
    pub commands: u64,
    /// Events in them.
    pub events: u64,
    /// Time spent waiting for the store, in microseconds.
    pub commit_micros: u64,
    /// The longest commit, in microseconds.
    pub commit_micros_max: u64,
    /// Commits that had to be tried again.
    pub retries: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) commit_micros: AtomicU64,
    pub(crate) commit_micros_max: AtomicU64,
    pub(crate) retries: AtomicU64,
}

impl Handle {
    /// Submits work and waits for the commit that covers it. The replies stand in the order of
    /// the commands.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and [`Error::Overloaded`]: nothing happened, try again later.
    /// [`Error::Stopped`]: see there.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the work back; only the replies are lost.
    pub async fn submit(&self, submission: Submission) -> Result<Vec<Reply>, Error> {
        let (reply, replies) = oneshot::channel();
        self.send(Message::Submit(submission, reply)).await?;
        replies.await.map_err(|_| Error::Stopped)
    }

    /// Submits one command.
    ///
    /// # Errors
    /// As [`Handle::submit`].
    ///
    /// # Cancel safety
    /// As [`Handle::submit`].
    pub async fn command(
        &self,
        actor: gantry_model::Actor,
        command: Command,
    ) -> Result<Reply, Error> {
        let mut replies = self.submit(Submission::one(actor, command)).await?;
        Ok(replies.pop().expect("invariant: one reply for each command"))
    }

    /// Asks a question of the live state. The answer comes after the commit of all that the
    /// question could see. The closure runs on the loop's thread: keep it under 100 µs.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the hub stops first.
    ///
    /// # Cancel safety
    /// Dropping the future drops the question or its answer.
    pub async fn query<R, F>(&self, question: F) -> Result<R, Error>
    where
        R: Send + 'static,
        F: FnOnce(&State, Timestamp) -> R + Send + 'static,
    {
        let (answer, answers) = oneshot::channel();
        let (open, opened) = oneshot::channel();
        let question: Query = Box::new(move |state, now| {
            let _ = answer.send(question(state, now));
        });
        self.sender.send(Message::Query(question, open)).await.map_err(|_| Error::Stopped)?;
        opened.await.map_err(|_| Error::Stopped)?;
        answers.await.map_err(|_| Error::Stopped)
    }

    /// As [`Handle::query`], for callers who must not wait: while the store refuses commits, the
    /// hub shows nothing new, and would answer only once it takes them again.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the store refuses commits; [`Error::Stopped`] if the hub
    /// stops first.
    ///
    /// # Cancel safety
    /// As [`Handle::query`].
    pub async fn ask<R, F>(&self, question: F) -> Result<R, Error>
    where
        R: Send + 'static,
        F: FnOnce(&State, Timestamp) -> R + Send + 'static,
    {
        tokio::select! {
            answer = self.query(question) => answer,
            reason = self.degraded() => Err(Error::Unavailable { reason }),
        }
    }

    /// Waits until the store refuses commits, and gives the reason.
    async fn degraded(&self) -> String {
        let mut health = self.health();
        loop {
            if let Health::Degraded { reason } = &*health.borrow_and_update() {
                return reason.clone();
            }
            if health.changed().await.is_err() {
                // The hub is gone, which the question itself finds out.
                return std::future::pending().await;
            }
        }
    }

    /// Follows commits from now on. A follower that falls too far behind gets
    /// [`broadcast::error::RecvError::Lagged`] and reads what it missed from the store.
    pub fn subscribe(&self) -> broadcast::Receiver<Committed> {
        self.committed.subscribe()
    }

    /// Whether the hub takes work, and its changes.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// The hub's clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The current hub time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            commits: read(&self.stats.commits),
            commands: read(&self.stats.commands),
            events: read(&self.stats.events),
            commit_micros: read(&self.stats.commit_micros),
            commit_micros_max: read(&self.stats.commit_micros_max),
            retries: read(&self.stats.retries),
        }
    }

    async fn send(&self, message: Message) -> Result<(), Error> {
        if let Health::Degraded { reason } = &*self.health.borrow() {
            return Err(Error::Unavailable { reason: reason.clone() });
        }
        if self.sender.capacity() == 0 {
            return Err(Error::Overloaded { waiting: self.sender.max_capacity() });
        }
        self.sender.send(message).await.map_err(|_| Error::Stopped)
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("health", &*self.health.borrow()).finish_non_exhaustive()
    }
}
