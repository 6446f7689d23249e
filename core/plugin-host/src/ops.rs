//! The table of operations under way. The plug-in knows them by number only, and each number names
//! a place and a generation, so an answer that comes late, twice or for nothing is counted and
//! dropped.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::transport::{Body, Transport};

/// All operations of one library.
#[derive(Debug, Default)]
pub(crate) struct OpTable {
    slots: Mutex<Slots>,
    n_violations: AtomicU64,
}

#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    state: State,
    waker: Option<Waker>,
    flight: Option<Flight>,
    stream: Option<Stream>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Free,
    /// Somebody waits for the completion.
    Waiting,
    /// The completion has come and was not fetched yet.
    Done(Reply),
    /// Nobody waits any more; the completion will free the place.
    Abandoned,
}

/// What came of a stream and was not fetched yet; never more than the credit granted.
#[derive(Debug, Default)]
struct Stream {
    credit: u64,
    batches: VecDeque<Body>,
}

/// A status and the bytes that belong to it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u32,
    pub(crate) body: Body,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emitted {
    /// It will be fetched.
    Taken,
    /// The stream was called off and may not know it yet.
    Unwanted,
    /// There is no such stream, or it has no credit: it must not go on, for this batch is lost.
    Violation,
}

/// What an instance knows of its operations.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    n: AtomicUsize,
    poisoned: std::sync::atomic::AtomicBool,
    landed: Notify,
}

/// One operation of an instance, from its start to its completion.
#[derive(Debug)]
struct Flight(Arc<Flights>);

impl Flights {
    /// Operations that have not completed.
    pub(crate) fn n(&self) -> usize {
        self.n.load(Ordering::Acquire)
    }

    /// Whether one of them has panicked.
    pub(crate) fn poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Waits until none is left.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub(crate) async fn all_landed(&self) {
        loop {
            let landed = self.landed.notified();
            if self.n() == 0 {
                return;
            }
            landed.await;
        }
    }

    fn start(self: &Arc<Self>) -> Flight {
        self.n.fetch_add(1, Ordering::AcqRel);
        Flight(Arc::clone(self))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.0.n.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.landed.notify_waiters();
        }
    }
}

impl OpTable {
    /// Answers and batches that no operation was waiting for, or that spent credit they did not
    /// have.
    pub(crate) fn n_violations(&self) -> u64 {
        self.n_violations.load(Ordering::Relaxed)
    }

