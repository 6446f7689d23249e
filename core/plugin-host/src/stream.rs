//! A running stream of records.

use std::future::poll_fn;
use std::sync::Arc;

use gantry_plugin_api::Batch;
use gantry_plugin_api::message::{Opcode, decode};

use crate::instance::{Attachment, CallError};
use crate::ops::Pending;

/// Batches as the plug-in sends them, as far as it has credit. Dropped, the stream is called off.
#[derive(Debug)]
pub struct RecordStream {
    attachment: Arc<Attachment>,
    pending: Option<Pending>,
}

impl RecordStream {
    pub(crate) fn new(attachment: Arc<Attachment>, pending: Pending) -> Self {
        Self { attachment, pending: Some(pending) }
    }

    /// The next batch; none once the stream has ended well, an error once if it has not.
    ///
    /// # Cancel safety
    /// No batch is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Batch, CallError>> {
        let pending = self.pending.as_mut()?;
        let result = match poll_fn(|cx| pending.poll_batch(cx)).await {
            Ok(body) => decode(&body, "batch").map(|mut batch: Batch| {
                self.attachment.library().ears().scrubber.records(&mut batch.records);
                batch
            }),
            Err(reply) => {
                self.pending = None;
                match self.attachment.library().outcome(reply) {
                    Ok(_) => return None,
                    Err(error) => Err(error),
                }
            }
        };
        // A batch that cannot be read is lost to us, so nothing after it may be taken.
        if result.is_err() {
            self.pending = None;
        }
        let name = self.attachment.name();
        Some(result.map_err(|error| CallError::failed(Opcode::Stream, name, error)))
    }

    /// Lets the plug-in send `n` records more; a batch without records costs one too. Grant what
    /// was settled, so that what is under way stays bounded.
    pub fn grant(&self, n: u32) {
        let Some(pending) = &self.pending else { return };
        // First the table, which checks what comes, then the plug-in, which sends it.
        if self.attachment.library().ops().grant(pending.op_id, n) {
            pending.transport.credit(pending.op_id, n);
        }
    }
}
