//! Plug-ins that do what a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use gantry_model::ItemId;
use gantry_plugin_host::api::{
    Batch, CaptureMode, Delivery, DeliveryOutcome, ErrorClass, Extended, HttpCapture, HttpRequest,
    Lease, Position, Query, Record, RecordOutcome,
};
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use super::world::soon;
use crate::pipeline::Ports;
use crate::port::{BatchStream, CallbackPort, CapturePort, LookupPort, Trouble};

/// The source's end of a capture point: what it gives, and what it is told.
pub(super) struct SourceEnd {
    batches: mpsc::Sender<Result<Batch, Trouble>>,
    asked: mpsc::Receiver<Option<Position>>,
    told: mpsc::Receiver<Vec<RecordOutcome>>,
    extending: mpsc::Receiver<Extending>,
    /// One acknowledgement is let through for each permit.
    pub(super) may_acknowledge: Arc<Semaphore>,
}

/// Leases that are to be extended, and where the answer goes.
type Extending = (Vec<Lease>, oneshot::Sender<Result<Vec<Extended>, Trouble>>);

struct ScriptedCapture {
    batches: Mutex<mpsc::Receiver<Result<Batch, Trouble>>>,
    asked: mpsc::Sender<Option<Position>>,
    told: mpsc::Sender<Vec<RecordOutcome>>,
    extending: mpsc::Sender<Extending>,
    may_acknowledge: Arc<Semaphore>,
    mode: CaptureMode,
    http: Option<HttpCapture>,
}

/// Adds a capture point of that mode; `http` is what it makes of every request.
pub(super) fn capture_point(
    ports: &mut Ports,
    mode: CaptureMode,
    http: Option<HttpCapture>,
) -> SourceEnd {
    let (batches, batches_in) = mpsc::channel(100);
    let (asked_out, asked) = mpsc::channel(100);
    let (told_out, told) = mpsc::channel(100);
    let (extending_out, extending) = mpsc::channel(100);
    let may_acknowledge = Arc::new(Semaphore::new(1000));
    let port = ScriptedCapture {
        batches: Mutex::new(batches_in),
        asked: asked_out,
        told: told_out,
        extending: extending_out,
        may_acknowledge: Arc::clone(&may_acknowledge),
        mode,
        http,
    };
    ports.captures.insert("leads".into(), Arc::new(port));
    SourceEnd { batches, asked, told, extending, may_acknowledge }
}

impl SourceEnd {
    pub(super) async fn give(&self, batch: Result<Batch, Trouble>) {
        self.batches.send(batch).await.unwrap();
    }

    /// The position of the next question.
    pub(super) async fn asked(&mut self) -> Option<String> {
        let position = soon(self.asked.recv()).await.unwrap();
        position.map(|position| String::from_utf8(position.as_bytes().to_vec()).unwrap())
    }

    /// `true` if a question was put that nobody looked at.
    pub(super) fn was_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The next acknowledgement.
    pub(super) async fn told(&mut self) -> Vec<RecordOutcome> {
        soon(self.told.recv()).await.unwrap()
    }

    /// The next leases to be extended, by their tokens; they end as `answer` says.
    pub(super) async fn extends(
        &mut self,
        answer: impl FnOnce(&[Lease]) -> Result<Vec<Extended>, Trouble>,
    ) -> Vec<String> {
        let (leases, reply) = soon(self.extending.recv()).await.unwrap();
        // Nobody waits any more at the end of a test.
        let _ = reply.send(answer(&leases));
        leases.into_iter().map(|lease| lease.token).collect()
    }

    /// `true` if leases are to be extended that nobody looked at.
    pub(super) fn is_extending(&self) -> bool {
        !self.extending.is_empty()
    }
}

pub(super) fn place(name: &str) -> Position {
    Position::new(name.to_owned()).unwrap()
}

pub(super) fn record(json: &Value, position: &str) -> Record {
    Record::json(json.to_string()).with_position(place(position))
}

pub(super) fn batch(records: Vec<Record>) -> Batch {
    Batch { records, position_after: None, more: true }
}

#[async_trait]
impl CapturePort for ScriptedCapture {
    fn modes(&self) -> Vec<CaptureMode> {
        vec![self.mode]
    }

    async fn poll(&self, from: Option<Position>, _: u32) -> Result<Batch, Trouble> {
        self.asked.send(from).await.unwrap();
        match self.batches.lock().await.recv().await {
            Some(batch) => batch,
            None => std::future::pending().await,
        }
    }

    async fn stream(
        &self,
        from: Option<Position>,
        _: u32,
    ) -> Result<Box<dyn BatchStream>, Trouble> {
        self.asked.send(from).await.unwrap();
        let batches = std::mem::replace(&mut *self.batches.lock().await, mpsc::channel(1).1);
        Ok(Box::new(ScriptedStream(batches)))
    }

