//! Leases: what a source has only lent is extended for as long as its work item is open, wherever
//! the item waits and whoever works on it. What the source took back is withdrawn.
//!
//! A lease is kept in the item's document, so it is known after a restart; when it has to be
//! extended is known in memory only, and a restart asks at once. Whether a lease still holds, the
//! source alone knows: one whose time is over is asked for as before. Start reading at
//! [`Keeper::run`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantry_hub::{CaptureKey, Side, Work};
use gantry_model::command::ContentHash;
use gantry_model::document::Lease;
use gantry_model::spec::CAPTURE_TIMEOUT;
use gantry_model::{Assignment, Command, ItemId, Millis, Name, Timestamp};
use gantry_plugin_host::api::{ErrorClass, Extended, Lease as Lent};
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::capture::Feeder;
use crate::intake::{Intake, Point, unavailable};
use crate::port::{CapturePort, Trouble};
use crate::status::Count;

/// No content has this hash.
const OF_NOTHING: ContentHash = [0; 16];
/// Leases that one call extends.
const AT_ONCE: usize = 100;
/// A lease is extended when this part of its time is over, so that two attempts may fail.
const PART: i64 = 3;
/// Hub time may run a little faster or slower than timers do: whoever waits looks at it this often.
const LOOK_AT_CLOCK: Millis = Millis::from_secs(30);

/// The leases of a capture point.
#[derive(Debug, Default)]
pub(crate) struct Book {
    held: Mutex<BTreeMap<ItemId, Held>>,
    changed: Notify,
    lost: Count,
}

#[derive(Clone, Debug)]
struct Held {
    lease: Lease,
    ask_at: Timestamp,
}

/// The leases of a capture point, as far as there are any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseStatus {
    /// Open items whose thing in the source is only lent.
    pub held: u64,
    /// Items withdrawn since the start because the source took the thing back.
    pub lost: u64,
    /// When the next of them is extended.
    pub next_at: Option<Timestamp>,
}

impl Book {
    /// The source lent it, or lent it again, at this time.
    pub(crate) fn note(&self, item: ItemId, lease: Lease, now: Timestamp) {
        let ask_at = part(lease.span, now);
        self.held().insert(item, Held { lease, ask_at });
        self.changed.notify_one();
    }

    /// Those that are to be extended now, the longest due first, and when the next one is.
    fn due(&self, now: Timestamp) -> (Vec<(ItemId, Lease)>, Option<Timestamp>) {
        let held = self.held();
        let mut due: Vec<_> = held.iter().filter(|(_, held)| held.ask_at <= now).collect();
        due.sort_by_key(|(item, held)| (held.ask_at, **item));
        due.truncate(AT_ONCE);
        let due = due.into_iter().map(|(item, held)| (*item, held.lease.clone())).collect();
        (due, held.values().map(|held| held.ask_at).min())
    }

    fn forget(&self, item: ItemId) {
        self.held().remove(&item);
    }

    /// Extended, or to be asked for again: if nobody noted another lease meanwhile.
    fn again(&self, item: ItemId, lease: &Lease, span: Millis, ask_at: Timestamp) {
        if let Some(held) = self.held().get_mut(&item).filter(|held| held.lease == *lease) {
            *held = Held { lease: Lease { span, ..lease.clone() }, ask_at };
        }
    }

