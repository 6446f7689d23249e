//! Credentials that the source replaced, on their way to the hub: the plug-in waits until each is
//! durable there.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::message::Rotated;

/// Those that are not durable yet, the oldest first.
pub(crate) struct Rotations {
    waiting: Mutex<VecDeque<Rotated>>,
    /// Numbers of the newest one and of the newest that is kept.
    newest: watch::Sender<u64>,
    kept: watch::Sender<u64>,
}

impl Default for Rotations {
    fn default() -> Self {
        let (newest, kept) = (watch::channel(0).0, watch::channel(0).0);
        Self { waiting: Mutex::default(), newest, kept }
    }
}

impl Rotations {
    /// Waits until the hub keeps it. Dropped before, it is kept all the same.
    pub(crate) async fn push(&self, field: &str, value: &str) {
        let number = self.enqueue(field, value);
        let mut kept = self.kept.subscribe();
        // The sender is ours.
        let _ = kept.wait_for(|kept| *kept >= number).await;
    }

    fn enqueue(&self, field: &str, value: &str) -> u64 {
        let mut waiting = self.waiting();
        let number = *self.newest.borrow() + 1;
        let (field, value) = (field.to_owned(), value.to_owned());
        waiting.push_back(Rotated { number, field, value });
        self.newest.send_replace(number);
        number
    }

    /// The oldest that is not kept, once there is one.
    pub(crate) async fn next(&self, kept: Option<u64>) -> Rotated {
        if let Some(kept) = kept {
            self.waiting().retain(|rotated| rotated.number > kept);
            self.kept
                .send_if_modified(|before| std::mem::replace(before, kept.max(*before)) < kept);
        }
        let mut newest = self.newest.subscribe();
        loop {
            let _ = newest.borrow_and_update();
            if let Some(oldest) = self.waiting().front() {
                return oldest.clone();
            }
            let _ = newest.changed().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Rotated>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Rotations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rotations").field(&*self.waiting()).finish()
    }
}

#[cfg(test)]
mod tests;
