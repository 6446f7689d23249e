//! Plug-ins, measured: each port of the pipeline stands behind one of these, so that what is said
//! of operations is said in one place, of whatever plug-in.

use std::sync::Arc;

use async_trait::async_trait;
use gantry_model::ItemId;
use gantry_plugin_host::api::{
    Batch, CaptureMode, Delivery, DeliveryOutcome, Extended, HttpCapture, HttpRequest, Lease,
    Position, Query, RecordOutcome,
};
use serde_json::Value;

use crate::meter::{Flight, Flow, Operation, Operations};
use crate::port::{BatchStream, CallbackPort, CapturePort, LookupPort, Trouble};

/// A capture port, measured.
pub(crate) struct MeteredCapture {
    pub(crate) port: Arc<dyn CapturePort>,
    pub(crate) operations: Arc<Operations>,
    pub(crate) flow: Arc<Flow>,
}

/// A look-up or callback, measured.
pub(crate) struct Metered<P: ?Sized> {
    pub(crate) port: Arc<P>,
    pub(crate) operations: Arc<Operations>,
}

struct MeteredStream {
    stream: Box<dyn BatchStream>,
    flow: Arc<Flow>,
    /// Until it has ended.
    flight: Option<Flight>,
}

#[async_trait]
impl CapturePort for MeteredCapture {
    fn modes(&self) -> Vec<CaptureMode> {
        self.port.modes()
    }

    async fn poll(&self, from: Option<Position>, limit: u32) -> Result<Batch, Trouble> {
        self.operations.measure(Operation::Poll, self.port.poll(from, limit)).await
    }

    async fn stream(
        &self,
        from: Option<Position>,
        credit: u32,
    ) -> Result<Box<dyn BatchStream>, Trouble> {
        let flight = self.operations.begin(Operation::Stream);
        match self.port.stream(from, credit).await {
            Ok(stream) => {
                let flow = Arc::clone(&self.flow);
                flow.credit.set(credit.into());
                flow.set_streams(true);
                Ok(Box::new(MeteredStream { stream, flow, flight: Some(flight) }))
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
            Some(Ok(batch)) => self.flow.credit.take_away(batch.records.len().max(1) as u64),
            Some(Err(trouble)) => self.end(Some(trouble)),
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
        self.operations.measure(Operation::Lookup, self.port.ask(query, about)).await
    }
}

#[async_trait]
impl CallbackPort for Metered<dyn CallbackPort> {
    async fn deliver(&self, deliveries: Vec<Delivery>) -> Result<Vec<DeliveryOutcome>, Trouble> {
        self.operations.measure(Operation::Deliver, self.port.deliver(deliveries)).await
    }
}