    /// How they are; `None`: there never were any.
    pub(crate) fn status(&self) -> Option<LeaseStatus> {
        let held = self.held();
        let status = LeaseStatus {
            held: held.len() as u64,
            lost: self.lost.read(),
            next_at: held.values().map(|held| held.ask_at).min(),
        };
        (status.held > 0 || status.lost > 0).then_some(status)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<ItemId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a part of the time is over of what is lent for so long from now on.
fn part(span: Millis, now: Timestamp) -> Timestamp {
    now.plus(Millis(span.0 / PART))
}

/// Has the leases of one capture point extended.
pub(crate) struct Keeper {
    name: Name,
    intake: Arc<Intake>,
    port: Arc<dyn CapturePort>,
}

impl Keeper {
    /// That of the capture point that a feeder feeds.
    pub(crate) fn beside(feeder: &Feeder) -> Self {
        let (name, intake) = (feeder.name.clone(), Arc::clone(&feeder.intake));
        Self { name, intake, port: Arc::clone(&feeder.port) }
    }

    /// Runs until `stop`. What is under way then is called off: the next start asks again.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.keep() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn keep(&self) {
        let hub = &self.intake.hub;
        let mut backoff = Backoff::new(&self.intake.limits);
        if self.port.gives_leases() {
            while let Err(error) = self.read_stored().await {
                if is_over(&error) {
                    return;
                }
                tracing::warn!(capture_point = %self.name, %error, "leases cannot be read");
                tokio::time::sleep(backoff.next()).await;
            }
        }
        loop {
            let (due, next_at) = self.book().due(hub.now());
            let kept = if due.is_empty() { Ok(()) } else { self.extend(due).await };
            match kept {
                Ok(()) => backoff.reset(),
                Err(error) if is_over(&error) => return,
                Err(error) => {
                    tracing::warn!(capture_point = %self.name, %error, "leases wait for the hub");
                    tokio::time::sleep(backoff.next()).await;
                    continue;
                }
            }
            let rest = next_at.map_or(LOOK_AT_CLOCK, |at| at.since(hub.now()).min(LOOK_AT_CLOCK));
            tokio::select! {
                () = tokio::time::sleep(rest.max(Millis(0)).to_std()) => {}
                () = self.book().changed.notified() => {}
            }
        }
    }

    /// Finds the leases of the items that were open before the start; all of them are due.
    async fn read_stored(&self) -> Result<(), gantry_hub::Error> {
        let name = self.name.clone();
        let open = self.intake.hub.query(move |state, _| {
            let ours = state.items().filter(|item| item.capture_point == name);
            ours.map(|item| item.id).collect::<Vec<_>>()
        });
        for item in open.await? {
            let lease = self.intake.document(item).await?.1.lease;
            if let Some(lease) = lease {
                let ask_at = self.intake.hub.now();
                // What was noted since is younger.
                self.book().held().entry(item).or_insert(Held { lease, ask_at });
            }
        }
        Ok(())
    }

    /// Extends what is due, as far as its items are still open.
    async fn extend(&self, due: Vec<(ItemId, Lease)>) -> Result<(), gantry_hub::Error> {
        let items: Vec<ItemId> = due.iter().map(|(item, _)| *item).collect();
        let open = self.intake.hub.query(move |state, _| {
            let is_open = |item: &ItemId| state.item(*item).is_some();
            items.iter().map(is_open).collect::<Vec<_>>()
        });
        let (open, ended): (Vec<_>, Vec<_>) =
            due.into_iter().zip(open.await?).partition(|(_, open)| *open);
        for ((item, _), _) in ended {
            self.book().forget(item);
        }
        let open: Vec<(ItemId, Lease)> = open.into_iter().map(|(held, _)| held).collect();
        if open.is_empty() {
            return Ok(());
        }
        let lent = open.iter().map(|(_, lease)| Lent::new(&*lease.token, lease.span.0 as u64));
        let timeout = self.point().spec.timeout.unwrap_or(CAPTURE_TIMEOUT).to_std();
        let extended = tokio::time::timeout(timeout, self.port.extend(lent.collect())).await;
        let extended = extended.unwrap_or_else(|_| Err(Trouble::timeout("the source", timeout)));
        match extended {
            Ok(extended) => {
                for ((item, lease), extended) in open.into_iter().zip(extended) {
                    self.settle(item, &lease, extended).await?;
                }
            }
            Err(trouble) => self.fail(&open, &trouble),
        }
        Ok(())
    }

    async fn settle(
        &self,
        item: ItemId,
        lease: &Lease,
        extended: Extended,
    ) -> Result<(), gantry_hub::Error> {
        let now = self.intake.hub.now();
        match extended {
            Extended::Kept { for_ms } => {
                let span = Millis(i64::try_from(for_ms).unwrap_or(i64::MAX));
                self.book().again(item, lease, span, self.next(span, now));
                Ok(())
            }
            Extended::Lost { reason } => self.withdraw(item, &reason).await,
            Extended::Failed(error) => {
                self.fail(&[(item, lease.clone())], &error.into());
                Ok(())
            }
            // An answer of a later version of the protocol says nothing that we understand.
            _ => {
                self.book().again(item, lease, lease.span, self.next(lease.span, now));
                Ok(())
            }
        }
    }

    /// Nobody works any more on what somebody else has. What an agent has marked done waits for the
    /// source's own word, which may be the very reason why there is nothing left to extend.
    async fn withdraw(&self, item: ItemId, reason: &str) -> Result<(), gantry_hub::Error> {
        // It may have ended while the source was asked.
        let is_worked_on = self.intake.hub.query(move |state, _| {
            let item = state.item(item);
            item.is_some_and(|item| !matches!(item.assignment, Assignment::Confirming { .. }))
        });
        let view = self.intake.store.item(item).await.map_err(|error| unavailable(&error))?;
        if let (true, Some(view)) = (is_worked_on.await?, view) {
            let reason = format!("the source took it back: {reason}");
            tracing::info!(capture_point = %self.name, %item, reason, "a lease is lost");
            // Lent again, the same thing is new work, though nothing in it has changed.
            let key = view.head.external_id.map(|external_id| CaptureKey {
                capture_point: self.name.clone(),
                external_id,
                message_id: None,
                hash: OF_NOTHING,
            });
            let command = Command::Cancel { item, reason };
            let work = vec![Work { command, key, document: None }];
            self.intake.submit(self.point(), work, Side::default()).await?;
            self.book().lost.add(1);
        }
        self.book().forget(item);
        Ok(())
    }

    /// The source could not say: soon again, or when it wants to be asked again.
    fn fail(&self, leases: &[(ItemId, Lease)], trouble: &Trouble) {
        tracing::warn!(
            capture_point = %self.name,
            class = trouble.class.name(),
            leases = leases.len(),
            error = %trouble,
            "leases cannot be extended"
        );
        let now = self.intake.hub.now();
        for (item, lease) in leases {
            // A plug-in that never learned it will not learn it now.
            if trouble.class == ErrorClass::Unsupported {
                self.book().forget(*item);
                continue;
            }
            let asked = trouble.after.map_or(Millis(0), span_of);
            let soon = Millis(lease.span.0 / (PART * PART)).min(LOOK_AT_CLOCK);
            let soon = soon.max(span_of(self.intake.limits.lease_every_min));
            self.book().again(*item, lease, lease.span, now.plus(soon.max(asked)));
        }
    }

    /// When to extend again what is lent for so long from now on.
    fn next(&self, span: Millis, now: Timestamp) -> Timestamp {
        part(span, now).max(now.plus(span_of(self.intake.limits.lease_every_min)))
    }

    fn book(&self) -> &Book {
        &self.point().leases
    }

    fn point(&self) -> &Point {
        self.intake.point(&self.name).expect("invariant: a keeper's capture point is configured")
    }
}

fn span_of(duration: Duration) -> Millis {
    Millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

fn is_over(error: &gantry_hub::Error) -> bool {
    matches!(error, gantry_hub::Error::Stopped | gantry_hub::Error::Fatal { .. })
}