    async fn http(&self, _: HttpRequest) -> Result<HttpCapture, Trouble> {
        Ok(self.http.clone().unwrap())
    }

    async fn acknowledge(&self, outcomes: Vec<RecordOutcome>) -> Result<(), Trouble> {
        self.may_acknowledge.acquire().await.unwrap().forget();
        self.told.send(outcomes).await.unwrap();
        Ok(())
    }

    fn gives_leases(&self) -> bool {
        true
    }

    async fn extend(&self, leases: Vec<Lease>) -> Result<Vec<Extended>, Trouble> {
        let (reply, answer) = oneshot::channel();
        self.extending.send((leases, reply)).await.unwrap();
        answer.await.unwrap()
    }
}

struct ScriptedStream(mpsc::Receiver<Result<Batch, Trouble>>);

#[async_trait]
impl BatchStream for ScriptedStream {
    async fn next(&mut self) -> Option<Result<Batch, Trouble>> {
        self.0.recv().await
    }

    fn grant(&mut self, _: u32) {}
}

type Answering =
    dyn Fn(usize, Value) -> BoxFuture<'static, Result<Option<Value>, Trouble>> + Send + Sync;

/// A look-up that answers by a function of how often it was asked and what.
pub(super) struct ScriptedLookup {
    answer: Box<Answering>,
    asked: Arc<AtomicUsize>,
}

/// Adds a look-up; gives the count of questions.
pub(super) fn lookup<F, A>(ports: &mut Ports, name: &str, answer: F) -> Arc<AtomicUsize>
where
    F: Fn(usize, Value) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Option<Value>, Trouble>> + Send + 'static,
{
    let asked = Arc::new(AtomicUsize::new(0));
    let answer: Box<Answering> = Box::new(move |n, question| Box::pin(answer(n, question)));
    let port = ScriptedLookup { answer, asked: Arc::clone(&asked) };
    ports.lookups.insert(name.into(), Arc::new(port));
    asked
}

#[async_trait]
impl LookupPort for ScriptedLookup {
    async fn ask(&self, query: Query, _: ItemId) -> Result<Option<Value>, Trouble> {
        let n = self.asked.fetch_add(1, Ordering::SeqCst);
        (self.answer)(n, query.attributes.parse().unwrap()).await
    }
}

/// Adds a look-up that knows nothing and tells the traces it was asked with.
pub(super) fn traced_lookup(ports: &mut Ports, name: &str, traces: mpsc::Sender<Option<String>>) {
    ports.lookups.insert(name.into(), Arc::new(TracedLookup(traces)));
}

struct TracedLookup(mpsc::Sender<Option<String>>);

#[async_trait]
impl LookupPort for TracedLookup {
    async fn ask(&self, query: Query, _: ItemId) -> Result<Option<Value>, Trouble> {
        self.0.send(query.traceparent).await.unwrap();
        Ok(None)
    }
}

type Delivering = dyn Fn(&Delivery) -> DeliveryOutcome + Send + Sync;

struct ScriptedCallback {
    outcome: Box<Delivering>,
    /// Calls that fail as a whole before the first one works.
    failures: AtomicUsize,
    delivered: mpsc::Sender<Delivery>,
}

/// Adds callback `crm` that ends each delivery as the function says; gives what was delivered.
pub(super) fn callback(
    ports: &mut Ports,
    outcome: impl Fn(&Delivery) -> DeliveryOutcome + Send + Sync + 'static,
) -> mpsc::Receiver<Delivery> {
    add_callback(ports, Box::new(outcome), 0)
}

/// Adds callback `crm` whose first calls fail as a whole.
pub(super) fn failing_callback(ports: &mut Ports, failures: usize) -> mpsc::Receiver<Delivery> {
    add_callback(ports, Box::new(|_| DeliveryOutcome::Done), failures)
}

fn add_callback(
    ports: &mut Ports,
    outcome: Box<Delivering>,
    failures: usize,
) -> mpsc::Receiver<Delivery> {
    let (delivered, deliveries) = mpsc::channel(1000);
    let failures = AtomicUsize::new(failures);
    let port = ScriptedCallback { outcome, failures, delivered };
    ports.callbacks.insert("crm".into(), Arc::new(port));
    deliveries
}

#[async_trait]
impl CallbackPort for ScriptedCallback {
    async fn deliver(&self, deliveries: Vec<Delivery>) -> Result<Vec<DeliveryOutcome>, Trouble> {
        let failing = |n: usize| n.checked_sub(1);
        let failed = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, failing);
        if failed.is_ok() {
            return Err(Trouble::new(ErrorClass::Transient, "no instance"));
        }
        let mut outcomes = Vec::new();
        for delivery in deliveries {
            outcomes.push((self.outcome)(&delivery));
            self.delivered.send(delivery).await.unwrap();
        }
        Ok(outcomes)
    }
}
