//! Reading ahead: while the hub settles a batch, the next one is asked for already.
//!
//! What was asked for ahead is a poll like any other whose answer waits here, written down. It is
//! given if the hub goes on where the batch before ended, and thrown away if it does not: as with a
//! poll that was called off, the hub then asks from where it stands. There is one at most.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::guard::Guarded;
use crate::error::Error;
use crate::message::{Batch, Poll};

#[cfg(test)]
mod tests;

/// What was asked for longer ago is asked for again: the hub may have paused, and the source has
/// moved on.
const FRESH_FOR: Duration = Duration::from_secs(30);

/// The poll that a capture point is ahead by.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Mutex<Option<Begun>>);

/// A poll under way, or its answer; ends with its value.
#[derive(Debug)]
struct Begun {
    request: Poll,
    at: Instant,
    task: JoinSet<Result<Given, Error>>,
}

/// The answer to a poll.
#[derive(Debug)]
struct Given {
    /// As it goes to the hub.
    reply: Vec<u8>,
    /// What the hub asks next if it settles all of it, unless the source has no more.
    next: Option<Poll>,
}

impl Ahead {
    /// Answers a poll, and begins the one that follows. `ask` polls the plug-in; what it gives ends
    /// at once when it is called off, and never runs twice at a time.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing goes on.
    pub(crate) async fn poll<F>(
        &self,
        instance: u64,
        request: Poll,
        ask: impl Fn(Poll) -> F,
    ) -> Result<Vec<u8>, Error>
    where
        F: Future<Output = Result<Batch, Error>> + Send + 'static,
    {
        let given = match self.take() {
            Some(begun) if begun.request == request && begun.at.elapsed() < FRESH_FOR => {
                begun.end().await
            }
            begun => {
                call_off(begun).await;
                None
            }
        };
        let given = match given {
            Some(given) => given?,
            None => answer(request.clone(), ask(request)).await?,
        };
        if let Some(next) = given.next {
            let (request, at, mut task) = (next.clone(), Instant::now(), JoinSet::new());
            task.spawn(Guarded::new(instance, Box::pin(answer(next.clone(), ask(next)))));
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Begun { request, at, task });
        }
        Ok(given.reply)
    }

    /// Throws away what was begun, and waits until it has ended.
    pub(crate) async fn forget(&self) {
        call_off(self.take()).await;
    }

    fn take(&self) -> Option<Begun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Begun {
    /// Waits for the answer; none if something else ended it.
    async fn end(mut self) -> Option<Result<Given, Error>> {
        self.task.join_next().await?.ok()
    }
}

async fn call_off(begun: Option<Begun>) {
    if let Some(mut begun) = begun {
        begun.task.shutdown().await;
    }
}

/// Polls, writes the batch down, and tells what the hub asks next.
async fn answer(
    request: Poll,
    asked: impl Future<Output = Result<Batch, Error>>,
) -> Result<Given, Error> {
    let batch = asked.await?;
    let next = batch.more.then(|| {
        let last = batch.records.last().and_then(|record| record.position.as_ref());
        let from = batch.position_after.as_ref().or(last).or(request.from.as_ref()).cloned();
        Poll { from, limit: request.limit }
    });
    Ok(Given { reply: batch.encoded(), next })
}