    /// Makes a place for an operation; a stream starts with credit. Gives its number, never 0.
    pub(crate) fn open(&self, flights: &Arc<Flights>, credit: Option<u32>) -> u64 {
        let flight = flights.start();
        let mut slots = self.slots();
        let index = slots.free.pop().unwrap_or_else(|| {
            slots.slots.push(Slot::default());
            (slots.slots.len() - 1) as u32
        });
        let slot = &mut slots.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1).max(1);
        slot.state = State::Waiting;
        slot.flight = Some(flight);
        slot.stream =
            credit.map(|credit| Stream { credit: credit.into(), batches: VecDeque::new() });
        u64::from(slot.generation) << 32 | u64::from(index)
    }

    /// Gives up an operation that nobody will wait for; its completion frees the place.
    pub(crate) fn abandon(&self, op_id: u64) {
        if let Some(slot) = self.slots().slot(op_id) {
            slot.state = State::Abandoned;
        }
    }

    /// Ends an operation. `panicked` poisons the instance.
    pub(crate) fn complete(&self, op_id: u64, reply: Reply, panicked: bool) {
        // Both are foreign to the lock: a body is freed by the plug-in, a waker runs whatever it
        // is of.
        let (waker, leftovers) = {
            let mut slots = self.slots();
            let Some(slot) = slots.slot(op_id) else {
                drop(slots);
                return self.violation();
            };
            match slot.state {
                State::Waiting => {
                    slot.state = State::Done(reply);
                    let flight = slot.flight.take();
                    (slot.waker.take(), Leftovers { flight, ..Leftovers::default() })
                }
                State::Abandoned => {
                    let mut leftovers = slots.release(op_id);
                    leftovers.reply = Some(reply);
                    (None, leftovers)
                }
                State::Done(_) | State::Free => {
                    drop(slots);
                    return self.violation();
                }
            }
        };
        if panicked && let Some(flight) = &leftovers.flight {
            flight.0.poisoned.store(true, Ordering::Release);
        }
        drop(leftovers);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes a batch of a stream.
    pub(crate) fn emit(&self, op_id: u64, n_credit: u32, batch: Body) -> Emitted {
        let waker = {
            let mut slots = self.slots();
            let taken = slots.slot(op_id).and_then(|slot| {
                let (State::Waiting, Some(stream)) = (&slot.state, slot.stream.as_mut()) else {
                    return None;
                };
                stream.credit = stream.credit.checked_sub(u64::from(n_credit.max(1)))?;
                Some((stream, &mut slot.waker))
            });
            let Some((stream, waker)) = taken else {
                let abandoned =
                    slots.slot(op_id).is_some_and(|slot| matches!(slot.state, State::Abandoned));
                drop(slots);
                // A stream that was called off may not know it yet.
                if abandoned {
                    return Emitted::Unwanted;
                }
                self.violation();
                return Emitted::Violation;
            };
            stream.batches.push_back(batch);
            waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Emitted::Taken
    }

    /// Gives a stream more credit; false if it has ended.
    pub(crate) fn grant(&self, op_id: u64, n: u32) -> bool {
        let mut slots = self.slots();
        let Some(stream) = slots.slot(op_id).and_then(|slot| slot.stream.as_mut()) else {
            return false;
        };
        stream.credit = stream.credit.saturating_add(n.into());
        true
    }

    /// The numbers of the operations of an instance that have not completed.
    pub(crate) fn of(&self, flights: &Arc<Flights>) -> Vec<u64> {
        let slots = self.slots();
        let mine = |slot: &Slot| {
            slot.flight.as_ref().is_some_and(|flight| Arc::ptr_eq(&flight.0, flights))
        };
        let indexed = slots.slots.iter().enumerate().filter(|(_, slot)| mine(slot));
        indexed.map(|(index, slot)| u64::from(slot.generation) << 32 | index as u64).collect()
    }

    fn violation(&self) {
        self.n_violations.fetch_add(1, Ordering::Relaxed);
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a place held; dropped outside the lock.
#[derive(Debug, Default)]
struct Leftovers {
    flight: Option<Flight>,
    reply: Option<Reply>,
    _stream: Option<Stream>,
    _waker: Option<Waker>,
}

impl Slots {
    /// The place an operation has, if it still has it.
    fn slot(&mut self, op_id: u64) -> Option<&mut Slot> {
        let (generation, index) = ((op_id >> 32) as u32, op_id as u32);
        let slot = self.slots.get_mut(index as usize)?;
        (slot.generation == generation && !matches!(slot.state, State::Free)).then_some(slot)
    }

    /// Frees a place; the number that named it names nothing from here on.
    fn release(&mut self, op_id: u64) -> Leftovers {
        let Some(slot) = self.slot(op_id) else {
            return Leftovers::default();
        };
        let reply = match std::mem::take(&mut slot.state) {
            State::Done(reply) => Some(reply),
            State::Free | State::Waiting | State::Abandoned => None,
        };
        let leftovers = Leftovers {
            flight: slot.flight.take(),
            reply,
            _stream: slot.stream.take(),
            _waker: slot.waker.take(),
        };
        self.free.push(op_id as u32);
        leftovers
    }
}

/// Waits for an operation to complete; dropped before, it calls the operation off.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) table: Arc<OpTable>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) op_id: u64,
    pub(crate) fetched: bool,
}

impl Pending {
    /// The next batch of a stream, or how the operation ended once all batches are fetched.
    pub(crate) fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Body, Reply>> {
        let leftovers = {
            let mut slots = self.table.slots();
            let slot = slots.slot(self.op_id).expect("invariant: the place is ours until fetched");
            if let Some(batch) = slot.stream.as_mut().and_then(|stream| stream.batches.pop_front())
            {
                return Poll::Ready(Ok(batch));
            }
            if !matches!(slot.state, State::Done(_)) {
                if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    slot.waker = Some(cx.waker().clone());
                }
                return Poll::Pending;
            }
            slots.release(self.op_id)
        };
        self.fetched = true;
        Poll::Ready(Err(leftovers.reply.expect("invariant: the state was just seen to be done")))
    }
}

impl Future for Pending {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        loop {
            match self.poll_batch(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(reply)) => return Poll::Ready(reply),
                Poll::Ready(Ok(_)) => {} // only a stream has batches, and nobody awaits a stream so
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.fetched {
            return;
        }
        let (running, leftovers) = {
            let mut slots = self.table.slots();
            match slots.slot(self.op_id) {
                Some(slot) if matches!(slot.state, State::Waiting) => {
                    slot.state = State::Abandoned;
                    let (waker, stream) = (slot.waker.take(), slot.stream.take());
                    (true, Leftovers { _waker: waker, _stream: stream, ..Leftovers::default() })
                }
                _ => (false, slots.release(self.op_id)),
            }
        };
        drop(leftovers);
        if running {
            self.transport.cancel(self.op_id);
        }
    }
}
