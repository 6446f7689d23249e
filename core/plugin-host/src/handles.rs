//! The roles of an instance as typed calls. A handle is cheap to clone; what it stands for lives
//! until the last one drops.

use std::sync::Arc;

use gantry_plugin_api::message::{Acknowledge, Answered, Opcode, Poll, Stream, decode, encode};
use gantry_plugin_api::{
    Answer, Batch, Delivery, DeliveryOutcome, Error, ErrorClass, Extended, HttpCapture,
    HttpRequest, Lease, Position, Query, RecordOutcome,
};

use crate::instance::{Attachment, CallError};
use crate::stream::RecordStream;

/// A capture point.
#[derive(Clone, Debug)]
pub struct CaptureHandle(Arc<Attachment>);

/// A look-up.
#[derive(Clone, Debug)]
pub struct LookupHandle(Arc<Attachment>);

/// A callback.
#[derive(Clone, Debug)]
pub struct CallbackHandle(Arc<Attachment>);

impl CaptureHandle {
    pub(crate) fn new(attachment: Attachment) -> Self {
        Self(Arc::new(attachment))
    }

    /// The operator's name of it.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Connects and looks whether the settings fit the source; changes nothing.
    pub async fn check(&self) -> Result<(), CallError> {
        self.0.call(Opcode::CheckSettings, &[]).await.map(drop)
    }

    /// Asks for at most `limit` records after `from`. Not twice at a time.
    ///
    /// # Errors
    /// Of class `protocol` also if the plug-in gave more than `limit`.
    ///
    /// # Cancel safety
    /// If the future is dropped, the plug-in's part is called off; ask again from the same
    /// position.
    pub async fn poll(&self, from: Option<Position>, limit: u32) -> Result<Batch, CallError> {
        let reply = self.0.call(Opcode::Poll, &encode(&Poll { from, limit })).await?;
        let batch = decode(&reply, "batch").and_then(|mut batch: Batch| {
            if batch.records.len() <= limit as usize {
                self.0.library().ears().scrubber.records(&mut batch.records);
                return Ok(batch);
            }
            let n = batch.records.len();
            let message = format!("plug-in gave {n} records where {limit} were asked for");
            Err(Error::new(ErrorClass::Protocol, message))
        });
        batch.map_err(|error| CallError::failed(Opcode::Poll, self.name(), error))
    }

    /// Starts the stream after `from`; `credit` records may come before more is granted. Not twice
    /// at a time.
    ///
    /// # Errors
    /// Only if the instance takes no operation; all else comes out of the stream.
    pub fn stream(&self, from: Option<Position>, credit: u32) -> Result<RecordStream, CallError> {
        let pending = self.0.stream(&encode(&Stream { from, credit }), credit)?;
        Ok(RecordStream::new(Arc::clone(&self.0), pending))
    }

    /// Hands over a request that the hub's server received.
    ///
    /// # Cancel safety
    /// If the future is dropped, the plug-in's part is called off.
    pub async fn http(&self, request: &HttpRequest) -> Result<HttpCapture, CallError> {
        let reply = self.0.call(Opcode::Http, &encode(request)).await?;
        let mut capture: HttpCapture = decode(&reply, "http capture")
            .map_err(|error| CallError::failed(Opcode::Http, self.name(), error))?;
        if let HttpCapture::Capture { records, .. } = &mut capture {
            self.0.library().ears().scrubber.records(records);
        }
        Ok(capture)
    }

    /// Tells what became of records, after that is durable.
    ///
    /// # Cancel safety
    /// If the future is dropped, some may have been acknowledged; say all of them again.
    pub async fn acknowledge(&self, outcomes: Vec<RecordOutcome>) -> Result<(), CallError> {
        let request = encode(&Acknowledge { outcomes });
        self.0.call(Opcode::Acknowledge, &request).await.map(drop)
    }

