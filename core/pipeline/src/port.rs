//! What the pipeline asks of plug-ins, and how their errors read here.
//!
//! The traits are the seam between the pipeline and the plug-in host: the host's handles implement
//! them, and the unit tests script them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use gantry_model::ItemId;
use gantry_plugin_host::api::{
    Batch, CaptureMode, Delivery, DeliveryOutcome, ErrorClass, Extended, HttpCapture, HttpRequest,
    Lease, Position, Query, RecordOutcome,
};
use serde_json::Value;

/// The capture side of a source, for one capture point.
#[async_trait]
pub(crate) trait CapturePort: Send + Sync {
    /// The ways it gives records, at the moment.
    fn modes(&self) -> Vec<CaptureMode>;
    async fn poll(&self, from: Option<Position>, limit: u32) -> Result<Batch, Trouble>;
    async fn stream(
        &self,
        from: Option<Position>,
        credit: u32,
    ) -> Result<Box<dyn BatchStream>, Trouble>;
    async fn http(&self, request: HttpRequest) -> Result<HttpCapture, Trouble>;
    async fn acknowledge(&self, outcomes: Vec<RecordOutcome>) -> Result<(), Trouble>;
    /// Whether it lends what it gives, at the moment.
    fn gives_leases(&self) -> bool;
    async fn extend(&self, leases: Vec<Lease>) -> Result<Vec<Extended>, Trouble>;
}

/// Batches as a source sends them.
#[async_trait]
pub(crate) trait BatchStream: Send {
    /// The next batch; `None` when the source has come to an end.
    ///
    /// # Cancel safety
    /// No batch is lost if the future is dropped.
    async fn next(&mut self) -> Option<Result<Batch, Trouble>>;
    /// Lets the source send so many records more.
    fn grant(&mut self, credit: u32);
}

/// A look-up.
#[async_trait]
pub(crate) trait LookupPort: Send + Sync {
    /// Asks one question about an item; `None`: the other system has no such key.
    async fn ask(&self, query: Query, about: ItemId) -> Result<Option<Value>, Trouble>;
}

/// A callback.
#[async_trait]
pub(crate) trait CallbackPort: Send + Sync {
    /// Delivers; one outcome a delivery, in order.
    async fn deliver(&self, deliveries: Vec<Delivery>) -> Result<Vec<DeliveryOutcome>, Trouble>;
}

/// A plug-in's error: what the pipeline acts on, and what people read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Trouble {
    pub(crate) class: ErrorClass,
    /// The message with its causes.
    pub(crate) message: String,
    /// How long the source asks us to wait.
    pub(crate) after: Option<Duration>,
}

impl Trouble {
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), after: None }
    }

    /// An answer that did not come in time.
    pub(crate) fn timeout(what: impl fmt::Display, after: Duration) -> Self {
        let message = format!("{what} did not answer within {} ms", after.as_millis());
        Self::new(ErrorClass::Transient, message)
    }

    /// `true` if the same again may succeed without a person.
    pub(crate) const fn passes(&self) -> bool {
        matches!(
            self.class,
            ErrorClass::AuthExpired
                | ErrorClass::Throttled
                | ErrorClass::Transient
                | ErrorClass::Conflict
                | ErrorClass::Canceled
        )
    }
}
