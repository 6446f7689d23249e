//! What an operation knows of the world outside the plug-in: names, the hub's time, whether to end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::error::Error;
use crate::rotation::Rotations;
use crate::secret::Secret;

/// Passed to every operation; cheap to clone and to keep.
#[derive(Clone)]
pub struct Context {
    instance: Arc<str>,
    name: Arc<str>,
    clock: Clock,
    draining: watch::Receiver<bool>,
    /// None outside a hub.
    rotations: Option<Arc<Rotations>>,
}

/// How long the hub may take to keep a credential.
const KEPT_WITHIN: Duration = Duration::from_secs(10);

/// Where the time comes from: the hub, or the system where there is none.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

impl Context {
    pub(crate) fn new(instance: &str, clock: Clock, draining: watch::Receiver<bool>) -> Self {
        let (instance, name) = (instance.into(), instance.into());
        Self { instance, name, clock, draining, rotations: None }
    }

    /// The same world, in which somebody keeps what rotates.
    pub(crate) fn keeping(self, rotations: Arc<Rotations>) -> Self {
        Self { rotations: Some(rotations), ..self }
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

    /// Gives a credential back that the source has replaced, such as a refresh token that is good
    /// for one use, and waits until the hub keeps it: from then on, also after a restart, it stands
    /// in place of the one the operator gave. `field` is its key in the source's config, a dotted
    /// path, which the build script must name (`rotates`). As soon as the operator gives another
    /// one, that one counts.
    ///
    /// Outside a hub it returns at once.
    ///
    /// # Errors
    /// Of class `transient` if the hub does not keep it within ten seconds; it goes on trying, and
    /// until it succeeds a restart begins with the old credential.
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing back.
    pub async fn rotated(&self, field: &str, value: &Secret<String>) -> Result<(), Error> {
        let Some(rotations) = &self.rotations else { return Ok(()) };
        let kept = tokio::time::timeout(KEPT_WITHIN, rotations.push(field, value.expose()));
        kept.await.map_err(|_| {
            Error::transient(format!(
                "the hub does not keep the new `{field}`; is it in `rotates`?"
            ))
        })
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