    /// Has leases extended, and gives one answer a lease, in the same order. Not twice at a time.
    ///
    /// # Cancel safety
    /// If the future is dropped, some may have been extended; ask for all of them again.
    pub async fn extend(&self, leases: &[Lease]) -> Result<Vec<Extended>, CallError> {
        let reply = self.0.call(Opcode::Extend, &encode(&leases)).await?;
        let failed = |error| CallError::failed(Opcode::Extend, self.name(), error);
        let extended: Vec<Extended> = decode(&reply, "extended leases").map_err(failed)?;
        same_length(extended.len(), leases.len()).map_err(failed)?;
        let scrubber = &self.0.library().ears().scrubber;
        let clean = |extended| match extended {
            Extended::Lost { reason } => {
                Extended::Lost { reason: scrubber.text(&reason).into_owned() }
            }
            Extended::Failed(error) => Extended::Failed(scrubber.error(error)),
            kept => kept,
        };
        Ok(extended.into_iter().map(clean).collect())
    }
}

impl LookupHandle {
    pub(crate) fn new(attachment: Attachment) -> Self {
        Self(Arc::new(attachment))
    }

    /// The operator's name of it.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Connects and looks whether the settings fit the source; changes nothing.
    pub async fn check(&self) -> Result<(), CallError> {
        self.0.call(Opcode::CheckSettings, &[]).await.map(drop)
    }

    /// Asks, and gives one answer a query, in the same order. Any number of calls at a time.
    ///
    /// # Errors
    /// The outer one for the call as a whole, an inner one for a query.
    ///
    /// # Cancel safety
    /// If the future is dropped, the plug-in's part is called off; nothing has changed in the
    /// source.
    pub async fn lookup(
        &self,
        queries: &[Query],
    ) -> Result<Vec<Result<Option<Answer>, Error>>, CallError> {
        let reply = self.0.call(Opcode::Lookup, &encode(&queries)).await?;
        let failed = |error| CallError::failed(Opcode::Lookup, self.name(), error);
        let answers: Vec<Answered> = decode(&reply, "answers").map_err(failed)?;
        same_length(answers.len(), queries.len()).map_err(failed)?;
        let scrubber = &self.0.library().ears().scrubber;
        let clean = |error| scrubber.error(error);
        Ok(answers.into_iter().map(|answer| Result::from(answer).map_err(clean)).collect())
    }
}

impl CallbackHandle {
    pub(crate) fn new(attachment: Attachment) -> Self {
        Self(Arc::new(attachment))
    }

    /// The operator's name of it.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Connects and looks whether the settings fit the source; changes nothing.
    pub async fn check(&self) -> Result<(), CallError> {
        self.0.call(Opcode::CheckSettings, &[]).await.map(drop)
    }

    /// Delivers, and gives one outcome a delivery, in the same order. Never two calls at a time
    /// with the same item.
    ///
    /// # Cancel safety
    /// If the future is dropped, some may have arrived; deliver all of them again.
    pub async fn deliver(
        &self,
        deliveries: &[Delivery],
    ) -> Result<Vec<DeliveryOutcome>, CallError> {
        let reply = self.0.call(Opcode::Deliver, &encode(&deliveries)).await?;
        let failed = |error| CallError::failed(Opcode::Deliver, self.name(), error);
        let outcomes: Vec<DeliveryOutcome> = decode(&reply, "outcomes").map_err(failed)?;
        same_length(outcomes.len(), deliveries.len()).map_err(failed)?;
        let scrubber = &self.0.library().ears().scrubber;
        let clean = |outcome| match outcome {
            DeliveryOutcome::Retry(error) => DeliveryOutcome::Retry(scrubber.error(error)),
            DeliveryOutcome::Refused(error) => DeliveryOutcome::Refused(scrubber.error(error)),
            done => done,
        };
        Ok(outcomes.into_iter().map(clean).collect())
    }
}

fn same_length(n: usize, n_asked: usize) -> Result<(), Error> {
    if n == n_asked {
        return Ok(());
    }
    let message = format!("plug-in gave {n} answers where {n_asked} were asked for");
    Err(Error::new(ErrorClass::Protocol, message))
}
