//! The hand on a capture point: wakes its feeder, keeps it paused, and makes it stand still between
//! two turns, while somebody moves its position.

use std::time::Duration;

use gantry_model::{Name, Timestamp};
use serde::Serialize;
use tokio::sync::{Mutex, MutexGuard, Notify, watch};

/// Since when a capture point is paused, by whom, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paused {
    /// Since when.
    pub at: Timestamp,
    /// Who paused it.
    pub by: Name,
    /// Why, readable.
    pub reason: Option<String>,
}

/// Shared by a capture point's feeder and whoever operates it.
pub(crate) struct Control {
    wake: Notify,
    stand: watch::Sender<Stand>,
    operation: Mutex<()>,
}

#[derive(Debug, Default)]
struct Stand {
    paused: Option<Paused>,
    /// Somebody wants the feeder to stand still for a moment.
    held: bool,
    /// The feeder takes a turn.
    running: bool,
    /// When the source is asked next.
    next_at: Option<Timestamp>,
}

/// A feeder's turn; it stands still again when this is dropped.
pub(crate) struct Turn<'c>(&'c Control);

/// The feeder stands still until this is dropped.
pub(crate) struct Still<'c>(&'c Control);

impl Stand {
    const fn may_run(&self) -> bool {
        self.paused.is_none() && !self.held
    }
}

impl Control {
    pub(crate) fn new(paused: Option<Paused>) -> Self {
        let stand = Stand { paused, ..Stand::default() };
        let (wake, operation) = (Notify::new(), Mutex::new(()));
        Self { wake, stand: watch::Sender::new(stand), operation }
    }

    /// The source is asked now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until the source is to be asked now.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn paused(&self) -> Option<Paused> {
        self.stand.borrow().paused.clone()
    }

    pub(crate) fn set_paused(&self, paused: Option<Paused>) {
        self.stand.send_modify(|stand| stand.paused = paused);
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.stand.borrow().next_at
    }

    pub(crate) fn set_next_at(&self, next_at: Option<Timestamp>) {
        self.stand.send_modify(|stand| stand.next_at = next_at);
    }

    /// Waits until the feeder may take a turn, and takes it.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let mut changes = self.stand.subscribe();
        loop {
            // One step: whoever holds the feeder sees it run, or it sees that it is held.
            let begun = self.stand.send_if_modified(|stand| {
                stand.running = stand.may_run();
                stand.running
            });
            if begun {
                return Turn(self);
            }
            changes.wait_for(Stand::may_run).await.expect(OWN_SENDER);
        }
    }

    /// Waits until the turn has to end at its next safe point.
    pub(crate) async fn interrupted(&self) {
        let mut changes = self.stand.subscribe();
        changes.wait_for(|stand| !stand.may_run()).await.expect(OWN_SENDER);
    }

    /// One operation at a time.
    pub(crate) async fn operate(&self) -> MutexGuard<'_, ()> {
        self.operation.lock().await
    }

    /// Ends the feeder's turn at its next safe point; `None` if it did not come to that in time.
    pub(crate) async fn still(
        &self,
        within: Duration,
        _operation: &MutexGuard<'_, ()>,
    ) -> Option<Still<'_>> {
        self.stand.send_modify(|stand| stand.held = true);
        let still = Still(self);
        let mut changes = self.stand.subscribe();
        let stands = changes.wait_for(|stand| !stand.running);
        let stands = tokio::time::timeout(within, stands).await.is_ok();
        stands.then_some(still)
    }
}

const OWN_SENDER: &str = "invariant: the sender lives as long as its control";

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.stand.send_modify(|stand| {
            stand.running = false;
            stand.next_at = None;
        });
    }
}

impl Drop for Still<'_> {
    fn drop(&mut self) {
        self.0.stand.send_modify(|stand| stand.held = false);
    }
}
