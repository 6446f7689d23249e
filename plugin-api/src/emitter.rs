//! The way out of a stream: batches go to the hub as far as it has given credit.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::error::{Error, ErrorClass};
use crate::message::Batch;

/// Hands batches to the hub. A record costs one credit, a batch without records one as well.
#[derive(Clone)]
pub struct Emitter {
    credit: Arc<Semaphore>,
    sink: Arc<dyn Sink>,
}

/// Where batches go: the hub's `emit`, or a channel in the author's own tests.
pub(crate) trait Sink: Send + Sync {
    fn send(&self, batch: Batch) -> Result<(), Error>;
}

impl Emitter {
    pub(crate) fn new(credit: Arc<Semaphore>, sink: Arc<dyn Sink>) -> Self {
        Self { credit, sink }
    }

    /// An emitter outside a hub, for the author's own tests: it has `credit` credits and gets no
    /// more, and what is emitted comes out of the receiver.
    pub fn standalone(credit: usize) -> (Self, mpsc::Receiver<Batch>) {
        let (sender, receiver) = mpsc::channel(credit.max(1));
        (Self::new(Arc::new(Semaphore::new(credit)), Arc::new(sender)), receiver)
    }

    /// Sends a batch, waiting for credit. A batch larger than the credit at hand goes in parts, in
    /// order; `position_after` goes with the last part.
    ///
    /// # Errors
    /// Of class `canceled` once the hub no longer listens: return from the stream.
    ///
    /// # Cancel safety
    /// If the future is dropped, some of the records may have been sent, never a record twice.
    pub async fn emit(&self, batch: Batch) -> Result<(), Error> {
        let Batch { mut records, position_after, .. } = batch;
        loop {
            let n_granted = self.take_credit(records.len()).await?;
            let rest =
                if n_granted < records.len() { records.split_off(n_granted) } else { Vec::new() };
            let last = rest.is_empty();
            let position_after = if last { position_after.clone() } else { None };
            self.sink.send(Batch { records, position_after, more: !last })?;
            if last {
                return Ok(());
            }
            records = rest;
        }
    }

    /// Waits for one credit, then takes what more there is, up to `n_wanted`.
    async fn take_credit(&self, n_wanted: usize) -> Result<usize, Error> {
        let first = self.credit.acquire().await.map_err(|_| closed())?;
        first.forget();
        let n_more = n_wanted.saturating_sub(1).min(self.credit.available_permits());
        match self.credit.try_acquire_many(n_more as u32) {
            Ok(more) => {
                more.forget();
                Ok(1 + n_more)
            }
            // Another emitter of the same stream was faster: go on with the one that is certain.
            Err(_) => Ok(1),
        }
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credit = self.credit.available_permits();
        f.debug_struct("Emitter").field("credit", &credit).finish_non_exhaustive()
    }
}

impl Sink for mpsc::Sender<Batch> {
    fn send(&self, batch: Batch) -> Result<(), Error> {
        self.try_send(batch).map_err(|_| closed())
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorClass::Canceled, "cannot emit: the hub has ended the stream")
}
