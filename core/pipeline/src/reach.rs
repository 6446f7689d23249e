//! Whether a source answers, as its capture points, look-ups and callbacks find out, so that after
//! an outage the first of them that gets through tells those that wait.
//!
//! A pause that was cut short in vain is followed by one that is not. So a part of a source that
//! fails on and on, beside others that work, is asked at most twice as often as its back-off says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gantry_model::Name;
use gantry_plugin_host::api::ErrorClass;
use tokio::sync::watch;

use crate::backoff::jitter;
use crate::port::Trouble;

/// Of each source by name, whether it answers.
#[derive(Debug, Default)]
pub(crate) struct Reaches(BTreeMap<Name, Arc<Reach>>);

impl Reaches {
    /// What all parts of one source share.
    pub(crate) fn of(&mut self, source: &Name) -> Arc<Reach> {
        Arc::clone(self.0.entry(source.clone()).or_default())
    }
}

/// Whether a source answers.
#[derive(Debug)]
pub(crate) struct Reach {
    /// Somebody had trouble since somebody got through; at first nobody knows.
    trouble: AtomicBool,
    /// How often somebody got through after trouble.
    returns: watch::Sender<u64>,
}

impl Default for Reach {
    fn default() -> Self {
        Self { trouble: AtomicBool::new(true), returns: watch::Sender::new(0) }
    }
}

impl Reach {
    /// An operation has gone through.
    pub(crate) fn answered(&self) {
        if self.trouble.swap(false, Ordering::AcqRel) {
            self.returns.send_modify(|n| *n += 1);
        }
    }

    /// An operation has failed. What a person has to mend, or the source itself has asked for, says
    /// nothing about whether it can be reached.
    pub(crate) fn failed(&self, class: ErrorClass) {
        if class == ErrorClass::Transient {
            self.trouble.store(true, Ordering::Release);
        }
    }

    /// Notes how an operation ends; `got_through` says what its answer tells, if anything. One that
    /// is dropped was too slow for whoever waited.
    pub(crate) async fn watch<T>(
        &self,
        operation: impl Future<Output = Result<T, Trouble>>,
        got_through: impl FnOnce(&T) -> Option<bool>,
    ) -> Result<T, Trouble> {
        let mut flight = Flight { reach: self, ended: false };
        let answer = operation.await;
        flight.ended = true;
        match &answer {
            Ok(answer) => match got_through(answer) {
                Some(true) => self.answered(),
                Some(false) => self.failed(ErrorClass::Transient),
                None => {}
            },
            // It answers: it has no such thing any more.
            Err(trouble) if trouble.class == ErrorClass::Gone => self.answered(),
            Err(trouble) => self.failed(trouble.class),
        }
        answer
    }

    /// Hears when somebody gets through after trouble, from now on.
    pub(crate) fn returns(&self) -> watch::Receiver<u64> {
        self.returns.subscribe()
    }
}

struct Flight<'r> {
    reach: &'r Reach,
    ended: bool,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.reach.failed(ErrorClass::Transient);
        }
    }
}

/// The pauses of one who waits for a source.
#[derive(Debug)]
pub(crate) struct Patience {
    returns: watch::Receiver<u64>,
    /// The last pause was cut short.
    was_cut: bool,
}

impl Patience {
    pub(crate) fn new(reach: &Reach) -> Self {
        Self { returns: reach.returns(), was_cut: false }
    }

    /// The source is asked now: from here on it counts that somebody gets through.
    pub(crate) fn asks(&mut self) {
        self.returns.mark_unchanged();
    }

    /// Waits for a pause, or until a little after the source answers again: at a random time within
    /// `spread`, since others were told at the same moment.
    ///
    /// # Cancel safety
    /// Dropping the future forgets the pause.
    pub(crate) async fn wait(&mut self, pause: Duration, spread: Duration) {
        let mut pause = std::pin::pin!(tokio::time::sleep(pause));
        if std::mem::take(&mut self.was_cut) {
            return pause.await;
        }
        tokio::select! {
            () = pause.as_mut() => {}
            Ok(()) = self.returns.changed() => {
                self.was_cut = true;
                tokio::select! {
                    () = pause => {}
                    () = tokio::time::sleep(jitter(spread)) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
