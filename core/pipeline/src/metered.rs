//! Plug-ins, measured: each port of the pipeline stands behind one of these, so that what is said
//! of operations is said in one place, of whatever plug-in.

use std::sync::Arc;

use async_trait::async_trait;
use gantry_model::ItemId;
use gantry_plugin_host::api::{
    Batch, CaptureMode, Delivery, DeliveryOutcome, ErrorClass, Extended, HttpCapture, HttpRequest,
    Lease, Position, Query, RecordOutcome,
};
use serde_json::Value;

use crate::meter::{Flight, Flow, Operation, Operations};
use crate::port::{BatchStream, CallbackPort, CapturePort, LookupPort, Trouble};
use crate::reach::Reach;

/// A capture port, measured.
pub(crate) struct MeteredCapture {
    pub(crate) port: Arc<dyn CapturePort>,
    pub(crate) operations: Arc<Operations>,
    pub(crate) flow: Arc<Flow>,
    pub(crate) reach: Arc<Reach>,
}

/// A look-up or callback, measured.
pub(crate) struct Metered<P: ?Sized> {
    pub(crate) port: Arc<P>,
    pub(crate) operations: Arc<Operations>,
    pub(crate) reach: Arc<Reach>,
}

struct MeteredStream {
    stream: Box<dyn BatchStream>,
    flow: Arc<Flow>,
    reach: Arc<Reach>,
    /// Until it has ended.
    flight: Option<Flight>,
}

#[async_trait]
impl CapturePort for MeteredCapture {
    fn modes(&self) -> Vec<CaptureMode> {
        self.port.modes()
    }

    async fn poll(&self, from: Option<Position>, limit: u32) -> Result<Batch, Trouble> {
        let polling = self.operations.measure(Operation::Poll, self.port.poll(from, limit));
        self.reach.watch(polling, |_| Some(true)).await
    }

    async fn stream(
        &self,
        from: Option<Position>,
        credit: u32,
    ) -> Result<Box<dyn BatchStream>, Trouble> {
        let flight = self.operations.begin(Operation::Stream);
        match self.reach.watch(self.port.stream(from, credit), |_| Some(true)).await {
            Ok(stream) => {
                let (flow, reach) = (Arc::clone(&self.flow), Arc::clone(&self.reach));
                flow.credit.set(credit.into());
                flow.set_streams(true);
                Ok(Box::new(MeteredStream { stream, flow, reach, flight: Some(flight) }))
            }
            Err(trouble) => {
                flight.end(Some(&trouble));
                Err(trouble)
            }
        }
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpCapture, Trouble> {
        self.operations.measure(Operation::Http, self.port.http(request)).await
    }

    async fn acknowledge(&self, outcomes: Vec<RecordOutcome>) -> Result<(), Trouble> {
        self.operations.measure(Operation::Acknowledge, self.port.acknowledge(outcomes)).await
    }

    fn gives_leases(&self) -> bool {
        self.port.gives_leases()
    }

    async fn extend(&self, leases: Vec<Lease>) -> Result<Vec<Extended>, Trouble> {
        self.operations.measure(Operation::Extend, self.port.extend(leases)).await
    }
}

#[async_trait]
impl BatchStream for MeteredStream {
    async fn next(&mut self) -> Option<Result<Batch, Trouble>> {
        let next = self.stream.next().await;
        match &next {
            Some(Ok(batch)) => {
                self.reach.answered();
                self.flow.credit.take_away(batch.records.len().max(1) as u64);
            }
            Some(Err(trouble)) => {
                self.reach.failed(trouble.class);
                self.end(Some(trouble));
            }
            None => self.end(None),
        }
        next
    }

    fn grant(&mut self, credit: u32) {
        self.flow.credit.add(credit.into());
        self.stream.grant(credit);
    }
}

impl MeteredStream {
    fn end(&mut self, trouble: Option<&Trouble>) {
        if let Some(flight) = self.flight.take() {
            flight.end(trouble);
        }
    }
}

impl Drop for MeteredStream {
    fn drop(&mut self) {
        self.flow.set_streams(false);
    }
}

#[async_trait]
impl LookupPort for Metered<dyn LookupPort> {
    async fn ask(&self, query: Query, about: ItemId) -> Result<Option<Value>, Trouble> {
        let asking = self.operations.measure(Operation::Lookup, self.port.ask(query, about));
        self.reach.watch(asking, |_| Some(true)).await
    }
}

#[async_trait]
impl CallbackPort for Metered<dyn CallbackPort> {
    async fn deliver(&self, deliveries: Vec<Delivery>) -> Result<Vec<DeliveryOutcome>, Trouble> {
        let delivering = self.operations.measure(Operation::Deliver, self.port.deliver(deliveries));
        self.reach.watch(delivering, |outcomes| got_through(outcomes)).await
    }
}

/// What the outcomes of deliveries tell of their source: that one was taken says that it answers;
/// where none was, that one could not be handed over says that it does not.
fn got_through(outcomes: &[DeliveryOutcome]) -> Option<bool> {
    let taken = |outcome: &DeliveryOutcome| {
        matches!(outcome, DeliveryOutcome::Done | DeliveryOutcome::AlreadyDone)
    };
    let lost = |outcome: &DeliveryOutcome| match outcome {
        DeliveryOutcome::Retry(error) => error.class() == ErrorClass::Transient,
        _ => false,
    };
    if outcomes.iter().any(taken) {
        return Some(true);
    }
    outcomes.iter().any(lost).then_some(false)
}
