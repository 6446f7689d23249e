//! What an operation knows of the world outside the plug-in: names, the hub's time, whether to end.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// Passed to every operation; cheap to clone and to keep.
#[derive(Clone)]
pub struct Context {
    instance: Arc<str>,
    name: Arc<str>,
    clock: Clock,
    draining: watch::Receiver<bool>,
}

/// Where the time comes from: the hub, or the system where there is none.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

impl Context {
    pub(crate) fn new(instance: &str, clock: Clock, draining: watch::Receiver<bool>) -> Self {
        Self { instance: instance.into(), name: instance.into(), clock, draining }
    }

    /// The same world, seen from a capture point, look-up or callback of the instance.
    pub(crate) fn named(&self, name: &str) -> Self {
        Self { name: name.into(), ..self.clone() }
    }

    /// A context outside a hub, for the author's own tests: the time stands at `now_ms`, and
    /// nothing is ever drained.
    pub fn standalone(name: &str, now_ms: i64) -> Self {
        let (_, draining) = watch::channel(false);
        Self::new(name, Arc::new(move || now_ms), draining)
    }

    /// The operator's name of the source: `crm` for `[source.crm]`.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The operator's name of the capture point, look-up or callback; else that of the source.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hub's time: Unix milliseconds. It never runs back, and tests can set it, so ask it
    /// rather than the system. For spans of time use `std::time::Instant`.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Whether the instance is about to stop: finish what is begun, begin nothing.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Waits until the instance is about to stop; a stream selects on it.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn draining(&self) {
        let mut draining = self.draining.clone();
        // The sender goes away only with the instance (or never was, standalone): then nobody
        // drains.
        if draining.wait_for(|draining| *draining).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("instance", &self.instance)
            .field("name", &self.name)
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}
