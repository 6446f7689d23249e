//! Runs author's code so that a panic becomes an error, and so that what it logs names the
//! instance.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::{Error, ErrorClass};

/// An operation under way; its output is the encoded reply, or what that is made of.
pub(crate) type Running<T = Vec<u8>> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

thread_local! {
    /// The instance whose code runs on this thread; 0 if none.
    static INSTANCE: Cell<u64> = const { Cell::new(0) };
}

/// The instance whose code runs on this thread; 0 if none. Tasks the author spawned have none.
pub(crate) fn current_instance() -> u64 {
    // A panic or a log line while the thread ends has no thread-local left to ask.
    INSTANCE.try_with(Cell::get).unwrap_or(0)
}

/// Calls author's code in the name of an instance; a panic is an error of class `panic`.
pub(crate) fn call<T>(instance: u64, code: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let outer = INSTANCE.replace(instance);
    let result = catch_unwind(AssertUnwindSafe(code));
    INSTANCE.set(outer);
    result.unwrap_or_else(|payload| Err(panicked(payload)))
}

/// What a panic is to the other side.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let error = Error::new(ErrorClass::Panic, format!("plug-in panicked: {text}"));
    // The payload is the author's type, and its drop may panic in turn: then it is better leaked.
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        std::mem::forget(second);
    }
    error
}

/// A future of author's code; also its drop is guarded.
pub(crate) struct Guarded<T = Vec<u8>> {
    instance: u64,
    future: Option<Running<T>>,
}

impl<T> Guarded<T> {
    pub(crate) fn new(instance: u64, future: Running<T>) -> Self {
        Self { instance, future: Some(future) }
    }

    fn drop_future(&mut self) -> Result<(), Error> {
        let future = self.future.take();
        call(self.instance, move || {
            drop(future);
            Ok(())
        })
    }
}

impl<T> Future for Guarded<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let instance = self.instance;
        let Some(future) = self.future.as_mut() else {
            return Poll::Ready(Err(Error::new(ErrorClass::Protocol, "operation has ended")));
        };
        let result = match call(instance, || Ok(future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panic) => Err(panic),
        };
        // The reply goes out only when what the operation held is released.
        let dropped = self.drop_future();
        Poll::Ready(dropped.and(result))
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        // Nobody is left to tell; the panic hook has logged it.
        let _ = self.drop_future();
    }
}
